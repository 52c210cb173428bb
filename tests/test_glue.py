"""GLUE's eight tasks: every file layout, pairs as pairs, official scores, and a run from the files to plain PEFT."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
from tiny import WORDS, tokenizer_of

from bidora.config import RunConfig
from bidora.encoding import EncodedSplit, PaddingCollator
from bidora.errors import LabError
from bidora.runs import Run
from bidora.tasks import TASKS, Split, get_task, prepare
from bidora.tasks.cuts import draw
from bidora.tasks.glue import GLUE, LAYOUTS
from bidora.tasks.glue_files import HUB_ID, read_hub, read_tsv

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "glue"

HEADINGS = {
    "CoLA": "",
    "MNLI": "index\tpromptID\tpairID\tgenre\tsentence1\tsentence2\tlabel1\tgold_label",
    "MRPC": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    "QNLI": "index\tquestion\tsentence\tlabel",
    "QQP": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "RTE": "index\tsentence1\tsentence2\tlabel",
    "SST-2": "sentence\tlabel",
    "STS-B": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
}
"""First lines as GLUE's download script leaves them."""


def sentence(generator: random.Random) -> str:
    return " ".join(generator.choices(WORDS, k=generator.randint(3, 8)))


def row(folder: str, number: int, generator: random.Random) -> str:
    """One made-up line; quotation marks without partners are part of the texts, as in GLUE."""
    one, two = f'"{sentence(generator)}', sentence(generator)
    classes = {"MNLI": ("entailment", "neutral", "contradiction")}.get(folder, ("entailment", "not_entailment"))
    word, digit = classes[number % len(classes)], number % 2
    cells = {
        "CoLA": ["gj04", digit, "" if digit else "*", one],
        "MNLI": [number, number, f"{number}n", "fiction", one, two, word, word],
        "MRPC": [digit, number, number + 1, one, two],
        "QNLI": [number, one, two, word],
        "QQP": [number, 2 * number, 2 * number + 1, one, two, digit],
        "RTE": [number, one, two, word],
        "SST-2": [one, digit],
        "STS-B": [number, "news", "f", "2012", number, "none", "none", one, two, f"{number % 26 / 5:.3f}"],
    }
    return "\t".join(map(str, cells[folder]))


def write_glue(root: Path, folder: str, *, train: int = 60, dev: int = 20) -> Path:
    """glue_data/<TASK>/*.tsv with made-up sentences."""
    place = root / folder
    place.mkdir(parents=True)
    sections = ("dev_matched", "dev_mismatched") if folder == "MNLI" else ("dev",)
    for seed, (name, count) in enumerate([("train", train), *((each, dev) for each in sections)]):
        generator = random.Random(seed)
        lines = [row(folder, number, generator) for number in range(count)]
        heading = [HEADINGS[folder]] if HEADINGS[folder] else []
        start = "\ufeff" if folder == "MRPC" else ""  # MRPC's files begin with a mark of byte order
        (place / f"{name}.tsv").write_text(start + "\n".join([*heading, *lines]) + "\n", encoding="utf-8")
    return root


# -- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_task_is_read_from_its_tsv_files(layout, tmp_path):
    write_glue(tmp_path, layout.folder)
    prepared = prepare(RunConfig(task=layout.name, data=str(tmp_path), selection_fraction=0.2))
    assert (len(prepared.train) + len(prepared.selection), len(prepared.test)) == (60, 20)
    assert prepared.labels == layout.labels and prepared.metrics == layout.metrics
    assert prepared.kind == ("classification" if layout.labels else "regression")
    assert all(text.startswith('"') for text in prepared.train.inputs), "quotation marks are letters here"
    assert len(prepared.train.seconds) == (0 if layout.name in ("cola", "sst2") else len(prepared.train))
    assert any("the test set is GLUE's development set" in note for note in prepared.notes)
    if layout.labels:
        assert set(prepared.train.targets) == set(range(len(layout.labels)))
    else:
        assert prepared.train.targets.dtype == numpy.float64 and prepared.train.targets.max() <= 5
    alone = prepare(RunConfig(task=layout.name, data=str(tmp_path / layout.folder), selection_fraction=0.2))
    assert alone.train.digest() == prepared.train.digest()


