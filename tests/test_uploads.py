"""Uploads are hostile: each trick gets one sentence and leaves nothing behind."""

import io
import json
import os
import pickle
import stat
import struct
import zipfile
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save

from bidora.errors import LabError
from bidora.uploads import Upload, limits, receive, receiving, remove, session_folder, shown

SETTINGS = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "../../../../etc/passwd"}
LAYER = "base_model.model.encoder.layer.0.attention.self.query"
WEIGHTS = save(
    {
        f"{LAYER}.lora_A.weight": numpy.ones((2, 6), numpy.float32),
        f"{LAYER}.lora_B.weight": numpy.ones((4, 2), numpy.float32),
    }
)


class Bomb:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "session"
    place.mkdir()
    return place


def file(name: str, content: bytes | dict) -> Upload:
    return Upload(name, io.BytesIO(json.dumps(content).encode() if isinstance(content, dict) else content))


def archive(members: dict[str, bytes | dict], **options) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, **options) as writer:
        for name, content in members.items():
            writer.writestr(name, json.dumps(content) if isinstance(content, dict) else content)
    return packed.getvalue()


def refused(words: str, folder: Path, *uploads: Upload) -> LabError:
    with pytest.raises(LabError) as caught:
        receive(uploads, folder)
    error = caught.value
    assert words in error.message, error.message
    assert error.hint
    assert str(folder) not in str(error), "where uploads are kept is nobody's business"
    assert len(error.message) < 400
    assert not list(folder.iterdir()), "something was left behind"
    return error


# -- what is taken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [("adapter_model.safetensors", "adapter_config.json"), ("a (1).safetensors", "ü (1).json")]
)
def test_two_files_make_an_adapter_under_peft_s_own_names(folder, names):
    received = receive([file(names[1], SETTINGS), file(names[0], WEIGHTS)], folder)
    assert sorted(path.name for path in received.path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert received.title == names[0]
    assert received.path.parent == folder


def test_a_zip_of_the_folder_is_the_same_as_its_files(folder):
    packed = archive(
        {"my/adapter_config.json": SETTINGS, "my/adapter_model.safetensors": WEIGHTS, "my/README.md": b"x"}
    )
    one = receive([file("my.zip", packed)], folder)
    two = receive([file("adapter_config.json", SETTINGS), file("adapter_model.safetensors", WEIGHTS)], folder)
    assert one.digest == two.digest
    assert not (one.path / "README.md").exists()


def test_a_checkpoint_is_one_file_or_all_shards_with_the_index(folder):
    alone = receive([file("whatever.safetensors", WEIGHTS)], folder)
    assert [path.name for path in alone.path.iterdir()] == ["model.safetensors"]
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    shards = [file(f"model-{number}.safetensors", WEIGHTS) for number in (1, 2)]
    several = receive([*shards, file("model.safetensors.index.json", index)], folder)
    assert len(list(several.path.iterdir())) == 3


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps rights otherwise")
def test_the_folder_of_a_session_is_private_and_goes():
    place = session_folder()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    receive([file("a.safetensors", WEIGHTS)], place)
    remove(place)
    assert not place.exists()
    remove(place)


def test_folders_of_servers_that_were_killed_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(receiving.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(receiving.tempfile, "tempdir", str(tmp_path))
    dead, alive, other = (
        tmp_path / name for name in ("bidora-upload-999999999-a", f"bidora-upload-{os.getpid()}-a", "else")
    )
    for each in (dead, alive, other):
        each.mkdir()
    session_folder()
    assert [each.exists() for each in (dead, alive, other)] == [False, True, True]


# -- single files -----------------------------------------------------------------------------------------------


def header(entries: dict | bytes, body: bytes = b"", length: int | None = None) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(shape, begin, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"not weights", "not a safetensors file"),
        (header({"a": entry([2], 0, 8)}, b"0" * 8, length=2**60), "not a safetensors file"),
        (header({"a": entry([2], 0, 8)}, b"0" * 8, length=4_000_000), "cut off in its header"),
        (header({"a": entry([2], 0, 8), "b": entry([3], 4, 16)}, b"0" * 16), "overlaps"),
        (header({"a": entry([2], 8, 16)}, b"0" * 16), "leaves a gap"),
        (header({"a": entry([2], 0, 8)}, b"0" * 4), "cut off"),
        (header({"a": entry([2], 0, 8)}, b"0" * 9), "too many"),
        (header({"a": entry([2], 0, 8, "F64")}, b"0" * 8), "header is not"),
        (header({"a": entry([1] * 50_000, 0, 4)}, b"0" * 4), "header is not"),
        (header({"a": entry([10**400, 10**400], 0, 4)}, b"0" * 4), "header is not"),
        (header(b"{" + b'"a":[' * 100_000), "header is not"),
    ],
)
def test_weights_that_are_not_what_they_say(folder, content, words):
    refused(words, folder, file("adapter_model.safetensors", content), file("adapter_config.json", SETTINGS))


