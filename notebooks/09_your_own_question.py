# %% [markdown]
# # 09 · Your own question
#
# Your table, your columns, your comparison; at the end one HTML file that you can hand in.
#
# | where | minutes |
# |---|---|
# | laptop without GPU | 40, of which one or two are computing (four short runs) |
# | laptop without GPU, longer runs (`LAB_FULL=1`) | about 20 more for the made-up table (2 threads; estimated) |
# | GPU, longer runs (`LAB_FULL=1`) | less than one more (H200, measured) |
#
# You need notebook [07](07_reuters_lab.ipynb): what a fair comparison is. Afterwards you can
#
# 1. read your own table, and say what goes in, what comes out, and what is tested;
# 2. turn a question into runs that differ in one thing;
# 3. write a report that claims what your runs show, and no more.

# %%
from bidora.exercises import predict

predict(
    "09",
    "LoRA against DoRA on a small made-up table, two seeds. What will the comparison allow you to say?",
    ["DoRA is higher", "LoRA is higher", "that they are equal", "what happened in two seeds, and no conclusion"],
)

# %% [markdown]
# ## The shortest example
#
# **This is the one line to change**: the path of your own table (CSV, TSV, XLSX, parquet, or FASTA with labels). Empty: a made-up one. It stays on
# this machine.

# %%
DATA = ""  # for example "~/data/my-peptides.csv"

from bidora.exercises import check, explore, hint, reveal, show, solution
from bidora.exercises.own_question import own_table, plan_of, scores_of
from bidora.own_data import look

path = own_table(DATA)
table = look(path)
print(f"{table.name}: {table.rows} rows, columns {', '.join(table.columns)}")
for note in table.notes:
    print("note:", note)

# %%
import pandas

pandas.DataFrame(table.head)

# %% [markdown]
# The made-up peptides "bind" where enough of the sequence is K or R; about one label in twenty is wrong on purpose. Nothing about real peptides
# follows from them.
#
# ## What goes in, what comes out
#
# ### Exercise 09-column
#
# core · ★☆☆ · 4 min. Which column of the made-up table may the model read, if it has to say whether a **new** peptide binds?

# %% exercise="09-column"
input_column = ...

check("09-column", input_column)

# %% [markdown]
# With your own table, fill in your own names below. `model` is a packaged name (`minilm` for English text, `esm2` for protein sequences: a copy of
# ESM-2 that was fine-tuned on haemolytic peptides), a folder, or a hub id.

# %%
import os

FULL = os.environ.get("LAB_FULL") == "1"

INPUT = "sequence"
LABEL = "binds"  # try "affinity": numbers make it a regression
MODEL = "esm2"

shared = dict(
    task="csv",
    data=str(path),
    input_column=INPUT,
    label_column=LABEL,
    model=MODEL,
    max_length=32,
    steps=150 if FULL else 16,
    batch_size=16 if FULL else 8,
    evaluate_every=50 if FULL else 16,
    record_every=8,
    checkpoint_every=50,
)

# %%
from bidora import LabError, RunConfig
from bidora.preview import kinds_in_words, splits_of, work_in_words

try:
    splits = splits_of(RunConfig(**shared))
    print(splits.words)
    for note in splits.notes:
        print("-", note)
except LabError as problem:
    print(problem)  # what is wrong with the table, where, and what to do

# %% [markdown]
# Read the notes before you go on: what the labels were taken for, how the test part was cut, what was left out. Equal inputs stay on one
# side of the cut; *similar* ones are your business (notebook [08](08_protein_lab.ipynb)).
#
# ## From a question to runs
#
# A question becomes two or more **arms** that differ in one setting, and a list of **seeds** that all arms share. Where no method is named BiDoRA is
# taken. For example:
#
# | question | arms |
# |---|---|
# | Does DoRA's magnitude change anything? | `{"method": "lora"}`, `{"method": "dora"}` |
# | Does the implicit term matter? | `{"unroll_scale": "0"}`, `{"unroll_scale": "lr"}` |
# | Is rank 2 enough? | `{"rank": 2}`, `{"rank": 8}` |
#
# ### Exercise 09-arms
#
# core · ★★☆ · 8 min. Write yours. Without an answer LoRA against DoRA is taken.

