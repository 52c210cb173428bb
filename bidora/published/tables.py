"""The published tables, read from tables.json: every number as printed, none of ours among them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bidora.errors import LabError
from bidora.wording import score_name

if TYPE_CHECKING:
    import pandas

_OF_GLUE = "MNLI SST-2 MRPC CoLA QNLI QQP RTE STS-B"
TITLES = {title.lower().replace("-", ""): title for title in _OF_GLUE.split()}
TITLES |= {"thermostability": "thermostability", "bbp": "BBP", "mic": "MIC"}
"""Task → what the tables call it."""

COUNTED = ("accuracy",)
"""Scores that count answers: a difference of them is a number of test items."""


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        task: its name in this lab.
        metric: its name in this lab.
        items: of the test set; 0 where the score does not count answers.
        remark: how the number of items is known; empty where it is the development set's own size.
    """

    task: str
    metric: str
    items: int
    remark: str

    @property
    def title(self) -> str:
        """Task and score in words: `CoLA, MCC`."""
        return f"{TITLES[self.task]}, {score_name(self.metric)}"

    @property
    def in_points(self) -> bool:
        """Whether the score is printed times 100."""
        return self.metric != "mse"


class Row(NamedTuple):
    """One row of a table: name as printed, method of this lab, rank (0: not printed), scores, printed average or None."""

    name: str
    method: str
    rank: int
    scores: tuple[float, ...]
    average: float | None


@dataclass(frozen=True)
class Published:
    """One table.

    Attributes:
        key: for links and commands.
        number: as the paper counts.
        title: data and model.
        models: parts of names of the model that it was made with.
        columns: tasks and scores.
        rows: methods.
        note: what has to be known of it.
    """

    key: str
    number: str
    title: str
    models: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str

    @property
    def name(self) -> str:
        """Number and title."""
        return f"{self.number}: {self.title}"

    @property
    def scores(self) -> dict[str, tuple[float, ...]]:
        """Name as printed → scores in the order of the columns."""
        return {row.name: row.scores for row in self.rows}


def _read() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("tables.json").read_text(encoding="utf-8"))
    return found


def _column(task: str, metric: str, items: dict[str, list[Any]]) -> Column:
    count, remark = items.get(task, (0, ""))
    return Column(task, metric, count if metric in COUNTED else 0, remark if metric in COUNTED else "")


def _table(found: dict[str, Any], items: dict[str, list[Any]]) -> Published:
    columns = tuple(_column(task, metric, items) for task, metric in found["columns"])
    rows = tuple(
        Row(row["name"], row["method"], row.get("rank", 0), tuple(row["scores"]), row.get("average"))
        for row in found["rows"]
    )
    about = (found["key"], found["number"], found["title"])
    return Published(*about, tuple(found["models"]), columns, rows, found["note"])


_FOUND = _read()

SOURCE: str = _FOUND["source"]
"""Where the numbers were read."""

CLAIMS: dict[str, Any] = _FOUND["claims"]
"""Published numbers that stand outside the tables: wilcoxon_p, and training_time as multiples of LoRA's."""

TABLES: tuple[Published, ...] = tuple(_table(each, _FOUND["items"]) for each in _FOUND["tables"])
"""Every table, in the order of the paper."""


def get_table(key: str) -> Published:
    """The table of that key.

    Raises:
        LabError: there is none.
    """
    for table in TABLES:
        if table.key == key:
            return table
    raise LabError(f"there is no published table {key[:40]!r}", hint=f"there are {', '.join(t.key for t in TABLES)}")


def printed(table: Published) -> pandas.DataFrame:
    """A table as printed, as texts: method, one column per task and score, average where there is one."""
    import pandas

    rows = []
    for row in table.rows:
        shown = {"method": row.name}
        shown |= {column.title: as_printed(value, column) for column, value in zip(table.columns, row.scores)}
        rows.append(shown | ({"average": f"{row.average:g}"} if row.average is not None else {}))
    return pandas.DataFrame(rows)


def as_printed(value: float, column: Column) -> str:
    """A score with as many decimals as the paper prints."""
    return f"{value:.1f}" if column.in_points else f"{value:.4f}"
