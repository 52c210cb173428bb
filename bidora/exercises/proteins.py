"""What notebook 08 looks at: two cuts of the peptides, their nearest relatives, the shortcut, scores by prevalence, GB1 sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.figures import nearest_relatives, scores_by_prevalence
from bidora.runs import Run
from bidora.tasks import get_task
from bidora.tasks.cuts import cut
from bidora.tasks.peptides import TEST_FRACTION, TEST_SEED
from bidora.tasks.sequences import clusters, nearest_outside, shared_words, similar_pairs
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.stability import mutated_sites
from bidora.wording import METHOD_NAMES

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

FAMILIES, RANDOM = "cut by families", "random fifth"


@dataclass(frozen=True)
class Peptides:
    """All peptides and two ways to hold a fifth of them out.

    Attributes:
        sequences: n of them.
        targets: (n,) int64; 1 antimicrobial, 0 inactive.
        test: name of the cut → (n,) bool, which are held out.
        made_up: whether they stand in for peptides that could not be fetched.
    """

    sequences: tuple[str, ...]
    targets: np.ndarray
    test: dict[str, np.ndarray]
    made_up: bool


def peptides(variant: str = "") -> Peptides:
    """The packaged peptides; where they are not here and cannot be fetched, made-up families of the same kind.

    Args:
        variant: amp or amp-no-start; empty: amp.
    """
    try:
        data = get_task("peptides").load(RunConfig(task="peptides", variant=variant), None)
        made_up = False
    except LabError as error:
        if error.kind != "download":
            raise
        data, made_up = _made_up(), True
    sequences = data.train.inputs + data.test.inputs
    targets = np.concatenate([data.train.targets, data.test.targets])
    by_families = np.arange(len(sequences)) >= len(data.train)
    at_random = np.zeros(len(sequences), dtype=bool)
    whole = Split(sequences, targets, tuple(map(str, range(len(sequences)))))
    _, drawn = cut(whole, "classification", TEST_FRACTION, seed=TEST_SEED, purpose="test", exact=True)
    at_random[drawn] = True
    return Peptides(sequences, targets, {RANDOM: at_random, FAMILIES: by_families}, made_up)


def _made_up() -> TaskData:
    """Families of changed copies: 120 ancestors of both classes, five descendants each."""
    draws, letters = np.random.default_rng(8), np.array(list("ACDEFGHIKLMNPQRSTVWY"))
    sequences, targets = [], []
    for number in range(120):
        ancestor = draws.choice(letters, size=24)
        for _ in range(5):
            child = np.where(draws.random(24) < 0.12, draws.choice(letters, size=24), ancestor)
            sequences.append(("M" if number % 2 and draws.random() < 0.6 else "") + "".join(child))
            targets.append(1 - number % 2)
    order = dict(zip(sequences, targets))
    whole = Split(tuple(order), np.array(list(order.values()), dtype=np.int64), tuple(order))
    groups = [str(each) for each in clusters(len(whole), *similar_pairs(whole.inputs))]
    train, test = cut(whole, "classification", 0.2, seed="made-up", purpose="test", groups=groups, exact=True)
    return TaskData("classification", ("inactive", "antimicrobial"), whole.take(train), whole.take(test))


@lru_cache(maxsize=8)
def _similarity(sequences: tuple[str, ...], k: int):  # type: ignore[no-untyped-def]
    return shared_words(sequences, k=k)


def nearest_of(found: Peptides, k: int = 3) -> pandas.DataFrame:
    """The nearest training sequence of each test sequence, for both cuts.

    Args:
        found: all peptides.
        k: how many letters in a row are compared.

    Returns:
        cut, sequence, target, similarity, nearest (the training sequence; empty where nothing is shared),
        nearest_target (−1 there).
    """
    import pandas

    shared = _similarity(found.sequences, k)
    sequences = np.array([*found.sequences, ""], dtype=object)
    targets = np.append(found.targets, -1)
    parts = []
    for name, test in found.test.items():
        similarity, places = nearest_outside(shared, test)
        parts.append(
            pandas.DataFrame(
                {
                    "cut": name,
                    "sequence": sequences[:-1][test],
                    "target": found.targets[test],
                    "similarity": similarity,
                    "nearest": sequences[places],
                    "nearest_target": targets[places],
                }
            )
        )
    return pandas.concat(parts, ignore_index=True)


def relatives(found: Peptides, threshold: float = 0.3, letters_in_a_row: int = 3) -> go.Figure:
    """How many test peptides have a relative in training, for both cuts."""
    return nearest_relatives(nearest_of(found, letters_in_a_row), threshold=threshold)


def memory_table(nearest: pandas.DataFrame, threshold: float = 0.3) -> pandas.DataFrame:
    """Accuracy of copying the label of the nearest training peptide, with and without a relative.

    Returns:
        cut, test peptides, with a relative, accuracy (%), accuracy with a relative (%), accuracy without (%).
    """
    import pandas

    rows = []
    for name, part in nearest.groupby("cut", sort=False):
        right, near = part["target"] == part["nearest_target"], part["similarity"] >= threshold
        rows.append(
            {
                "cut": name,
                "test peptides": len(part),
                "with a relative": int(near.sum()),
                "accuracy (%)": round(100 * right.mean(), 1),
                "… with a relative": round(100 * right[near].mean(), 1) if near.any() else "none",
                "… without": round(100 * right[~near].mean(), 1) if (~near).any() else "none",
            }
        )
    return pandas.DataFrame(rows)


def shortcut_table(runs: Sequence[Run]) -> pandas.DataFrame:
    """Accuracy of recorded runs on four groups of test peptides: begins with M or not, inactive or antimicrobial.

    Args:
        runs: of the task peptides, with inputs in their predictions.

    Returns:
        peptide, n, the rule (right or wrong), and a column per method: mean accuracy over its runs in %.
    """
    import pandas

    groups = [("inactive", True), ("inactive", False), ("antimicrobial", True), ("antimicrobial", False)]
    rows = []
    for target, starts in groups:
        row: dict[str, object] = {"peptide": f"{target}, {'M first' if starts else 'another letter first'}"}
        shares: dict[str, list[float]] = {}
        for run in runs:
            table = run.predictions()
            inside = (table["target"] == target) & (table["input"].str.startswith("M") == starts)
            row["n"], row["the rule is"] = int(inside.sum()), "right" if (target == "inactive") == starts else "wrong"
            shares.setdefault(METHOD_NAMES[run.config.method], []).append(float(table["correct"][inside].mean()))
        means = {
            name: round(100 * sum(shares[name]) / len(shares[name]), 1)
            for name in METHOD_NAMES.values()
            if name in shares
        }
        rows.append(row | means)
    return pandas.DataFrame(rows)


def scores_of_shares(share: float, sensitivity: float, specificity: float) -> dict[str, float]:
    """Expected accuracy, macro-F1 and MCC of a classifier.

    Args:
        share: of positives in the test set, 0 … 1.
        sensitivity: how many of the positives it finds, 0 … 1.
        specificity: how many of the negatives it leaves alone, 0 … 1.
    """
    tp, fn = share * sensitivity, share * (1 - sensitivity)
    tn, fp = (1 - share) * specificity, (1 - share) * (1 - specificity)
    halves = [2 * hit / (2 * hit + fp + fn) if 2 * hit + fp + fn else 0.0 for hit in (tp, tn)]
    spread = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    mcc = (tp * tn - fp * fn) / np.sqrt(spread) if spread > 0 else 0.0
    return {"accuracy": tp + tn, "macro_f1": sum(halves) / 2, "mcc": float(mcc)}


def metrics(positives_percent: int = 50, sensitivity: float = 0.83, specificity: float = 0.75) -> go.Figure:
    """The scores of one classifier, and of the constant answer, on test sets with more or fewer positives."""
    import pandas

    rows: list[dict[str, object]] = []
    for share in np.linspace(0.01, 0.99, 99):
        constant = (1.0, 0.0) if share > 0.5 else (0.0, 1.0)
        for answer, pair in (("classifier", (sensitivity, specificity)), ("constant", constant)):
            rows.append({"answer": answer, "share": share} | scores_of_shares(float(share), *pair))
    return scores_by_prevalence(pandas.DataFrame(rows), share=positives_percent / 100)


def site_mean_table(draws: int = 20) -> pandas.DataFrame:
    """GB1 without any model: predict a mutant by the mean of its site's training mutants, else by the mean of all.

    Args:
        draws: of random fifths.

    Returns:
        cut, test mutants whose site is in training (mean), spearman (mean over draws; NaN where undefined), lowest,
        highest, rmse (mean, kcal/mol).

    Raises:
        LabError: the mutants are not here and cannot be fetched.
    """
    import pandas

    from bidora.metrics import score

    data = get_task("stability").load(RunConfig(task="stability"), None)
    sequences = [*data.train.inputs, *data.test.inputs]
    energies = np.concatenate([data.train.targets, data.test.targets])
    sites, _ = mutated_sites(sequences)
    generator = np.random.default_rng(0)
    held_out = np.arange(len(sequences)) >= len(data.train)
    cuts = {RANDOM: [generator.permutation(len(sequences)) < len(sequences) // 5 for _ in range(draws)]}
    cuts["whole sites"] = [held_out]
    rows = []
    for name, tests in cuts.items():
        known, found = [], []
        for test in tests:
            means = {site: energies[~test & (sites == site)].mean() for site in set(sites[~test])}
            guess = np.array([means.get(site, energies[~test].mean()) for site in sites[test]])
            known.append(sum(site in means for site in sites[test]) / test.sum())
            found.append(score("regression", guess, energies[test]))
        rhos = np.array([np.nan if each["spearman"] is None else each["spearman"] for each in found], dtype=float)
        ends = (np.nan, np.nan) if np.isnan(rhos).all() else (np.nanmin(rhos), np.nanmax(rhos))
        rows.append(
            {
                "cut": name,
                "draws": len(tests),
                "site seen in training (%)": round(100 * float(np.mean(known)), 1),
                "Spearman": "undefined" if np.isnan(ends[0]) else f"{np.nanmean(rhos):.2f}",
                "lowest and highest": "–" if np.isnan(ends[0]) else f"{ends[0]:.2f} to {ends[1]:.2f}",
                "RMSE (kcal/mol)": round(float(np.mean([each["rmse"] for each in found])), 2),
            }
        )
    return pandas.DataFrame(rows)
