"""Learn: sliders change the numbers, links reproduce a state, hostile addresses do no harm, the path plays."""

import json

import pytest

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

from bidora import figures, sandbox
from bidora.sandbox.units import CHANGED, INITIAL

MATRIX, REACH = "A matrix", "What an update reaches"


def opened(app, view, **query):
    """A view as a link with that query string opens it."""
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(f"views/{view}.py").run()
    assert not app.exception
    return app


def numbers(app):
    return {metric.label: metric.value for metric in app.metric}


def moved(app):
    app.run()
    assert not app.exception
    return app


def drawn(app):
    """The figures on the page, as plotly reads them."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


# -- Decompose ------------------------------------------------------------------------------------------------------


def test_length_moves_delta_m_only_and_turn_delta_d_only(app):
    opened(app, "decompose")
    before = numbers(app)
    app.slider(key="length").set_value(3.0)
    longer = numbers(moved(app))
    assert longer["ΔM"] == "1.00" != before["ΔM"]
    assert longer["ΔD"] == before["ΔD"]
    app.slider(key="turn").set_value(60)
    turned = numbers(moved(app))
    assert turned["ΔM"] == longer["ΔM"]
    assert (turned["ΔD"], turned["Angle"]) == ("0.5000", "60°")
    assert any("0.5000" in formula.value for formula in app.latex), "the formula shows the same number"


def test_the_page_shows_the_very_functions_that_it_uses(app):
    opened(app, "decompose")
    assert any("def unit_changes(" in block.value for block in app.code)


def test_a_link_reproduces_the_vector(app):
    opened(app, "decompose", length="2.0", turn="-90")
    assert numbers(app) == {"ΔM": "0.00", "Angle": "90°", "ΔD": "1.0000"}


def test_the_norm_axis_changes_shapes_and_numbers(app):
    opened(app, "decompose", part=MATRIX)
    by_rows, shapes = numbers(app), app.latex[0].value
    app.radio(key="axis").set_value("input")
    by_columns = numbers(moved(app))
    assert by_rows["ΔM"] == "0.3333"
    assert by_columns["ΔM"] != by_rows["ΔM"]
    assert by_columns["ΔD"] != by_rows["ΔD"]
    assert app.latex[0].value != shapes
    assert len(app.dataframe[1].value) == 4, "one magnitude per column"


def test_a_link_reproduces_the_matrix(app):
    opened(app, "decompose", part=MATRIX, W=sandbox.matrix_text(INITIAL))
    assert (numbers(app)["ΔM"], numbers(app)["ΔD"]) == ("0.0000", "0.0000")
    app.button(key="W-again").click()
    assert numbers(moved(app))["ΔM"] == "0.3333"
    assert app.query_params["W"] == sandbox.matrix_text(CHANGED)


def test_the_matrix_survives_a_look_at_another_part(app):
    opened(app, "decompose", part=MATRIX, W="9,4,0,0;0,3,0,4;1,2,2,0")
    seen = numbers(app)
    for part in ("A vector", MATRIX):
        app.segmented_control[0].set_value(part)
        moved(app)
    assert numbers(app) == seen


def test_a_row_of_zeros_is_explained(app):
    opened(app, "decompose", part=MATRIX, W="0,0,0,0;0,3,0,4;1,2,2,0")
    assert "Row 1 is zero" in app.error[0].value
    assert "What to do" in app.error[0].value


def test_the_reach_waits_for_a_prediction_and_compares_it(app):
    opened(app, "decompose", part=REACH)
    assert not drawn(app)
    assert app.button(key="reach-compare").disabled
    app.radio(key="reach-choice").set_value("nothing")
    moved(app).button(key="reach-compare").click()
    moved(app)
    assert any("You predicted “nothing”" in text.value and "more than half" in text.value for text in app.markdown)
    assert len(drawn(app)) == 1


def test_nobody_has_to_predict(app):
    opened(app, "decompose", part=REACH)
    app.button(key="reach-skip").click()
    assert len(drawn(moved(app))) == 1
    assert not any("You predicted" in text.value for text in app.markdown)


def test_what_changes_changes_the_reach(app):
    opened(app, "decompose", part=REACH, change="headings", turning="shared", degrees="40")
    app.button(key="reach-skip").click()
    dora = drawn(moved(app))[0]["data"][1]
    assert dora["text"][0] == "0", "rank 1 with magnitudes reaches it"
    app.radio(key="turning").set_value("own")
    assert drawn(moved(app))[0]["data"][1]["text"][0] != "0"
    app.slider(key="degrees").set_value(0)
    assert not drawn(moved(app))[0]["data"], "no change, no curve"


# -- Two levels -----------------------------------------------------------------------------------------------------


def state(app):
    table = app.dataframe[-1].value
    return {name: float(value.replace("−", "-")) for name, value in zip(table["now"], table["value"])}


def test_step_play_pause_and_reset(app):
    opened(app, "two_levels")
    start = state(app)
    assert (start["V"], start["m"]) == (0.0, 1.0)
    app.button(key="one").click()
    assert moved(app).slider(key="upper_steps").value == 1
    assert state(app)["m"] != 1.0
    assert app.query_params["upper_steps"] == "1"
    app.button(key="play").click()
    playing = moved(app).slider(key="upper_steps").value
    assert playing > 1
    assert moved(app).slider(key="upper_steps").value == playing + 1, "each tick of the clock is a step"
    app.button(key="pause").click()
    stopped = moved(app).slider(key="upper_steps").value
    assert moved(app).slider(key="upper_steps").value == stopped
    app.button(key="reset").click()
    assert moved(app).slider(key="upper_steps").value == 0
    assert state(app) == start
    assert "upper_steps" not in app.query_params


def test_playing_stops_at_the_last_step(app):
    opened(app, "two_levels", upper_steps="149")
    app.button(key="play").click()
    moved(app)
    assert app.slider(key="upper_steps").value == 150
    assert app.button(key="one").disabled
    assert app.button(key="play"), "it may be played again, from the start"


@pytest.mark.parametrize(("key", "value"), [("xi", 0.9), ("lower_steps", 1), ("lower_rate", 0.05), ("outer_rate", 0.3)])
def test_every_slider_changes_the_path(app, key, value):
    opened(app, "two_levels", upper_steps="10")
    before = state(app)
    app.slider(key=key).set_value(value)
    assert state(moved(app))["m"] != before["m"]


def test_a_link_reproduces_the_path(app):
    opened(app, "two_levels", xi="0.45", lower_steps="3", lower_rate="0.3", outer_rate="0.2", upper_steps="40")
    rates = dict(lower_steps=3, lower_rate=0.3, outer_rate=0.2)
    trail = sandbox.alternate(sandbox.PROBLEM, xi=0.45, upper_steps=40, **rates)
    assert state(app)["V"] == pytest.approx(trail.V[-1], abs=1e-4)
    assert state(app)["m"] == pytest.approx(trail.m[-1], abs=1e-4)
    slope = sandbox.hypergradient(sandbox.PROBLEM, trail.V[-1], trail.m[-1], xi=0.45)
    assert any(f"{slope.implicit:+.3f}" in formula.value for formula in app.latex)


def test_the_solution_is_shown_after_the_prediction_only(app):
    opened(app, "two_levels")
    assert "m*" not in json.dumps([trace.get("text") for trace in drawn(app)[0]["data"]])
    app.radio(key="left-out-choice").set_value("at a larger m")
    moved(app).button(key="left-out-compare").click()
    moved(app)
    assert "m*" in json.dumps([trace.get("text") for trace in drawn(app)[0]["data"]])
    assert any("1.97" in text.value and "1.49" in text.value for text in app.markdown)


def test_a_path_that_diverges_says_so(app):
    opened(app, "two_levels", xi="1.0", lower_steps="1", lower_rate="0.5", outer_rate="1.0", upper_steps="20")
    assert "ran out of the picture" in app.warning[0].value


# -- hostile addresses ----------------------------------------------------------------------------------------------

HOSTILE = ["", "nan", "1e999", "9" * 5000, "<script>alert(1)</script>", "../../../etc/passwd\x00"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_address_of_two_levels_opens_the_page_as_it_is(app, value):
    names = ("xi", "lower_steps", "lower_rate", "outer_rate", "upper_steps")
    opened(app, "two_levels", **dict.fromkeys(names, value))
    assert (state(app)["V"], state(app)["m"]) == (0.0, 1.0)
    assert app.slider(key="xi").value == 0


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_address_of_decompose_opens_the_page_as_it_is(app, value):
    names = ("part", "length", "turn")
    opened(app, "decompose", **dict.fromkeys(names, value))
    assert numbers(app)["ΔM"] == "0.60"
    app.query_params["axis"] = app.query_params["W"] = value
    app.segmented_control[0].set_value(MATRIX)
    assert numbers(moved(app))["ΔM"] == "0.3333"
    assert app.query_params["W"] == sandbox.matrix_text(CHANGED)
    if value:
        assert len(app.error[0].value) < 500
    for name in ("change", "percent", "degrees", "turning"):
        app.query_params[name] = value
    app.segmented_control[0].set_value(REACH)
    moved(app).button(key="reach-skip").click()
    assert len(drawn(moved(app))) == 1


# -- figures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["light", "dark"])
def test_figures_have_words_and_a_convention(template):
    trail = sandbox.alternate(sandbox.PROBLEM, xi=0.2, lower_steps=2, lower_rate=0.2, outer_rate=0.1, upper_steps=5)
    slope = sandbox.hypergradient(sandbox.PROBLEM, trail.V[-1], trail.m[-1], xi=0.2)
    target = sandbox.target_weight("both", percent=30, degrees=30)
    for figure in (
        figures.arrows(*sandbox.vector_pair(2.6, 25), template=template),
        figures.reachable(sandbox.reach_by_rank(target), template=template),
        figures.plane(sandbox.PROBLEM, trail, slope, template=template),
        figures.hypergradient_arrows(slope, 0.1, template=template),
    ):
        assert any(letter.isdigit() for letter in figure.layout.meta["alt"])
        assert figure.layout.meta["convention"]
        assert figure.layout.xaxis.title.text


def test_the_arrow_of_a_part_points_downhill():
    slope = sandbox.Hypergradient(direct=-0.5, implicit=0.25, unrolled=0.0)
    direct, implicit, total, solved = figures.hypergradient_arrows(slope, 0.1).data
    assert [trace.x[1] for trace in (direct, implicit, total)] == [0.5, -0.25, 0.25]
    assert solved.x[1] == pytest.approx(-0.1)


@pytest.mark.parametrize(("upper_steps", "names"), [(0, ["now"]), (60, ["start", "now"])])
def test_names_of_places_do_not_lie_on_each_other(upper_steps, names):
    rates = dict(xi=0.0, lower_steps=5, lower_rate=0.2, outer_rate=0.1)
    trail = sandbox.alternate(sandbox.PROBLEM, **rates, upper_steps=upper_steps)
    slope = sandbox.hypergradient(sandbox.PROBLEM, trail.V[-1], trail.m[-1], xi=0.0)
    drawn = figures.plane(sandbox.PROBLEM, trail, slope, solution=False)
    written = [trace.text[0] for trace in drawn.data if trace.type == "scatter" and trace.text]
    assert [text for text in written if text] == names
