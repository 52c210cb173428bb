"""The view "Analyse an adapter": empty, with runs, with uploads of all kinds, on a shared server, running, finished."""

import io
import json
import time
import zipfile
from pathlib import Path

import pytest
from test_sources import write_adapter, write_base

from bidora import inspection as inspections
from bidora.config import RunConfig
from bidora.inspection import process
from bidora.runs import Run

streamlit = pytest.importorskip("streamlit", reason="the app's packages are not installed: pip install -e .[app]")

VIEW = "views/analyse.py"


@pytest.fixture(autouse=True)
def in_this_test_only(tmp_path, monkeypatch):
    """Uploads go to a folder of the test; nothing is remembered from another test."""
    from bidora.uploads import receiving

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(receiving.tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(process, "_RESULTS", type(process._RESULTS)())
    served_at(monkeypatch, "127.0.0.1")


def served_at(monkeypatch, address: str) -> None:
    """Bind the server there, as app/.streamlit/config.toml or the command line does."""
    real = streamlit.config.get_option
    monkeypatch.setattr(streamlit, "get_option", lambda name: address if name == "server.address" else real(name))


@pytest.fixture
def measured(monkeypatch):
    """The child process is replaced by a table in this one: no torch is started."""
    draw = [0.3, 0.1, 0.7, 0.2]

    def run(self):
        rows = [
            {"layer": n, "module": "query", "name": f"l.{n}.query", "delta_m": each, "delta_d": each / 100, "units": 4}
            for n, each in enumerate(draw)
        ]
        axes = {"output": rows, "input": rows[:3]}
        return inspections.Result(self.after.title, self.before.title, self.after.look, axes)

    monkeypatch.setattr(process.Inspection, "_run", run)


def opened(app, **query):
    app.run()
    app.switch_page(VIEW)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def words(app) -> str:
    return "\n".join(
        str(each.value) for kind in (app.markdown, app.caption, app.error, app.info, app.header) for each in kind
    )


def uploads(*files):
    return [
        (name, content if isinstance(content, bytes) else json.dumps(content).encode(), "") for name, content in files
    ]


def adapter_files(tmp_path, **settings):
    folder = write_adapter(tmp_path / "made" / "adapter", **settings)
    return uploads(*((path.name, path.read_bytes()) for path in sorted(folder.iterdir())))


def take_upload(app, side: str):
    app.radio(key=f"{side}-way").set_value("An upload").run()
    return app.file_uploader(key=f"{side}-files")


def kept(tmp_path) -> list[Path]:
    return [path for path in (tmp_path / "tmp").rglob("*") if path.is_file()]


def test_on_an_empty_machine_it_says_what_to_do(app):
    opened(app)
    assert "There is no finished run yet" in words(app)
    assert app.radio(key="after-way").options == ["An upload", "A path on this machine"]
    assert not app.button


def finished_run(tmp_path, name="my run", method="dora") -> Run:
    run = Run.create(
        RunConfig(task="peptides", method=method, model=str(tmp_path / "base")), tmp_path / "runs", name=name
    )
    if not (tmp_path / "base").exists():
        write_base(tmp_path / "base")
    write_adapter(run.adapter_dir, dora=method != "lora")
    run.update_status(state="finished")
    return run


def test_a_run_is_analysed_with_one_click(app, tmp_path, measured):
    first, second = finished_run(tmp_path), finished_run(tmp_path, "another", "bidora")
    opened(app, run=second.id)
    assert app.selectbox(key="after-run").value == second.id
    reading = app.dataframe[0].value
    assert reading["file"].tolist() == ["adapter_config.json", "adapter_model.safetensors", "model.safetensors"]
    app.button(key="start").click().run()
    app.run()
    assert not app.exception
    assert "another against" in words(app)
    assert "What it cannot show" in words(app)
    assert "DoRA or BiDoRA made it" not in words(app), "the run says which"
    app.radio(key="axis").set_value("input").run()
    assert any("3 points from 3 layers" in each.value for each in app.caption)
    app.multiselect(key="layers").set_value([0, 1]).run()
    assert not app.exception
    assert any("2 points from 2 layers" in each.value for each in app.caption)
    assert any("--axis input" in each.value for each in app.code)
    assert first.id in " ".join(app.selectbox(key="after-run").options)


def test_an_upload_is_checked_described_and_removed_with_its_widget(app, tmp_path, measured):
    write_base(tmp_path / "base")
    opened(app)
    take_upload(app, "after").set_value(adapter_files(tmp_path, base="../../../etc/passwd")).run()
    assert not app.exception
    assert any("etc/passwd" in each.value for each in app.caption), "shown as text"
    assert len(kept(tmp_path)) == 2
    app.radio(key="before-way").set_value("A path on this machine").run()
    app.text_input(key="before-path").set_value(str(tmp_path / "base")).run()
    app.button(key="start").click().run()
    app.run()
    assert "against" in words(app)
    assert str(tmp_path / "tmp") not in words(app) + "".join(each.value for each in app.code)
    app.file_uploader(key="after-files").set_value(None).run()
    assert not kept(tmp_path)


def bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("model.safetensors", b"\0" * 30_000_000)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (uploads(("adapter_model.safetensors", b"\x80\x04pickle")), "is a pickle"),
        (uploads(("adapter_model.safetensors", b"")), "is empty"),
        (uploads(("a.zip", bomb())), "times its size"),
        (uploads(("![x](http://example.org/i.png).safetensors", b"<html>")), "not a safetensors file"),
    ],
)
def test_a_hostile_upload_is_one_sentence(app, tmp_path, files, expected):
    opened(app)
    take_upload(app, "after").set_value(files).run()
    assert not app.exception
    assert len(app.error) == 1
    assert expected in app.error[0].value
    assert "![" not in app.error[0].value
    assert not kept(tmp_path)
    assert not [button for button in app.button if button.key == "start"]


