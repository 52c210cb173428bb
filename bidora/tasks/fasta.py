"""FASTA files whose headings carry the label."""

from __future__ import annotations

import re

from bidora.errors import LabError
from bidora.tasks.table_files import Table

_NAMED = re.compile(
    r"\b(?:label|class|target|y)\s*[=:]\s*"
    r'(?:"(?P<quoted>[^"]+)"|(?P<number>[+-]?\d+(?:,\d+)+(?:\.\d*)?(?:e[+-]?\d+)?)(?=[\s|;]|,(?!\d)|$)|(?P<word>[^\s|;,]+))',
    re.IGNORECASE,
)
"""A label in quotation marks, a number with commas, or a word."""

_FIELD = re.compile(r"[\w.-]+\s*[=:]")


def read_fasta(text: str, name: str, notes: tuple[str, ...] = ()) -> Table:
    """Records as a table with the columns id, sequence and label.

    The label is, whichever all headings have: `label=…` (or class=, target=, y=) anywhere, what follows the last bar as
    in `>id|label`, or the last word as in `>id label`. After `label=` it ends with the word or number, unless it stands in
    quotation marks; a note says where more follows that is no field of its own (`name=…`).

    Raises:
        LabError: there is no record, a sequence is empty, or headings carry no label.
    """
    headings: list[str] = []
    sequences: list[list[str]] = []
    numbers: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if line.startswith(">"):
            headings.append(line[1:].strip())
            sequences.append([])
            numbers.append(number)
        elif line and not line.startswith(";"):
            if not headings:
                raise LabError(
                    f"line {number} of {name} comes before the first heading",
                    hint="begin each record with >",
                    kind="data",
                )
            sequences[-1].append(line)
    if not headings:
        raise LabError(f"{name} holds no record", hint="each record begins with a line such as >id|label", kind="data")
    labels, remarks = _labels(headings, numbers, name)
    ids = [heading.split("|")[0].split()[0] if heading.split("|")[0].split() else "" for heading in headings]
    columns = {"id": ids, "sequence": ["".join(parts) for parts in sequences], "label": labels}
    return Table(name, columns, numbers, "line", (*notes, *remarks))


def _labels(headings: list[str], numbers: list[int], name: str) -> tuple[list[str], list[str]]:
    """The label of each heading, and remarks on where it was found and what was passed over."""
    found = [match for heading in headings if (match := _NAMED.search(heading))]
    if len(found) == len(headings):
        how = f"labels of {name}: what follows label= in the heading"
        return [match[match.lastgroup or 0] for match in found], [how, *_passed_over(found, numbers, name)]
    if all("|" in heading and heading.rsplit("|", 1)[1].strip() for heading in headings):
        last = [heading.rsplit("|", 1)[1].strip() for heading in headings]
        return last, [f"labels of {name}: what follows the last bar of the heading"]
    if all(len(heading.split()) > 1 and "|" not in heading for heading in headings):
        longer = sum(len(heading.split()) > 2 for heading in headings)
        others = f"; {longer} headings have other words between name and label" if longer else ""
        return [heading.split()[-1] for heading in headings], [
            f"labels of {name}: the last word of the heading{others}"
        ]
    lacking = next((row for row, heading in enumerate(headings) if "|" not in heading and len(heading.split()) < 2), 0)
    raise LabError(
        f"heading {headings[lacking]!r} in line {numbers[lacking]} of {name} carries no label",
        hint="write every heading as >id|label (or >id label=…), or give a table with a sequence and a label column",
        kind="data",
    )


def _passed_over(found: list[re.Match[str]], numbers: list[int], name: str) -> list[str]:
    """A remark where more follows a label than other fields."""
    rests = [match.string[match.end() :].strip(" \t|;,") for match in found]
    rows = [row for row, rest in enumerate(rests) if rest and not _FIELD.match(rest)]
    if not rows:
        return []
    match, rest = found[rows[0]], rests[rows[0]]
    return [
        f"{len(rows)} of {len(found)} headings of {name} go on after the label, and the rest was passed over (the first: "
        f"{rest[:40]!r} after {match[match.lastgroup or 0]!r} in line {numbers[rows[0]]}); for a longer label write "
        f'label="…"'
    ]
