# %% [markdown]
# # 08 · Protein lab: the leak, the shortcut, the metric
#
# Three ways in which a good score can mean little: the test set has relatives in the training set, the labels can be guessed from one letter,
# or the score answers another question than yours.
#
# | where | minutes |
# |---|---|
# | laptop without GPU, with the recordings | 55 without the deeper exercises, of which about one is computing |
# | laptop without GPU, training fresh (`LAB_FULL=1`) | about 20 more (2 threads; estimated from the recordings' own times) |
# | GPU, training fresh | about one more (H200, measured) |
#
# You need notebook [00](00_start_here.ipynb); [07](07_reuters_lab.ipynb) says more on seeds and intervals. Afterwards you can
#
# 1. find a leak by sequence similarity, and cut a test set that has none;
# 2. find a shortcut in the labels, and see whether a trained model took it;
# 3. choose the metric before you look at scores: accuracy, macro-F1, MCC; Spearman, RMSE.

# %%
from bidora.exercises import predict

predict(
    "08",
    "A random fifth of 4,620 peptides is held out. For how many of these 924 test peptides does the training set hold a near relative: "
    "one with which it shares three tenths of all three-letter words that occur in either?",
    ["hardly any", "about one in five", "about half", "nearly all"],
)

# %% [markdown]
# ## The shortest example
#
# Recorded runs on antimicrobial peptides, 32 examples of each class, three seeds. Accuracy, macro-F1 and Matthews' correlation (MCC) side by side:

# %%
from bidora.analysis import comparison, readable_comparison
from bidora.exercises import check, explore, hint, reveal, show, solution
from bidora.exercises.leaving_out import recorded

runs = recorded("recorded-peptides")
readable_comparison(comparison(runs)).iloc[:, :6]

# %% [markdown]
# About 80 % right. Is that much? The rest of this notebook is about that question.
#
# First, two things that you should know about model and data:

# %%
from bidora.models import get_model
from bidora.tasks import get_task

print("MODEL:", get_model("esm2").notice)
print("DATA: ", get_task("peptides").notice)

# %% [markdown]
# So the model here is **a copy of ESM-2 that was fine-tuned on haemolytic peptides**. Some peptides may have been seen before, with another
# label. Numbers from it are numbers of this copy ([more](../data/README.md)).
#
# The peptides themselves are small (178 kB) and may be shown:

# %%
import numpy as np
from IPython.display import display

from bidora.exercises.proteins import FAMILIES, RANDOM, memory_table, metrics, nearest_of, peptides, relatives

found = peptides()  # sequences, targets, and two ways to hold a fifth out
if found.made_up:
    print("The peptides are not here and cannot be fetched now. Made-up families stand in;")
    print("their numbers differ from those in the text.")
print(f"{len(found.sequences):,} peptides, {100 * found.targets.mean():.0f} % antimicrobial; the first three:")
print("\n".join(found.sequences[:3]))

# %% [markdown]
# ## Similarity
#
# A cheap and old measure: take all words of $k$ letters in a row, and compare the two sets of words (Jaccard index).
#
# $$J(a, b) = \frac{|A \cap B|}{|A \cup B|}, \qquad A = \{\,a_i a_{i+1} \dots a_{i+k-1}\,\}$$
#
# ### Exercise 08-jaccard
#
# core · ★★☆ · 7 min. Two sequences and $k$ in, $J$ out. A word that occurs twice counts once.


# %% exercise="08-jaccard"
def jaccard(one, other, k=3):  # two sequences → 0 … 1
    ...


check("08-jaccard", jaccard)

# %%
from bidora.tasks.sequences import shared_words, similar_pairs, with_neighbour

pair = ("GIGKFLHSAKKFGKAFVGEIMNS", "GIGKFLHAAKKFAKAFVAEIMNS")  # magainin 2 and a changed copy of it
words = [{text[i : i + 3] for i in range(len(text) - 2)} for text in pair]
by_hand = len(words[0] & words[1]) / len(words[0] | words[1])
assert abs(shared_words(pair)[0, 1] - by_hand) < 1e-12  # the equation is the library's
print(f"similarity {by_hand:.2f}")

# %% [markdown]
# ## The leak
#
# Two peptides with a similarity of 0.3 or more are called **relatives** here. A test peptide *leaks* if one of its relatives is in the training set.
#
# ### Exercise 08-leak
#
# core · ★★☆ · 7 min. How many test peptides leak? A pair of relatives is given by two positions, `first[i]` and `second[i]`.


