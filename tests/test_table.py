"""The user's own table: what is read, what is refused, and in which words."""

import warnings

import numpy
import openpyxl
import pandas
import pytest

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.tasks import prepare

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def rows(count=40, labels=("ham", "spam")):
    return [(f"{WORDS[n % 8]} and {WORDS[n // 8 % 8]} number {n}", labels[n % len(labels)]) for n in range(count)]


def sequences(count=40, labels=("0", "1")):
    generator = numpy.random.default_rng(1)
    return [("".join(generator.choice(list(RESIDUES), size=12)), labels[n % len(labels)]) for n in range(count)]


def written(path, listed, *, heading=("text", "label"), separator=","):
    lines = [separator.join(heading)] if heading else []
    path.write_text("\n".join([*lines, *(separator.join(map(str, row)) for row in listed)]) + "\n", encoding="utf-8")
    return str(path)


def load(path, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return prepare(RunConfig(task="csv", data=str(path), **{"method": "dora", **settings}))


def refused(path, message, *, hint="", **settings):
    with pytest.raises(LabError, match=message) as caught:
        load(path, **settings)
    assert caught.value.hint and hint in caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def csv(tmp_path):
    return tmp_path / "mine.csv"


def test_a_plain_table(csv):
    data = load(written(csv, rows()))
    assert (data.kind, data.labels, len(data.train), len(data.test)) == ("classification", ("ham", "spam"), 32, 8)
    assert numpy.bincount(data.test.targets).tolist() == [4, 4]
    assert data.train.inputs[0] == "alpha and alpha number 0" and data.train.ids[0] == "line-2"
    assert "mine.csv: input column 'text', label column 'label'" in data.notes


def test_the_test_part_does_not_depend_on_seed_or_order_of_rows(csv, tmp_path):
    first = load(written(csv, rows()))
    assert set(first.test.inputs) == set(load(csv, seed=7).test.inputs)
    assert set(first.test.inputs) == set(load(written(tmp_path / "b.csv", rows()[::-1])).test.inputs)


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ";"), ("a.tsv", "\t"), ("a.txt", "\t"), ("a.csv", "|")])
def test_separators(tmp_path, name, separator):
    assert len(load(written(tmp_path / name, rows(), separator=separator)).train) == 32


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_spreadsheet_programs(csv, encoding):
    written(csv, [(f"größe {text}", label) for text, label in rows()])
    csv.write_bytes(csv.read_text(encoding="utf-8").encode(encoding))
    data = load(csv)
    assert data.train.inputs[0].startswith("größe")
    assert any("Windows-1252" in note for note in data.notes) == (encoding == "cp1252")


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends_of_other_systems(csv, newline):
    written(csv, rows())
    csv.write_bytes(csv.read_text().replace("\n", newline).encode())
    assert len(load(csv).train) == 32


def test_quoted_texts_may_hold_everything(csv):
    listed = [(f'"{text}, with ""quotes"" and a\nline break"', label) for text, label in rows()]
    data = load(written(csv, listed))
    assert data.train.inputs[0] == 'alpha and alpha number 0, with "quotes" and a\nline break'
    assert data.train.ids[:2] == ("line-2", "line-4")  # where each row begins


def test_quotation_marks_in_a_tab_separated_table_mean_themselves(tmp_path):
    listed = [(f'"{text} said "so', label) for text, label in rows()]
    data = load(written(tmp_path / "a.tsv", listed, separator="\t"))
    assert data.train.inputs[0] == '"alpha and alpha number 0 said "so' and len(data.train) == 32


def test_row_names_of_r_and_empty_columns_of_spreadsheets(csv, tmp_path):
    named = [(n + 1, *row) for n, row in enumerate(rows())]
    assert load(written(csv, named)).train.inputs == load(written(tmp_path / "plain.csv", rows())).train.inputs
    padded = [(*row, "", "") for row in rows()]
    assert len(load(written(csv, padded, heading=("text", "label", "", ""))).train) == 32
    assert len(load(written(csv, padded)).train) == 32
    assert len(load(written(csv, named, heading=("", "text", "label"))).train) == 32


