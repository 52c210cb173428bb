"""Short runs of every new method: saved, read by plain PEFT, recorded, stopped and resumed, in bfloat16."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import load_file
from test_adapter import IDS, MASK
from test_methods import NEW, TINY, WITHOUT_ADAPTER
from variants import by_default
from warm import answer_of

from bidora.adapter import split_parameters
from bidora.classifier import Classifier
from bidora.config import RunConfig
from bidora.decomposition import unit_change
from bidora.methods import METHODS, get_method
from bidora.runs import Run
from bidora.runs.exchange import write_run
from bidora.train import train

pytestmark = pytest.mark.xdist_group("runs of every method")  # one worker trains them once

STEPS = 12


def config_of(model: Path, table: Path, method: str, **settings: Any) -> RunConfig:
    values = dict(
        task="csv",
        data=str(table),
        model=str(model),
        method=method,
        steps=STEPS,
        batch_size=8,
        learning_rate=get_method(method).rates.high,
        threads=1,
        **TINY,
    )
    return RunConfig(**{**values, **settings})


def frozen_digest(model: Classifier, upper: str) -> str:
    """A hash of every tensor that must stay as it is."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad and not (upper and upper in name):
            digest.update(name.encode() + parameter.detach().numpy().tobytes())
    for name, buffer in model.named_buffers():
        digest.update(name.encode() + buffer.numpy().tobytes())
    return digest.hexdigest()


class Watched:
    """A run with the model that was trained in it and hashes of its frozen tensors before and after."""

    def __init__(self, config: RunConfig, root: Path) -> None:
        module: Any = importlib.import_module("bidora.train")  # `bidora.train` itself is the function

        self.run, self.models, self.frozen = Run.create(config, root), [], []
        build, finish = module._Training._build, module._Training._finish
        upper = get_method(config.method).upper

        def building(training: Any, data: Any) -> Classifier:
            model = build(training, data)
            self.models.append(model)
            self.frozen.append(frozen_digest(model, upper))
            return model

        def finishing(training: Any, model: Classifier, *rest: Any) -> Any:
            self.frozen.append(frozen_digest(model, upper))
            return finish(training, model, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module._Training, "_build", building)
            patch.setattr(module._Training, "_finish", finishing)
            train(self.run)
        self.model: Classifier = self.models[0].eval()


@pytest.fixture(scope="module")
def finished(
    tiny_bert: Path, tiny_roberta: Path, table: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Watched]:
    """A short run of each new method on a model read by the mean and on one with a head of its own."""
    root = tmp_path_factory.mktemp("runs")
    models = {"mean": tiny_bert, "first": tiny_roberta}
    return {
        (name, pooling): Watched(config_of(model, table, name), root)
        for name in NEW
        for pooling, model in models.items()
    }


