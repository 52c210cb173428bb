"""FASTA files whose headings carry the label."""

from __future__ import annotations

import re

from bidora.errors import LabError
from bidora.tasks.table_files import Table

_NAMED = re.compile(r"\b(?:label|class|target|y)\s*[=:]\s*([^\s|;,]+)", re.IGNORECASE)


def read_fasta(text: str, name: str, notes: tuple[str, ...] = ()) -> Table:
    """Records as a table with the columns id, sequence and label.

    The label is, whichever all headings have: `label=…` (or class=, target=, y=) anywhere, what follows the last bar as
    in `>id|label`, or the last word as in `>id label`.

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
    labels, how = _labels(headings, numbers, name)
    ids = [heading.split("|")[0].split()[0] if heading.split("|")[0].split() else "" for heading in headings]
    columns = {"id": ids, "sequence": ["".join(parts) for parts in sequences], "label": labels}
    return Table(name, columns, numbers, "line", (*notes, f"labels of {name}: {how}"))


def _labels(headings: list[str], numbers: list[int], name: str) -> tuple[list[str], str]:
    named = [_NAMED.search(heading) for heading in headings]
    if all(named):
        return [found[1] for found in named if found], "what follows label= in the heading"
    if all("|" in heading and heading.rsplit("|", 1)[1].strip() for heading in headings):
        return [heading.rsplit("|", 1)[1].strip() for heading in headings], "what follows the last bar of the heading"
    if all(len(heading.split()) > 1 and "|" not in heading for heading in headings):
        return [heading.split()[-1] for heading in headings], "the last word of the heading"
    lacking = next((row for row, heading in enumerate(headings) if "|" not in heading and len(heading.split()) < 2), 0)
    raise LabError(
        f"heading {headings[lacking]!r} in line {numbers[lacking]} of {name} carries no label",
        hint="write every heading as >id|label (or >id label=…), or give a table with a sequence and a label column",
        kind="data",
    )