def test_columns_are_found_by_name_or_by_what_is_left(csv):
    listed = [(n, "web", *row) for n, row in enumerate(rows())]
    for heading in (("id", "source", "Sentence", "Class"), ("nr", "from", "Review", "category")):
        assert load(written(csv, listed, heading=heading)).labels == ("ham", "spam")
    two = load(written(csv, rows(), heading=("what people wrote", "what we think")))
    assert two.labels == ("ham", "spam") and two.train.inputs[0].startswith("alpha")
    chosen = load(
        written(csv, listed, heading=("id", "text", "body", "label")), input_column="BODY", label_column="label"
    )
    assert chosen.train.inputs[0].startswith("alpha")


def test_of_two_columns_with_one_title_none_is_taken_unsaid(csv):
    listed = [(text, label, n % 2) for n, (text, label) in enumerate(rows())]
    written(csv, listed, heading=("text", "label", "label"))
    error = refused(csv, "mine.csv has several columns 'label', and they differ in 40 of 40 rows .the first: line 2 ")
    assert "rename one of them in the file" in error.hint and 'by the name "label\'"' in error.hint
    assert load(csv, label_column="label'").labels == ("0", "1")
    refused(csv, "several columns 'label'", label_column="label")
    refused(written(csv, listed, heading=("text", "other", "text")), "several columns 'text'", label_column="other")
    data = load(written(csv, [(*row, row[1]) for row in rows()], heading=("text", "label", "label")))
    assert data.labels == ("ham", "spam")
    assert 'mine.csv has columns of equal titles; the later ones are called "label\'"' in data.notes
    data = load(written(csv, [(*row, n, "x") for n, row in enumerate(rows())], heading=("text", "label", "a", "a")))
    assert data.labels == ("ham", "spam") and any("equal titles" in note for note in data.notes)


def test_columns_that_cannot_be_told(csv):
    listed = [(n, *row, "x") for n, row in enumerate(rows())]
    written(csv, listed, heading=("a", "b", "c", "d"))
    error = refused(csv, "which column holds the label cannot be told", hint="label_column")
    assert "'a', 'b', 'c', 'd'" in error.message
    refused(
        csv, "input_column='bb' is no column of mine.csv; its columns are 'a', 'b'", input_column="bb", label_column="c"
    )
    refused(written(csv, rows()), "label_column='labell'", hint="did you mean 'label'?", label_column="labell")
    refused(csv, "are both 'text'", input_column="text", label_column="text")


def test_a_missing_heading_is_suspected(csv):
    written(csv, [(n, *row) for n, row in enumerate(rows())], heading=None)
    refused(csv, "the first line looks like data: add a heading such as text,label")


def test_spreadsheets(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["sequence", "label", None])
    for sequence, label in sequences():
        sheet.append([sequence, float(label), None])
    sheet.append([None, None, None])
    book.create_sheet("notes").append(["written by", "me"])
    book.create_sheet("empty")
    book.save(tmp_path / "a.xlsx")
    data = load(tmp_path / "a.xlsx", model="esm2")
    assert (data.labels, len(data.train), data.train.ids[0]) == (("0", "1"), 32, "row-2")
    assert any("has 2 sheets; 'Sheet', the first, was read" in note for note in data.notes)


def test_parquet(tmp_path):
    frame = pandas.DataFrame(rows(), columns=["text", "label"])
    frame.to_parquet(tmp_path / "a.parquet")
    assert len(load(tmp_path / "a.parquet").train) == 32
    frame["label"] = [["x"] if n % 2 else ["x", "y"] for n in range(40)]
    frame.to_parquet(tmp_path / "b.parquet")
    data = load(tmp_path / "b.parquet", kind="multilabel")
    assert data.labels == ("x", "y") and set(data.train.targets.sum(axis=1)) == {1, 2}


