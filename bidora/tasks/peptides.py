"""Antimicrobial peptides against fragments of proteins without known activity.

The data have no official test set. A plain random one would be too easy: half of its peptides have a near relative in
the training part. So a fixed test set is cut from whole families of similar peptides.

They also hold a shortcut: most of the inactive sequences are whole translated proteins that begin with M, and mature
peptides rarely do. The variant `amp-no-start` removes a leading M everywhere.
"""

from __future__ import annotations

import numpy

from bidora.config import RunConfig
from bidora.models.packages import Member, Package, Progress, fetch_members, package_folder
from bidora.tasks.cuts import cut
from bidora.tasks.sequences import check_sequences, clean_sequence, clusters, similar_pairs, with_neighbour
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.task import Task

PACKAGE = Package(
    name="modlamp",
    version="4.3.3",
    file="modlamp-4.3.3-py3-none-any.whl",
    size=178_326,
    sha256="6948bcbc4a9614d10b6b47a051d4576c42fe8e5487fbbeb3cfe0d8033eb27f91",
    members=(
        Member(
            "modlamp/data/AMPvsUniProt.csv",
            191_952,
            "e1db3dd659179118dcfca63723385f2f0c95c49d27060a90f7a9d5848250eb48",
        ),
    ),
)

LABELS = ("inactive", "antimicrobial")

TEST_FRACTION = 0.2
TEST_SEED = "modlamp-4.3.3"
"""Fixed: the test set does not depend on the run's seed."""


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read the peptides and cut the fixed test set.

    Raises:
        LabError: the data can be neither found nor fetched.
    """
    folder = fetch_members(PACKAGE, package_folder(PACKAGE), title="antimicrobial peptides", progress=progress)
    text = (folder / "AMPvsUniProt.csv").read_text(encoding="utf-8")
    sequences, targets, dropped = read_peptides(text)
    notes = [f"{dropped[0]} repeated rows and {dropped[1]} peptides with both labels were left out"]
    if config.variant == "amp-no-start":
        sequences, targets = _without_start(sequences, targets)
        notes.append("a leading M was removed from every sequence")
    first, second = similar_pairs(sequences)
    families = [str(number) for number in clusters(len(sequences), first, second)]
    whole = Split(tuple(sequences), targets, tuple(f"peptide-{number}" for number in range(len(sequences))))
    # families are told apart by their first member, so that a cluster's number does not matter
    leader: dict[str, str] = {}
    groups = [leader.setdefault(family, sequence) for family, sequence in zip(families, sequences)]
    train, test = cut(whole, "classification", TEST_FRACTION, seed=TEST_SEED, purpose="test", groups=groups, exact=True)
    _, random_test = cut(whole, "classification", TEST_FRACTION, seed=TEST_SEED, purpose="test", exact=True)
    notes += _leakage(whole, test, random_test, first, second)
    return TaskData(
        "classification",
        LABELS,
        whole.take(train),
        whole.take(test),
        tuple(notes),
        tuple(groups[each] for each in train),
    )


def read_peptides(text: str) -> tuple[list[str], numpy.ndarray, tuple[int, int]]:
    """Unique sequences with one label, in the order of the file.

    The first line counts rows; labels have a space before them; some sequences are repeated, a few with both labels.

    Returns:
        sequences; targets (n,) int64; and how many repeated rows and contradictory sequences were left out.
    """
    labels: dict[str, set[int]] = {}
    rows = [line.split(",") for line in text.splitlines()[1:] if line.strip()]
    for sequence, label in rows:
        labels.setdefault(clean_sequence(sequence), set()).add(int(label))
    check_sequences(list(labels), lambda position: f"peptide {position + 1}")
    kept = {sequence: next(iter(found)) for sequence, found in labels.items() if len(found) == 1}
    targets = numpy.array(list(kept.values()), dtype=numpy.int64)
    return list(kept), targets, (len(rows) - len(labels), len(labels) - len(kept))


def _without_start(sequences: list[str], targets: numpy.ndarray) -> tuple[list[str], numpy.ndarray]:
    """Remove a leading M; of sequences that become equal the first one stays."""
    kept: dict[str, int] = {}
    for sequence, target in zip(sequences, targets):
        kept.setdefault(sequence.removeprefix("M"), int(target))
    return list(kept), numpy.array(list(kept.values()), dtype=numpy.int64)


def _leakage(
    whole: Split, test: numpy.ndarray, random_test: numpy.ndarray, first: numpy.ndarray, second: numpy.ndarray
) -> list[str]:
    """What is known about shortcuts: near relatives across the cut, and the leading M."""
    inside, drawn = numpy.zeros((2, len(whole)), dtype=bool)
    inside[test] = True
    drawn[random_test] = True
    ours, plain = with_neighbour(inside, first, second), with_neighbour(drawn, first, second)
    starts = numpy.array([whole.inputs[each].startswith("M") for each in test])
    rule = float(numpy.mean(starts == (whole.targets[test] == 0)))
    notes = [
        f"test set: a fixed fifth, cut by families of similar peptides (Jaccard index of three letters in a row from "
        f"0.3 on): {ours} of {len(test)} test peptides have such a relative in training; of a random fifth {plain}"
    ]
    if starts.mean() > 0.05:
        notes.append(
            f"a shortcut in the data: 'begins with M, so inactive' alone is right for {100 * rule:.1f} % of the test "
            f"set; variant amp-no-start removes it"
        )
    return notes


PEPTIDES = Task(
    name="peptides",
    title="Antimicrobial peptides against inactive protein fragments",
    family="protein",
    variants=("amp", "amp-no-start"),
    default_variant="amp",
    default_model="esm2",
    default_length=64,
    source=f"Python package {PACKAGE.requirement}, AMPvsUniProt: APD3 (January 2016) and UniProt",
    licence="BSD-3-Clause",
    size=PACKAGE.size,
    citation="Müller et al. 2017, modlAMP, Bioinformatics 33; Wang, Li and Wang 2016, APD3, Nucleic Acids Research 44",
    notice="From modlAMP, BSD-3-Clause, copyright ETH Zurich; sequences of APD3 and UniProt.",
    load=load,
    package=PACKAGE,
)
