"""How much a test set of sequences resembles the training set: identity of each test sequence to its nearest relative.

Identity of two sequences = 1 − edit distance / length of the longer one (insertions, deletions and substitutions count
one each). It needs no aligner and is symmetric; BLAST-like identities over the aligned part alone are higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy

from bidora.tasks.cuts import shuffled

if TYPE_CHECKING:
    from scipy import sparse

LEVELS = (0.7, 0.8, 0.9)
"""Identities that are counted."""

MOST = 1_000
"""Test sequences that are looked at; of more a fixed sample."""

LONG = 100
LONG_SHARE = 0.2
"""From so many residues on, two relatives are expected to share at least this part of their triples of letters. Edits
that strike 30 % of the residues at random leave 34 % of the triples; only edits spread evenly could leave 10 %."""

_ROWS = 128


def edit_distance(one: str, two: str) -> int:
    """Levenshtein distance, by Hyyrö's form of Myers' bit-parallel algorithm (Myers 1999, J. ACM 46).

    >>> edit_distance("KITTEN", "SITTING")
    3
    """
    if not one or not two:
        return len(one) + len(two)
    places: dict[str, int] = {}
    for place, letter in enumerate(one):
        places[letter] = places.get(letter, 0) | (1 << place)
    mask, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down, distance = mask, 0, len(one)
    for letter in two:
        match = places.get(letter, 0)
        vertical = match | down
        horizontal = (((match & up) + up) ^ up) | match
        rise = down | ~(horizontal | up) & mask
        fall = up & horizontal
        distance += bool(rise & last) - bool(fall & last)
        rise, fall = (rise << 1 | 1) & mask, fall << 1 & mask
        up, down = fall | ~(vertical | rise) & mask, rise & vertical
    return distance


def identity(one: str, two: str) -> float:
    """1 − edit distance / length of the longer, 0 … 1; two empty sequences are identical."""
    longer = max(len(one), len(two))
    return 1.0 - edit_distance(one, two) / longer if longer else 1.0


def nearest_identity(test: Sequence[str], train: Sequence[str], *, least: float = LEVELS[0]) -> numpy.ndarray:
    """Identity of each test sequence to the most similar training sequence, (tests,); 0 where none reaches `least`.

    A pair is passed over only where its lengths or its shared letters, pairs and triples of letters rule the identity
    out (q-gram lemma: d edits destroy at most d·q of the max(lengths) − q + 1 words of q letters), or, from `LONG`
    residues on, where it shares less than `LONG_SHARE` of the triples. The search for a sequence ends with the first
    relative at the highest of `LEVELS` or above, so between that and 1 the value is a lower bound.
    """
    known = sorted(set(train))
    lengths = numpy.array([len(each) for each in known])
    found = numpy.zeros(len(test))
    exact = set(known)
    words = [_Words(known, size) for size in (1, 2, 3)]
    for start in range(0, len(test), _ROWS):
        part = list(test[start : start + _ROWS])
        longer = numpy.maximum(numpy.array([len(each) for each in part])[:, None], lengths[None, :])
        allowed = numpy.floor((1 - least) * longer + 1e-9)
        possible = numpy.abs(numpy.array([len(each) for each in part])[:, None] - lengths[None, :]) <= allowed
        bound = numpy.zeros(possible.shape)
        for each in words:
            shared = each.shared(part)
            possible &= shared >= longer - each.size + 1 - each.size * allowed
            bound += shared / numpy.maximum(1, longer)
        possible &= (longer < LONG) | (shared >= LONG_SHARE * longer)  # the last words are triples
        for row, sequence in enumerate(part):
            if sequence in exact:
                found[start + row] = 1.0
                continue
            best = 0.0
            candidates = numpy.flatnonzero(possible[row])
            for place in candidates[numpy.argsort(-bound[row, candidates], kind="stable")]:
                best = max(best, identity(sequence, known[place]))
                if best >= LEVELS[-1]:
                    break
            found[start + row] = best if best >= least - 1e-9 else 0.0
    return found


class _Words:
    """Counts of words of `size` letters in sequences, to bound from above how many two sequences share."""

    def __init__(self, sequences: Sequence[str], size: int) -> None:
        self.size = size
        self.number: dict[str, int] = {}
        self.counts = self._count(sequences, grow=True)

    def _count(self, sequences: Sequence[str], *, grow: bool) -> sparse.csr_matrix:
        from scipy import sparse

        rows, columns = [], []
        for row, sequence in enumerate(sequences):
            for start in range(len(sequence) - self.size + 1):
                word = sequence[start : start + self.size]
                column = self.number.setdefault(word, len(self.number)) if grow else self.number.get(word, -1)
                if column >= 0:
                    rows.append(row)
                    columns.append(column)
        ones = numpy.ones(len(rows), dtype=numpy.int32)
        return sparse.csr_matrix((ones, (rows, columns)), shape=(len(sequences), max(1, len(self.number))))

    def shared(self, sequences: Sequence[str]) -> numpy.ndarray:
        """(sequences, known): at least as many words as each two share; for single letters exactly as many."""
        counts = self._count(sequences, grow=False)
        if self.size > 1:  # Σ a·b ≥ Σ min(a, b)
            return numpy.asarray((counts @ self.counts.T).todense())
        ours, theirs = counts.toarray(), self.counts.toarray()
        total = numpy.zeros((len(ours), len(theirs)), dtype=numpy.int64)
        for letter in range(theirs.shape[1]):
            total += numpy.minimum(ours[:, letter][:, None], theirs[:, letter][None, :])
        return total


def leakage_note(test: Sequence[str], train: Sequence[str], *, of_random: Sequence[float] | numpy.ndarray = ()) -> str:
    """One sentence: how many test sequences have a relative in training, at 70, 80, 90 and 100 % identity.

    Args:
        test: test sequences; of more than `MOST` a fixed sample is looked at.
        train: training sequences.
        of_random: identities of another cut, such as a plain random one, to be named beside these.
    """
    looked_at = sample(test)
    nearest = nearest_identity(looked_at, train)
    of = f"{len(test)}" if len(looked_at) == len(test) else f"a sample of {len(looked_at)} of {len(test)}"
    shown = ", ".join(f"{_counts(nearest, level)} at {100 * level:.0f} % or more" for level in LEVELS)
    note = (
        f"leakage: nearest training sequence of {of} test sequences, identity by edit distance over the longer length: "
        f"{shown}, {_counts(nearest, 1.0)} identical"
    )
    if len(of_random):
        other = numpy.asarray(of_random)
        note += (
            f"; of a plain random cut {_counts(other, LEVELS[0])} of {len(other)} at {100 * LEVELS[0]:.0f} % or more"
        )
    return note


def sample(sequences: Sequence[str]) -> list[str]:
    """The sequences, or `MOST` of them, the same each time."""
    if len(sequences) <= MOST:
        return list(sequences)
    return [sequences[place] for place in sorted(shuffled(sequences, "leakage", purpose="sample")[:MOST])]


def _counts(nearest: numpy.ndarray, level: float) -> int:
    return int((nearest >= level - 1e-9).sum())
