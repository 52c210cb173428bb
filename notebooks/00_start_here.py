# %% [markdown]
# # 00 · Start here
#
# BiDoRA adapts a pretrained model by training **how long** each row of a weight is on one part of the data, and **where it points** on another.
# This notebook trains the smallest real example, reads its result with the care it needs, and shows the way through the rest.
#
# | where | minutes |
# |---|---|
# | laptop without GPU | 30, of which about one is computing, and once a download of 86 MB |
# | laptop without GPU and without network, with the recordings | 25 |
# | GPU | 30 |
#
# You need Python and PyTorch basics. Afterwards you can
#
# 1. say in two sentences what LoRA, DoRA and BiDoRA train;
# 2. train a run, find it again, and read its score together with its interval;
# 3. choose the notebook that answers your question.

# %%
from bidora.exercises import predict

predict(
    "00",
    "DoRA and BiDoRA learn from 64 peptides. Each does so three times, with seeds 0, 1 and 2: a seed decides all random draws. "
    "Compared seed by seed, BiDoRA's test accuracy is …",
    ["higher in 3 of 3 seeds", "lower in 3 of 3 seeds", "higher in some, lower in others"],
)

# %% [markdown]
# ## The shortest example
#
# A peptide is a short protein, written as a row of letters. A protein model with 7 million numbers (ESM-2, in a copy
# [described here](../data/README.md)) learns to tell antimicrobial peptides from other short sequences. `FIRST` holds the settings: 16 examples of
# each class, 12 steps. The stop button ends the training, and nothing is lost.

# %%
from bidora.exercises import check, explore, hint, reveal, show, solution, trained
from bidora.exercises.nb00 import FIRST, learning, recorded

# Where weights cannot be fetched, a recording takes its place.
run = trained(FIRST, name="my first run", otherwise=recorded("peptides", method="bidora", seed=0)[0])

# %% [markdown]
# That was a whole experiment: data read and cut, an *adapter* (small trained parts beside the frozen weights) added, two phases trained, every test
# peptide scored. Its score:

# %%
result = run.result
accuracy = result["scores"]["accuracy"]
print(f"{run.config.method}, seed {run.config.seed}, {result['n_train']} training and {result['n_test']} test peptides")
print(f"test accuracy   {accuracy['value']:.1%}, 95 % interval {accuracy['low']:.1%} to {accuracy['high']:.1%}")
print(f"one answer for all of them would reach   {result['baseline']['accuracy']:.1%}")

# %% [markdown]
# The interval says how far the score would move with other test peptides from the same source. It does not say what another *seed* would give:
# other training examples, other initial values. For that one needs several runs.
#
# ## What was trained
#
# A linear layer holds a weight $W_0$ with one row per output. All three methods leave $W_0$ as it is and learn something small beside it:
#
# $$W'_\text{LoRA} = W_0 + s\,BA \qquad\qquad W'_\text{DoRA, BiDoRA} = m \odot \frac{W_0 + s\,BA}{\lVert W_0 + s\,BA\rVert}$$
#
# $W'$ is the adapted weight. $A$ has $r$ rows and $B$ has $r$ columns; $r$, the *rank*, is small (4 here). $s=\alpha/r$ is a number that is chosen
# before training. The norm is taken row by row, and $m\,\odot$ multiplies each row by its own number. So in DoRA and BiDoRA the **magnitude** $m$
# is the length of each row, and the rest is its **direction**. DoRA trains both together. BiDoRA trains them on two levels. With $V$ for all that is
# trained but $m$ (that is $A$, $B$ and the *head*, the last layer, which gives the classes) and $L$ for a loss:
#
# $$\min_m\; L_\text{upper}\bigl(V^*(m),\, m\bigr) \quad\text{where}\quad V^*(m) = \arg\min_V\, L_\text{lower}(V, m)$$
#
# $V^*(m)$ is the best $V$ for a given $m$. The lower level learns $V$ on about 80 % of the training data, the upper level learns $m$ on the rest.
# That is the *search* phase. Then $m$ is kept, and $V$ is trained *anew* from its initial values, on all training data: the *retraining* phase.
# Both levels and both phases can be seen in the losses:

# %%
from bidora.analysis import curves
from bidora.figures import learning_curves

show(learning_curves(curves([run])))

# %% [markdown]
# ## A finished comparison
#
# Twelve steps teach a model little. The lab comes with recordings of longer runs: two tasks, four methods, three seeds, 150 steps a phase.

# %%
from bidora.analysis import comparison, paired_differences, readable_comparison
from bidora.figures import scores

adapters = [each for each in recorded("peptides") if each.config.method != "full"]
show(scores(comparison(adapters), baseline=adapters[0].result["baseline"]["accuracy"]))

# %%
columns = ["method", "seeds", "accuracy (%)", "gradient evaluations", "training (s)", "trainable parameters"]
readable_comparison(comparison(adapters))[columns]  # brackets: 95 %, Student's t over three seeds

# %% [markdown]
# The intervals are wide, since seeds differ. A difference *within* each seed is the better question: same examples, same test peptides.

# %%
for sentence in paired_differences(adapters, reference="DoRA")["sentence"]:
    print("·", sentence)

# %%
higher = int(paired_differences(adapters, reference="DoRA").set_index("first").loc["BiDoRA", "higher"])
reveal(
    "00",
    {3: "higher in 3 of 3 seeds", 0: "lower in 3 of 3 seeds"}.get(higher, "higher in some, lower in others"),
    "Three seeds agree by chance in a quarter of cases. And one setting is one setting: in the study that the README quotes (eight seeds, "
    "a learning rate tuned for each method, rank 8 instead of 4) BiDoRA was higher in 3 of 8 seeds and lower in 4, and the interval of the mean difference, "
    "−0.99 to +0.20 points, contains zero. Notebook 07 compares with more care.",
)

