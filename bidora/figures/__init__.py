"""Tables in, plotly figures out: one function per figure. No torch, no reading of files.

Every figure has units on its axes, a line below it with the convention (axis, n, seeds), and `layout.meta` with `alt`,
a description in words for those who cannot see it. `template` is "light", "dark" or the name of a plotly template; the
background is transparent, so that the page shows through.
"""

from bidora.figures.appearance import STYLES, Style, styles_of
from bidora.figures.cost import cost
from bidora.figures.drift import direction_drift, magnitude_drift
from bidora.figures.learning import learning_curves
from bidora.figures.levels import two_levels
from bidora.figures.relation import magnitude_vs_direction
from bidora.figures.samples import samples

__all__ = [
    "STYLES",
    "Style",
    "cost",
    "direction_drift",
    "learning_curves",
    "magnitude_drift",
    "magnitude_vs_direction",
    "samples",
    "styles_of",
    "two_levels",
]
