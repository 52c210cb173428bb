"""E2E: its files in every layout, references grouped by meaning representation, cuts that keep these whole, odd CSV."""

from __future__ import annotations

import random
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from tiny_causal import NAMES, needs_scores, rows_of, write_e2e, written

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.tasks import TASKS, get_task, prepare
from bidora.tasks import generation_files as files
from bidora.tasks.generation_files import HUB_ID, read_csv, read_hub

pytestmark = needs_scores

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "e2e_nlg"


def config_of(data: Path, **settings) -> RunConfig:
    return RunConfig(task="e2e", data=str(data), **{"method": "lora", **settings})


# -- layouts -----------------------------------------------------------------------------------------------------------


def test_a_folder_a_zip_and_a_folder_with_the_zip_hold_the_same(tmp_path):
    plain = write_e2e(tmp_path / "plain")
    archive = tmp_path / "with-zip" / "e2e-dataset.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as target:
        for path in plain.iterdir():
            target.write(path, f"e2e-dataset/{path.name}")
            target.writestr(f"__MACOSX/e2e-dataset/._{path.name}", b"\x00\x05")
    write_e2e(tmp_path / "nested" / "e2e-dataset")
    places = (plain, archive, archive.parent, tmp_path / "nested")
    digests = {(found.train.digest(), found.test.digest()) for found in map(prepare, map(config_of, places))}
    assert len(digests) == 1


def test_training_goes_over_pairs_and_the_test_over_meaning_representations(tmp_path):
    prepared = prepare(config_of(write_e2e(tmp_path)))
    assert prepared.kind == "generation" and prepared.labels == ()
    assert list(zip(prepared.train.inputs, (texts[0] for texts in prepared.train.targets))) == rows_of("train", 24)
    assert all(len(texts) == 1 for texts in prepared.train.targets)
    expected: dict[str, tuple[str, ...]] = {}
    for meaning, text in rows_of("test", 8):
        expected[meaning] = (*expected.get(meaning, ()), text)
    assert dict(zip(prepared.test.inputs, prepared.test.targets)) == expected and len(prepared.test) == 8
    assert len(set(prepared.train.ids) | set(prepared.test.ids)) == len(prepared.train) + len(prepared.test)
    assert any("60 training pairs of 24 meaning representations" in note for note in prepared.notes)


def test_the_development_set_can_take_the_tests_place(tmp_path):
    prepared = prepare(config_of(write_e2e(tmp_path), variant="dev"))
    assert len(prepared.test) == 6 and all("Dev" in text for text in prepared.test.inputs)
    assert any("development set takes the place" in note for note in prepared.notes)


def test_rows_of_one_meaning_that_stand_apart_come_together(tmp_path):
    rows = rows_of("test", 8)
    random.Random(1).shuffle(rows)
    write_e2e(tmp_path)
    (tmp_path / NAMES["test"]).write_text(written(rows), encoding="utf-8", newline="")
    prepared = prepare(config_of(tmp_path))
    assert len(prepared.test) == 8 and Counter(map(len, prepared.test.targets)) == {1: 2, 2: 2, 3: 2, 4: 2}


@pytest.mark.parametrize("pattern", ["data/{}-00000-of-00001.parquet", "{}-00000.parquet", "default/{}/0000.parquet"])
@pytest.mark.filterwarnings("ignore")  # of datasets
def test_the_hubs_layout_as_a_folder(pattern, tmp_path):
    import pandas

    for part, name in files.HUB_PARTS.items():
        rows = rows_of(part, {"train": 24, "dev": 6, "test": 8}[part])
        path = tmp_path / "hub" / pattern.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pandas.DataFrame(rows, columns=["meaning_representation", "human_reference"]).to_parquet(path)
    found, plain = prepare(config_of(tmp_path / "hub")), prepare(config_of(write_e2e(tmp_path / "plain")))
    assert found.train.inputs == plain.train.inputs and list(found.train.targets) == list(plain.train.targets)
    assert found.test.inputs == plain.test.inputs and list(found.test.targets) == list(plain.test.targets)