# %% [markdown]
# ## Look around
#
# The horizontal axis counts gradient evaluations (one forward and backward pass of one batch), since a step of BiDoRA's search takes three of them
# and a step of DoRA one. Choose the task and what is drawn:

# %%
explore(learning, task=["peptides", "reuters"], quantity=["loss", "test accuracy"])

# %% [markdown]
# ## Exercises
#
# Write your answer in place of the dots and run the cell. `check` says what an answer shows, or which idea is behind a wrong one. Three hints
# each: `hint("00-cost")`, `hint("00-cost", 2)`, `hint("00-cost", 3)`, and at last `solution("00-cost")`. *Core* exercises are what the rest builds
# on; the minutes at the top of a notebook count them. *Deeper* ones are for those who want more, and their minutes come on top.
#
# ### Exercise 00-cost
#
# core · ★☆☆ · 4 min. How many gradients would `FIRST` take with 20 steps a phase? Each of the 20 lower steps takes one; after each comes an upper
# step, which takes two (of the upper loss, and of the lower loss at a shifted point). Then 20 steps of retraining.

# %% exercise="00-cost"
evaluations = ...  # a number

check("00-cost", evaluations)

# %% [markdown]
# ### Exercise 00-interval
#
# core · ★★☆ · 5 min. In the recorded BiDoRA run with seed 0, 703 of 924 test peptides were right. Half the width of the 95 % interval, in
# percentage points? Use $1.96\sqrt{p(1-p)/n}$. Then think of a paper that reports a gain of one point from one run each.

# %% exercise="00-interval"
p, n = 703 / 924, 924
half_width = ...  # percentage points

check("00-interval", half_width)

# %% [markdown]
# ## Is everything in place?
#
# `bidora doctor` in a terminal checks Python, packages, device, disk, cache and network, and says what to do about what is missing. The same here,
# in short:

# %%
from bidora.cli.doctor import findings

for finding in findings():
    part = finding.text.split(":")[0] if finding.name == "cache" else ""  # which weights or data
    print(f"{'look' if finding.step else 'ok  '}  {finding.name:<9} {part:<11} {finding.step}".rstrip())

# %% [markdown]
# ## How to go on
#
# Your run is a folder. The app shows it (`make app`, then *Runs*), and the command line knows it:
#
# | you want to | in a terminal | here |
# |---|---|---|
# | see your runs | `bidora list` | `from bidora import list_runs` |
# | read one of them | `bidora show RUN` | `run.result`, `run.metrics()` |
# | train with other settings | `bidora run --method dora --steps 150` | `trained(FIRST.replace(method="dora", steps=150))` |
# | go on with a stopped run | `bidora resume RUN` | `trained(run)` |
# | compare | `bidora compare RUN RUN` | `comparison(runs)` |
#
# ### Map of the notebooks
#
# | notebook | question | minutes |
# |---|---|---|
# | [01 · A weight is a length and a direction](01_length_and_direction.ipynb) | What do ΔM and ΔD measure, and of which units? | 40 |
# | [02 · LoRA from scratch](02_lora_from_scratch.ipynb) | What can a thin update do, and how does it begin? | 45 |
# | [03 · DoRA from scratch](03_dora_from_scratch.ipynb) | What does the magnitude add? Your layer against PEFT's | 60 |
# | [04 · Reading the ΔM/ΔD plot](04_reading_the_plot.ipynb) | Why is a slope no correlation? | 45 |
# | [05 · Two levels by hand](05_two_levels_by_hand.ipynb) | What is a hypergradient, and which term is easily missed? | 60 |
# | [06 · From DoRA to BiDoRA](06_from_dora_to_bidora.ipynb) | How does the upper step look with real models? | 60 |
# | [07 · Reuters lab](07_reuters_lab.ipynb) | Which method, on few examples, at equal cost? | 55 |
# | [08 · Protein lab](08_protein_lab.ipynb) | Where is the leak, and which metric fits? | 55 |
# | [09 · Your own question](09_your_own_question.ipynb) | And with your data and your model? | 40 |
#
# 02, 03 and 04 build on 01, 06 builds on 03 and 05. 07 needs 02, 08 needs this one, 09 needs 07. All ten take about eight hours, the deeper exercises
# almost two more. Nobody has to do all of them: 00, 01, 02 and 07 make an afternoon.
#
# ## What you should see
#
# <details><summary>Open after the exercises</summary>
#
# - The first run scores between one answer for all (45 %) and the recordings (76 to 83 %): twelve steps are few.
# - Its upper loss is drawn beside the lower one in the search phase only; the retraining phase has one loss.
# - In the recordings BiDoRA's test accuracy is below DoRA's in all three seeds, by 1.1 to 4.2 points, at four times the gradient evaluations. LoRA
#   and DoRA show no clear direction. On Reuters the three lie within one point of each other in every seed.
# - `00-cost`: 80, four times DoRA's 20. `00-interval`: ±2.8 points.
#
# </details>
#
# ## Summary
#
# 1. LoRA adds $s\,BA$ to a frozen weight; DoRA and BiDoRA also give each row a trained length, its magnitude.
# 2. BiDoRA trains direction and magnitude on two parts of the training data, then trains the direction anew.
# 3. A score has an interval from the test set, and a spread over seeds; they answer different questions.
# 4. Compare within seeds, on the same test inputs, and say what each method cost.
# 5. Every run is a folder that notebooks, app and command line share.
#
# Next: [01 · A weight is a length and a direction](01_length_and_direction.ipynb)
