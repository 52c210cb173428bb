"""Training in this process, from the command line: signals become a saved stop, errors become exit codes."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

from bidora.errors import LabError
from bidora.queueing import start_next
from bidora.runs import Run
from bidora.working import working_on

Progress = Callable[[str, float, float], None]


def work_on(run: Run, *, progress: Progress | None = None, say: Callable[[str], None] = print) -> int:
    """Train a run in this process; its folder is left in order, whatever happens.

    Args:
        run: a run that nobody else works on.
        progress: called with what is going on, how much is done and how much there is.
        say: writes one line for the user.

    Returns:
        The exit code: 0 finished, or stopped because somebody asked for it; 1 unexpected error; 130 after Ctrl-C; 143
        after SIGTERM.

    Raises:
        LabError: something that the user can solve; it is in the run folder, too, unless another process has the run.
    """
    try:
        return _work(run, progress, say)
    finally:
        _start_next(run, say)


def _start_next(run: Run, say: Callable[[str], None]) -> None:
    """The place is free: whoever waits in the queue of these runs may begin, whatever became of this one."""
    try:
        for each in start_next(run.path.parent):
            say(f"next in the queue: run {each.id}")
    except (LabError, OSError) as error:
        say(f"the queue does not go on: {error}")


def _work(run: Run, progress: Progress | None, say: Callable[[str], None]) -> int:
    signals = StopSignals(run, say)
    try:
        # train claims the run once more; here, because importing torch can fail, too.
        with signals, working_on(run), warnings.catch_warnings():
            for retiring in (FutureWarning, DeprecationWarning):  # of libraries among themselves: noise for users
                warnings.simplefilter("ignore", retiring)
            from bidora.train import train

            train(run, progress=progress)
    except (Exception, KeyboardInterrupt) as error:
        if signals.received is None and isinstance(error, LabError):
            raise
        if signals.received is None and isinstance(error, Exception):
            say(f"unexpected error: {type(error).__name__}: {error}")
            say(f"the traceback is in {run.path / 'log.txt'}")
            return 1
        # an import or a download that was cut short may have raised anything
        if run.state != "finished" and run.status.get("pid") == os.getpid():
            run.update_status(state="stopped", error=None)
    if signals.received is not None and run.state != "finished":
        return signals.exit_code
    return 0


class StopSignals:
    """While entered, Ctrl-C, SIGTERM and a closed terminal ask the run to save and stop; a second one leaves at once.

    While a run is only being prepared there is nothing to save, and the first one leaves at once.

    Args:
        run: the run that is being trained.
        say: writes one line for the user.
    """

    def __init__(self, run: Run, say: Callable[[str], None]) -> None:
        self.run = run
        self.say = say
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                    self._before[number] = signal.signal(number, self._received)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells report it: 130 after Ctrl-C."""
        return 128 + int(self.received or 0)

    def _received(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None
        # `bidora stop --wait` escalates to SIGTERM only after the wish to stop was not granted in time.
        escalated = number == signal.SIGTERM and self.run.stop_requested()
        self.received = self.received or number
        if again or escalated or self.run.status["state"] not in ("running", "stopping", "finalising"):
            signal.signal(number, signal.SIG_DFL)  # a third one ends the process without more ado
            raise KeyboardInterrupt
        self.run.request_stop()
        try:
            self.say("saving and stopping after this step … (once more: leave at once)")
        except RuntimeError:
            pass  # the signal came in the middle of another line being written
