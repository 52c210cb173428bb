"""Looking at an adapter or at two checkpoints from outside: a process of its own, its result, and what it says."""

from bidora.inspection.contents import key_of
from bidora.inspection.process import TIME_LIMIT, Inspection, arguments
from bidora.inspection.result import AXES, Result, statistics_table, what_can_be_said

__all__ = [
    "AXES",
    "TIME_LIMIT",
    "Inspection",
    "Result",
    "arguments",
    "key_of",
    "statistics_table",
    "what_can_be_said",
]
