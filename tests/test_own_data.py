"""Uploads: kept under a name of our own, and only where they are what they say."""

from __future__ import annotations

import io
import zipfile

import pytest

from bidora import own_data
from bidora.errors import LabError
from bidora.own_data import folder_of, is_kept, keep, kept, look

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
        ("a.csv", b"", "has 0 bytes"),
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
