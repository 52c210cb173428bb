"""C10: the spectrum of the change ΔW = W′ − W0 of every layer: how many directions in weight space it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bidora.figures.appearance import (
    counted,
    empty,
    finish,
    floats,
    grid_columns,
    log_axis,
    seeds_in_words,
    styles_of,
)

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

TITLE = "How many directions does the change of the weights take?"
_LEAST = 1e-6  # of the largest value: below is the rounding of float32


def change_spectrum(spectra: pandas.DataFrame, *, template: str = "light") -> go.Figure:
    """Singular values of ΔW by index, thin: one line per layer, bold: their median; one panel per label.

    Args:
        spectra: as `bidora.analysis.endings.final_spectra` gives it: label, method, seed, rank, layer, module, index,
            singular_value, cumulative.
        template: "light", "dark" or a plotly template.
    """
    from plotly.subplots import make_subplots

    labels = list(dict.fromkeys(spectra["label"])) if "label" in spectra else []
    if not labels or not (spectra["singular_value"] > 0).any():
        return empty(TITLE, "No spectrum of the change was recorded.", template=template)
    looks = styles_of(spectra, template=template)
    columns = grid_columns(len(labels))
    rows = -(-len(labels) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes="all",
        shared_xaxes="all",
        subplot_titles=labels if len(labels) > 1 else None,
        horizontal_spacing=0.04,
        vertical_spacing=0.24 / rows if rows > 1 else 0,
    )
    floor = _LEAST * float(spectra["singular_value"].max())
    for place, label in enumerate(labels):
        part, where = spectra[spectra["label"] == label], dict(row=place // columns + 1, col=place % columns + 1)
        style = looks[label]
        for (_, layer, module), line in part.groupby(["run", "layer", "module"], sort=False):
            line = line[line["singular_value"] > floor]
            figure.add_scatter(
                x=floats(line["index"]),
                y=floats(line["singular_value"]),
                mode="lines",
                line=dict(color=style.colour, width=1),
                opacity=0.4,
                name=f"{module} {layer}",
                showlegend=False,
                hovertemplate=f"{module} {layer}, value %{{x}}: %{{y:.3~g}}<extra></extra>",
                **where,
            )
        middle = part.groupby("index")["singular_value"].median()
        middle = middle[middle > floor]
        figure.add_scatter(
            x=floats(middle.index),
            y=floats(middle),
            mode="lines+markers",
            line=dict(color=style.colour, dash=style.dash, width=3),
            marker=dict(color=style.colour, symbol=style.symbol, size=6, maxdisplayed=16),
            name=f"{label}, median layer",
            showlegend=False,
            hovertemplate=f"{label}, median, value %{{x}}: %{{y:.3~g}}<extra></extra>",
            **where,
        )
        rank = int(part["rank"].iloc[0])
        if rank:
            figure.add_vline(
                x=rank,
                line=dict(dash="dot", width=1),
                annotation_text=f"r = {rank}",
                annotation_position="top right",
                **where,
            )
        if place + columns >= len(labels):
            figure.update_xaxes(title_text="index of the singular value", showticklabels=True, **where)
    figure.update_yaxes(**log_axis(spectra["singular_value"]))
    figure.update_yaxes(title_text="singular value of ΔW (weight units)", col=1)
    layers = spectra[["run", "layer", "module"]].drop_duplicates()
    convention = (
        f"ΔW = merged weight − pretrained weight at the end · thin: {counted(len(layers), 'layer')}, bold: median · values "
        f"below 10⁻⁶ of the largest are left out · {seeds_in_words(spectra['seed'])}"
    )
    notes = [sentence for label in labels if (sentence := _share(label, spectra[spectra["label"] == label]))]
    return finish(
        figure,
        title=TITLE,
        alt=" ".join(notes) or "Singular values fall with their index.",
        convention=convention,
        notes=notes,
        template=template,
        height=120 + 320 * rows,
        legend=False,
        above=22 if len(labels) > 1 else 8,
        panels=columns,
    )


def _share(label: str, part: pandas.DataFrame) -> str:
    """How much of the change the first r directions hold, in the median layer."""
    rank = int(part["rank"].iloc[0])
    shares = part.loc[part["index"] == (rank or 8), "cumulative"].dropna()
    if shares.empty:
        return ""
    first = f"the first r = {rank}" if rank else "the first 8"
    return f"{label}: {first} singular values hold {100 * shares.median():.3g} % of ‖ΔW‖² in the median layer."
