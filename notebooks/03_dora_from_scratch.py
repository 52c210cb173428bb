# %% [markdown]
# # 03 · DoRA from scratch
#
# LoRA with a length of its own for every row. At the end your layer and PEFT's give the same outputs to 1e-5, and the same gradients.
#
# | where | minutes |
# |---|---|
# | laptop without GPU, with the recordings | 60, computing takes seconds |
# | GPU | 60 |
#
# You need notebooks [01](01_length_and_direction.ipynb) (axis, magnitude) and [02](02_lora_from_scratch.ipynb) (A, B, scale). Afterwards you can
#
# 1. write a DoRA layer that agrees with PEFT's, and say which axis its magnitude belongs to;
# 2. say what "the norm is treated as a constant" (DoRA §4.3) changes, and what it leaves alone;
# 3. explain where dropout acts in PEFT's formula.

# %%
from bidora.exercises import predict

predict(
    "03",
    "DoRA §4.3 treats the norm ‖W0 + s·BA‖ as a constant in the backward pass. At the same weights, what does that change?",
    [
        "the output and all gradients",
        "the gradients of A, B and m",
        "the gradients of A and B only",
        "the gradient of m only",
    ],
)

# %% [markdown]
# ## The shortest example
#
# $$W' = m\odot\frac{V}{\lVert V\rVert} \qquad V = W_0 + s\,BA \qquad \lVert V\rVert_i = \lVert V_{i,:}\rVert$$
#
# (DoRA, equation 5.) In notebook 01 the rows of $V$ had length 1; from here on, as in the paper, $V$ is the direction *before* it is divided by its
# norm. In PEFT it is one switch more than LoRA:

# %%
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import nn

from bidora.dora_layer import merge
from bidora.exercises import check, explore, hint, reveal, show, solution

torch.manual_seed(0)
linear = nn.Linear(8, 6)  # in 8, out 6
x = torch.randn(5, 8)  # (tokens, in)
before = linear(x).detach()

model = get_peft_model(nn.Sequential(linear), LoraConfig(r=2, lora_alpha=8, target_modules=["0"], use_dora=True))
layer = model.base_model.model[0]
m = layer.lora_magnitude_vector["default"].weight
print("m", tuple(m.shape), "trained:", m.requires_grad)
print("m is the row norm of W0:", torch.allclose(m, linear.weight.norm(dim=1)))
print("largest change of the output at step 0:", float((model(x) - before).abs().max()))

# %% [markdown]
# Six outputs, six magnitudes. The DoRA paper writes $\lVert\cdot\rVert_c$ for the norm of each *column* of a weight that is stored as (in, out); `nn.Linear`
# stores (out, in), so PEFT sums over `dim=1`. BiDoRA's published code sums over `dim=0`, which is one magnitude per input; an adapter of that kind
# does not fit PEFT: its $m$ has another shape, or, on a square weight, the right shape and another meaning. This lab keeps PEFT's axis.
#
# ### Exercise 03-start
#
# core · ★☆☆ · 4 min. The magnitude at step 0, so that it leaves the layer as it is and an optimiser finds it. Stuck? `hint("03-start")`, up to
# level 3; at last `solution("03-start")`.


# %% exercise="03-start"
def start_magnitude(weight):  # W0 (out, in) → m (out,)
    ...


check("03-start", start_magnitude)

# %% [markdown]
# ### Exercise 03-weight
#
# core · ★★☆ · 6 min. The merged weight $W'$. There are two places for the scale, two for the norm, and two axes; one choice of each is right.


# %% exercise="03-weight"
def dora_weight(weight, lora_A, lora_B, magnitude, scale):  # → (out, in)
    ...


check("03-weight", dora_weight)

