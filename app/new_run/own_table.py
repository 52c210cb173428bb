"""A table of the visitor's own: upload, first rows, which column is what."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.forms import widget
from app.new_run.state import key, seeded
from app.page import explained, root
from bidora.drafts import FIELDS, Draft
from bidora.own_data import SIZE_LIMIT, SUFFIXES, OwnData, is_kept, keep, kept, look, shown_name
from bidora.wording import number, size


def own_table_part(draft: Draft) -> None:
    """Upload a table, or take one that was uploaded before; then say which columns hold input and label."""
    with st.container(border=True):
        st.markdown("**Your table**: one column with the text or the protein sequence, one with the label.")
        _upload(draft)
        if not is_kept(draft.values.get("data", ""), root()):  # deleted meanwhile
            draft.values["data"] = ""
        _earlier(draft)
        if not draft.values.get("data"):
            st.info(
                "Nothing is chosen yet. CSV with a heading such as `text,label` is the simplest.",
                icon=":material/upload_file:",
            )
            return
        with explained():
            _columns(draft, _looked(draft.values["data"]))


@st.cache_data(max_entries=16, show_spinner="Reading the table")
def _looked(path: str) -> OwnData:
    """What a kept table holds; it never changes under its name, and reading a long one takes seconds."""
    return look(path)


def _upload(draft: Draft) -> None:
    sent = st.file_uploader(
        "Upload a table",
        type=[suffix.lstrip(".") for suffix in SUFFIXES],
        key=key("upload"),
        max_upload_size=SIZE_LIMIT // 1_000_000,
        help=f"CSV, TSV, XLSX, parquet, or FASTA with labels in the headings; up to {size(SIZE_LIMIT)}. It stays in the "
        "folder of runs on the machine where this lab runs.",
    )
    known: dict[str, str] = st.session_state.setdefault("new-run-uploads", {})
    if sent is None or sent.file_id in known:
        return
    known[sent.file_id] = ""
    with explained():
        path = str(keep(sent.name, sent.getvalue(), root()))
        known[sent.file_id] = draft.values["data"] = path
        st.session_state.pop(key("data"), None)
        for name in ("input_column", "label_column"):
            draft.values[name] = ""


def _earlier(draft: Draft) -> None:
    paths = [str(path) for path in kept(root())]
    if not paths:
        return
    chosen = st.selectbox(
        "Table",
        ["", *paths],
        format_func=lambda path: shown_name(path) if path else "none",
        key=seeded("data", draft.values.get("data", "")),
        disabled="data" in draft.lock,
        help="Tables that were uploaded to this lab, newest first.",
    )
    draft.values["data"] = chosen or ""


def _columns(draft: Draft, data: OwnData) -> None:
    st.markdown(f"{plain(data.name)}: {number(data.rows)} rows. The first ones:")
    st.dataframe(list(data.head), width="stretch", hide_index=True, key=key("rows"))
    for note in data.notes:
        st.markdown(f"*{plain(note)}*")
    left, middle, right = st.columns(3)
    for column, name in ((left, "input_column"), (middle, "label_column")):
        if draft.values.get(name, "") not in ("", *data.columns):
            draft.values[name] = ""
        with column:
            draft.values[name] = widget(
                FIELDS[name],
                seeded(f"{name}-{data.path.stem}", draft.values.get(name, "")),
                disabled=name in draft.lock,
                options=["", *data.columns],
                named=lambda each: each or "by its name",
            )
    with right:
        draft.values["kind"] = widget(FIELDS["kind"], seeded("kind", draft.values.get("kind", "auto")))
