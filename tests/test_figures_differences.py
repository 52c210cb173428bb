"""Forest plot, scores, gap at the end; and the drawing alone, for pages that set the words as text."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
from test_figures import every_figure, table_of_methods

from bidora import figures


def table_of_pairs(differences=((0.01, 0.02, 0.03), (-0.01, 0.0, 0.02))) -> pandas.DataFrame:
    return pandas.DataFrame(
        [
            dict(first=first, second="DoRA", first_method=method, second_method="dora", metric="accuracy")
            | dict(pairs=len(values), seeds=", ".join(map(str, range(len(values)))), differences=tuple(values))
            | dict(
                mean=float(np.mean(values or [np.nan])),
                low=min(values, default=np.nan),
                high=max(values, default=np.nan),
            )
            | dict(verdict=f"{first} against DoRA")
            for (first, method), values in zip((("LoRA", "lora"), ("BiDoRA", "bidora")), differences)
        ]
    )


def table_of_runs() -> pandas.DataFrame:
    rows = [("BiDoRA", "bidora", 0, 0.9, 0.95), ("BiDoRA", "bidora", 1, 0.8, 1.0), ("LoRA", "lora", 0, 0.7, 0.75)]
    table = pandas.DataFrame(rows, columns=["label", "method", "seed", "accuracy", "train_accuracy"])
    return table.assign(primary="accuracy")


def new_figures(template: str) -> dict:
    return {
        "differences": figures.paired_differences(table_of_pairs(), template=template),
        "scores": figures.scores(table_of_methods().assign(n_test=100.0), baseline=0.5, template=template),
        "gap": figures.generalisation_gap(table_of_runs(), template=template),
    }


@pytest.mark.parametrize("template", ["light", "dark"])
def test_they_have_title_alt_units_and_convention(template):
    for name, figure in new_figures(template).items():
        assert figure.layout.title.text.endswith("?"), name
        assert figure.layout.meta["alt"].startswith(figure.layout.title.text), name
        assert figure.layout.meta["convention"], name
        assert "(" in figure.layout.xaxis.title.text, name


def test_every_seed_the_mean_and_its_interval_are_drawn_in_points():
    figure = figures.paired_differences(table_of_pairs())
    seeds, mean = (trace for trace in figure.data if trace.name == "LoRA − DoRA")
    np.testing.assert_allclose(seeds.x, [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose([mean.x[0], mean.error_x.array[0], mean.error_x.arrayminus[0]], [2, 1, 1], rtol=1e-6)
    assert any(shape.x0 == 0 for shape in figure.layout.shapes)
    assert "wide" in figure.layout.meta["notes"][0]
    assert figures.STYLES["lora"].colour == seeds.marker.color


def test_one_seed_has_no_interval_and_no_seed_no_line():
    figure = figures.paired_differences(table_of_pairs(((0.01,), ())))
    assert [trace.name for trace in figure.data if trace.name.endswith("DoRA")] == ["LoRA − DoRA"]
    assert "no conclusion" in figure.layout.meta["notes"][0]
    assert "share a seed" in figures.paired_differences(table_of_pairs(((), ()))).layout.meta["alt"]


def test_a_far_baseline_is_said_and_a_near_one_drawn():
    far = figures.scores(table_of_methods(), baseline=0.1)
    near = figures.scores(table_of_methods(), baseline=0.87)
    assert not far.layout.shapes and "not drawn, far away: the constant answer, 10 %" in far.layout.meta["convention"]
    assert near.layout.shapes[0].x0 == pytest.approx(87)
    assert figures.scores(table_of_methods(), metric="rmse").layout.meta["alt"].endswith("No RMSE was recorded.")


def test_the_gap_is_training_minus_test_and_methods_keep_their_order():
    figure = figures.generalisation_gap(table_of_runs())
    assert figure.layout.yaxis.categoryarray == ("BiDoRA", "LoRA")  # drawn from below: LoRA on top, as everywhere
    assert "BiDoRA: training 97.5, test 85, gap 12.5 (5 to 20 over 2 runs)" in figure.layout.meta["alt"]
    assert "were recorded" in figures.generalisation_gap(table_of_runs()[["label", "primary"]]).layout.meta["alt"]


@pytest.mark.parametrize("template", ["light", "dark"])
def test_the_drawing_alone_keeps_data_and_loses_words(template):
    for name, figure in (every_figure(template) | new_figures(template)).items():
        before = json.loads(figure.to_json())
        bare = figures.without_words(figure)
        assert json.loads(figure.to_json()) == before, f"{name}: the figure itself is left alone"
        assert not bare.layout.title.text, name
        kept = [note.text for note in figure.layout.annotations if note.name != "convention"]
        assert [note.text for note in bare.layout.annotations] == kept, name
        assert len(bare.data) == len(figure.data), name
        plot = bare.layout.height - bare.layout.margin.t - bare.layout.margin.b
        assert 80 < plot < figure.layout.height, name
        assert bare.layout.height < figure.layout.height, name
        for axis in bare.select_xaxes():
            assert all(len(line) <= 32 for line in (axis.title.text or "").split("<br>")), name


def test_panels_are_counted_so_that_a_page_can_give_them_room():
    found = {name: figure.layout.meta["panels"] for name, figure in every_figure("light").items()}
    assert found["relation"] == found["magnitude"] == found["direction"] == 3
    assert found["cost"] == 2 and found["learning"] == found["samples"] == 1


def test_numbers_in_a_confusion_matrix_can_be_read_on_every_colour():
    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for template in ("light", "dark"):
        heat = every_figure(template)["samples"].data[0]
        ink = luminance(heat.textfont.color)
        for _, colour in heat.colorscale:
            low, high = sorted([ink, luminance(colour)])
            assert (high + 0.05) / (low + 0.05) >= 4.5, (template, colour)
