"""C12: what is taken for what: a confusion matrix, hits and misses per label, predictions against measurements, closeness of texts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bidora.figures.appearance import NEUTRAL, empty, finish, floats, is_dark, points_trace
from bidora.figures.texts import texts

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

OTHER = "(other)"


def samples(
    predictions: pandas.DataFrame, *, kind: str = "", unit: str = "", limit: int = 20, template: str = "light"
) -> go.Figure:
    """The test predictions of one run, as fits their kind.

    Args:
        predictions: as `Run.predictions()` gives it: target, prediction.
        kind: classification, regression, multilabel, tagging or generation; by default regression where targets are numbers, else
            classification.
        unit: of the target, for regression.
        limit: so many classes are shown; rarer ones are added up as "(other)".
        template: "light", "dark" or a plotly template.
    """
    if predictions.empty or not {"target", "prediction"} <= set(predictions.columns):
        return empty("What is taken for what?", "There are no predictions yet.", template=template)
    if kind == "generation":
        return texts(predictions, template=template)
    numeric = all(predictions[name].dtype.kind in "fiu" for name in ("target", "prediction"))
    kind = kind or ("regression" if numeric else "classification")
    kind = "classification" if kind == "regression" and not numeric else kind  # of a damaged run
    if kind == "regression":
        return _against_each_other(predictions, unit, template)
    if kind in ("multilabel", "tagging"):
        return _per_label(predictions, limit, template, entities=kind == "tagging")
    return _confusion(predictions, limit, template)


def _confusion(predictions: pandas.DataFrame, limit: int, template: str) -> go.Figure:
    import plotly.graph_objects as go

    target, predicted = predictions["target"].astype(str), predictions["prediction"].astype(str)
    frequent = [label for label, _ in Counter(target).most_common()]
    frequent += sorted(set(predicted) - set(frequent))
    shown = frequent if len(frequent) <= limit else [*frequent[: limit - 1], OTHER]
    place = {label: min(index, len(shown) - 1) for index, label in enumerate(frequent)}
    counts = np.zeros((len(shown), len(shown)), dtype=np.int64)
    np.add.at(counts, (target.map(place).to_numpy(), predicted.map(place).to_numpy()), 1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    written = len(shown) <= 12
    figure = go.Figure(
        go.Heatmap(
            x=shown,
            y=shown,
            z=floats(100 * share),
            text=np.where(counts > 0, counts, "").astype(str) if written else None,
            texttemplate="%{text}" if written else None,
            textfont=dict(color=_ink(template)),
            customdata=counts,
            colorscale=_scale(template),
            zmin=0,
            zmax=100,
            xgap=1,
            ygap=1,
            colorbar=dict(title=dict(text="% of the true class", side="right"), thickness=14),
            hovertemplate="true %{y}, predicted %{x}<br>%{customdata} (%{z:.1f} %)<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="predicted class", side="bottom", type="category", showgrid=False)
    figure.update_yaxes(title_text="true class", autorange="reversed", type="category", showgrid=False)
    right = int((target == predicted).sum())
    wrong = [
        (counts[i, j], shown[i], shown[j])
        for i in range(len(shown))
        for j in range(len(shown))
        if i != j and counts[i, j]
    ]
    worst = ", ".join(f"{one} taken for {other} {count} times" for count, one, other in sorted(wrong, reverse=True)[:3])
    return finish(
        figure,
        title="Which classes are mistaken for which?",
        alt=f"{right:,} of {len(target):,} right. "
        + (f"Most frequent mistakes: {worst}." if worst else "No mistakes."),
        convention=f"Test data, n = {len(target):,}, {right:,} right · colour: share of the true class"
        + (", numbers: examples" if written else ""),
        template=template,
        height=max(400, 150 + 30 * len(shown)),
        legend=False,
    )


def _per_label(predictions: pandas.DataFrame, limit: int, template: str, *, entities: bool = False) -> go.Figure:
    """Labels of examples, or entities of sentences, whose label is their type: "Gene 2–7" is a Gene."""
    import plotly.graph_objects as go

    of_type = (lambda each: each.rpartition(" ")[0] or each) if entities else str

    found, missed, invented = Counter[str](), Counter[str](), Counter[str]()
    for target, predicted in zip(predictions["target"], predictions["prediction"]):
        true, claimed = _labels_in(target), _labels_in(predicted)
        found.update(map(of_type, true & claimed))
        missed.update(map(of_type, true - claimed))
        invented.update(map(of_type, claimed - true))
    every = sorted({*found, *missed, *invented}, key=lambda label: (-found[label] - missed[label], label))
    shown = every[:limit]
    figure = go.Figure()
    kinds = (
        ("found", found, "#009E73", ""),
        ("missed", missed, "#D55E00", "/"),
        ("invented", invented, NEUTRAL, "x"),
    )
    for name, counts, colour, pattern in kinds:
        figure.add_bar(
            x=floats([counts[label] for label in shown]),
            y=shown,
            orientation="h",
            name=name,
            marker=dict(color=colour, pattern=dict(shape=pattern)),
            hovertemplate=f"%{{y}}: %{{x}} {name}<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title_text="entities in test sentences" if entities else "test examples")
    figure.update_yaxes(autorange="reversed", type="category", dtick=1)
    what = "entities" if entities else "labels"
    totals = f"{sum(found.values()):,} found, {sum(missed.values()):,} missed, {sum(invented.values()):,} invented"
    return finish(
        figure,
        title=f"Which {what} are found, missed, invented?",
        alt=f"{totals}.",
        convention=f"Test data, n = {len(predictions):,}{' sentences' if entities else ''}; all {what} together: {totals}"
        + (
            f" · the {limit} most frequent of {len(every)} {'types' if entities else 'labels'}"
            if len(every) > limit
            else ""
        ),
        template=template,
        height=max(360, 140 + 24 * len(shown)),
    )


def _labels_in(words: object) -> set[str]:
    return {word for word in str(words).split(", ") if word}


def _against_each_other(predictions: pandas.DataFrame, unit: str, template: str) -> go.Figure:
    import plotly.graph_objects as go

    target, predicted = (predictions[name].to_numpy(dtype=np.float64) for name in ("target", "prediction"))
    ends = [float(min(target.min(), predicted.min())), float(max(target.max(), predicted.max()))]
    figure = go.Figure()
    figure.add_trace(
        points_trace(len(target))(
            x=floats(target),
            y=floats(predicted),
            mode="markers",
            marker=dict(color=NEUTRAL, symbol="circle-open", size=7),
            text=[str(each)[:60] for each in predictions["input"]] if "input" in predictions else None,
            hovertemplate="%{text}<br>measured %{x:.3~g}, predicted %{y:.3~g}<extra></extra>",
            name="test example",
        )
    )
    grey = "#A6A6A6" if is_dark(template) else "#555555"
    figure.add_scatter(
        x=floats(ends), y=floats(ends), mode="lines", line=dict(dash="dot", color=grey), name="predicted = measured"
    )
    words = f" ({unit})" if unit else ""
    figure.update_xaxes(title_text=f"measured{words}")
    figure.update_yaxes(title_text=f"predicted{words}")
    error = float(np.abs(predicted - target).mean())
    return finish(
        figure,
        title="How close are predictions to measurements?",
        alt=f"{len(target):,} points, mean absolute error {error:.3g}{words}.",
        convention=f"Test data, n = {len(target):,} · mean absolute error {error:.3g}{words}",
        template=template,
    )


def _scale(template: str) -> list[str]:
    """One hue from the page's tone on; its end is still far enough from the numbers' colour to read them (5 : 1)."""
    return ["#1E1E1E", "#1F4468", "#2F6FAA"] if is_dark(template) else ["#F7FBFF", "#C6DBEF", "#7FB6DC"]


def _ink(template: str) -> str:
    """The colour of numbers on `_scale`."""
    return "#FFFFFF" if is_dark(template) else "#1A1A1A"