def test_a_shared_server_offers_runs_and_uploads_only(app, tmp_path, monkeypatch):
    served_at(monkeypatch, "0.0.0.0")
    run = finished_run(tmp_path)
    opened(app)
    assert app.radio(key="after-way").options == ["A run", "An upload"]
    assert app.radio(key="before-way").options == ["A model's name", "An upload"]
    assert not app.text_input
    assert "open to other machines" in words(app)
    assert run.state == "finished"
    assert "hub cache" in app.error[0].value, "even the run's own base folder is not opened by path"


@pytest.mark.parametrize(
    "query",
    [
        {"run": "../../etc"},
        {"run": "/etc/passwd"},
        {"run": "![x](http://example.org/x.png)"},
        {"run": "\0"},
        {"run": "x" * 5000, "axis": "<script>"},
        {"axis": "input' OR 1=1"},
        {"run": "last"},
    ],
)
def test_query_strings_lead_nowhere(app, tmp_path, query):
    finished_run(tmp_path)
    opened(app, **query)
    assert "![" not in words(app)


def test_progress_can_be_cancelled(app, tmp_path, monkeypatch):
    def slow(self):
        self._cancelled.wait(20)
        raise inspections.process.LabError("the analysis was cancelled")

    monkeypatch.setattr(process.Inspection, "_run", slow)
    finished_run(tmp_path)
    opened(app)
    app.button(key="start").click().run()
    assert app.button(key="cancel")
    app.button(key="cancel").click().run()
    time.sleep(0.3)
    app.run()
    assert "cancelled" in app.error[-1].value


def test_names_of_runs_are_shown_as_they_are(app, tmp_path, measured):
    finished_run(tmp_path, "![x](http://example.org/x.png) <script>alert(1)</script>")
    opened(app)
    app.button(key="start").click().run()
    app.run()
    assert not app.exception
    assert "![" not in words(app)
    assert "<script" not in words(app).replace("\\<script", "")