# %% exercise="08-leak"
def with_relative(test, first, second):  # test (n,) bool: held out?   first, second (pairs,): positions
    ...  # a number of test peptides


check("08-leak", with_relative)

# %%
first, second = similar_pairs(found.sequences)  # all pairs of relatives, (pairs,) each
for name, test in found.test.items():
    print(f"{name}: {with_neighbour(test, first, second)} of {test.sum()} test peptides have a relative in training")

# %%
reveal(
    "08",
    "about half",
    "482 of 924 in the random fifth. Databases hold many variants of one peptide; a random cut puts some of them on either side.",
)

# %% [markdown]
# What counts as a relative is a choice. Move the threshold, and the number of letters in a row:


# %%
def leak(threshold, letters_in_a_row):
    return relatives(found, threshold, letters_in_a_row)


explore(leak, threshold=(0.3, 0.05, 0.95, 0.05), letters_in_a_row=[3, 2, 4])

# %% [markdown]
# ### What a leak is worth
#
# A "model" without any parameters: copy the label of the nearest training peptide. It knows no biology, it only remembers.

# %%
nearest = nearest_of(found)
memory_table(nearest)

# %%
import pandas

pandas.set_option("display.max_colwidth", 45)
labels = np.array(["inactive", "antimicrobial"])
close = nearest[(nearest["cut"] == RANDOM) & nearest["similarity"].between(0.6, 0.9)].head(5)
close.assign(label=labels[close["target"]], label_of_nearest=labels[close["nearest_target"]])[
    ["similarity", "label", "label_of_nearest", "sequence", "nearest"]
].round(2)

# %% [markdown]
# <details><summary>What you should see</summary>
#
# On the random fifth copying is right for 84.4 % of the test peptides: for 97.7 % of those with a relative and 69.9 % of the others. On the cut
# by families, where nobody has a relative, 77.5 %. These are two test sets, so the seven points between them are a rough measure; the 28 points
# within the random fifth are the clearer sign. All of this before any model is trained, and a network of 7 million parameters can remember, too.
#
# It does not fall to 50 %: peptides of one class have words in common without being relatives by our measure. At a lower threshold some
# kinship is left in the family-wise cut, too.
#
# </details>
#
# ### Exercise 08-families
#
# deeper · ★★★ · 12 min. How the cut without a leak is made: relatives, and relatives of relatives, are one family, and a family is never torn
# apart. Give each sequence the number of its family.


# %% exercise="08-families"
def families(n, first, second):  # n sequences and pairs of relatives → (n,) family numbers
    ...


check("08-families", families)

# %%
from bidora.tasks.sequences import clusters

family = clusters(len(found.sequences), first, second)  # (n,)
sizes = np.bincount(family)
torn = {
    name: sum(len(set(test[family == each])) > 1 for each in np.flatnonzero(sizes > 1))
    for name, test in found.test.items()
}
print(f"{len(sizes):,} families, the largest with {sizes.max()} members; torn apart by the cut: {torn}")
assert torn[FAMILIES] == 0

# %% [markdown]
# ## The shortcut
#
# The inactive sequences are pieces of ordinary proteins, many from the very beginning. A protein begins with M; a mature antimicrobial peptide has
# usually lost it. So how far does **"begins with M, so inactive"** get, alone?
#
# ### Exercise 08-shortcut
#
# core · ★☆☆ · 5 min. The share of sequences, of both classes, for which the rule is right. Without an M in front it says antimicrobial.


# %% exercise="08-shortcut"
def rule_accuracy(sequences, targets):  # targets: 1 antimicrobial, 0 inactive
    ...


check("08-shortcut", rule_accuracy)

# %%
test = found.test[FAMILIES]
starts = np.array([sequence.startswith("M") for sequence in found.sequences])
rule = 100 * np.mean((starts == (found.targets == 0))[test])
constant = 100 * np.mean(found.targets[test] == 1)
print(f"the rule of one letter: {rule:.1f} % of the test set; always 'antimicrobial': {constant:.1f} %")

# %% [markdown]
# The runs at the top have about 80 %. Did they learn what makes a peptide antimicrobial, or the letter? Their test predictions tell: take the
# test peptides for which the rule is right apart from those for which it is wrong.

