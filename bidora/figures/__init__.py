"""Tables in, plotly figures out: one function per figure. No torch, no reading of files.

Every figure has units on its axes, a line below it with the convention (axis, n, seeds), and `layout.meta` with `alt`,
a description in words for those who cannot see it. `template` is "light", "dark" or the name of a plotly template; the
background is transparent, so that the page shows through.
"""

from bidora.figures.appearance import STYLES, Style, drawing_of, styles_of, without_words
from bidora.figures.arrows import arrows
from bidora.figures.convergence import solver_errors
from bidora.figures.cost import cost
from bidora.figures.differences import paired_differences
from bidora.figures.drift import direction_drift, magnitude_drift
from bidora.figures.gap import generalisation_gap
from bidora.figures.leak import nearest_relatives
from bidora.figures.learning import learning_curves
from bidora.figures.levels import two_levels
from bidora.figures.motion import magnitude_motion
from bidora.figures.norm_gradient import norm_gradient
from bidora.figures.plane import hypergradient_arrows, plane
from bidora.figures.prevalence import scores_by_prevalence
from bidora.figures.reachable import reachable
from bidora.figures.relation import magnitude_vs_direction
from bidora.figures.replay import replay
from bidora.figures.samples import samples
from bidora.figures.scores import scores
from bidora.figures.spectrum import change_spectrum
from bidora.figures.units import magnitude_units
from bidora.figures.votes import vote_result

__all__ = [
    "STYLES",
    "Style",
    "arrows",
    "change_spectrum",
    "cost",
    "direction_drift",
    "drawing_of",
    "generalisation_gap",
    "hypergradient_arrows",
    "learning_curves",
    "magnitude_drift",
    "magnitude_motion",
    "magnitude_units",
    "magnitude_vs_direction",
    "nearest_relatives",
    "norm_gradient",
    "paired_differences",
    "plane",
    "reachable",
    "replay",
    "samples",
    "scores",
    "scores_by_prevalence",
    "solver_errors",
    "styles_of",
    "two_levels",
    "vote_result",
    "without_words",
]