# %% exercise="09-arms"
question = "Does DoRA's magnitude change the accuracy on this table?"
arms = ...  # a list of dicts
seeds = [0, 1]

check("09-arms", shared, arms, seeds)

# %%
configs = plan_of(shared, arms, seeds)

print("\n".join(kinds_in_words(configs)))
print(work_in_words(configs))

# %% [markdown]
# ### Exercise 09-choosing
#
# deeper · ★☆☆ · 4 min. You want to try five learning rates first. On which part of the data do you choose among them: train, lower, upper,
# selection, test?

# %% exercise="09-choosing"
choose_on = ...

check("09-choosing", choose_on)

# %% [markdown]
# ## Train
#
# Ordinary runs: they show up in the app, the stop button ends one without loss, and `trained(run)` goes on with it. Without weights and
# network the cell says so and goes on with recordings.

# %%
from bidora.exercises.leaving_out import recorded
from bidora.exercises.training import trained

try:
    runs = [trained(config) for config in configs]
except LabError as problem:
    if problem.kind not in ("download", "model"):
        raise
    print(
        f"Nothing was trained: {problem.message}. Recorded runs on antimicrobial peptides are compared in place of yours."
    )
    runs = recorded("recorded-peptides", methods=["lora", "dora"], seeds=[0, 1])

# %% [markdown]
# ## Compare

# %%
from bidora.analysis import comparison, fairness, paired_differences, readable_comparison, scored_metrics

scores = comparison(runs)
readable_comparison(scores).iloc[:, :7]


# %%
def compared(metric):
    return scores_of(runs, metric)


explore(compared, metric=scored_metrics(scores))

# %%
from bidora.figures import paired_differences as drawn_differences

pairs = paired_differences(runs)
show(drawn_differences(pairs))
for sentence in [*pairs["verdict"], *fairness(runs)]:
    print("-", sentence)

# %%
reveal(
    "09",
    "what happened in two seeds, and no conclusion",
    "Two seeds carry no conclusion, whichever way they fall: two of two agree by chance in half of all cases. "
    "More seeds are cheap here: write seeds = range(6) above.",
)

# %% [markdown]
# <details><summary>What you should see</summary>
#
# The test part has 48 peptides, so one peptide is 2 points. The intervals over two seeds are very wide ($t = 12.7$). In the run that made this page
# both methods had equally many right answers in either seed: 16 steps are few, and DoRA begins exactly where LoRA begins. This was a trial of the
# way, not of the methods. With `LAB_FULL=1` each run takes 150 steps.
#
# </details>
#
# ### Exercise 09-sentence
#
# core · ★★☆ · 8 min. Your conclusion in one sentence: names, seeds, range, and what is not shown.

# %% exercise="09-sentence"
sentence = ""

check("09-sentence", runs, sentence)

# %% [markdown]
# ## The report
#
# One file with your question, your sentence, what the numbers allow, figures, tables, fairness, settings and the commands that repeat it. It opens
# in any browser without a network. The inputs of your data are left out; names, settings and paths are in it.

# %%
from bidora.report import write_report
from bidora.runs import runs_root

report = write_report(runs, runs_root() / "report.html", title="My question", question=question, answer=sentence)
print(
    f"{report.name}, {report.stat().st_size / 1e6:.1f} MB, lies in the folder of your runs ($BIDORA_RUNS, or ./runs)."
)
print("Open it in a browser; it needs no network.")
print("The same from a terminal: bidora report RUN… --out report.html")

# %%
import re

# what stands in it, by its headings
for level, heading in re.findall(r"<h([1-3])>(.*?)</h\1>", report.read_text(encoding="utf-8")):
    print("  " * (int(level) - 1) + heading)

# %% [markdown]
# ## In five lines
#
# 1. The input is what is known of a new case. Names, plates and later measurements leak.
# 2. Read the notes on the data before the scores.
# 3. One question, one difference between the arms, the same seeds for all.
# 4. Choose settings on a selection split, never on the test part.
# 5. A report says what was seen, in how many seeds, on which terms, and how to repeat it.
#
# **Next:** the app, with your runs in it (`make app`, Compare), or [00 · Start here](00_start_here.ipynb) once more, with somebody else.
