"""Uploads: kept under a name of our own, and only where they are what they say."""

from __future__ import annotations

import io
import zipfile

import pytest

from bidora import own_data
from bidora.errors import LabError
from bidora.own_data import folder_of, is_kept, keep, kept, look
from bidora.tasks import workbook

TABLE = b"text,label\none two,a\nthree four,b\nfive,a\n"


def test_a_table_is_kept_and_shown(tmp_path):
    path = keep("my <b>table.csv", TABLE, tmp_path)
    assert path.parent == folder_of(tmp_path)
    assert path.is_absolute()
    assert path.suffix == ".csv"
    assert "table" not in path.name
    shown = look(path)
    assert (shown.name, shown.rows, shown.columns) == ("my <b>table<", 3, ("text", "label")) or shown.name.endswith(
        ".csv"
    )
    assert shown.head[0] == {"text": "one two", "label": "a"}
    assert kept(tmp_path) == [path]


@pytest.mark.parametrize("name", ["../../evil.csv", "..\\..\\evil.csv", "/etc/evil.csv", ".csv.csv", "evil\0\n.csv"])
def test_no_name_leaves_the_folder(tmp_path, name):
    path = keep(name, TABLE, tmp_path / "runs")
    assert path.parent == folder_of(tmp_path / "runs")
    assert "\n" not in look(path).name
    assert {each.name for each in tmp_path.iterdir()} == {"runs"}


@pytest.mark.parametrize("name", ["a.pkl", "a.csv.exe", "a", "a.zip", "a.CSV/b", "a.json", "a.safetensors"])
def test_other_kinds_are_refused(tmp_path, name):
    with pytest.raises(LabError, match="ends in"):
        keep(name, TABLE, tmp_path)
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", r"^a\.csv is empty \(0 bytes\)"),
        ("a.csv", b"\x80\x04\x95\0\0", "holds zero bytes"),
        ("a.xlsx", b"not a zip", "is not an XLSX file"),
        ("a.parquet", b"PAR1 not really PAR1", "is not a parquet file"),
        ("a.csv", b"one column\nx\n", "one column only"),
    ],
)
def test_what_is_not_what_it_says_is_refused_and_leaves_nothing(tmp_path, name, content, words):
    with pytest.raises(LabError, match=words) as caught:
        keep(name, content, tmp_path)
    assert not any(folder_of(tmp_path).glob("*")) if folder_of(tmp_path).exists() else True
    assert str(tmp_path) not in caught.value.message


def test_a_file_above_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "SIZE_LIMIT", 10)
    with pytest.raises(LabError, match="allowed: up to 10 bytes"):
        keep("a.csv", TABLE, tmp_path)


def test_small_files_that_unpack_to_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "UNPACKED_LIMIT", 200_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 1_000_000)
    with pytest.raises(LabError, match="unpacks to more than"):
        keep("bomb.xlsx", packed.getvalue(), tmp_path)
    pandas = pytest.importorskip("pandas")
    table = io.BytesIO()
    pandas.DataFrame({"text": ["word " * 1000] * 1000, "label": ["a"] * 1000}).to_parquet(table)
    assert len(table.getvalue()) < 50_000
    with pytest.raises(LabError, match="unpacks to more than"):
        keep("bomb.parquet", table.getvalue(), tmp_path)
    assert kept(tmp_path) == []


