"""Runs as .zip: what goes out comes in again; what is hostile stays out and leaves nothing behind."""

from __future__ import annotations

import io
import json
import stat
import struct
import sys
import zipfile

import pandas
import pytest

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run, list_runs, unpacking, write_json
from bidora.runs.contents import write_adapter
from bidora.runs.exchange import read_run, write_run
from bidora.runs.health import damage

CONFIG = json.dumps(RunConfig(task="peptides", rank=4).to_dict())
ID = "20260101-000000-abcd"


def safetensors() -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0\0\0\0"


@pytest.fixture
def run(tmp_path):
    run = Run.create(RunConfig(task="peptides", rank=4), tmp_path / "here", name="Peptidé 🧬", tags=("a",))
    run.append_metrics({"step": 1, "loss": 0.5})
    write_json(run.path / "result.json", {"primary": "accuracy", "scores": {"accuracy": {"value": 0.5}}})
    pandas.DataFrame({"id": ["1"], "input": ["SECRET"], "target": ["x"], "prediction": ["y"]}).to_parquet(
        run.path / "predictions.parquet"
    )
    run.write_dynamics(pandas.DataFrame({"step": [1], "delta_m": [0.1], "delta_d": [0.1]}), 0, 1)
    run.write_table("units", pandas.DataFrame({"m0": [1.0], "m": [1.1]}))
    (run.path / "log.txt").write_text("done")
    run.adapter_dir.mkdir()
    (run.adapter_dir / "adapter_config.json").write_text("{}")
    (run.adapter_dir / "adapter_model.safetensors").write_bytes(safetensors())
    (run.checkpoints_dir / "train").mkdir(parents=True)
    (run.checkpoints_dir / "train" / "big.safetensors").write_bytes(b"x" * 1000)
    run.update_status(state="finished", step=1, total=1, pid=1, host="elsewhere")
    return run


