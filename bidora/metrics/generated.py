"""Scores of generated texts against several references each. No torch; the libraries are imported at first use.

* BLEU (Papineni and others 2002) of the whole set by sacrebleu, in lower case with the tokens of mteval-v13a, as E2E's
  own script has it; chrF (Popović 2015) of the whole set by sacrebleu as it is by default. Both add up counts of items.
* NIST (Doddington 2002) of the whole set as nltk.translate.nist_score.corpus_nist computes it, with the information
  weights of all references. nltk gives one number per set; kept here are its counts per item, so that samples are cheap.
* ROUGE-L (Lin 2004) by rouge-score: F1 of the longest common subsequence, the best reference of each item, mean over items.
* METEOR (Lavie and Agarwal 2007) by nltk: best reference, mean over items; only where WordNet is found.

E2E's own script takes the last two from the Java tools of COCO captions, whose numbers differ a little.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidora.errors import LabError
from bidora.metrics.scoring import Array, Measure, Scoring, Weights, check_counts, objects

NAMES = ("bleu", "nist", "meteor", "rouge_l", "chrf")

LIBRARIES = {"sacrebleu": "sacrebleu", "nltk": "nltk", "rouge_score": "rouge-score"}
"""Module → its name for pip."""

BLEU_ORDER, CHRF_ORDER, NIST_ORDER = 4, 6, 5
"""Longest n-grams: words, characters, words."""

_GET_WORDNET = (
    "`python -m nltk.downloader wordnet` gets it; without a network put nltk_data's wordnet.zip, unpacked, into "
    "~/nltk_data/corpora"
)

Floats = NDArray[np.float64]


def require_libraries() -> None:
    """Refuse to go on without the libraries that score texts.

    Raises:
        LabError: names the command that installs them.
    """
    missing = [LIBRARIES[name] for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise LabError(
            f"generated texts are scored by {', '.join(LIBRARIES.values())}; not installed: {', '.join(missing)}",
            hint="pip install 'bidora-lab[generation]' (or pip install " + " ".join(missing) + ")",
            kind="settings",
        )


@functools.cache
def why_no_meteor() -> str:
    """Why METEOR, which needs WordNet, is left out, and what to do; empty where nltk reads it. Nothing is downloaded."""
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return f"METEOR is left out: it needs WordNet, which nltk does not find here; {_GET_WORDNET}"
    except OSError as error:  # a file of it is missing, or a link leads out of nltk_data, which nltk refuses
        return f"METEOR is left out: nltk finds a WordNet that it cannot read ({error}); {_GET_WORDNET}"
    return ""


def wordnet_is_here() -> bool:
    """Whether METEOR can be computed."""
    return not why_no_meteor()


def tokens(text: str) -> list[str]:
    """Words of a text in lower case, as mteval-v13a cuts them.

    >>> tokens("It's £20, near Café Rouge.")
    ["it's", '£20', ',', 'near', 'café', 'rouge', '.']
    """
    split: list[str] = _tokenizer()(text.lower()).split()
    return split


def _check(outputs: Array, targets: Array, labels: Sequence[str]) -> tuple[Array, Array]:
    check_counts(outputs, targets)
    for place, references in enumerate(targets):
        if isinstance(references, str) or not len(references):
            raise LabError(
                f"item {place} has no list of references", hint="give at least one reference per item", kind="data"
            )
    return objects([str(text) for text in outputs]), objects([tuple(each) for each in targets])


def _measure(outputs: Array, targets: Array, labels: Sequence[str]) -> Measure:
    """All scores of any samples of the items, from numbers per item that only need to be added up."""
    require_libraries()
    texts, references = list(outputs), [list(each) for each in targets]
    bleu, chrf, nist = _bleu_counts(texts, references), _chrf_counts(texts, references), nist_counts(texts, references)
    rouge = _rouge_l(texts, references)
    meteor = _meteor(texts, references) if wordnet_is_here() else None

    def measure(weights: Weights) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        found = {"bleu": bleu_of(weights @ bleu), "nist": nist_of(weights @ nist)}
        if meteor is not None:
            found["meteor"] = weights @ meteor / total
        return {**found, "rouge_l": weights @ rouge / total, "chrf": chrf_of(weights @ chrf)}

    return measure


def _most_frequent(train: Array, test: Array, labels: Sequence[str]) -> Array:
    """The training reference that occurs most often (of equals the first), whatever the input."""
    counts = Counter(text for references in train for text in references)
    return objects([counts.most_common(1)[0][0]] * len(test))


def bleu_of(counts: Floats) -> Floats:
    """BLEU between 0 and 1 from added counts, (samples, 10) → (samples,).

    Columns: length, length of the nearest references, right n-grams for n = 1 … 4, all n-grams for n = 1 … 4. An order
    without a right n-gram counts as 1/2, 1/4, … of one (sacrebleu's smoothing "exp", mteval's own).
    """
    length, wanted = counts[:, 0], counts[:, 1]
    right, total = counts[:, 2 : 2 + BLEU_ORDER], counts[:, 2 + BLEU_ORDER :]
    empty = (right == 0) & (total > 0)
    smoothed = np.where(empty, 0.5 ** np.cumsum(empty, axis=1), right)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(total > 0, smoothed / total, 0.0)
        penalty = np.where(length < wanted, np.exp(1 - wanted / length), 1.0)
        score = penalty * np.exp(np.log(precision).mean(axis=1))
    return np.where(right.sum(axis=1) > 0, score, 0.0)


def chrf_of(counts: Floats) -> Floats:
    """chrF2 between 0 and 1 from added counts of character n-grams, (samples, 18) → (samples,).

    Columns for n = 1 … 6: in the output, in the reference, in both. Precision and recall are means over the orders that
    occur; recall counts twice as much (β = 2).
    """
    ours, wanted, both = (counts[:, place::3] for place in range(3))
    occurs = (ours > 0) & (wanted > 0)
    orders = np.maximum(occurs.sum(axis=1), 1)
    precision = np.where(occurs, both / np.maximum(ours, 1), 0.0).sum(axis=1) / orders
    recall = np.where(occurs, both / np.maximum(wanted, 1), 0.0).sum(axis=1) / orders
    below = 4 * precision + recall
    return np.asarray(np.where(below > 0, 5 * precision * recall / np.where(below > 0, below, 1.0), 0.0))


def nist_counts(texts: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """What NIST adds up, (items, 12): information and number of n-grams for n = 1 … 5, lengths of references and text.

    Of each order the reference with the highest precision counts, and its length with it (as in nltk).
    """
    cut = [[tokens(each) for each in group] for group in references]
    frequency = Counter(
        gram for group in cut for each in group for order in range(1, NIST_ORDER + 1) for gram in _grams(each, order)
    )
    words = sum(len(each) for group in cut for each in group)
    weight = {
        gram: math.log2((frequency[gram[:-1]] if len(gram) > 1 else words) / count) for gram, count in frequency.items()
    }
    rows = np.zeros((len(texts), 2 * NIST_ORDER + 2))
    for row, text, group in zip(rows, texts, cut):
        ours = tokens(text)
        for order in range(1, NIST_ORDER + 1):
            grams = Counter(_grams(ours, order))
            number = sum(grams.values())
            found = []
            for each in group:
                shared = grams & Counter(_grams(each, order))
                found.append((sum(weight[gram] * count for gram, count in shared.items()), len(each)))
            information, length = max(found)
            row[order - 1], row[NIST_ORDER + order - 1] = information, number
            row[-2] += length
            row[-1] += len(ours)
    return rows


def nist_of(counts: Floats) -> Floats:
    """NIST, at least 0 and without upper limit, from added rows of `nist_counts`, (samples, 12) → (samples,)."""
    information, number = counts[:, :NIST_ORDER], counts[:, NIST_ORDER : 2 * NIST_ORDER]
    precision = (information / np.maximum(number, 1)).sum(axis=1)
    ratio = np.minimum(counts[:, -1] / np.maximum(counts[:, -2], 1), 1.0)
    beta = math.log(0.5) / math.log(1.5) ** 2  # a text of two thirds of the references' length loses half
    with np.errstate(divide="ignore"):
        return np.asarray(precision * np.exp(beta * np.log(ratio) ** 2))


def _grams(words: list[str], order: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(order))))


def _bleu_counts(texts: list[str], references: list[list[str]]) -> Floats:
    from sacrebleu.metrics import BLEU

    metric = BLEU(lowercase=True, tokenize="13a", force=True)
    return np.asarray(metric._extract_corpus_statistics(texts, _streams(references)), dtype=np.float64)


def _chrf_counts(texts: list[str], references: list[list[str]]) -> Floats:
    from sacrebleu.metrics import CHRF

    metric = CHRF(char_order=CHRF_ORDER)
    return np.asarray(metric._extract_corpus_statistics(texts, _streams(references)), dtype=np.float64)


def _streams(references: list[list[str]]) -> list[list[str | None]]:
    """References as sacrebleu wants them: the first of every item, the second of every item …; None where there is none."""
    most = max(map(len, references))
    return [[group[place] if place < len(group) else None for group in references] for place in range(most)]


def closeness(outputs: Array, targets: Array) -> Floats:
    """How near each text is to the nearest of its references, between 0 and 1, (items,): ROUGE-L."""
    require_libraries()
    return _rouge_l(list(outputs), [list(each) for each in targets])


def _rouge_l(texts: list[str], references: list[list[str]]) -> Floats:
    """F1 of the best reference of each item, (items,)."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    return np.array([scorer.score_multi(group, text)["rougeL"].fmeasure for text, group in zip(texts, references)])


def _meteor(texts: list[str], references: list[list[str]]) -> Floats:
    """METEOR of the best reference of each item, (items,)."""
    from nltk.translate.meteor_score import meteor_score

    return np.array(
        [meteor_score([tokens(each) for each in group], tokens(text)) for text, group in zip(texts, references)]
    )


@functools.cache
def _tokenizer() -> Any:
    require_libraries()
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()


# writing a text takes as many passes as it has tokens: fewer of them are written on the way
GENERATION = Scoring(NAMES, _check, _measure, _most_frequent, sample=32, train_sample=128)
