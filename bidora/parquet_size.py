"""How much memory a parquet table takes, counted before it is read whole: a few bytes can stand for any number of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyarrow import parquet

_ROWS, _FEW_ROWS = 8192, 64
"""Rows that are looked at together; few where a single cell may be of any size."""


def unpacked_size(path: Path, *, limit: int) -> int:
    """Bytes of a parquet table in memory, counted in pieces and no further than the limit.

    Numbers need their footer only. Words are read by their dictionaries, which say how long each is without writing it
    out for every row.

    Args:
        path: the file.
        limit: beyond it, counting ends; whatever is then returned is larger.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: it is no parquet file.
    """
    from pyarrow import parquet

    footer = parquet.read_metadata(path)
    columns = [footer.schema.column(place) for place in range(footer.num_columns)]
    flat = [each for each in columns if each.max_repetition_level == 0]
    words = [each.path for each in flat if each.physical_type == "BYTE_ARRAY"]
    numbers = [each for each in flat if each.physical_type not in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")]
    others = sorted({each.path.split(".")[0] for each in columns if each not in numbers and each.path not in words})
    total = 8 * footer.num_rows * len(numbers)
    for names, rows in ((words, _ROWS), (others, _FEW_ROWS)):
        if names and total <= limit:
            with parquet.ParquetFile(path, read_dictionary=words) as file:
                total = _counted(file, names, rows, total, limit)
    return int(total)


def _counted(file: parquet.ParquetFile, names: list[str], rows: int, total: int, limit: int) -> int:
    for batch in file.iter_batches(batch_size=rows, columns=names):
        total += sum(_size(column) for column in batch.columns)
        if total > limit:
            break
    return total


def _size(column: Any) -> int:
    """Bytes of a column once each of its cells is written out."""
    import pyarrow
    from pyarrow import compute

    if not isinstance(column, pyarrow.DictionaryArray):
        return int(column.nbytes)
    lengths = compute.binary_length(column.dictionary)
    written = compute.sum(lengths.take(column.indices)).as_py()
    return int(written or 0) + 8 * len(column)
