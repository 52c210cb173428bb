"""The published tables of BiDoRA as printed, beside our own runs, and in numbers of test items. No torch.

from bidora import published
published.TABLES[0].scores["BiDoRA"]          published.differences(published.TABLES[0])          published.beside(runs)
"""

from bidora.published.differences import (
    Difference,
    compared_with,
    differences,
    differences_table,
    signed_rank_of_table_1,
    signed_rank_sentence,
)
from bidora.published.ours import beside
from bidora.published.tables import CLAIMS, SOURCE, TABLES, Column, Published, Row, get_table, printed

__all__ = [
    "CLAIMS",
    "SOURCE",
    "TABLES",
    "Column",
    "Difference",
    "Published",
    "Row",
    "beside",
    "compared_with",
    "differences",
    "differences_table",
    "get_table",
    "printed",
    "signed_rank_of_table_1",
    "signed_rank_sentence",
]
