"""Analyse an adapter: what training did to the weights of any PEFT adapter, any two checkpoints, or a run."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import charts
from app.page import all_runs, explained, is_recording, known_run, link, show_error, theme
from bidora import sources
from bidora.analysis import cell, dynamics_fits, dynamics_table
from bidora.errors import LabError
from bidora.figures import magnitude_vs_direction
from bidora.inspection import (
    AXES,
    TIME_LIMIT,
    Inspection,
    Result,
    command,
    notebook_cell,
    statistics_table,
    what_can_be_said,
)
from bidora.models import MODELS
from bidora.runs import Run
from bidora.sources import Source
from bidora.statistics import fit_dynamics
from bidora.uploads import ACCEPTED, UNPACKED_LIMIT, Received, Upload, receive, remove, session_folder

RUN, UPLOAD, PATH, NAME = "A run", "An upload", "A path on this machine", "A model's name"
LOCAL = sources.paths_allowed(st.get_option("server.address"))


@st.cache_resource(scope="session", on_release=remove, show_spinner=False)
def own_folder() -> Path:
    """This visit's folder for uploads; removed when the visit is over."""
    return session_folder()


def uploaded(side: str, files: str) -> Source | None:
    """The upload of one side, taken in once, or None while there is none."""
    limit = st.get_option("server.maxUploadSize")
    given = st.file_uploader(
        f"Files: {files}",
        type=list(ACCEPTED),
        accept_multiple_files=True,
        key=f"{side}-files",
        help=f"At most {limit} MB a file, {UNPACKED_LIMIT // 10**6} MB unpacked. Only safetensors are read: pickles (.bin, .pt) "
        "run code when they are opened. Uploads are kept in a private folder and removed when you leave.",
    )
    known = st.session_state.setdefault("received", {})
    ids = tuple(each.file_id for each in given)
    before, received = known.get(side, ((), None))
    if ids != before or (isinstance(received, Received) and not received.path.is_dir()):
        if isinstance(received, Received):
            remove(received.path)
        received = None
        if ids:
            try:
                with st.spinner("Checking the upload"):
                    received = receive([Upload(each.name, each) for each in given], own_folder())
            except LabError as error:
                received = error
        known[side] = (ids, received)
    if isinstance(received, LabError):
        raise received
    return sources.of_upload(received) if received else None


def typed(side: str, example: str) -> Source | None:
    """A path that the visitor typed; offered only where the server is this machine's own."""
    text = st.text_input("Folder or .safetensors file", key=f"{side}-path", placeholder=example)
    return sources.of_path(text) if text.strip() else None


def after_training(runs: list[Run]) -> tuple[Source | None, Run | None]:
    """The side after training, and the run where it is one."""
    st.header("After training")
    ways = [*([RUN] if runs else []), UPLOAD, *([PATH] if LOCAL else [])]
    way = st.radio("Take it from", ways, horizontal=True, key="after-way")
    with explained():
        if way == RUN:
            names = {run.id: str(run.meta.get("name") or run.id) for run in runs}
            recorded = {run.id for run in runs if is_recording(run)}
            chosen = st.selectbox(
                "Finished run or recording",
                list(names),
                key="after-run",
                format_func=lambda each: names[each] + (" (recording)" if each in recorded else f" · {each}"),
            )
            run = known_run(chosen)
            return sources.of_run(run), run
        if way == UPLOAD:
            st.caption("adapter_model.safetensors with adapter_config.json, a .zip of the folder, or a checkpoint.")
            return uploaded("after", "adapter or checkpoint"), None
        return typed("after", "~/my-adapter"), None
    return None, None


def before_training(after: Source | None, run: Run | None) -> Source | None:
    """The base model."""
    st.header("Before training")
    way = st.radio("Base model from", [NAME, UPLOAD, *([PATH] if LOCAL else [])], horizontal=True, key="before-way")
    if after is not None and after.base_named and run is None:
        st.caption(f"The adapter's settings name {charts.plain(after.base_named)} as its base model.")
    with explained():
        if way == UPLOAD:
            st.caption("model.safetensors, or all shards with their index, or a .zip of them.")
            return uploaded("before", "base model")
        if way == PATH:
            return typed("before", "~/models/roberta-base")
        guess = sources.base_of_run(run) if run else sources.suggested_base(after) if after else ""
        names = list(dict.fromkeys([*([guess] if guess else []), *MODELS]))
        chosen = st.selectbox(
            "Packaged model, or a hub id in this machine's cache",
            names,
            index=0 if guess else None,
            accept_new_options=True,
            key=f"before-name-{guess}",
            placeholder="choose, or type a hub id",
            help="Nothing is fetched from the hub: an id counts only if its weights are in the cache already.",
        )
        if not chosen:
            return None
        return sources.of_run_base(run, paths=LOCAL) if run and chosen == guess else sources.of_model(chosen)
    return None