def zipped(members: dict[str, bytes | str], *, method=zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    buffer.seek(0)
    return buffer


def refused(source, tmp_path, match: str) -> None:
    root = tmp_path / "there"
    with pytest.raises(LabError, match=match) as caught:
        read_run(source, root)
    assert caught.value.hint
    assert not root.exists() or list(root.iterdir()) == [], "something stayed behind"


# -- there and back ---------------------------------------------------------------------------------------------


def test_an_exported_run_comes_in_as_it_was_without_checkpoints(run, tmp_path):
    target = tmp_path / "run.zip"
    write_run(run.path, target)
    came, ignored = read_run(target, tmp_path / "there", title="run.zip")
    assert ignored == ()
    assert came.id == run.id and came.config == run.config and came.state == "finished"
    assert (came.meta["name"], came.meta["tags"]) == ("Peptidé 🧬", ["a"])
    assert came.meta["imported"]["file"] == "run.zip" and came.meta["imported"]["id"] == run.id
    assert list(came.records()) == [{"step": 1, "loss": 0.5}]
    assert came.predictions()["input"].tolist() == ["SECRET"]
    assert len(came.units()) == 1 and len(came.dynamics()) == 1
    assert (came.adapter_dir / "adapter_model.safetensors").read_bytes() == safetensors()
    assert not came.checkpoints_dir.exists() and not (came.path / ".lock").exists()
    assert "host" not in came.status and "pid" not in came.status
    assert damage(came) == []


def test_inputs_stay_at_home_when_asked(run, tmp_path):
    buffer = io.BytesIO()
    write_run(run.path, buffer, inputs=False)
    assert b"SECRET" not in b"".join(_contents(buffer).values())
    came, _ = read_run(buffer, tmp_path / "there")
    assert "input" not in came.predictions() and len(came.predictions()) == 1


def test_an_exported_run_tells_nothing_of_the_machine(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    run.update_status(state="failed", error={"message": f"{run.path.parent}/uploads/a.csv is gone"})
    run.update_meta(note="/home/ann, /home/anna and x/home/ann")
    places = {"data": "/home/ann/data/mine.csv", "test_data": "~/held.csv", "model": "/mnt/share/clinic-7/esm"}
    write_json(run.path / "config.json", {**run.config.to_dict(), **places})
    log = (
        f'File "{sys.prefix}/lib/x.py"\nFile "/home/ann/x.py", {run.path}/log.txt, /mnt/share/clinic-7/esm/config.json'
    )
    (run.path / "log.txt").write_text(log)
    buffer = io.BytesIO()
    write_run(run.path, buffer)
    contents = _contents(buffer)
    status = json.loads(contents[f"{run.id}/status.json"])
    assert set(status) <= {"state", "phase", "step", "total", "exit_code", "error"} and status["state"] == "failed"
    assert status["error"]["message"] == "runs/uploads/a.csv is gone"
    assert json.loads(contents[f"{run.id}/meta.json"])["note"] == "~, /home/anna and x/home/ann"
    config = json.loads(contents[f"{run.id}/config.json"])
    assert [config[name] for name in places] == ["mine.csv", "~/held.csv", "esm"]
    assert (
        contents[f"{run.id}/log.txt"].decode()
        == f'File "python/lib/x.py"\nFile "~/x.py", runs/{run.id}/log.txt, esm/config.json'
    )
    together = b"".join(contents.values())
    assert str(tmp_path).encode() not in together and b"elsewhere" not in together


def _contents(buffer):
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_taken_id_gives_a_new_one_and_nothing_is_overwritten(run, tmp_path):
    buffer = io.BytesIO()
    write_run(run.path, buffer)
    run.update_meta(name="changed since")
    came, _ = read_run(buffer, run.path.parent)
    assert came.id != run.id and came.meta["imported"]["id"] == run.id
    assert run.meta["name"] == "changed since"
    run.delete()
    again, _ = read_run(buffer, run.path.parent)
    assert again.id != run.id, "the id is taken in the trash, too"


def test_an_imported_recording_is_ones_own(run, tmp_path):
    run.update_meta(recording={"command": "bidora run"})
    buffer = io.BytesIO()
    write_run(run.path, buffer)
    came, _ = read_run(buffer, tmp_path / "there")
    assert "recording" not in came.meta and came.meta["imported"]["recording"] == {"command": "bidora run"}


@pytest.mark.parametrize("state", ["running", "preparing", "queued", "lost", "hacked", None, 7])
def test_a_run_that_was_at_work_elsewhere_is_stopped_here(tmp_path, state):
    members = {
        f"{ID}/config.json": CONFIG,
        f"{ID}/status.json": json.dumps({"state": state, "heartbeat": 9e12, "host": "x"}),
    }
    came, _ = read_run(zipped(members), tmp_path)
    assert came.state == "stopped"


def test_without_a_folder_around_them_the_files_are_taken_too(tmp_path):
    came, _ = read_run(zipped({"config.json": CONFIG}), tmp_path)
    assert came.config.rank == 4 and came.meta["name"] == "" and [each.id for each in list_runs(tmp_path)] == [came.id]


def test_unknown_files_are_left_out_and_named(tmp_path):
    members = {f"{ID}/config.json": CONFIG, f"{ID}/evil.py": "import os", f"{ID}/adapter/weights.bin": "x"}
    members |= {f"{ID}/report.html": "<script>", f"{ID}/checkpoints/a.safetensors": "x", "other.txt": "x"}
    came, ignored = read_run(zipped(members), tmp_path)
    assert len(ignored) == 5
    assert sorted(path.name for path in came.path.rglob("*")) == ["config.json", "meta.json", "status.json"]


def test_strange_words_in_meta_become_plain_ones(tmp_path):
    meta = {"name": ["x"] * 400, "tags": "no list", "group": None, "note": 5}
    came, _ = read_run(zipped({f"{ID}/config.json": CONFIG, f"{ID}/meta.json": json.dumps(meta)}), tmp_path)
    assert len(came.meta["name"]) == 200 and came.meta["tags"] == [] and came.meta["note"] == "5"


# -- hostile ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../config.json",
        f"{ID}/../../out.txt",
        "/etc/cron.d/x",
        f"{ID}\\..\\x",
        "C:/x",
        "a/b/../../../c",
        f"{ID}/adapter/../../x",
    ],
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    refused(zipped({f"{ID}/config.json": CONFIG, name: "x"}), tmp_path, "leads out of its folder")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(tmp_path, kind):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{ID}/config.json", CONFIG)
        info = zipfile.ZipInfo(f"{ID}/log.txt")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refused(buffer, tmp_path, "a link or a device")


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_BYTES_OF_TEXT", 100_000)
    refused(zipped({f"{ID}/config.json": CONFIG, f"{ID}/log.txt": b"0" * 5_000_000}), tmp_path, "more than")


def test_a_bomb_that_lies_about_its_size_is_stopped_too(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_BYTES", 200_000)
    raw = zipped({f"{ID}/config.json": CONFIG, f"{ID}/units.parquet": b"0" * 5_000_000}).getvalue()
    raw = raw.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 10))
    refused(io.BytesIO(raw), tmp_path, "more than|cannot be read")