@pytest.mark.parametrize(
    ("heading", "how"),
    [
        (">{n}|{label}", "last bar"),
        (">sp|P{n}|x label={label} y", "label="),
        (">pep{n} some words {label}", "last word"),
    ],
)
def test_fasta(tmp_path, heading, how):
    text = "; a remark\n"
    for n, (sequence, label) in enumerate(sequences(labels=("amp", "non"))):
        text += heading.format(n=n, label=label) + f"\n{sequence[:5].lower()}\n{sequence[5:]}*\n\n"
    (tmp_path / "a.fasta").write_text(text)
    data = load(tmp_path / "a.fasta", model="esm2")
    assert data.labels == ("amp", "non") and data.train.inputs[0] == sequences()[0][0]
    assert any(how in note for note in data.notes)


def in_headings(path, *labels):
    path.write_text("".join(f">p{n} {labels[n % len(labels)]}\n{each}\n" for n, (each, _) in enumerate(sequences())))
    return path


def test_labels_in_headings_are_not_cut_short_unsaid(tmp_path):
    path = tmp_path / "a.fasta"
    data = load(in_headings(path, "label=3,5", "label=0,25;x=1", "label=1,5e1, y=2"), model="esm2")
    assert set(data.train.targets) == {3.5, 0.25, 15} and not any("passed over" in note for note in data.notes)
    refused(in_headings(path, "label=1,020", "label=936"), "'1,020' .* may mean 1020 or 1.020", model="esm2")
    data = load(in_headings(path, 'label="not toxic" n=1', "label=toxic;n=2"), model="esm2")
    assert data.labels == ("not toxic", "toxic") and not any("passed over" in note for note in data.notes)
    data = load(in_headings(path, "label=not toxic", "label=toxic", "label=toxic,charge=2"), model="esm2")
    assert data.labels == ("not", "toxic")
    words = (
        "14 of 40 headings of a.fasta go on after the label, and the rest was passed over (the first: 'toxic' after "
    )
    assert any(note.startswith(f"{words}'not' in line 1)") and 'label="…"' in note for note in data.notes)
    data = load(in_headings(path, "not toxic", "quite toxic", "active"), model="esm2")
    assert any("27 headings have other words between name and label" in note for note in data.notes)


def test_fasta_that_cannot_be_used(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">one\nACDE\n>two\nACDF\n")
    refused(path, "heading 'one' in line 1 of a.fa carries no label", hint=">id|label", model="esm2")
    path.write_text("ACDE\n>one|1\n")
    refused(path, "line 1 of a.fa comes before the first heading", model="esm2")
    path.write_text(">a|1\nACDE\n>b|0\n>c|1\nACD\n>d|0\nAC")
    refused(path, "line 3 of a.fa: the input in column 'sequence' is empty", model="esm2")


def test_a_split_column_is_obeyed(csv):
    parts = ["train"] * 24 + ["valid"] * 6 + ["TEST"] * 10
    listed = [(*row, part) for row, part in zip(rows(), parts)]
    data = load(written(csv, listed, heading=("text", "label", "split")))
    assert (len(data.train), len(data.test)) == (30, 10)
    assert any("6 validation rows are used for training" in note for note in data.notes)
    listed = [(*row, "dev" if n > 30 else "train") for n, row in enumerate(rows())]
    assert len(load(written(csv, listed, heading=("text", "label", "split"))).test) == 9
    listed = [(*row, n % 5) for n, row in enumerate(rows())]
    data = load(written(csv, listed, heading=("text", "label", "fold")))
    assert len(data.test) == 8 and any("column 'fold' was not used as a split" in note for note in data.notes)


def with_parts(path, *parts):
    listed = [(*row, parts[n % len(parts)]) for n, row in enumerate(rows(48, labels=("ham", "ham", "spam")))]
    return written(path, listed, heading=("text", "label", "split"))


def test_rows_of_an_unknown_part_are_left_out_and_rows_marked_test_are_never_trained_on(csv):
    data = load(with_parts(csv, "train", "test", "train", "unlabelled"))
    assert (len(data.train), len(data.test)) == (24, 12)
    assert {int(each.split()[-1]) % 4 for each in data.test.inputs} == {1}
    words = "12 of 48 rows are marked neither train, validation nor test in column 'split' and were left out"
    assert f"{words} (the first: 'unlabelled')" in data.notes
    data = load(with_parts(csv, "train", "dev", "train", ""))
    assert (len(data.train), len(data.test)) == (24, 12) and any(note.startswith(words) for note in data.notes)
    refused(with_parts(csv, "learn", "test"), "column 'split' of mine.csv marks 24 of 48 rows test and none train")
    refused(with_parts(csv, "validation", "test"), "24 of 48 rows test and none train", hint="rename the column")
    assert len(load(with_parts(csv, "test")).train) == 38  # a whole file of somebody's test rows