PLAIN = """
import json, sys, torch
from pathlib import Path
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification
given = json.loads(sys.stdin.read())
ids, mask = torch.tensor(given["ids"]), torch.tensor(given["mask"])
answers = {}
for key, (base, folder, pooling) in given["adapters"].items():
    torch.manual_seed(5)
    if pooling == "mean":
        model = AutoModel.from_pretrained(base)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    adapter = (Path(folder) / "adapter_config.json").exists()
    if adapter:
        model = PeftModel.from_pretrained(model, folder).eval()
    elif (Path(folder) / "trained.safetensors").exists():
        model.load_state_dict(load_file(folder + "/trained.safetensors"), strict=False)
    model.eval()
    def logits():
        out = model(input_ids=ids, attention_mask=mask)
        if pooling != "mean":
            return out.logits
        head, weight = load_file(folder + "/head.safetensors"), mask.unsqueeze(-1).float()
        return (out.last_hidden_state * weight).sum(1) / weight.sum(1) @ head["weight"].t() + head["bias"]
    with torch.no_grad():
        found = [logits().tolist()]
        if adapter and pooling == "mean":
            model = model.merge_and_unload()
        elif adapter:
            model.merge_adapter()  # PEFT's merge_and_unload stumbles over heads of several layers for some tuners
        if adapter:
            found.append(logits().tolist())
    wanted = {n: p.detach().contiguous() for n, p in model.named_parameters() if n.endswith(("query.weight", "value.weight"))}
    save_file(wanted, given["out"] + "/" + key + ".safetensors")
    answers[key] = found
assert not any(name.split(".")[0] == "bidora" for name in sys.modules)
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def plain(finished: Any, tiny_bert: Path, tiny_roberta: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a process that imports PEFT and transformers alone makes of what each run left: logits, merged weights."""
    out = tmp_path_factory.mktemp("merged")
    models = {"mean": str(tiny_bert), "first": str(tiny_roberta)}
    adapters = {
        f"{name}-{pooling}": (models[pooling], str(watched.run.adapter_dir), pooling)
        for (name, pooling), watched in finished.items()
    }
    given = {"ids": IDS.tolist(), "mask": MASK.tolist(), "adapters": adapters, "out": str(out)}
    answers = json.loads(answer_of(PLAIN, given=json.dumps(given), folder=out).splitlines()[-1])
    return {key: (found, load_file(out / f"{key}.safetensors")) for key, found in answers.items()}


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("method", NEW)
def test_plain_peft_predicts_the_same(method: str, pooling: str, finished: Any, plain: Any) -> None:
    """BitFit and the head are read by the lines that their README.md gives; everything else by PeftModel."""
    model, (answers, _) = finished[method, pooling].model, plain[f"{method}-{pooling}"]
    with torch.no_grad():
        expected = model(IDS, MASK)
    for found in answers:
        torch.testing.assert_close(torch.tensor(found), expected, rtol=1e-4, atol=2e-5)
    folder = finished[method, pooling].run.adapter_dir
    if method in WITHOUT_ADAPTER:
        words = (folder / "README.md").read_text()
        assert "from_pretrained" in words and not (folder / "adapter_config.json").exists()
        assert (folder / "trained.safetensors").exists() == ("trained.safetensors" in words)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("method", NEW)
def test_backbone_stays_as_it_was(method: str, pooling: str, finished: Any) -> None:
    before, after = finished[method, pooling].frozen
    assert before == after


@pytest.mark.slow
@pytest.mark.parametrize("method", NEW)
def test_recorded_motion_is_that_of_the_weights_that_plain_peft_merges(
    method: str, finished: Any, plain: Any, tiny_bert: Path
) -> None:
    run, (_, merged) = finished[method, "mean"].run, plain[f"{method}-mean"]
    base = load_file(tiny_bert / "model.safetensors")
    dynamics = run.dynamics()
    dynamics = dynamics[dynamics["phase_index"] == dynamics["phase_index"].max()]
    first, last = dynamics[dynamics["step"] == 0], dynamics[dynamics["step"] == STEPS]
    assert len(first) == len(last) == 4
    if not get_method(method).bilevel:  # a retraining begins with λ as the search left it, but with new P and Q
        assert first["delta_m"].max() < 1e-6 and first["delta_d"].max() < 1e-9
    for row in last.itertuples():
        name = row.name.removeprefix("backbone.").removeprefix("base_model.model.") + ".weight"
        change = unit_change(base[name].double(), merged[name].double())
        assert row.delta_m == pytest.approx(change.magnitude.abs().mean().item(), rel=5e-3, abs=2e-7)
        assert row.delta_d == pytest.approx(change.direction.mean().item(), rel=5e-3, abs=1e-9)
    moved = method not in WITHOUT_ADAPTER
    assert ((last["delta_d"] > 0) == moved).all() and ((last["delta_m"] > 0) == moved).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", NEW)
def test_spectrum_of_the_change_has_the_rank_that_the_method_allows(method: str, finished: Any) -> None:
    spectrum = pandas.read_parquet(finished[method, "mean"].run.path / "spectrum.parquet")
    largest = {"rslora": 2, "loraplus": 2, "bilora": 2, "vera": 2, "adalora": 3, "pissa": 4, "fourierft": 24}
    bound = largest.get(method, 0)
    top = spectrum["singular_value"].max()
    beyond = spectrum[spectrum["index"] > bound]["singular_value"]
    assert top > 0 if bound else top == 0
    assert beyond.max() <= 1e-5 * top if len(beyond) and bound else True


