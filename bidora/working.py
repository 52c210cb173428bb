"""Working on a run in this process: claim it, show signs of life, and leave its folder in order, whatever happens."""

from __future__ import annotations

import errno
import shutil
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from bidora.errors import LabError
from bidora.runs import ACTIVE, Run
from bidora.runs.standing import half_checkpoints

BEAT_SECONDS = 20.0
"""Time between two signs of life; imports, downloads and long tests write no status of their own."""


@contextmanager
def working_on(run: Run) -> Iterator[None]:
    """Claim a run for the block and record how the block ended.

    The state becomes `failed` after an error (with kind, message and hint; the traceback goes to log.txt), `stopped` after
    an interruption, and is left as the block wrote it otherwise.

    Raises:
        LabError: another process works on the run, or an error in the block that the user can solve.
    """
    if run.state in ("stopped", "failed", "lost"):
        run.clear_stop()  # the wish that ended the run before; one made since then finds it queued or preparing
    run.claim()
    try:
        with beating(run):
            yield
    except BaseException as error:
        known = explained(error)
        _record_end(run, error, known)
        if known is not None and known is not error:
            raise known from error
        raise


@contextmanager
def beating(run: Run) -> Iterator[None]:
    """Renew the run's heartbeat while the block runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            try:
                run.update_status()
            except OSError:
                continue  # a full disk is reported where something is to be saved

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def explained(error: BaseException) -> LabError | None:
    """The same problem as one that the user can solve, where it is one (full disk, no memory); else None."""
    if isinstance(error, LabError):
        return error
    if _tells_of_a_full_disk(error):
        place = getattr(error, "filename", None) or "while the run was being saved"
        return LabError(
            f"the disk is full ({place})",
            hint="free some space and go on with `bidora resume`",
            kind="disk",
        )
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if out_of_memory or "can't allocate memory" in str(error):
        return LabError(
            "the memory is too small for this run",
            hint="lower --batch-size or --max-length, or use --precision bfloat16",
            kind="memory",
        )
    return None


def _tells_of_a_full_disk(error: BaseException) -> bool:
    """Python and safetensors say so; torch.save only says where it failed, in its writer of archives (torch.load: reader)."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    text = str(error)
    return (
        isinstance(error, Exception)
        and any(words in text for words in _FULL_DISK)
        and "PytorchStreamReader" not in text
    )


_FULL_DISK = ("(os error 28)", "(os error 122)", "inline_container.cc", "PytorchStreamWriter failed")


def _record_end(run: Run, error: BaseException, known: LabError | None) -> None:
    """Write state and error into the folder, as far as the disk takes it."""
    if known is not None and known.kind == "disk":
        _drop_half_a_checkpoint(run)
    try:
        with run.locked():
            if run.state not in ACTIVE:
                return
            if not isinstance(error, Exception):
                run.update_status(state="stopped", eta_seconds=None)
            elif known is not None:
                described = {"kind": known.kind, "message": known.message, "hint": known.hint}
                run.update_status(state="failed", exit_code=2, eta_seconds=None, error=described)
            else:
                hint = f"the end of {run.path / 'log.txt'} shows where it happened"
                described = {"kind": "unexpected", "message": f"{type(error).__name__}: {error}", "hint": hint}
                run.update_status(state="failed", exit_code=1, eta_seconds=None, error=described)
        if known is None and isinstance(error, Exception):
            with open(run.path / "log.txt", "a", encoding="utf-8") as handle:
                handle.write("".join(traceback.format_exception(error)))
    except OSError:
        return  # nothing can be written; the exception itself goes on


def _drop_half_a_checkpoint(run: Run) -> None:
    """What the full disk cut off is of no use, and its room is needed to say what happened."""
    for folder in half_checkpoints(run.path):
        shutil.rmtree(folder, ignore_errors=True)
