"""Pictures of notebook 06: the two parts of the hypergradient and the life of m in recorded runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bidora.analysis import curves, dynamics_table
from bidora.analysis.motion import magnitude_motion
from bidora.exercises.leaving_out import recorded
from bidora.figures import magnitude_motion as motion_figure
from bidora.figures import two_levels

if TYPE_CHECKING:
    import plotly.graph_objects as go


def parts(task: str = "peptides", seed: int = 0) -> go.Figure:
    """Norms of direct and implicit part, and their cosine, over the search of a recorded BiDoRA run.

    Args:
        task: peptides or reuters.
        seed: 0, 1 or 2.
    """
    return two_levels(curves(recorded(f"recorded-{task}", methods=["bidora"], seeds=[seed])))


def alive(task: str = "peptides") -> go.Figure:
    """Gradient and movement of m in the recorded DoRA and BiDoRA runs of seed 0.

    Args:
        task: peptides or reuters.
    """
    runs = recorded(f"recorded-{task}", methods=["dora", "bidora"], seeds=[0])
    return motion_figure(magnitude_motion(dynamics_table(runs, checkpoints=0, every_phase=True)))


def implicit_share(task: str) -> dict[int, float]:
    """Seed → median over the search of ‖implicit‖ / ‖direct‖, of the recorded BiDoRA runs (ξ = learning rate)."""
    table = curves(recorded(f"recorded-{task}", methods=["bidora"]))
    wide = table.pivot_table(index=["seed", "run", "step"], columns="quantity", values="value")
    ratio = (wide["implicit_norm"] / wide["direct_norm"]).dropna()
    return {int(seed): float(value) for seed, value in ratio.groupby("seed").median().items()}
