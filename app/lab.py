"""Navigation of the lab, and nothing else; `streamlit run app/main.py` serves it."""

from __future__ import annotations

import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
if str(HOME) not in sys.path:  # streamlit puts app/ there, not the project's folder
    sys.path.insert(0, str(HOME))

import streamlit as st  # noqa: E402

from app.contrast import readable_choices  # noqa: E402
from app.page import VIEWS, begin, page_of  # noqa: E402
from app.teaching.banner import lesson_banner  # noqa: E402

ICON = str(HOME / "app" / "icon.svg")
st.set_page_config(page_icon=ICON)  # before the menu: else each page's Material icon is fetched from a font server
page = st.navigation({section: [page_of(view) for view in views] for section, views in VIEWS.items()})
begin(page.url_path, icon=ICON)
readable_choices()
lesson_banner(page.url_path)
page.run()
