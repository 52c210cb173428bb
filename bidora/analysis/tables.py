"""Runs, curves and weight dynamics as tidy tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from bidora.analysis.grouping import METHOD_NAMES, NAN, Facts, facts_of, in_order, labels_of, number
from bidora.runs import Run

if TYPE_CHECKING:
    import pandas

    from bidora.statistics import DynamicsFit

COSTS = (
    "seconds_training",
    "seconds_total",
    "peak_memory_bytes",
    "gradient_evaluations",
    "examples_seen",
    "trainable_parameters",
    "total_parameters",
)
DYNAMICS = ("delta_m", "delta_d", "slope", "pearson", "spearman", "points")
COUNTS = ("n_train", "n_lower", "n_upper", "n_test")
MOST_RECORDS = 5000
"""Lines of metrics.jsonl that are drawn of one run, evenly spaced; a page has fewer pixels."""

MOST_QUANTITIES = 64
"""Numbers of one line that are looked at; a worker writes about twenty."""

_SETTINGS = ["task", "variant", "model", "method", "examples_per_class", "seed"]
_SETTINGS += ["rank", "alpha", "learning_rate", "steps", "batch_size"]
_ABOUT_POINTS = ("run", "label", "task", "method", "seed", "phase", "phase_index", "step")
_OF_THE_RUN = ("run", "label", "task", "method", "seed")
_MISSING = {
    "phase": "",
    "phase_index": 0,
    "layer": 0,
    "module": "",
    "delta_m_signed_percent": NAN,
    "angle_degrees": NAN,
}
"""What stands for columns that a table of weight dynamics lacks."""
_OTHER_SCORES = (("baseline", "baseline"), ("train", "train_scores"), ("selection", "selection_scores"))
_WHERE = ("phase", "phase_index", "step", "seconds", "examples_seen", "gradient_evaluations")


def runs_table(runs: Iterable[Run]) -> pandas.DataFrame:
    """One row per run, finished or not.

    Columns: id, name, group, state, created, label; task, variant, model, method, examples_per_class, seed, rank,
    alpha, learning_rate, steps, batch_size; kind, primary; for each metric its value and `_low`, `_high`;
    baseline_<metric>; train_<metric>; selection_<metric>; n_train, n_lower, n_upper, n_test; seconds_training,
    seconds_total, peak_memory_bytes, gradient_evaluations, examples_seen, trainable_parameters, total_parameters; delta_m, delta_d,
    and the line through ΔM against ΔD as dynamics_slope, dynamics_pearson, dynamics_spearman, dynamics_points.
    What a run does not have is NaN (empty for words).
    """
    import pandas

    facts = facts_of(runs)
    labels = labels_of(facts)
    return pandas.DataFrame([_run_row(each, labels.get(each.id, "")) for each in facts])


def _run_row(facts: Facts, label: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": facts.id,
        "name": str(facts.meta.get("name") or facts.id),
        "group": str(facts.meta.get("group") or ""),
        "state": facts.state,
        "created": str(facts.meta.get("created") or ""),
        "label": label,
        **{name: getattr(facts.config, name) for name in _SETTINGS},
        "kind": str(facts.result.get("kind") or ""),
        "primary": facts.primary,
    }
    for metric, (value, low, high) in facts.scores.items():
        row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
    for prefix, key in _OTHER_SCORES:
        found = facts.result.get(key)
        if isinstance(found, Mapping):
            row |= {f"{prefix}_{metric}": number(value) for metric, value in found.items() if metric in facts.scores}
    row |= {name: facts.at(name) for name in COUNTS}
    row |= {name: facts.at("cost", name) for name in COSTS}
    row |= {name if name.startswith("delta") else f"dynamics_{name}": facts.at("dynamics", name) for name in DYNAMICS}
    return row


def curves(runs: Iterable[Run]) -> pandas.DataFrame:
    """Everything that was measured on the way, one row per number.

    Columns: run, label, method, seed, phase, phase_index, step (within the phase), global_step (over all phases),
    seconds, examples_seen, gradient_evaluations, quantity, value. Quantities are the other keys of metrics.jsonl: loss,
    upper_loss, learning_rate, test_<metric>, train_<metric>, gap, direct_norm … Numbers that were NaN are left out; of runs
    with very many steps about MOST_RECORDS are taken, with all test scores.
    """
    import pandas

    facts = in_order(facts_of(runs))
    labels = labels_of(facts)
    rows: list[dict[str, Any]] = []
    for each in facts:
        about = {
            "run": each.id,
            "label": labels.get(each.id, ""),
            "method": each.config.method,
            "seed": each.config.seed,
        }
        records = list(each.run.records(most=MOST_RECORDS))
        before = _steps_before(records)
        for record in records:
            found, step = number(record.get("phase_index", 0)), number(record.get("step"))
            index = int(found) if found == found else 0
            where = {
                **about,
                "phase": str(record.get("phase") or ""),
                "phase_index": index,
                "step": step,
                "global_step": step + before.get(index, 0.0),
                **{name: number(record.get(name)) for name in _WHERE[3:]},
            }
            for quantity, value in islice(record.items(), MOST_QUANTITIES):
                if quantity not in _WHERE and number(value) == number(value):
                    rows.append({**where, "quantity": quantity, "value": number(value)})
    columns = ["run", "label", "method", "seed", "phase", "phase_index", "step", "global_step"]
    return pandas.DataFrame(
        rows, columns=[*columns, "seconds", "examples_seen", "gradient_evaluations", "quantity", "value"]
    )


def _steps_before(records: list[dict[str, Any]]) -> dict[int, float]:
    """Steps of the phases before each phase, by phase index; counted by the last line of each."""
    last: dict[int, float] = {}
    for record in records:
        index, step = number(record.get("phase_index", 0)), number(record.get("step"))
        if index == index and step == step:
            last[int(index)] = max(step, last.get(int(index), 0))
    return {index: sum(step for other, step in last.items() if other < index) for index in last}


def dynamics_table(runs: Iterable[Run], *, checkpoints: int = 4, every_phase: bool = False) -> pandas.DataFrame:
    """The points of ΔM against ΔD: one row per run, checkpoint and layer.

    Args:
        runs: any runs; those without records of their weights are left out.
        checkpoints: how many, evenly spaced and ending with the last record, are taken of a phase: DoRA's own figure
            has three intermediate ones and the final one. 0 takes every record, the first (no change) too.
        every_phase: all phases; else the last one only, whose end is the final model.

    Returns:
        The columns of Run.dynamics() behind run, label, task, method, seed.
    """
    import pandas

    facts = in_order(facts_of(runs))
    labels = labels_of(facts)
    parts = []
    for each in facts:
        table = each.run.dynamics()
        if not {"step", "delta_m", "delta_d"} <= set(table.columns):
            continue
        table = table.drop(columns=[name for name in _OF_THE_RUN if name in table])
        table = table.assign(**{name: value for name, value in _MISSING.items() if name not in table})
        if not every_phase:
            table = table[table["phase_index"] == table["phase_index"].max()]
        if checkpoints:
            table = pandas.concat(
                [
                    part[part["step"].isin(_spaced(part["step"], checkpoints))]
                    for _, part in table.groupby("phase_index")
                ]
            )
        about = dict(
            run=each.id,
            label=labels.get(each.id, METHOD_NAMES.get(each.config.method, "")),
            task=each.config.task,
            method=each.config.method,
            seed=each.config.seed,
        )
        for place, (name, value) in enumerate(about.items()):
            table.insert(place, name, value)
        parts.append(table)
    if not parts:
        return pandas.DataFrame(columns=[*_ABOUT_POINTS, "layer", "module", "name", "delta_m", "delta_d"])
    return pandas.concat(parts, ignore_index=True)


def _spaced(steps: pandas.Series, checkpoints: int) -> list[Any]:
    """Recorded steps nearest to equal parts of a phase, the last one included, the beginning left out."""
    recorded = sorted(steps.unique())
    places = {round(part / checkpoints * (len(recorded) - 1)) for part in range(1, checkpoints + 1)}
    return [recorded[place] for place in places if recorded[place] > 0 or len(recorded) == 1]


def fits_of(points: pandas.DataFrame, *, resamples: int = 2000, seed: int = 0) -> dict[str, DynamicsFit]:
    """Label → the line through its ΔM against ΔD, for `figures.magnitude_vs_direction` and `dynamics_fits`."""
    from bidora.statistics import fit_dynamics

    return {
        str(label): fit_dynamics(part, resamples=resamples, seed=seed)
        for label, part in points.groupby("label", sort=False)
    }


def dynamics_fits(
    points: pandas.DataFrame, fits: Mapping[str, DynamicsFit] | None = None, *, resamples: int = 2000, seed: int = 0
) -> pandas.DataFrame:
    """The line through ΔM against ΔD for each label: what stands in the table below the figure.

    Args:
        points: as `dynamics_table` gives them.
        fits: label → fit, if they are there already; else they are made here.
        resamples: of the bootstrap over layers.
        seed: of its draws.

    Returns:
        label, runs (how many), and the columns of DynamicsFit.as_row(): points, clusters, slope (weight units per
        1 − cos), intercept, pearson, spearman, their intervals and leave-one-out ranges, tiny_share, note.
    """
    import pandas

    found = fits if fits is not None else fits_of(points, resamples=resamples, seed=seed)
    runs = points.groupby("label")["run"].nunique() if len(points) else {}
    return pandas.DataFrame(
        [{"label": label, "runs": int(runs[label]), **fit.as_row()} for label, fit in found.items()]
    )
