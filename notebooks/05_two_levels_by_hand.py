# %% [markdown]
# # 05 · Two levels by hand
#
# The gradient of m has two parts. One of them is easy to leave out without noticing.
#
# | where | minutes |
# |---|---|
# | laptop without GPU | 60 without the deeper exercises, of which less than one is computing |
# | GPU | the same: everything here is a few numbers |
#
# You need the chain rule and the product rule. Afterwards you can
#
# 1. derive the hypergradient of one unrolled step, and check it in three ways;
# 2. find the term that is missing in somebody's code;
# 3. say what first order, unrolled and implicit variants leave out.
#
# BiDoRA's lower level trains the direction V, its upper level the magnitude m. When m moves, V follows. So the gradient by m, called the
# *hypergradient*, has a **direct part** (how the upper loss changes while V stands still) and an **implicit part** (how it changes because V follows).
# The number ξ (xi) says how far the upper level looks ahead at V; with ξ = 0 the implicit part is left out.

# %%
from bidora.exercises import predict
from bidora.sandbox import LEFT_OUT

predict("05", LEFT_OUT.text, LEFT_OUT.options)

# %% [markdown]
# ## The shortest example
#
# Two levels (BiDoRA): the lower one chooses the direction V for a given magnitude m, the upper one judges m.
#
# $$V^*(m) = \arg\min_V L_{tr}(V, m) \qquad \min_m L_{val}(V^*(m), m)$$
#
# $L_{tr}$ is the loss on the lower split, $L_{val}$ the loss on the upper split, as the papers call them. Here V and m are one number each, and the
# weight has two entries, $W = m\cdot(1, V)$: m stretches it, V turns it. Both losses are those of a linear regression with two inputs,
# $L = \tfrac12 (W-a)^\top H (W-a)$: $a$ is the weight that fits the data of that split best, $H$ (2 × 2) holds the mean products of the inputs.

# %%
import numpy as np
import torch

from bidora.exercises import check, explore, hint, reveal, show, solution
from bidora.sandbox import PROBLEM, hypergradient, settles

L_tr, L_val = PROBLEM.lower, PROBLEM.upper  # L_val: the loss on the upper split
print(f"V*(1) = {PROBLEM.best_response(1.0):.3f}: the V that the lower level chooses when m = 1")

# %% [markdown]
# Lower steps and upper steps take turns. The dashed line is $V^*(m)$; the star is the solution of both levels. Watch where the path comes to rest,
# first with ξ = 0, then with a larger one:

# %%
from bidora.exercises.two_numbers import path

explore(path, xi=(0.0, 0.0, 1.0, 0.1), lower_steps=(5, 1, 10, 1), upper_steps=(60, 0, 100, 5))

# %%
first_order, best = settles(PROBLEM, xi=0.0), PROBLEM.solution()
losses = PROBLEM.solved_loss(first_order), PROBLEM.solved_loss(best)
reveal(
    "05",
    f"at a larger m ({first_order:.2f} instead of {best:.2f})",
    f"{LEFT_OUT.why} L_val: {losses[0]:.3f} instead of {losses[1]:.3f}.",
)

# %% [markdown]
# <details><summary>What you should see</summary>
#
# With ξ = 0 the path climbs past the star and rests at m = 1.97. With ξ = 0.3 it rests at 1.58, with ξ = 0.5 at 1.47, close to the star
# (1.49), with ξ = 1 below it, at 1.32. A larger ξ is not simply better: ξ stands in for an inverse curvature, as we shall see.
#
# </details>
#
# ## Step 1: down both ways
#
# Let $g = \partial L/\partial W = H(W-a)$, with entries $g_1, g_2$ (`loss.by_weight(V, m)` gives both). Since $W = (m,\ mV)$:
#
# $$\frac{\partial L}{\partial m} = \,? \qquad \frac{\partial L}{\partial V} = \,?$$
#
# ### Exercise 05-chain
#
# core · ★☆☆ · 6 min. Stuck? `hint("05-chain")`, `hint("05-chain", 2)`; at last `solution("05-chain")`.


# %% exercise="05-chain"
def by_magnitude(loss, V, m):  # ∂L/∂m
    ...  # g1, g2 = loss.by_weight(V, m)


