# %% [markdown]
# # 04 · Reading the ΔM/ΔD plot
#
# A slope is not a correlation, one point can turn a line, and the axis convention decides the sign.
#
# | where | minutes |
# |---|---|
# | laptop without GPU, with the recordings | 45, of which less than one is computing |
# | laptop without GPU, training fresh (`LAB_FULL=1`) | about 4 more (195 s when measured on 2 threads) |
# | GPU, training fresh | about 3 more (H200, measured) |
#
# You need notebook [01](01_length_and_direction.ipynb): what ΔM and ΔD are. Afterwards you can
#
# 1. compute slope and correlation, and say which question each of them answers;
# 2. find the point that carries a line, and give an interval that does not pretend too much;
# 3. write a sentence about such a plot that somebody else can check.

# %%
from bidora.exercises import predict

predict(
    "04",
    "An abstract reports a 'correlation' of −8.042 for its own method and −1.784 for an older one. What follows?",
    [
        "The new method links magnitude and direction about four times as strongly",
        "Both methods change magnitude and direction in opposite senses, the new one more so",
        "Neither number can be a correlation",
        "Nothing, unless one knows how many layers were measured",
    ],
)

# %% [markdown]
# ## The shortest example
#
# For every adapted layer, at some checkpoint $t$, with $k$ units of magnitude $m$ and direction $V$ (DoRA, equations 3 and 4):
#
# $$\Delta M^t = \frac1k\sum_{n=1}^{k} |m^{n,t}-m_0^n| \qquad
#   \Delta D^t = \frac1k\sum_{n=1}^{k} \bigl(1-\cos(V^{n,t}, W_0^n)\bigr)$$
#
# ($n$ counts units and $t$ checkpoints; neither is a power.) One point per layer and checkpoint; then a straight line through them. The recordings are real finished runs that come with the lab
# ([where they are from](../data/README.md)).

# %%
from bidora.analysis import dynamics_table
from bidora.exercises import check, explore, hint, reveal, show, solution
from bidora.exercises.leaving_out import recorded
from bidora.figures import magnitude_vs_direction

points = dynamics_table(recorded("recorded-peptides"))  # one row per run, layer, module and checkpoint
show(magnitude_vs_direction(points, shared_axes=False))

# %% [markdown]
# Four methods, three seeds each, on antimicrobial peptides. LoRA's points lie close to a line; DoRA's less so; for BiDoRA the line falls, but its
# interval holds both signs. Full fine-tuning has the steepest line of all, since its ΔD is tiny (learning rate 1e-4 there, 3e-3 for the adapters).

# %%
import os

import numpy as np

from bidora.exercises.training import trained

if os.environ.get("LAB_FULL") == "1":
    # the recorded settings once more, on this machine: these runs show up in the app, too
    templates = recorded("recorded-peptides", methods=["lora", "dora", "bidora"], seeds=[0])
    fresh = [trained(each.config, otherwise=each) for each in templates]
    show(magnitude_vs_direction(dynamics_table(fresh), shared_axes=False))
else:
    print("The recordings are enough here; LAB_FULL=1 trains seed 0 of LoRA, DoRA and BiDoRA afresh.")

# %% [markdown]
# ## Two numbers, two questions
#
# With $u = \Delta D - \overline{\Delta D}$ and $v = \Delta M - \overline{\Delta M}$:
#
# $$\text{slope} = \frac{\sum uv}{\sum u^2} \qquad r = \frac{\sum uv}{\sqrt{\sum u^2 \sum v^2}} \qquad
#   \text{slope} = r\,\frac{\sigma_M}{\sigma_D}$$
#
# The slope says **how steep**: weight units per unit of $1-\cos$. The correlation $r$ says **how tight**: no unit, from −1 to 1.
#
# ### Exercise 04-slope
#
# core · ★★☆ · 8 min. Return both, slope first. Stuck? `hint("04-slope")`, then `hint("04-slope", 2)`; at last `solution("04-slope")`.


# %% exercise="04-slope"
def line(x, y):  # ΔD (n,), ΔM (n,)
    ...  # slope: weight units per 1 − cos;  r: no unit


check("04-slope", line)

