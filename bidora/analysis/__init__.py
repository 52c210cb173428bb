"""Run folders as tidy tables, comparisons and plain sentences. pandas, no torch.

Every function tolerates runs that are unfinished, of an older version, or partly unreadable: what is not there is NaN.
"""

from bidora.analysis.comparing import comparison, paired_differences
from bidora.analysis.fairness import Finding, fairness, fairness_findings
from bidora.analysis.grouping import METHOD_NAMES, METHOD_ORDER, Group, groups_of
from bidora.analysis.tables import curves, dynamics_fits, dynamics_table, runs_table

__all__ = [
    "METHOD_NAMES",
    "METHOD_ORDER",
    "Finding",
    "Group",
    "comparison",
    "curves",
    "dynamics_fits",
    "dynamics_table",
    "fairness",
    "fairness_findings",
    "groups_of",
    "paired_differences",
    "runs_table",
]