def by_direction(loss, V, m):  # ∂L/∂V
    ...  # g1, g2 = loss.by_weight(V, m)


check("05-chain", by_magnitude, by_direction)

# %% [markdown]
# ## Step 2: how the slope by V changes with m
#
# The lower step follows $\partial L_{tr}/\partial V$. If m changes, so does this slope: that is the **mixed second derivative**
# $\partial^2 L/\partial m\,\partial V$. `loss.moments` is $(h_{11}, h_{12}, h_{22})$, the entries of $H$.
#
# ### Exercise 05-mixed
#
# core · ★★★ · 10 min. Derive it on paper first.


# %% exercise="05-mixed"
def mixed(loss, V, m):  # ∂²L/∂m∂V
    ...  # g1, g2 = loss.by_weight(V, m);  h11, h12, h22 = loss.moments


check("05-mixed", mixed)

# %% [markdown]
# ### Why nobody notices
#
# Somebody wrote `m * (h12 + V * h22)`, and tested it where the lower level is solved.

# %%
m = 1.3
for name, V in (("at the lower optimum V*(m)", float(PROBLEM.best_response(m))), ("elsewhere, V = 0.3", 0.3)):
    g1, g2 = L_tr.by_weight(V, m)
    h11, h12, h22 = L_tr.moments
    print(f"{name:27}  theirs {m * (h12 + V * h22):.4f}   library {L_tr.mixed(V, m):.4f}   g2 = {g2:+.4f}")

# %% [markdown]
# <details><summary>What you should see</summary>
#
# At the optimum both agree, because there $g_2 = 0$. Elsewhere they do not: the product rule's own term $g_2$ is missing. During training V is never
# exactly at its optimum. **Test derivatives away from special places.**
#
# </details>
#
# ## Step 3: one unrolled step
#
# $$V' = V - \xi\,\frac{\partial L_{tr}}{\partial V}(V, m) \qquad
#   h = \underbrace{\frac{\partial L_{val}}{\partial m}(V', m)}_{\text{direct}}
#   \;\underbrace{-\,\xi\,\frac{\partial^2 L_{tr}}{\partial m\,\partial V}(V, m)\cdot\frac{\partial L_{val}}{\partial V}(V', m)}_{\text{implicit}}$$
#
# $V'$ is V after one lower step of length ξ, and $h$ is the derivative of $m \mapsto L_{val}(V'(m), m)$. Mind **where** each factor is taken: V or V'.
#
# ### Exercise 05-unrolled
#
# core · ★★☆ · 8 min. Use `L_tr` and `L_val` with their `.by_magnitude(V, m)`, `.by_direction(V, m)`, `.mixed(V, m)`.


# %% exercise="05-unrolled"
def both_parts(V, m, xi):  # → direct, implicit
    ...


check("05-unrolled", both_parts)

# %% [markdown]
# ### Exercise 05-difference
#
# core · ★★☆ · 6 min. The second check needs no formula: $\bigl(F(m+\varepsilon) - F(m-\varepsilon)\bigr)/2\varepsilon$ with
# $F(m) = L_{val}(V'(m), m)$. `L_val.value(V, m)` is the loss itself.


# %% exercise="05-difference"
def slope_by_difference(V, m, xi, epsilon): ...


check("05-difference", slope_by_difference)

# %% [markdown]
# ### Three ways, one number
#
# By hand, by difference, by the library. The library's call is the same for two numbers and for a transformer: two losses, two dicts of tensors, ξ.

# %%
import bidora


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def lower_loss(direction, magnitude):  # L_tr(V, m) → scalar tensor
    return L_tr.value(direction["V"], magnitude["m"])


def upper_loss(direction, magnitude):  # L_val(V, m)
    return L_val.value(direction["V"], magnitude["m"])


# %%
V, m, xi, epsilon = 0.3, 1.3, 0.3, 1e-5
V_new = V - xi * L_tr.by_direction(V, m)  # V'
by_hand = L_val.by_magnitude(V_new, m) - xi * L_tr.mixed(V, m) * L_val.by_direction(V_new, m)


def F(m):  # V' is computed anew for every m
    return L_val.value(V - xi * L_tr.by_direction(V, m), m)


by_difference = (F(m + epsilon) - F(m - epsilon)) / (2 * epsilon)

