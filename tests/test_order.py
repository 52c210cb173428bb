"""The fixed order of examples."""

from __future__ import annotations

from collections import Counter

from bidora.order import training_order


def test_every_example_comes_equally_often_and_the_seed_decides() -> None:
    order = training_order(10, batches=5, batch_size=4, seed=3)
    assert len(order) == 20
    assert set(Counter(order).values()) == {2}
    assert order == training_order(10, batches=5, batch_size=4, seed=3)
    assert order != training_order(10, batches=5, batch_size=4, seed=4)


def test_a_longer_order_begins_like_a_shorter_one() -> None:
    short = training_order(10, batches=3, batch_size=4, seed=0)
    assert training_order(10, batches=6, batch_size=4, seed=0)[:12] == short


def test_grouping_by_length_saves_padding_and_keeps_the_examples() -> None:
    lengths = [(7 * i) % 50 + 1 for i in range(64)]
    plain = training_order(64, batches=16, batch_size=8, seed=0)
    grouped = training_order(64, batches=16, batch_size=8, seed=0, lengths=lengths)

    def padded(order: list[int]) -> int:
        return sum(8 * max(lengths[i] for i in order[start : start + 8]) for start in range(0, len(order), 8))

    assert sorted(plain[:64]) == sorted(grouped[:64])  # the same examples in each window of 8 batches
    assert padded(grouped) < 0.75 * padded(plain)
    batches = [max(lengths[i] for i in grouped[start : start + 8]) for start in range(0, 64, 8)]
    assert batches != sorted(batches)  # shuffled inside the window: no curriculum from short to long
