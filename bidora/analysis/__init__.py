"""Run folders as tidy tables, comparisons and plain sentences. pandas, no torch.

Every function tolerates runs that are unfinished, of an older version, or partly unreadable: what is not there is NaN.
"""

from bidora.analysis.cells import Cell, cell
from bidora.analysis.choosing import LIMIT, Choice, block_in_words, choices, named_runs, suggested
from bidora.analysis.comparing import comparison, paired_differences
from bidora.analysis.fairness import Finding, fairness, fairness_findings
from bidora.analysis.grouping import METHOD_NAMES, METHOD_ORDER, Group, groups_of
from bidora.analysis.headline import Headline, headline
from bidora.analysis.parts import Measured, Sampled, baseline_of, fits_of_runs, measured, sampled, scored_metrics
from bidora.analysis.pooling import pooled_differences
from bidora.analysis.readable import not_beaten, readable_comparison, readable_differences, readable_fits
from bidora.analysis.reference import BLOCK, MOST_IN_PAIRS, usual_reference
from bidora.analysis.settings import settings_table
from bidora.analysis.tables import curves, dynamics_fits, dynamics_table, fits_of, runs_table

__all__ = [
    "BLOCK",
    "LIMIT",
    "METHOD_NAMES",
    "METHOD_ORDER",
    "MOST_IN_PAIRS",
    "Cell",
    "Choice",
    "Finding",
    "Group",
    "Headline",
    "Measured",
    "Sampled",
    "baseline_of",
    "block_in_words",
    "cell",
    "choices",
    "comparison",
    "curves",
    "dynamics_fits",
    "dynamics_table",
    "fairness",
    "fairness_findings",
    "fits_of",
    "fits_of_runs",
    "groups_of",
    "headline",
    "measured",
    "named_runs",
    "not_beaten",
    "paired_differences",
    "pooled_differences",
    "readable_comparison",
    "readable_differences",
    "readable_fits",
    "runs_table",
    "sampled",
    "scored_metrics",
    "settings_table",
    "suggested",
    "usual_reference",
]
