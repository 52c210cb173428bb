"""The notebooks: they belong to their sources, run to the end unsolved, and pass every check when solved."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="the notebooks' packages are not installed: pip install -e .[notebooks]")
pytest.importorskip("nbclient", reason="the notebooks' packages are not installed: pip install -e .[notebooks]")

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
NUMBERS = [path.name[:2] for path in SOURCES]


@pytest.fixture(scope="module")
def build():
    """notebooks/build.py as a module."""
    specification = importlib.util.spec_from_file_location("notebook_build", FOLDER / "build.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["notebook_build"] = module
    specification.loader.exec_module(module)
    return module


def markdown(source: Path) -> str:
    """The text cells of a committed notebook."""
    cells = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_there_are_ten_with_a_page_for_teachers_each() -> None:
    assert [f"{number:02d}" for number in range(10)] == NUMBERS
    assert [path.stem for path in sorted((FOLDER / "teaching").glob("[0-9][0-9].md"))] == NUMBERS


@pytest.mark.parametrize("source", SOURCES, ids=NUMBERS)
def test_the_committed_notebook_belongs_to_its_source(build, source: Path) -> None:
    assert not list(build.problems(source))


@pytest.mark.parametrize("source", SOURCES, ids=NUMBERS)
def test_exercise_cells_and_exercises_belong_together(build, source: Path) -> None:
    asked = {cell.metadata["exercise"] for cell in build.read(source).cells if "exercise" in cell.metadata}
    module = importlib.import_module(f"bidora.exercises.nb{source.name[:2]}")
    assert asked == {exercise.key for exercise in module.EXERCISES}
    text = source.read_text(encoding="utf-8")
    for exercise in module.EXERCISES:
        assert re.search(rf'check\(\s*"{exercise.key}"', text), f"{exercise.key} is never checked"
        assert len(exercise.hints) == 3 and exercise.level in ("core", "deeper") and exercise.difficulty in (1, 2, 3)


@pytest.mark.parametrize("source", SOURCES, ids=NUMBERS)
def test_headings_go_down_one_step_at_a_time(source: Path) -> None:
    text = re.sub(r"```.*?```", "", markdown(source), flags=re.DOTALL)
    levels = [len(found) for found in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_the_map_gives_the_minutes_that_each_notebook_gives() -> None:
    on_the_map = dict(re.findall(r"\[(\d\d) · [^|]*\|[^|]*\| (\d+) \|", markdown(SOURCES[0])))
    own = {
        path.name[:2]: re.search(r"^\| laptop[^|]*\| (\d+)", markdown(path), re.MULTILINE)[1] for path in SOURCES[1:]
    }
    assert on_the_map == own


@pytest.mark.parametrize("source", SOURCES, ids=NUMBERS)
def test_links_lead_somewhere(source: Path) -> None:
    teaching = (FOLDER / "teaching" / f"{source.name[:2]}.md").read_text(encoding="utf-8")
    for text, folder in ((markdown(source), FOLDER), (teaching, FOLDER / "teaching")):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not re.match(r"[a-z]+:", target):
                assert (folder / target).exists(), f"{source.name}: {target}"


@pytest.mark.parametrize("source", SOURCES, ids=NUMBERS)
def test_no_folder_of_a_machine_and_no_article_is_shown(source: Path) -> None:
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|Users|tmp|work)/", text)


@pytest.mark.slow
@pytest.mark.notebook
@pytest.mark.parametrize("solved", [False, True], ids=["as found", "solved"])
@pytest.mark.parametrize("source", SOURCES, ids=NUMBERS)
def test_it_runs_to_the_end(build, source: Path, solved: bool) -> None:
    notebook = build.read(source, solved=solved)
    build.run(notebook, solved=solved)
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []) if output.get("text")
    )
    assert ("✗" not in printed and "○" not in printed) if solved else "✓" not in printed or "○" in printed
