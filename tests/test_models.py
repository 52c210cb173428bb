"""Where models come from: the registry, folders, hub ids, and the conversion of the packaged ESM-2."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bidora.errors import LabError
from bidora.models import MODELS, get_model, is_fetched, mark_shown, model_folder, pending_notices
from bidora.models.packages import cache_folder


def needs(name):
    """The folder of packaged weights, or a skip where they are not in the cache."""
    if not is_fetched(name):
        pytest.skip(f"the weights of {name} are not in {cache_folder()}: `bidora fetch` brings them")
    return model_folder(name)


def run_python(code, **environment):
    """Run code in a fresh process; returns its last printed line."""
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


def test_the_registry_says_everything_about_each_model():
    for name, model in MODELS.items():
        assert model.name == name == get_model(name).name
        assert model.family in ("text", "protein") and model.package is not None
        assert model.size == model.package.size > 1_000_000 and model.parameters > 1_000_000
        for words in (model.title, model.source, model.licence, model.citation, model.notice):
            assert words
        targets = [member.name for member in model.package.members]
        assert len(set(targets)) == len(targets) and "config.json" in targets
        assert all(len(member.sha256) == 64 for member in model.package.members)


def test_the_esm_copy_is_called_fine_tuned_wherever_it_is_named():
    assert "fine-tuned" in MODELS["esm2"].title and "fine-tuned" in MODELS["esm2"].notice
    assert "haemolysis" in MODELS["esm2"].notice


def test_a_folder_is_read_for_what_it_is(tiny_bert, tiny_esm):
    text, protein = get_model(str(tiny_bert)), get_model(str(tiny_esm))
    assert (text.family, protein.family) == ("text", "protein")
    assert model_folder(str(tiny_bert)) == str(tiny_bert.resolve())
    assert text.size == (tiny_bert / "model.safetensors").stat().st_size and is_fetched(str(tiny_bert))


def test_a_folder_may_be_named_relatively(tiny_bert, monkeypatch):
    monkeypatch.chdir(tiny_bert.parent)
    assert model_folder(tiny_bert.name) == model_folder(f"./{tiny_bert.name}") == str(tiny_bert.resolve())


@pytest.mark.parametrize(
    ("removed", "message"),
    [("config.json", "no config.json"), ("model.safetensors", "no weights"), ("tokenizer", "no tokenizer")],
)
def test_an_incomplete_folder_is_refused(tiny_bert, tmp_path, removed, message):
    folder = shutil.copytree(tiny_bert, tmp_path / "copy")
    for path in folder.glob(f"{removed}*"):
        path.unlink()
    with pytest.raises(LabError, match=message) as caught:
        get_model(str(folder))
    assert caught.value.kind == "model" and "save_pretrained" in caught.value.hint


def test_pickled_weights_are_refused_with_the_next_step(tiny_bert, tmp_path):
    folder = shutil.copytree(tiny_bert, tmp_path / "copy")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(LabError, match=r"pytorch_model\.bin, which is not read") as caught:
        get_model(str(folder))
    assert "convert it once" in caught.value.hint


def test_other_folders_and_files_are_refused(tiny_bert, tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(LabError, match="holds an adapter"):
        get_model(str(tmp_path))
    with pytest.raises(LabError, match="is a file") as caught:
        get_model(str(tiny_bert / "model.safetensors"))
    assert str(tiny_bert) in caught.value.hint
    broken = shutil.copytree(tiny_bert, tmp_path / "broken")
    (broken / "config.json").write_text("{")
    with pytest.raises(LabError, match="cannot be read"):
        get_model(str(broken))


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./missing", "../missing", "~/missing", "a/b/c", "C:\\m", "missing/"]
)
def test_paths_that_do_not_exist(name):
    with pytest.raises(LabError, match="there is no folder") as caught:
        get_model(name)
    assert caught.value.kind == "model"


@pytest.mark.parametrize(("name", "near"), [("minlm", "minilm"), ("esm-2", "esm2"), ("MiniLM", "minilm")])
def test_near_misses_of_packaged_names(name, near):
    with pytest.raises(LabError, match=f"did you mean '{near}'"):
        get_model(name)


@pytest.mark.parametrize(
    "name", ["", "  ", "two words", "a//b", "-x", "org/", "a/b--c", "x" * 97, "https://hub/a/b", "ü/y"]
)
def test_what_can_be_no_name(name):
    with pytest.raises(LabError) as caught:
        get_model(name)
    assert caught.value.kind == "model" and caught.value.hint


def test_the_hub_id_of_packaged_weights_means_these():
    """The bytes are the same; so an adapter that names the id can be analysed without a hub."""
    assert get_model("sentence-transformers/all-MiniLM-L6-v2") is get_model("minilm")
    assert get_model("minilm").public_name == "sentence-transformers/all-MiniLM-L6-v2"
    assert get_model("esm2").public_name == "esm2"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("roberta-base", "text"),
        ("sentence-transformers/all-mpnet-base-v2", "text"),
        ("facebook/esm2_t6_8M_UR50D", "protein"),
        ("Rostlab/prot_bert", "protein"),
    ],
)
def test_hub_ids_pass_unchanged(name, family, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert model_folder(name) == name and get_model(name).family == family and not is_fetched(name)


@pytest.fixture
def hub_cache(tiny_esm, tmp_path):
    """A hub cache that holds one model under a name that says nothing about proteins."""
    root = tmp_path / "hub" / "models--someone--thing"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(tiny_esm, root / "snapshots" / commit)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    return tmp_path / "hub"


def test_the_family_is_read_from_the_hub_cache_where_the_model_lies_there(hub_cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(hub_cache))
    assert get_model("someone/thing").family == "protein"
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(hub_cache.parent))
    assert get_model("someone/thing").family == "protein"
    monkeypatch.setenv("HF_HOME", str(hub_cache))
    assert get_model("someone/thing").family == "text"


def test_a_model_of_the_hub_cache_loads_offline_by_id_and_by_folder(hub_cache):
    code = """