found = bidora.hypergradient(lower_loss, upper_loss, {"V": number(V)}, {"m": number(m)}, step=xi)
print(f"by hand {by_hand:.10f}\ndifference {by_difference:.10f}\nlibrary {found.total()['m'].item():.10f}")
print(f"direct {found.direct['m'].item():+.4f}, implicit {found.implicit['m'].item():+.4f}")

assert np.isclose(found.total()["m"].item(), by_hand, rtol=1e-12)
assert np.isclose(by_difference, by_hand, rtol=1e-8)

# %% [markdown]
# ## Find the missing term
#
# "Autograd does all that for me." Here is how one often writes it at first. It runs, nothing warns, and a part of $h$ is gone.


# %%
def theirs(V, m, xi):  # V, m: tensors ()
    V, m = V.clone().requires_grad_(), m.clone().requires_grad_()
    (slope,) = torch.autograd.grad(L_tr.value(V, m), V)
    V_new = V - xi * slope
    (h,) = torch.autograd.grad(L_val.value(V_new, m), m)
    return h


print(f"theirs {theirs(number(V), number(m), xi).item():+.4f}, right {by_hand:+.4f}")

# %% [markdown]
# ### Exercise 05-missing-term
#
# core · ★★☆ · 8 min. Mend it. One argument is enough.


# %% exercise="05-missing-term"
def mended(V, m, xi):  # V, m: tensors ()
    ...


check("05-missing-term", mended)

# %% [markdown]
# <details><summary>What you should see</summary>
#
# Theirs is exactly the direct part: `slope` comes back without a graph, so to the second call V' is a constant that knows nothing of m.
# The value of V' is right, and so is the loss. Only a check of the *gradient* finds it.
#
# </details>
#
# ## The lower level solved: the implicit function theorem
#
# Let the lower level run to its end. Along $V^*(m)$ the slope $\partial L_{tr}/\partial V$ stays 0; differentiate this by m:
#
# $$\frac{\partial^2 L_{tr}}{\partial m\,\partial V} + \frac{\partial^2 L_{tr}}{\partial V^2}\,\frac{dV^*}{dm} = 0
#   \qquad \frac{dF}{dm} = \frac{\partial L_{val}}{\partial m} + \frac{dV^*}{dm}\,\frac{\partial L_{val}}{\partial V}$$
#
# ### Exercise 05-implicit
#
# deeper · ★★★ · 12 min. `L_tr.curvature(m)` is $\partial^2 L_{tr}/\partial V^2 = m^2 h_{22}$; `PROBLEM.best_response(m)` is $V^*(m)$.


# %% exercise="05-implicit"
def true_slope(m):  # dF/dm with F(m) = L_val(V*(m), m)
    ...


check("05-implicit", true_slope)

# %% [markdown]
# At the optimum one unrolled step gives the same formula with ξ in the place of $1/(\partial^2 L_{tr}/\partial V^2)$. So the right ξ would be the
# inverse curvature, a different one for every m. Move m and ξ, and compare "h, both" with "lower level solved":

# %%
from bidora.exercises.two_numbers import pulls

explore(pulls, m=(1.2, 0.8, 2.0, 0.05), xi=(0.3, 0.0, 1.0, 0.05))

# %%
for m in (0.9, 1.2, 1.8):  # with ξ = 1 / curvature one unrolled step is the implicit function theorem
    V_star, exact_xi = float(PROBLEM.best_response(m)), 1 / L_tr.curvature(m)
    assert np.isclose(hypergradient(PROBLEM, V_star, m, xi=exact_xi).total, PROBLEM.solved_slope(m))
    print(f"m = {m}: the right ξ is {exact_xi:.3f}")

# %% [markdown]
# ## Many numbers: nobody inverts a Hessian
#
# With many V's the curvature is a matrix $H = \nabla^2_{V,V} L_{tr}$, too large to form. What one can have cheaply is a product $H x$ (one more
# backward pass). Two solvers need no more than that:
#
# Here $b$ is a given vector ($\partial L_{val}/\partial V$), $s$ a small number and $T$ the number of terms.
#
# $$\text{Neumann: } H^{-1}b \approx s\sum_{j<T}(I - sH)^j b \qquad\quad \text{conjugate gradient: } \min_x \tfrac12 x^\top H x - b^\top x$$
#
# ### Exercise 05-neumann
#
# deeper · ★★☆ · 8 min. `matvec(x)` gives $Hx$; `terms` is $T$, `scale` is $s$.


