"""`python -m benchmarks`: speed, memory and accuracy against PEFT and Betty, in one run.

python -m benchmarks                        everything on the CPU; writes benchmarks/results/cpu.json
python -m benchmarks --device cuda          … on the GPU
python -m benchmarks --quick                tiny random models: does everything run? Its times mean nothing
python -m benchmarks --only steps layer     some parts; the others keep their numbers in the file
"""

from __future__ import annotations

import argparse
import importlib
import logging
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.report import now, save, saved, text_of
from benchmarks.settings import Part, Settings
from benchmarks.workloads import SIZES

PARTS = ("accuracy", "steps", "layer", "recorder", "loading", "startup")
"""Modules with a function `run(settings) -> Part`, in the order in which they run."""

RESULTS = Path(__file__).resolve().parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run the parts that were asked for, print their tables, write the file."""
    options = _parser().parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("device=cuda is not available here; use --device cpu")
    if options.threads:
        torch.set_num_threads(options.threads)
    output = options.output or (None if options.quick else RESULTS / f"{device.type}.json")
    _be_quiet()
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(
            device, options.quick, Path(scratch), rounds=options.rounds, sizes=tuple(options.sizes), brief=options.brief
        )
        parts = measured(settings, options.only or list(PARTS), earlier=output)
    if output is not None:
        save(
            output,
            {name: {**part.to_dict(), "measured": now()} for name, part in parts.items()},
            device,
            quick=options.quick,
        )
        print(f"written to {output}")
    return 0


def measured(settings: Settings, names: list[str], *, earlier: Path | None = None) -> dict[str, Part]:
    """Run parts and print their tables; steps get their accuracy, measured now or earlier, beside their times."""
    from benchmarks.accuracy import with_accuracy
    from benchmarks.steps import with_earlier

    parts: dict[str, Part] = {}
    for name in sorted(names, key=PARTS.index):
        began = time.perf_counter()
        part = importlib.import_module(f"benchmarks.{name}").run(settings)
        if name == "steps":
            known = parts["accuracy"].rows if "accuracy" in parts else _earlier_rows(earlier, "accuracy")
            rows = with_accuracy(part.rows, known)
            if settings.brief or settings.sizes:
                rows = with_earlier(rows, _earlier_rows(earlier, "steps"))
            part = replace(part, rows=rows)
        parts[name] = part
        print(f"{text_of(part)}\n· took {time.perf_counter() - began:.0f} s\n", flush=True)
    return parts


def _earlier_rows(path: Path | None, part: str) -> list[dict]:
    found = saved(path).get("parts", {}) if path is not None else {}
    return found.get(part, {}).get("rows", [])


def _be_quiet() -> None:
    """Tables only: no progress bars and no warnings of the libraries."""
    from transformers.utils import logging as transformers_logging

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny random models and two rounds")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (default: cpu)")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=0, help="timings of each contestant (default: 5 for steps)")
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=[],
        choices=[str(size) for size in SIZES],
        metavar="SIZE",
        help="steps and accuracy only: some of " + ", ".join(f"'{size}'" for size in SIZES),
    )
    parser.add_argument(
        "--brief",
        action="store_true",
        help="steps only: the README's table; other rows keep their numbers and their day",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's own choice)")
    parser.add_argument(
        "--output", type=Path, help="where to write (default: benchmarks/results/<device>.json; quick: nowhere)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
