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
        "on the same test set. Differences: Student's t over pairs. Fits: bootstrap over weights. A bootstrap over few values "
        "never leaves their range and is too short; tables of differences have it beside the other, for comparison.",
        formula=r"\bar x \pm t_{0.975,\,n-1}\,\frac{s}{\sqrt n} \quad(\text{seeds})",
        unit="as the number itself",
        convention="The column interval says which; with one seed there is none over seeds.",
        source=(("", "Wilson 1927; Student 1908; Efron 1979, percentile bootstrap"),),
        shown=("Runs", *_FIT),
        names=(
            "low",
            "high",
            "bootstrap_low",
            "bootstrap_high",
            "slope_interval",
            "pearson_interval",
            "spearman_interval",
        ),
    ),
    Entry(
        key="paired_difference",
        term="Paired difference",
        topic="statistics",
        meaning="First minus second method, seed by seed, on the same data: what the seed does to both cancels. Mean, "
        "and 95 % interval by Student's t over pairs.",
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
        key="p_corrected",
        term="p, corrected for several tests",
        topic="statistics",
        meaning="With many tests some small p come by chance alone. Holm's correction bounds the chance of even one false "
        "finding; Benjamini and Hochberg's the expected share of false ones among the findings. Counted are all tests of "
        "one table, so a comparison of more methods pays for it.",
        formula=r"p_{(i)}^{\text{Holm}} = \max_{j \le i} \min\left(1, (n - j + 1)\, p_{(j)}\right)",
        unit="–, 0 to 1",
        convention="Holm unless another one is named; differences without a test are not counted.",
        source=(("", "Holm 1979; Benjamini and Hochberg 1995"),),
        shown=("Compare", "report", "`bidora compare`"),
        names=("correction", "tests"),
    ),
    Entry(
        key="effect_size",
        term="Effect size d_z",
        topic="statistics",
        meaning="The mean paired difference in units of its spread from pair to pair (Cohen's d for pairs). It tells how "
        "regular a difference is, not how large in points: a tenth of a point that hardly varies gives a large one. "
        "With a handful of seeds it is itself very uncertain, and too large on average.",
        formula=r"d_z = \frac{\bar d}{s_d}",
        unit="–, in standard deviations of the differences",
        convention="Standard deviation with n − 1; infinite where all differences are equal and not 0.",
        source=(("", "Cohen 1988; Lakens 2013"),),
        shown=("Compare", "report", "`bidora compare`"),
    ),
    Entry(
        key="rank_biserial",
        term="Rank-biserial correlation r",
        topic="statistics",
        meaning="The effect size that belongs to the signed-rank test: the ranks of the differences in favour of the first, "
        "less those in favour of the second, as a share of all ranks. 1: every difference is positive; 0: balanced; −1: "
        "every one is negative.",
        formula=r"r = \frac{W^+ - W^-}{W^+ + W^-}",
        unit="–, −1 to 1",
        convention="Zeros are dropped, ties share their mean rank, as in the test.",
        source=(("", "Kerby 2014"),),
        shown=("Compare", "report", "`bidora compare`"),
    ),
    Entry(
        key="pooled",
        term="Difference pooled over tasks",
        topic="statistics",
        meaning="Each task counts as one pair, the mean over its shared seeds, and the signed-rank test is made over tasks, as "
        "the papers do over GLUE. It asks whether one method tends to be above the other on tasks like these; it ranks "
        "a point of accuracy against a point of a correlation, and says nothing of a single task or of other seeds.",
        unit="as the test: p from 0 to 1",
        convention="Primary scores; where lower is better the sign is turned round.",
        source=(("bidora", "the published p = 2.4e-4 over GLUE"), ("", "Demšar 2006")),
        shown=("report", "`bidora compare --pooled`", "Published results"),
        names=("tasks",),
    ),
    Entry(
        key="tuning",
        term="Trials on the selection split",
        topic="statistics",
        meaning="How many values of a setting were tried for a method before the runs that count, each scored on the selection "
        "split, which is never trained on, and with how many seeds. A method that was given more trials had more chances; "
        "where run folders do not say, it is unknown.",
        unit="count",
        convention="Noted by `bidora sweep --tune`; the test data play no part in the choice.",
        source=(("", "definition of this lab"),),
        shown=("Compare, fairness box",),
        names=("trials", "selection_scores"),
    ),
    Entry(
        key="test_items",
        term="A difference in test items",
        topic="statistics",
        meaning="How many answers of the test set a difference of accuracy amounts to: the difference times the number of test "
        "items. On RTE a point is less than three of 277 answers. Correlations and errors are no counts of answers.",
        formula=r"\Delta\,\text{accuracy} \cdot n_{test}",
        unit="test items",
        convention="Published scores are printed with one decimal, so each count may be off by 0.1 points' worth of items.",
        source=(("", "definition of this lab"),),
        shown=("Published results", "`bidora published`"),
        names=("items",),
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