# %%
from bidora.exercises.proteins import shortcut_table

shortcut_table(runs)  # accuracy in %, mean over three seeds

# %% [markdown]
# <details><summary>What you should see</summary>
#
# Inactive peptides *with* M in front: 87 to 94 % right. Inactive peptides *without* it: 56 to 67 %. All four methods have the gap, and
# it is larger than any difference between methods. It does not prove that the letter alone is the reason: peptides from the beginning of a
# protein may differ in other ways. (The third row has six peptides; six say nothing.)
#
# </details>
#
# The variant `amp-no-start` removes a leading M everywhere, so that this rule has nothing to go by:

# %%
without = peptides("amp-no-start")
starts = np.array([sequence.startswith("M") for sequence in without.sequences])
test = without.test[FAMILIES]
rule = 100 * np.mean((starts == (without.targets == 0))[test])
print(f"amp-no-start: {starts.sum()} of {len(starts):,} sequences begin with M; the rule is right for {rule:.1f} %")

# %%
import os

from bidora import RunConfig
from bidora.exercises.training import trained

FULL = os.environ.get("LAB_FULL") == "1"
if FULL:  # the same settings on both variants, three seeds: what is left without the letter?
    shared = dict(task="peptides", examples_per_class=32, rank=4, alpha=8.0, method="dora")
    fresh = [
        trained(RunConfig(**shared, variant=variant, seed=seed))
        for variant in ("amp", "amp-no-start")
        for seed in (0, 1, 2)
    ]
    # first row amp, second amp-no-start
    display(readable_comparison(comparison(fresh)).iloc[:, :6])
else:
    print(
        "LAB_FULL=1 trains DoRA on both variants. Their test sets differ, so look at levels, not at differences by seed."
    )

# %% [markdown]
# ## Choose a metric: classes
#
# With true and false positives and negatives,
#
# $$\text{accuracy} = \frac{TP+TN}{n}, \qquad F_1 = \frac{2\,TP}{2\,TP+FP+FN}, \qquad
#   \text{MCC} = \frac{TP\cdot TN - FP\cdot FN}{\sqrt{(TP+FP)(TP+FN)(TN+FP)(TN+FN)}}$$
#
# Macro-F1 is the mean of $F_1$ over the classes, each taken as "positive" once.
#
# ### Exercise 08-macro-f1
#
# core · ★★☆ · 8 min. Without scikit-learn; `targets` and `predictions` are lists of class numbers.


# %% exercise="08-macro-f1"
def macro_f1(targets, predictions):  # two lists → 0 … 1
    ...


check("08-macro-f1", macro_f1)

# %%
from bidora.metrics import score

predictions = runs[0].predictions()
true, predicted = ((predictions[name] == "antimicrobial").astype(int).to_numpy() for name in ("target", "prediction"))
halves = [2 * np.sum((true == c) & (predicted == c)) / (np.sum(true == c) + np.sum(predicted == c)) for c in (0, 1)]
scores = score("classification", np.eye(2)[predicted], true, ("inactive", "antimicrobial"))
assert abs(scores["macro_f1"] - np.mean(halves)) < 1e-12  # the equation is the library's
print({name: round(value, 3) for name, value in scores.items()})

# %% [markdown]
# The same classifier on test sets with more and fewer positives. *Sensitivity* is the share of the positives that it finds, *specificity* the share of
# the negatives that it recognises; both belong to the classifier and stay as they are. Start at 50 % positives, then go down to 5 %, as in a
# screening library:

# %%
explore(
    metrics, positives_percent=(50, 1, 99, 1), sensitivity=(0.83, 0.5, 1.0, 0.01), specificity=(0.75, 0.5, 1.0, 0.01)
)

# %%
show(metrics(positives_percent=5))

# %% [markdown]
# <details><summary>What you should see</summary>
#
# At 5 % positives the answer "all inactive" has an accuracy of 0.95, more than the classifier's 0.75. Macro-F1 gives it 0.49,
# MCC exactly 0. Accuracy and MCC of the *same* classifier change with the share of positives: scores from test sets of
# different composition cannot be compared.
#
# </details>
#
# ## Choose a metric: numbers
#
# GB1 is a small protein domain of 56 residues; 813 single mutants were measured (change of folding energy, kcal/mol, positive means less stable).
# **Spearman** asks whether the order is right, **RMSE** how far the values are off. The leak has another face here: mutants of one *site*
# resemble each other. Again without a model: predict the mean of a site's training mutants.

