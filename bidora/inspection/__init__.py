"""Looking at an adapter or at two checkpoints from outside: a process of its own, its result, and what it says."""

from bidora.inspection.contents import key_of
from bidora.inspection.process import TIME_LIMIT, Inspection
from bidora.inspection.recipe import arguments, command, notebook_cell
from bidora.inspection.result import AXES, Result, statistics_table, what_can_be_said

__all__ = [
    "AXES",
    "TIME_LIMIT",
    "Inspection",
    "Result",
    "arguments",
    "command",
    "key_of",
    "notebook_cell",
    "statistics_table",
    "what_can_be_said",
]
