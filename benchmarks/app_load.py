"""`python -m benchmarks.app_load`: how quickly the lab answers, alone and with a class of visitors beside running jobs.

It prints numbers with the machine's load beside them, and asserts nothing. Visitors speak Streamlit's protocol without
drawing anything (`benchmarks.visitors`); where Chromium is, some real pages are measured at the same time, and the first
view of a cold server.

    python -m benchmarks.app_load                          30 visitors, 3 jobs, 90 s; writes benchmarks/results/app_load.json
    python -m benchmarks.app_load --visitors 5 --jobs 0    … less; writes nothing unless --output is given
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.report import now, save, text_of
from benchmarks.serving import BROWSER, chromium, jobs, server
from benchmarks.settings import Part
from benchmarks.visitors import Switch, visit
from bidora.recordings import recordings

RESULTS = Path(__file__).resolve().parent / "results" / "app_load.json"
TITLES = {"Decompose": "Decompose", "Runs": "Runs", "Glossary": "Glossary", "Compare": "Compare", "New run": "New run"}

COLUMNS = {
    "what": "page",
    "count": "n",
    "median_milliseconds": "median ms",
    "late_milliseconds": "95th percentile ms",
    "kilobytes": "kB",
}
COLD = {"what": "step", "count": "n", "median_milliseconds": "median ms", "longest_milliseconds": "longest ms"}


# -- what is measured -----------------------------------------------------------------------------------------------


def cold(runs: Path, rounds: int) -> Part:
    """A server that was just started: until it answers, and until three visits see the finished comparison."""
    from playwright.sync_api import sync_playwright

    visits = ("first visit", "next visitor, an empty browser", "the same browser once more")
    seconds: dict[str, list[float]] = {"server answers": []}
    loads = []
    with sync_playwright() as playwright:
        for _ in range(rounds):
            loads.append(os.getloadavg()[0])
            browser = playwright.chromium.launch(executable_path=chromium(), args=list(BROWSER))
            began = time.perf_counter()
            with server(runs) as lab:
                seconds["server answers"].append(time.perf_counter() - began)
                for visit_name in visits:
                    if visit_name != visits[2]:
                        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
                    began = time.perf_counter()
                    page.goto(f"http://{lab.address}/", wait_until="commit")
                    page.locator(".still img").filter(visible=True).first.wait_for(timeout=120_000)
                    seen = time.perf_counter() - began
                    page.locator("#root .still img").filter(visible=True).wait_for(timeout=120_000)
                    page.locator("#first-view").wait_for(state="detached", timeout=120_000)
                    seconds.setdefault(f"comparison with its picture, {visit_name}", []).append(seen)
                    seconds.setdefault(f"links and menus answer, {visit_name}", []).append(time.perf_counter() - began)
            browser.close()
    rows = [
        {
            "what": name,
            "count": len(each),
            "median_milliseconds": 1e3 * float(np.median(each)),
            "longest_milliseconds": 1e3 * max(each),
        }
        for name, each in seconds.items()
    ]
    return Part(
        "the first view of a cold server, in Chromium",
        COLD,
        rows,
        notes=[
            f"load average before each round: {_words(loads)}{_priority()}",
            "an empty browser has to fetch and read Streamlit's code first; the comparison comes with the page itself",
        ],
    )


def pages(address: str, until: float) -> list[Switch]:
    """One person with Chromium who follows the menu: from the click until title and page are there."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(BROWSER))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(f"http://{address}/")
        page.get_by_role("heading", name="BiDoRA Lab").wait_for()
        while time.monotonic() < until:
            for name, title in TITLES.items():
                page.wait_for_timeout(1000)
                began = time.perf_counter()
                page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
                page.get_by_role("heading", name=title, level=1).wait_for()
                found.append(Switch(name, time.perf_counter() - began, 0))
        browser.close()
    return found


