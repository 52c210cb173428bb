"""Part Weights: ΔM against ΔD with its table, and how magnitude and direction drift, layer by layer."""

from __future__ import annotations

import streamlit as st

from app.charts import show
from app.comparing.choosing import Compared
from app.comparing.reading import of_runs
from app.page import theme
from bidora import figures
from bidora.analysis import dynamics_table, fits_of_runs, readable_fits
from bidora.analysis.spreadsheet import csv_of

_POINTS = ["label", "run", "seed", "phase", "step", "layer", "module", "delta_m", "delta_d"]
_DRIFT = {
    "Magnitude drift": (figures.magnitude_drift, "delta_m_signed_percent"),
    "Direction drift": (figures.direction_drift, "angle_degrees"),
}


def weights_part(compared: Compared) -> None:
    """One of three pictures of the weights."""
    picture = st.segmented_control(
        "Picture",
        ["ΔM against ΔD", *_DRIFT],
        default="ΔM against ΔD",
        required=True,
        key="weights",
        bind="query-params",
        persist_state="page",
        help="ΔM: mean change of the magnitudes of a layer. ΔD: mean of 1 − cos between its directions and the "
        "pretrained ones.",
    )
    if picture in _DRIFT:
        _drift(compared, picture)
    else:
        _relation(compared)


def _relation(compared: Compared) -> None:
    shared = st.toggle(
        "Same axes in all panels",
        value=True,
        key="axes",
        bind="query-params",
        persist_state="page",
        help="On: sizes can be compared. Off: each panel fills its own frame, to see shapes.",
    )
    points = of_runs(dynamics_table, compared.runs)
    fits, table = of_runs(fits_of_runs, compared.runs)
    call = f"figures.magnitude_vs_direction(analysis.dynamics_table(runs), shared_axes={shared})"
    show(
        lambda: figures.magnitude_vs_direction(points, fits=fits, shared_axes=shared, template=theme()),
        key="relation",
        kept=(compared.stamp, shared),
        table=points[_POINTS] if len(points) else None,
        code=compared.cell.draw(call),
    )
    if table.empty:
        return
    st.markdown("## The fitted lines")
    st.dataframe(readable_fits(table), hide_index=True, width="stretch", key="fits-table")
    st.caption(
        "A slope says how steep, a correlation how tight: they are different numbers. Brackets: 95 %, bootstrap over "
        "layers and modules. Ranges: smallest and largest value when one point, or one layer, is left out."
    )
    st.download_button(
        "Download the lines as CSV",
        lambda: csv_of(table).encode(),
        file_name="fits.csv",
        mime="text/csv",
        key="fits-csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _drift(compared: Compared, picture: str) -> None:
    draw, column = _DRIFT[picture]
    points = of_runs(dynamics_table, compared.runs, checkpoints=0, every_phase=True)
    show(
        lambda: draw(points, template=theme()),
        key="drift",
        kept=(compared.stamp, picture),
        table=points[[*_POINTS[:-2], column]] if column in points else None,
        code=compared.cell.draw(
            f"figures.{draw.__name__}(analysis.dynamics_table(runs, checkpoints=0, every_phase=True))"
        ),
    )