def test_with_a_test_file_only_rows_marked_train_are_trained_on(csv, tmp_path):
    test = written(tmp_path / "test.csv", [("something new", "spam"), ("something old", "ham")])
    data = load(with_parts(csv, "train", "test", "valid", "spare"), test_data=test)
    assert (len(data.train), len(data.test)) == (24, 2)
    assert {int(each.split()[-1]) % 4 for each in data.train.inputs} == {0, 2}
    assert "12 rows marked test in column 'split' were left out: test_data names the test part" in data.notes
    assert any("12 validation rows are used for training" in note for note in data.notes)
    assert any("12 of 48 rows are marked neither" in note for note in data.notes)
    assert len(load(with_parts(csv, "train", "spare"), test_data=test).train) == 24
    assert len(load(with_parts(csv, "1", "2"), test_data=test).train) == 48


def test_a_test_file_of_its_own(csv, tmp_path):
    test = written(tmp_path / "test.csv", [("something new", "spam"), ("alpha and alpha number 0", "ham")])
    data = load(written(csv, rows()), test_data=test)
    assert (len(data.train), data.test.targets.tolist()) == (40, [1, 0])
    assert "1 of 2 test inputs also stand in the training data" in data.notes
    written(tmp_path / "test.csv", [("something new", "eggs")])
    refused(csv, "line 2 of test.csv: label 'eggs' does not occur in the training data", test_data=test)
    written(tmp_path / "test.csv", [("new", "spam")], heading=("text", "klass"))
    refused(csv, "label_column='label' is no column of test.csv", test_data=test)
    refused(csv, "test_data='gone.csv' does not exist", test_data="gone.csv")


