"""bidora compare: tests, corrections, pooled differences, and what it writes to files."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess

import pytest
from run_folders import write_run
from test_pooling import write_tasks

from bidora.analysis import comparison, paired_differences
from bidora.analysis.latex import differences_in_latex, escaped, scores_in_latex
from bidora.cli import main
from bidora.report import report


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def runs(tmp_path):
    """DoRA and BiDoRA on five tasks with two seeds each, as a group."""
    found = write_tasks(tmp_path / "runs")
    for run in found:
        run.update_meta(group="study")
    return found


def test_tests_and_effect_sizes_stand_below_the_scores(runs, capsys):
    assert main(["compare", "--group", "study"]) == 0
    out = capsys.readouterr().out
    assert "p (Holm, 5 tests)" in out and "smallest p" in out and "effect size d_z" in out
    assert "Over tasks" not in out


def test_pooled_says_what_it_means(runs, capsys):
    assert main(["compare", "--group", "study", "--pooled", "--correction", "none"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "p (Holm" not in out and "p, no correction" in out
    assert "BiDoRA − DoRA 5 5 0" in out and "each task counts as one pair" in out


def test_a_reference_by_any_case_and_another_metric(runs, capsys):
    assert main(["compare", "--group", "study", "--reference", "bidora", "--metric", "macro_f1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {pair["second"] for pair in found["pairs"]} == {"BiDoRA"}
    assert {pair["metric"] for pair in found["pairs"]} == {"macro_f1"}
    assert main(["compare", "--group", "study", "--reference", "PiSSA"]) == 2
    assert "there are DoRA, BiDoRA" in capsys.readouterr().err
    assert main(["compare", "--group", "study", "--metric", "fun"]) == 2
    assert "no run has a score 'fun'" in capsys.readouterr().err


def test_everything_can_be_written_to_files(runs, tmp_path, capsys):
    places = {name: tmp_path / f"out.{name}" for name in ("csv", "latex", "html")}
    words = [f"--{name}={place}" for name, place in places.items()]
    assert main(["compare", "--group", "study", "--pooled", *words]) == 0
    out = capsys.readouterr().out
    assert all(f"written: {place}" in out for place in places.values())
    pairs = list(csv.DictReader(io.StringIO((tmp_path / "out-differences.csv").read_text(encoding="utf-8"))))
    assert len(pairs) == 5 and {"p_corrected", "effect_size", "smallest_p"} <= set(pairs[0])
    latex = places["latex"].read_text(encoding="utf-8")
    assert latex.count(r"\begin{table}") == 3 and r"\label{tab:pooled}" in latex
    html = places["html"].read_text(encoding="utf-8")
    assert "<h2>Over tasks</h2>" in html and "p (Holm, 5 tests)" in html
    assert main(["compare", "--group", "study", "--latex", str(tmp_path / "no" / "such" / "out.tex")]) in (0, 2)
    assert main(["compare", "--group", "study", "--latex", str(tmp_path)]) == 2


def test_published_scores_can_stand_beside(runs, capsys):
    assert main(["compare", "--group", "study", "--published"]) == 0
    assert "Published scores and ours" in capsys.readouterr().out


# -- LaTeX ----------------------------------------------------------------------------------------------------------


def test_names_are_escaped():
    assert escaped(r"50 % of a_b & {c} $d$ #1 ~ ^ \input{x}") == (
        r"50 \% of a\_b \& \{c\} \$d\$ \#1 \textasciitilde{} \textasciicircum{} \textbackslash{}input\{x\}"
    )
    assert escaped("ξ=lr β₁ −1 ∞") == r"$\xi$=lr $\beta$$_1$ $-$1 $\infty$"
    assert escaped("two\nlines") == "two lines"


def test_tables_have_as_many_cells_in_every_row(tmp_path):
    found = write_tasks(tmp_path) + [write_run(tmp_path, "lora", 0, task="mic")]
    for text in (scores_in_latex(comparison(found)), differences_in_latex(paired_differences(found))):
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        (columns,) = (line for line in text.splitlines() if line.startswith(r"\begin{tabular}"))
        assert {row.count("&") + 1 for row in rows} == {columns.count("l}") and len(columns.split("{")[-1].rstrip("}"))}
        assert "nan" not in text and "textbf" not in text
    assert "--" in scores_in_latex(comparison(found))  # LoRA has one task of six


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here")
def test_it_compiles(runs, tmp_path):
    place = tmp_path / "tables.tex"
    main(["compare", "--group", "study", "--pooled", "--latex", str(place)])
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\\input{tables}"
        + "\\par\\sloppy "
        + escaped("ÄÉñß Łódź µ ±½ ∇ⁿ ₀₁₅ λσΣ √≈≠ ⊙ → … „“ «» Ð 漢字 🙂 и \x07 \u2009~^#{}$\\&%_")
        + "\\end{document}"
    )
    done = subprocess.run(["pdflatex", "-halt-on-error", "paper.tex"], cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == 0, done.stdout[-1500:]
    assert b"Overfull" not in done.stdout and b"Missing character" not in done.stdout


def test_many_methods_are_compared_with_one_of_them_unless_all_pairs_are_asked_for(tmp_path, capsys):
    for method in ("lora", "rslora", "dora", "bidora", "head"):
        for seed in (0, 1):
            write_run(tmp_path / "runs", method=method, seed=seed).update_meta(group="five")
    assert main(["compare", "--group", "five"]) == 0
    out = capsys.readouterr().out
    assert "all others against DoRA; --reference all takes every two" in out
    assert "LoRA − DoRA" in out and "BiDoRA − LoRA" not in out
    assert main(["compare", "--group", "five", "--reference", "All", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pairs"]) == 10


def test_a_report_of_many_methods_compares_them_with_one_too(tmp_path):
    runs = [
        write_run(tmp_path / "runs", method=m, seed=s)
        for m in ("lora", "rslora", "dora", "bidora", "head")
        for s in (0, 1)
    ]
    usual, every = report(runs), report(runs, reference="")
    assert "BiDoRA − DoRA" in usual and "BiDoRA − LoRA" not in usual
    assert "BiDoRA − LoRA" in every