def test_a_header_of_many_million_bytes_is_not_even_parsed(folder):
    content = header(b"{" + b" " * (limits.UPLOAD_HEADER_LIMIT + 1))
    refused("not a safetensors file", folder, file("adapter_model.safetensors", content))


@pytest.mark.parametrize("others", [(), ("adapter_config.json",)])
def test_a_file_is_called_what_its_sender_calls_it(folder, others):
    junk = file("my junk.safetensors", b"no weights at all")
    error = refused("cannot be used", folder, junk, *(file(name, SETTINGS) for name in others))
    assert error.message.startswith("my junk.safetensors cannot be used")


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_model.bin", "model.PT"])
def test_a_pickle_is_refused_whatever_it_is_called(folder, tmp_path, name):
    fuse = tmp_path / "opened"
    error = refused("is a pickle", folder, file(name, pickle.dumps(Bomb(fuse))), file("adapter_config.json", SETTINGS))
    assert "safetensors" in error.hint
    assert not fuse.exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (b"", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        ({**SETTINGS, "r": "eight"}, "gives r='eight'; allowed: a whole number"),
        ({**SETTINGS, "r": True}, "gives r=True"),
        ({**SETTINGS, "rank_pattern": ["x"]}, "rank_pattern"),
        (
            {**SETTINGS, "base_model_name_or_path": {"a": "![x](http://example.org/x.png)" * 50}},
            "base_model_name_or_path",
        ),
        (b" " * (limits.SETTINGS_LIMIT + 1), "has more than 1,000,000 bytes"),
    ],
)
def test_settings_that_are_none(folder, settings, words):
    refused(words, folder, file("adapter_model.safetensors", WEIGHTS), file("adapter_config.json", settings))