def test_mnli_has_two_test_sets(tmp_path):
    write_glue(tmp_path, "MNLI")
    matched, mismatched = (
        prepare(RunConfig(task="mnli", variant=each, data=str(tmp_path))) for each in ("", "mismatched")
    )
    assert matched.train.digest() == mismatched.train.digest()
    assert matched.test.digest() != mismatched.test.digest()
    assert any("development set, matched" in note for note in matched.notes)


def test_only_line_feeds_and_tabs_cut():
    content = (
        'index\tsentence1\tsentence2\tlabel\r\n0\ta "b\x85c\u2028d\te"\tentailment\r\n1\tshort\n\n2\tf\tg\tentailment'
    )
    rows = read_tsv(content.encode(), "dev.tsv")
    assert rows.columns["sentence1"] == ['a "b\x85c\u2028d', "f"] and rows.columns["sentence2"] == ['e"', "g"]
    assert rows.numbers == [2, 5] and rows.skipped == 1


def test_rows_without_a_label_are_left_out_and_counted(tmp_path):
    write_glue(tmp_path, "MNLI")
    path = tmp_path / "MNLI" / "train.tsv"
    path.write_text(path.read_text() + "99\t99\t99n\tfiction\tone\ttwo\tneutral\t-\n98\tbroken\n")
    notes = prepare(RunConfig(task="mnli", data=str(tmp_path))).notes
    assert "MNLI/train.tsv: 1 rows without text or label were left out" in notes
    assert "MNLI/train.tsv: 1 malformed lines were left out" in notes


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda root: root.joinpath("RTE", "dev.tsv").unlink(), "holds neither RTE/dev.tsv nor dev.tsv nor rte/"),
        (lambda root: root.joinpath("RTE", "dev.tsv").write_text("index\tsentence1\n0\ta\n"), "no column 'sentence2'"),
        (lambda root: root.joinpath("RTE", "dev.tsv").write_bytes(b"\xff\xfe\x00"), "is not UTF-8"),
        (lambda root: root.joinpath("RTE", "dev.tsv").write_text("one line"), "holds no rows"),
        (
            lambda root: root.joinpath("RTE", "dev.tsv").write_text("sentence1\tsentence2\tlabel\na\tb\tmaybe\n"),
            "no row has a label that is one of entailment, not_entailment",
        ),
    ],
)
def test_files_that_are_not_glues(break_it, words, tmp_path):
    write_glue(tmp_path, "RTE")
    break_it(tmp_path)
    with pytest.raises(LabError) as caught:
        prepare(RunConfig(task="rte", data=str(tmp_path)))
    assert words in caught.value.message and caught.value.hint and caught.value.kind == "data"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(LabError, match="does not exist"):
        prepare(RunConfig(task="rte", data=str(tmp_path / "nowhere")))


def test_zips_are_read_in_memory(tmp_path):
    """CoLA's own zip (raw files, development set in two parts), and a task's folder zipped as GLUE does."""
    write_glue(tmp_path / "glue", "CoLA")
    lines = {part: (tmp_path / "glue" / "CoLA" / f"{part}.tsv").read_text() for part in ("train", "dev")}
    dev = lines["dev"].splitlines(keepends=True)
    own, plain = tmp_path / "cola_public.zip", tmp_path / "CoLA.zip"
    with zipfile.ZipFile(own, "w") as archive:
        archive.writestr("cola_public/raw/in_domain_train.tsv", lines["train"])
        archive.writestr("cola_public/raw/in_domain_dev.tsv", "".join(dev[:12]))
        archive.writestr("cola_public/raw/out_of_domain_dev.tsv", "".join(dev[12:]))
        archive.writestr("cola_public/tokenized/in_domain_train.tsv", "other")
        archive.writestr("../../outside.tsv", "never written")
    with zipfile.ZipFile(plain, "w") as archive:
        for part, text in lines.items():
            archive.writestr(f"CoLA/{part}.tsv", text)
    read = [prepare(RunConfig(task="cola", data=str(each))) for each in (tmp_path / "glue", own, plain)]
    assert read[0].train.digest() == read[1].train.digest() == read[2].train.digest()
    assert read[0].test.inputs == read[1].test.inputs == read[2].test.inputs
    assert sorted(each.name for each in tmp_path.iterdir()) == ["CoLA.zip", "cola_public.zip", "glue"]
    with pytest.raises(LabError, match="holds no RTE/train.tsv"):
        prepare(RunConfig(task="rte", data=str(own)))


