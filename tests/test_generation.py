"""Written texts: encoding, loss, search, and BiDoRA from E2E's files to plain PEFT with GPT-2 and Llama."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from tiny_causal import causal_tokenizer, needs_scores, rows_of, save_causal_model, write_e2e
from variants import by_default

from bidora.adapter import adapt
from bidora.config import RunConfig
from bidora.encoding import IGNORED
from bidora.errors import LabError
from bidora.evaluation import evaluate
from bidora.kinds import get_kind
from bidora.kinds.generation import new_tokens
from bidora.kinds.generator import build_generator, generate, loss_of_texts
from bidora.kinds.prompts import EncodedPairs, prompts_of
from bidora.metrics import METRICS
from bidora.metrics.scoring import objects
from bidora.runs import Run
from bidora.tasks import Split, prepare
from bidora.train import train

pytestmark = needs_scores

FAMILIES = ("gpt2", "llama")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("causal")
    return {family: save_causal_model(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_e2e(tmp_path_factory.mktemp("e2e"))


def config_of(data: Path, model: Path, **settings) -> RunConfig:
    values = dict(method="bidora", rank=2, steps=6, batch_size=4, learning_rate=1e-2, threads=1, max_length=60)
    return RunConfig(task="e2e", data=str(data), model=str(model), **{**values, "max_new_tokens": 12, **settings})


def encoded(data: Path, *, begins: bool = False, max_length: int = 60) -> EncodedPairs:
    prepared = prepare(RunConfig(task="e2e", data=str(data), method="lora"))
    return EncodedPairs(prepared.train, causal_tokenizer(begins=begins), max_length=max_length)


# -- encoding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begins", [False, True])
def test_only_the_text_and_its_end_are_learnt(begins, data):
    split = encoded(data, begins=begins)
    words = split.tokenizer.convert_ids_to_tokens
    item = split[0]
    meaning, text = rows_of("train", 24)[0]
    assert words(item["input_ids"])[0] == ("<s>" if begins else "name")
    learnt = [each for each in item["labels"] if each != IGNORED]
    assert words(learnt) == [*re.findall(r"\w+|[^\w\s]+", text), "</s>"]
    assert item["labels"][: len(split.prompts[0])] == [IGNORED] * len(split.prompts[0])
    assert item["input_ids"][: len(split.prompts[0])] == prompts_of([meaning], split.tokenizer)[0]
    assert words(split.prompts[0])[-1] == "|||" and split.cut == 0


def test_long_texts_lose_their_end_and_long_prompts_their_beginning(data):
    whole, short = encoded(data), encoded(data, max_length=20)
    assert max(short.lengths) == 20 and short.cut == sum(length > 20 for length in whole.lengths) > 0
    assert short.ids[0] == whole.ids[0][:20]
    tiny = encoded(data, max_length=8)
    assert tiny.ids[0][:7] == whole.prompts[0][-7:] and [each != IGNORED for each in tiny[0]["labels"]] == [
        False
    ] * 7 + [True]


def test_a_tokenizer_without_end_is_refused(data):
    tokenizer = causal_tokenizer(begins=False)
    tokenizer.eos_token = None
    split = prepare(RunConfig(task="e2e", data=str(data), method="lora")).test
    with pytest.raises(LabError, match="no end-of-text token"):
        EncodedPairs(split, tokenizer, max_length=60)


def test_what_is_scored_is_each_meaning_once_with_all_its_references(data):
    split = encoded(data)
    assert len(split) == 60 and len(split.items) == 24 and split.items.items is split.items
    assert sum(map(len, split.items.split.targets)) == 60
    assert split.items.ids[1] == split.ids[1], "the loss is that of the first reference"


# -- loss ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_transformers_own_on_the_labels(family, folders, data):
    kind, split = get_kind("generation"), encoded(data, begins=family == "llama")
    model = build_generator(str(folders[family]), RunConfig(), new_tokens=5).eval()
    batch = kind.collator(0)([split[place] for place in (0, 7, 20)])
    assert batch["labels"].shape == batch["input_ids"].shape
    with torch.no_grad():
        ours = kind.loss(model(batch["input_ids"], batch["attention_mask"]), batch["labels"])
        theirs = model.backbone(**batch).loss
    torch.testing.assert_close(ours, theirs)
    assert kind.terms(batch["labels"]) == int((batch["labels"] != IGNORED).sum())


def test_the_loss_does_not_read_prompts_and_can_be_differentiated_twice():
    logits = torch.randn(2, 5, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[IGNORED, IGNORED, 3, 1, 2], [IGNORED, 4, 2, IGNORED, IGNORED]])
    (slope,) = torch.autograd.grad(loss_of_texts(logits, labels), logits, create_graph=True)
    assert (slope.abs().sum(-1) > 0).tolist() == [[False, True, True, True, False], [True, True, False, False, False]]
    assert torch.autograd.gradgradcheck(lambda x: loss_of_texts(x, labels), (logits,))


# -- search ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("beams", [1, 3])
def test_padding_on_the_left_changes_no_text(family, beams, folders, data):
    """All prompts together, one at a time, and transformers' own generate write the same."""
    from transformers import AutoModelForCausalLM

    split = encoded(data, begins=family == "llama")
    prompts = [split.prompts[0], split.prompts[3][-9:], split.prompts[11][-4:]]
    model = build_generator(str(folders[family]), RunConfig(beams=beams), new_tokens=12).eval()
    together = generate(model, prompts, split.tokenizer)
    plain = AutoModelForCausalLM.from_pretrained(folders[family]).eval()
    for prompt, text in zip(prompts, together):
        assert generate(model, [prompt], split.tokenizer) == [text]
        ids = torch.tensor([prompt])
        with torch.no_grad():
            out = plain.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), num_beams=beams, max_new_tokens=12, pad_token_id=2
            )
        assert split.tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True).split() == text.split()
    assert len(set(together)) > 1 and all(len(text.split()) <= 12 for text in together)