class Endless(io.RawIOBase):
    """A file without an end that notes how much of it was read."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= 1 << 20, "read in pieces"
        self.taken += size
        return b"\0" * size


def test_too_large_a_file_is_copied_in_pieces_and_given_up_in_time(folder, monkeypatch):
    monkeypatch.setattr(receiving, "UNPACKED_LIMIT", 3_000_000)
    endless = Endless()
    refused("more than 3,000,000 bytes", folder, Upload("model.safetensors", endless))
    assert endless.taken < 6_000_000


@pytest.mark.parametrize(
    ("uploads", "words"),
    [
        ([], "nothing was uploaded"),
        ([("adapter_config.json", SETTINGS)], "no .safetensors file"),
        ([("a.safetensors", WEIGHTS), ("b.safetensors", WEIGHTS)], "need the index"),
        ([("a.safetensors", WEIGHTS), ("b.json", SETTINGS), ("c.json", SETTINGS)], "more than one .json"),
        ([("a.safetensors", WEIGHTS), ("b.exe", b"MZ")], "is not of use here"),
        ([("a.zip", b"PK"), ("b.safetensors", WEIGHTS)], "comes alone"),
        ([("x/../../../m.safetensors", WEIGHTS), ("..\\..\\index.json", {}), ("m.safetensors", WEIGHTS)], "same name"),
        ([("mö del.safetensors", WEIGHTS), ("index.json", {}), ("m.safetensors", WEIGHTS)], "no plain file name"),
    ],
)
def test_files_that_do_not_go_together(folder, uploads, words):
    refused(words, folder, *(file(name, content) for name, content in uploads))


def test_no_name_becomes_a_path(folder):
    received = receive([file("../../../../tmp/evil\x00\n.safetensors", WEIGHTS)], folder)
    assert [path.name for path in received.path.iterdir()] == ["model.safetensors"]
    assert received.title == "evil .safetensors"


def test_titles_are_one_short_printable_line():
    assert shown("a\x1b[31m\u202eb\n\tc") == "a [31m b c"
    assert len(shown("x" * 1000)) == 80


# -- archives ---------------------------------------------------------------------------------------------------

GOOD = {"a/adapter_config.json": SETTINGS, "a/adapter_model.safetensors": WEIGHTS}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.safetensors",
        "a/../../evil.json",
        "/etc/evil.json",
        "C:/evil.json",
        "a\\..\\..\\evil.json",
        "\\\\host\\evil",
    ],
)
def test_an_archive_that_leads_out_of_its_folder(folder, tmp_path, name):
    packed = archive({**GOOD, name.replace("\\", "?"): b"x"}).replace(name.replace("\\", "?").encode(), name.encode())
    refused("leads out of its folder", folder, file("a.zip", packed))
    assert not list(tmp_path.rglob("evil*"))


def test_links_in_an_archive(folder):
    packed = io.BytesIO(archive(GOOD))
    with zipfile.ZipFile(packed, "a") as writer:
        link = zipfile.ZipInfo("a/model.safetensors")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        writer.writestr(link, "/etc/passwd")
    refused("is a link or a device", folder, file("a.zip", packed.getvalue()))


def test_a_bomb_is_found_by_its_ratio_its_size_and_its_number_of_files(folder, monkeypatch):
    zeros = {**GOOD, "a/more.bin": b"\0" * 20_000_000}
    refused("times its size; allowed: 200", folder, file("a.zip", archive(zeros)))
    refused(
        "archive holds 602 files; allowed: 500",
        folder,
        file("a.zip", archive({**GOOD, **{f"{n}": b"" for n in range(600)}})),
    )
    refused("too many files", folder, file("a.zip", archive({**GOOD, **{f"{n:0300}": b"" for n in range(700)}})))
    from bidora.uploads import archives

    monkeypatch.setattr(archives, "UNPACKED_LIMIT", 100)
    refused("would unpack to", folder, file("a.zip", archive(GOOD)))


def test_a_member_that_is_larger_than_the_archive_says(folder):
    packed = bytearray(archive({"adapter_config.json": SETTINGS, "adapter_model.safetensors": WEIGHTS}))
    place = packed.rfind(b"adapter_model.safetensors") - 46 + 24
    packed[place : place + 4] = struct.pack("<I", 20)
    refused("is damaged or no .zip", folder, file("a.zip", bytes(packed)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no .zip archive"),
        (b"PK\x03\x04 nothing", "no .zip archive"),
        (archive(GOOD)[:-30], "no .zip archive"),
        (archive(GOOD)[40:], "damaged or no .zip"),
        (archive({}), "is empty"),
        (archive({"readme.txt": b"hello"}), "holds no adapter_config.json"),
        (archive({"inner.zip": archive(GOOD)}), "archives inside it are not opened"),
        (archive({"a/pytorch_model.bin": b"\x80\x04"}), "is a pickle"),
        (archive({"a/adapter_config.json": SETTINGS, "a/adapter_model.bin": b"\x80\x04"}), "is a pickle"),
        (archive({"a/adapter_config.json": SETTINGS}), "adapter_model.safetensors is missing"),
        (
            archive({**GOOD, **{name.replace("a/", "b/"): each for name, each in GOOD.items()}}),
            "holds 2 folders with weights",
        ),
        (archive({**GOOD, "A/ADAPTER_CONFIG.JSON": b"{}"}), "twice"),
        (archive({"ä ö.safetensors": WEIGHTS}), "no plain file name"),
        (archive({"adapter_config.json": SETTINGS, "adapter_model.safetensors": pickle.dumps([1])}), "is a pickle"),
    ],
)
def test_archives_that_cannot_be_used(folder, content, words):
    refused(words, folder, file("böse ![x](http://example.org).zip", content))


def test_an_archive_with_a_password_or_an_odd_packing(folder):
    packed = bytearray(archive({"adapter_config.json": SETTINGS, "adapter_model.safetensors": WEIGHTS}))
    first = packed.find(b"PK\x01\x02")
    packed[first + 8] |= 1
    refused("password", folder, file("a.zip", bytes(packed)))
    odd = io.BytesIO()
    with zipfile.ZipFile(odd, "w", zipfile.ZIP_LZMA) as writer:
        writer.writestr("adapter_config.json", json.dumps(SETTINGS))
    refused("uncommon way", folder, file("a.zip", odd.getvalue()))