@pytest.mark.slow
@pytest.mark.parametrize("method", NEW)
def test_an_export_holds_all_that_was_trained(method: str, finished: Any) -> None:
    run = finished[method, "mean"].run
    buffer = io.BytesIO()
    write_run(run.path, buffer)
    with zipfile.ZipFile(buffer) as archive:
        packed = {name.removeprefix(f"{run.id}/adapter/") for name in archive.namelist() if "/adapter/" in name}
    assert packed == {each.relative_to(run.adapter_dir).as_posix() for each in run.adapter_dir.rglob("*.*")}


@pytest.mark.slow
@pytest.mark.parametrize("method", NEW)
def test_results_are_whole(method: str, finished: Any) -> None:
    watched = finished[method, "mean"]
    result, run = watched.run.result, watched.run
    bilevel = get_method(method).bilevel
    assert result["cost"]["gradient_evaluations"] == (48 if bilevel else 12)
    assert len(run.predictions()) == result["n_test"]
    assert list(run.metrics()["phase"].unique()) == (["search", "retrain"] if bilevel else ["train"])
    assert np.isfinite(run.metrics()["loss"].dropna()).all()
    trained = sum(p.numel() for level in split_parameters(watched.model, "lora_E") for p in level.values())
    assert result["cost"]["trainable_parameters"] == trained


@pytest.mark.slow
def test_adalora_ends_with_the_rank_that_was_asked_for_on_average(finished: Any) -> None:
    folder = finished["adalora", "mean"].run.adapter_dir
    pattern = json.loads((folder / "adapter_config.json").read_text())["rank_pattern"]
    assert len(pattern) == 4 and all(len(kept) == 3 for kept in pattern.values())
    assert sum(map(sum, pattern.values())) == 2 * 4
    weights = load_file(folder / "adapter_model.safetensors")
    assert sum(len(tensor) for name, tensor in weights.items() if "lora_E" in name) == 2 * 4


@pytest.mark.slow
def test_pissa_is_saved_as_plain_lora_of_twice_the_rank(finished: Any) -> None:
    folder = finished["pissa", "mean"].run.adapter_dir
    described = json.loads((folder / "adapter_config.json").read_text())
    assert (described["r"], described["lora_alpha"]) == (4, 32.0)
    assert described["init_lora_weights"] is True and described["peft_type"] == "LORA"


@pytest.mark.slow
@pytest.mark.parametrize("method", by_default(["adalora", "bilora", "pissa", "vera"], ["adalora", "bilora"]))
def test_a_stopped_run_goes_on_with_the_same_bits(method: str, tiny_bert: Path, table: Path, tmp_path: Path) -> None:
    """AdaLoRA's scores of importance and kept ranks are part of the checkpoint."""
    config = config_of(tiny_bert, table, method, dropout=0.1, checkpoint_every=4)
    whole = Run.create(config, tmp_path)
    train(whole)
    for stop_at in (4, 10):
        run = Run.create(config, tmp_path)
        train(run, progress=lambda text, done, total, run=run, at=stop_at: run.request_stop() if done == at else None)
        assert run.state == "stopped"
        train(run)
        weights, wanted = (load_file(each.adapter_dir / "adapter_model.safetensors") for each in (run, whole))
        assert weights.keys() == wanted.keys()
        assert all(torch.equal(weights[name], tensor) for name, tensor in wanted.items())


@pytest.mark.slow
@pytest.mark.parametrize("method", by_default(METHODS, ["dora", "adalora", "bidora", "full"]))
def test_bfloat16_trains_every_method(method: str, tiny_esm: Path, tmp_path: Path) -> None:
    """Autocast: finite losses near those of float32, and trained tensors stay in float32."""
    from tiny import AMINO_ACIDS

    generator = np.random.default_rng(0)
    rows = ["".join(generator.choice(list(AMINO_ACIDS[(i % 2) * 6 :]), size=12)) + f",{i % 2}" for i in range(60)]
    path = tmp_path / "proteins.csv"
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    losses = {}
    for precision in ("float32", "bfloat16"):
        config = config_of(tiny_esm, path, method, steps=4, precision=precision, learning_rate=1e-3)
        watched = Watched(config, tmp_path / precision)
        losses[precision] = watched.run.metrics()["loss"].dropna().to_numpy()
        assert all(p.dtype == torch.float32 for p in watched.model.parameters())
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], atol=0.03)
