"""Our own runs beside the published scores, wherever task and method are the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bidora.analysis import comparison
from bidora.published.tables import TABLES, TITLES, Column, Published, Row, as_printed
from bidora.runs import Run
from bidora.tasks import TASKS
from bidora.wording import METHOD_NAMES, score_name

if TYPE_CHECKING:
    import pandas

RECALL = "weighted_recall"
"""Recall, averaged by class size, is the accuracy: our runs write it once."""

COLUMNS = ["key", "table", "task", "score", "method", "published", "ours", "seeds", "model", "same model", "settings"]


def beside(runs: Iterable[Run], tables: Sequence[Published] = TABLES) -> pandas.DataFrame:
    """Published scores and ours, one row for each group of our runs that has a published score of its task and method.

    Args:
        runs: any runs; only those with final scores count.
        tables: which published tables.

    Returns:
        key and table (number and title), task, score, method (as printed), published, ours (mean with its 95 % interval,
        with the paper's decimals),
        seeds, model (ours), same model (whether its name is that of the table's; yes or no), settings (in which our groups
        differ).
    """
    import pandas

    members = list(runs)
    groups = comparison(members).to_dict("records")
    models = {run.id: _model(run) for run in members}
    rows = [
        _row(table, column, row, value, group, models[group["ids"][0]])
        for table in tables
        for row in table.rows
        for column, value in zip(table.columns, row.scores)
        for group in groups
        if _same(column, row, group) and math.isfinite(group.get(_name(column), math.nan))
    ]
    return pandas.DataFrame(rows, columns=COLUMNS)


def _same(column: Column, row: Row, group: dict[str, Any]) -> bool:
    task = TASKS.get(group["task"])
    usual = group["variant"] in ("", task.default_variant if task else "")
    return column.task == group["task"] and group["method"] == row.method and usual


def _row(table: Published, column: Column, row: Row, value: float, group: dict[str, Any], model: str) -> dict[str, Any]:
    scale = 100.0 if column.in_points else 1.0
    name = _name(column)
    mean, low, high = (scale * group.get(each, math.nan) for each in (name, f"{name}_low", f"{name}_high"))
    ends = "" if math.isnan(low + high) else f" [{as_printed(low, column)}, {as_printed(high, column)}]"
    examples = f", {group['examples_per_class']} examples per class" if group["examples_per_class"] else ""
    return {
        "key": table.key,
        "table": table.name,
        "task": TITLES[column.task],
        "score": score_name(column.metric),
        "method": row.name,
        "published": as_printed(value, column),
        "ours": f"{as_printed(mean, column)}{ends}",
        "seeds": group["seeds"],
        "model": model,
        "same model": "yes" if any(each in model.lower() for each in table.models) else "no",
        "settings": (group["settings"] or METHOD_NAMES.get(group["method"], group["method"])) + examples,
    }


def _name(column: Column) -> str:
    return "accuracy" if column.metric == RECALL else column.metric


def _model(run: Run) -> str:
    """Name of the pretrained model; of a folder only its last part, as paths are nobody's business."""
    config = run.config
    task = TASKS.get(config.task)
    name = config.model or (task.default_model if task else "")
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
