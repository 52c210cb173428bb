# %% [markdown]
# # 06 · From DoRA to BiDoRA
#
# The layer stays as it is. What changes is who trains m, on which data, and through what.
#
# | where | minutes |
# |---|---|
# | laptop without GPU, with the recordings | 60, of which about one is computing |
# | laptop without GPU, training fresh (`LAB_FULL=1`) | about 2 more (estimated) |
# | GPU, training fresh | less than one more (H200, measured) |
#
# You need notebooks [03](03_dora_from_scratch.ipynb) (the layer) and [05](05_two_levels_by_hand.ipynb) (the hypergradient). Afterwards you can
#
# 1. sort a model's parameters into two levels, and write both steps;
# 2. check that m does not move in a lower step, nor A and B in an upper one;
# 3. say when the second half of the hypergradient matters, with measured numbers.

# %%
from bidora.exercises import predict

predict(
    "06",
    "The recorded BiDoRA runs unroll one lower step with ξ = learning rate (0.003 at most). "
    "How large is the implicit part of the hypergradient beside the direct part?",
    ["about as large", "about a tenth", "about a hundredth", "less than a thousandth"],
)

# %% [markdown]
# ## The shortest example
#
# DoRA's layer, $W' = m \odot \dfrac{W_0 + sBA}{\lVert W_0 + sBA\rVert}$, with its parameters in two levels:
#
# $$V^*(m) = \arg\min_{V=\{A, B, \text{head}\}} L_{tr}(V, m) \qquad \min_m L_{val}(V^*(m), m)$$
#
# The data are antimicrobial peptides; a fifth of the training data is the upper split.

# %%
import os

import torch
import torch.nn.functional as F
from torch.func import functional_call

import bidora
from bidora import RunConfig
from bidora.exercises import check, explore, hint, reveal, show, solution
from bidora.exercises.real_model import bilevel_trainer, esm2_or_tiny, first_batches, levels, tiny, with_noise

config = RunConfig(
    task="peptides", method="bidora", rank=4, alpha=8.0, examples_per_class=32,
    steps=20, batch_size=8, warmup_fraction=0.0, mixed_product="exact",
    regularizer=0.0, max_gradient_norm=0.0,  # nothing but the two levels: no regulariser, no clipping
)  # fmt: skip
material = with_noise(esm2_or_tiny(config))  # B begins at 0; a little noise, so that no derivative vanishes there
model = material.model

direction, magnitude = bidora.split_parameters(model)
print(f"lower level: {levels(direction)}\nupper level: {levels(magnitude)}")

# %% [markdown]
# ## Who belongs to which level?
#
# ### Exercise 06-split
#
# core · ★☆☆ · 5 min. Write it yourself, for a model in the midst of a lower step, where m is frozen (`requires_grad=False`).
# Stuck? `hint("06-split")`; at last `solution("06-split")`.


# %% exercise="06-split"
def split(model):  # → direction, magnitude: dicts name → parameter
    ...


check("06-split", split)

# %% [markdown]
# ### Exercise 06-snapshot
#
# core · ★☆☆ · 3 min. To see who moves one needs a copy from before. Harder to get right than it looks.


# %% exercise="06-snapshot"
def snapshot(model):  # → dict name → copy, of all parameters
    ...


check("06-snapshot", snapshot)

# %% [markdown]
# ## The loss as a function of both levels
#
# A model keeps its parameters inside. For two levels the loss must be a **function** $L(V, m)$ that can be asked at other places.
# `functional_call` runs a model with other tensors in the place of its own:


# %%
def loss_on(batch):
    def loss(direction, magnitude):  # two dicts name → tensor → scalar
        tensors = {**direction, **magnitude}  # the backbone's own tensors stay
        logits = functional_call(model, tensors, (batch["input_ids"], batch["attention_mask"]))  # (batch, 2)
        return F.cross_entropy(logits, batch["labels"])

    return loss


L_tr = loss_on(material.batch(material.lower, 8))
L_val = loss_on(material.batch(material.upper, 8))
print(f"L_tr {L_tr(direction, magnitude).item():.4f}, L_val {L_val(direction, magnitude).item():.4f} nats")

# %% [markdown]
# ## The lower step
#
# $$V' = V - \eta\,\nabla_V L_{tr}(V, m)$$
#
# $\eta$ is the learning rate (`rate`).
#
# ### Exercise 06-lower
#
# core · ★★☆ · 8 min. V and m come as dicts of plain tensors (`requires_grad=False`). Return new tensors; leave V and m as they were, without a `.grad`.


# %% exercise="06-lower"
def lower_step(loss, V, m, rate):  # → V': new tensors, m as it is
    ...


check("06-lower", lower_step)

