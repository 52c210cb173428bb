"""Tasks of named entities: every file layout and scheme, the hub's layout, errors with their line, and the real files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy
import pytest
from tagged import SCHEMES, SENTENCE, column_file, sentences, write_tagged

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.tasks import TASKS, get_task, prepare
from bidora.tasks.cuts import draw
from bidora.tasks.splits import Split
from bidora.tasks.tag_schemes import Scheme, to_iob2
from bidora.tasks.tagging_files import read_columns

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "bionlp13cg"

NAMES = ("bionlp13cg", "jnlpba", "conll2003")


def load(data: Path | str, task: str = "bionlp13cg", **settings):
    return get_task(task).load(
        RunConfig(task=task, data=str(data), **{"variant": "train", "method": "lora", **settings}), None
    )


def tags_of(split: Split, labels: tuple[str, ...]) -> list[list[str]]:
    return [[labels[tag] for tag in target] for target in split.targets]


# -- schemes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_comes_out_as_the_same_iob2(scheme):
    wanted = [[tag for _, tag in sentence] for sentence in sentences(80, 3)]
    assert any(tag[0] == "I" for tags in wanted for tag in tags)
    found, said = to_iob2([SCHEMES[scheme](tags) for tags in wanted])
    assert found == wanted
    assert said.name == scheme and (said.repaired > 0) is (scheme == "IOB1")


@pytest.mark.parametrize(
    ("tags", "wanted", "scheme"),
    [
        (["I-A", "I-B", "B-B", "O", "I-B"], ["B-A", "B-B", "B-B", "O", "B-B"], Scheme("IOB1", 3)),
        (["B-A", "I-B"], ["B-A", "B-B"], Scheme("mixed", 1)),
        (["O", "O"], ["O", "O"], Scheme("IOB2")),
        (["S-A", "S-A", "B-A", "E-A", "I-A"], ["B-A", "B-A", "B-A", "I-A", "B-A"], Scheme("IOBES", 1)),
        (["B-A", "L-A", "U-B", "B-B"], ["B-A", "I-A", "B-B", "B-B"], Scheme("BILOU")),
        (["B-A-1", "I-A-1", "I-A-2"], ["B-A-1", "I-A-1", "B-A-2"], Scheme("mixed", 1)),
    ],
)
def test_tags_that_begin_and_end_in_odd_places(tags, wanted, scheme):
    assert to_iob2([tags]) == ([wanted], scheme)


# -- files ----------------------------------------------------------------------------------------------------------

LINES = {
    "tab": "{word}\t{tag}",
    "space": "{word} {tag}",
    "several blanks": "{word}   {tag}  ",
    "CoNLL": "{word} NN B-NP {tag}",
    "tag first": "{tag}\t{word}",
    "tag first of four": "{tag} 0 NN {word}",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_layout_of_a_line(line, ends):
    made = sentences(5, 1)
    found = read_columns(column_file(made, line=line).replace("\n", ends).encode(), "train.txt")
    assert found.words == [tuple(word for word, _ in sentence) for sentence in made]
    assert found.tags == [[tag for _, tag in sentence] for sentence in made]
    assert found.lines[:2] == [1, len(made[0]) + 2]


def test_documents_are_marked_and_words_are_kept_as_they_are():
    text = (
        "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\n\n\n \nrejects VBZ I-VP O\n-DOCSTART- -X- O O\n\n"
        "\u00bdx CD I-NP O\n. . O O"
    )
    found = read_columns(b"\xef\xbb\xbf" + text.encode(), "eng.train")
    assert found.documents == [1, 1, 2]
    assert found.words == [("EU",), ("rejects",), ("\u00bdx", ".")]
    medline = read_columns(b"###MEDLINE:1\n\nIL-2\tB-DNA\ngene\tI-DNA\n\n###MEDLINE:2\n\nof\tO\n", "Genia4ERtask1.iob2")
    assert medline.documents == [1, 2] and medline.words == [("IL-2", "gene"), ("of",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tO\nb\n", "line 2 of train.tsv: 1 column, not 2"),
        ("a\tO\n\nb\tO\tx\n", "line 3 of train.tsv: 3 columns, not 2"),
        ("a\n", "line 1 of train.tsv: 1 column, not 2 or more"),
        ("a\tO\nb\tB-X\nc\tGENE\n", "line 3 of train.tsv: 'GENE' is no tag"),
        ("a\tO\n\tB-X\n", "line 2 of train.tsv: a tag without a word"),
        ("\n\n", "no words in train.tsv"),
        (b"a\tO\n\xff\tO\n", "line 2 of train.tsv: not UTF-8"),
    ],
)
def test_an_invalid_file_is_one_sentence_with_its_line(text, message):
    with pytest.raises(LabError) as caught:
        read_columns(text if isinstance(text, bytes) else text.encode(), "train.tsv")
    assert message in caught.value.message and caught.value.hint and "\n" not in str(caught.value)
    assert caught.value.kind == "data"


@pytest.mark.parametrize(
    "names",
    [
        ("train.tsv", "devel.tsv", "test.tsv"),
        ("eng.train", "eng.testa", "eng.testb"),
        ("train.txt", "valid.txt", "test.txt"),
        ("Train.conll", "DEV.conll", "Test.conll"),
        ("Genia4ERtask1.iob2", "", "Genia4EReval1.iob2"),
    ],
)
def test_the_usual_spellings_of_file_names(names, tmp_path):
    for seed, name in enumerate(names):
        if name:
            (tmp_path / name).write_text(column_file(sentences(6 + seed, seed)))
    (tmp_path / "train_dev.tsv").write_text("ignored\n")
    data = load(tmp_path)
    assert (len(data.train), len(data.test)) == (6, 8)
    assert any("devel is not used" in note for note in data.notes) is bool(names[1])


def test_the_task_s_own_folder_among_others_in_a_folder_and_in_a_zip(tmp_path):
    for folder, count in (("BioNLP13CG-IOB", 7), ("JNLPBA", 9)):
        write_tagged(tmp_path / "data" / folder, train=count)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in (tmp_path / "data").rglob("*.tsv"):
            archive.write(path, str(path.relative_to(tmp_path)))
    for place in (tmp_path / "data", tmp_path / "all.zip"):
        assert len(load(place).train) == 7 and len(load(place, "jnlpba").train) == 9
        with pytest.raises(LabError, match="several train files"):
            load(place, "conll2003")


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_missing_part_is_named(missing, tmp_path):
    write_tagged(tmp_path, **{missing: 0})
    with pytest.raises(LabError, match=f"no {missing} file .it holds devel.tsv"):
        load(tmp_path)
    with pytest.raises(LabError, match="does not exist"):
        load(tmp_path / "nowhere")


# -- tasks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_task_from_its_files(task, scheme, tmp_path):
    data = load(write_tagged(tmp_path, scheme=scheme), task)
    made = sentences(60, 0)
    assert data.kind == "tagging" and data.labels == ("O", "B-CELL", "I-CELL", "B-GENE", "I-GENE")
    assert tags_of(data.train, data.labels) == [[tag for _, tag in sentence] for sentence in made]
    assert data.train.inputs[0] == " ".join(word for word, _ in made[0]) == " ".join(data.train.words[0])
    assert data.train.ids[0] == "train-1" and len(set(data.train.ids)) == 60
    said = "tags are IOB2" if scheme == "IOB2" else f"tags were brought to IOB2: train.tsv {scheme}"
    assert any(note.startswith(said) for note in data.notes)
    assert any("train 60 sentences, devel 10 sentences, test 20 sentences" in note for note in data.notes)


def test_devel_is_trained_on_only_where_it_is_asked_for(tmp_path):
    write_tagged(tmp_path)
    assert len(load(tmp_path).train) == 60
    both = load(tmp_path, variant="train+devel")
    assert len(both.train) == 70 and both.train.ids[60].startswith("devel-")
    (tmp_path / "devel.tsv").unlink()
    with pytest.raises(LabError, match="needs a devel file"):
        load(tmp_path, variant="train+devel")


def test_types_of_the_test_part_only_are_labels_and_said(tmp_path):
    write_tagged(tmp_path)
    (tmp_path / "test.tsv").write_text("x\tB-NEW\n")
    data = load(tmp_path)
    assert "B-NEW" in data.labels and any("in the test part only: NEW" in note for note in data.notes)


def test_a_document_s_sentences_stay_together_in_selection(tmp_path):
    write_tagged(tmp_path)
    parts = [f"-DOCSTART-\tO\n\n{column_file(sentences(3, seed))}" for seed in range(20)]
    (tmp_path / "train.tsv").write_text("\n".join(parts))
    config = RunConfig(task="bionlp13cg", data=str(tmp_path), method="lora", selection_fraction=0.3)
    prepared, data = prepare(config), load(tmp_path)
    document = dict(zip(data.train.ids, data.groups, strict=True))
    assert len(set(document.values())) == 20
    assert not {document[each] for each in prepared.train.ids} & {document[each] for each in prepared.selection.ids}


def test_sampling_is_in_sentences_and_the_cut_follows_the_seed(tmp_path):
    write_tagged(tmp_path)
    settings = dict(task="conll2003", data=str(tmp_path), examples_per_class=20, upper_fraction=0.25)
    one, again, other = (prepare(RunConfig(**settings, seed=seed)) for seed in (0, 0, 1))
    assert (len(one.train), len(one.lower), len(one.upper)) == (20, 15, 5)
    assert one.upper.digest() == again.upper.digest() != other.upper.digest()
    assert not set(one.lower.ids) & set(one.upper.ids)
    whole = load(tmp_path).train
    few, more = (set(draw(whole, "tagging", count, seed=0)[0].tolist()) for count in (10, 30))
    assert few < more
    notes = prepare(RunConfig(**{**settings, "examples_per_class": 500})).notes
    assert "examples_per_class=500: there are 60 training examples, all are used" in notes


def test_the_digest_tells_sentences_by_their_words_and_tags():
    def split(words=("a", "b"), tags=(0, 1)):
        targets = numpy.empty(1, dtype=object)
        targets[0] = numpy.array(tags)
        return Split((" ".join(words),), targets, ("one",), words=(tuple(words),))

    assert split().digest() == split().digest()
    assert len({split().digest(), split(tags=(1, 1)).digest(), split(words=("a b", "")).digest()}) == 3
    with pytest.raises(ValueError, match="each word needs a target"):
        split(tags=(0,))


@pytest.mark.parametrize("setting", [{"pooling": "mean"}, {"kind": "classification"}, {"test_data": "x"}])
def test_settings_that_do_not_fit_are_refused(setting, tmp_path):
    with pytest.raises(LabError, match=next(iter(setting))):
        prepare(RunConfig(task="bionlp13cg", data=str(write_tagged(tmp_path)), method="lora", **setting))


# -- the hub's layout ------------------------------------------------------------------------------------------------


def write_hub(folder: Path, name: str, parts: dict[str, int], labels: list[str] | None, *, column: str = "ner_tags"):
    """Parquet files as the hub converts them: <name>/<part>/0000.parquet, tags numbered, with or without their names."""
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    known = ["O", "B-GENE", "I-GENE", "B-CELL", "I-CELL"]
    for seed, (part, count) in enumerate(parts.items()):
        made = sentences(count, seed)
        kind = ClassLabel(names=labels) if labels else Value("int64")
        rows = {
            "id": [str(number) for number in range(count)],
            "tokens": [[word for word, _ in sentence] for sentence in made],
            column: [[known.index(tag) for _, tag in sentence] for sentence in made],
        }
        features = Features({"id": Value("string"), "tokens": Sequence(Value("string")), column: Sequence(kind)})
        (folder / name / part).mkdir(parents=True)
        Dataset.from_dict(rows, features=features).to_parquet(folder / name / part / "0000.parquet")
    return folder


def test_the_hub_s_layout_of_conll2003_in_a_local_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    labels = ["O", "B-GENE", "I-GENE", "B-CELL", "I-CELL"]
    data = load(
        write_hub(tmp_path / "hub", "conll2003", {"train": 12, "validation": 5, "test": 6}, labels), "conll2003"
    )
    assert (len(data.train), len(data.test)) == (12, 6)
    assert tags_of(data.test, data.labels) == [[tag for _, tag in sentence] for sentence in sentences(6, 2)]
    assert any("folder in the hub's layout: train 12 sentences" in note for note in data.notes)


def test_jnlpba_s_test_set_is_called_validation_on_the_hub_and_numbers_have_known_names(tmp_path):
    data = load(write_hub(tmp_path, "jnlpba", {"train": 8, "validation": 4}, None), "jnlpba")
    assert (len(data.train), len(data.test)) == (8, 4)
    assert "B-DNA" in data.labels, "number 1 is B-DNA there"


def test_what_is_no_hub_layout_is_refused(tmp_path):
    place = write_hub(tmp_path, "conll2003", {"train": 3, "validation": 3, "test": 3}, None, column="marks")
    with pytest.raises(LabError, match="not tokens and ner_tags"):
        load(place, "conll2003")
    with pytest.raises(LabError, match="needs your own files"):
        load("hub", "bionlp13cg")


# -- the registry and the real files ---------------------------------------------------------------------------------


def test_the_registry_names_source_licence_and_citation():
    for name in NAMES:
        task = TASKS[name]
        assert task.licence and task.citation and task.notice and task.settings == ("data",)
        assert task.default_model == "roberta-base" and task.family == "text"


def test_the_counts_of_the_real_files():
    if not REAL.exists():
        pytest.skip("../shared/data/bionlp13cg is not here")
    data = load(REAL, variant="train+devel")
    counts = {"train": [0, 0], "devel": [0, 0], "test": [0, 0]}
    for split in (data.train, data.test):
        for name, words in zip(split.ids, split.words, strict=True):
            counts[name.split("-")[0]][0] += 1
            counts[name.split("-")[0]][1] += len(words)
    assert counts == {"train": [3033, 83467], "devel": [1003, 27599], "test": [1906, 52771]}
    assert len(data.labels) == 33 and "tags are IOB2" in data.notes
    assert len(load(REAL).train) == 3033


def test_the_example_sentence_is_read_as_it_stands(tmp_path):
    write_tagged(tmp_path)
    (tmp_path / "test.tsv").write_text(column_file([list(SENTENCE)]))
    data = load(tmp_path)
    assert data.test.words == (("word0", "word1", "word20", "word4", "word21"),)
    assert tags_of(data.test, data.labels) == [["B-GENE", "I-GENE", "O", "B-CELL", "O"]]
