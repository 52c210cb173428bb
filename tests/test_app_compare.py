"""Compare: links, groups, fairness, parts, states; and notebook cells that really run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_folders import write_comparison, write_run

from bidora.analysis import LIMIT
from bidora.methods import METHODS

PARTS = ("Scores", "Settings", "Curves", "Weights", "Two levels", "Cost", "Samples")


def runs_root() -> Path:
    return Path(os.environ["BIDORA_RUNS"])


def words(app) -> str:
    kinds = ("markdown", "caption", "info", "warning", "error", "header", "title")
    return "\n".join(str(each.value) for kind in kinds for each in getattr(app, kind)).replace("\\", "")


def opened(app, **query):
    """The view, opened by a link."""
    app.run()
    app.switch_page("views/compare.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].stack_trace
    return app


def test_nothing_at_all_says_what_to_do(app):
    opened(app)
    assert "two methods or more" in words(app)


def test_a_link_names_the_runs_and_the_address_keeps_them(app):
    runs = write_comparison(runs_root())
    ids = [run.id for run in runs if run.config.method in ("dora", "bidora")]
    opened(app, runs=",".join(ids))
    assert app.multiselect(key="compared-methods").value == [
        "reuters r8 · DoRA · seeds 0, 1, 2",
        "reuters r8 · BiDoRA · seeds 0, 1, 2",
    ]
    assert app.query_params["runs"] == ",".join(ids) or app.query_params["runs"] == [",".join(ids)]
    assert "BiDoRA higher than DoRA in 3 of 3 seeds" in words(app)
    assert "LoRA lower" not in words(app)


def test_a_group_link_and_a_change_by_hand(app):
    runs = write_comparison(runs_root())
    opened(app, group="demo")
    assert len(app.multiselect(key="compared-methods").value) == 4
    app.multiselect(key="compared-methods").set_value(["reuters r8 · LoRA · seeds 0, 1, 2"]).run()
    assert not app.exception
    assert "group" not in app.query_params
    assert {run.id for run in runs if run.config.method == "lora"} == set(_value(app, "runs").split(","))
    assert "One method alone" in words(app)
    app.multiselect(key="compared-methods").set_value([]).run()
    assert not app.exception and "Nothing is chosen" in words(app)


def _value(app, name: str) -> str:
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


@pytest.mark.parametrize("named", ["macro_f1", "macro F1"])
@pytest.mark.parametrize("part", ["Scores", "Cost"])
def test_an_address_names_a_score_as_files_or_as_tables_do(app, part, named):
    write_comparison(runs_root(), methods="dora bidora")
    opened(app, group="demo", part=part, metric=named)
    assert app.selectbox(key="metric").value == "macro_f1"
    app.selectbox(key="metric").select("accuracy").run()
    assert not app.exception and app.selectbox(key="metric").value == "accuracy"


@pytest.mark.parametrize("part", ["Scores", "Cost"])
def test_scores_are_chosen_by_the_names_of_the_tables(app, part):
    write_comparison(runs_root(), methods="dora bidora")
    opened(app, group="demo", part=part)
    assert "macro F1" in app.selectbox(key="metric").options
    app.selectbox(key="metric").select("macro_f1").run()
    assert not app.exception and app.selectbox(key="metric").value == "macro_f1"


def test_single_runs_can_be_left_out(app):
    runs = write_comparison(runs_root(), methods="dora bidora")
    opened(app, group="demo")
    kept = [run.id for run in runs[1:]]
    app.multiselect(key="compared-runs").set_value(kept).run()
    assert not app.exception
    assert "BiDoRA higher than DoRA in 2 of 2 seeds" in words(app) and "Too few seeds" in words(app)
    assert "Seeds: not the same" in words(app)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_drawn_with_words_table_and_cell(app, part):
    write_comparison(runs_root(), seeds=(0, 1))
    opened(app, group="demo", part=part)
    assert app.button_group(key="part").value == part
    if part != "Settings":
        assert app.get("plotly_chart")
        assert app.dataframe
    assert any("figures." in each.value or "settings_table" in each.value for each in app.code)


@pytest.mark.parametrize("state", ["running", "queued", "failed", "stopped"])
def test_runs_without_scores_say_what_is_possible(app, state):
    for method in ("dora", "bidora"):
        write_run(runs_root(), method, state=state)  # running without a process reads as lost
    opened(app, runs=",".join(run.name for run in runs_root().iterdir()))
    assert "None of these runs has final scores yet" in words(app)
    assert any(
        ("lost" if state == "running" else state) in each for each in app.multiselect(key="compared-methods").value
    )
    for part in ("Curves", "Weights"):
        app.button_group(key="part").set_value(part).run()
        assert not app.exception and app.get("plotly_chart")


def test_deleted_and_unknown_runs_are_named_and_the_others_shown(app):
    runs = write_comparison(runs_root(), methods="dora bidora")
    gone = runs[0].id
    runs[0].delete()
    opened(app, runs=",".join(run.id for run in runs) + ",20000101-000000-0000")
    assert gone in words(app) and "20000101-000000-0000" in words(app) and "perhaps deleted" in words(app)
    assert "in 2 of 2 seeds" in words(app)


@pytest.mark.parametrize(
    "hostile",
    [
        "../../../etc/passwd,%2e%2e%2f,\x00\n\r",
        "<script>alert(1)</script>",
        "a,b,c," * 2000,
        "$$\\input{/etc/passwd}$$ ![x](http://example.org/x.png)",
    ],
    ids=["paths", "script", "long", "markdown"],
)
def test_hostile_links_do_no_harm(app, hostile):
    write_comparison(runs_root(), methods="dora bidora", seeds=(0, 1))
    names = ("runs", "group", "part", "metric", "to", "x", "curve", "axes", "weights", "sample", "task", "differing")
    opened(app, **dict.fromkeys(names, hostile))
    assert "<script>" not in words(app) and "![x]" not in words(app) and "$$" not in words(app)
    for part in ("Weights", "Curves"):
        app.button_group(key="part").set_value(part).run()
        assert not app.exception


def test_mixed_tasks_are_shown_one_at_a_time(app):
    root = runs_root()
    write_comparison(root, methods="dora bidora", seeds=(0, 1))
    for method in ("dora", "bidora"):
        write_run(root, method, task="peptides", accuracy=0.7)
    opened(app, runs=",".join(run.name for run in root.iterdir()))
    assert "2 tasks" in words(app)
    assert set(app.selectbox(key="task").options) == {"reuters r8", "peptides amp"}
    app.selectbox(key="task").set_value("peptides amp").run()
    assert not app.exception
    assert "One seed" in words(app) or "one seed" in words(app)


def test_one_seed_and_no_shared_seed_forbid_conclusions(app):
    root = runs_root()
    one, other = write_run(root, "dora", 0), write_run(root, "bidora", 0)
    opened(app, runs=f"{one.id},{other.id}")
    assert [each.value for each in app.error] == ["No conclusion about the methods is allowed: seeds. Details below."]
    third = write_run(root, "bidora", 1)
    opened(app, runs=f"{one.id},{third.id}")
    assert "share no seed" in words(app) and app.error


def test_a_fair_comparison_has_no_red(app):
    runs = write_comparison(runs_root(), methods="lora dora")
    opened(app, runs=",".join(run.id for run in runs))
    assert not app.error and ":red[" not in words(app)
    assert ":green[" in words(app) and "**equal**" in words(app)


def test_view_state_comes_from_the_address_and_goes_back_to_it(app):
    write_comparison(runs_root(), seeds=(0, 1))
    opened(app, group="demo", part="Curves", x="seconds", curve="Test score")
    assert (app.button_group(key="x").value, app.button_group(key="curve").value) == ("seconds", "Test score")
    app.button_group(key="x").set_value("gradient evaluations").run()
    assert app.session_state["x"] == "gradient evaluations"
    assert "gradient_evaluations" in next(each.value for each in app.code if "learning_curves" in each.value)
    app.button_group(key="part").set_value("Weights").run()
    app.toggle(key="axes").set_value(False).run()
    assert any("shared_axes=False" in each.value for each in app.code)


def test_more_groups_than_can_be_told_apart_are_cut(app):
    for rank in range(1, LIMIT + 3):
        write_run(runs_root(), "lora", rank=rank, group="many")
    opened(app, group="many")
    assert f"the first {LIMIT} are shown" in words(app)
    assert len(app.multiselect(key="compared-methods").value) == LIMIT


def test_all_methods_are_compared_at_once_and_with_one_of_them_unless_every_two_are_chosen(app):
    for place, method in enumerate(METHODS):
        for seed in (0, 1):
            write_run(runs_root(), method, seed, 0.8 + 0.01 * place, group="all")
    opened(app, group="all")
    assert len(app.multiselect(key="compared-methods").value) == len(METHODS)
    assert app.selectbox(key="to").value == "DoRA"
    said = next(each.value for each in app.markdown if each.value.startswith("- "))
    assert said.count(" than DoRA in ") == len(METHODS) - 1 == len(said.splitlines())
    app.selectbox(key="to").select("every two").run()
    assert not app.exception and "BiDoRA higher than LoRA in" in words(app)
    pairs = len(METHODS) * (len(METHODS) - 1) // 2
    assert any(each.label == f"{pairs} differences in words" for each in app.expander)


def test_few_methods_are_compared_two_by_two(app):
    write_comparison(runs_root())
    opened(app, group="demo")
    assert app.selectbox(key="to").value == "every two"
    assert "full fine-tuning higher than LoRA in 3 of 3 seeds" in words(app)


def test_only_settings_that_differ_are_listed_until_asked_for_all(app):
    for rank in (4, 8):
        write_run(runs_root(), "lora", rank=rank, group="ranks")
    opened(app, group="ranks", part="Settings")
    assert app.dataframe[0].value["setting"].tolist() == ["rank (r)"]
    app.toggle(key="differing").set_value(False).run()
    assert len(app.dataframe[0].value) > 30


def test_without_a_link_the_last_look_comes_back(app):
    runs = write_comparison(runs_root())
    opened(app, runs=",".join(run.id for run in runs[:6]))
    app.query_params.clear()
    app.switch_page("views/start.py").run()
    app.switch_page("views/compare.py").run()
    assert app.multiselect(key="compared-methods").value == [
        "reuters r8 · LoRA · seeds 0, 1, 2",
        "reuters r8 · DoRA · seeds 0, 1, 2",
    ]


@pytest.mark.slow
def test_every_notebook_cell_of_the_page_runs(app, tmp_path):
    write_comparison(runs_root(), seeds=(0, 1), methods="dora bidora")
    recorded = write_run(Path(os.environ["BIDORA_RECORDINGS"]), "lora", recorded=True, group="demo")
    opened(app, group="demo")
    cells = []
    for part in PARTS:
        app.button_group(key="part").set_value(part).run()
        cells += [each.value for each in app.code if "figures" in each.value]
    assert len(cells) >= len(PARTS)
    assert all(recorded.id in each for each in cells)
    lines = []
    for each in cells:
        *before, last = each.splitlines()
        lines += [*before, f"shown = {last}", "assert type(shown).__name__ in ('Figure', 'DataFrame'), type(shown)"]
    (tmp_path / "cells.py").write_text("\n".join(lines), encoding="utf-8")
    away = {name: value for name, value in os.environ.items() if name != "BIDORA_RUNS"}
    away["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    order = [sys.executable, "-W", "error", str(tmp_path / "cells.py")]
    done = subprocess.run(order, cwd=tmp_path, env=away, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