# %% [markdown]
# ## The norm in the backward pass
#
# Take one row and call $g$ the gradient by $W'$. With $v=V/\lVert V\rVert$ the chain rule gives
#
# $$\nabla_m L = g\cdot v \qquad\qquad \nabla_V L = \frac{m}{\lVert V\rVert}\bigl(I - v v^\top\bigr)\,g$$
#
# The bracket takes away the part of $g$ along $V$. No wonder: $W'$ does not change when $V$ becomes longer, so no gradient may ask for it. The
# bracket comes from differentiating $\lVert V\rVert$. If the norm is a constant, it is missing:
#
# $$\nabla_V L\,\big|_{\lVert V\rVert\text{ constant}} = \frac{m}{\lVert V\rVert}\,g$$
#
# Written out and held against autograd through the library's `merge`:

# %%
from bidora.exercises.nb02 import parts
from bidora.exercises.nb03 import gradients_of, radial_share

each = parts(4, 6)  # W0 (4, 6), A (2, 6), B (4, 2), made-up numbers in float64
magnitude = each.weight.norm(dim=1)
V = (each.weight + each.scale * each.lora_B @ each.lora_A).requires_grad_()
norm = V.norm(dim=1, keepdim=True).detach()  # (out, 1)
v = (V / norm).detach()
no_update = torch.zeros_like(each.lora_B)  # V itself plays the part of W0

for attached in (True, False):
    W = merge(V, each.lora_A, no_update, magnitude, each.scale, attached=attached)
    W.retain_grad()
    (each.x @ W.T).square().mean().backward()
    g, found = W.grad, V.grad
    along = (g * v).sum(dim=1, keepdim=True)  # (out, 1), what asks for length
    by_hand = magnitude[:, None] / norm * (g - along * v if attached else g)
    assert torch.allclose(found, by_hand, atol=1e-12)
    name = "attached" if attached else "detached"
    print(f"norm {name}: the part along V has {100 * radial_share(found, v):.1f} % of the step's length")
    V.grad = None

# %% [markdown]
# How much that is depends on the loss: this one asks for small outputs, so much of $g$ lies along $V$. One row with two weights shows it. Choose the angle between $V$ and the gradient:

# %%
from bidora.exercises.nb03 import pulls

explore(pulls, angle=(40.0, 0.0, 180.0, 10.0))

# %% [markdown]
# At 0° the gradient asks for nothing but a change of length. That is the business of $m$: with the norm attached, $V$ stays where it is. Detached, $V$
# becomes shorter, which the output does not notice. So why detach at all? Less has to be kept for the backward pass; that is the reason which DoRA
# gives in §4.3. PEFT does the same. For BiDoRA it matters more: its hypergradient needs the derivative of this gradient by $m$, and a missing bracket
# makes that wrong. So this lab attaches the norm for BiDoRA, and leaves it detached, as PEFT does, for DoRA. Both can be chosen (`norm`).
#
# ### Exercise 03-detach
#
# core · ★★☆ · 5 min. $W'$ once more, with the norm as a constant and everything else alive.


# %% exercise="03-detach"
def dora_weight_detached(weight, lora_A, lora_B, magnitude, scale):  # → (out, in)
    ...


check("03-detach", dora_weight_detached)


# %%
free = gradients_of(lambda *given: merge(*given, attached=True), each, magnitude)
held = gradients_of(lambda *given: merge(*given, attached=False), each, magnitude)
for name, one, other in zip("ABm", free, held):
    apart = float((one - other).norm() / one.norm())
    print(f"∇{name}: attached and detached differ by {100 * apart:.1f} % of its norm")

# %%
reveal(
    "03",
    "the gradients of A and B only",
    "detach() keeps the value, so the output stays. m stands outside of the norm, so ∇m = g·v stays. Only V, and through it A and B, loses the bracket.",
)

# %% [markdown]
# ## The layer
#
# ### Exercise 03-layer
#
# core · ★★★ · 20 min. Everything together, as PEFT does it: frozen base, $A$ drawn, $B$ zero, $m$ from $W_0$, norm detached, bias of the base. Names and
# shapes: `lora_A` (rank, in), `lora_B` (out, rank), `magnitude` (out,). The check copies PEFT's numbers into your layer and compares outputs and
# gradients.


