"""Entries on the line through ΔM against ΔD, on intervals and on paired differences."""

from __future__ import annotations

from bidora.glossary.entry import Entry

_FIT = ("Compare", "Analyse an adapter", "Runs, tab Weights", "Classroom, lesson 4")
_PAIRS = ("Compare", "Classroom, lesson 5")

STATISTICS = (
    Entry(
        key="slope",
        term="Slope of ΔM on ΔD",
        topic="statistics",
        meaning="How steep the least-squares line is: by how much ΔM changes per unit of ΔD. It has a unit and says "
        "nothing of how well the line fits. The “correlation” −8.042 of BiDoRA's abstract is a slope: a correlation "
        "cannot lie below −1, and the authors' own figure is titled k = −8.042.",
        formula=r"k = \frac{\sum (\Delta D-\overline{\Delta D})(\Delta M-\overline{\Delta M})}"
        r"{\sum (\Delta D-\overline{\Delta D})^2}",
        unit="weight units per 1 − cos",
        convention="One point per layer, module and checkpoint: three intermediate ones and the final one.",
        source=(("dora", "section 3.2"), ("bidora", "abstract and figure")),
        shown=(*_FIT, "Runs"),
        names=("dynamics_slope",),
    ),
    Entry(
        key="intercept",
        term="Intercept",
        topic="statistics",
        meaning="The height of the fitted line at ΔD = 0.",
        formula=r"\overline{\Delta M} - k\,\overline{\Delta D}",
        unit="weight units",
        source=(("", "standard"),),
        shown=_FIT,
    ),
    Entry(
        key="points",
        term="Points and clusters",
        topic="statistics",
        meaning="How many points the line was drawn through, and from how many different weights (layer and module) they "
        "come. Checkpoints of one weight are not independent, so the clusters are what the bootstrap draws.",
        unit="count",
        source=(("", "definition of this lab"),),
        shown=_FIT,
        names=("clusters", "dynamics_points"),
    ),
    Entry(
        key="leave_one_out",
        term="Range without a point, without a layer",
        topic="statistics",
        meaning="The smallest and largest slope (or r) that one gets by leaving out one point, or one whole layer. A wide "
        "range says that the picture hangs on little; a change of sign, that it hangs on nothing.",
        formula=r"\left[ \min_i k_{(-i)},\; \max_i k_{(-i)} \right]",
        unit="as the slope; r has none",
        source=(("", "standard"),),
        shown=_FIT,
        names=("slope_without_a_point", "pearson_without_a_point", "slope_without_a_layer", "pearson_without_a_layer"),
    ),
    Entry(
        key="tiny_share",
        term="Share of points with ΔD below 10⁻⁴",
        topic="statistics",
        meaning="Points whose direction has hardly moved say little about a slope; many of them make it a matter of the "
        "few others.",
        unit="share, 0 to 1",
        source=(("", "definition of this lab"),),
        shown=_FIT,
    ),
    Entry(
        key="note",
        term="Note below a fit",
        topic="statistics",
        meaning="Plain words when a line hangs on few points, when its interval holds both signs, or when there is no line.",
        source=(("", "definition of this lab"),),
        shown=_FIT,
    ),
    Entry(
        key="interval",
        term="95 % interval",
        topic="statistics",
        meaning="A range that answers one question, and each kind another one. One run: Wilson's interval or a bootstrap "
        "over test items, for another test set of this size. Several seeds: Student's t over seeds, for another seed "
        "on the same test set. Fits: bootstrap over weights. Differences: bootstrap over pairs.",
        formula=r"\bar x \pm t_{0.975,\,n-1}\,\frac{s}{\sqrt n} \quad(\text{seeds})",
        unit="as the number itself",
        convention="The column interval says which; with one seed there is none over seeds.",
        source=(("", "Wilson 1927; Student 1908; Efron 1979, percentile bootstrap"),),
        shown=("Runs", *_FIT),
        names=("low", "high", "slope_interval", "pearson_interval", "spearman_interval"),
    ),
    Entry(
        key="paired_difference",
        term="Paired difference",
        topic="statistics",
        meaning="First minus second method, seed by seed, on the same data: what the seed does to both cancels. Mean, "
        "and 95 % bootstrap interval over pairs.",
        formula=r"\bar d = \frac{1}{n}\sum_{seed} \left( \text{score}_{first} - \text{score}_{second} \right)",
        unit="points for shares, else as the score",
        convention="Only seeds that both have, and only with the same test set.",
        source=(("", "standard"),),
        shown=_PAIRS,
        names=("mean", "pairs", "first", "second", "first_method", "second_method", "difference", "differences"),
    ),
    Entry(
        key="higher",
        term="Higher in k of n seeds",
        topic="statistics",
        meaning="In how many pairs the first is above (or below) the second. If both were equally good all n would agree "
        "by chance in 2·0.5ⁿ of cases: a quarter of the time with three seeds.",
        formula=r"P(\text{all agree}) = 2 \cdot 0.5^n",
        unit="count",
        source=(("", "sign test"),),
        shown=_PAIRS,
        names=("lower", "sentence", "verdict", "by_chance"),
    ),
    Entry(
        key="p",
        term="p of Wilcoxon's signed-rank test",
        topic="statistics",
        meaning="How often differences at least so one-sided would come from scatter around zero. With n pairs it cannot "
        "fall below 2·0.5ⁿ: with three seeds never below 0.25.",
        unit="–, 0 to 1",
        convention="Two-sided, exact where possible; zeros are dropped.",
        source=(("", "Wilcoxon 1945"),),
        shown=_PAIRS,
        names=("smallest_p",),
    ),
    Entry(
        key="fairness",
        term="Fairness box",
        topic="statistics",
        meaning="Whether methods were compared on equal terms: same data, same gradient evaluations, same time, same "
        "settings, same tuning, same seeds, same norm axis. It says which conclusions the runs allow.",
        source=(("", "definition of this lab"),),
        shown=_PAIRS,
        names=("topic", "fair"),
    ),
)
