"""train(run) from data to result, for every method, on tiny real training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import load_file, save_file

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.metrics import score
from bidora.provenance import weights_hash
from bidora.runs import Run
from bidora.train import train
from bidora.weights import dynamics_of


def run_of(root: Path, model: Path, table: Path, **settings: Any) -> Run:
    values: dict[str, Any] = dict(
        task="csv",
        data=str(table),
        model=str(model),
        method="bidora",
        rank=2,
        steps=12,
        batch_size=8,
        learning_rate=1e-2,
        threads=1,
    )
    return Run.create(RunConfig(**{**values, **settings}), root)


@pytest.mark.parametrize("method", ["lora", "dora", "bidora", "full"])
def test_every_method_leaves_a_whole_run_folder(method: str, tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, tiny_bert, table, method=method)
    seen: list[tuple[str, float, float]] = []
    result = train(run, progress=lambda text, done, total: seen.append((text, done, total)))
    assert run.state == "finished"
    assert result == run.result
    # costs: 12 lower passes; bidora: 12 × (lower + upper + perturbed) and 12 more for the retraining
    assert result["cost"]["gradient_evaluations"] == (48 if method == "bidora" else 12)
    assert result["cost"]["examples_seen"] == 8 * (36 if method == "bidora" else 12)
    assert {"accuracy", "macro_f1"} <= result["scores"].keys()
    predictions = run.predictions()
    assert len(predictions) == result["n_test"]
    assert predictions["correct"].mean() == pytest.approx(result["scores"]["accuracy"]["value"])
    metrics = run.metrics()
    phases = ["search", "retrain"] if method == "bidora" else ["train"]
    assert list(metrics["phase"].unique()) == phases
    assert metrics["loss"].notna().sum() == 12 * len(phases)
    assert metrics["test_accuracy"].notna().sum() == 4 * len(phases)
    if method == "bidora":
        assert result["n_lower"] + result["n_upper"] == result["n_train"]
        assert (
            metrics.loc[metrics["phase"] == "search", ["upper_loss", "direct_norm", "implicit_norm"]]
            .notna()
            .sum()
            .min()
            == 12
        )
        assert "accuracy" in result["after_search"]
    dynamics = run.dynamics()
    assert set(dynamics["module"]) == {"query", "value"} and set(dynamics["layer"]) == {0, 1}
    assert (dynamics.groupby("phase_index")["step"].max() == 12).all()
    assert seen[-1][0].startswith("testing") and any(text.startswith(phases[0]) for text, _, _ in seen)
    assert {"torch", "peft", "transformers"} <= run.meta["versions"].keys()
    assert run.meta["data"]["test"]["sha256"]


@pytest.mark.parametrize("method", ["lora", "full", "dora", "bidora"])
def test_a_pruned_unit_is_in_no_mean_and_stops_only_what_divides_by_its_norm(
    method: str, tiny_bert: Path, table: Path, tmp_path: Path
) -> None:
    pruned = shutil.copytree(tiny_bert, tmp_path / "pruned")
    weights = load_file(pruned / "model.safetensors")
    name = next(name for name in weights if name.endswith("layer.0.attention.self.query.weight"))
    weights[name][3] = 0
    save_file(weights, pruned / "model.safetensors", metadata={"format": "pt"})
    run = run_of(tmp_path / "runs", pruned, table, method=method, steps=4)
    if method in ("dora", "bidora"):
        with pytest.raises(
            LabError, match=r"1 of \d+ output units of .*layer.0.attention.self.query are zero \(the first is 3\)"
        ):
            train(run)
        return
    train(run)
    dynamics, units = run.dynamics(), run.units()
    assert dynamics[["delta_m", "delta_d", "angle_degrees", "delta_m_signed_percent"]].notna().all().all()
    first = units[(units["layer"] == 0) & (units["module"] == "query")]
    assert 3 not in set(first["unit"]) and len(first) == len(weights[name]) - 1


@pytest.mark.parametrize("method", ["lora", "dora", "bidora"])
def test_recorder_and_analysis_of_the_saved_adapter_agree(
    method: str, tiny_bert: Path, table: Path, tmp_path: Path
) -> None:
    run = run_of(tmp_path, tiny_bert, table, method=method)
    train(run)
    dynamics = run.dynamics()
    last = dynamics[(dynamics["phase_index"] == dynamics["phase_index"].max()) & (dynamics["step"] == 12)]
    found = dynamics_of(tiny_bert, run.adapter_dir)
    for column in ("delta_m", "delta_d", "angle_degrees"):
        left = last.sort_values(["layer", "module"])[column].to_numpy()
        right = found.sort_values(["layer", "module"])[column].to_numpy()
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=1e-7)
    assert (last["delta_d"] > 0).all()


def test_training_learns_what_can_be_learnt(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, tiny_bert, table, method="dora", steps=60, learning_rate=3e-2)
    result = train(run)
    assert result["train_scores"]["accuracy"] > 0.8 > 0.6 > result["baseline"]["accuracy"]


def test_retraining_keeps_m_and_starts_again_from_the_initial_values(
    tiny_bert: Path, table: Path, tmp_path: Path
) -> None:
    """Defect 9: an implementation without retraining from the initial values."""
    ends = {}
    for retrain in ("restart", "continue", "none"):
        run = run_of(
            tmp_path, tiny_bert, table, retrain=retrain, retrain_steps=1, learning_rate=1e-2, warmup_fraction=0.0
        )
        train(run)
        ends[retrain] = {
            path.parent.parent.name: load_file(path) for path in run.checkpoints_dir.glob("*/end/trainable.safetensors")
        }
    assert ends["none"].keys() == {"search"}
    for retrain in ("restart", "continue"):
        search, after = ends[retrain]["search"], ends[retrain]["retrain"]
        for name in search:
            if "magnitude" in name:
                assert torch.equal(search[name], after[name])
    for name in (name for name in ends["none"]["search"] if "lora_B" in name):
        # one AdamW step moves an entry by at most the learning rate: from B = 0, or from where the search left it
        assert ends["restart"]["retrain"][name].abs().max() <= 0.0101
        assert ends["continue"]["retrain"][name].abs().max() > 0.0101
        assert (ends["continue"]["retrain"][name] - ends["continue"]["search"][name]).abs().max() <= 0.0101


def test_equal_settings_end_with_equal_bits_and_another_seed_does_not(
    tiny_bert: Path, table: Path, tmp_path: Path
) -> None:
    weights = []
    for seed in (0, 0, 1):
        run = run_of(tmp_path, tiny_bert, table, seed=seed, dropout=0.1)
        train(run)
        weights.append(load_file(run.adapter_dir / "adapter_model.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_alternation_on_the_same_data_is_a_control(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    result = train(run_of(tmp_path, tiny_bert, table, upper_data="same"))
    assert result["n_lower"] == result["n_upper"] == result["n_train"]


def test_selection_split_is_scored_and_never_trained_on(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, tiny_bert, table, selection_fraction=0.25)
    result = train(run)
    assert 0 <= result["selection_scores"]["accuracy"] <= 1
    assert result["n_selection"] + result["n_train"] + result["n_test"] == 120


def test_regression_predicts_in_the_tasks_own_unit(tiny_bert: Path, tmp_path: Path) -> None:
    from tiny import WORDS

    rows = [(" ".join([WORDS[i % 20]] * (1 + i % 6) + [WORDS[20 + i % 15]]), 1000.0 + 50 * (i % 6)) for i in range(90)]
    path = tmp_path / "numbers.csv"
    pandas.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    run = run_of(tmp_path, tiny_bert, path, kind="regression", method="dora", steps=20)
    result = train(run)
    predictions = run.predictions()
    assert predictions["prediction"].between(900, 1400).all()
    expected = score("regression", predictions["prediction"].to_numpy(), predictions["target"].to_numpy())
    assert result["scores"]["rmse"]["value"] == pytest.approx(expected["rmse"], rel=1e-6)


def test_a_diverged_loss_is_one_sentence_and_the_folder_says_so(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, tiny_bert, table, method="full", learning_rate=1.0, max_gradient_norm=0.0, steps=30)
    bad = run.config.replace(alpha=1e38, method="lora")
    run = Run.create(bad, tmp_path)
    with pytest.raises(LabError, match="learning rate") as caught:
        train(run)
    assert caught.value.kind == "diverged"
    assert run.state == "failed"
    assert run.status["error"]["kind"] == "diverged"
    assert any(record.get("bad") for record in run.records())


def test_a_worker_whose_folder_was_deleted_ends(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, tiny_bert, table, steps=5000)

    def delete(text: str, done: int, total: int) -> None:
        if done == 3:
            shutil.rmtree(run.path)

    with pytest.raises(LabError, match="is gone"):
        train(run, progress=delete)


def test_a_checkpoint_of_another_model_is_refused(tiny_bert: Path, tiny_esm: Path, table: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, tiny_bert, table)
    train(run)
    config = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps({**config, "rank": 3}))
    with pytest.raises(LabError, match="another model") as caught:
        train(run)
    assert caught.value.kind == "checkpoint"


def test_the_recorder_is_not_in_the_way_of_gradients(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    """Recording more often changes no weight."""
    weights = []
    for every in (1, 6):
        run = run_of(tmp_path, tiny_bert, table, record_every=every, dropout=0.1, backbone_dropout=0.1)
        train(run)
        weights.append(load_file(run.adapter_dir / "adapter_model.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_magnitude_gradients_of_dora_are_recorded(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, tiny_bert, table, method="dora")
    train(run)
    dynamics = run.dynamics()
    assert (dynamics.loc[dynamics["step"] > 0, "magnitude_gradient_norm"] > 0).all()


def test_a_run_leaves_the_number_of_threads_as_it_was(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(run_of(tmp_path, tiny_bert, table, method="lora", steps=2, threads=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_run_goes_on_with_as_many_threads_as_it_began_with(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run = run_of(tmp_path, tiny_bert, table, method="lora", steps=12, threads=0, checkpoint_every=2)

    def stop_soon(text: str, done: float, total: float) -> None:
        if text.startswith("train") and done == 5:
            run.request_stop()

    seen = set()
    try:
        torch.set_num_threads(2)
        assert train(run, progress=stop_soon) == {} and run.state == "stopped"
        torch.set_num_threads(1)
        assert train(run, progress=lambda *told: seen.add(torch.get_num_threads()))
    finally:
        torch.set_num_threads(before)
    assert 2 in seen and run.meta["device"]["threads"] == 2


def test_what_is_recorded_until_the_next_upper_step_outlives_a_stop(
    tiny_bert: Path, table: Path, tmp_path: Path
) -> None:
    # 100 steps: a line of the log every second step, so that step 5 lies between two lines
    settings: dict[str, Any] = dict(steps=100, batch_size=2, unroll_steps=3, record_every=5, retrain="none")
    whole, stopped = (run_of(tmp_path / name, tiny_bert, table, **settings) for name in ("whole", "stopped"))

    def stop_soon(text: str, done: float, total: float) -> None:
        if text.startswith("search") and done == 5:
            stopped.request_stop()

    train(whole)
    assert train(stopped, progress=stop_soon) == {} and stopped.status["step"] == 5
    train(stopped)
    norms = ["step", "name", "direct_norm", "implicit_norm", "magnitude_gradient_norm", "cosine"]
    assert stopped.dynamics()[norms].equals(whole.dynamics()[norms])
    assert whole.dynamics().query("step >= 3")["direct_norm"].notna().all()
    lines = ["step", "loss", "upper_loss", "gradient_norm"]
    assert 5 not in set(whole.metrics()["step"]) and stopped.metrics()[lines].equals(whole.metrics()[lines])


def test_modules_of_equal_last_names_are_told_apart(tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path, tiny_bert, table, method="dora", target_modules=("dense",), steps=2)
    train(run)
    modules = {"attention.output.dense", "intermediate.dense", "output.dense"}
    for found in (run.dynamics(), run.units(), run.spectrum()):
        assert set(found["module"]) == modules and set(found["layer"]) == {0, 1}


@pytest.mark.parametrize("method", ["full", "head", "bitfit"])
def test_a_model_without_the_targets_names_trains_where_nothing_is_adapted(
    method: str, tiny_bert: Path, table: Path, tmp_path: Path
) -> None:
    run = run_of(tmp_path, tiny_bert, table, method=method, target_modules=("Wqkv",), steps=2)
    train(run)
    assert {"query", "intermediate.dense"} <= set(run.dynamics()["module"]) and len(run.units())


@pytest.mark.parametrize("what", ["data", "model"])
def test_a_run_does_not_go_on_with_other_data_or_weights(
    what: str, tiny_bert: Path, table: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copy(table, tmp_path / "own.csv"))
    model = shutil.copytree(tiny_bert, tmp_path / "model")
    run = run_of(tmp_path / "runs", model, own, method="lora", steps=12, checkpoint_every=2)

    def stop_soon(text: str, done: float, total: float) -> None:
        if text.startswith("train") and done == 5:
            run.request_stop()

    assert train(run, progress=stop_soon) == {}
    before = run.meta["data"]
    if what == "data":
        rows = own.read_text()
        own.write_text(rows + "x" + rows.splitlines()[1] + "\n")
    else:
        weights = load_file(model / "model.safetensors")
        save_file({name: tensor + 0.1 for name, tensor in weights.items()}, model / "model.safetensors")
        weights_hash.cache_clear()  # a resumed run is read by another process
    with pytest.raises(LabError, match="changed since this run began"):
        train(run)
    assert run.state == "failed" and run.meta["data"] == before
    if what == "data":
        own.write_text(rows)
        assert train(run)["scores"]
