"""Training in a notebook: one line that says where it stands, the stop button, and what to do without weights or network."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run

_KNOWN = (
    ".*is_gradient_checkpointing.*",  # peft asks transformers by an older name
    ".*pin_memory.*",
)


def trained(what: RunConfig | Run, *, name: str = "", otherwise: Run | None = None) -> Run:
    """Train a run in this notebook and return it; it is an ordinary run, so the app shows it, too.

    The notebook's stop button ends it after the current step without loss: call this again with the run to go on.

    Args:
        what: the settings of a new run, or a run that was stopped.
        name: of a new run; by default task, method and seed.
        otherwise: a recording to go on with where weights or data are not here and cannot be fetched.

    Returns:
        The run, or `otherwise`.

    Raises:
        LabError: it cannot be trained, and there is no recording to go on with.
    """
    from bidora.train import train

    run = Run.create(what, name=name) if isinstance(what, RunConfig) else what
    line = StatusLine()
    try:
        with _stop_button(run), warnings.catch_warnings():
            for message in _KNOWN:
                warnings.filterwarnings("ignore", message=message)
            result = train(run, progress=line)
    except LabError as error:
        if otherwise is None or error.kind not in ("download", "model", "data"):
            raise
        line.say(f"Nothing was trained: {error.message}. A recording of the same method is shown instead.")
        run.delete()
        return otherwise
    if result:
        cost = result["cost"]
        line.say(
            f"run {run.id} is finished: {run.config.total_steps} steps, {cost['gradient_evaluations']} gradient "
            f"evaluations, {cost['seconds_total']:.0f} s"
        )
    else:
        line.say(f"run {run.id} was stopped and can go on: trained(run), or `bidora resume {run.id}`")
    return run


class StatusLine:
    """A Progress callable that keeps one line of a notebook up to date; outside of a notebook it prints the last word only."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""

    def __call__(self, what: str, done: float, total: float) -> None:
        """Show where things stand; written anew once per per cent at most."""
        share = f" {100 * done / total:.0f} %" if total > 0 else ""
        text = f"{what.partition(' · ')[0]}{share} …"
        if text != self._shown:
            self._show(text)

    def say(self, text: str) -> None:
        """The last word."""
        if not self._show(text):
            print(text)

    def _show(self, text: str) -> bool:
        self._shown = text
        try:
            from IPython import get_ipython
            from IPython.display import display
        except ImportError:
            return False
        if get_ipython() is None:
            return False
        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
        return True


def keep_runs_beside_others() -> None:
    """Notebooks run in their own folder; their runs belong into the repository's, where the app and the command line look."""
    home = Path(__file__).resolve().parents[2]
    if "BIDORA_RUNS" not in os.environ and Path.cwd() == home / "notebooks":
        os.environ["BIDORA_RUNS"] = str(home / "runs")


@contextmanager
def _stop_button(run: Run) -> Iterator[None]:
    """Let the first interruption ask the run to save and stop; a second one interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(*_: Any) -> None:
        run.request_stop()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