# %% exercise="05-neumann"
def series(matvec, b, terms, scale):  # → x ≈ H⁻¹ b
    ...


check("05-neumann", series)

# %% [markdown]
# Now a ridge regression whose features are weighed by m. It has 30 numbers in V and 30 in m, and a closed form to compare with.

# %%
draws = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, generator=draws, dtype=torch.float64)


X, y = normal(60, 30), normal(60)  # lower split: 60 examples, 30 features
X_up, y_up = normal(25, 30), normal(25)  # upper split


def ridge_lower(direction, magnitude):  # L_tr: squared error and a ridge of 0.1
    V, m = direction["V"], magnitude["m"]  # (30,), (30,)
    return 0.5 * ((X * m) @ V - y).square().mean() + 0.05 * V.square().sum()


def ridge_upper(direction, magnitude):  # L_val
    return 0.5 * ((X_up * magnitude["m"]) @ direction["V"] - y_up).square().mean()


# %%
def ridge_best(m):  # V*(m) in closed form, (30,)
    features = X * m
    curvature = features.T @ features / 60 + 0.1 * torch.eye(30, dtype=torch.float64)
    return torch.linalg.solve(curvature, features.T @ y / 60)


m = (1 + 0.2 * normal(30)).requires_grad_()
F_of_m = ridge_upper({"V": ridge_best(m)}, {"m": m})
(true,) = torch.autograd.grad(F_of_m, m)  # dF/dm through the closed form: what all variants are measured by
m = m.detach()

# %%
from bidora.exercises.solving import Solved, first_order_error, relative_error, solver_table
from bidora.figures import solver_errors
from bidora.hypergradient import implicit_hypergradient, neumann

ridge = Solved(ridge_lower, ridge_upper, {"V": ridge_best(m)}, {"m": m}, {"m": true})
show(solver_errors(solver_table(ridge, scale=0.3), first_order=first_order_error(ridge)))

# %%
one_step = bidora.hypergradient(*ridge[:4], step=0.3)  # DARTS, BiDoRA: unroll one step
one_term = implicit_hypergradient(*ridge[:4], solve=lambda matvec, b: neumann(matvec, b, terms=1, scale=0.3))
assert torch.allclose(one_step.total()["m"], one_term.total()["m"])  # at the optimum they are the same thing
print(
    f"relative error: first order {first_order_error(ridge):.2f}, one unrolled step {relative_error(ridge, one_step):.2f}"
)

# %% [markdown]
# <details><summary>What you should see</summary>
#
# The error of the direct part alone is larger than the truth itself (1.72 times its size); that of one unrolled step, the first Neumann term, is
# 0.92. More terms lower it steadily (0.0023 after 59 products); conjugate gradient needs fewer products (1e-8 after 27). But all of this holds at
# the lower optimum of a convex problem. A transformer in training is at no optimum, and its loss is not convex. So BiDoRA unrolls one step and
# takes its ξ as a setting.
#
# </details>
#
# | variant | what it leaves out | cost of one upper step |
# |---|---|---|
# | first order (ξ = 0) | that V follows m at all | one pass |
# | unrolled, ξ = learning rate | all but one small step | two passes more than first order, or a double backward |
# | unrolled, the AdamW step (`step=AdamWStep`) | all but the step really taken | the same |
# | implicit, Neumann or conjugate gradient | nothing at a lower optimum; asks for one | one product with H per term |
#
# ## In five lines
#
# 1. $h$ = direct + implicit: how $L_{val}$ changes with m, and how it changes because V follows m.
# 2. The mixed derivative is that of $L_{tr}$ at V; the other factors are those of $L_{val}$ at V'.
# 3. A product rule's term vanishes at the optimum, `create_graph` vanishes from code: test gradients by differences, at ordinary places.
# 4. One unrolled step is one term of the Neumann series: ξ stands for an inverse curvature.
# 5. First order is not "the same, only later": here it comes to rest at another m, with a larger $L_{val}$.
#
# **Next:** [06 · From DoRA to BiDoRA](06_from_dora_to_bidora.ipynb). The same upper step on a real model.
