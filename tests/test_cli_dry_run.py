"""What `bidora run --dry-run` says, and what it refuses."""

from __future__ import annotations

import pytest

from bidora.cli import main
from bidora.runs import list_runs

pytestmark = pytest.mark.usefixtures("own_places")


def test_a_dry_run_tells_data_phases_and_command_and_does_nothing(tmp_path, capsys):
    path = tmp_path / "own.csv"
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    path.write_text(
        "text,label\n" + "".join(f"{a} {b},{'good' if i % 2 else 'bad'}\n" for i, a in enumerate(words) for b in words)
    )
    order = ["run", "--task", "csv", "--data", str(path), "--steps", "30", "--retrain-steps", "20"]
    assert main([*order, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "for the lower and" in text
    assert "classification, 2 labels" in text
    assert "search, 30 steps of 16 examples" in text
    assert "then retraining, 20 steps; 50 in all" in text
    assert f"bidora run --task csv --data {path} --method bidora --retrain-steps 20 --steps 30 --seed 0" in text
    assert list_runs(tmp_path / "runs") == []


def test_a_dry_run_notes_what_is_unusual_for_the_method_or_has_no_effect(capsys):
    assert main(["run", "--task", "peptides", "--method", "fourierft", "--norm", "attached", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "lies outside 0.01 to 0.2, which is usual for FourierFT. Choose it on a selection split" in text
    assert "norm=attached makes no difference under FourierFT." in text
    assert "frequencies 1000, on query, value" in text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--rank", "64"], "rank=64 exceeds"),
        (["--target-modules", "querry"], "near names: query"),
        (["--max-length", "100"], "max_length=100 is outside 1 to 80"),
        (["--device", "cuda"], "no NVIDIA GPU answers here"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(flags, words, table, tiny_bert, capsys, monkeypatch):
    monkeypatch.setattr("bidora.preflight.room.nvidia_gpus", list)
    order = ["run", "--task", "csv", "--data", str(table), "--model", str(tiny_bert)]
    assert main([*order, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "4 layers will be adapted (query, value)" in text and "Inputs are cut at 80 tokens, not at 128" in text
    assert main([*order, *flags, "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error


def test_a_dry_run_and_a_run_say_what_there_is_to_know_about_the_data(table, tiny_bert, tmp_path, capsys):
    own = tmp_path / "own.csv"
    own.write_text(table.read_text() + "one text more,\n")
    order = ["run", "--task", "csv", "--data", str(own), "--model", str(tiny_bert), "--method", "lora"]
    words = "1 of 121 rows have no label in column 'label' and were left out (the first: line 122 of own.csv)"
    assert main([*order, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert f"note     {words}." in text and "note     own.csv: input column 'text', label column 'label'." in text
    assert main([*order, "--steps", "1", "--threads", "1"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines.count(f"note: {words}") == 1
    assert lines.index("reading data") < lines.index(f"note: {words}") < lines.index("reading the model")


def test_a_dry_run_reads_the_data_once(table, tiny_bert, monkeypatch):
    from bidora import preview

    calls, before = [], preview.prepare
    monkeypatch.setattr(preview, "prepare", lambda config: calls.append(config) or before(config))
    preview._splits_of.cache_clear()
    assert main(["run", "--task", "csv", "--data", str(table), "--model", str(tiny_bert), "--dry-run"]) == 0
    assert len(calls) == 1


def test_a_dry_run_without_data_says_what_there_is_to_fetch(capsys):
    assert main(["run", "--task", "peptides", "--method", "dora", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "bidora fetch peptides" in text
    assert "to be fetched, 85.7 MB" in text
    assert "150 steps of 16 examples" in text