# %% [markdown]
# The library does the same, and more. Change the unit of ΔD and look at what happens to either number:

# %%
from bidora.statistics import fit_dynamics

lora = points[points["label"] == "LoRA"]
fit = fit_dynamics(lora)

rescaled = fit_dynamics(lora.assign(delta_d=100 * lora["delta_d"]))  # 1 − cos in per cent
print(f"ΔD as 1 − cos:    slope {fit.slope:+.4f}   r {fit.pearson:+.3f}")
print(f"ΔD in per cent:   slope {rescaled.slope:+.4f}   r {rescaled.pearson:+.3f}")

u, v = (lora[name] - lora[name].mean() for name in ("delta_d", "delta_m"))
assert np.isclose(fit.slope, (u * v).sum() / (u * u).sum())  # the equation above is the library's
assert np.isclose(fit.slope, fit.pearson * v.std() / u.std())

# %% [markdown]
# ### Exercise 04-impossible
#
# core · ★☆☆ · 2 min. Four published numbers, all printed as "correlation". Which of them **can** be one?
#
# a) −8.042 (BiDoRA, abstract) · b) −1.784 (DoRA, in the same abstract) · c) +0.83 (LoRA, DoRA paper) · d) −0.31 (DoRA, DoRA paper)

# %% exercise="04-impossible"
can_be_correlations = ...  # a set of letters

check("04-impossible", can_be_correlations)

# %%
reveal(
    "04",
    "Neither number can be a correlation",
    "A correlation lies between −1 and 1. The paper's own figure is titled k = −8.042: the slope of the line. "
    "Read off that figure, |r| is about 0.1 to 0.2, and one point carries the slope.",
)

# %% [markdown]
# ## Remove one point
#
# The end of one run: 12 points, six layers with query and value. Left all of them, right all but one. Start with DoRA, seed 0, point 11;
# then try seed 2, point 12. **Watch slope and r separately.**

# %%
from bidora.exercises.leaving_out import without_point

explore(without_point, leave_out=(11, 0, 12, 1), method=["DoRA", "LoRA", "BiDoRA", "full fine-tuning"], seed=[0, 1, 2])

# %%
show(without_point("DoRA", seed=2, leave_out=12))

# %% [markdown]
# <details><summary>What you should see</summary>
#
# Seed 0 without layer 5 query: the slope more than doubles (+0.13 to +0.27), r stays where it was (+0.41 to +0.40).
# Seed 2 without layer 5 value: r more than doubles (+0.37 to +0.83), the slope hardly moves (+0.13 to +0.15).
#
# The first point lies far out along ΔD: it has *leverage* and turns the line. The second lies far off the line in ΔM: it loosens the cloud.
# One number cannot stand for the other.
#
# </details>
#
# ### Exercise 04-leave-one-out
#
# core · ★★☆ · 6 min. What the slider does by hand, for every point.


# %% exercise="04-leave-one-out"
def without_each(x, y):  # → (n,): entry i is the slope without point i
    ...


check("04-leave-one-out", without_each)

# %% [markdown]
# ### Exercise 04-parting
#
# core · ★☆☆ · 4 min. Another run, full fine-tuning: which point moves the **slope** most when it is left out? Guess from the table, then ask your
# `without_each` or the slider. Give layer and module.

# %%
from bidora.exercises.leaving_out import final_points

final = final_points("full", 0)  # full fine-tuning on Reuters, seed 0
final[["layer", "module", "delta_d", "delta_m"]].round(4)

# %% exercise="04-parting"
lever = ...  # (layer, module), such as (0, "query")

check("04-parting", final, lever)

# %% [markdown]
# ## Which draws are independent?
#
# A *bootstrap* asks how much a slope would vary with other data: it draws from the data at hand, with replacement, as many as there are, again and
# again, and computes the slope each time. But what is drawn? The four checkpoints of a layer are four looks at one thing, and the same layer under three seeds starts from the same weights. A bootstrap that
# draws *points* takes the 144 of a panel for 144 independent facts. So whole layers are drawn (query and value of a layer each on its own):
#
# 1. draw 12 of the 12 layers, with replacement;
# 2. take all points of every drawn layer, twice if it was drawn twice;
# 3. compute the slope; repeat 1 to 3 a thousand times;
# 4. the interval goes from the 2.5 % quantile of these slopes to the 97.5 % quantile.
#
# ### Exercise 04-bootstrap
#
# deeper · ★★★ · 12 min. Return the two ends of the 95 % interval.


