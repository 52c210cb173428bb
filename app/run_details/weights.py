"""Tab Weights: what the adapter does to magnitudes, directions and the rank of the change."""

from __future__ import annotations

import streamlit as st

from app.charts import show
from app.comparing.reading import of_runs, stamp
from app.page import is_recording, theme
from bidora import figures
from bidora.analysis import cell, dynamics_table, fits_of_runs, readable_fits
from bidora.analysis.endings import final_spectra, final_units
from bidora.runs import Run

_POINTS = ["phase", "step", "layer", "module", "delta_m", "delta_d"]
_DRIFT = {
    "Magnitude drift": (figures.magnitude_drift, "delta_m_signed_percent"),
    "Direction drift": (figures.direction_drift, "angle_degrees"),
}
_RELATION, _UNITS, _SPECTRUM = "ΔM against ΔD", "m against m₀", "Spectrum of ΔW"


def weights_tab(run: Run) -> None:
    """One of five pictures of the weights."""
    picture = st.segmented_control(
        "Picture",
        [*_DRIFT, _UNITS, _RELATION, _SPECTRUM],
        default="Magnitude drift",
        required=True,
        key="weights",
        bind="query-params",
        persist_state="page",
        help="Drift: layer by layer, step by step. m against m₀ and the spectrum: at the end of training.",
    )
    if picture in _DRIFT:
        _drift(run, picture)
    elif picture == _RELATION:
        _relation(run)
    elif picture == _UNITS:
        _units(run)
    else:
        _spectrum(run)


def _cell(run: Run) -> object:
    return cell([run], recorded=frozenset({run.id} if is_recording(run) else ()))


def _drift(run: Run, picture: str) -> None:
    draw, column = _DRIFT[picture]
    mark, points = stamp([run]), of_runs(dynamics_table, [run], checkpoints=0, every_phase=True)
    call = f"figures.{draw.__name__}(analysis.dynamics_table(runs, checkpoints=0, every_phase=True))"
    show(
        lambda: draw(points, template=theme()),
        key="drift",
        kept=(mark, picture),
        table=points[[*_POINTS[:-2], column]] if column in points else None,
        code=_cell(run).draw(call),
    )


def _relation(run: Run) -> None:
    mark, points = stamp([run]), of_runs(dynamics_table, [run])
    fits, table = of_runs(fits_of_runs, [run])
    show(
        lambda: figures.magnitude_vs_direction(points, fits=fits, template=theme()),
        key="relation",
        kept=mark,
        table=points[_POINTS] if len(points) else None,
        code=_cell(run).draw("figures.magnitude_vs_direction(analysis.dynamics_table(runs))"),
    )
    if len(table):
        st.markdown("## The fitted line")
        st.dataframe(readable_fits(table), hide_index=True, width="stretch", key="fits-table")


def _units(run: Run) -> None:
    mark, units = stamp([run]), of_runs(final_units, [run])
    if _there(units.empty, run, "units.parquet"):
        show(
            lambda: figures.magnitude_units(units, template=theme()),
            key="units",
            kept=mark,
            table=units.drop(columns=["run", "label", "method", "seed"]),
            code=_cell(run).draw(
                "figures.magnitude_units(final_units(runs))", prepare="from bidora.analysis.endings import final_units"
            ),
        )


def _spectrum(run: Run) -> None:
    mark, spectra = stamp([run]), of_runs(final_spectra, [run])
    if _there(spectra.empty, run, "spectrum.parquet"):
        show(
            lambda: figures.change_spectrum(spectra, template=theme()),
            key="spectrum",
            kept=mark,
            table=spectra.drop(columns=["run", "label", "method", "seed"]),
            code=_cell(run).draw(
                "figures.change_spectrum(final_spectra(runs))",
                prepare="from bidora.analysis.endings import final_spectra",
            ),
        )


def _there(empty: bool, run: Run, file: str) -> bool:
    """Whether there is something to draw; else say why not."""
    if not empty:
        return True
    over = run.state == "finished"
    st.info(
        f"This run has no {file}: it was made by an earlier version. A run of today writes it at its end."
        if over
        else "This picture is made at the end of training.",
        icon=":material/schedule:",
    )
    return False
