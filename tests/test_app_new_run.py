"""New run: form, links, predictions, own tables, and a queue of real processes that a stand-in works off."""

from __future__ import annotations

import importlib
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import stand_in
from test_launch import until

from bidora.config import RunConfig
from bidora.drafts import FIELDS
from bidora.methods import METHODS
from bidora.own_data import keep
from bidora.queueing import enqueue, pause, read_queue, set_limit
from bidora.runs import Run, list_runs

launch = importlib.import_module("bidora.launch")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def new_run(app, root, table, tiny_bert, tmp_path_factory, monkeypatch):
    """Opens the view with a link, on a small table of our own; workers are stand-ins."""
    stand_in.install(tmp_path_factory.mktemp("stand-in"), monkeypatch)

    def opened(**query):
        if "clone" not in query and "task" not in query and "preset" not in query:
            data = keep("table.csv", Path(table).read_bytes(), root)
            made = Run.create(RunConfig(task="csv", data=str(data), model=str(tiny_bert), steps=5, batch_size=8), root)
            query["clone"] = made.id
        app.query_params.update(query)
        app.run()
        app.switch_page("views/new_run.py").run()
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    yield opened
    pause(root)
    for run in list_runs(root):
        launch.stop(run, wait=20)


def one(elements, key):
    found = [each for each in elements if each.key and each.key.startswith(key)]
    assert len(found) == 1, [each.key for each in elements]
    return found[0]


def setting(app, kind, name):
    return one(getattr(app, kind), f"new-setting-{name}")


def press(app, key):
    app.button(key=key).click().run()
    assert not app.exception


def made_by_form(root):
    runs = [run for run in list_runs(root) if "queue_position" in run.status]
    return sorted(runs, key=lambda run: run.status["queue_position"])


def words(app):
    return " ".join(each.value for kind in ("markdown", "error", "warning", "success") for each in getattr(app, kind))


def test_a_group_is_worked_off_in_order_though_the_page_is_closed(new_run, root):
    app = new_run()
    one(app.button_group, "new-methods").set_value(["dora", "bidora"]).run()
    one(app.text_input, "new-seeds").set_value("2 seeds").run()
    assert "4 runs" in words(app)
    press(app, "new-run-start")
    runs = made_by_form(root)
    assert [(run.config.method, run.config.seed) for run in runs] == [
        ("dora", 0),
        ("bidora", 0),
        ("dora", 1),
        ("bidora", 1),
    ]
    assert len({run.meta["group"] for run in runs}) == 1
    assert "4 runs in the queue" in words(app)
    until(lambda: all(run.state == "finished" for run in runs))
    assert sorted(runs, key=lambda run: run.status["process_start"]) == runs


def test_the_comparison_that_is_linked_has_all_runs_of_the_group(new_run, root):
    app = new_run()
    pause(root)
    one(app.button_group, "new-methods").set_value(["lora", "dora", "bidora"]).run()
    one(app.text_input, "new-seeds").set_value("4 seeds").run()
    press(app, "new-run-start")
    (compare,) = [each for each in app.get("page_link") if each.label == "Compare them"]
    named = parse_qs(compare.query_string)["runs"][0].split(",")
    assert named == [run.id for run in made_by_form(root)]
    assert len(named) == 12


def numbers(app):
    return {each.label for each in app.number_input} | {each.label for each in app.selectbox}


def test_every_method_can_be_chosen_and_only_what_it_uses_is_shown(new_run):
    app = new_run()
    methods = one(app.button_group, "new-methods")
    assert list(methods.options) == [method.title for method in METHODS.values()]
    for chosen, there, gone in (
        (["vera"], {"rank r"}, {"alpha α", "norm ‖V‖", "frequencies n", "upper fraction", "initial rank"}),
        (["fourierft"], {"frequencies n", "fourier scale"}, {"rank r", "alpha α", "b learning rate ratio"}),
        (["bilora"], {"rank r", "alpha α", "upper fraction", "unroll scale ξ"}, {"norm ‖V‖", "frequencies n"}),
        (["bitfit"], {"learning rate η", "steps"}, {"rank r", "alpha α", "upper fraction", "norm ‖V‖"}),
        (["loraplus", "adalora"], {"b learning rate ratio", "initial rank", "orthogonality weight"}, {"norm ‖V‖"}),
    ):
        one(app.button_group, "new-methods").set_value(chosen).run()
        assert not app.exception
        assert there <= numbers(app), chosen
        assert not gone & numbers(app), chosen


