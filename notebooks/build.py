"""Builds the notebooks from their text sources, runs them, and checks that both belong together.

    python notebooks/build.py                  run all as a student finds them and write the .ipynb files
    python notebooks/build.py 01 05            … only these
    python notebooks/build.py --solved         run all with the solutions filled in; every check must pass; writes nothing
    python notebooks/build.py --check          do the committed .ipynb files still belong to their sources? Runs nothing

LAB_FULL=1 lets the heavy parts train afresh; else they look at the recordings that come with the lab.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
LARGEST = 1_000_000
SECONDS = 3 * 3600 if os.environ.get("LAB_FULL") == "1" else 600
"""Longest time of one cell."""


def sources(names: list[str]) -> list[Path]:
    """The text sources, all or those whose name begins with one of the given numbers."""
    found = [path for path in sorted(FOLDER.glob("[0-9][0-9]_*.py")) if not names or path.name[:2] in names]
    missing = set(names) - {path.name[:2] for path in found}
    if missing:
        raise SystemExit(f"there is no notebook {', '.join(sorted(missing))}")
    return found


def read(source: Path, *, solved: bool = False) -> Any:
    """A notebook from its source; solved: with the solutions in place of the exercise cells."""
    notebook = jupytext.read(source)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.name[:2]}-{place:03d}"
        key = cell.metadata.get("exercise")
        if solved and key:
            from bidora.exercises.checking import solution_code

            cell.source = solution_code(key)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def run(notebook: Any, *, solved: bool) -> None:
    """Run all cells in a fresh kernel, in the notebooks' own folder."""
    with tempfile.TemporaryDirectory(prefix="notebook-runs-", ignore_cleanup_errors=True) as runs:
        environment = {
            "BIDORA_NOTEBOOK": "still",
            "BIDORA_EXERCISES": "strict" if solved else "",
            "BIDORA_RUNS": runs,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(FOLDER.parent), os.environ.get("PYTHONPATH")])),
        }
        os.environ.update(environment)
        client = NotebookClient(
            notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
        )
        client.execute()


def problems(source: Path) -> Iterator[str]:
    """What is wrong with a committed notebook."""
    built = source.with_suffix(".ipynb")
    if not built.exists():
        yield f"{built.name} is missing"
        return
    if built.stat().st_size > LARGEST:
        yield f"{built.name} has {built.stat().st_size:,} bytes, more than {LARGEST:,}"
    there, wanted = nbformat.read(built, as_version=4), read(source)
    if [(cell.cell_type, cell.source) for cell in there.cells] != [(c.cell_type, c.source) for c in wanted.cells]:
        yield f"{built.name} was built from another version of {source.name}: run `python notebooks/build.py {source.name[:2]}`"
    if "widgets" in there.metadata:
        yield f"{built.name} holds widget state"
    for cell in there.cells:
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            yield f"{built.name}: a cell ended in an error: {cell.source.splitlines()[0]}"


def clean(notebook: Any) -> None:
    """Leave out what changes from run to run or belongs to no reader."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in ("exercise", "tags", "jupyter")}
        if cell.cell_type == "code":
            cell.outputs = joined(each for each in cell.outputs if each.get("name") != "stderr")


def joined(outputs: Iterable[Any]) -> list[Any]:
    """Printed text in one piece, however many pieces the kernel sent it in."""
    found: list[Any] = []
    for each in outputs:
        if found and each.output_type == "stream" and found[-1].output_type == "stream" and each.name == found[-1].name:
            found[-1].text += each.text
        else:
            found.append(each)
    return found


def main() -> int:
    """Build, run or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NUMBER", help="notebooks, by their two digits (default: all)")
    parser.add_argument("--solved", action="store_true", help="with the solutions; writes nothing")
    parser.add_argument("--check", action="store_true", help="only compare .ipynb files with their sources")
    args = parser.parse_args()
    if args.check:
        found = [problem for source in sources(args.names) for problem in problems(source)]
        print("\n".join(found) or "all notebooks belong to their sources")
        return 1 if found else 0
    for source in sources(args.names):
        began = time.monotonic()
        print(f"{source.stem} …", end=" ", flush=True)
        notebook = read(source, solved=args.solved)
        run(notebook, solved=args.solved)
        if not args.solved:
            clean(notebook)
            nbformat.write(notebook, source.with_suffix(".ipynb"))
        print(f"{time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parent))
    raise SystemExit(main())
