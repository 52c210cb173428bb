"""Final weights of several runs as one table: units and spectra."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from bidora.analysis.grouping import METHOD_NAMES, facts_of, in_order, labels_of
from bidora.methods import get_method
from bidora.runs import Run

if TYPE_CHECKING:
    import pandas

_ABOUT = ("run", "label", "method", "seed")


def final_units(runs: Iterable[Run]) -> pandas.DataFrame:
    """Run.units() of all runs behind run, label, method, seed; runs without the table are left out."""
    return _joined(runs, Run.units, ("name", "layer", "module", "unit", "m0", "m", "delta_d"))


def final_spectra(runs: Iterable[Run]) -> pandas.DataFrame:
    """Run.spectrum() of all runs behind run, label, method, seed, rank (of what is added; 0: unbounded); as `final_units`."""
    runs = list(runs)
    table = _joined(runs, Run.spectrum, ("name", "layer", "module", "index", "singular_value", "cumulative"))
    ranks = {each.id: get_method(each.config.method).adapter_rank(each.config) for each in facts_of(runs)}
    table.insert(len(_ABOUT), "rank", table["run"].map(ranks))
    return table


def _joined(runs: Iterable[Run], read: Callable[[Run], pandas.DataFrame], columns: tuple[str, ...]) -> pandas.DataFrame:
    import pandas

    facts = in_order(facts_of(runs))
    labels = labels_of(facts)
    parts = []
    for each in facts:
        table = read(each.run)
        if table.empty or not set(columns) <= set(table.columns):
            continue
        label = labels.get(each.id, METHOD_NAMES.get(each.config.method, ""))
        about = dict(run=each.id, label=label, method=each.config.method, seed=each.config.seed)
        parts.append(table[list(columns)].assign(**about)[[*_ABOUT, *columns]])
    return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame(columns=[*_ABOUT, *columns])
