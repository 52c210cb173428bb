"""C6, C9 and C10: final units, spectrum of the change, and whether m is alive; with the tables behind them."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
from run_folders import write_run

from bidora import figures
from bidora.analysis import dynamics_table
from bidora.analysis.endings import final_spectra, final_units
from bidora.analysis.motion import magnitude_motion
from bidora.config import RunConfig
from bidora.methods import METHODS, get_method
from bidora.verdict import magnitude_verdict


@pytest.fixture
def runs(tmp_path):
    made = [write_run(tmp_path, method) for method in ("lora", "dora", "bidora", "full")]
    for number, run in enumerate(made):
        draw = np.random.default_rng(number)
        units = [
            dict(
                name=f"l.{layer}.{module}",
                layer=layer,
                module=module,
                unit=unit,
                m0=1.0 + unit,
                m=(1.0 + unit) * 1.02,
                delta_d=1e-3,
            )
            for layer in range(2)
            for module in ("query", "value")
            for unit in range(5)
        ]
        run.write_table("units", pandas.DataFrame(units))
        values = np.sort(draw.uniform(0.1, 1, 12))[::-1]
        if run.config.method == "lora":
            values = np.where(np.arange(12) < 8, values, 1e-12)
        spectrum = [
            dict(name=f"l.{layer}.query", layer=layer, module="query", index=index + 1, singular_value=value)
            for layer in range(2)
            for index, value in enumerate(values)
        ]
        table = pandas.DataFrame(spectrum)
        table["cumulative"] = np.tile(np.cumsum(values**2) / np.sum(values**2), 2)
        run.write_table("spectrum", table)
    return made


def in_order(figure):
    """Every figure has words, units and a transparent background."""
    assert figure.layout.meta["alt"].startswith(figure.layout.title.text)
    assert figure.layout.meta["convention"] and figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    for axis in figure.select_yaxes():
        assert axis.title.text or axis.matches or not axis.visible
    return figure


# -- C6 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["light", "dark"])
def test_one_point_per_unit_and_its_change_in_percent(runs, template):
    table = final_units(runs[1:2])
    figure = in_order(figures.magnitude_units(table, template=template))
    after, same, change, zero = figure.data
    assert len(after.x) == 20 and len(change.y) == 20
    np.testing.assert_allclose(after.x, table["m0"], rtol=1e-6)
    np.testing.assert_allclose(after.y, table["m"], rtol=1e-6)
    np.testing.assert_allclose(change.y, 2.0, rtol=1e-4)
    assert list(same.x) == list(same.y), "the dotted line is m = m₀"
    assert list(zero.y) == [0, 0]
    assert after.text[0] == "query 0, unit 0"
    assert "100 % of them grew" in figure.layout.meta["alt"] and figure.layout.meta["panels"] == 2


def test_labels_have_rows_of_their_own_in_the_order_and_look_of_methods(runs):
    table = final_units(runs)
    assert list(dict.fromkeys(table["label"])) == ["LoRA", "DoRA", "BiDoRA", "full fine-tuning"]
    figure = in_order(figures.magnitude_units(table))
    markers = [trace for trace in figure.data if trace.mode == "markers"]
    assert len(markers) == 8
    assert [trace.marker.color for trace in markers[::2]] == [
        figures.STYLES[m].colour for m in ("lora", "dora", "bidora", "full")
    ]


def test_many_units_are_drawn_by_webgl():
    many = pandas.DataFrame(
        dict(
            run="a",
            label="DoRA",
            method="dora",
            seed=0,
            name="x",
            layer=0,
            module="q",
            unit=range(3000),
            m0=1.0,
            m=1.1,
            delta_d=0.0,
        )
    )
    assert {trace.type for trace in figures.magnitude_units(many).data if trace.mode == "markers"} == {"scattergl"}


# -- C9 ---------------------------------------------------------------------------------------------------------


def motion_of(method="dora", *, gradient=0.5, moved=0.01, steps=(0, 10, 20)) -> pandas.DataFrame:
    rows = [
        dict(
            run="a",
            label=method,
            method=method,
            seed=0,
            phase="train",
            phase_index=0,
            step=step,
            layer=layer,
            module="query",
        )
        | dict(delta_m=moved * step * (1 + layer), magnitude_gradient_norm=gradient if step else np.nan, delta_d=0.0)
        for step in steps
        for layer in (0, 1)
    ]
    return magnitude_motion(pandas.DataFrame(rows))


def test_motion_adds_gradients_of_layers_and_gives_the_range():
    table = motion_of()
    assert list(table["global_step"]) == [0, 10, 20]
    assert np.isnan(table["gradient_norm"][0])
    assert table["gradient_norm"][1] == pytest.approx(np.sqrt(2 * 0.25))
    assert list(table.loc[2, ["moved_least", "moved", "moved_most"]]) == pytest.approx([0.2, 0.3, 0.4])


def test_steps_of_later_phases_are_counted_on(runs):
    table = magnitude_motion(dynamics_table(runs[2:3], checkpoints=0, every_phase=True))
    assert list(table.groupby("phase_index")["global_step"].max()) == [40, 80]


@pytest.mark.parametrize(
    ("method", "gradient", "moved", "kind"),
    [
        ("dora", 0.5, 0.01, "alive"),
        ("bidora", 0.5, 0.01, "alive"),
        ("dora", 0.5, 0.0, "still"),
        ("dora", 0.0, 0.0, "dead"),
        ("dora", np.nan, 0.0, "unknown"),
        ("lora", np.nan, 0.01, "none"),
        ("full", np.nan, 0.01, "none"),
    ],
)
def test_the_verdict_on_m(method, gradient, moved, kind):
    verdict = magnitude_verdict(RunConfig(method=method), motion_of(method, gradient=gradient, moved=moved))
    assert verdict.kind == kind
    assert verdict.sentence.endswith((".", "?")) and len(verdict.short.split()) <= 4


def test_rounding_is_no_movement():
    """Step 0 shows what rounding makes of no change at all; a little more of the same is none either."""
    table = motion_of(moved=1e-7)
    table["moved"] = [9e-7, 1e-6, 2e-6]
    assert magnitude_verdict(RunConfig(method="dora"), table).kind == "still"


def test_what_the_first_phase_moved_still_counts_in_the_second():
    """The retraining phase begins with a magnitude that has moved already; that is no rounding."""
    table = motion_of("bidora")
    later = table.assign(phase_index=1, phase="retrain", moved=0.3, gradient_norm=np.nan)
    verdict = magnitude_verdict(RunConfig(method="bidora"), pandas.concat([table, later], ignore_index=True))
    assert verdict.kind == "alive" and "keeps m fixed" in verdict.sentence
    assert "2 of 2 recorded steps" in verdict.sentence


def test_without_records_nothing_is_known():
    assert magnitude_verdict(RunConfig(method="dora"), magnitude_motion(pandas.DataFrame())).kind == "unknown"


def test_gradient_above_and_movement_below_with_the_verdict(runs):
    table = motion_of("bidora")
    figure = in_order(figures.magnitude_motion(table, verdicts={"bidora": "m is alive: because."}))
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [len(line.x) for line in lines] == [2, 3], "a logarithm has no place for the missing gradient of step 0"
    assert lines[1].yaxis == "y2" and figure.layout.yaxis.type == "log"
    assert figure.layout.meta["notes"] == ["m is alive: because."]


def test_a_dead_magnitude_is_drawn_too():
    figure = in_order(figures.magnitude_motion(motion_of(gradient=0.0, moved=0.0)))
    assert any("no gradient" in note.text for note in figure.layout.annotations)


def test_retraining_is_marked(runs):
    figure = in_order(
        figures.magnitude_motion(magnitude_motion(dynamics_table(runs[2:3], checkpoints=0, every_phase=True)))
    )
    assert any("m fixed" in note.text for note in figure.layout.annotations)


# -- C10 --------------------------------------------------------------------------------------------------------


def test_a_line_per_layer_their_median_and_the_rank(runs):
    figure = in_order(figures.change_spectrum(final_spectra(runs[:1])))
    assert len(figure.data) == 3
    assert all(len(trace.x) == 8 for trace in figure.data), "values of rounding are left out"
    assert [shape.x0 for shape in figure.layout.shapes] == [8]
    assert "first r = 8 singular values hold 100 %" in figure.layout.meta["alt"]
    assert figure.layout.yaxis.type == "log"


def test_full_fine_tuning_has_no_rank(runs):
    figure = in_order(figures.change_spectrum(final_spectra(runs[3:])))
    assert not figure.layout.shapes
    assert "the first 8 singular values" in figure.layout.meta["alt"]


def test_the_rank_is_that_of_what_is_added():
    ranks = {name: get_method(name).adapter_rank(RunConfig(method=name, rank=8)) for name in METHODS}
    assert {name for name, rank in ranks.items() if rank == 0} == {"fourierft", "full", "bitfit", "head"}
    assert (ranks["lora"], ranks["dora"], ranks["pissa"], ranks["adalora"]) == (8, 8, 16, 12)


def test_panels_share_their_axes(runs):
    figure = in_order(figures.change_spectrum(final_spectra(runs)))
    assert len(figure.data) == 12 and figure.layout.meta["panels"] == 2


# -- nothing there ----------------------------------------------------------------------------------------------


def test_runs_without_the_tables_give_empty_figures_that_say_so(tmp_path):
    run = write_run(tmp_path)
    for figure in (
        figures.magnitude_units(final_units([run])),
        figures.change_spectrum(final_spectra([run])),
        figures.magnitude_motion(magnitude_motion(pandas.DataFrame())),
    ):
        assert not figure.data and "recorded" in figure.layout.annotations[0].text