# %% exercise="03-layer"
class DoraLayer(nn.Module):
    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base = base.requires_grad_(False)
        # self.scale, self.lora_A, self.lora_B, self.magnitude

    def forward(self, x):  # (tokens, in) → (tokens, out)
        ...


check("03-layer", DoraLayer)

# %% [markdown]
# The library's `merge` passes the same test. And one layer's test is not enough: with a base weight that is not square and numbers in $A$, $B$ and $m$, an
# error of axis or scale has nowhere to hide.

# %%
from bidora.exercises.against_peft import peft_layer, peft_tensors

theirs = peft_layer(linear, rank=2, alpha=8)  # PEFT's layer with numbers in B and m
lora_A, lora_B, m = peft_tensors(theirs)
W = merge(linear.weight, lora_A, lora_B, m, 8 / 2, attached=False)
difference = float((F.linear(x, W, linear.bias) - theirs(x)).detach().abs().max())
print(f"largest difference to PEFT's output: {difference:.1e}")
assert difference < 1e-5

# %% [markdown]
# ## Dropout
#
# With dropout the adapter must not see everything, but the pretrained model must. Write $W'$ as $W_0$ plus what the adapter adds, with $c=m/\lVert V\rVert$:
#
# $$W' = W_0 + \underbrace{(c-1)\odot W_0 + c\,s\odot BA}_{\text{the adapter's part}} \qquad\qquad
#   y = x\,W_0^\top + b + (c-1)\odot(\tilde x\,W_0^\top) + c\,s\odot(\tilde x A^\top B^\top)$$
#
# $\tilde x$ is the input after dropout; $c$ has one number per output, which multiplies a row of a weight and a column of $y$. So the mask also touches a product with $W_0$: the part by which $c$ differs from 1.
#
# ### Exercise 03-dropout
#
# deeper · ★★★ · 10 min. PEFT's formula, given $x$ and $\tilde x$.


# %% exercise="03-dropout"
def dora_with_dropout(x, dropped, weight, bias, lora_A, lora_B, magnitude, scale):  # → (tokens, out)
    ...


check("03-dropout", dora_with_dropout)

# %% [markdown]
# ## Is m alive?
#
# A layer can be right and its magnitude still never move: no parameter, no gradient, a learning rate of zero. So every run of this lab records the
# gradient that reaches $m$ and how far $m$ has moved. Three recorded seeds on peptides:

# %%
from bidora.analysis import dynamics_table
from bidora.analysis.motion import magnitude_motion
from bidora.exercises.nb00 import recorded
from bidora.figures import magnitude_motion as motion_figure

runs = recorded("peptides", method="dora") + recorded("peptides", method="bidora")
show(motion_figure(magnitude_motion(dynamics_table(runs, checkpoints=0, every_phase=True))))

# %% [markdown]
# ## What you should see
#
# <details><summary>Open after the exercises</summary>
#
# - With the norm attached nothing of a step on $V$ lies along $V$; detached a good part does. The printed share belongs to these made-up numbers.
# - ∇A and ∇B differ between attached and detached, ∇m by nothing.
# - `03-layer`: outputs agree to about 1e-6, gradients of $A$, $B$ and $m$ as well. With the norm attached the outputs would agree, too: only gradients tell.
# - In the recordings $m$ is alive in DoRA, and in BiDoRA during the search; in BiDoRA's retraining phase it is kept fixed, on purpose.
#
# </details>
#
# ## Summary
#
# 1. $W' = m\odot V/\lVert V\rVert$ with $V=W_0+s\,BA$: rows of $W'$ have exactly the lengths $m$.
# 2. PEFT's magnitude belongs to outputs: the norm runs over `dim=1` of the stored weight.
# 3. Detaching the norm leaves output and ∇m alone and changes ∇A and ∇B: the part along $V$ is no longer taken away.
# 4. Dropout acts on the adapter's part only, which includes $(c-1)\odot W_0$.
# 5. Test with weights that are not square, with numbers in $B$ and $m$, and compare gradients, too.
#
# Next: [04 · Reading the ΔM/ΔD plot](04_reading_the_plot.ipynb)