def test_a_models_own_habits_of_writing_do_not_count(folders, tmp_path, data):
    """Sampling, penalties and limits in generation_config.json would make scores depend on them."""
    import shutil

    shutil.copytree(folders["gpt2"], tmp_path / "model")
    habits = {"do_sample": True, "temperature": 2.0, "repetition_penalty": 5.0, "max_length": 3, "eos_token_id": 2}
    (tmp_path / "model" / "generation_config.json").write_text(json.dumps(habits))
    split = encoded(data)
    texts = [
        generate(build_generator(str(place), RunConfig(), new_tokens=12).eval(), split.prompts[:3], split.tokenizer)
        for place in (tmp_path / "model", folders["gpt2"])
    ]
    assert texts[0] == texts[1]


def test_texts_end_in_time(folders, data):
    split = encoded(data)
    model = build_generator(str(folders["gpt2"]), RunConfig(), new_tokens=500).eval()
    (text,) = generate(model, split.prompts[:1], split.tokenizer)  # 64 places
    assert len(text.split()) <= 64 - len(split.prompts[0])
    assert new_tokens(RunConfig(task="e2e")) == 96 and new_tokens(RunConfig(task="e2e", max_length=50)) == 25
    assert new_tokens(RunConfig(task="e2e", max_new_tokens=7)) == 7


def test_a_model_that_does_not_write_is_refused(tiny_bert, tmp_path):
    with pytest.raises(LabError, match="reads texts and does not write them"):
        build_generator(str(tiny_bert), RunConfig(), new_tokens=5)
    with pytest.raises(LabError, match="cannot be loaded"):
        build_generator(str(tmp_path), RunConfig(), new_tokens=5)


def test_pickled_weights_are_not_read(folders, tmp_path):
    import shutil

    shutil.copytree(folders["gpt2"], tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(LabError, match="weights of model"):
        build_generator(str(tmp_path / "model"), RunConfig(), new_tokens=5)


def test_dropout_is_what_the_settings_say(folders):
    model = build_generator(str(folders["gpt2"]), RunConfig(backbone_dropout=0.3), new_tokens=5)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.3}
    still = build_generator(str(folders["gpt2"]), RunConfig(), new_tokens=5)
    assert {module.p for module in still.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}


