"""Tab Files: what lies in the folder, with sizes, each to download."""

from __future__ import annotations

import streamlit as st

from bidora.runs import Run
from bidora.runs.contents import file_in, files_of
from bidora.sources import paths_allowed
from bidora.wording import counted, size

LARGEST = 500_000_000
"""Larger files are better copied than sent through the browser."""


def files_tab(run: Run) -> None:
    """The files of the run."""
    files = files_of(run.path)
    words = f"{counted(len(files), 'file')}, {size(sum(each.size for each in files))}"
    if paths_allowed(st.get_option("server.address")):
        st.caption(f"{words}, in the folder")
        st.code(str(run.path.resolve()), language=None, wrap_lines=True)
    else:  # visitors from elsewhere cannot open it
        st.caption(f"{words}.")
    st.dataframe(
        [{"file": each.path, "size": size(each.size), "what it is": each.what} for each in files],
        hide_index=True,
        width="stretch",
        key="files-table",
    )
    sizes = {each.path: each.size for each in files}
    if not sizes:
        return
    name = st.selectbox("File to download", list(sizes), key="file")
    if sizes[name] > LARGEST:
        st.info(f"{size(sizes[name])} are too much for the browser; copy the file from the folder.")
        return
    st.download_button(
        f"Download {name.rpartition('/')[2]} ({size(sizes[name])})",
        lambda: file_in(run.path, name).read_bytes(),
        file_name=name.rpartition("/")[2],
        mime="application/octet-stream",
        key="download-file",
        icon=":material/download:",
        on_click="ignore",
    )