# %% [markdown]
# ## The upper step
#
# $$h = \frac{d}{dm}\, L_{val}\bigl(V - \xi\,\nabla_V L_{tr}(V, m),\; m\bigr) \qquad m \leftarrow m - \eta_{up}\cdot\text{AdamW}(h)$$
#
# ### Exercise 06-upper
#
# core · ★★★ · 15 min. Both parts of $h$; autograd may do the product rule. `lower_loss` is $L_{tr}$, `upper_loss` is $L_{val}$; plain tensors again.


# %% exercise="06-upper"
def upper_gradient(lower_loss, upper_loss, V, m, xi):  # → h: dict like m
    ...


check("06-upper", upper_gradient)

# %% [markdown]
# ## The same on ESM-2, and who moves when
#
# The library's trainer takes one step. Inside, the upper step comes first, through the very lower step that is about to be taken.

# %%
trainer = bilevel_trainer(material, config)
lower_batch, upper_batch = first_batches(trainer)


def copies():
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def moved(before, after):  # bit for bit: a tolerance would hide a small step
    return [name for name in before if not torch.equal(before[name], after[name])]


start = copies()
trainer.training_step(model, lower_batch)  # upper step taken, gradients of the lower step ready
between = copies()
trainer.optimizer.step()  # lower step
end = copies()

print(f"upper step moved: {levels(moved(start, between))}")
print(f"lower step moved: {levels(moved(between, end))}")
assert set(moved(start, between)) == set(magnitude)  # nor A, B or head in an upper step …
assert set(moved(between, end)) == set(direction)  # … nor m in a lower one, nor the backbone ever

# %% [markdown]
# Now by hand, from the same start and the same two batches: the derivation in seven lines, equal to the library's.

# %%
V = {name: start[name].requires_grad_() for name in direction}
m = {name: start[name].requires_grad_() for name in magnitude}
xi = config.learning_rate  # unroll_scale="lr"

slopes = torch.autograd.grad(loss_on(lower_batch)(V, m), list(V.values()), create_graph=True)  # ∇_V L_tr, with graph
V_new = {name: V[name] - xi * slope for name, slope in zip(V, slopes)}  # V'(m)
h = dict(zip(m, torch.autograd.grad(loss_on(upper_batch)(V_new, m), list(m.values()))))

found = trainer.last_hypergradient  # of the trainer's own upper step
plain = bidora.hypergradient(loss_on(lower_batch), loss_on(upper_batch), V, m, step=xi)
size = max(slope.abs().max() for slope in h.values()).item()
for name in m:
    torch.testing.assert_close(found.total()[name], h[name], rtol=1e-3, atol=1e-4 * size)
    torch.testing.assert_close(plain.total()[name], h[name], rtol=1e-3, atol=1e-4 * size)
print("by hand = bidora.hypergradient = the step of BiLevelTrainer")

# %% [markdown]
# And m really went along it: AdamW's first step has the size of the learning rate, against the sign of $h$.

# %%
name = next(iter(m))
step = between[name] - start[name].detach()  # (out,)
clear = h[name].abs() > 1e-3 * h[name].abs().max()  # where AdamW's eps does not count
assert torch.equal(step[clear].sign(), -h[name][clear].sign())
rate = config.learning_rate * config.upper_learning_rate_ratio
print(f"m moved by {step.abs().median():.4f} (median); upper learning rate {rate}")

# %% [markdown]
# ## How large is the second part?

# %%
for xi in (0.0, config.learning_rate, 0.1, 1.0):
    norms = bidora.hypergradient(loss_on(lower_batch), loss_on(upper_batch), V, m, step=xi).norms()
    print(f"ξ = {xi:<6} direct {norms.direct:.4f}  implicit {norms.implicit:.6f}  implicit / direct {norms.ratio:.4f}")

# %%
from bidora.exercises.recorded_levels import alive, implicit_share, parts

shares = {task: implicit_share(task) for task in ("peptides", "reuters")}
for task, by_seed in shares.items():
    print(f"{task}: median over the search, seeds 0, 1, 2: " + ", ".join(f"{share:.1e}" for share in by_seed.values()))
reveal(
    "06",
    "less than a thousandth",
    "In all six recorded BiDoRA runs. With ξ = learning rate the recorded method is first order in all but name.",
)

# %%
explore(parts, task=["peptides", "reuters"], seed=[0, 1, 2])

