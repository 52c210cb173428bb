"""bidora queue: which runs wait, and how many may be at work at once. Needs neither torch nor pandas."""

from __future__ import annotations

import argparse

from bidora.cli.flags import Commands, add_command
from bidora.cli.formatting import table
from bidora.queueing import go_on, pause, read_queue, set_limit, start_next

DESCRIPTION = """Shows the runs that wait for their turn. Runs come into the queue from the app or a notebook (`bidora.queueing.enqueue`).

  bidora queue                 what is at work, what waits
  bidora queue --limit 2       two at once, each with half of the cores
  bidora queue --start         start what may start now; needed only after a worker was killed"""


def add_commands(commands: Commands) -> None:
    """Add queue."""
    queue = add_command(commands, "queue", _queue, help="show and steer the queue of runs", description=DESCRIPTION)
    queue.add_argument("--limit", type=int, metavar="N", help="how many runs may be at work at once")
    queue.add_argument("--pause", action="store_true", help="hold waiting runs back; those at work go on")
    queue.add_argument("--go-on", action="store_true", help="end the pause, and start what may start")
    queue.add_argument("--start", action="store_true", help="start what may start now")


def _queue(args: argparse.Namespace) -> int:
    if args.limit is not None:
        set_limit(args.limit, args.root)
    if args.pause:
        pause(args.root)
    if args.go_on:
        go_on(args.root)
    if args.start or args.go_on or args.limit is not None:
        for run in start_next(args.root):
            print(f"run {run.id} is starting")
    queue = read_queue(args.root)
    rows = [["at work", run.id, run.meta.get("name", ""), run.state] for run in queue.active]
    rows += [[str(place), run.id, run.meta.get("name", ""), "waits"] for place, run in enumerate(queue.waiting, 1)]
    if rows:
        print(table(["place", "id", "name", "state"], rows))
    held = "; the queue is paused: `bidora queue --go-on`" if queue.paused else ""
    print(f"{len(queue.active)} at work, {len(queue.waiting)} waiting, at most {queue.limit} at once{held}")
    return 0
