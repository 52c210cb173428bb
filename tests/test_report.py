"""The report: what it says, that it needs nothing but itself, and that no name in it is read as HTML."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from run_folders import write_comparison, write_run

from bidora.cli import main
from bidora.errors import LabError
from bidora.page import POLICY, figure, literal, table
from bidora.report import report, write_report
from bidora.runs import write_json

HOSTILE = "<img src=x onerror=alert(1)></script><b>\"'&amp;"


class Elements(HTMLParser):
    """Which elements and attributes a browser would see, scripts aside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.text += data

    @property
    def headings(self) -> list[int]:
        return [int(name[1]) for name in self.names if re.fullmatch("h[1-6]", name)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_comparison(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def page(runs):
    return report(runs, question="Does it help?\n\nA second paragraph.", answer="Too early to tell.")


@pytest.fixture(scope="module")
def seen(page):
    return Elements(page)


def test_it_says_what_may_be_said_and_what_was_equal(seen):
    assert "BiDoRA higher than DoRA in 3 of 3 seeds" in seen.text
    assert "chance alone makes 3 of 3 agree in 25 % of cases" in seen.text
    assert "✓ equal" in seen.text and "! not equal" in seen.text and "? not known" in seen.text
    assert "Compute: not equal." in seen.text
    assert "Does it help?" in seen.text and "A second paragraph." in seen.text and "Too early to tell." in seen.text


def test_it_says_how_to_repeat_it_and_on_which_terms_the_data_are(seen):
    assert seen.text.count("bidora run --task reuters") == 12
    assert "Reuters-21578, Distribution 1.0" in seen.text and "for research purposes only" in seen.text
    assert "device: name" in seen.text


def test_every_figure_has_a_heading_and_its_words(page, seen):
    figures = seen.names.count("figure")
    assert figures == 6
    assert page.count("<strong>In words:</strong>") == figures
    assert page.count("Plotly.newPlot(") >= figures
    labels = [value for name, value in seen.attributes if name == "aria-label"]
    assert all(labels) and len(labels) == figures + seen.names.count("table")


def test_headings_do_not_jump(seen):
    assert seen.headings[0] == 1 and seen.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(seen.headings, seen.headings[1:]))


def test_it_needs_nothing_but_itself(page, seen):
    assert not {"link", "iframe", "object", "embed"} & set(seen.names)
    assert not [value for name, value in seen.attributes if name in ("src", "href", "srcset", "action")]
    assert POLICY in page and "default-src 'none'" in POLICY and "http" not in POLICY
    assert "plotly.js" in page and len(page) > 3_000_000


def test_no_name_is_read_as_html(tmp_path):
    hostile = [
        write_run(tmp_path, "dora", seed, 0.9, model=HOSTILE, label_column=HOSTILE, group=HOSTILE) for seed in (0, 1)
    ]
    plain = [write_run(tmp_path, "dora", seed, 0.8, model="minilm") for seed in (0, 1)]
    hostile[0].update_meta(
        name=HOSTILE,
        notes=[HOSTILE],
        versions={HOSTILE: HOSTILE},
        prediction={"question": HOSTILE, "answer": HOSTILE},
    )
    text = report([*hostile, *plain], title=HOSTILE, question=HOSTILE, answer=HOSTILE)
    seen = Elements(text)
    assert not {"img", "b"} & set(seen.names)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert seen.text.count(HOSTILE) > 8
    assert "<img" not in re.sub(r"<script>/\*\*.*?</script>", "", text, flags=re.DOTALL)


def test_names_come_to_plotly_as_text(tmp_path):
    """Plotly reads tags in its own texts; a label must reach it escaped."""
    from bidora import analysis, figures

    runs = [write_run(tmp_path, "dora", seed, 0.9, model=name) for seed in (0, 1) for name in ("<b>x</b>", "y")]
    drawn = figures.scores(literal(analysis.comparison(runs)))
    assert "DoRA model=&lt;b&gt;x&lt;/b&gt;" in [trace.name for trace in drawn.data]
    shown = figure(drawn)
    assert "DoRA model=&lt;b&gt;x&lt;/b&gt;: 90 (" in shown  # once escaped, for the page
    assert "&amp;lt;" not in shown


def test_unfinished_runs_are_named_and_allow_no_conclusion(tmp_path):
    runs = [write_run(tmp_path, "lora", state="stopped"), write_run(tmp_path, "dora", state="stopped")]
    seen = Elements(report(runs))
    assert "None of these runs has final scores yet" in seen.text
    assert "stopped" in seen.text and "figure" not in seen.names


def test_one_seed_is_barred(tmp_path):
    seen = Elements(report(write_comparison(tmp_path, (0,), methods="lora dora")))
    assert "No conclusion about the methods is allowed" in seen.text
    assert "✗ no conclusion allowed" in seen.text
    assert ("class", "box barred") in seen.attributes


def test_two_tasks_have_their_own_parts(tmp_path):
    runs = [write_run(tmp_path, method, task=task) for task in ("reuters", "peptides") for method in ("lora", "dora")]
    seen = Elements(report(runs))
    assert "Results: reuters" in seen.text and "Results: peptides" in seen.text


def test_damaged_results_do_no_harm(tmp_path):
    runs = write_comparison(tmp_path, (0,), methods="lora dora")
    write_json(runs[0].path / "result.json", {"scores": {"accuracy": "high"}, "cost": None})
    (runs[0].path / "metrics.jsonl").unlink()
    write_json(runs[1].path / "meta.json", {"notes": "text", "data": 3})
    assert "lora" in report(runs)


def test_no_input_of_the_data_is_in_it(tmp_path):
    run = write_run(tmp_path, "lora")
    predictions = run.predictions().assign(input="an articlewithoutaname")
    predictions.to_parquet(run.path / "predictions.parquet")
    assert "articlewithoutaname" not in report([run])


def test_nothing_to_report_on_is_refused():
    with pytest.raises(LabError, match="no runs to report on"):
        report([])


def test_the_file_is_written_whole(tmp_path, runs):
    place = write_report(runs[:2], tmp_path / "out.html")
    assert place.is_absolute() and place.read_text(encoding="utf-8").endswith("</html>\n")
    with pytest.raises(LabError, match=r"does not end in \.html"):
        write_report(runs[:2], tmp_path / "out.txt")
    with pytest.raises(LabError, match="cannot be written"):
        write_report(runs[:2], tmp_path / "missing" / "out.html")


def test_the_command_writes_it(tmp_path, capsys):
    write_comparison(tmp_path / "runs", (0, 1), methods="lora dora")
    root = ["--root", str(tmp_path / "runs")]
    out = tmp_path / "methods.html"
    assert main(["report", "--group", "demo", *root, "--out", str(out), "--title", "Ours & theirs"]) == 0
    assert f"written: {out.resolve()} (" in capsys.readouterr().out
    assert "<h1>Ours &amp; theirs</h1>" in out.read_text(encoding="utf-8")
    assert main(["report", "nothing-here", *root, "--out", str(out)]) == 2
    assert "no run 'nothing-here'" in capsys.readouterr().err


def test_an_empty_table_is_left_out_and_cells_are_escaped():
    import pandas

    assert table(pandas.DataFrame(columns=["a"]), caption="x") == ""
    assert f"<td>{html.escape(HOSTILE)}</td>" in table(pandas.DataFrame({"a": [HOSTILE]}), caption="x")
