"""Single test examples of a run: where it was best, where worst, and some at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas

CHOICES = ("worst", "best", "random")


def has_inputs(predictions: pandas.DataFrame) -> bool:
    """Whether predictions hold the beginnings of the inputs; recordings of data that may not be passed on do not."""
    return "input" in predictions and bool(predictions["input"].astype(str).str.strip().ne("").any())


def examples_of(
    predictions: pandas.DataFrame, which: str = "worst", *, kind: str = "", count: int = 10, seed: int = 0
) -> pandas.DataFrame:
    """Some test examples.

    Classification: worst are wrong with the highest probability, best are right with the highest. Several labels:
    worst have the most labels missed or invented; so have sentences with entities. Regression: by distance between
    prediction and measurement. Written texts: by closeness to the nearest reference (rouge_l).

    Args:
        predictions: as `Run.predictions()` gives it.
        which: worst, best or random.
        kind: classification, regression, multilabel, tagging or generation; found from the table where empty.
        count: at most so many.
        seed: of the draw, for random.

    Returns:
        input (where it is there), target, prediction, and what they are ordered by: probability, error (in the target's
        unit), wrong_labels, wrong_entities or rouge_l; and the id. Sentences also have their entities in words.
    """
    if predictions.empty or not {"target", "prediction"} <= set(predictions.columns):
        return predictions.head(0)
    table = predictions.copy()
    numeric = all(table[name].dtype.kind in "fiu" for name in ("target", "prediction"))
    kind = kind or ("regression" if numeric else "classification")
    if kind == "regression" and numeric:
        table["error"] = (table["prediction"] - table["target"]).abs()
        order, ordered = table["error"].rank(method="first"), "error"
    elif kind == "generation" and "rouge_l" in table:
        order, ordered = 1 - table["rouge_l"].fillna(0.0), "rouge_l"
    elif kind in ("multilabel", "tagging"):
        ordered = "wrong_labels" if kind == "multilabel" else "wrong_entities"
        table[ordered] = [
            len(_labels(target) ^ _labels(predicted)) for target, predicted in zip(table["target"], table["prediction"])
        ]
        order = table[ordered].rank(method="first")
    else:
        right = (table["target"].astype(str) == table["prediction"].astype(str)).to_numpy()
        sure = table["probability"].astype(float).fillna(0.0) if "probability" in table else 0.0
        order, ordered = (np.where(right, -1.0, 1.0) * (1.0 + sure)), "probability"
        if which != "random":
            table, order = table[right == (which == "best")], order[right == (which == "best")]
    if which == "random":
        table = table.sample(min(count, len(table)), random_state=seed)
    else:
        places = np.argsort(np.asarray(order, dtype=float), kind="stable")
        table = table.iloc[(places if which == "best" else places[::-1])[:count]]
    words = ("target_words", "predicted_words") if kind == "tagging" else ()
    shown = ("prediction", "target") if kind == "generation" else ("target", "prediction")
    columns = [name for name in ("input", *words, *shown, ordered, "id") if name in table]
    return table[columns].reset_index(drop=True)


def _labels(words: object) -> set[str]:
    return {word for word in str(words).split(", ") if word}