def test_without_data_the_hub_is_asked_and_a_script_is_read_from_its_parquet_files(monkeypatch):
    import datasets

    asked = []

    def load(source, *, split, revision=None):
        asked.append((source, split, revision))
        if revision is None:
            raise RuntimeError("Dataset scripts are no longer supported, but found e2e_nlg.py")
        return datasets.Dataset.from_dict({"meaning_representation": ["a", ""], "human_reference": ["b", "c"]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    rows = read_hub(HUB_ID, "train")
    assert rows.meanings == ("a",) and rows.skipped == 1
    assert asked == [(HUB_ID, "train", None), (HUB_ID, "train", "refs/convert/parquet")]
    assert get_task("e2e").from_hub(RunConfig(task="e2e")) and "e2e" in TASKS


def test_a_hub_that_does_not_answer_is_told_in_one_sentence(monkeypatch):
    import datasets

    def refuse(*given, **named):
        raise ConnectionError("no route\nand more")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(LabError, match="could not be read: no route;") as caught:
        prepare(RunConfig(task="e2e", method="lora"))
    assert "e2e-dataset.zip" in caught.value.hint and caught.value.kind == "download"


# -- cuts -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_no_cut_tears_the_references_of_a_meaning_apart(seed, tmp_path):
    prepared = prepare(config_of(write_e2e(tmp_path), method="bidora", selection_fraction=0.25, seed=seed))
    parts = {name: set(getattr(prepared, name).inputs) for name in ("selection", "lower", "upper", "test")}
    assert all(parts.values())
    names = list(parts)
    for place, one in enumerate(names):
        assert not any(parts[one] & parts[other] for other in names[place + 1 :])
    assert set(prepared.train.inputs) == parts["lower"] | parts["upper"]
    assert len(prepared.lower) + len(prepared.upper) + len(prepared.selection) == 60
    assert 9 <= len(prepared.selection) <= 15 and 6 <= len(prepared.upper) <= 12  # a quarter; a fifth of the rest


def test_equal_seeds_cut_equally_and_other_seeds_otherwise(tmp_path):
    write_e2e(tmp_path)
    one, again, other = (prepare(config_of(tmp_path, method="bidora", seed=seed)).upper.digest() for seed in (0, 0, 1))
    assert one == again != other


def test_some_pairs_can_be_drawn(tmp_path):
    prepared = prepare(config_of(write_e2e(tmp_path), method="bidora", examples_per_class=20))
    assert len(prepared.train) == 20
    assert not set(prepared.lower.inputs) & set(prepared.upper.inputs)


def test_an_upper_split_without_example_is_refused(tmp_path):
    write_e2e(tmp_path, train=1)
    with pytest.raises(LabError, match="leaves no example in the upper split"):
        prepare(config_of(tmp_path, method="bidora"))


# -- odd files ----------------------------------------------------------------------------------------------------------------


def test_marks_empty_lines_line_breaks_and_doubled_quotes_are_read():
    text = '\ufeffMR , Ref\r\n\r\n"name[A], near[B]","A says ""hello"",\r\nnear B."\r\n , \r\n\r\nname[C],C.\r\n'
    rows = read_csv(text.encode("utf-8"), "testset_w_refs.csv")
    assert rows.meanings == ("name[A], near[B]", "name[C]")
    assert rows.references == ('A says "hello",\r\nnear B.', "C.")
    assert rows.numbers == (3, 7) and rows.skipped == 0


def test_a_row_without_text_is_left_out_and_told(tmp_path):
    write_e2e(tmp_path)
    with open(tmp_path / NAMES["train"], "a", encoding="utf-8", newline="") as handle:
        handle.write("name[X],\r\n")
    notes = prepare(config_of(tmp_path)).notes
    assert "trainset.csv: 1 rows without meaning representation or text were left out" in notes


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no rows in trainset.csv"),
        (b"mr,ref\r\n", "no row with a meaning"),
        (b"MR\r\nname[A]\r\n", r"line 1 of trainset.csv: no columns ref or human_reference .*columns: MR"),
        (b"ref,text\r\na,b\r\n", r"line 1 of trainset.csv: no columns mr or meaning_representation"),
        (b"mr,mr,ref\r\na,b,c\r\n", r"line 1 of trainset.csv: 2 columns mr or"),
        (b"mr,ref\r\na,b\r\nname[A], near[B],text\r\n", "line 3 of trainset.csv: 3 cells where the heading has 2"),
        (b'mr,ref\r\na,b\r\n"c",d\r\n"e,f\r\ng,h\r\n', r"line 4 of trainset.csv: unexpected end of data"),
        (b'mr,ref\r\na,b\r\n"c"d,e\r\n', r"line 3 of trainset.csv: ',' expected after"),
        (b"mr,ref\r\na,b\r\nc,\xff\r\n", "line 3 of trainset.csv: not UTF-8"),
        (b"mr,ref\r\na," + b"x" * 200_000, r"line 2 of trainset.csv: field larger than field limit"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(content, words, tmp_path):
    write_e2e(tmp_path)
    (tmp_path / NAMES["train"]).write_bytes(content)
    with pytest.raises(LabError, match=words) as caught:
        prepare(config_of(tmp_path))
    assert caught.value.kind == "data" and caught.value.hint and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("remove", "words"),
    [
        (("trainset.csv",), "holds no trainset.csv"),
        (("testset_w_refs.csv", "testset.csv"), "holds neither testset_w_refs.csv nor testset.csv"),
        (("testset_w_refs.csv",), "line 1 of testset.csv: no columns ref"),
    ],
)
def test_a_missing_file_is_named(remove, words, tmp_path):
    write_e2e(tmp_path)
    for name in remove:
        (tmp_path / name).unlink()
    with pytest.raises(LabError, match=words) as caught:
        prepare(config_of(tmp_path))
    assert "e2e-dataset.zip" in caught.value.hint or "testset_w_refs" in caught.value.hint


def test_a_place_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LabError, match="does not exist"):
        prepare(config_of(tmp_path / "nowhere"))


# -- the real files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["e2e-dataset.zip", "."])
def test_the_counts_of_real_files(place):
    """The release's own counts: 42,061 pairs of 4,862 meaning representations; 630 and 547 with 4,693 and 4,672 references."""
    if not (REAL / "e2e-dataset.zip").exists():
        pytest.skip("../shared/data/e2e_nlg is not here")
    for variant, meanings, references in (("test", 630, 4693), ("dev", 547, 4672)):
        prepared = prepare(config_of(REAL / place, variant=variant))
        assert (len(prepared.train), len(set(prepared.train.inputs))) == (42_061, 4_862)
        assert (len(prepared.test), sum(map(len, prepared.test.targets))) == (meanings, references)
        assert not set(prepared.train.inputs) & set(prepared.test.inputs)
        assert not any("rows without" in note for note in prepared.notes)