# %% [markdown]
# <details><summary>What you should see</summary>
#
# The implicit part grows with ξ; where ξ is so large that V' is a bad place, the direct part grows, too. With ξ = 0.003 it is two hundredths of the
# direct part for the batch above, where noise was put into B. In the recorded runs its median is between 1.5e-4 and 6.4e-4 of the direct part,
# at single steps up to a third (peptides, seed 1). Whether a larger ξ or the AdamW step
# (`unroll_scale="adam"`) helps is a question for a fair comparison ([07](07_reuters_lab.ipynb)), not for this plot.
#
# </details>
#
# ## The same masks, or noise
#
# The double backward pass needs memory. The mixed product can also be taken by a difference (the trainer's default is the one-sided form of it,
# one pass cheaper):
#
# $$\nabla^2_{m,V} L_{tr}\cdot w \approx \frac{\nabla_m L_{tr}(V + \delta w, m) - \nabla_m L_{tr}(V - \delta w, m)}{2\delta}
#   \qquad \delta = \frac{\varepsilon}{\lVert w\rVert},\ \varepsilon = 0.01$$
#
# $w = \nabla_V L_{val}(V', m)$ is what the implicit part multiplies the mixed derivative with (notebook 05), and $\lVert w\rVert$ is taken over all its
# tensors together. With dropout the two passes are two different networks, unless both draw the same masks.
#
# ### Exercise 06-masks
#
# deeper · ★★★ · 12 min. Same masks in both passes, V afterwards the same bit for bit. The masks come from torch's global generator.


# %% exercise="06-masks"
def product_by_difference(loss, V, m, w, epsilon):  # → dict like m
    ...


check("06-masks", product_by_difference)

# %% [markdown]
# What other masks do, on a tiny encoder with dropout 0.1:

# %%
from bidora.exercises.nb06 import loss_on as loss_of_model
from bidora.hypergradient import RandomState, mixed_product

small = with_noise(
    tiny(RunConfig(task="peptides", method="bidora", rank=2, alpha=4.0, dropout=0.1, kernel="peft")), size=0.3
)
small.model.train()
V_small, m_small = ({k: p.detach().clone() for k, p in level.items()} for level in bidora.split_parameters(small.model))
noisy = loss_of_model(small.model, small.batch(small.lower, 16))
w = {name: torch.randn_like(tensor) for name, tensor in V_small.items()}
delta = 0.01 / torch.cat([tensor.flatten() for tensor in w.values()]).norm()
state = RandomState.record(V_small)  # one set of masks, for the exact product too


def flat(parameters):
    return torch.cat([tensor.flatten() for tensor in parameters.values()])


def slope_of_m(sign):  # draws masks from wherever the generator stands
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in m_small.items()}
    there = {name: V_small[name] + sign * delta * w[name] for name in V_small}
    return torch.cat([each.flatten() for each in torch.autograd.grad(noisy(there, leaves), list(leaves.values()))])


# %%
with state.replayed():
    exact = flat(mixed_product(noisy, V_small, m_small, w, mixed="exact"))
with state.replayed():
    same_masks = flat(mixed_product(noisy, V_small, m_small, w, mixed="central"))  # the library replays them
with state.replayed():
    other_masks = (slope_of_m(+1) - slope_of_m(-1)) / (2 * delta)  # the second pass goes on drawing

for name, product in (("same masks", same_masks), ("other masks", other_masks)):
    cosine = F.cosine_similarity(product, exact, dim=0)
    print(f"{name:12} norm {product.norm() / exact.norm():7.2f} × exact, cosine {cosine:+.3f}")
assert F.cosine_similarity(same_masks, exact, dim=0) > 0.99

# %% [markdown]
# <details><summary>What you should see</summary>
#
# With the same masks the difference has the exact product's length and heading. With other masks it is many times longer, and its heading is
# of little use: the noise of dropout is divided by a small δ.
#
# </details>
#
# ## Is m alive?
#
# In the recorded runs of seed 0: the gradient that reaches m, and how far m has gone. After the search BiDoRA fixes m and trains A, B and head
# **from their initial values again**, on all training data.

# %%
show(alive("peptides"))

# %%
from bidora.analysis import curves
from bidora.exercises.training import trained
from bidora.figures import two_levels

if os.environ.get("LAB_FULL") == "1":
    # the search alone, with the lower step really taken (AdamW) in the hypergradient
    fresh = trained(
        RunConfig(task="peptides", examples_per_class=32, rank=4, alpha=8.0, unroll_scale="adam", retrain="none")
    )
    show(two_levels(curves([fresh])))
else:
    print("LAB_FULL=1 trains a search phase here whose hypergradient goes through the AdamW step.")

# %% [markdown]
# ## In five lines
#
# 1. BiDoRA is DoRA's layer with two levels: A, B and head on the lower split, m on the upper split.
# 2. The loss as a function $L(V, m)$, a gradient with `create_graph`, and the upper loss at V': that is the upper step.
# 3. Check levels bit for bit, with real copies: `detach()` without `clone()` makes every such test pass.
# 4. Two passes whose difference is a derivative need the same dropout masks, and V back bit for bit.
# 5. With ξ = learning rate the implicit part was below a thousandth of the direct one (median, 6 recorded runs).
#
# **Next:** [07 · Reuters lab](07_reuters_lab.ipynb). Does it help? A fair comparison with seeds and intervals.
