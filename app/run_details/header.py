"""Head of a run: name, state, what it says about itself in this state, progress."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.comparing.reading import of_runs
from app.page import is_recording, worded
from app.run_details.failure import failure_box
from app.run_details.states import state_badge
from bidora.analysis.grouping import METHOD_NAMES
from bidora.queueing import read_queue
from bidora.runs import Run
from bidora.runs.health import damage
from bidora.runs.standing import Standing, has_checkpoint, standing_of
from bidora.verdict import prediction_verdict, result_verdict
from bidora.wording import counted, duration

_PREDICTED = {"met": "check_circle", "missed": "help", "shown": "balance", "open": "help"}


def header(run: Run) -> Standing:
    """Name, badges, and the box that fits the state; returns how the run stands."""
    standing = standing_of(run)
    _badges(run, standing)
    if note := str(run.meta.get("note") or ""):
        st.caption(plain(note[:5000]))
    if is_recording(run):
        _recording(run)
    _BOXES.get(standing.state, _unknown)(run, standing)
    _damage(run)
    return standing


def _badges(run: Run, standing: Standing) -> None:
    config, meta = run.config, run.meta
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        state_badge(standing.state)
        st.badge(plain(METHOD_NAMES.get(config.method, config.method)), icon=":material/tune:", color="gray")
        st.badge(plain(f"{config.task} · seed {config.seed}"), icon=":material/dataset:", color="gray")
        if group := str(meta.get("group") or ""):
            st.badge(plain(group[:100]), icon=":material/folder:", color="gray", help="Group: runs of one comparison")
        if is_recording(run):
            st.badge("recording, read-only", icon=":material/lock:", color="violet")
        if isinstance(meta.get("imported"), dict):
            st.badge("imported", icon=":material/upload_file:", color="violet")
        for tag in meta.get("tags") if isinstance(meta.get("tags"), list) else []:
            st.badge(plain(str(tag)[:50]), icon=":material/sell:", color="gray")


def _recording(run: Run) -> None:
    about = run.meta.get("recording")
    about = about if isinstance(about, dict) else {}
    words = "A recording: a real run that comes with the lab. It can be looked at and cloned, not changed."
    if about.get("machine"):
        words += f" It ran on: {plain(str(about['machine'])[:300])}."
    st.info(words, icon=":material/lock:")
    if about.get("command"):
        st.code(str(about["command"])[:2000], language="bash", wrap_lines=True)


# -- one box per state ------------------------------------------------------------------------------------------


def _queued(run: Run, standing: Standing) -> None:
    queue = read_queue(run.path.parent)
    places = [each.id for each in queue.waiting]
    if run.id not in places:
        st.info(
            "This run was made but never started. **Start** puts it into the queue.", icon=":material/hourglass_empty:"
        )
        return
    ahead = places.index(run.id)
    why = (
        "The queue is paused: **New run** has the switch."
        if queue.paused
        else (f"{counted(len(queue.active), 'run is', 'runs are')} at work; {queue.limit} may be at once.")
    )
    st.info(
        f"Waits for its turn: {'next' if not ahead else counted(ahead, 'run') + ' before it'}. {why}",
        icon=":material/hourglass_empty:",
    )


def _preparing(run: Run, standing: Standing) -> None:
    st.info(
        "Data and model are being read; the first step follows."
        + (f" {duration(standing.elapsed)} so far." if standing.elapsed else "")
        + (" It saves and stops after that step." if run.stop_requested() else ""),
        icon=":material/downloading:",
    )
    if last := run.log_tail(5).strip():
        st.code(last[-2000:], language=None, wrap_lines=True)


def _running(run: Run, standing: Standing) -> None:
    if run.stop_requested():  # the worker says "stopping" only once it has read the wish
        _stopping(run, standing)
        return
    left = f"{duration(standing.left)} left" if standing.left is not None else "time left is known after 5 steps"
    st.progress(standing.share, text=f"{_where(standing)} · {left} · {duration(standing.elapsed)} so far")


def _stopping(run: Run, standing: Standing) -> None:
    st.progress(standing.share, text=f"{_where(standing)} · saves and stops after this step")


def _finalising(run: Run, standing: Standing) -> None:
    left = f" · {duration(standing.left)} left" if standing.left is not None else ""
    st.progress(1.0, text=f"{_where(standing)} · testing on the whole test set and saving{left}")


def _stopped(run: Run, standing: Standing) -> None:
    if not standing.step:
        st.info("Stopped before its first step. **Resume** begins.", icon=":material/stop_circle:")
    elif has_checkpoint(run.path):
        st.info(
            f"Stopped at step {standing.step} of {standing.total}; everything is saved. **Resume** goes on and ends with "
            "the same numbers as a run that was never stopped.",
            icon=":material/stop_circle:",
        )
    else:
        st.info(
            f"Stopped at step {standing.step} of {standing.total}. There is no checkpoint in the folder: **Resume** begins "
            "anew.",
            icon=":material/stop_circle:",
        )


def _finished(run: Run, standing: Standing) -> None:
    took = f" It took {duration(standing.elapsed)}." if standing.elapsed is not None else ""
    st.success(plain(f"{of_runs(_verdict, [run])}{took}"), icon=":material/check_circle:")
    if (predicted := prediction_verdict(run)) is not None:
        st.info(
            f"**Prediction and result.** {plain(predicted.sentence)}",
            icon=f":material/{_PREDICTED.get(predicted.kind, 'help')}:",
        )


def _verdict(runs: list[Run]) -> str:
    return result_verdict(runs[0])


def _lost(run: Run, standing: Standing) -> None:
    kept = "goes on from the last checkpoint" if has_checkpoint(run.path) else "begins anew, as nothing was saved yet"
    st.error(
        f"Interrupted at step {standing.step} of {standing.total}: the worker process is gone and left no word (killed, "
        f"out of memory, or the machine was switched off). **Resume** {kept}.",
        icon=":material/heart_broken:",
    )


def _unknown(run: Run, standing: Standing) -> None:
    st.warning(f"status.json gives the state {plain(standing.state[:60])}, which this version does not know.")


def _where(standing: Standing) -> str:
    return f"{standing.phase + ', ' if standing.phase else ''}step {standing.step} of {standing.total}"


def _damage(run: Run) -> None:
    found = of_runs(_damage_of, [run])
    if found:
        st.warning(
            "Part of this folder cannot be read; what can is shown. " + " ".join(worded(each) for each in found[:6]),
            icon=":material/broken_image:",
        )


def _damage_of(runs: list[Run]) -> list[str]:
    return damage(runs[0])


_BOXES = {
    "queued": _queued,
    "preparing": _preparing,
    "running": _running,
    "stopping": _stopping,
    "stopped": _stopped,
    "finalising": _finalising,
    "finished": _finished,
    "failed": failure_box,
    "lost": _lost,
}
