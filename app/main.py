"""The server of the lab: `streamlit run app/main.py`. What a visitor sees is app/lab.py, run once for each of them."""

from __future__ import annotations

import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
if str(HOME) not in sys.path:  # streamlit puts app/ there, not the project's folder
    sys.path.insert(0, str(HOME))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from app.first_view.serving import ServeFirstView  # noqa: E402

server = st.App("lab.py", middleware=[Middleware(ServeFirstView)])
