"""What goes into a figure comes out in its traces, with units, words and the fixed look of each method."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pandas
import pytest

from bidora import figures
from bidora.figures.appearance import drawing_of, log_axis, wrapped
from bidora.figures.learning import MOST_WITH_SEEDS
from bidora.methods import METHODS as ALL_METHODS
from bidora.statistics import fit_dynamics, proportion_interval

METHODS = {"LoRA": "lora", "DoRA": "dora", "BiDoRA": "bidora"}


def table_of_curves(seeds=(0,), methods=METHODS) -> pandas.DataFrame:
    draw = np.random.default_rng(0)
    rows = []
    for label, method in methods.items():
        for seed in seeds:
            for phase_index, phase in enumerate(("search", "retrain") if method == "bidora" else ("train",)):
                for step in (10, 20, 30):
                    where = dict(run=f"{method}{seed}", label=label, method=method, seed=seed, phase=phase)
                    where |= dict(phase_index=phase_index, step=step, global_step=step + 30 * phase_index)
                    where |= dict(seconds=0.5 * (step + 30 * phase_index), examples_seen=16.0 * step)
                    numbers = dict(loss=draw.uniform(), test_accuracy=draw.uniform(), gap=draw.uniform())
                    if phase == "search":
                        numbers |= dict(upper_loss=1.5, direct_norm=0.02, implicit_norm=0.001 * step, cosine=0.25)
                    rows += [{**where, "quantity": name, "value": value} for name, value in numbers.items()]
    return pandas.DataFrame(rows)


def table_of_points(methods=METHODS, layers=6, steps=(10, 20, 30, 40), seeds=(0,)) -> pandas.DataFrame:
    draw = np.random.default_rng(1)
    rows = [
        dict(
            run=f"{method}{seed}",
            label=label,
            method=method,
            seed=seed,
            phase_index=0,
            step=step,
            layer=layer,
            module=module,
            delta_d=step * draw.uniform(1e-5, 1e-4),
            delta_m=step * draw.uniform(1e-4, 1e-3),
            delta_m_signed_percent=draw.normal(),
            angle_degrees=draw.uniform(0, 5),
        )
        for label, method in methods.items()
        for seed in seeds
        for step in steps
        for layer in range(layers)
        for module in ("query", "value")
    ]
    return pandas.DataFrame(rows)


def table_of_methods() -> pandas.DataFrame:
    return pandas.DataFrame(
        [
            dict(label=label, method=method, primary="accuracy", seeds="0", interval="test set, one seed")
            | dict(accuracy=0.9, accuracy_low=0.88, accuracy_high=0.915, seconds_training=40.0, peak_memory_bytes=9e8)
            for label, method in METHODS.items()
        ]
    )


def table_of_predictions() -> pandas.DataFrame:
    target = ["earn"] * 5 + ["acq"] * 3 + ["ship"] * 2
    predicted = ["earn"] * 4 + ["acq"] + ["acq"] * 3 + ["earn", "ship"]
    return pandas.DataFrame({"target": target, "prediction": predicted, "input": "text"})


def every_figure(template: str) -> dict:
    curves, points = table_of_curves(seeds=(0, 1)), table_of_points()
    numbers = pandas.DataFrame({"target": [1.0, 2.0, 3.0], "prediction": [1.5, 2.0, 2.5]})
    return {
        "learning": figures.learning_curves(curves, template=template),
        "score": figures.learning_curves(curves, quantities=("test_accuracy",), baseline=0.5, template=template),
        "relation": figures.magnitude_vs_direction(points, template=template),
        "magnitude": figures.magnitude_drift(points, template=template),
        "direction": figures.direction_drift(points, template=template),
        "levels": figures.two_levels(curves, template=template),
        "cost": figures.cost(table_of_methods(), template=template),
        "samples": figures.samples(table_of_predictions(), template=template),
        "regression": figures.samples(numbers, unit="kcal/mol", template=template),
        "multilabel": figures.samples(table_of_predictions(), kind="multilabel", template=template),
    }


@pytest.mark.parametrize("template", ["light", "dark"])
def test_every_figure_has_title_units_alt_text_and_convention_on_a_transparent_ground(template):
    for name, figure in every_figure(template).items():
        assert figure.layout.title.text.endswith("?"), name
        assert figure.layout.meta["alt"].startswith(figure.layout.title.text), name
        assert len(figure.layout.meta["alt"]) > len(figure.layout.title.text) + 10, name
        below = figure.layout.annotations[-1]
        assert figure.layout.meta["convention"].split(" · ")[0] in below.text.replace("<br>", " "), name
        assert (below.yref, below.y) == ("paper", 0) and below.yshift < 0, name
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)", name
        titles = [axis.title.text for axis in figure.select_xaxes()] + [
            axis.title.text for axis in figure.select_yaxes()
        ]
        assert any(titles), name
        assert "black" not in figure.to_json() and "#000000" not in json.dumps(
            figure.to_plotly_json()["layout"]["title"]
        )
        json.loads(figure.to_json())


def test_the_template_makes_text_light_on_dark():
    light, dark = (every_figure(template)["cost"] for template in ("light", "dark"))
    assert light.layout.template.layout.font.color != dark.layout.template.layout.font.color
    assert figures.cost(table_of_methods(), template="simple_white").layout.template.layout.font.color


def test_the_look_of_each_method_is_the_one_agreed():
    assert figures.STYLES["lora"] == ("#0072B2", "dashdot", "diamond")
    assert figures.STYLES["dora"] == ("#D55E00", "dash", "square")
    assert figures.STYLES["bidora"] == ("#009E73", "solid", "circle")
    assert figures.STYLES["full"] == ("#555555", "dot", "triangle-up")
    figure = figures.learning_curves(table_of_curves(), quantities=("loss",))
    for trace in figure.data:
        style = figures.STYLES[METHODS[trace.name]]
        assert (trace.line.color, trace.line.dash) == (style.colour, style.dash)
        assert trace.marker.symbol.startswith(style.symbol)


def test_two_levels_are_named_below_the_losses_only_where_a_line_has_two():
    one = figures.learning_curves(table_of_curves(methods={"LoRA": "lora", "DoRA": "dora"}))
    assert one.layout.meta["convention"].startswith("Training data · ")
    both = figures.learning_curves(table_of_curves())
    assert both.layout.meta["convention"].startswith("Lower level on its part")


def test_variants_of_a_method_keep_their_colour_and_change_their_marks():
    table = pandas.DataFrame({"label": ["BiDoRA ξ=0", "BiDoRA ξ=1", "other"], "method": ["bidora", "bidora", "new"]})
    first, second, other = figures.styles_of(table).values()
    assert first.colour == second.colour and first.symbol != second.symbol
    assert other.colour not in {style.colour for style in figures.STYLES.values()}


def relative_luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("template", "page"), [("light", "#FFFFFF"), ("dark", "#0E1117")])
def test_methods_stand_out_from_the_page(template, page):
    """WCAG asks for 3 : 1 of graphical objects."""
    table = pandas.DataFrame({"label": list(figures.STYLES), "method": list(figures.STYLES)})
    for style in figures.styles_of(table, template=template).values():
        lighter, darker = sorted((relative_luminance(style.colour), relative_luminance(page)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3, style


def test_curves_go_into_traces_by_phase():
    curves = table_of_curves()
    figure = figures.learning_curves(curves, x="seconds")
    expected = curves[curves.quantity.isin(["loss", "upper_loss"])].groupby(["label", "quantity", "phase_index"])
    assert len(figure.data) == expected.ngroups == 5
    for (_, _, _), part in expected:
        assert any(
            np.array_equal(trace.y, part.value.astype(np.float32)) and np.array_equal(trace.x, part.seconds)
            for trace in figure.data
        )
    assert {trace.name for trace in figure.data} == {"LoRA", "DoRA", "BiDoRA, lower level", "BiDoRA, upper level"}
    assert all(trace.x.dtype == trace.y.dtype == np.float32 for trace in figure.data)
    assert figure.layout.yaxis.title.text == "loss (nats)"
    assert figure.layout.xaxis.title.text == "training time (s)"
    upper = next(trace for trace in figure.data if trace.name.endswith("upper level"))
    assert upper.marker.symbol == "line-ns-open" and upper.marker.maxdisplayed is None


def test_several_seeds_get_a_mean():
    curves = table_of_curves(seeds=(0, 1, 2), methods={"LoRA": "lora"})
    figure = figures.learning_curves(curves, quantities=("test_accuracy",), baseline=0.5)
    assert len(figure.data) == 4
    means = curves[curves.quantity == "test_accuracy"].groupby("global_step").value.mean()
    bold = figure.data[-1]
    np.testing.assert_allclose(bold.y, means, rtol=1e-6)
    np.testing.assert_array_equal(bold.x, means.index)
    assert [trace.showlegend for trace in figure.data] == [False, False, False, True]
    assert figure.layout.shapes[0].y0 == 0.5
    assert "3 runs, seeds 0, 1, 2" in figure.layout.meta["convention"]


def test_a_step_that_one_seed_lacks_is_not_averaged():
    curves = table_of_curves(seeds=(0, 1), methods={"LoRA": "lora"})
    curves = curves[~((curves.seed == 1) & (curves.step == 30))]
    assert figures.learning_curves(curves, quantities=("loss",)).data[-1].x.tolist() == [10, 20]


def test_accuracies_on_the_way_have_wilsons_band():
    curves = table_of_curves(methods={"LoRA": "lora"})
    figure = figures.learning_curves(curves, quantities=("test_accuracy",), examples=256)
    _, low, high = figure.data
    bounds = [
        proportion_interval(round(value * 256), 256) for value in curves[curves.quantity == "test_accuracy"].value
    ]
    np.testing.assert_allclose(low.y, [each.low for each in bounds], rtol=1e-6)
    np.testing.assert_allclose(high.y, [each.high for each in bounds], rtol=1e-6)
    assert high.fill == "tonexty"
    assert "a sample of 256" in figure.layout.meta["convention"]
    crowded = figures.learning_curves(table_of_curves(), quantities=("test_accuracy",), examples=256)
    assert not any(trace.fill for trace in crowded.data)
    assert "band" not in crowded.layout.meta["convention"]


@pytest.mark.parametrize("shared", [True, False])
def test_points_and_lines_of_each_panel(shared):
    points = table_of_points()
    figure = figures.magnitude_vs_direction(points, shared_axes=shared)
    for place, label in enumerate(METHODS):
        part = points[points.label == label]
        axis = "x" if place == 0 else f"x{place + 1}"
        panel = [trace for trace in figure.data if trace.xaxis == axis]
        dots = next(trace for trace in panel if trace.mode == "markers")
        np.testing.assert_array_equal(dots.x, part.delta_d.astype(np.float32))
        np.testing.assert_array_equal(dots.y, part.delta_m.astype(np.float32))
        assert dots.text[0] == "query 0, step 10"
        fit = fit_dynamics(part)
        line = next(trace for trace in panel if trace.name == "fit")
        ends = np.array([part.delta_d.min(), part.delta_d.max()])
        np.testing.assert_allclose(line.y, fit.intercept + fit.slope * ends, rtol=1e-5)
        low, high = (trace for trace in panel if trace.name == "band")
        assert (high.y >= low.y).all()
        assert label in figure.layout.annotations[place].text and "48 points" in figure.layout.annotations[place].text
        assert f"Pearson {fit.pearson:+.2f}" in figure.layout.meta["alt"]
    assert (figure.layout.xaxis2.matches == "x") is shared
    assert "Norm per output unit" in figure.layout.meta["convention"]


def test_ready_fits_are_used_and_their_notes_shown():
    points = table_of_points(methods={"LoRA": "lora"})
    points.loc[points.index[0], ["delta_d", "delta_m"]] = [0.1, -0.2]
    fit = fit_dynamics(points)
    assert fit.note
    figure = figures.magnitude_vs_direction(points, fits={"LoRA": fit}, axis="input")
    assert figure.layout.meta["notes"] == [f"LoRA: {fit.note}."]
    assert "one point" in figure.layout.annotations[-1].text
    assert "Norm per input unit" in figure.layout.meta["convention"]


def test_headings_have_minus_signs_not_hyphens():
    points = table_of_points(methods={"LoRA": "lora"})
    figure = figures.magnitude_vs_direction(points.assign(delta_m=1 - 0.001 * points["delta_d"]))
    heading = figure.layout.annotations[0].text
    assert "slope −" in heading and "r −1.00" in heading and "-" not in heading


def test_points_without_a_line_are_still_shown():
    points = table_of_points(methods={"LoRA": "lora"}).assign(delta_d=0.0)
    figure = figures.magnitude_vs_direction(points)
    assert len(figure.data) == 1
    assert "no line" in figure.layout.annotations[0].text


def test_svg_below_two_thousand_points_and_webgl_above():
    few, many = table_of_points({"LoRA": "lora"}, layers=6), table_of_points({"LoRA": "lora"}, layers=300)
    assert {trace.type for trace in figures.magnitude_vs_direction(few).data} == {"scatter"}
    kinds = {trace.type for trace in figures.magnitude_vs_direction(many).data if trace.mode == "markers"}
    assert kinds == {"scattergl"}


def test_drift_is_a_row_for_each_layer_and_module():
    points = table_of_points(methods={"LoRA": "lora", "BiDoRA": "bidora"}, layers=2, seeds=(0, 1))
    later = points[points.method == "bidora"].assign(phase_index=1, delta_m_signed_percent=9.0)
    figure = figures.magnitude_drift(pandas.concat([points, later]))
    first, second = figure.data
    assert list(first.y) == ["query 0", "value 0", "query 1", "value 1"]
    assert first.x.tolist() == [10, 20, 30, 40]
    assert second.x.tolist() == [10, 20, 30, 40, 50, 60, 70, 80]
    part = points[(points.label == "LoRA") & (points.layer == 1) & (points.module == "query") & (points.step == 20)]
    assert first.z[2][1] == pytest.approx(part.delta_m_signed_percent.mean(), rel=1e-6)
    assert (second.z[:, 4:] == 9.0).all()
    colours = figure.layout.coloraxis
    assert (colours.cmin, colours.cmid, colours.cmax) == (-9.0, 0, 9.0)
    assert colours.colorbar.title.text == "% of m₀"
    angles = figures.direction_drift(points)
    assert angles.layout.coloraxis.cmin == 0
    assert angles.layout.coloraxis.colorbar.title.text == "degrees"


def test_both_parts_of_the_hypergradient():
    figure = figures.two_levels(table_of_curves())
    direct, implicit, cosine = figure.data
    assert (direct.name, implicit.name, cosine.name) == ("direct part", "implicit part", "cosine")
    np.testing.assert_allclose(implicit.y, [0.01, 0.02, 0.03], rtol=1e-6)
    assert cosine.y.tolist() == [0.25] * 3
    assert figure.layout.yaxis.type == "log"
    assert "median 1" in figure.layout.meta["alt"]  # 0.01, 0.02, 0.03 over 0.02


def test_first_order_runs_have_no_implicit_part_to_draw():
    curves = table_of_curves()
    curves.loc[curves.quantity == "implicit_norm", "value"] = 0.0
    figure = figures.two_levels(curves[curves.quantity != "cosine"])
    assert [trace.name for trace in figure.data] == ["direct part"]
    assert "median 0" in figure.layout.meta["alt"]


def test_without_a_hypergradient_it_is_said_which_methods_have_one_or_when_it_comes():
    words = figures.two_levels(table_of_curves(methods={"LoRA": "lora"})).layout.annotations[0].text
    assert "BiLoRA" in words and "BiDoRA" in words
    begun = table_of_curves(methods={"BiLoRA": "bilora"})
    assert "after a few steps" in figures.two_levels(begun).layout.annotations[0].text


def test_cost_has_whiskers_that_end_at_the_interval():
    figure = figures.cost(table_of_methods())
    assert len(figure.data) == 6
    for trace in figure.data:
        assert trace.y[0] + trace.error_y.array[0] == pytest.approx(0.915)
        assert trace.y[0] - trace.error_y.arrayminus[0] == pytest.approx(0.88)
    assert {trace.x[0] for trace in figure.data} == {40.0, 900.0}
    assert "test set, one seed" in figure.layout.meta["convention"]


def test_confusions_are_counted():
    figure = figures.samples(table_of_predictions())
    heat = figure.data[0]
    assert list(heat.y) == ["earn", "acq", "ship"]
    assert heat.customdata.tolist() == [[4, 1, 0], [0, 3, 0], [1, 0, 1]]
    np.testing.assert_allclose(heat.z, [[80, 20, 0], [0, 100, 0], [50, 0, 50]])
    assert "8 of 10 right" in figure.layout.meta["alt"]
    assert "ship taken for earn 1 times" in figure.layout.meta["alt"]


def test_rare_classes_are_added_up():
    names = [f"class {number}" for number in range(30)]
    table = pandas.DataFrame({"target": names * 2, "prediction": names + names[::-1]})
    heat = figures.samples(table, limit=5).data[0]
    assert list(heat.y)[-1] == "(other)" and len(heat.y) == 5
    assert heat.customdata.sum() == 60


def test_labels_found_missed_and_invented():
    table = pandas.DataFrame({"target": ["a, b", "b", ""], "prediction": ["a", "b, c", ""]})
    found, missed, invented = figures.samples(table, kind="multilabel").data
    assert dict(zip(found.y, found.x)) == {"b": 1, "a": 1, "c": 0}
    assert dict(zip(missed.y, missed.x)) == {"b": 1, "a": 0, "c": 0}
    assert dict(zip(invented.y, invented.x)) == {"b": 0, "a": 0, "c": 1}


def test_regression_is_drawn_against_the_diagonal():
    table = pandas.DataFrame({"target": [1.0, 2.0], "prediction": [1.5, 2.5]})
    dots, diagonal = figures.samples(table, unit="kcal/mol").data
    assert (dots.x.tolist(), dots.y.tolist()) == ([1.0, 2.0], [1.5, 2.5])
    assert diagonal.x.tolist() == diagonal.y.tolist() == [1.0, 2.5]


def test_of_many_methods_only_the_means_are_drawn():
    some = {method.title: name for name, method in itertools.islice(ALL_METHODS.items(), MOST_WITH_SEEDS)}
    every = {method.title: name for name, method in ALL_METHODS.items()}
    for methods, lines in ((some, 3 + 1), (every, 1)):
        curves = table_of_curves(seeds=(0, 1, 2), methods=methods)
        drawn = figures.learning_curves(curves, quantities=("test_accuracy",))
        of_lora = [trace for trace in drawn.data if trace.name == "LoRA"]
        assert len(of_lora) == lines
        expected = curves[(curves["label"] == "LoRA") & (curves["quantity"] == "test_accuracy")]
        np.testing.assert_allclose(of_lora[-1].y, expected.groupby("step")["value"].mean(), rtol=1e-6)
        assert ("(thin) and their mean" in drawn.layout.meta["convention"]) == (lines > 1)
        assert ("means over seeds" in drawn.layout.meta["convention"]) == (lines == 1)


def test_a_long_legend_does_not_take_the_plot_s_room():
    """A telephone shows two entries on a line; the drawing grows by the lines that many methods need."""
    every = {method.title: name for name, method in ALL_METHODS.items()}
    few, many = (
        drawing_of(figures.learning_curves(table_of_curves(methods=methods), quantities=("gap",)))["layout"]["height"]
        for methods in (METHODS, every)
    )
    assert many >= few + 26 * 2


def test_where_there_is_nothing_the_figure_says_why():
    nothing = table_of_points().iloc[:0]
    curves = table_of_curves(methods={"LoRA": "lora"})
    empties = [
        figures.learning_curves(curves, quantities=("upper_loss",)),
        figures.magnitude_vs_direction(nothing),
        figures.magnitude_drift(nothing),
        figures.direction_drift(table_of_points().drop(columns="angle_degrees")),
        figures.two_levels(curves),
        figures.cost(table_of_methods().iloc[:0]),
        figures.cost(table_of_methods(), metric="mcc"),
        figures.samples(table_of_predictions().iloc[:0]),
    ]
    for figure in empties:
        assert len(figure.data) == 0
        assert figure.layout.annotations[0].text


def test_lines_below_a_chart_break_between_their_parts():
    text = "first part of the words · second part; " + "third " * 30
    lines = wrapped(text.strip(), width=40)
    assert lines[0] == "first part of the words · second part;"
    assert all(len(line) <= 40 for line in lines)
    assert wrapped("") == []


def test_figures_import_no_torch_and_plotly_only_when_drawing():
    code = (
        "import sys, bidora.figures; print([m for m in ('torch', 'plotly', 'pandas', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([0.2, 8], ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"]),
        (
            [2e-6, 0.4, 0, float("nan")],
            ["10<sup>−6</sup>", "10<sup>−5</sup>", "10<sup>−4</sup>", "0.001", "0.01", "0.1", "1"],
        ),
        ([0, float("inf")], None),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_plain_numbers(values, written):
    axis = log_axis(values)
    assert axis["type"] == "log" and axis.get("ticktext") == written