def preview(before: Source, after: Source) -> None:
    """What will be read, and the button."""
    sources.check_pair(before, after)
    st.dataframe(sources.what_is_read(after, before), hide_index=True, width="stretch", key="reading")
    if before.to_fetch:
        st.caption("The base model is fetched from the package index first; that needs a network.")
    left, right = st.columns([1, 3], vertical_alignment="center")
    if left.button("Analyse", type="primary", icon=":material/query_stats:", key="start", width="stretch"):
        if old := st.session_state.get("inspection"):
            old.cancel()
        st.session_state["inspection"] = Inspection(before, after)
    right.caption(
        f"Layers are read one after another; it takes seconds for small models, and ends after {TIME_LIMIT / 60:.0f} minutes."
    )


@st.fragment(run_every=1.0)
def progress(inspection: Inspection) -> None:
    """How far it is, and a way out."""
    if inspection.over:
        st.rerun()
    share, words = inspection.progress()
    st.progress(share, text=charts.plain(words))
    if st.button("Cancel", icon=":material/close:", key="cancel"):
        inspection.cancel()


def findings(inspection: Inspection, result: Result) -> None:
    """Filters, figure, statistics, and what they mean."""
    st.header(f"{charts.plain(result.after)} against {charts.plain(result.before)}")
    one, two, three = st.columns(3)
    wanted = st.query_params.get("axis", "")
    axis = one.radio(
        "Norm axis: one magnitude per",
        AXES,
        index=AXES.index(wanted) if wanted in AXES else 0,
        format_func=lambda each: f"{each} unit",
        horizontal=True,
        key="axis",
        help="PEFT keeps one magnitude per output unit: a row of nn.Linear.weight, which the papers call a column. "
        "BiDoRA's own code takes the other axis. Numbers of different axes cannot be compared.",
    )
    layers = tuple(two.multiselect("Layers", result.layers(), key="layers", placeholder="all"))
    modules = tuple(three.multiselect("Modules", result.modules(), key="modules", placeholder="all"))
    points = result.points(axis, layers=layers, modules=modules)
    fit = fit_dynamics(points)
    ours = tuple(
        each.path.as_posix() for _, each in st.session_state.get("received", {}).values() if isinstance(each, Received)
    )
    pair = (inspection.before, inspection.after)
    figure = magnitude_vs_direction(points, fits={result.after: fit}, axis=axis, template=theme())
    cell = notebook_cell(*pair, axis=axis, layers=layers, modules=modules, look=result.look, uploaded=ours)
    charts.show(figure, key="analysis", table=points.drop(columns=["label", "method"]), code=cell, level=3)
    st.markdown("### How steep, how tight, and how much hangs on one point")
    st.dataframe(statistics_table(fit), hide_index=True, width="stretch", key="statistics")
    st.caption(
        f"{fit.points} points from {fit.clusters} layers and modules; intervals by bootstrap over these. The slope has a unit and is no "
        "correlation."
    )
    can, cannot = what_can_be_said(result, fit, axis)
    left, right = st.columns(2)
    left.markdown("**What this shows**\n\n" + "\n".join(f"- {charts.plain(each)}" for each in can))
    right.markdown("**What it cannot show**\n\n" + "\n".join(f"- {charts.plain(each)}" for each in cannot))
    st.caption("The same as a command:")
    st.code(command(*pair, axis=axis, uploaded=ours), language="bash", wrap_lines=True)


def recorded(run: Run) -> None:
    """What a run itself wrote down on the way: there at once, without the base model."""
    points = dynamics_table([run])
    if not len(points):
        return
    st.header("Recorded while it was trained")
    st.caption(
        "Four checkpoints of the last phase, one magnitude per output unit. Nothing has to be computed for this."
    )
    fits = dynamics_fits(points)
    figure = magnitude_vs_direction(points, template=theme())
    code = cell([run], recorded=frozenset({run.id} if is_recording(run) else ())).draw(
        "figures.magnitude_vs_direction(analysis.dynamics_table(runs))"
    )
    charts.show(figure, key="recorded", table=fits, code=code, level=3)


st.title("Analyse an adapter")
st.markdown(
    "How far did training move each layer's **magnitude** (ΔM) and **direction** (ΔD), and do the two go together? "
    "For any LoRA, DoRA or BiDoRA adapter in PEFT's layout, and for any two checkpoints."
)
finished = [run for run in all_runs() if run.state == "finished" and run.adapter_dir.is_dir()]
if "after-run" not in st.session_state and (name := st.query_params.get("run", "")):
    with explained():
        asked = known_run(name)
        if asked.id in {run.id for run in finished}:
            st.session_state["after-run"] = asked.id
if not finished:
    st.info("There is no finished run yet. Upload an adapter, or train one in about a minute.", icon=":material/info:")
    link("new_run", "Train one", icon=":material/play_arrow:")
if not LOCAL:
    st.caption(
        "This lab is open to other machines, so files of its own machine cannot be named: only runs and uploads."
    )

first, second = st.columns(2, gap="large")
with first:
    after, run = after_training(finished)
with second:
    before = before_training(after, run)
if after is not None and before is not None:
    with explained():
        preview(before, after)

inspection: Inspection | None = st.session_state.get("inspection")
if inspection is not None and not inspection.over:
    progress(inspection)
elif inspection is not None and inspection.error is not None:
    show_error(inspection.error)
elif inspection is not None and inspection.result is not None:
    with explained():
        findings(inspection, inspection.result)
if run is not None:
    recorded(run)
