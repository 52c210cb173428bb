"""What becomes of a run whose work ends in an error that the user can solve."""

from __future__ import annotations

import errno

import pytest
import torch
from safetensors import SafetensorError

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run
from bidora.working import explained, working_on

FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),  # torch.save's
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_full_disk_is_told_by_whoever_wrote_and_half_a_checkpoint_goes(error, tmp_path):
    run = Run.create(RunConfig(), tmp_path)
    whole, half = (run.checkpoints_dir / "train" / f"checkpoint-{step}" for step in (10, 20))
    for folder in (whole, half):
        folder.mkdir(parents=True)
        (folder / "optimizer.pt").write_bytes(b"x" * 1000)
    (whole / "complete").touch()
    with pytest.raises(LabError, match="the disk is full"), working_on(run):
        raise error
    assert (
        run.state == "failed"
        and run.status["error"]["kind"] == "disk"
        and "bidora resume" in run.status["error"]["hint"]
    )
    assert whole.is_dir() and not half.exists()


def test_a_checkpoint_that_cannot_be_read_is_no_full_disk(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "x.pt")
    whole = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RuntimeError, match="PytorchStreamReader") as caught:
        torch.load(tmp_path / "x.pt", weights_only=True)
    assert explained(caught.value) is None
    assert explained(RuntimeError(f"[enforce fail at inline_container.cc:1] . {caught.value}")) is None


def test_other_errors_keep_their_words_and_leave_checkpoints_alone(tmp_path):
    run = Run.create(RunConfig(), tmp_path)
    half = run.checkpoints_dir / "train" / "checkpoint-20"
    half.mkdir(parents=True)
    with pytest.raises(RuntimeError, match="shapes"), working_on(run):
        raise RuntimeError("shapes do not fit")
    assert run.status["error"]["kind"] == "unexpected" and half.is_dir()
