"""CSV for spreadsheets: nothing that somebody wrote into a name is run as a formula; numbers stay numbers."""

from __future__ import annotations

import io

import pandas
import pytest

from bidora.analysis.spreadsheet import csv_of, harmless


@pytest.mark.parametrize(
    "text",
    ["=1+1", "=cmd|' /C calc'!A0", "+SUM(A1)", "-A1", "@x", "\t=1", "\n=1", "-1+cmd|x", '=HYPERLINK("http://a")'],
)
def test_formulas_become_text(text):
    assert harmless(text) == f"'{text}"
    read = pandas.read_csv(io.StringIO(csv_of(pandas.DataFrame({text: [text]}))))
    assert (read.columns[0], read.iloc[0, 0]) == (f"'{text}", f"'{text}")


@pytest.mark.parametrize("text", ["", "a=b", "-0.3", "-0.3 to 1.6", "+1.5 [-0.2, 3e-05]", "−0.3 to −0.1", "DoRA"])
def test_numbers_intervals_and_words_stay(text):
    assert harmless(text) == text


def test_a_table_keeps_its_numbers_and_is_not_changed():
    table = pandas.DataFrame(
        {"n": [-1.5, None], "w": ["-x", None], "l": [["=a"], 3], "c": pandas.Categorical(["=a", "b"])}
    )
    table.columns = ["n", "n", "l", "c"]
    before = table.copy()
    text = csv_of(table)
    assert text.splitlines()[1] == "-1.5,'-x,['=a'],'=a"
    pandas.testing.assert_frame_equal(table, before)
    assert csv_of(pandas.DataFrame({"a": []})) == "a\n"


def test_no_cell_begins_another_row():
    assert harmless("a\r=1") == "a\n=1" and harmless("\r=1") == "'\n=1"
    read = pandas.read_csv(io.StringIO(csv_of(pandas.DataFrame({"w": ["a\r=1"], "x": [2]}))))
    assert read.to_dict("records") == [{"w": "a\n=1", "x": 2}]
