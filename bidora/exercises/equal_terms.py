"""What notebook 07 compares: the same methods on equal steps and on equal gradient evaluations, recorded or to be trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bidora.analysis import curves, measured, paired_differences
from bidora.config import RunConfig, with_gradient_evaluations
from bidora.exercises.leaving_out import recorded
from bidora.figures import learning_curves
from bidora.figures import paired_differences as drawn_differences
from bidora.recordings import recordings_root
from bidora.runs import Run, list_runs

if TYPE_CHECKING:
    import plotly.graph_objects as go

STEPS = "equal steps"
FEWER = "equal gradient evaluations: BiDoRA takes fewer steps"
MORE = "equal gradient evaluations: LoRA and DoRA take more steps"

SHORT = {"steps": 38, "retrain_steps": 36}
"""38 search steps of three evaluations each and 36 retraining steps: 150, as many as LoRA's 150 steps."""

AXES = {"step": "global_step", "gradient evaluations": "gradient_evaluations", "seconds": "seconds"}


def recorded_on(terms: str) -> list[Run]:
    """The recorded runs on Reuters R8 of LoRA, DoRA and BiDoRA, three seeds each.

    Args:
        terms: STEPS or FEWER.

    Raises:
        LabError: the recordings are not here.
    """
    if terms == STEPS:
        return recorded("recorded-reuters", methods=["lora", "dora", "bidora"])
    short = list_runs(recordings_root() / "equal-evaluations")[::-1]
    return [*recorded("recorded-reuters", methods=["lora", "dora"]), *short]


def configs_on(terms: str, *, seeds: Sequence[int] = (0, 1, 2)) -> list[RunConfig]:
    """The settings of the recorded runs, and on terms MORE those of LoRA and DoRA with 600 steps; nothing is trained."""
    shared = RunConfig(task="reuters", variant="r8", examples_per_class=16, max_length=64, rank=4, alpha=8.0)
    lora, dora, bidora = (shared.replace(method=method) for method in ("lora", "dora", "bidora"))
    if terms == FEWER:
        bidora = bidora.replace(**SHORT)
    if terms == MORE:
        lora, dora = (with_gradient_evaluations(config, 600) for config in (lora, dora))
    return [config.replace(seed=seed) for seed in seeds for config in (lora, dora, bidora)]


def differences_of(runs: Sequence[Run], metric: str = "accuracy", reference: str = "DoRA") -> go.Figure:
    """The differences to one method, seed by seed.

    Args:
        runs: of one task.
        metric: accuracy, macro_f1 or mcc.
        reference: label of the method that the others are compared with.
    """
    return drawn_differences(paired_differences(runs, metric, reference=reference))


def progress_of(runs: Sequence[Run], axis: str = "step") -> go.Figure:
    """The test score on the way.

    Args:
        runs: of one task.
        axis: a name of AXES.
    """
    about = measured(runs)
    return learning_curves(curves(runs), quantities=(f"test_{about.metric}",), x=AXES[axis], examples=about.examples)