# %% exercise="04-bootstrap"
def interval(x, y, layer, draws=1000):  # ΔD, ΔM, number of the layer: (n,) each → low, high
    ...


check("04-bootstrap", interval)

# %%
# the same points, once as they are and once as if every point were a layer of its own
for label, part in points.groupby("label", sort=False):
    by_layer = fit_dynamics(part).slope_interval
    by_point = fit_dynamics(part[["delta_d", "delta_m"]]).slope_interval
    print(
        "{:17} layers drawn [{:+6.2f}, {:+6.2f}]   points drawn [{:+6.2f}, {:+6.2f}]".format(
            label, *by_layer, *by_point
        )
    )

# %% [markdown]
# <details><summary>What you should see</summary>
#
# Drawing points makes all four intervals narrower: to about a fifth for LoRA, DoRA and full fine-tuning, to about half for BiDoRA. It claims
# five times the precision that twelve layers give.
#
# </details>
#
# ## Two conventions that decide the sign
#
# ### The phase
#
# BiDoRA has two phases. While it retrains A and B, m is **fixed**: all four checkpoints of a layer have the same ΔM. A line through them compares
# layers, and says nothing about how m and V move together. The same runs, phase by phase:

# %%
from bidora.exercises.leaving_out import both_phases

show(magnitude_vs_direction(both_phases(), shared_axes=False))

# %% [markdown]
# ### The axis
#
# PEFT and NVIDIA's DoRA code keep one magnitude per **output** unit (a row of `nn.Linear.weight`); BiDoRA's published code one per **input** unit. ΔM and ΔD
# can be computed either way from the same merged weights. Here is one adapter, seed 0, at its end, under both conventions.

# %%
from bidora import LabError
from bidora.exercises.leaving_out import both_axes
from bidora.models import model_folder

try:
    # the base weights are fetched once, with progress, and then kept
    base = model_folder("esm2", lambda text, done, total: print(text, end="\r"))
    (adapter,) = recorded("recorded-peptides", methods=["bidora"], seeds=[0])
    show(magnitude_vs_direction(both_axes(base, adapter), axis="output or input"))
except LabError as problem:
    print(f"The base model is not here, so the axes cannot be compared now; all else works. ({problem.message})")

# %% [markdown]
# <details><summary>What you should see</summary>
#
# Phases: over the search phase the line rises (slope +1.09, r +0.29), over the retraining phase it falls (−0.28, −0.13), in the very same three runs.
#
# Axes: per output unit the line falls (slope −0.20, ρ −0.20, interval with both signs), per input unit it rises (+0.24, ρ +0.86; ρ is Spearman's, the
# correlation of the ranks). Same
# adapter, same 12 points. "The slope is negative" is no statement until axis and phase are named.
#
# </details>
#
# ### Exercise 04-sentence
#
# core · ★★☆ · 6 min. Write one sentence on LoRA's line (`fit`, from above) that a stranger could check: slope, its interval, r, number of points,
# seeds, axis. `fit.slope_interval` and `fit.points` hold what you need.

# %% exercise="04-sentence"
sentence = ""

check("04-sentence", fit.as_row(), sentence)

# %% [markdown]
# ## In five lines
#
# 1. Slope: how steep, in weight units per $1-\cos$. Correlation: how tight, between −1 and 1. slope = r · σ_M / σ_D.
# 2. The published −8.042 and −1.784 are slopes. A slope changes with the unit; r does not.
# 3. A point far out along ΔD turns the line; a point far off in ΔM loosens it. Leave each out once.
# 4. Points of one layer are not independent: draw layers.
# 5. Always say n, seeds, phase, checkpoints and axis. For the recorded BiDoRA runs both phase and axis turn the sign.
#
# **Next:** [05 · Two levels by hand](05_two_levels_by_hand.ipynb). Where does the gradient of m come from when V follows m?
