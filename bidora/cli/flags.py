"""Flags of the command line: those that every command has, and one for each setting of RunConfig."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import re
from pathlib import Path
from typing import Any, NoReturn

from bidora.config import RunConfig, allowed_range, checked
from bidora.config.portable import flag_of
from bidora.errors import LabError, did_you_mean

Commands = Any
"""What `add_subparsers` returns; its class is private in argparse."""


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are one sentence with the nearest flag, and that guesses no abbreviations."""

    def __init__(self, *, prog: str, description: str = "", epilog: str = "") -> None:
        super().__init__(
            prog=prog, description=description, epilog=epilog, allow_abbrev=False, formatter_class=_Formatter
        )

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse, with the nearest known flag named for an unknown one."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            sub = getattr(found, "parser", self)
            known = sorted(sub._option_string_actions)
            near = difflib.get_close_matches(unknown[0].split("=")[0], known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"`{sub.prog} --help` shows what it takes"
            raise LabError(f"{sub.prog}: unexpected {unknown[0]!r}", hint=hint)
        return found

    def error(self, message: str) -> NoReturn:
        """Raise a LabError in place of printing the whole usage."""
        wrong = re.fullmatch(r"argument (.+): invalid choice: '(.*?)' \(choose from (.*)\)", message, re.DOTALL)
        if wrong:
            what, given, choices = wrong.groups()
            known = [each for each in re.findall(r"[\w-]+", choices) if each != "work"]  # work is for worker processes
            hint = did_you_mean(given, known, f"there are {', '.join(known)}")
            raise LabError(f"{self.prog}: {what.lower()} {given!r} is unknown", hint=hint)
        raise LabError(f"{self.prog}: {message}", hint=f"`{self.prog} --help` shows what it takes")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34)


def add_command(
    commands: Commands, name: str, act: Any, *, help: str, description: str = ""
) -> argparse.ArgumentParser:
    """Add one command with the flags that all commands share; `act(args)` carries it out and returns the exit code."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=description or _sentence(help))
    parser.set_defaults(act=act, parser=parser)
    parser.add_argument("--root", metavar="FOLDER", help="where runs are kept (default: $BIDORA_RUNS, or ./runs)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_settings(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add one flag for every setting of RunConfig, grouped as its metadata says.

    Args:
        parser: of a command.
        several: whether each flag takes one or more values (`values_from` reads them), as in a sweep.

    Values stay text here: RunConfig converts and checks them, so that flags, files and notebooks get equal sentences.
    """
    groups: dict[str, Any] = {}
    for each in dataclasses.fields(RunConfig):
        title = each.metadata["group"]
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        options: dict[str, Any] = {"nargs": "?", "const": "true"} if isinstance(each.default, bool) else {}
        if several:
            options = {"nargs": "*" if isinstance(each.default, bool) else "+"}
        groups[title].add_argument(
            flag_of(each.name),
            dest=f"setting_{each.name}",
            metavar=_metavar(each),
            default=argparse.SUPPRESS,
            help=_described(each).replace("%", "%%"),
            **options,
        )


def config_from(args: argparse.Namespace) -> RunConfig:
    """The settings that the flags ask for, on top of those in --config FILE.

    Raises:
        LabError: the file cannot be read, a name is unknown or a value is not allowed.
    """
    values = settings_file(Path(args.config)) if args.config else {}
    return RunConfig.from_dict({**values, **_given(args)}, strict=True)


def values_from(args: argparse.Namespace) -> dict[str, list[Any]]:
    """Setting → the values that its flag gives, each once; commas separate numbers and choices, too, and seeds may be 0-4.

    Raises:
        LabError: a value is not allowed.
    """
    from bidora.grid import parse_seeds

    known = {each.name: each for each in dataclasses.fields(RunConfig)}
    found: dict[str, list[Any]] = {}
    for name, texts in _given(args).items():
        each = known[name]
        parts = list(texts) or ["true"]  # a flag without a value: --gradient-checkpointing
        if name == "seed":
            found[name] = list(parse_seeds(" ".join(parts)))
            continue
        if each.metadata["choices"] or type(each.default) in (int, float, bool) or name == "task":
            parts = [part for text in parts for part in text.split(",") if part]
        found[name] = list(dict.fromkeys(checked(each, part) for part in parts))
    return found


def _given(args: argparse.Namespace) -> dict[str, Any]:
    return {name.removeprefix("setting_"): value for name, value in vars(args).items() if name.startswith("setting_")}


def settings_file(path: Path) -> dict[str, Any]:
    """The settings in a JSON file.

    Raises:
        LabError: it cannot be read, or is no JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LabError(
            f"--config {path} cannot be read: {error.strerror}", hint="give a JSON file, e.g. a run's config.json"
        ) from error
    except ValueError as error:
        raise LabError(
            f"--config {path} is not JSON: {error}", hint="give a JSON file, e.g. a run's config.json"
        ) from error
    if not isinstance(values, dict):
        raise LabError(f"--config {path} is not a JSON object", hint='write {"task": "peptides", "rank": 4}')
    return values


def _metavar(each: dataclasses.Field[Any]) -> str:
    if each.metadata["choices"]:
        return "{" + ",".join(each.metadata["choices"]) + "}"
    return {bool: "true", int: "N", float: "X", tuple: "A,B"}.get(type(each.default), "TEXT")


def _described(each: dataclasses.Field[Any]) -> str:
    described = each.metadata
    words = described["help"] + (f" ({described['symbol']})" if described["symbol"] else "")
    facts = []
    if not described["choices"] and (described["minimum"], described["maximum"]) != (None, None):
        facts.append(allowed_range(each))
    default: Any = each.default
    if default not in ("", False):
        facts.append(f"default {','.join(default) if isinstance(default, tuple) else default}")
    return words + (f" [{'; '.join(facts)}]" if facts else "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