def test_the_models_own_head_is_not_trained(folders):
    model = adapt(build_generator(str(folders["gpt2"]), RunConfig(), new_tokens=5), RunConfig(method="lora", rank=2))
    assert all("lora_" in name for name, p in model.named_parameters() if p.requires_grad)
    with pytest.raises(LabError, match="method=head trains nothing of this model"):
        adapt(build_generator(str(folders["gpt2"]), RunConfig(), new_tokens=5), RunConfig(method="head"))


def test_bytes_of_gpt2s_tokenizer_are_cut_as_one_text():
    """Prompt and text apart give the tokens of both together, so that writing goes on from what was trained on."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    rows = rows_of("train", 24)
    inner.train_from_iterator(
        [text for row in rows for text in row],
        trainers.BpeTrainer(vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>")
    for meaning, text in [*rows[:5], ("name[Café £]", "Café £20 – 4.5 ★")]:
        split = Split((meaning,), objects([(text,)]), ("a",))
        (ids,) = EncodedPairs(split, tokenizer, max_length=500).ids
        assert ids == [*tokenizer(f"{meaning} ||| {text}")["input_ids"], tokenizer.eos_token_id]
        known = len(prompts_of([meaning], tokenizer)[0])
        assert tokenizer.decode(ids[known:], skip_special_tokens=True) == f" {text}"


# -- evaluation ----------------------------------------------------------------------------------------------------------------


def test_a_split_is_tested_item_by_item_with_progress(folders, data, monkeypatch):
    kind, split = get_kind("generation"), encoded(data)
    monkeypatch.setattr(type(kind), "batch", 5)
    model = build_generator(str(folders["gpt2"]), RunConfig(), new_tokens=4).eval()
    told = []
    found = evaluate(
        model,
        split,
        kind="generation",
        labels=(),
        scale=None,
        pad_id=0,
        limit=12,
        progress=lambda *each: told.append(each),
    )
    assert told == [("testing", 5, 12), ("testing", 10, 12), ("testing", 12, 12)]
    assert len(found.outputs) == 12 and all(isinstance(text, str) for text in found.outputs)
    whole = evaluate(model, split, kind="generation", labels=(), scale=None, pad_id=0)
    assert list(whole.targets) == list(split.items.split.targets)
    expected = generate(model, split.items.prompts, split.tokenizer)
    assert list(whole.outputs) == expected
    with torch.no_grad():
        terms = [
            loss_of_texts(
                model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)),
                torch.tensor([split.items[place]["labels"]]),
            )
            for place, ids in enumerate(split.items.ids)
        ]
    counts = [sum(label != IGNORED for label in split.items[place]["labels"]) for place in range(24)]
    assert whole.loss == pytest.approx(numpy.average([float(each) for each in terms], weights=counts), rel=1e-4)


# -- runs ------------------------------------------------------------------------------------------------------------------------


PLAIN = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base, adapter, merged = sys.argv[1], sys.argv[2], sys.argv[3] == "merged"
wanted = json.load(sys.stdin)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
model = (model.merge_and_unload() if merged else model).eval()
tokenizer = AutoTokenizer.from_pretrained(adapter, padding_side="left")
texts, loss, count = [], 0.0, 0
for meaning, reference in wanted:
    prompt = tokenizer(meaning + " |||", return_tensors="pt")
    prompt.pop("token_type_ids", None)
    written = model.generate(**prompt, max_new_tokens=12, do_sample=False, pad_token_id=2)
    start = prompt["input_ids"].shape[1]
    texts.append(" ".join(tokenizer.decode(written[0, start:], skip_special_tokens=True).split()))
    rest = tokenizer(" " + reference, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    ids = torch.cat([prompt["input_ids"], torch.tensor([rest])], dim=1)
    labels = ids.clone()
    labels[:, :start] = -100
    with torch.no_grad():
        loss += float(model(input_ids=ids, labels=labels).loss) * len(rest)
    count += len(rest)
assert not [name for name in sys.modules if name.split(".")[0] == "bidora"]
print(json.dumps({"texts": texts, "loss": loss / count}))
"""