def crowd(runs: Path, options: argparse.Namespace) -> list[Part]:
    """Visitors without a browser, and one with, while jobs run."""
    recorded = [run.id for run in recordings()][:6]
    with server(runs) as lab, jobs(options.jobs, runs) as made:
        watched = (("runs", f"run={made[0].id}"),) if made else ()
        stations = (
            ("", ""),
            ("decompose", ""),
            ("two_levels", ""),
            ("new_run", ""),
            ("runs", ""),
            *watched,
            ("compare", f"runs={','.join(recorded)}"),
            ("classroom", ""),
            ("glossary", ""),
        )
        before, until = os.getloadavg()[0], time.monotonic() + options.seconds
        spent = lab.cpu_seconds()
        with ThreadPoolExecutor(1) as beside:
            browsing = beside.submit(pages, lab.address, until) if chromium() else None
            visitors = asyncio.run(
                visit(lab.address, stations, count=options.visitors, seconds=options.seconds, pause=options.pause)
            )
            drawn = browsing.result() if browsing else []
        after, spent = os.getloadavg()[0], lab.cpu_seconds() - spent
        steps = [run.status.get("step") for run in made]
    switches = [each for visitor in visitors for each in visitor.switches]
    notes = [
        f"{options.visitors} visitors with {options.pause:g} s between pages for {options.seconds:g} s, {len(made)} jobs",
        f"load average before: {before:.1f}, at the end: {after:.1f}, on {os.cpu_count()} cores{_priority()}",
        f"{sum(each.refreshes for each in visitors)} refreshes by watched pages, {sum(each.failures for each in visitors)} exceptions",
    ]
    answered = len(switches) + len(drawn) + sum(each.refreshes for each in visitors)
    notes.append(f"the server spent {1e3 * spent / max(1, answered):.0f} ms of CPU time on each page or refresh")
    if made:
        notes.append(f"the jobs were at steps {', '.join(map(str, steps))} at the end")
    parts = [
        Part(
            "page switches with a class beside jobs: until the last byte, nothing drawn",
            COLUMNS,
            _rows(switches),
            notes=notes,
        )
    ]
    if drawn:
        parts.append(
            Part(
                "the same for one of them with Chromium: until the title is there",
                COLUMNS,
                _rows(drawn),
                notes=notes[1:2],
            )
        )
    return parts


def _rows(switches: list[Switch]) -> list[dict[str, Any]]:
    rows = []
    for view in ["all pages", *dict.fromkeys(each.view for each in switches)]:
        chosen = [each for each in switches if view in ("all pages", each.view)]
        median, late = (1e3 * float(each) for each in np.percentile([each.seconds for each in chosen], [50, 95]))
        size = float(np.median([each.size for each in chosen])) / 1e3
        what = view or "start"
        rows.append(
            {
                "what": what,
                "count": len(chosen),
                "median_milliseconds": median,
                "late_milliseconds": late,
                "kilobytes": size or None,
            }
        )
    return rows


def _priority() -> str:
    """Said where the benchmark was started with `nice`: server and visitors then go before, or after, all others."""
    found = os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0
    return f"; server and visitors at nice {found}" if found else ""


def _words(values: list[float]) -> str:
    return ", ".join(f"{each:.1f}" for each in values)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app_load", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=3, help="trainings that run meanwhile")
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--pause", type=float, default=15, help="seconds that a visitor looks at a page")
    parser.add_argument("--rounds", type=int, default=3, help="starts of a cold server; 0: none")
    parser.add_argument("--output", type=Path, help="where to write")
    options = parser.parse_args(arguments)
    usual = arguments is None and len(sys.argv) == 1
    parts: dict[str, Part] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:  # a worker may still be writing
        runs = Path(scratch) / "runs"
        runs.mkdir()
        if chromium() and options.rounds:
            parts["cold"] = cold(runs, options.rounds)
        for name, part in zip(("class", "chromium"), crowd(runs, options)):
            parts[name] = part
    for part in parts.values():
        print(text_of(part), end="\n\n")
    output = options.output or (RESULTS if usual else None)
    if output is not None:
        save(
            output,
            {name: {**part.to_dict(), "measured": now()} for name, part in parts.items()},
            torch.device("cpu"),
            quick=False,
        )
        print(f"written to {output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