# -- the hub ------------------------------------------------------------------------------------------------------


def write_hub(root: Path, name: str, parts: dict[str, int]) -> Path:
    """Parquet files as the hub's repository holds them."""
    from datasets import ClassLabel, Dataset, Features, Value

    layout = next(each for each in LAYOUTS if each.name == name)
    label = ClassLabel(names=list(layout.labels)) if layout.labels else Value("float32")
    (root / name).mkdir(parents=True)
    for part, count in parts.items():
        generator = random.Random(part)
        columns = {each: [sentence(generator) for _ in range(count)] for each in layout.hub_texts}
        marks = [number % len(layout.labels) if layout.labels else number % 26 / 5 for number in range(count)]
        features = Features({**{each: Value("string") for each in columns}, "label": label, "idx": Value("int32")})
        table = Dataset.from_dict({**columns, "label": marks, "idx": list(range(count))}, features=features)
        table.to_parquet(root / name / f"{part}-00000-of-00001.parquet")
    return root


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_local_folder_in_the_hubs_layout(layout, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    dev = ("validation_matched", "validation_mismatched") if layout.name == "mnli" else ("validation",)
    write_hub(tmp_path / "hub", layout.name, {"train": 60, **dict.fromkeys(dev, 20)})
    prepared = prepare(RunConfig(task=layout.name, data=str(tmp_path / "hub")))
    assert (len(prepared.train), len(prepared.test), prepared.labels) == (60, 20, layout.labels)
    assert bool(prepared.test.seconds) == (len(layout.texts) == 2)
    assert any("hub's layout" in note for note in prepared.notes)


def test_the_hub_is_asked_by_its_own_names(monkeypatch):
    """No network here: what would be asked for, and what is said where nothing answers."""
    asked = []

    def refuse(*args, **options):
        asked.append((args, options))
        raise ConnectionError("no network in tests\nmore")

    monkeypatch.setattr("datasets.load_dataset", refuse)
    for data in ("", "hub"):
        with pytest.raises(LabError, match=r"nyu-mll/glue \(cola, train\).*no network in tests") as caught:
            prepare(RunConfig(task="cola", data=data))
        assert "data=FOLDER" in caught.value.hint and caught.value.kind == "download"
    with pytest.raises(LabError):
        read_hub(HUB_ID, "mnli", "validation_mismatched")
    assert asked[0] == asked[1] == ((HUB_ID, "cola"), {"split": "train"})
    assert asked[2] == ((HUB_ID, "mnli"), {"split": "validation_mismatched"})


def test_forms_and_commands_know_that_the_hub_is_meant():
    from bidora.preflight.material import check_data, check_splits
    from bidora.preview import data_in_words

    config = RunConfig(task="sst2")
    assert data_in_words(config, get_task("sst2")) == "looked for on the hub"
    assert "hub" in check_data(config, get_task("sst2"))[0].sentence
    assert check_splits(config, get_task("sst2"))[0].ok is None
    assert not get_task("csv").from_hub(RunConfig(task="csv")) and get_task("reuters").from_hub(RunConfig(data="hub"))


def test_the_registry_names_all_eight():
    assert {task.name for task in GLUE} == set("cola mnli mrpc qnli qqp rte sst2 stsb".split()) <= set(TASKS)
    assert all("roberta-base" in task.notice and task.hub == HUB_ID for task in GLUE)


# -- pairs --------------------------------------------------------------------------------------------------------


def pairs(count: int = 12) -> Split:
    generator = random.Random(0)
    firsts = tuple(sentence(generator) for _ in range(count // 3) for _ in range(3))
    seconds = tuple(sentence(generator) for _ in range(count))
    return Split(firsts, numpy.arange(count) % 2, tuple(map(str, range(count))), seconds)


def test_a_split_of_pairs_takes_and_digests_both_texts():
    split = pairs()
    assert split.take([3, 1]).seconds == (split.seconds[3], split.seconds[1])
    other = Split(split.inputs, split.targets, split.ids, (*split.seconds[:-1], "else"))
    assert split.digest() != other.digest() != Split(split.inputs, split.targets, split.ids).digest()
    assert split.shown(23)[0] == f"{split.inputs[0][:10]} | {split.seconds[0][:10]}"
    with pytest.raises(ValueError, match="second texts"):
        Split(split.inputs, split.targets, split.ids, split.seconds[:-1])


def test_draws_tell_pairs_apart_by_both_texts():
    split = pairs(60)
    chosen, _ = draw(split, "classification", 5, seed=0)
    backwards = split.take(range(59, -1, -1))
    again, _ = draw(backwards, "classification", 5, seed=0)
    assert {split.keys[each] for each in chosen} == {backwards.keys[each] for each in again}


def test_pairs_are_encoded_as_the_tokenizer_encodes_them_and_the_longer_text_is_cut():
    tokenizer = tokenizer_of(WORDS)
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # as BERT's
    texts = ("word1 word2 word3 word4 word5 word6", "word7 word8"), ("word9", "word10 word11 word12 word13")
    split = Split(texts[0], numpy.array([0, 1]), ("a", "b"), texts[1])
    encoded = EncodedSplit(split, tokenizer, max_length=8, scale=None)
    first, second = tokenizer.convert_ids_to_tokens(encoded[0]["input_ids"]), encoded[1]
    assert first == "[CLS] word1 word2 word3 word4 [SEP] word9 [SEP]".split()
    assert tokenizer.convert_ids_to_tokens(second["input_ids"]) == (
        "[CLS] word7 word8 [SEP] word10 word11 word12 [SEP]".split()
    )
    assert second["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1, 1] and encoded.cut == 2
    batch = PaddingCollator(0, multiple=16)([encoded[0], encoded[1]])
    assert batch["token_type_ids"].shape == batch["input_ids"].shape == (2, 16)
    assert batch["token_type_ids"][1].tolist() == [0] * 4 + [1] * 4 + [0] * 8
    single = EncodedSplit(Split(texts[0], split.targets, split.ids), tokenizer, max_length=8, scale=None)
    assert "token_type_ids" not in single[0], "single texts are encoded as before"


def test_segments_reach_models_that_know_them_and_only_these(tiny_bert, tiny_esm):
    from bidora.classifier import build_classifier

    ids = torch.tensor([[2, 5, 3, 6, 3]])
    segments = torch.tensor([[0, 0, 0, 1, 1]])
    for folder, knows in ((tiny_bert, True), (tiny_esm, False)):
        model = build_classifier(str(folder), RunConfig(), outputs=2).eval()
        with torch.no_grad():
            plain, told = model(ids, torch.ones_like(ids)), model(ids, torch.ones_like(ids), token_type_ids=segments)
        assert torch.equal(plain, told) is not knows


# -- runs ---------------------------------------------------------------------------------------------------------


def run_of(root: Path, model: Path, **settings) -> Run:
    values = dict(method="bidora", rank=2, steps=6, batch_size=8, learning_rate=1e-2, threads=1, max_length=30)
    return Run.create(RunConfig(model=str(model), **{**values, **settings}), root)


def in_plain_peft(run: Run, base: Path, split: Split, *, outputs: int) -> torch.Tensor:
    """Logits of the saved adapter, computed without bidora: tokenizer and model as anybody loads them."""
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=outputs)
    model = PeftModel.from_pretrained(model, str(run.adapter_dir)).merge_and_unload().eval()
    tokenizer = AutoTokenizer.from_pretrained(run.adapter_dir)
    batch = tokenizer(
        list(split.inputs),
        list(split.seconds) if split.seconds else None,
        truncation=True,
        max_length=30,
        padding=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        return model(**batch).logits


@pytest.mark.filterwarnings("ignore")  # of plain transformers and peft
@pytest.mark.parametrize("name", ["mrpc", "stsb", "cola"])
def test_bidora_from_files_to_plain_peft_with_equal_scores(name, tiny_roberta, tmp_path):
    from bidora.metrics import score
    from bidora.train import train

    layout = next(each for each in LAYOUTS if each.name == name)
    write_glue(tmp_path / "glue", layout.folder, train=40, dev=16)
    run = run_of(tmp_path, tiny_roberta, task=name, data=str(tmp_path / "glue"), selection_fraction=0.2)
    result = train(run)
    assert run.state == "finished" and result["primary"] == layout.metrics[0] == run.meta["primary"]
    assert list(result["scores"])[: len(layout.metrics)] == list(layout.metrics)
    assert set(layout.metrics) <= set(result["selection_scores"]) & set(result["baseline"])
    test = prepare(run.config).test
    logits = in_plain_peft(run, tiny_roberta, test, outputs=len(layout.labels) or 1).double().numpy()
    if not layout.labels:
        scale = json.loads((run.adapter_dir / "lab.json").read_text())["target_scale"]
        logits = logits[:, 0] * scale["deviation"] + scale["mean"]
        numpy.testing.assert_allclose(run.predictions()["prediction"], logits, rtol=1e-4)
    again = score(result["kind"], logits, test.targets, layout.labels, metrics=layout.metrics)
    for metric, value in again.items():
        assert result["scores"][metric]["value"] == (None if value is None else pytest.approx(value, abs=2e-3))
    shown = run.predictions()["input"]
    assert all((" | " in text) is bool(test.seconds) for text in shown)


def test_what_is_computed_of_the_official_scores_is_scikit_learns(tiny_bert, tmp_path):
    """MRPC: F1 of the class `equivalent`, from the predictions that the run leaves."""
    import sklearn.metrics

    from bidora.train import train

    write_glue(tmp_path / "glue", "MRPC", train=40, dev=30)
    result = train(run := run_of(tmp_path, tiny_bert, task="mrpc", data=str(tmp_path / "glue"), method="lora"))
    frame = run.predictions()
    expected = sklearn.metrics.f1_score(frame["target"], frame["prediction"], pos_label="equivalent")
    assert result["scores"]["f1"]["value"] == pytest.approx(expected)


# -- the real files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "data", "train", "dev", "balance"),
    [
        ("cola", "", 8551, 1043, (2528, 6023)),
        ("cola", "CoLA/cola_public.zip", 8551, 1043, (2528, 6023)),
        ("rte", "", 2490, 277, (1249, 1241)),
        ("stsb", "", 5749, 1500, None),
    ],
)
def test_the_counts_of_real_files(task, data, train, dev, balance):
    place = REAL / data
    if not place.exists():
        pytest.skip(f"../shared/data/glue/{data} is not here")
    prepared = prepare(RunConfig(task=task, data=str(place), method="lora"))
    assert (len(prepared.train), len(prepared.test)) == (train, dev)
    assert not any("left out" in note for note in prepared.notes)
    if balance:
        assert tuple(numpy.bincount(prepared.train.targets)) == balance
    if task == "cola":
        other = prepare(RunConfig(task=task, data=str(REAL), method="lora"))
        assert len(set(other.test.inputs) & set(prepared.test.inputs)) > 1030  # GLUE mended a few misprints
        assert (other.train.targets == prepared.train.targets).all()
