"""Pictures of notebook 04: the same points twice, with and without one of them; both axes; both phases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bidora.analysis import dynamics_table
from bidora.errors import LabError
from bidora.figures import magnitude_vs_direction
from bidora.recordings import recordings
from bidora.runs import Run

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects as go

METHODS = {"DoRA": "dora", "LoRA": "lora", "BiDoRA": "bidora", "full fine-tuning": "full"}


def recorded(group: str, *, methods: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Run]:
    """Recorded runs of a group, oldest first; of some methods and seeds only where these are given.

    Raises:
        LabError: there is none.
    """
    found = [
        run
        for run in recordings()
        if run.meta.get("group") == group
        and (not methods or run.config.method in methods)
        and (not seeds or run.config.seed in seeds)
    ]
    if not found:
        raise LabError(
            f"there is no recording of {group} here",
            hint="the recordings lie in data/recordings of the repository; $BIDORA_RECORDINGS names another folder",
            kind="run",
        )
    return found


def final_points(method: str, seed: int, *, group: str = "recorded-reuters") -> pandas.DataFrame:
    """ΔM and ΔD of every layer at the end of one recorded run: one row per layer and module.

    Args:
        method: lora, dora, bidora or full.
        seed: 0, 1 or 2.
        group: recorded-reuters or recorded-peptides.
    """
    return dynamics_table(recorded(group, methods=[method], seeds=[seed]), checkpoints=1)


def without_point(method: str = "DoRA", seed: int = 0, leave_out: int = 0) -> go.Figure:
    """All final points of a recorded run on Reuters, and beside them all but one.

    Args:
        method: a name of METHODS.
        seed: 0, 1 or 2.
        leave_out: number of the point, from 1; 0 leaves out none.
    """
    points = final_points(METHODS[method], seed)
    if not leave_out:
        return magnitude_vs_direction(points.assign(label=f"all {len(points)} points"))
    return magnitude_vs_direction(twice(points, leave_out))


def twice(points: pandas.DataFrame, leave_out: int) -> pandas.DataFrame:
    """The points under two labels: all of them, and all but number `leave_out` (from 1)."""
    import pandas

    gone = points.iloc[leave_out - 1]
    rest = points.drop(index=points.index[leave_out - 1])
    return pandas.concat(
        [
            points.assign(label=f"all {len(points)} points"),
            rest.assign(label=f"without layer {gone['layer']} {gone['module']}"),
        ],
        ignore_index=True,
    )


def both_phases(group: str = "recorded-peptides") -> pandas.DataFrame:
    """The points of recorded BiDoRA runs, labelled by phase: search (m moves) and retraining (m fixed)."""
    points = dynamics_table(recorded(group, methods=["bidora"]), every_phase=True)
    return points.assign(label=points["phase"].map({"search": "search: m moves", "retrain": "retraining: m fixed"}))


def both_axes(base: str, run: Run) -> pandas.DataFrame:
    """ΔM and ΔD of one adapter under both conventions: one magnitude per output unit, and one per input unit.

    Args:
        base: folder of the model that the adapter was trained on.
        run: a run with an adapter.
    """
    import pandas

    from bidora.weights import dynamics_of

    return pandas.concat(
        [
            dynamics_of(base, run.adapter_dir, axis=axis).assign(
                label=f"per {axis} unit", method=run.config.method, seed=run.config.seed
            )
            for axis in ("output", "input")
        ],
        ignore_index=True,
    )