def test_equal_inputs_stay_on_one_side(csv):
    listed = [(f"text number {n // 4}", ("a", "b")[n // 4 % 2]) for n in range(80)]
    data = load(written(csv, listed))
    assert not set(data.train.inputs) & set(data.test.inputs) and len(data.test) == 16


def test_contradictions_are_counted(csv):
    listed = [*rows(), ("the same", "ham"), ("The same ", "spam")]
    data = load(written(csv, listed))
    in_training = "the same" in data.train.inputs
    assert ("training inputs that occur with different labels: 1" in data.notes) == in_training


# -- kinds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "kind", "shown"),
    [
        (("0", "1"), "classification", ("0", "1")),
        (("10", "9", "1.0"), "classification", ("1", "9", "10")),
        (("TRUE", "FALSE"), "classification", ("FALSE", "TRUE")),
        (("NA", "None"), "classification", ("NA", "None")),
        (("0.5", "1.25", "-3"), "regression", ()),
        (("1,5", "2,5", "3"), "regression", ()),
        (tuple(map(str, range(40))), "regression", ()),
        (("a|b", "a", "b|c", "c|a"), "multilabel", ("a", "b", "c")),
        (("a; b", "a", "b;c", "c;a"), "multilabel", ("a", "b", "c")),
        (("profit; loss", "gain"), "classification", ("gain", "profit; loss")),
    ],
)
def test_what_the_labels_are(tmp_path, labels, kind, shown):
    data = load(written(tmp_path / "a.tsv", rows(labels=labels), separator="\t"))
    assert (data.kind, data.labels) == (kind, shown)


def test_decimal_commas(tmp_path):
    data = load(written(tmp_path / "a.csv", rows(labels=("1,5", "-2,25", "1e2")), separator=";"))
    assert set(data.train.targets) == {1.5, -2.25, 100.0} and data.train.targets.dtype == numpy.float64


def test_a_comma_is_a_decimal_point_only_where_the_column_shows_it(tmp_path):
    path = tmp_path / "a.tsv"

    def table(*labels):
        return written(path, rows(labels=labels), separator="\t")

    data = load(table("0,25", "1,020", "12"))
    assert set(data.train.targets) == {0.25, 1.02, 12}
    assert "27 numbers in column 'label' have a comma, such as 0,25: read as a decimal point" in data.notes
    assert load(table("1,0", "2,00")).labels == ("1", "2") and not [
        x for x in load(table("1", "2")).notes if "comma" in x
    ]
    refused(table("936", "4,098"), "line 3 of a.tsv: '4,098' .* may mean 4098 or 4.098", hint="write 4098 or 4.098")
    refused(table("500", "1,000", "2,000", "10,000"), "line 3 .*'1,000' in column 'label' may mean 1000 or 1.000")
    refused(table("936", "4,098"), "may mean 4098", kind="regression")
    refused(
        table("999.00", "1,234.50"),
        "'1,234.50' in column 'label' has commas between its thousands",
        hint="write 1234.50",
    )
    refused(
        table("0,5", "1,234,567"),
        "'1,234,567' in column 'label' has commas between its thousands",
        hint="write 1234567",
    )
    refused(table("0,5", "1.020"), "'1.020' .* may mean 1020 or 1,020", hint="no points between thousands")
    assert set(load(table("0,5", "1.020", "0.25")).train.targets) == {0.5, 1.02, 0.25}
    assert set(load(table("0.5", "1.020")).train.targets) == {0.5, 1.02}
    named = load(table("500", "1,000", "10,000"), kind="classification")
    assert named.labels == ("500", "1,000", "10,000")


def test_numbers_of_a_test_file_are_read_like_those_of_the_training_file(tmp_path):
    test = written(tmp_path / "test.tsv", [("new", "1,020"), ("newer", "3")], separator="\t")
    plain = written(tmp_path / "plain.tsv", rows(labels=("0.5", "1.5")), separator="\t")
    commas = written(tmp_path / "commas.tsv", rows(labels=("0,5", "1,5")), separator="\t")
    refused(plain, "line 2 of test.tsv: '1,020'", test_data=test)
    assert load(commas, test_data=test).test.targets.tolist() == [1.02, 3]


def test_the_kind_may_be_said(csv):
    written(csv, rows(labels=("1", "2", "3")))
    assert load(csv).kind == "classification" and load(csv, kind="regression").kind == "regression"
    assert load(written(csv, rows(labels=("0.5", "1.5"))), kind="classification").labels == ("0.5", "1.5")
    refused(written(csv, rows()), "'ham' in column 'label' is no finite number", kind="regression")


def test_one_column_of_0_and_1_for_each_label(csv):
    listed = [(text, n % 2, n % 3 // 2, "") for n, (text, _) in enumerate(rows())]
    heading = ("text", "toxic", "rude", "kind")
    data = load(written(csv, listed, heading=heading), label_column="toxic,rude")
    assert (data.kind, data.labels, data.train.targets.shape[1]) == ("multilabel", ("toxic", "rude"), 2)
    listed[3] = ("text", 2, 0, "")
    refused(written(csv, listed, heading=heading), "line 5 .* '2' in column 'toxic'", label_column="toxic,rude")
    refused(csv, "kind=regression has one label column", label_column="toxic,rude", kind="regression")
    refused(csv, "'kind' has no training example", label_column="rude,kind")


def test_rows_without_a_label_are_left_out_and_counted(csv):
    listed = [(text, "" if n in (5, 9) else label) for n, (text, label) in enumerate(rows())]
    data = load(written(csv, listed))
    assert len(data.train) + len(data.test) == 38
    assert any(
        "2 of 40 rows have no label in column 'label' and were left out (the first: line 7" in x for x in data.notes
    )
    refused(written(csv, [(text, "") for text, _ in rows()]), "column 'label' of mine.csv is empty in all 40 rows")


def test_words_for_nothing_among_numbers_are_empty_cells(csv, tmp_path):
    words = ("NA", "nan", "N/A", "#N/A", "null", "None")
    listed = rows(48, labels=("0.5", "1.5", "2.25"))
    listed[:6] = [(text, word) for (text, _), word in zip(listed, words)]
    data = load(written(csv, listed))
    assert data.kind == "regression" and len(data.train) + len(data.test) == 42
    (note,) = [each for each in data.notes if "no label" in each]
    assert note.startswith("6 of 48 rows have no label in column 'label' (1 say 'NA', 1 say 'nan', ")
    assert "left out (the first: line 2 of mine.csv); where such a word is a class, write another" in note
    grades = [(text, "None" if n < 3 else str(n % 3)) for n, (text, _) in enumerate(listed)]
    assert load(written(csv, grades)).labels == ("0", "1", "2")
    test = written(tmp_path / "test.csv", [("new", "null"), ("newer", "2"), ("newest", "1")])
    assert len(load(csv, test_data=test).test) == 2


def test_words_for_nothing_among_texts_are_empty_cells_only_where_they_can_be_no_class(csv):
    assert load(written(csv, rows(labels=("ham", "spam", "N/A", "NaN")))).labels == ("ham", "spam")
    data = load(written(csv, rows(labels=("EU", "NA", "none", "EU"))))
    assert data.labels == ("EU", "NA", "none") and len(data.train) + len(data.test) == 40
    words = "counted as classes: 'NA' in 10 rows, 'none' in 10 rows; leave the cell empty where a label is missing"
    assert words in data.notes
    refused(written(csv, rows(labels=("NaN",))), "is empty in all 40 rows .40 say 'NaN'.")


def test_whole_numbers_that_became_classes_are_noted(csv):
    written(csv, rows(labels=("1", "2", "3")))
    note = "labels are 3 whole numbers: classes; kind=regression changes that"
    assert note in load(csv).notes and note not in load(csv, kind="classification").notes


def test_rows_without_any_of_several_labels_stay_whoever_says_the_kind(tmp_path):
    path = written(tmp_path / "a.tsv", rows(48, labels=("a;b", "a", "b", "", "N/A", "b;a")), separator="\t")
    seen, said = load(path), load(path, kind="multilabel")
    assert seen.kind == "multilabel" and len(seen.train) + len(seen.test) == 48
    assert (seen.train.inputs, seen.test.ids) == (said.train.inputs, said.test.ids)
    assert numpy.array_equal(seen.train.targets, said.train.targets)
    words = "16 of 48 rows have no label in column 'label' (8 say 'N/A') and are examples of none (the first: line 5"
    assert all(any(note.startswith(words) for note in data.notes) for data in (seen, said))


# -- bad input ----------------------------------------------------------------------------------------------------


def test_files_that_are_not_there(tmp_path, csv):
    written(csv, rows())
    refused(tmp_path / "mime.csv", "does not exist", hint="did you mean")
    refused(tmp_path / "no" / "mine.csv", "does not exist", hint="no folder")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("a.pkl", "run code"),
        ("a.npy", "run code"),
        ("a.pt", "run code"),
        ("a.csv.gz", "unpack"),
        ("a.xls", "save"),
        ("a", "save"),
    ],
)
def test_kinds_of_files_that_are_not_read(tmp_path, name, hint):
    (tmp_path / name).write_bytes(b"\x80\x04.")
    refused(tmp_path / name, "readable are .csv", hint=hint)


def test_folders_are_not_files(tmp_path, csv):
    written(csv, rows())
    refused(tmp_path, "is a folder", hint="mine.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes"),
        (b"text,label\n", "no rows below its heading"),
        (b"\n\n", "one column only"),
        (b"just words\nmore words\n", "one column only"),
        (b"text,label\na,x\nb,c,y\n", "line 3 of a.csv has 3 cells and the heading 2"),
        (b'text,label\n"a,x\nb,y\nc,"z\nd,e,f,g\n', "line 3|cannot be read as a table|cells"),
        (b"text,label\n\x00\x01\x02,1\n", "zero bytes"),
        (b"PK\x03\x04binary,1\n\xff\xfe\x00,2", "zero bytes"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    refused(tmp_path / "a.csv", message)


def test_damaged_spreadsheets_and_parquet_files(tmp_path):
    for name in ("a.xlsx", "a.parquet"):
        (tmp_path / name).write_bytes(b"this is none")
        refused(tmp_path / name, f"{name} cannot be read as")
    openpyxl.Workbook().save(tmp_path / "b.xlsx")
    refused(tmp_path / "b.xlsx", "has no filled sheet")


def test_empty_inputs_are_named_by_their_line(csv):
    listed = rows()
    listed[7] = ("", "ham")
    listed[9] = ("   ", "ham")
    refused(written(csv, listed), "line 9 of mine.csv: the input in column 'text' is empty; 2 of 40 rows lack it")


def test_one_class_only(csv):
    refused(written(csv, rows(labels=("ham",))), "one class only: 'ham' in all 40 rows", hint="at least 2 classes")


def test_a_label_that_occurs_once(csv):
    listed = [*rows(), ("once and never again", "spma")]
    error = refused(written(csv, listed), "label 'spma' of mine.csv occurs once .line 42.")
    assert "2 training examples" in error.message
    listed.append(("another", "eggs"))
    refused(written(csv, listed), "so do 1 other labels")
    refused(
        written(csv, rows(20, labels=("1", "1", "2", "2", "3", "3", "3"))[:-1] + [("x", "7")]),
        "occurs once",
        hint="regression",
    )


def test_a_label_that_is_in_the_test_rows_only(csv):
    listed = [(*row, "train") for row in rows(20)] + [("a", "eggs", "test"), ("b", "eggs", "test")]
    refused(
        written(csv, listed, heading=("text", "label", "split")), "label 'eggs' .* does not occur in the training rows"
    )


def test_texts_in_the_place_of_labels(csv):
    listed = [(label, text) for text, label in rows()]
    refused(written(csv, listed), "holds 40 different texts in 40 rows")


def test_numbers_that_are_no_targets(csv):
    listed = rows(labels=("0.5", "1.5"))
    refused(written(csv, [(text, "2.5") for text, _ in listed]), "are equal .2.5.")
    listed[4] = (listed[4][0], "inf")
    refused(written(csv, listed), "line 6 .*'inf' .* no finite number", kind="regression")


def test_too_few_rows(csv):
    refused(written(csv, rows(2)), "occurs once")
    refused(
        written(csv, [("a word", "x"), ("a word", "x"), ("two", "y"), ("two", "y")]), "too few to cut a test part from"
    )


@pytest.mark.parametrize("letter", ["J", "-", "*", "1", "É"])
def test_letters_that_are_no_residues(csv, letter):
    listed = sequences()
    listed[3] = (f"ACD{letter}EF", "1")
    error = refused(written(csv, listed, heading=("sequence", "label")), "line 5 of mine.csv: letter", model="esm2")
    assert repr(letter) in error.message and "ACDEFGHIKLMNPQRSTVWYXBUZO" in error.message


def test_text_for_a_protein_model(csv):
    refused(written(csv, rows()), "letter 'J'|is no residue", hint="text model", model="esm2")


def test_proteins_for_the_default_model(csv):
    written(csv, sequences(), heading=("sequence", "label"))
    refused(csv, "looks like protein sequences, and the default model minilm", hint="choose model=esm2")
    assert len(load(csv, model="minilm").train) == 32
    lower = [(sequence.lower(), label) for sequence, label in sequences()]
    assert load(written(csv, lower, heading=("sequence", "label")), model="esm2").train.inputs[0].isupper()


def test_dna_is_remarked_on(csv):
    generator = numpy.random.default_rng(0)
    listed = [("".join(generator.choice(list("ACGT"), size=20)), n % 2) for n in range(40)]
    data = load(written(csv, listed, heading=("sequence", "label")), model="esm2")
    assert any("DNA" in note for note in data.notes)


def test_sequences_that_lose_their_end_are_counted(csv):
    listed = [(sequence * (10 if n < 3 else 1), label) for n, (sequence, label) in enumerate(sequences())]
    written(csv, listed, heading=("sequence", "label"))
    data = load(csv, model="esm2", max_length=64)
    assert "3 of 40 sequences are longer than 62 residues and lose their end" in data.notes


def test_classes_that_differ_in_case_are_remarked_on(csv):
    data = load(written(csv, rows(labels=("spam", "Spam", "ham"))))
    assert data.labels == ("Spam", "ham", "spam") and any("upper and lower case only" in note for note in data.notes)
