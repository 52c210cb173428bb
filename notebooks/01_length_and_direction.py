# %% [markdown]
# # 01 · A weight is a length and a direction
#
# Every row of a weight can be stretched and it can be turned. Telling the two apart is all that DoRA's and BiDoRA's analysis does, and the easiest
# mistake in it is the wrong axis.
#
# | where | minutes |
# |---|---|
# | laptop without GPU, with the recordings | 40, computing takes seconds |
# | GPU | 40 |
#
# You need: matrix products, norms, PyTorch tensors. Afterwards you can
#
# 1. split a weight into magnitude and direction along the axis that is meant, and put it together again;
# 2. compute ΔM and ΔD, and say what each of them cannot see;
# 3. tell when 1 − cos is computed in a way that loses all of its digits.

# %%
from bidora.exercises import predict

predict(
    "01",
    "One row of a weight becomes 20 % longer, nothing else happens. Somebody measures with one magnitude per COLUMN. What do they see?",
    [
        "lengths change, no direction does",
        "directions change, no length does",
        "lengths and directions change",
        "nothing",
    ],
)

# %% [markdown]
# ## The shortest example
#
# `nn.Linear` stores its weight as (out, in): each row belongs to one output. With one length per row, $W = m \odot V$ (DoRA, equation 2; $\odot$
# multiplies row $i$ by the number $m_i$):
#
# $$m_i = \lVert W_{i,:}\rVert \qquad V_{i,:} = W_{i,:}/m_i$$

# %%
import torch

from bidora import decompose
from bidora.exercises import check, explore, hint, reveal, show, solution

W = torch.tensor([[3.0, 4.0, 0.0], [0.0, 5.0, 12.0]])  # (out 2, in 3)
magnitude, direction = decompose(W)
print("m", tuple(magnitude.shape), magnitude.tolist())
print("V", tuple(direction.shape), [[round(entry, 3) for entry in row] for row in direction.tolist()])

# %% [markdown]
# ## Stretching and turning
#
# One row with two weights is an arrow. $W_0$ is fixed; choose how long $W$ is and by how many degrees it is turned. The dashed line is
# $W - W_0$, all that a plain difference of weights would tell you.

# %%
from bidora.exercises.nb01 import turned

explore(turned, length=(2.8, 0.5, 3.2, 0.1), angle=(40.0, -180.0, 180.0, 5.0))

# %% [markdown]
# Set `length` to 2.0, the length of $W_0$: now $W$ lies on the circle, and every difference comes from turning. Set `angle` to 0: now it comes from
# stretching. Anything else is both.
#
# ### Exercise 01-length
#
# core · ★☆☆ · 4 min. One length per output, without `decompose`. Stuck? `hint("01-length")`, up to level 3; at last `solution("01-length")`.


# %% exercise="01-length"
def row_lengths(weight):  # (out, in) → (out,)
    ...


check("01-length", row_lengths)

# %% [markdown]
# ### Exercise 01-rebuild
#
# core · ★☆☆ · 4 min. From $m$ and $V$ back to $W$. Mind how PyTorch lines up shapes.


# %% exercise="01-rebuild"
def rebuild(magnitude, direction):  # (out,), (out, in) → (out, in)
    ...


check("01-rebuild", rebuild)

# %% [markdown]
# ## How far did a layer move?
#
# A *unit* is what has one magnitude: here a row. For a layer with $k$ units, between $W_0$ and $W$ (DoRA, equations 3 and 4; the raised $n$ counts
# units, it is no power):
#
# $$\Delta M = \frac1k\sum_{n=1}^{k}\lvert m^n - m_0^n\rvert \qquad\qquad \Delta D = \frac1k\sum_{n=1}^{k}\bigl(1-\cos(V^n, V_0^n)\bigr)$$
#
# ΔM has the unit of the weights. ΔD has none: 0 where nothing turned, 1 at a right angle, 2 where rows point the other way. Neither says in
# which sense: with the absolute value, growing and shrinking both count as movement.

# %%
from bidora import direction_change, magnitude_change

before = torch.tensor([[3.0, 4.0], [5.0, 12.0]])
after = torch.tensor([[4.5, 6.0], [12.0, 5.0]])  # row 1: 1.5 times as long; row 2: turned, as long as before
print(f"ΔM = {magnitude_change(before, after):.4f}   by hand (2.5 + 0)/2 = {(2.5 + 0) / 2:.4f}")
print(f"ΔD = {direction_change(before, after):.4f}   by hand (0 + 1 − 120/169)/2 = {(1 - 120 / 169) / 2:.4f}")

# %% [markdown]
# ### Exercise 01-delta-d
#
# core · ★★☆ · 8 min. ΔD of a layer, with `decompose` but without `direction_change`.


# %% exercise="01-delta-d"
def delta_d(before, after):  # two (out, in) → one number
    ...


