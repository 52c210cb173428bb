"""A grid of runs: methods × tasks × seeds × settings, carried out by worker processes, a few at a time.

Where a sweep stands is in its run folders alone: same settings = same run of the group. So the same command again passes
over what is finished and goes on with what was stopped or lost. This package imports no torch.
"""

from bidora.sweeping.combinations import combinations_of, names_of_sweep, without_unused
from bidora.sweeping.failures import Failure, failure_of, systematic
from bidora.sweeping.planning import Planned, disk_of, equal_run, planned
from bidora.sweeping.sweep import Sweep

__all__ = [
    "Failure",
    "Planned",
    "Sweep",
    "combinations_of",
    "disk_of",
    "equal_run",
    "failure_of",
    "names_of_sweep",
    "planned",
    "systematic",
    "without_unused",
]
