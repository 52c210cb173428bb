"""The floors of the house: imports run downwards only, and torch stays out of where it is not needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "bidora"

FLOORS = {
    4: "cli __main__",
    3: "train exercises",
    2: "report page final_weights trainer level_trainer upper_notes recorder figures evaluation phases result",
    1: (
        "verdict remedies fetching sources inspection adapter classifier checkpoint models "
        "tasks metrics weights analysis launch queueing grid sweeping tuning published reproducing presets benchmark_scores drafts preview "
        "preflight estimate own_data working lessons glossary encoding kinds recordings"
    ),
    0: (
        "sandbox config runs errors wording machine weight_files parquet_size uploads decomposition statistics "
        "hypergradient orthogonality cost order provenance methods dora_layer linear_layers target_modules shortcuts"
    ),
}
"""Floor → the modules on it (first name below bidora). A new module needs a floor."""

FLOOR = {name: floor for floor, names in FLOORS.items() for name in names.split()}

NO_TORCH = (
    *(
        "queueing",
        "grid",
        "sweeping",
        "tuning",
        "published",
        "reproducing",
        "presets",
        "drafts",
        "preview",
        "preflight",
        "estimate",
        "own_data",
        "wording",
        "benchmark_scores",
    ),
    *(
        "report",
        "page",
        "verdict",
        "remedies",
        "config",
        "runs",
        "errors",
        "machine",
        "fetching",
        "weight_files",
        "parquet_size",
        "uploads",
        "sources",
        "inspection",
        "statistics",
        "launch",
        "recordings",
        "working",
        "analysis",
        "figures",
        "cli",
        "tasks",
        "metrics",
    ),
    "models",
    *("lessons", "glossary", "sandbox", "methods", "target_modules"),
)
"""Neither these nor what they import at module level may import torch; a function of theirs may, when it is called."""

HEAVY = {"torch", "transformers", "peft", "accelerate", "datasets", "betty"}
"""torch, and what imports it."""

METHOD_BRANCHES = ("methods",)
"""Where `method` may be branched on: what is trained, how, and in which phases is said there. Analysis and exercises show it."""


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def first_name(module: str) -> str:
    """The name below bidora: bidora.tasks.reuters → tasks; "" for bidora itself."""
    return (module.split(".") + [""])[1]


def imported(tree: ast.AST, *, package: str, top_only: bool) -> set[str]:
    """Full names of what is imported, at module level only or anywhere; blocks for type checkers are left out."""
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        if top_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{package}: write imports with full names"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in SOURCES else str(node.module))
        waiting += ast.iter_child_nodes(node)
    return found


def with_parents(module: str) -> set[str]:
    """A module and the packages around it, whose __init__ is run first."""
    parts = module.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}


def reachable(module: str) -> dict[str, list[str]]:
    """Everything that importing a module imports at module level: name → the chain that leads to it."""
    chains: dict[str, list[str]] = {}
    waiting = [(each, [each]) for each in sorted(with_parents(module))]
    while waiting:
        name, chain = waiting.pop(0)
        if name in chains:
            continue
        chains[name] = chain
        for target in sorted(imported(SOURCES[name], package=name, top_only=True)) if name in SOURCES else ():
            inside = with_parents(target) if target in SOURCES else {target.split(".")[0]}
            waiting += [(each, [*chain, each]) for each in sorted(inside)]
    return chains


def test_every_module_has_a_floor():
    names = {first_name(module) for module in SOURCES} - {""}
    assert names <= set(FLOOR), f"give these a floor in FLOORS: {sorted(names - set(FLOOR))}"


@pytest.mark.parametrize("module", [module for module in SOURCES if first_name(module)])
def test_imports_run_downwards_only(module):
    own = FLOOR[first_name(module)]
    for target in imported(SOURCES[module], package=module, top_only=False):
        if target.startswith("bidora.") and first_name(target) != first_name(module):
            floor = FLOOR[first_name(target)]
            assert floor <= own, f"{module} (floor {own}) imports {target} (floor {floor})"


@pytest.mark.parametrize("module", [module for module in SOURCES if first_name(module)])
def test_the_package_itself_is_not_imported_from_inside(module):
    for target in imported(SOURCES[module], package=module, top_only=True):
        assert target != "bidora", f"{module}: import from the module that has the name"


def test_there_are_no_circles_of_imports_at_module_level():
    def visit(module: str, chain: list[str]) -> None:
        if module in done:
            return
        assert module not in chain, " → ".join([*chain[chain.index(module) :], module])
        for target in sorted(imported(SOURCES[module], package=module, top_only=True) & set(SOURCES)):
            visit(target, [*chain, module])
        done.add(module)

    done: set[str] = set()
    for module in SOURCES:
        visit(module, [])


@pytest.mark.parametrize("module", [module for module in SOURCES if first_name(module) in ("", *NO_TORCH)])
def test_no_torch_at_module_level(module):
    for name, chain in reachable(module).items():
        assert name not in HEAVY, " → ".join(chain)


def test_importing_all_of_them_does_not_bring_torch_in_by_another_door():
    there = sorted(module for module in SOURCES if first_name(module) in ("", *NO_TORCH))
    code = f"""
import importlib, sys
for name in {there}:
    importlib.import_module(name)
print(*sorted({HEAVY} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", [m for m in SOURCES if first_name(m) not in METHOD_BRANCHES])
def test_the_method_is_branched_on_in_few_places_only(module):
    """A comparison of `….method` with a text decides what a method is; that belongs into bidora.methods."""
    if first_name(module) in ("cli", "figures", "analysis", "exercises"):
        return  # they show it
    for node in ast.walk(SOURCES[module]):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "method":
            raise AssertionError(f"{module}, line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Match) and isinstance(node.subject, ast.Attribute) and node.subject.attr == "method":
            raise AssertionError(f"{module}, line {node.lineno}: match {ast.unparse(node.subject)}")


def test_the_lazy_names_of_the_package_exist():
    """`bidora.NAME` is looked up on first use; a wrong home would only be found then."""
    code = "import bidora\nfor name in bidora.__all__: getattr(bidora, name)"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_is_unpickled(module):
    """Only safetensors, JSON, parquet, CSV are read from outside; torch.load only with weights_only=True."""
    assert not imported(SOURCES[module], package=module, top_only=False) & {
        "pickle",
        "dill",
        "cloudpickle",
        "joblib",
        "marshal",
    }
    for node in ast.walk(SOURCES[module]):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called == "torch.load":
            assert keywords.get("weights_only") == "True", f"{module}, line {node.lineno}"
        assert called not in ("pandas.read_pickle", "pd.read_pickle"), f"{module}, line {node.lineno}"
        assert keywords.get("allow_pickle") != "True", f"{module}, line {node.lineno}"