def in_plain_peft(run: Run, base: Path, *, how: str) -> dict:
    """Texts and loss of the test items, in a process that knows peft and transformers only."""
    test = prepare(run.config).test
    pairs = [(meaning, references[0]) for meaning, references in zip(test.inputs, test.targets)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLAIN, str(base), str(run.adapter_dir), how],
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("family", by_default(FAMILIES, ["gpt2"]))
def test_bidora_from_files_to_plain_peft_with_equal_texts_and_loss(family, folders, data, tmp_path):
    from bidora.evaluation import evaluate as again

    config = config_of(data, folders[family], selection_fraction=0.2)
    result = train(run := Run.create(config, tmp_path))
    assert run.state == "finished" and result["kind"] == "generation" and result["primary"] == "bleu"
    here = {name for name in METRICS["generation"] if name != "meteor" or "meteor" in result["scores"]}
    assert set(result["scores"]) == here == set(result["selection_scores"]) == set(result["baseline"])
    assert set(run.metrics()["phase"]) == {"search", "retrain"}
    assert result["n_test"] == 8 and result["n_lower"] + result["n_upper"] == result["n_train"]
    frame = run.predictions()
    test = prepare(config).test
    assert list(frame["input"]) == list(test.inputs) and list(frame["target"]) == [
        "\n".join(each) for each in test.targets
    ]
    for how in ("attached", "merged") if family == "gpt2" else ("attached",):
        plain = in_plain_peft(run, folders[family], how=how)
        assert plain["texts"] == list(frame["prediction"])
        model = adapt(build_generator(str(folders[family]), config, new_tokens=12), config).eval()
        state = _tensors(run.adapter_dir / "adapter_model.safetensors")
        _load(model.backbone, state)
        kind = get_kind("generation")
        split = kind.encode(test, causal_tokenizer(begins=family == "llama"), max_length=60, scale=None)
        found = again(model, split, kind="generation", labels=(), scale=None, pad_id=0)
        assert found.loss == pytest.approx(plain["loss"], rel=1e-4)
        assert {name: each["value"] for name, each in result["scores"].items()} == pytest.approx(found.scores)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _load(model: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
    from peft import set_peft_model_state_dict

    set_peft_model_state_dict(model, state)


@pytest.mark.slow
def test_training_lowers_the_loss_and_learns_the_form(folders, data, tmp_path):
    """Enough steps on few words: the texts come near the references, far above the constant answer's BLEU of other names."""
    config = config_of(
        data,
        folders["gpt2"],
        method="full",
        steps=120,
        learning_rate=5e-3,
        batch_size=16,
        max_new_tokens=20,
        evaluate_every=60,
    )
    result = train(run := Run.create(config, tmp_path))
    losses = run.metrics()["loss"].dropna()
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]
    assert result["scores"]["bleu"]["value"] > 0.3 and result["scores"]["rouge_l"]["value"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [dict(mixed_product="exact"), dict(unroll_scale="adam"), dict(unroll_scale="0"), dict(upper_data="same")],
)
def test_variants_of_the_two_levels_run(settings, folders, data, tmp_path):
    run = Run.create(config_of(data, folders["gpt2"], steps=2, evaluation_examples=2, **settings), tmp_path)
    assert train(run)["scores"]["bleu"]["value"] is not None


@pytest.mark.slow
def test_a_stop_in_the_middle_of_the_test_is_granted_and_resumed_with_equal_results(
    folders, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(type(get_kind("generation")), "batch", 3)
    config = config_of(data, folders["gpt2"], steps=2, evaluation_examples=2)
    whole = train(Run.create(config, tmp_path / "whole"))
    run = Run.create(config, tmp_path / "stopped")

    def stop(what: str, done: float, total: float) -> None:
        if what == "testing" and run.status["state"] == "finalising" and done == 3:
            run.request_stop()

    assert train(run, progress=stop) == {} and run.state == "stopped"
    assert not (run.path / "result.json").exists()
    again = train(run)
    assert run.state == "finished" and again["scores"] == whole["scores"]


def test_time_left_is_told_while_testing(tmp_path):
    import time

    from bidora.evaluation import StopWished, watched

    run = Run.create(RunConfig(task="e2e"), tmp_path)
    tell = watched(run, None)
    time.sleep(1.1)
    tell("testing", 1, 4)
    assert 3.0 <= run.status["eta_seconds"] <= 5.0
    run.request_stop()
    with pytest.raises(StopWished):
        tell("testing", 2, 4)
    tell("testing", 4, 4)
    assert run.status["eta_seconds"] is None
