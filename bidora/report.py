"""A report on some runs: one HTML file that opens without a network and can be handed in or passed on.

It holds scores with intervals, differences seed by seed, what is fair about the comparison, curves, weights, cost, settings
and the commands that repeat it. It holds no input of the data: these may not be for passing on.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora import analysis, figures
from bidora.analysis.described import environment_table
from bidora.analysis.grouping import facts_of, in_order
from bidora.analysis.pooling import MEANING
from bidora.errors import LabError
from bidora.page import box, bullets, code, escaped, figure, folded, literal, paragraph, table, whole_page
from bidora.preview import command_lines
from bidora.runs import Run, write_text
from bidora.tasks import TASKS
from bidora.verdict import prediction_verdict, result_verdict
from bidora.wording import METHOD_NAMES, counted

if TYPE_CHECKING:
    import pandas

SIGNS = {True: "✓ equal", False: "! not equal", None: "? not known"}
BARRED = "✗ no conclusion allowed"

CLOSING = (
    "Differences are taken seed by seed on the same test data. An interval over one run answers “with another test set?”, "
    "one over several seeds “with another seed?”. Magnitudes are one per output unit, as in PEFT. The inputs of the data "
    "are left out of this report."
)


def report(
    runs: Iterable[Run],
    *,
    title: str = "",
    question: str = "",
    answer: str = "",
    correction: str = "holm",
    pooled: bool = False,
    reference: str | None = None,
) -> str:
    """The report as HTML text, about 5 MB, most of it plotly's own code.

    Args:
        runs: of one or several tasks; unfinished ones are listed and named as such.
        title: by default the tasks and methods.
        question: in the author's words; shown first. An empty line begins a new paragraph.
        answer: the author's conclusion; shown beside what the numbers allow.
        correction: of p for several tests, over all differences of the report: holm, bh or none.
        pooled: whether to test over tasks, too.
        reference: label of the method that all others are compared with; empty for every two, None for the usual
            choice (`bidora.analysis.usual_reference`).

    Raises:
        LabError: there are no runs, or the correction is unknown.
    """
    facts = in_order(facts_of(runs))
    if not facts:
        raise LabError("there are no runs to report on", hint="name runs, or a group of them", kind="run")
    chosen = [each.run for each in facts]
    blocks = _blocks(chosen)
    title = title or _title(chosen)
    parts = [f"<h1>{escaped(title)}</h1>\n", _opening(chosen)]
    if question:
        parts += ["<h2>The question</h2>\n", paragraph(question)]
    parts += ["<h2>What may be said</h2>\n", *(_said(name, members) for name, members in blocks)]
    if not blocks:
        parts.append(paragraph("None of these runs has final scores yet, so nothing may be said about their methods."))
    if answer:
        parts += ["<h3>In the author’s words</h3>\n", paragraph(answer)]
    if reference is None:
        reference = analysis.usual_reference(analysis.comparison(chosen))
    pairs = analysis.paired_differences(chosen, reference=reference, correction=correction)
    parts += [_over_tasks(chosen, correction, reference)] if pooled else []
    parts += [_results(name, members, pairs) for name, members in blocks]
    parts += [_each_run(chosen), _data(chosen), _repeat(chosen)]
    return whole_page(title, parts)


def write_report(
    runs: Iterable[Run],
    path: str | Path,
    *,
    title: str = "",
    question: str = "",
    answer: str = "",
    correction: str = "holm",
    pooled: bool = False,
    reference: str | None = None,
) -> Path:
    """Write the report to a file, whole or not at all; returns its absolute path. Arguments as of `report`.

    Raises:
        LabError: there are no runs, or the file cannot be written.
    """
    place = Path(path).expanduser()
    if place.suffix.lower() not in (".html", ".htm"):
        raise LabError(f"{place} does not end in .html", hint=f"write {place.name or 'report'}.html")
    terms: dict[str, Any] = dict(correction=correction, pooled=pooled, reference=reference)
    text = report(runs, title=title, question=question, answer=answer, **terms)
    try:
        write_text(place, text)
    except OSError as error:
        raise LabError(
            f"{place} cannot be written: {error.strerror or error}", hint="choose another folder", kind="disk"
        ) from error
    return place.resolve()


def _blocks(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Task, variant and examples per class in words, and the runs with final scores: only these can be compared."""
    groups = analysis.groups_of(runs)
    return [
        (analysis.block_in_words(block), [each.run for group in members for each in group.members])
        for block, members in groupby(groups, key=lambda group: group.block)
    ]


def _title(runs: Sequence[Run]) -> str:
    methods = dict.fromkeys(METHOD_NAMES.get(run.config.method, run.config.method) for run in runs)
    tasks = dict.fromkeys(run.config.task for run in runs)
    return f"{', '.join(methods)} on {', '.join(tasks)}"


def _opening(runs: Sequence[Run]) -> str:
    from bidora import __version__

    seeds = sorted({run.config.seed for run in runs})
    now = datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    words = f"{counted(len(runs), 'run')}, {counted(len(seeds), 'seed')} ({', '.join(map(str, seeds))}). "
    return paragraph(f"{words}Written on {now} by bidora-lab {__version__}.", kind="small")


def _said(name: str, runs: Sequence[Run]) -> str:
    found = analysis.headline(runs)
    if found is None:
        return ""
    barred = [each.sentence for each in analysis.fairness_findings(runs) if each.barred]
    content = bullets(f"{sentence}." for sentence in found.sentences) + paragraph(f"{found.terms}.", kind="small")
    if barred:
        warning = paragraph("No conclusion about the methods is allowed:") + bullets(barred)
        return f"<h3>{escaped(name)}</h3>\n" + box(warning, kind="barred") + content
    return f"<h3>{escaped(name)}</h3>\n" + box(content)


