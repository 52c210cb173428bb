"""Preflight: what stands in the way is found before anything is trained."""

from __future__ import annotations

from collections import namedtuple

import pytest

from bidora.config import RunConfig
from bidora.preflight import preflight, preflight_of_group, remarks, room, worst
from bidora.runs import Run


def by_topic(checks):
    found = {}
    for check in checks:
        found.setdefault(check.topic, check)
    return found


@pytest.fixture
def own(table, tiny_bert):
    return RunConfig(task="csv", data=str(table), model=str(tiny_bert), steps=10, batch_size=8)


def test_a_run_that_can_start(own, tmp_path):
    checks = by_topic(preflight(own, tmp_path, memory=1e6))
    assert worst(checks.values()) is True
    assert checks["splits"].sentence.startswith(
        "96 to train on, 76 for the lower and 20 for the upper level, 24 to test"
    )
    assert "10 steps read each training example about 1.1 times" in checks["splits"].sentence
    assert checks["effort"].sentence == "40 gradient evaluations in search and retraining."
    assert "table.csv" in checks["data"].sentence
    assert checks["layers"].sentence == "4 layers will be adapted (query, value)."
    assert "layers" not in by_topic(preflight(own.replace(method="head"), tmp_path))


@pytest.mark.parametrize(
    ("changes", "topic", "words"),
    [
        ({"task": "peptide"}, "settings", "There is no task 'peptide'"),
        ({"model": "no such model"}, "settings", "model='no such model' is neither"),
        ({"data": ""}, "data", "needs a table of yours"),
        ({"data": "gone.csv"}, "data", "The file is not there"),
        ({"examples_per_class": 1}, "splits", "leaves no example of class"),
        ({"label_column": "nonsense"}, "splits", "nonsense"),
        ({"upper_fraction": 0.001}, "splits", "upper_fraction=0.001 leaves no example"),
        ({"variant": "r8"}, "splits", "variant='r8' is none of"),
        ({"rank": 64}, "layers", "rank=64 exceeds"),
        ({"max_length": 81}, "length", "max_length=81 is outside 1 to 80"),
        ({"target_modules": ("querry",)}, "layers", "target_modules='querry' names no linear layer"),
    ],
)
def test_what_would_fail_is_said_with_a_next_step(own, tmp_path, changes, topic, words):
    checks = preflight(own.replace(**changes), tmp_path)
    failed = by_topic(check for check in checks if check.ok is False)
    assert worst(checks) is False
    assert words in failed[topic].sentence
    assert failed[topic].hint


def test_what_is_not_here_is_to_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path / "cache"))
    checks = by_topic(preflight(RunConfig(task="reuters"), tmp_path))
    assert checks["data"].ok is None
    assert "17.5 MB will be fetched" in checks["data"].sentence
    assert checks["data"].hint == "or beforehand: bidora fetch reuters"
    assert "will be fetched" in checks["model"].sentence
    assert checks["terms"].ok is None
    assert "*for research purposes only*" in checks["terms"].sentence
    assert checks["splits"].ok is None
    hub = by_topic(preflight(RunConfig(task="reuters", model="someone/encoder"), tmp_path))
    assert "on the hub" in hub["model"].sentence


def test_a_file_that_changes_is_read_again(own, tmp_path):
    from tiny import write_table

    path = write_table(tmp_path / "mine.csv", rows=40)
    config = own.replace(data=str(path))
    assert "32 to train on" in by_topic(preflight(config, tmp_path))["splits"].sentence
    write_table(path, rows=60)
    assert "48 to train on" in by_topic(preflight(config, tmp_path))["splits"].sentence


def test_disk_memory_and_device(own, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: usage(10, 10, 5_000_000))
    monkeypatch.setattr(room, "nvidia_gpus", list)
    checks = by_topic(preflight(own.replace(device="cuda"), tmp_path, memory=1e15))
    assert (checks["disk"].ok, checks["device"].ok, checks["memory"].ok) == (False, False, None)
    assert checks["disk"].sentence.startswith("5 MB are free")
    assert "lower batch_size" in checks["memory"].hint
    monkeypatch.setattr(room, "nvidia_gpus", lambda: ["a GPU"])
    assert by_topic(preflight(own.replace(device="cuda"), tmp_path))["device"].ok is None
    assert by_topic(preflight(own, tmp_path / "not" / "yet"))["disk"]


