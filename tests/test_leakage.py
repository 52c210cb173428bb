"""Edit distance and nearest relatives against their definitions."""

from __future__ import annotations

import random

import numpy
import pytest

from bidora.tasks import leakage
from bidora.tasks.leakage import edit_distance, identity, leakage_note, nearest_identity, sample

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def by_table(one: str, two: str) -> int:
    """Levenshtein's distance as it is defined."""
    row = list(range(len(two) + 1))
    for i, left in enumerate(one, start=1):
        corner, row[0] = row[0], i
        for j, right in enumerate(two, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (left != right))
    return row[-1]


def drawn(generator: random.Random, low: int, high: int, letters: str = RESIDUES) -> str:
    return "".join(generator.choices(letters, k=generator.randint(low, high)))


def edited(sequence: str, share: float, generator: random.Random) -> str:
    """The sequence with so many edits per residue, of all three sorts."""
    letters = list(sequence)
    for _ in range(round(share * len(sequence))):
        place = generator.randrange(len(letters))
        sort = generator.choice(("replace", "replace", "insert", "delete"))
        if sort == "replace":
            letters[place] = generator.choice(RESIDUES)
        elif sort == "insert":
            letters.insert(place, generator.choice(RESIDUES))
        elif len(letters) > 1:
            del letters[place]
    return "".join(letters)


def test_the_edit_distance_is_levenshteins():
    generator = random.Random(0)
    for _ in range(1500):
        one, two = drawn(generator, 0, 12, "ABC"), drawn(generator, 0, 12, "ABC")
        assert edit_distance(one, two) == by_table(one, two)
    one, two = drawn(generator, 150, 200), drawn(generator, 150, 200)  # longer than a machine word
    assert edit_distance(one, two) == edit_distance(two, one) == by_table(one, two)


def test_identity_by_hand():
    assert identity("ACDE", "ACDE") == 1 and identity("", "") == 1 and identity("AC", "") == 0
    assert identity("ACDEFGHIKL", "ACDEFGHIK") == pytest.approx(0.9)
    assert identity("ACDEFGHIKL", "CDEFGHIKLA") == pytest.approx(0.8)


@pytest.mark.parametrize(("low", "high"), [(3, 25), (120, 160)])
def test_no_relative_is_passed_over(low, high):
    """Against all pairs, with relatives at every distance."""
    generator = random.Random(low)
    train = [drawn(generator, low, high) for _ in range(40)]
    test = [edited(generator.choice(train), generator.uniform(0, 0.5), generator) for _ in range(60)]
    found = nearest_identity(test, train)
    expected = numpy.array([max(identity(each, other) for other in train) for each in test])
    for level in (*leakage.LEVELS, 1.0):
        assert ((found >= level - 1e-9) == (expected >= level - 1e-9)).all()
    assert (found[expected < 0.7] == 0).all() and 10 < (expected >= 0.7).sum() < 60
    between = (expected >= 0.7 - 1e-9) & (expected < 0.9)
    numpy.testing.assert_allclose(found[between], expected[between])


def test_the_note_counts_each_level():
    train = ["ACDEFGHIKL", "MNPQRSTVWY"]
    test = ["ACDEFGHIKL", "ACDEFGHIKM", "ACDEFGHIMM", "WWWWWWWWWW"]
    note = leakage_note(test, train, of_random=[1.0, 0.75, 0.2])
    assert "of 4 test sequences" in note
    assert "3 at 70 % or more, 3 at 80 % or more, 2 at 90 % or more, 1 identical" in note
    assert note.endswith("of a plain random cut 2 of 3 at 70 % or more")


def test_of_very_many_a_fixed_sample_is_looked_at(monkeypatch):
    monkeypatch.setattr(leakage, "MOST", 5)
    test = [f"{'ACDE' * 3}{letter}" for letter in RESIDUES]
    assert sample(test) == sample(test) and len(sample(test)) == 5
    assert "a sample of 5 of 20 test sequences" in leakage_note(test, ["ACDE"])