import sys, bidora.models, transformers
for name in sys.argv[1:] or ("someone/thing", FOLDER):
    folder = bidora.models.model_folder(name)
    model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True)
    tokens = transformers.AutoTokenizer.from_pretrained(folder)("ACDE", return_tensors="pt")
    print(type(model).__name__, tuple(model(**tokens).last_hidden_state.shape))
""".replace("FOLDER", repr(str(hub_cache / "models--someone--thing")))
    assert run_python(code, HF_HUB_CACHE=str(hub_cache), HF_HUB_OFFLINE="1") == "EsmModel (1, 6, 24)"


def test_importing_the_registry_costs_no_torch():
    code = "import sys, bidora.models, bidora.tasks; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    assert run_python(code) == "[]"


def test_notices_are_shown_once_per_cache_and_again_when_they_change(tmp_path, monkeypatch):
    import dataclasses

    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path))
    model = MODELS["esm2"]
    silent = dataclasses.replace(model, name="silent", notice="")
    (notice,) = pending_notices(model, silent)
    assert "haemolytic" in notice.text
    assert pending_notices(model) == [notice]  # asking is not showing
    mark_shown([notice])
    assert pending_notices(model) == []
    assert len(pending_notices(dataclasses.replace(model, notice="other terms"))) == 1


def test_a_cache_that_cannot_remember_shows_again(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path / "file"))
    mark_shown(pending_notices(MODELS["esm2"]))
    assert len(pending_notices(MODELS["esm2"])) == 1


def test_the_packaged_esm_is_converted_without_its_heads(tiny_esm, tmp_path):
    """The same steps on a tiny file of the same layout."""
    import torch
    from safetensors.torch import load_file

    from bidora.models.esm2 import convert

    encoder = load_file(tiny_esm / "model.safetensors")
    state = {f"esm.{name}": tensor for name, tensor in encoder.items() if "contact_head" not in name}
    state["esm.contact_head.regression.weight"] = torch.ones(1, 4)
    state["esm.embeddings.position_embeddings.weight"] = torch.ones(80, 24)
    state["classifier.dense.weight"] = torch.ones(24, 24)
    torch.save(state, tmp_path / "pytorch_model.bin")
    config = json.loads((tiny_esm / "config.json").read_text())
    config |= {"problem_type": "single_label_classification", "architectures": ["EsmForSequenceClassification"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    convert(tmp_path)
    kept = load_file(tmp_path / "model.safetensors")
    assert kept and not any(name.startswith(("classifier", "contact_head", "esm.")) for name in kept)
    assert all(torch.equal(kept[name], encoder[name]) for name in kept)
    written = json.loads((tmp_path / "config.json").read_text())
    assert "problem_type" not in written and written["architectures"] == ["EsmModel"]
    assert not (tmp_path / "pytorch_model.bin").exists()


def test_a_file_that_holds_more_than_tensors_is_not_converted(tmp_path):
    import pickle

    import torch

    from bidora.models.esm2 import convert

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "evil"),))

    torch.save({"esm.x": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(pickle.UnpicklingError):
        convert(tmp_path)
    assert not (tmp_path / "evil").exists()


def test_a_file_without_an_encoder_is_refused(tmp_path):
    import torch

    from bidora.models.esm2 import convert

    torch.save({"classifier.weight": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(LabError, match="no ESM encoder"):
        convert(tmp_path)


# -- with the real weights ----------------------------------------------------------------------------------------


def embeddings(folder, texts):
    """Mean over tokens, length one, (texts, width)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder, use_safetensors=True).eval()(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


@pytest.mark.real
def test_minilm_knows_what_sentences_mean():
    vectors = embeddings(
        needs("minilm"), ["Someone is having a meal.", "A man is eating food.", "The central bank raised its rate."]
    )
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.6 and likeness[0, 2] < 0.2


@pytest.mark.real
def test_esm2_knows_relatives_from_strangers():
    vectors = embeddings(
        needs("esm2"),
        ["GLWSKIKEVGKEAAKAAAKAAGKAALGAVSEAV", "GLWSKIKEVGKEAAKAAAKAAGKAALGAISEAV", "MTYKLILNGKTLKGETTTEAVDAATAEKVFKQY"],
    )
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.95 > 0.8 > likeness[0, 2]


@pytest.mark.real
@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("outputs", [1, 3])
def test_packaged_weights_carry_a_classifier(name, outputs):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = needs(name)
    model, report = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=outputs, use_safetensors=True, output_loading_info=True
    )
    new = {key for key in report["missing_keys"] if "classifier" not in key and "contact_head" not in key}
    assert not new and not report["unexpected_keys"]
    logits = model.eval()(**AutoTokenizer.from_pretrained(folder)("ACDEFGHIK", return_tensors="pt")).logits
    assert logits.shape == (1, outputs) and torch.isfinite(logits).all()


@pytest.mark.real
@pytest.mark.parametrize("name", list(MODELS))
def test_the_number_of_parameters_is_as_registered(name):
    from safetensors import safe_open

    with safe_open(Path(needs(name)) / "model.safetensors", "pt") as tensors:
        shapes = {key: tensors.get_slice(key).get_shape() for key in tensors.keys()}  # noqa: SIM118 - no mapping
    counted = 0
    for key, shape in shapes.items():
        if not key.endswith(("position_ids", "inv_freq")):
            size = 1
            for length in shape:
                size *= length
            counted += size
    assert counted == MODELS[name].parameters