def test_a_run_with_equal_settings_is_found(own, tmp_path):
    Run.create(own.replace(seed=1), tmp_path)
    failed = Run.create(own, tmp_path)
    failed.update_status(state="failed")
    broken = Run.create(own, tmp_path)
    (broken.path / "config.json").write_text("{")
    assert "equal run" not in by_topic(preflight(own, tmp_path))
    there = Run.create(own, tmp_path)
    there.update_status(state="finished")
    check = by_topic(preflight(own, tmp_path))["equal run"]
    assert (check.ok, check.run) == (None, there.id)
    group = [own.replace(method="lora"), own, own.replace(seed=1)]
    found = [check for check in preflight_of_group(group, tmp_path) if check.topic == "equal run"]
    assert [check.sentence[:6] for check in found] == ["Seed 0", "Seed 1"]


def test_a_group_says_each_thing_once_and_where_methods_differ(own, tmp_path):
    group = [own.replace(method=method, seed=seed) for seed in (0, 1) for method in ("lora", "bidora")]
    checks = preflight_of_group(group, tmp_path)
    topics = [check.topic for check in checks]
    assert [topics.count(topic) for topic in ("data", "model", "disk", "memory", "device", "effort")] == [1] * 6
    splits = [check.sentence for check in checks if check.topic == "splits"]
    assert [words.split(":")[0] for words in splits] == ["LoRA", "BiDoRA"]
    effort = by_topic(checks)["effort"]
    assert effort.ok is None
    assert "(LoRA: 10; BiDoRA: 40); the most is 4 times the least" in effort.sentence
    equal = [own.replace(method="lora", steps=40), own]
    assert by_topic(preflight_of_group(equal, tmp_path))["effort"].ok is True


@pytest.mark.parametrize(
    ("changes", "low"),
    [
        ({"method": "fourierft"}, "0.01 to 0.2"),
        ({"method": "full"}, "1e-05 to 0.001"),
        ({"learning_rate": 0.5}, "BiDoRA"),
    ],
)
def test_an_unusual_learning_rate_is_worth_knowing(own, tmp_path, changes, low):
    check = by_topic(preflight(own.replace(**changes), tmp_path))["learning rate"]
    assert check.ok is None and low in check.sentence
    assert "learning rate" not in by_topic(preflight(own, tmp_path))


def test_settings_that_no_method_of_the_group_uses_are_named(own, tmp_path):
    changed = own.replace(method="lora", norm="attached", frequencies=50, rank=4)
    check = by_topic(preflight(changed, tmp_path))["unused"]
    assert check.ok is None
    assert "norm=attached, frequencies=50 makes no difference under LoRA." in check.sentence
    group = [changed, changed.replace(method="dora")]
    checks = [check for check in preflight_of_group(group, tmp_path) if check.topic == "unused"]
    assert [check.sentence.split(" makes")[0] for check in checks] == ["frequencies=50"]
    assert "unused" not in by_topic(preflight(own, tmp_path))


def test_settings_of_written_texts_are_named_where_none_is_written(own, tmp_path):
    (found,) = (each for each in preflight(own.replace(beams=4), tmp_path) if each.topic == "unused")
    assert found.sentence == "beams=4 makes no difference: task csv writes no texts." and found.ok is None
    assert not [each for each in remarks(RunConfig(task="e2e", beams=4)) if each.topic == "unused"]


def test_variants_of_one_method_are_told_apart(own, tmp_path):
    effort = by_topic(preflight_of_group([own.replace(unroll_scale="0"), own], tmp_path))["effort"]
    assert "BiDoRA, unroll scale 0: 30; BiDoRA, unroll scale lr: 40" in effort.sentence


def test_an_upload_is_called_what_its_sender_calls_it(own, tmp_path, table):
    from pathlib import Path

    from bidora.own_data import keep

    path = keep("mine.csv", Path(table).read_bytes(), tmp_path)
    checks = preflight(own.replace(data=str(path), label_column="x"), tmp_path)
    assert not any(path.name in check.sentence for check in checks)
    assert sum("mine.csv" in check.sentence for check in checks) == 2


def test_methods_that_share_a_finding_share_a_line(own, tmp_path):
    group = [own.replace(method=method) for method in ("lora", "dora", "bidora", "bilora")]
    splits = [check.sentence for check in preflight_of_group(group, tmp_path) if check.topic == "splits"]
    assert [words.split(":")[0] for words in splits] == ["LoRA, DoRA", "BiDoRA, BiLoRA"]
