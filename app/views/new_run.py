"""New run: choose a question or settings, see what will happen, predict, start; the queue is below."""

from __future__ import annotations

import streamlit as st

from app.charts import plain
from app.new_run.choosing import comparison_part, preset_part
from app.new_run.fields import advanced_part, common_part, task_part
from app.new_run.outlook import outlook_part
from app.new_run.own_table import own_table_part
from app.new_run.starting import start_part
from app.new_run.state import draft, group, remarks, replace
from app.new_run.waiting import queue_part
from app.page import explained
from bidora.drafts import fresh

st.title("New run")
current = draft()
for remark in remarks():
    st.warning(plain(remark), icon=":material/link_off:")

choices, outlook = st.columns([3, 2], gap="large")
with choices:
    st.header("What is asked")
    preset_part(current)
    comparison_part(current)
    st.header("Settings")
    task = task_part(current)
    if "label_column" in task.settings:
        own_table_part(current)
    common_part(current)
    advanced_part(current)
    if not current.lock:
        st.button("Begin anew", icon=":material/restart_alt:", on_click=lambda: replace(fresh()))
with outlook, explained():
    configs = current.configs()
    ready = outlook_part(configs, group=group(current), code="code" not in current.hide)
    start_part(current, configs, group=group(current), ready=ready)
if "queue" not in current.hide:
    st.divider()
    queue_part()