check("01-delta-d", delta_d)

# %% [markdown]
# ## Which axis?
#
# PEFT and NVIDIA's DoRA code take one magnitude per **output**, a row of the stored weight. The papers write $\lVert\cdot\rVert_c$, "column", for a
# weight that is stored the other way round. BiDoRA's published code sums over the other dimension: one magnitude per **input**. The numbers that
# come out are different ones:

# %%
from bidora.exercises.nb01 import row_made_longer

before, after = row_made_longer(20)  # (3, 4); only row 1 has changed
for axis in ("output", "input"):
    units = decompose(before, axis).magnitude.numel()
    M, D = magnitude_change(before, after, axis), direction_change(before, after, axis)
    print(f"{axis:<6}  {units} units   ΔM = {M:.4f}   ΔD = {D:.4f}")

# %%
reveal(
    "01",
    "lengths and directions change",
    "Each column holds one entry of the stretched row. When that entry grows, the column becomes longer and leans towards it.\n"
    "So a ΔM or ΔD without its axis says little. This lab uses PEFT's axis, says so below every figure, and can show the other one.",
)

# %% [markdown]
# ## Real weights
#
# The recordings hold, for every unit of every adapted layer, the magnitude before and after training and its $1-\cos$. Seed 0 of DoRA and BiDoRA
# on peptides; the adapted layers are query and value of six blocks with 320 outputs each:

# %%
from bidora.analysis.endings import final_units
from bidora.exercises.nb00 import recorded
from bidora.figures import magnitude_units

runs = recorded("peptides", method="dora", seed=0) + recorded("peptides", method="bidora", seed=0)
units = final_units(runs)  # one row per unit: m0, m, delta_d …
last = units[(units["layer"] == 5) & (units["module"] == "value")]  # one layer; all twelve would be a cloud
show(magnitude_units(last))

# %%
summary = units.assign(percent=100 * (units["m"] - units["m0"]).abs() / units["m0"]).groupby("label", sort=False)
summary.agg(
    units=("unit", "size"), mean_percent=("percent", "mean"), largest_percent=("percent", "max"), ΔD=("delta_d", "mean")
).round(4)  # all six blocks

# %% [markdown]
# A mean hides much: a few units move about ten times as far as the mean. And ΔD near 0.004 sounds like nothing, but $1-\cos\theta\approx\theta^2/2$, so it
# is an angle of about five degrees.

# %%
import math

# Derivation: 1 − cos θ = 2 sin²(θ/2), and sin(θ/2) ≈ θ/2 where θ is small.
for degrees in (0.1, 1.0, 5.0, 20.0):
    theta = math.radians(degrees)
    exact, small = 1 - math.cos(theta), theta**2 / 2
    print(f"{degrees:>5} degrees   1 − cos = {exact:.3e}   θ²/2 = {small:.3e}")
u, v = torch.tensor([[[1.0, 0.0]], [[math.cos(theta), math.sin(theta)]]], dtype=torch.float64)  # two weights (1, 2)
assert abs(direction_change(u, v).item() - exact) < 1e-12  # the library agrees

# %% [markdown]
# ### Exercise 01-tiny
#
# deeper · ★★★ · 10 min. After a few steps rows have turned by 0.0001 radians, and $1-\cos$ is 5·10⁻⁹. In float32, 1 minus such a cosine is rounding.
# Find a form that keeps its digits, in float32. (Hint 2 asks the question that helps.)


# %% exercise="01-tiny"
def delta_d_tiny(before, after):  # two (out, in), float32 → one number
    ...


check("01-tiny", delta_d_tiny)

# %% [markdown]
# ## What you should see
#
# <details><summary>Open after the exercises</summary>
#
# - With one magnitude per row, the stretched row gives ΔM = 0.3651 and ΔD = 0; with one per column ΔM = 0.3575 and ΔD = 0.0027, from the same two weights.
# - In the recordings (seed 0) the magnitudes of DoRA moved by 1.4 % on average, those of BiDoRA by 2.5 %; single units by 14 % and 23 %. Turning
#   is about the same in both: ΔD 0.0038 and 0.0036.
# - In `01-tiny` the plain form gives zero or a number of rounding errors; $\lVert u-v\rVert^2/2$ gives 5.0·10⁻⁹, and so does computing in float64.
#
# </details>
#
# ## Summary
#
# 1. $W = m\odot V$: one length per unit and one direction per unit; nothing is lost.
# 2. The axis decides which units there are. PEFT: rows of the stored weight, one per output.
# 3. ΔM is the mean of $|m-m_0|$, in weight units; ΔD the mean of $1-\cos$, without unit.
# 4. Measured along the other axis, pure stretching looks like turning as well.
# 5. For small turns compute $\lVert u-v\rVert^2/2$, never $1-\cos$.
#
# Next: [02 · LoRA from scratch](02_lora_from_scratch.ipynb)
