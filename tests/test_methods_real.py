"""Every method on real proteins with packaged weights: at a usual learning rate the loss falls and beats chance."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from variants import by_default

from bidora.config import RunConfig
from bidora.methods import METHODS
from bidora.models import is_fetched
from bidora.runs import Run
from bidora.tasks import task_is_fetched
from bidora.train import train

BY_DEFAULT = ("pissa",)
"""A start from the weights themselves; all take minutes together."""


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("method", by_default(METHODS, BY_DEFAULT))
def test_the_loss_falls_at_a_usual_learning_rate(method: str, tmp_path: Path) -> None:
    if not (is_fetched("esm2") and task_is_fetched("peptides")):
        pytest.skip("`bidora fetch peptides esm2` brings them")
    low, high = METHODS[method].rates
    config = RunConfig(
        task="peptides",
        examples_per_class=64,
        method=method,
        rank=64 if method == "vera" else 8,
        steps=60,
        batch_size=8,
        max_length=40,
        learning_rate=math.sqrt(low * high),
        retrain="none",
        evaluate_every=60,
        threads=1,
    )
    run = Run.create(config, tmp_path)
    result = train(run)
    losses = run.metrics()["loss"].dropna().to_numpy()
    assert losses[-10:].mean() < losses[:6].mean() - 0.02
    assert result["train_scores"]["accuracy"] > 0.6
