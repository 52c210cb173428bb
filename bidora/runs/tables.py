"""Parquet tables of a run folder, with columns of the types that a worker writes, whatever somebody else wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bidora.parquet_size import unpacked_size

if TYPE_CHECKING:
    import pandas

MOST_BYTES = 500_000_000
"""What one table may take in memory; the largest of a real run (units of a model of 7 billion weights) takes a fifth of it."""

PLACES = ("step", "phase_index", "layer", "unit", "index")
"""Whole numbers from 0; a row without one of them that its table has is left out."""

NUMBERS = (
    *("delta_m", "delta_m_signed_percent", "delta_d", "angle_degrees", "m0", "m", "singular_value", "cumulative"),
    *("direct_norm", "implicit_norm", "magnitude_gradient_norm", "cosine", "probability", "rouge_l"),
)

INPUTS = ("input", "target_words", "predicted_words")
"""Columns of predictions that hold parts of the test inputs; left out where these may not be passed on."""

WORDS = ("phase", "module", "name", "id", *INPUTS)

EITHER = ("target", "prediction")
"""Numbers of a regression, else words."""


def read_table(path: Path) -> pandas.DataFrame:
    """A parquet file as a table, known columns in their types; empty where it is missing, corrupt or larger than MOST_BYTES."""
    import pandas
    import pyarrow

    if not path.is_file():
        return pandas.DataFrame()
    try:
        if unpacked_size(path, limit=MOST_BYTES) > MOST_BYTES:
            return pandas.DataFrame()
        return typed(pandas.read_parquet(path))
    except (OSError, ValueError, TypeError, pyarrow.ArrowException):
        return pandas.DataFrame()


def typed(table: pandas.DataFrame) -> pandas.DataFrame:
    """The table with known columns in their types: what is no number becomes NaN, what is no word becomes text."""
    import numpy as np
    import pandas

    table = table.loc[:, ~table.columns.duplicated()].rename(columns=str)
    for name in table.columns:
        kind = table[name].dtype.kind
        if name in PLACES and kind not in "iu":
            found = pandas.to_numeric(table[name], errors="coerce")
            table = table[found.between(0, 2**31)].assign(**{name: found[found.between(0, 2**31)].astype("int64")})
        elif name in PLACES:
            table = table[table[name].between(0, 2**31)]
        elif name in NUMBERS:
            found = table[name] if kind in "iuf" else pandas.to_numeric(table[name], errors="coerce")
            table = table.assign(**{name: found.where(found.astype("float64").abs() < 1e300)}) if kind != "i" else table
        elif name in WORDS or (name in EITHER and kind not in "iuf"):
            table = table.assign(**{name: [each if isinstance(each, str) else _word(each) for each in table[name]]})
        elif name == "correct" and kind != "b":
            table = table.assign(correct=np.array([each is True for each in table[name]], dtype=bool))
    return table


def _word(value: object) -> str:
    return "" if value is None or isinstance(value, float) else str(value)[:200]
