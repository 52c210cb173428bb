"""What saves memory changes no result: accumulation, gradient checkpointing, bfloat16, length buckets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_trainer import trainer_of

from bidora.order import training_order


def trained(folder: Path, out: Path, **settings: Any) -> dict[str, torch.Tensor]:
    trainer = trainer_of(folder, out, upper=False, **settings)
    trainer.train()
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("group_by_length", [True, False])
@pytest.mark.parametrize("method", ["lora", "dora", "pissa", "full"])
def test_two_batches_of_eight_are_one_of_sixteen(
    method: str, group_by_length: bool, tiny_bert: Path, tmp_path: Path
) -> None:
    """The same examples in each step, and equal weights up to the order of floating-point sums."""
    settings = dict(method=method, group_by_length=group_by_length, learning_rate=1e-3, steps=5)
    large = trained(tiny_bert, tmp_path / "large", batch_size=16, **settings)
    small = trained(tiny_bert, tmp_path / "small", batch_size=8, gradient_accumulation=2, **settings)
    moved = trained(tiny_bert, tmp_path / "one", batch_size=8, **settings)
    assert large.keys() == small.keys()
    for name, tensor in large.items():
        torch.testing.assert_close(small[name], tensor, rtol=1e-3, atol=2e-5, msg=lambda text, n=name: f"{n}: {text}")
    assert any((moved[name] - tensor).abs().max() > 2e-4 for name, tensor in large.items())


@pytest.mark.parametrize("fixture", ["tiny_bert", "tiny_roberta", "tiny_esm"])
@pytest.mark.parametrize("method", ["lora", "dora", "bitfit", "full"])
def test_gradient_checkpointing_recomputes_and_changes_nothing(
    method: str, fixture: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(fixture)
    found, calls = {}, {}
    for checkpointing in (False, True):
        out = tmp_path / str(checkpointing)
        trainer = trainer_of(
            folder, out, upper=False, method=method, gradient_checkpointing=checkpointing, steps=2, kernel="peft"
        )
        calls[checkpointing] = 0
        layer = next(m for m in trainer.model.modules() if type(m).__name__.endswith("SelfAttention"))

        def count(*_: Any, key: bool = checkpointing) -> None:
            calls[key] += 1

        layer.register_forward_hook(count)
        trainer.train()
        found[checkpointing] = {n: p.detach().clone() for n, p in trainer.model.named_parameters() if p.requires_grad}
    assert calls[True] == 2 * calls[False]
    for name, tensor in found[False].items():
        torch.testing.assert_close(found[True][name], tensor, rtol=1e-5, atol=1e-7)


def test_bfloat16_computes_in_bfloat16_and_keeps_weights_in_float32(tiny_bert: Path, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_bert, tmp_path, upper=True, precision="bfloat16", steps=3)
    seen = set()
    layer = next(m for m in trainer.model.modules() if type(m).__name__ == "DoraLinear")
    layer.register_forward_hook(lambda module, given, out: seen.add(out.dtype))
    trainer.train()
    assert torch.bfloat16 in seen
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in trainer.magnitude.values())


def test_buckets_save_padding_and_show_every_example_as_often(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    lengths = generator.integers(3, 60, size=128)
    padded = {}
    for given in (None, lengths):
        order = training_order(128, batches=16, batch_size=16, seed=0, lengths=given)
        assert sorted(order) == sorted([*range(128)] * 2)
        batches = np.array(order).reshape(16, 16)
        padded[given is None] = sum(lengths[batch].max() * 16 for batch in batches)
    assert padded[False] < 0.85 * padded[True]
