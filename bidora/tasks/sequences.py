"""Protein sequences: which letters are allowed, and which sequences resemble each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy

from bidora.errors import LabError

if TYPE_CHECKING:
    from scipy import sparse

ALPHABET = "ACDEFGHIKLMNPQRSTVWY" + "XBUZO"
"""The 20 standard residues, and X (any), B (D or N), U (selenocysteine), Z (E or Q), O (pyrrolysine), as in ESM."""

NUCLEOTIDES = set("ACGTUN")


def clean_sequence(text: str) -> str:
    """Upper case, without white space and without the stop sign that translated sequences end in.

    >>> clean_sequence("acd ef*")
    'ACDEF'
    """
    return "".join(text.split()).upper().removesuffix("*")


def check_sequences(sequences: Sequence[str], place: Callable[[int], str]) -> None:
    """Refuse letters that are no residues.

    Args:
        sequences: cleaned sequences.
        place: position → where it stands, e.g. "line 3".

    Raises:
        LabError: names the letter, the place and the allowed letters.
    """
    allowed = set(ALPHABET)
    for position, sequence in enumerate(sequences):
        if set(sequence) <= allowed:
            continue
        letter = next(each for each in sequence if each not in allowed)
        raise LabError(
            f"{place(position)}: letter {letter!r} in {_shown(sequence)!r} is no residue; allowed are {ALPHABET}",
            hint="write X for an unknown residue, remove gaps and stops, or choose a text model if this is text",
            kind="data",
        )


def look_like_proteins(texts: Sequence[str]) -> bool:
    """Whether texts are sequences of residue letters, judged by the first two hundred."""
    sample = [text.strip() for text in texts[:200]]
    fitting = [text for text in sample if len(text) >= 5 and text.isupper() and set(text) <= set(ALPHABET)]
    return bool(sample) and len(fitting) >= 0.95 * len(sample)


def look_like_nucleotides(sequences: Sequence[str]) -> bool:
    """Whether sequences use the letters of DNA or RNA only."""
    return bool(sequences) and all(set(sequence) <= NUCLEOTIDES for sequence in sequences)


def shared_words(sequences: Sequence[str], *, k: int = 3) -> sparse.csr_matrix:
    """|A ∩ B| / |A ∪ B| of the sets of k letters in a row (Jaccard index) for every two sequences that share any.

    Returns:
        (n, n) sparse, upper triangle without the diagonal.
    """
    from scipy import sparse

    known: dict[str, int] = {}
    rows, columns = [], []
    for row, sequence in enumerate(sequences):
        words = {sequence[start : start + k] for start in range(max(1, len(sequence) - k + 1))}
        rows += [row] * len(words)
        columns += [known.setdefault(word, len(known)) for word in sorted(words)]
    ones = numpy.ones(len(rows), dtype=numpy.int32)
    holds = sparse.csr_matrix((ones, (rows, columns)), shape=(len(sequences), len(known)))
    sizes = numpy.bincount(rows, minlength=len(sequences))
    shared = sparse.triu(holds @ holds.T, k=1, format="coo")
    similarity = shared.data / (sizes[shared.row] + sizes[shared.col] - shared.data)
    return sparse.csr_matrix((similarity, (shared.row, shared.col)), shape=shared.shape)


def similar_pairs(
    sequences: Sequence[str], *, k: int = 3, threshold: float = 0.3
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Pairs that share much: |A ∩ B| / |A ∪ B| of their sets of k letters in a row is at least the threshold.

    Returns:
        positions of the first and of the second partner, each (pairs,) int64, first < second.
    """
    shared = shared_words(sequences, k=k).tocoo()
    near = shared.data >= threshold
    return shared.row[near].astype(numpy.int64), shared.col[near].astype(numpy.int64)


def nearest_outside(shared: sparse.csr_matrix, test: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The most similar training sequence of each test sequence.

    Args:
        shared: as from `shared_words`.
        test: (n,) bool.

    Returns:
        similarity (tests,), 0 where nothing is shared; position of the training sequence (tests,) int64, −1 there.
    """
    to_training = (shared + shared.T).tocsr()[test][:, ~test]
    similarity = numpy.asarray(to_training.max(axis=1).todense()).ravel()
    places = numpy.flatnonzero(~test)[numpy.asarray(to_training.argmax(axis=1)).ravel()]
    return similarity, numpy.where(similarity > 0, places, -1)


def clusters(count: int, first: numpy.ndarray, second: numpy.ndarray) -> numpy.ndarray:
    """Cluster number of each of `count` sequences, (count,): chains of similar pairs belong together."""
    from scipy import sparse

    links = sparse.coo_matrix((numpy.ones(len(first)), (first, second)), shape=(count, count))
    return sparse.csgraph.connected_components(links, directed=False)[1]


def with_neighbour(test: numpy.ndarray, first: numpy.ndarray, second: numpy.ndarray) -> int:
    """How many test sequences have a similar one outside the test set.

    Args:
        test: (n,) bool.
        first: and second: similar pairs, as from `similar_pairs`.
        second: see first.
    """
    crossing = test[first] != test[second]
    return len(set(numpy.where(test[first], first, second)[crossing].tolist()))


def _shown(sequence: str) -> str:
    return sequence if len(sequence) <= 30 else sequence[:27] + "…"
