# %% [markdown]
# # 02 · LoRA from scratch
#
# Two thin matrices beside a frozen weight: how they begin, how they are scaled, how they vanish into the weight, and what they cannot reach.
#
# | where | minutes |
# |---|---|
# | laptop without GPU, with the recordings | 45, computing takes seconds |
# | GPU | 45 |
#
# You need: `nn.Linear`, gradients, the idea of a matrix's rank; notebook [01](01_length_and_direction.ipynb) for the last section. Afterwards you can
#
# 1. write LoRA's forward, its start and its merge, with the scale $s=\alpha/r$ in the right place;
# 2. say which of $A$ and $B$ moves in the first step, and derive both gradients;
# 3. say which changes of a weight a low rank cannot make, and count what it trains.

# %%
from bidora.exercises import predict

predict(
    "02",
    "LoRA begins with A drawn at random and B = 0. In the very first backward pass, which of them receives a gradient that is not zero?",
    ["A only", "B only", "both", "none"],
)

# %% [markdown]
# ## The shortest example
#
# $$y = x\,W_0^\top + b + s\,(xA^\top)B^\top \qquad s=\frac{\alpha}{r},\quad A\in\mathbb R^{r\times\text{in}},\quad B\in\mathbb R^{\text{out}\times r}$$
#
# $x$ holds one input per row, $W_0$ and $b$ are weight and bias of the pretrained layer. The rank $r$ and the number $\alpha$ are chosen; only $A$ and
# $B$ are trained. PEFT, the library that most people use for this, puts it around a linear layer. Before training the layer does what it did before:

# %%
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from bidora.decomposition import merged_weight
from bidora.exercises import check, explore, hint, reveal, show, solution

torch.manual_seed(0)
linear = nn.Linear(8, 6)  # in 8, out 6: not square, so that a transpose cannot hide
x = torch.randn(5, 8)  # (tokens, in)
before = linear(x).detach()

model = get_peft_model(nn.Sequential(linear), LoraConfig(r=2, lora_alpha=8, target_modules=["0"]))
layer = model.base_model.model[0]
A, B = layer.lora_A["default"].weight, layer.lora_B["default"].weight
print("A", tuple(A.shape), "  B", tuple(B.shape), "  s =", layer.scaling["default"])
print("largest change of the output at step 0:", float((model(x) - before).abs().max()))

# %% [markdown]
# ### Exercise 02-forward
#
# core · ★★☆ · 8 min. The equation above, without ever forming the product $BA$, which is as large as $W_0$. Stuck? `hint("02-forward")`, up to level 3; at last
# `solution("02-forward")`.


# %% exercise="02-forward"
def lora_forward(x, weight, bias, lora_A, lora_B, alpha):  # x (tokens, in) → (tokens, out)
    ...


check("02-forward", lora_forward)

# %% [markdown]
# ## How it begins
#
# ### Exercise 02-start
#
# core · ★☆☆ · 5 min. Step 0 must be the pretrained model, and training must be able to leave it. Return both.


# %% exercise="02-start"
def start(rank, inputs, outputs):  # → A (rank, in), B (out, rank)
    ...


check("02-start", start)

# %% [markdown]
# With $B=0$ the update is zero. But the gradients are not the same for both; autograd measures them:

# %%
from bidora.exercises.nb02 import first_gradients

by_A, by_B = first_gradients()
print(f"‖∇A‖ = {by_A}   ‖∇B‖ = {by_B:.3g}")
reveal(
    "02",
    "B only" if by_A == 0 < by_B else "both",
    "∇A = s · (gB)ᵀx has B as a factor and is zero as long as B is; ∇B = s · gᵀ(xAᵀ) has A. After the first step B is not zero and A moves as well.",
)

# %% [markdown]
# ### Exercise 02-gradient
#
# deeper · ★★★ · 15 min. Derive both gradients from $g=\partial L/\partial y$. A gradient has the shape of its parameter: that alone leaves few
# possibilities. The check compares with autograd.


# %% exercise="02-gradient"
def lora_gradients(x, g, lora_A, lora_B, scale):  # g = ∂L/∂y, (tokens, out) → ∇A, ∇B
    ...


check("02-gradient", lora_gradients)

# %% [markdown]
# ## What the scale is for
#
# $s=\alpha/r$ divides by the rank, so that with a fixed $\alpha$ a larger rank does not simply mean larger updates. It also multiplies both gradients:
# with a plain gradient step, doubling $\alpha$ is like quadrupling the learning rate of $BA$; with Adam, which rescales gradients, like doubling it. So
# an $\alpha$ of one paper and a learning rate of another do not fit together.

