"""The benchmarks: every part runs on tiny models, and what is printed is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.accuracy import with_accuracy
from benchmarks.contestants import BY_NAME, DEFAULT, FIRST_TOKEN, REFERENCE, REFERENCE_KEPT, groups_of
from benchmarks.recordings import plan
from benchmarks.steps import with_earlier
from benchmarks.timing import Timing, interleaved

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    timing = Timing(seconds=(2.0, 6.0, 30.0), reference=(1.0, 2.0, 10.0))
    assert timing.ratio == 3.0
    assert timing.quartiles == (2.5, 3.0)


def test_the_reference_is_in_every_group_and_nobody_is_lost() -> None:
    groups = groups_of(FIRST_TOKEN, 5)
    assert all(group[0] == REFERENCE and len(group) <= 6 for group in groups)
    assert {name for group in groups for name in group} == set(FIRST_TOKEN)


def test_accuracy_stands_beside_the_time_of_the_same_variant() -> None:
    step = {"setting": "x", "contestant": DEFAULT, "pooling": "first", "model": "minilm", "batch": 16, "tokens": 128}
    known = {"setting": "minilm 16×128", "contestant": DEFAULT, "cosine": 0.5, "error": 0.25}
    assert with_accuracy([step], [known])[0]["cosine"] == 0.5
    assert "cosine" not in with_accuracy([{**step, "batch": 32}], [known])[0]


def test_a_brief_run_replaces_its_own_rows_and_leaves_the_others_with_their_day() -> None:
    old = [{"setting": s, "contestant": c, "measured": "2026-01-01"} for s in ("a", "b") for c in ("x", "y")]
    new = [{"setting": "a", "contestant": c, "measured": "2026-01-02"} for c in ("y", "z")]
    found = [(row["setting"], row["contestant"], row["measured"][-2:]) for row in with_earlier(new, old)]
    assert found == [("a", "x", "01"), ("a", "y", "02"), ("a", "z", "02"), ("b", "x", "01"), ("b", "y", "01")]


def test_who_keeps_memory_is_timed_after_the_others_with_a_call_of_its_own_before() -> None:
    calls: list[str] = []
    contestants = {name: (lambda name=name: calls.append(name)) for name in ("plain", "reference", "keeper")}
    timings = interleaved(
        contestants, reference="reference", rounds=2, device=torch.device("cpu"), warmup=0, keeping_memory={"keeper"}
    )
    assert all(len(timing.seconds) == 2 for timing in timings.values())
    for calls_of_a_round in (calls[:5], calls[5:]):
        assert calls_of_a_round[0] == calls_of_a_round[1] and set(calls_of_a_round[:3]) == {"plain", "reference"}
        assert calls_of_a_round[3:] == ["keeper", "keeper"]


def test_recordings_differ_in_method_and_seed_only() -> None:
    configs = [config for _, config in plan()]
    assert len({config.digest() for config in configs}) == len(configs) == 24


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_committed_results_are_of_a_whole_run_and_name_their_machine(device: str) -> None:
    found = json.loads((RESULTS / f"{device}.json").read_text(encoding="utf-8"))
    assert not found["quick"] and found["machine"]["device"] == device and found["machine"]["versions"]["betty-ml"]
    steps = found["parts"]["steps"]["rows"]
    there = set(FIRST_TOKEN) if device == "cpu" else set(FIRST_TOKEN) - {REFERENCE_KEPT}
    assert {row["contestant"] for row in steps if row["pooling"] == "first"} == there
    assert all(row["measured"] for row in steps)
    assert all(row["ratio"] == 1.0 for row in steps if row["contestant"] == REFERENCE)
    accuracy = {row["contestant"]: row["cosine"] for row in found["parts"]["accuracy"]["rows"]}
    assert accuracy[DEFAULT] > 0.999
    assert set(BY_NAME) & set(accuracy)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["accuracy", "steps", "layer", "recorder", "loading"])
def test_every_part_runs_on_tiny_models(part: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    written = tmp_path / "results.json"
    assert main(["--quick", "--only", part, "--output", str(written)]) == 0
    rows = json.loads(written.read_text())["parts"][part]["rows"]
    assert rows
    assert "written to" in capsys.readouterr().out
