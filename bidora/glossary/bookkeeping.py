"""Entries on data and splits, on cost, and on what a run is called."""

from __future__ import annotations

from bidora.glossary.entry import Entry

_TABLES = ("Runs", "Compare")
_OWN = (("", "definition of this lab"),)

DATA = (
    Entry(
        key="n_train",
        term="Training examples",
        topic="data",
        meaning="All examples that a method may train on, drawn by seed from the task's training part. For BiDoRA they "
        "are cut into lower and upper split.",
        formula=r"n_{train} = n_{lower} + n_{upper}",
        unit="count",
        source=_OWN,
        shown=_TABLES,
    ),
    Entry(
        key="n_lower",
        term="Lower split (D_tr)",
        topic="data",
        meaning="The part on which A, B and the head are trained while the magnitude is searched for; by default eight "
        "tenths. With one level it is all training examples.",
        unit="count",
        convention="Examples that resemble each other stay on one side.",
        source=(("bidora", "8 : 2, official scripts"),),
        shown=_TABLES,
        names=("lower_split",),
    ),
    Entry(
        key="n_upper",
        term="Upper split (D_val)",
        topic="data",
        meaning="The part on which the magnitude is trained; by default two tenths of the training examples. It is "
        "trained on, so a score on it is no estimate of anything. After the search A, B and head see it, too.",
        unit="count",
        convention="Never called a validation set here. 0 for methods with one level.",
        source=(("bidora", "8 : 2, official scripts"),),
        shown=_TABLES,
        names=("upper_split",),
    ),
    Entry(
        key="n_selection",
        term="Selection split",
        topic="data",
        meaning="An optional part of the training data on which settings are chosen. No method trains on it.",
        unit="count",
        source=_OWN,
        shown=("New run", "Runs"),
        names=("selection_split", "selection_scores"),
    ),
    Entry(
        key="n_test",
        term="Test set",
        topic="data",
        meaning="Never trained on and never used to choose anything. The same for all seeds. On GLUE, as published, the "
        "benchmark's dev set is the test set.",
        unit="count",
        source=_OWN,
        shown=_TABLES,
        names=("test_split",),
    ),
    Entry(
        key="examples_seen",
        term="Examples seen",
        topic="data",
        meaning="Training examples drawn so far, of both levels, repetitions counted. A perturbed pass repeats a batch "
        "and draws none.",
        unit="count",
        source=_OWN,
        shown=(*_TABLES, "Runs, tab Live"),
    ),
)

COST = (
    Entry(
        key="gradient_evaluations",
        term="Gradient evaluations",
        topic="cost",
        meaning="Batches that went forward and backward through the model, whatever the gradient was for. The fairest "
        "measure of compute that does not depend on the machine: equal steps are not equal compute.",
        unit="count",
        source=_OWN,
        shown=(*_TABLES, "Classroom, lesson 5"),
    ),
    Entry(
        key="seconds",
        term="Training time",
        topic="cost",
        meaning="Time inside training steps; loading and evaluation are left out. Comparable on one machine only. "
        "seconds_total holds everything from start to end.",
        unit="s",
        source=_OWN,
        shown=(*_TABLES, "Classroom, replay"),
        names=("seconds_training", "seconds_total", "eta_seconds", "seconds_per_step"),
    ),
    Entry(
        key="peak_memory_bytes",
        term="Peak memory",
        topic="cost",
        meaning="Most memory in use during the run: of the GPU where one is used, else of the process with its libraries.",
        unit="bytes, shown in MB",
        source=_OWN,
        shown=_TABLES,
    ),
    Entry(
        key="trainable_parameters",
        term="Trainable parameters",
        topic="cost",
        meaning="Numbers that training may change, the head included. DoRA and BiDoRA have one more than LoRA for each "
        "output unit of each adapted weight. total_parameters also counts the frozen ones.",
        formula=r"\sum_{\text{adapted}} r\,(in + out) \;[\,+\; out\,] \;+\; \text{head}",
        unit="count",
        source=(("lora", "section 4.2"), ("dora", "section 4.1")),
        shown=(*_TABLES, "New run", "Classroom, lesson 2"),
        names=("total_parameters",),
    ),
)

RUNS = (
    Entry(
        key="run",
        term="Run",
        topic="runs",
        meaning="One training with one set of settings and one seed; a folder named by its start (UTC) and four digits. "
        "A recording is a finished run that comes with the lab.",
        source=_OWN,
        shown=_TABLES,
        names=("id", "ids", "name", "created", "runs", "group", "tags"),
    ),
    Entry(
        key="label",
        term="Label",
        topic="runs",
        meaning="What a table or legend calls runs that differ in nothing but the seed: the method, and those settings in "
        "which it differs from others of the same method.",
        source=_OWN,
        shown=_TABLES,
        names=("settings",),
    ),
    Entry(
        key="state",
        term="State",
        topic="runs",
        meaning="queued, preparing, running, stopping, stopped, finalising, finished, failed, or lost (its process is "
        "gone; it can be resumed).",
        source=_OWN,
        shown=("Runs", "Start"),
    ),
    Entry(
        key="seed_pairing",
        term="Seeds of a row",
        topic="runs",
        meaning="The seeds over which a mean was taken. Seeds are shared between methods, so that differences can be "
        "paired. Of a seed that was run twice the newest counts.",
        unit="whole numbers",
        source=_OWN,
        shown=("Compare",),
        names=("seeds",),
    ),
    Entry(
        key="step",
        term="Step",
        topic="runs",
        meaning="One lower-level (or ordinary) update. Counted from 1 in each phase; global_step counts over all phases.",
        unit="count",
        source=_OWN,
        shown=("Runs", "Compare", "Classroom, replay"),
        names=("global_step", "total_steps"),
    ),
    Entry(
        key="quantity",
        term="Quantity and value",
        topic="runs",
        meaning="In a table of curves: what was measured, and the number.",
        source=_OWN,
        shown=("Compare", "Classroom, replay"),
        names=("value",),
    ),
    Entry(
        key="vote_share",
        term="Votes and share",
        topic="runs",
        meaning="In a classroom vote: how many browsers chose an option, and their part of all votes.",
        formula=r"\frac{\text{votes for the option}}{\text{all votes}}",
        unit="count; %",
        convention="One vote per browser; the last choice before closing counts.",
        source=_OWN,
        shown=("Classroom, vote",),
        names=("votes", "share"),
    ),
)
