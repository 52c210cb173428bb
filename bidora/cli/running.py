"""bidora run, resume, stop, and the hidden `work` that worker processes are started with."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from pathlib import Path

from bidora.cli.flags import Commands, Parser, add_command, add_settings, config_from
from bidora.cli.progress import ProgressLine
from bidora.cli.successor import outlived
from bidora.cli.worker import Progress, work_on
from bidora.errors import LabError
from bidora.launch import refuse_if_finished, start, stop
from bidora.runs import Run, find_run

DESCRIPTION = """Train one adapter and keep everything about it in a run folder.

  bidora run --task reuters --method bidora --examples-per-class 16 --seed 0
  bidora run --task csv --data peptides.csv --label-column active --method dora
  bidora run --config settings.json --seed 1 --background

Ctrl-C saves and stops; `bidora resume ID` goes on with the same bits as if nothing had happened."""

NICENESS = 10
"""How much workers step back, as in `nice`: the app keeps about nine tenths of a core that both want."""


def add_commands(commands: Commands) -> None:
    """Add run, resume, stop and work."""
    run = add_command(commands, "run", _run, help="train one adapter", description=DESCRIPTION)
    run.add_argument("--config", metavar="FILE", help="settings from a JSON file; flags go on top of it")
    run.add_argument("--name", default="", help="what to call the run (default: task, method and seed)")
    run.add_argument("--group", default="", help="runs of one comparison share a group")
    run.add_argument("--tags", default="", metavar="A,B", help="words to find the run by")
    run.add_argument("--background", action="store_true", help="train in a process of its own and return at once")
    run.add_argument("--dry-run", action="store_true", help="say what would happen, and do nothing")
    add_settings(run)
    run.usage = (
        "bidora run [--SETTING VALUE ...] [--config FILE] [--background] [--dry-run] [--name NAME] [--group GROUP]"
    )

    resume = add_command(commands, "resume", _resume, help="go on with a stopped, failed or interrupted run")
    resume.add_argument("run", metavar="RUN", help="its id, a part of it, or `last`")
    resume.add_argument("--background", action="store_true", help="train in a process of its own and return at once")

    stopping = add_command(commands, "stop", _stop, help="save and stop a run at its next step")
    stopping.add_argument("run", metavar="RUN", help="its id, a part of it, or `last`")
    stopping.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="then end the process itself (default: never)"
    )

    # Without `help`, argparse keeps a command out of the list of commands.
    work: Parser = commands.add_parser("work", description="What a worker process runs; use `bidora run`.")
    work.add_argument("run", metavar="FOLDER")
    work.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    work.set_defaults(act=_work, parser=work)


def _run(args: argparse.Namespace) -> int:
    from bidora.cli.fetching import show_notices
    from bidora.models import get_model
    from bidora.preflight import note, remarks
    from bidora.tasks import get_task

    _refuse_several_processes()
    config = config_from(args)
    task = get_task(config.task)
    model = get_model(config.model or task.default_model)
    if args.dry_run:
        from bidora.cli.preview import preview

        print(preview(config))
        return 0
    for remark in remarks(config):
        print(f"note: {note(remark)}", file=sys.stderr)
    show_notices([model] if config.data else [model, task])
    tags = tuple(tag.strip() for tag in args.tags.split(",") if tag.strip())
    run = Run.create(config, args.root, name=args.name, group=args.group, tags=tags)
    return _begin(run, args)


def _resume(args: argparse.Namespace) -> int:
    _refuse_several_processes()
    run = find_run(args.run, args.root)
    refuse_if_finished(run)
    return _begin(run, args)


def _refuse_several_processes() -> None:
    """A run is one process: under torchrun each would make a run of its own and read other examples.

    Raises:
        LabError: this process is one of several.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if count not in ("", "0", "1"):
        raise LabError(
            f"WORLD_SIZE={count}: a run trains in one process",
            hint="start it without torchrun; CUDA_VISIBLE_DEVICES gives each of several runs a GPU of its own",
        )


def _begin(run: Run, args: argparse.Namespace) -> int:
    if args.background:
        start(run)
        print(f"run {run.id} is starting in the background")
        print(f"  watch it: {command('show', run, args)} --follow\n  stop it:  {command('stop', run, args)}")
        return 0
    return in_foreground(run, args)


def in_foreground(run: Run, args: argparse.Namespace) -> int:
    """Train a run here, with progress on stderr; ends with its scores, or with how to go on."""
    run.refuse_if_active()
    run.clear_stop()
    progress = ProgressLine(run.path / "metrics.jsonl")
    progress.say(f"run {run.id}  {run.meta.get('name', '')}")
    try:
        code = work_on(run, progress=_with_notes(run, progress), say=progress.say)
    finally:
        progress.close()
    state = run.state
    if state == "finished":
        from bidora.cli.listing import summary

        print(summary(run))
        progress.say(f"more: {command('show', run, args)}")
    elif state == "stopped":
        step = run.status.get("step") or 0
        kept = f"at step {step} of {run.config.total_steps}; everything is saved" if step else "before its first step"
        progress.say(f"run {run.id} stopped {kept}")
        progress.say(f"go on with: {command('resume', run, args)}")
    return code


def _with_notes(run: Run, progress: ProgressLine) -> Progress:
    """The same, and what there is to know about the data, as soon as they were read."""
    told = False

    def tell(what: str, done: float, total: float) -> None:
        nonlocal told
        if not told and "notes" in (meta := run.meta):
            told = True
            for note in meta["notes"]:
                progress.say(f"note: {note}")
        progress(what, done, total)

    return tell


def command(name: str, run: Run, args: argparse.Namespace) -> str:
    """The command line that does something to a run, as it can be typed where this one was typed."""
    words = ["bidora", name, run.id]
    if getattr(args, "root", None):
        words += ["--root", args.root]
    return shlex.join(words)


def _stop(args: argparse.Namespace) -> int:
    run = find_run(args.run, args.root)
    before = run.state
    state = stop(run, wait=args.wait)
    if state == "stopping":
        print(f"run {run.id} saves and stops at its next step")
    elif state == before:
        print(f"run {run.id} is {state}; there is nothing to stop")
    else:
        print(f"run {run.id} is {state}")
    return 0


def _work(args: argparse.Namespace) -> int:
    _step_aside()
    run = Run(args.run)
    with outlived(run):  # before anything starts a thread
        progress = ProgressLine(run.path / "metrics.jsonl")
        return work_on(run, progress=progress, say=progress.say)


def _step_aside() -> None:
    """Let the app, and whoever sits at this machine, go first; where nobody else computes, a run is as fast as ever.

    The value is absolute: a worker starts the next one in the queue, which inherits it. Where Linux shares the cores out
    among sessions first (autogroup; a worker has a session of its own), `nice` only counts within one, so the session
    steps back, too.
    """
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
        if os.getsid(0) == os.getpid():
            with contextlib.suppress(OSError):  # no autogroup here
                Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")
