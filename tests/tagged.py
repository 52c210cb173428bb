"""Made-up sentences with names in them, as column files in every layout that the loaders know."""

from __future__ import annotations

import random
from pathlib import Path

from tiny import WORDS

SENTENCE = (
    ("word0", "B-GENE"),
    ("word1", "I-GENE"),
    ("word20", "O"),
    ("word4", "B-CELL"),
    ("word21", "O"),
)


def sentences(count: int, seed: int) -> list[list[tuple[str, str]]]:
    """Words and IOB2 tags: GENE is word0 to word3, CELL word4 to word7, so that it can be learnt."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        sentence: list[tuple[str, str]] = []
        for _ in range(draw.randint(2, 4)):
            sentence += [(draw.choice(WORDS[20:]), "O") for _ in range(draw.randint(0, 2))]
            kind, own = draw.choice([("GENE", WORDS[:4]), ("CELL", WORDS[4:8])])
            length = draw.randint(1, 3)
            sentence += [(draw.choice(own), f"{'I' if place else 'B'}-{kind}") for place in range(length)]
        made.append([*sentence, (f"word{10 + number % 10}", "O")])
    return made


def to_iob1(tags: list[str]) -> list[str]:
    """B- only where an entity follows another of its type at once."""
    return [
        tag if tag == "O" or (tag[0] == "B" and place and tags[place - 1][2:] == tag[2:]) else f"I-{tag[2:]}"
        for place, tag in enumerate(tags)
    ]


def to_closed(tags: list[str], last: str = "E", single: str = "S") -> list[str]:
    """IOBES, or with L and U BILOU."""
    made = []
    for place, tag in enumerate(tags):
        goes_on = place + 1 < len(tags) and tags[place + 1] == f"I-{tag[2:]}"
        prefix = {"B": "B" if goes_on else single, "I": "I" if goes_on else last}.get(tag[0], "O")
        made.append("O" if prefix == "O" else f"{prefix}-{tag[2:]}")
    return made


SCHEMES = {
    "IOB2": lambda tags: tags,
    "IOB1": to_iob1,
    "IOBES": to_closed,
    "BILOU": lambda tags: to_closed(tags, "L", "U"),
}


def column_file(made: list[list[tuple[str, str]]], *, line: str = "{word}\t{tag}", scheme: str = "IOB2") -> str:
    """The sentences as text."""
    parts = []
    for sentence in made:
        tags = SCHEMES[scheme]([tag for _, tag in sentence])
        parts.append("\n".join(line.format(word=word, tag=tag) for (word, _), tag in zip(sentence, tags)) + "\n")
    return "\n".join(parts)


def write_tagged(folder: Path, *, train: int = 60, devel: int = 10, test: int = 20, **layout) -> Path:
    """train.tsv, devel.tsv and test.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, count) in enumerate({"train": train, "devel": devel, "test": test}.items()):
        if count:
            (folder / f"{part}.tsv").write_text(column_file(sentences(count, seed), **layout), encoding="utf-8")
    return folder