def test_a_learning_rate_that_is_unusual_for_a_method_is_said(new_run):
    app = new_run()
    one(app.button_group, "new-methods").set_value(["fourierft"]).run()
    said = " ".join(words(app).replace("\\", "").split())
    assert "usual for FourierFT" in said


def test_preview_says_work_phases_and_commands(new_run):
    app = new_run()
    one(app.button_group, "new-methods").set_value(["lora", "bidora"]).run()
    shown = words(app)
    assert "LoRA: 5; BiDoRA: 20" in shown.replace("\\", "")
    assert "unknown until step 5" in shown
    assert "then retraining, 5 steps" in shown
    command, cell = (each.value for each in app.code)
    assert command.count("bidora run") == 2
    assert "--method lora" in command
    assert "enqueue(configs" in cell


def test_a_wrong_value_is_said_beside_it_and_nothing_can_be_started(new_run, root):
    app = new_run()
    setting(app, "number_input", "rank").set_value(0).run()
    assert (
        sum("rank=0 is outside" in each.value for each in app.error) == 2
    )  # at the field, and in place of the preview
    assert not [button for button in app.button if button.key == "new-run-start"]
    setting(app, "number_input", "rank").set_value(2).run()
    assert not app.error
    one(app.text_input, "new-seeds").set_value("many").run()
    assert "is not a list" in words(app)
    assert not made_by_form(root)


def test_what_stands_in_the_way_disables_the_start(new_run):
    app = new_run()
    setting(app, "number_input", "examples_per_class").set_value(1).run()
    assert "leaves no example of class" in words(app)
    assert app.button(key="new-run-start").disabled


def test_a_lesson_link_fills_hides_locks_and_asks(new_run, root):
    app = new_run(
        preset="retrain",
        size="2 min",
        lock="rank,seed",
        hide="advanced,code,queue",
        question="What <b>now</b>?",
        rank="3",
    )
    assert not app.exception
    assert setting(app, "number_input", "rank").value == 3
    assert setting(app, "number_input", "rank").disabled
    assert one(app.text_input, "new-seeds").disabled
    assert not app.code
    assert {each.key.split("-")[2] for each in app.number_input} <= {"rank", *FIELDS}
    assert not [each for each in app.selectbox if each.key.startswith("new-setting-norm")]
    assert "What \\<b\\>now\\</b\\>?" in words(app)
    one(app.text_input, "new-prediction").set_value("it goes up").run()
    pause(root)
    press(app, "new-run-start")
    (first, *_) = made_by_form(root)
    prediction = first.meta["prediction"]
    assert (prediction["question"], prediction["choice"]) == ("What <b>now</b>?", "it goes up")
    assert prediction["when"]


def test_a_hostile_link_does_nothing_but_say_so(new_run, root):
    app = new_run(
        task="peptides", rank="1e999", data="/etc/passwd", clone="../../etc", model="/etc", foo="<script>", preset="x"
    )
    assert not app.exception
    assert len(app.warning) == 6
    assert "passwd" not in words(app)
    assert setting(app, "number_input", "rank").value == RunConfig().rank


