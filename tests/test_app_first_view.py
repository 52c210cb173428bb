"""The still picture that is sent with the first page: up to date, in its place, and gone where it does not belong."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

import streamlit
from run_folders import write_comparison
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from app.first_view.drawing import view_of_recordings
from app.first_view.page import ROOT, with_view
from app.first_view.serving import ServeFirstView
from app.first_view.stored import FILE, stored_view
from bidora.recordings import recordings, recordings_root

PAGES = Path(streamlit.__file__).parent / "static"


@pytest.fixture
def client():
    """Streamlit's own files behind the middleware."""
    files = StaticFiles(directory=PAGES, html=True)
    return TestClient(Starlette(routes=[Mount("/", files)], middleware=[Middleware(ServeFirstView)]))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of recordings of one's own, with the view that came with the lab."""
    shipped = recordings_root() / FILE
    monkeypatch.setenv("BIDORA_RECORDINGS", str(tmp_path))
    shutil.copyfile(shipped, tmp_path / FILE)
    return tmp_path


def test_the_stored_view_is_that_of_the_recordings():
    """`python -m app.first_view` draws it anew after the recordings or a figure changed."""
    stored = stored_view()
    assert stored is not None and len(stored.sentences) == 3
    assert view_of_recordings(stored.pictures) == stored
    for picture in stored.pictures.values():
        assert picture.startswith("<svg") and "BiDoRA − DoRA" in picture and "<script" not in picture


def test_the_first_page_holds_the_comparison(client):
    view = stored_view()
    answer = client.get("/", headers={"if-none-match": "anything", "accept-encoding": "gzip"})
    assert answer.status_code == 200 and "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert not {"etag", "last-modified"} & set(answer.headers)
    for sentence in view.sentences:
        assert f"<li>{sentence}.</li>" in answer.text
    assert answer.text.count("data:image/svg+xml;base64,") == 4
    assert "$" not in re.sub(r"<script.*?</script>", "", answer.text, flags=re.DOTALL)
    assert "<title>BiDoRA Lab</title>" in answer.text
    plain = (PAGES / "index.html").read_text(encoding="utf-8")
    assert answer.text.index(ROOT) < answer.text.index('id="first-view"')
    assert answer.text.startswith(plain[: plain.index("<title>")])


@pytest.mark.parametrize("address", ["/index.html", "/favicon.png", "/manifest.json"])
def test_nothing_else_is_touched(client, address):
    answer = client.get(address)
    assert answer.content == (PAGES / address.strip("/")).read_bytes() and answer.headers["etag"]


def test_other_recordings_have_no_still_picture(client, own):
    for run in write_comparison(own, methods="dora bidora"):
        run.update_meta(recording={"command": "bidora run", "machine": "2 cores"})
    assert stored_view() is None
    assert client.get("/").content == (PAGES / "index.html").read_bytes()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"recordings": []}', "null", "[" * 100_000])
def test_a_damaged_view_is_left_out(client, own, content):
    (own / FILE).write_text(content, encoding="utf-8")
    assert stored_view() is None
    assert client.get("/").content == (PAGES / "index.html").read_bytes()


def test_a_view_without_its_pictures_is_left_out(own):
    (own / FILE).write_text(json.dumps(json.loads((own / FILE).read_text("utf-8")) | {"pictures": {}}), "utf-8")
    assert not recordings() and stored_view() is None


def test_names_from_outside_stay_words():
    view = stored_view()._replace(task="<script>alert(1)</script>", sentences=["<img src=x onerror=alert(1)>"])
    page = with_view(f"<html>{ROOT}</html>", view)
    assert "<script>alert" not in page and "<img src=x" not in page and "&lt;script&gt;" in page


def test_a_page_that_is_not_as_we_know_it_stays_as_it_is():
    for page in ("<html></html>", ROOT * 2):
        assert with_view(page, stored_view()) == page


def test_start_shows_the_same_picture_and_reads_no_plotly(app, monkeypatch):
    monkeypatch.delenv("BIDORA_RECORDINGS")
    app.run()
    assert not app.exception
    pictures = [each.proto.body for each in app.get("html") if 'class="still"' in each.proto.body]
    assert len(pictures) == 1 and not app.get("plotly_chart")
    assert pictures[0].count('alt="How large are the differences on the same seeds?"') == 2, "one of them is seen"
    said = " ".join(each.value for each in app.markdown)
    for sentence in stored_view().sentences:
        assert sentence in said.replace("\\", "")