# %%
from bidora import LabError
from bidora.exercises.proteins import site_mean_table

try:
    display(site_mean_table())
except LabError as problem:
    print(f"GB1's mutants are not here ({problem.message}).")
    print("With them: Spearman 0.56 over 20 random fifths; undefined where whole sites are held out.")

# %% [markdown]
# With whole sites held out the rule has one answer for all mutants, the mean: its RMSE is a number, its rank correlation is **undefined**, and the
# library says so instead of printing 0.
#
# ### Exercise 08-spearman
#
# deeper · ★★☆ · 6 min. The correlation $r$ (notebook 04) of the ranks in place of the values; equal values share their mean rank.


# %% exercise="08-spearman"
def spearman(guess, truth):  # (n,), (n,) → −1 … 1
    ...


check("08-spearman", spearman)

# %%
truth = np.array([-0.2, 0.3, 1.1, 2.4, 3.0])  # kcal/mol
for name, guess in {
    "two kcal/mol too high": truth + 2,
    "right but for two neighbours": truth[[0, 1, 2, 4, 3]],
    "the mean": np.full(5, truth.mean()),
}.items():
    found_scores = score("regression", guess, truth)
    rho = "undefined" if found_scores["spearman"] is None else f"{found_scores['spearman']:.2f}"
    print(f"{name:30} Spearman {rho:>9}   RMSE {found_scores['rmse']:.2f} kcal/mol")

# %% [markdown]
# Now a model: a short training on this machine, of LoRA, with whole sites held out. It is no comparison, only a look.

# %%
from bidora.figures import samples

config = RunConfig(
    task="stability", method="lora", steps=30, batch_size=8, evaluate_every=30, record_every=10, checkpoint_every=30
)
try:
    run = trained(config if not FULL else config.replace(steps=300, batch_size=16), name="notebook 08, GB1")
except LabError as problem:
    run = None
    print(f"Nothing was trained: {problem.message}. The rest of the notebook does not need it.")
if run and run.result:
    for name in ("spearman", "rmse"):
        value, constant = run.result["scores"][name], run.result["baseline"][name]
        constant = "undefined" if constant is None else f"{constant:.2f}"
        print(f"{name:9} {value['value']:.2f}  [{value['low']:.2f}, {value['high']:.2f}]   constant answer: {constant}")
    show(samples(run.predictions(), kind="regression", unit="kcal/mol"))

# %% [markdown]
# <details><summary>What you should see</summary>
#
# In the run that made this page (one seed) the order was partly right, Spearman about 0.5, while the RMSE of about 1.0 kcal/mol was no better
# than the constant answer's 0.98. In the picture the predictions lie nearly on one level: after 30 steps the model has hardly left a constant answer,
# but its tiny differences are in a partly right order. Order and values are two questions; this model may help with one, not with the other.
#
# The intervals are over test mutants, which are not independent: they come from 11 sites, so the truth is less certain than they say. And one seed
# with 30 steps is a look, no result.
#
# </details>
#
# ### Exercise 08-metric
#
# core · ★★☆ · 6 min. One metric for each question, out of `accuracy`, `macro_f1`, `mcc`, `spearman`, `rmse`.
#
# a) A screening library in which 5 % of the peptides are active; an answer that ignores the sequence must get nothing.\
# b) Which 20 mutants should be made in the laboratory first? Only the order counts.\
# c) Each predicted energy enters a balance in kcal/mol.\
# d) Two equally frequent classes, equally costly mistakes, and readers who want to count.

# %% exercise="08-metric"
metric = {"a": ..., "b": ..., "c": ..., "d": ...}

check("08-metric", metric)

# %% [markdown]
# ## In five lines
#
# 1. A test set must not know the training set: measure similarity, cut by families (or sites), and say how.
# 2. Copying from the nearest neighbour shows what a leak is worth, before any model is trained.
# 3. Score the cheapest rule you can think of. Then ask whether the model is right where the rule is wrong.
# 4. The question chooses the metric: MCC gives a constant answer 0, Spearman sees order, RMSE sees kcal/mol.
# 5. Scores from test sets of different make-up cannot be compared, and an undefined score is not 0.
#
# **Next:** [09 · Your own question](09_your_own_question.ipynb), with your own table.