def test_a_preset_fills_the_form_and_its_prediction_is_kept(new_run, root):
    app = new_run(task="peptides")
    pause(root)
    one(app.selectbox, "new-preset").set_value("alive").run()
    assert not app.exception
    assert "Does the magnitude move at all" in words(app)
    assert "6 runs" in words(app)
    one(app.radio, "new-prediction-choice").set_value("lower").run()
    one(app.text_input, "new-tags").set_value("lesson, week 3").run()
    press(app, "new-run-start")
    runs = made_by_form(root)
    assert [run.config.upper_learning_rate_ratio for run in runs] == [1.0, 10.0, 30.0] * 2
    assert {run.meta["prediction"]["choice"] for run in runs} == {"lower"}
    assert runs[0].meta["tags"] == ["lesson", "week 3"]
    one(app.selectbox, "new-preset").set_value("").run()
    assert not app.exception
    assert "Predict first" not in words(app)


def test_an_uploaded_table_is_shown_and_its_columns_chosen(new_run, root, table):
    path = keep("mine.csv", Path(table).read_bytes(), root)
    app = new_run(task="csv")
    assert "Nothing is chosen yet" in " ".join(each.value for each in app.info)
    one(app.selectbox, "new-data").set_value(str(path)).run()
    assert not app.exception
    assert "120 rows" in words(app)
    assert "mine.csv" in words(app)
    assert path.name not in words(app)
    one(app.selectbox, "new-label_column").set_value("label").run()
    assert "splits" in words(app)
    assert "--label-column label" in app.code[0].value


def test_a_problem_of_an_uploaded_table_names_it_as_its_sender_does_and_the_field_that_solves_it(
    new_run, root, monkeypatch
):
    monkeypatch.setattr("bidora.own_data.secrets.token_hex", lambda count: "f8" * count)
    lines = "\n".join(f"{number},{number + 1},{number % 2}" for number in range(40))
    path = keep("my data.csv", f"first,second,third\n{lines}\n".encode(), root)
    app = new_run(task="csv")
    one(app.selectbox, "new-data").set_value(str(path)).run()
    said = words(app).replace("\\", "")
    assert "my data.csv: which column holds the text or sequence cannot be told" in said
    assert "Choose it under input column." in said
    assert path.name.lower() not in said.lower()


def test_a_copied_run_with_a_file_from_elsewhere_does_not_open_it(new_run, root, table):
    hostile = Run.create(RunConfig(task="csv", data=str(table), test_data="/etc/passwd"), root)
    app = new_run(clone=hostile.id)
    assert [each.value.count("was not uploaded here") for each in app.warning] == [1, 1]
    assert "120 rows" not in words(app)
    assert app.button(key="new-run-start").disabled


def test_the_queue_is_steered_from_the_page(new_run, root):
    app = new_run()
    press(app, "queue-pause")
    assert read_queue(root).paused
    first, second, third = enqueue([RunConfig(seed=seed, steps=2) for seed in range(3)], root)
    app.run()
    assert "3 waiting" in words(app)
    assert "Paused" in words(app)
    press(app, f"queue-up-{third.id}")
    assert [run.config.seed for run in read_queue(root).waiting] == [0, 2, 1]
    press(app, f"queue-cancel-{first.id}")
    assert first.state == "stopped"
    press(app, "queue-undo")
    assert [run.config.seed for run in read_queue(root).waiting] == [2, 1, 0]
    one(app.number_input, "queue-limit").set_value(2).run()
    assert read_queue(root).limit == 2
    press(app, "queue-pause")
    until(lambda: all(run.state == "finished" for run in (first, second, third)))


def test_the_form_keeps_its_values_over_a_visit_to_another_page(new_run):
    app = new_run()
    setting(app, "number_input", "rank").set_value(5).run()
    app.switch_page("views/glossary.py").run()
    app.switch_page("views/new_run.py").run()
    assert setting(app, "number_input", "rank").value == 5


def test_a_page_that_looks_on_starts_what_a_killed_worker_left_waiting(new_run, root):
    app = new_run()
    (run,) = enqueue([RunConfig(steps=2)], root)
    set_limit(1, root)
    app.run()
    until(lambda: run.state == "finished")