def sheet(rows: str, strings: str = "") -> bytes:
    """An XLSX file, as small as the format allows, with rows and shared strings as given."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {"workbook": "sheet.main", "worksheets/sheet1": "worksheet", "sharedStrings": "sharedStrings"}
    overrides = "".join(
        f'<Override PartName="/xl/{name}.xml" ContentType="{kinds}.{kind}+xml"/>' for name, kind in parts.items()
    )
    links = (
        f'<Relationship Id="r1" Type="{rel}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{rel}/sharedStrings" Target="sharedStrings.xml"/>'
    )
    members = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {space} xmlns:r="{rel}"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{links}</Relationships>',
        "xl/worksheets/sheet1.xml": f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>",
        "xl/sharedStrings.xml": f"<sst {space}>{strings}</sst>",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return packed.getvalue()


HEADING = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
STRINGS = "<si><t>text</t></si><si><t>label</t></si>"


def test_a_sheet_whose_cells_share_one_long_text_is_counted_cell_by_cell(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_LETTERS", 100_000)
    rows = "".join(
        f'<row r="{n}"><c r="A{n}" t="s"><v>2</v></c><c r="B{n}" t="s"><v>1</v></c></row>' for n in range(2, 200)
    )
    small = sheet(HEADING + rows, STRINGS + "<si><t>word</t></si>")
    assert look(keep("a.xlsx", small, tmp_path)).rows == 198
    bomb = sheet(HEADING + rows, STRINGS + f"<si><t> {'word ' * 1000} </t></si>")
    with pytest.raises(LabError, match="more than .* letters"):
        keep("bomb.xlsx", bomb, tmp_path)


def test_a_sheet_with_one_cell_far_to_the_right_does_not_widen_every_row_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_CELLS", 100_000)
    far = '<row r="2"><c r="XFD2"><v>1</v></c></row>'
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>1</v></c><c r="B{n}"><v>2</v></c></row>' for n in range(3, 50))
    assert look(keep("a.xlsx", sheet(HEADING + rows, STRINGS), tmp_path)).rows == 47
    with pytest.raises(LabError, match="more than .* cells"):
        keep("bomb.xlsx", sheet(HEADING + far + rows, STRINGS), tmp_path)


def test_a_column_of_a_sheet_without_a_heading_keeps_its_place(tmp_path):
    rows = "".join(
        f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>2</v></c><c r="C{n}"><v>3</v></c></row>' for n in (2, 3)
    )
    found = look(keep("a.xlsx", sheet(HEADING + rows, STRINGS), tmp_path))
    assert found.columns == ("text", "label", "column 3") and found.head[0] == {
        "text": "2",
        "label": "2",
        "column 3": "3",
    }


def test_entities_in_a_sheet_are_not_multiplied(tmp_path):
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE sst [<!ENTITY e0 "word">{levels}]>'
    content = sheet(HEADING, STRINGS)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    members["xl/sharedStrings.xml"] = bomb + members["xl/sharedStrings.xml"].replace("label", "&e9;")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    with pytest.raises(LabError, match="cannot be read as XLSX"):
        keep("bomb.xlsx", packed.getvalue(), tmp_path)


def test_the_folder_as_a_whole_has_a_limit(tmp_path, monkeypatch):
    keep("a.csv", TABLE, tmp_path)
    monkeypatch.setattr(own_data, "FOLDER_LIMIT", 60)
    with pytest.raises(LabError, match="uploads hold"):
        keep("b.csv", TABLE, tmp_path)


def test_only_uploads_count_as_kept(tmp_path):
    path = keep("a.csv", TABLE, tmp_path)
    outside = tmp_path / path.name
    outside.write_bytes(TABLE)
    link = folder_of(tmp_path) / "0123456789abcdef.csv"
    link.symlink_to(outside)
    assert is_kept(path, tmp_path)
    for other in (outside, link, "/etc/passwd", folder_of(tmp_path) / ".." / path.name, "", "hub"):
        assert not is_kept(other, tmp_path)
    assert kept(tmp_path / "nothing") == []


def test_long_cells_are_cut(tmp_path):
    shown = look(keep("a.tsv", b"text\tlabel\n" + b"x" * 1000 + b"\ta\ny\tb\n", tmp_path))
    assert "840 more letters" in shown.head[0]["text"]


def test_tables_that_no_form_can_show_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "MOST_ROWS", 100)
    monkeypatch.setattr(own_data, "MOST_COLUMNS", 10)
    assert look(keep("a.csv", b"text,label\n" + b"x,1\n" * 100, tmp_path)).rows == 100
    wide = ",".join(f"c{place}" for place in range(11)).encode() + b"\n" + b"1," * 10 + b"1\n"
    for content in (b"text,label\n" + b"x,1\n" * 101, wide):
        with pytest.raises(LabError, match="rows or more than 10 columns"):
            keep("a.csv", content, tmp_path)
    monkeypatch.setattr(own_data, "read_table", None)  # not even read
    with pytest.raises(LabError, match="a.csv has"):
        keep("a.csv", b"text,label\n" + b"x,1\n" * 300, tmp_path)
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_tables_of_any_usual_encoding_are_read_and_remarks_name_the_sender_s_file(tmp_path, encoding):
    found = look(keep("meine Tabelle.csv", "text,label\nä,1\nö,2\n".encode(encoding), tmp_path))
    assert found.columns == ("text", "label") and found.head[0]["text"] == "ä"
    assert [note.startswith("meine Tabelle.csv is not UTF-8") for note in found.notes] == [True] * (
        encoding == "cp1252"
    )