def _over_tasks(runs: Sequence[Run], correction: str, reference: str) -> str:
    """Differences over tasks, and what they mean; nothing where no two methods share two tasks."""
    found = analysis.pooled_differences(runs, reference=reference, correction=correction)
    if found.empty:
        return ""
    return "".join(
        [
            "<h2>Over tasks</h2>\n",
            bullets(f"{sentence}." for sentence in found["sentence"]),
            table(analysis.readable_differences(found), caption="Differences over tasks, one pair per task"),
            paragraph(MEANING, kind="small"),
        ]
    )


def _results(name: str, runs: Sequence[Run], all_pairs: pandas.DataFrame) -> str:
    scores = analysis.comparison(runs)
    pairs = (
        all_pairs[(all_pairs[analysis.BLOCK] == scores.iloc[0][analysis.BLOCK]).all(axis=1)]
        if len(all_pairs)
        else all_pairs
    )
    metric = str(scores["primary"].iloc[0])
    baseline = analysis.baseline_of(runs, metric=metric)
    parts = [
        f"<h2>Results: {escaped(name)}</h2>\n",
        figure(figures.scores(literal(scores), metric=metric, baseline=baseline)),
        table(
            analysis.readable_comparison(scores), caption=f"Scores with 95 % intervals, cost, change of weights: {name}"
        ),
    ]
    if len(pairs):
        parts.append(figure(figures.paired_differences(literal(pairs))))
        parts.append(table(analysis.readable_differences(pairs), caption=f"Differences on the same seeds: {name}"))
    parts += ["<h3>Is this comparison fair?</h3>\n", _fairness(runs, name), _curves(runs), _weights(runs, name)]
    parts += [figure(figures.cost(literal(scores), metric=metric)), "<h3>Settings</h3>\n", _settings(runs, name)]
    return "".join(parts)


def _fairness(runs: Sequence[Run], name: str) -> str:
    import pandas

    rows = [
        (BARRED if each.barred else SIGNS[each.fair], each.topic, each.sentence)
        for each in analysis.fairness_findings(runs)
    ]
    return table(pandas.DataFrame(rows, columns=["answer", "topic", "finding"]), caption=f"What was equal: {name}")


def _curves(runs: Sequence[Run]) -> str:
    way, about = literal(analysis.curves(runs)), analysis.measured(runs)
    drawn = figures.learning_curves(
        way, quantities=(f"test_{about.metric}",), examples=about.examples, baseline=about.baseline
    )
    loss = figures.learning_curves(way, quantities=("loss", "upper_loss"), loss_unit=about.loss_unit)
    return figure(loss) + figure(drawn)


def _weights(runs: Sequence[Run], name: str) -> str:
    points = analysis.dynamics_table(runs)
    if points.empty:
        return ""
    fits = analysis.fits_of(points)
    lines = analysis.readable_fits(analysis.dynamics_fits(points, fits))
    by_drawn_name = {html.escape(label, quote=False): fit for label, fit in fits.items()}
    drawn = figures.magnitude_vs_direction(literal(points), fits=by_drawn_name)
    return figure(drawn) + table(lines, caption=f"Lines through ΔM against ΔD: {name}")


def _settings(runs: Sequence[Run], name: str) -> str:
    differing = analysis.settings_table(runs)
    every = analysis.settings_table(runs, only_differences=False)
    none = paragraph("These runs differ in no setting.")
    return (table(differing, caption=f"Settings that differ: {name}") or none) + folded(
        "All settings", table(every, caption=f"All settings: {name}")
    )


def _each_run(runs: Sequence[Run]) -> str:
    rows = analysis.runs_table(runs)
    shown = rows[["id", "name", "group", "state", "label", "seed"]].rename(columns={"label": "method"})
    lines = [f"{run.meta.get('name') or run.id}: {result_verdict(run)}" for run in runs if run.result]
    predicted = [found.sentence for run in runs if (found := prediction_verdict(run)) is not None]
    return "".join(
        [
            "<h2>Each run</h2>\n",
            table(shown, caption="Runs of this report"),
            bullets(lines),
            "<h3>What was predicted</h3>\n" + bullets(predicted) if predicted else "",
        ]
    )


def _data(runs: Sequence[Run]) -> str:
    parts = ["<h2>Data</h2>\n"]
    for name in dict.fromkeys(run.config.task for run in runs):
        task = TASKS.get(name)
        own = [run for run in runs if run.config.task == name]
        notes = dict.fromkeys(str(note) for run in own for note in _listed(run.meta.get("notes")))
        parts.append(f"<h3>{escaped(task.title if task else name)}</h3>\n")
        if task:
            about = {"Source": task.source, "Licence": task.licence, "Cite": task.citation}
            parts.append(bullets(f"{word}: {text}" for word, text in about.items() if text))
            parts.append(paragraph(task.notice))
        parts.append(bullets(notes))
    return "".join(parts)


def _repeat(runs: Sequence[Run]) -> str:
    commands = command_lines(run.config for run in runs)
    environments: dict[str, pandas.DataFrame] = {}
    for run in runs:
        found = environment_table(run.meta)
        environments.setdefault(found.to_csv(), found)
    first = next(iter(environments.values()))
    more = (
        f" (of the first run; {len(environments) - 1} others differ, if only in the data)"
        if len(environments) > 1
        else ""
    )
    return "".join(
        [
            "<h2>To repeat it</h2>\n",
            paragraph("One line per run; equal settings give equal data and, on the same machine, equal numbers."),
            code(commands),
            folded(f"Versions, device, hashes{more}", table(first, caption=f"Environment{more}")),
            paragraph(CLOSING, kind="small"),
        ]
    )


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
