"""The command line: one file per group of commands; heavy imports wait until a command needs them.

Exit codes: 0 fine · 1 unexpected error · 2 a problem that the user can solve · 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from bidora.cli.flags import Parser
from bidora.errors import LabError

COMMANDS = (
    *("running", "sweeping", "reproducing", "queue", "listing", "comparing", "published", "reporting", "analysing"),
    *("fetching", "converting", "doctor", "demo"),
)
"""The files of this package that add commands, in the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console without Δ shows ? and goes on
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        if not words:
            parser().print_help()
            return 2
        args = parser().parse_args(words)
        args.typed = words
        return int(args.act(args) or 0)
    except LabError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `bidora list | head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        print(f"unexpected error: {type(error).__name__}: {error}", file=sys.stderr)
        print("repeat the command with --debug to see where it came from", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The whole command line as one parser."""
    from bidora import __version__

    top = Parser(
        prog="bidora",
        description="Fine-tune an encoder with LoRA, DoRA, BiDoRA or in full, and see what it does to the weights.",
        epilog="`bidora COMMAND --help` explains one command. First time? Try `bidora demo`.",
    )
    top.add_argument("--version", action="version", version=f"bidora-lab {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for name in COMMANDS:
        import_module(f"bidora.cli.{name}").add_commands(commands)
    return top