# %%
draws = torch.Generator().manual_seed(0)
for r in (1, 4, 16):
    A_r, B_r = (torch.randn(shape, generator=draws) for shape in ((r, 64), (64, r)))
    plain = (B_r @ A_r).norm()
    print(f"rank {r:>2}   ‖BA‖ = {plain:6.1f}   ‖s·BA‖ with α = 4: {4 / r * plain:6.1f}")

# %% [markdown]
# With entries of a fixed size ‖BA‖ grows like √r, so dividing by $r$ is more than needed. *Rank-stabilised* LoRA divides by √r; its authors argue with
# what happens in training (with $1/r$ outputs and gradients of a large rank become too small).
#
# ## How it ends: merging
#
# ### Exercise 02-merge
#
# core · ★☆☆ · 4 min. The one weight matrix that, in a plain linear layer, does the same as $W_0$, $A$ and $B$ together.


# %% exercise="02-merge"
def merge(weight, lora_A, lora_B, alpha):  # → (out, in)
    ...


check("02-merge", merge)

# %%
# PEFT's merge, and the library's, on the same layer with numbers in B.
with torch.no_grad():
    B.normal_()
adapted = model(x)
by_library = merged_weight(linear.weight, A, B, layer.scaling["default"]).detach()
merged = model.merge_and_unload()[0]  # a plain nn.Linear again
assert (merged.weight - by_library).abs().max() < 1e-5
assert (merged(x) - adapted).abs().max() < 1e-5
print(type(merged).__name__, "with a merged weight: no cost at inference, and the same output")

# %% [markdown]
# ### Exercise 02-size
#
# core · ★☆☆ · 3 min. A layer with 320 inputs and 640 outputs, rank 4. How many numbers does LoRA train?

# %% exercise="02-size"
numbers = ...

check("02-size", numbers)

# %% [markdown]
# ## What a real run did
#
# The recordings keep the singular values of $W'-W_0$ for every adapted layer. As many of them as are not zero, so large is the rank of the change;
# their squares add up to its squared size, ‖ΔW‖². With rank 4, a LoRA layer's change has four of them. DoRA's change is
# $m\odot V/\lVert V\rVert - W_0$, which also rescales rows, and full fine-tuning may use them all:

# %%
from bidora.analysis.endings import final_spectra
from bidora.exercises.nb00 import recorded
from bidora.figures import change_spectrum

runs = [recorded("peptides", method=method, seed=0)[0] for method in ("lora", "dora", "full")]
show(change_spectrum(final_spectra(runs)))

# %% [markdown]
# ## What a low rank cannot do
#
# A 6 × 8 weight is to become another one. The best update of rank $r$ is known exactly (truncated singular value decomposition); what is left
# over is drawn. Begin with *lengths*: each row changes its length by its own percentage and no row turns. Then try *headings*.

# %%
from bidora.exercises.nb02 import left_over

explore(
    left_over,
    change=["lengths", "headings", "both"],
    largest_percent=(30.0, 5.0, 50.0, 5.0),
    degrees=(20.0, 5.0, 60.0, 5.0),
)

# %% [markdown]
# Six numbers describe the change of lengths, and rank 1 has 14. Yet most of the change is left over: as a matrix it is $\operatorname{diag}(d)\,W_0$, which has the
# rank of $W_0$. One magnitude per row does it at once. That is the idea of DoRA, and the next notebook. Where rows turn, magnitudes help less.
#
# ## What you should see
#
# <details><summary>Open after the exercises</summary>
#
# - ‖∇A‖ is exactly 0 at the start, ‖∇B‖ is not.
# - `02-size`: 3,840 numbers, 1.9 % of the weight's 204,800.
# - In the recorded LoRA run (peptides, seed 0) four singular values hold all of the change, the rest is rounding. DoRA's first four hold 96 % of
#   ‖ΔW‖² in the median layer, before a long tail of small ones; of full fine-tuning's change the first eight hold 71 %.
# - Lengths changed by up to 30 %: LoRA of rank 1 leaves 79 % of the change, of rank 4 still 22 %; with magnitudes nothing is left. Headings changed by
#   20°: 72 % without and 62 % with magnitudes at rank 1.
#
# </details>
#
# ## Summary
#
# 1. $W' = W_0 + s\,BA$ with $s=\alpha/r$; $W_0$ is frozen, $A$ and $B$ hold $r(\text{in}+\text{out})$ numbers.
# 2. $A$ is drawn and $B$ is zero: step 0 is the pretrained model, and $B$ moves first.
# 3. $s$ scales the update and both gradients; compare learning rates only at equal $\alpha$ and $r$.
# 4. Merged, the adapter costs nothing at inference.
# 5. Changing many lengths at once has full rank: low rank cannot do it, a magnitude per row can.
#
# Next: [03 · DoRA from scratch](03_dora_from_scratch.ipynb)