def test_many_small_files_add_up(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_BYTES", 100_000)
    members = {f"{ID}/dynamics.parquet/0-{n:08d}.parquet": b"0" * 9_000 for n in range(20)}
    refused(zipped({f"{ID}/config.json": CONFIG, **members}), tmp_path, "more than")


def test_too_many_files_are_refused_before_their_names_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_FILES", 50)
    members = {f"{ID}/config.json": CONFIG} | {f"{ID}/{n}": "" for n in range(60)}
    refused(zipped(members), tmp_path, "lists 61 files")


def test_a_second_table_of_contents_is_refused(tmp_path):
    raw = zipped({f"{ID}/config.json": CONFIG}).getvalue()
    place = raw.rfind(b"PK\x05\x06")
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1)
    refused(io.BytesIO(raw[:place] + locator + raw[place:]), tmp_path, "files or more")


def test_a_file_that_is_there_twice_is_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{ID}/config.json", CONFIG)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(f"{ID}/config.json", CONFIG)
    refused(buffer, tmp_path, "twice")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x05\x06", b"PK\x03\x04" + b"\0" * 100, b"\x80\x04\x95pickle.", b"PK\x05\x06" + b"\0" * 18],
)
def test_what_is_no_zip_is_refused(tmp_path, content):
    refused(io.BytesIO(content), tmp_path, r"no \.zip|cannot be read|holds no run")


def test_a_damaged_zip_is_refused(tmp_path):
    raw = bytearray(zipped({f"{ID}/config.json": CONFIG * 20}).getvalue())
    raw[60:80] = b"\xff" * 20
    refused(io.BytesIO(bytes(raw)), tmp_path, "cannot be read")


def test_an_unusual_packing_is_refused(tmp_path):
    refused(zipped({f"{ID}/config.json": CONFIG}, method=zipfile.ZIP_LZMA), tmp_path, "unusual")


@pytest.mark.parametrize("config", ["{", '{"rank": -4}', "[]", "[" * 100_000, '{"rank": ' + "9" * 5000 + "}"])
def test_settings_must_be_readable(tmp_path, config):
    refused(zipped({f"{ID}/config.json": config}), tmp_path, "settings of the run cannot be read")


def test_without_settings_or_with_two_runs_it_is_no_run(tmp_path):
    refused(zipped({f"{ID}/log.txt": "x"}), tmp_path, "holds no run folder")
    refused(zipped({"adapter/config.json": CONFIG}), tmp_path, "holds no run folder")
    refused(zipped({"a/config.json": CONFIG, "b/config.json": CONFIG}), tmp_path, "holds 2 run folders")


def test_a_table_that_is_none_or_endless_is_refused(tmp_path, monkeypatch):
    members = {f"{ID}/config.json": CONFIG}
    refused(zipped({**members, f"{ID}/predictions.parquet": b"PAR1"}), tmp_path, "no parquet table")
    from bidora.runs import exchange

    monkeypatch.setattr(exchange, "MOST_CELLS", 10)
    buffer = io.BytesIO()
    pandas.DataFrame({"a": range(100)}).to_parquet(buffer)
    refused(zipped({**members, f"{ID}/dynamics.parquet/all.parquet": buffer.getvalue()}), tmp_path, "100 cells")


def test_a_table_whose_rows_share_one_long_text_is_refused(tmp_path, monkeypatch):
    from bidora.runs import exchange

    monkeypatch.setattr(exchange, "MOST_BYTES", 1_000_000)
    buffer = io.BytesIO()
    pandas.DataFrame({"input": ["word " * 10_000] * 1000}).to_parquet(buffer)
    assert len(buffer.getvalue()) < 100_000, "it is small on disk"
    members = {f"{ID}/config.json": CONFIG, f"{ID}/predictions.parquet": buffer.getvalue()}
    refused(zipped(members), tmp_path, "allowed: .* 1 MB")


def test_a_pickle_that_calls_itself_safetensors_is_refused(tmp_path):
    members = {f"{ID}/config.json": CONFIG, f"{ID}/adapter/adapter_model.safetensors": b"\x80\x04\x95" + b"x" * 100}
    refused(zipped(members), tmp_path, "safetensors")


def test_links_in_a_run_folder_are_not_exported(run, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("SECRET2")
    (run.path / "log.txt").unlink()
    (run.path / "log.txt").symlink_to(secret)
    buffer = io.BytesIO()
    write_run(run.path, buffer)
    assert not any(name.endswith("log.txt") for name in _contents(buffer))


def test_an_adapter_folder_that_is_a_link_is_not_packed(run, tmp_path):
    run.adapter_dir.rename(tmp_path / "elsewhere")
    run.adapter_dir.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LabError, match="no adapter"):
        write_adapter(run.path, io.BytesIO())
