"""Parts Curves and Two levels: what was measured on the way."""

from __future__ import annotations

import streamlit as st

from app.charts import show
from app.comparing.choosing import Compared
from app.comparing.reading import of_runs
from app.page import theme
from bidora import figures
from bidora.analysis import Measured, curves, measured, runs_table

_AXES = {
    "steps": "global_step",
    "examples": "examples_seen",
    "seconds": "seconds",
    "gradient evaluations": "gradient_evaluations",
}
_COLUMNS = ["label", "run", "seed", "phase", "step", "examples_seen", "seconds", "gradient_evaluations"]


def curves_part(compared: Compared) -> None:
    """Loss of both levels, test score, or gap; by step, examples, seconds or gradient evaluations."""
    table, about = of_runs(curves, compared.runs), of_runs(measured, compared.runs)
    curve = st.segmented_control(
        "Curve",
        ["Loss", "Test score", "Gap"],
        default="Loss",
        required=True,
        key="curve",
        bind="query-params",
        persist_state="page",
        help="Gap: score on training data minus score on test data.",
    )
    axis = st.segmented_control(
        "By",
        list(_AXES),
        default="steps",
        required=True,
        key="x",
        bind="query-params",
        persist_state="page",
        help="Methods take unlike effort per step: by seconds or gradient evaluations the same curves look different.",
    )
    quantities = {"Loss": ("loss", "upper_loss"), "Test score": (f"test_{about.metric}",), "Gap": ("gap",)}[curve]
    options = _options(curve, about)
    words = "".join(f", {name}={value!r}" for name, value in options.items())
    show(
        lambda: figures.learning_curves(table, quantities=quantities, x=_AXES[axis], template=theme(), **options),
        key="curves",
        kept=(compared.stamp, curve, axis),
        table=table[table["quantity"].isin(quantities)][[*_COLUMNS, "quantity", "value"]],
        code=compared.cell.draw(
            f"figures.learning_curves(analysis.curves(runs), quantities={quantities!r}, x={_AXES[axis]!r}{words})"
        ),
    )
    if curve == "Gap":
        _final_gap(compared)


def _options(curve: str, about: Measured) -> dict[str, object]:
    if curve == "Loss":
        return {"loss_unit": about.loss_unit}
    if curve == "Test score":
        return {"examples": about.examples} | ({} if about.baseline is None else {"baseline": about.baseline})
    return {}


def _final_gap(compared: Compared) -> None:
    table = of_runs(runs_table, compared.runs)
    show(
        lambda: figures.generalisation_gap(table, template=theme()),
        key="gap",
        kept=compared.stamp,
        table=table,
        code=compared.cell.draw("figures.generalisation_gap(analysis.runs_table(runs))"),
    )


def levels_part(compared: Compared) -> None:
    """Direct and implicit part of the hypergradient."""
    table = of_runs(curves, compared.runs)
    parts = table[table["quantity"].isin(["direct_norm", "implicit_norm", "cosine"])]
    show(
        lambda: figures.two_levels(table, template=theme()),
        key="levels",
        kept=compared.stamp,
        table=parts[[*_COLUMNS, "quantity", "value"]] if len(parts) else None,
        code=compared.cell.draw("figures.two_levels(analysis.curves(runs))"),
    )
