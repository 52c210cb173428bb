"""Cuts and draws, the packaged protein tasks, and every odd table that a student may bring."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.models import MODELS
from bidora.models.packages import cache_folder
from bidora.tasks import TASKS, Split, TaskData, get_task, prepare, task_is_fetched
from bidora.tasks.cuts import cut, draw, shuffled, strata, two_levels
from bidora.tasks.peptides import read_peptides
from bidora.tasks.sequences import ALPHABET, clean_sequence, clusters, look_like_proteins, similar_pairs, with_neighbour
from bidora.tasks.stability import choose_sites, mutated_sites

REAL = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def classes(*counts):
    """A split with so many examples of each class, interleaved."""
    targets = numpy.concatenate([numpy.full(count, label) for label, count in enumerate(counts)]).astype(numpy.int64)
    targets = targets[numpy.argsort(numpy.arange(len(targets)) * 7919 % 1009, kind="stable")]
    return Split(
        tuple(f"text {n}" for n in range(len(targets))), targets, tuple(f"id {n}" for n in range(len(targets)))
    )


def numbers(count):
    targets = numpy.linspace(-3, 5, count) ** 3
    return Split(tuple(f"text {n}" for n in range(count)), targets, tuple(f"id {n}" for n in range(count)))


def many_labels(count, labels, seed=0):
    generator = numpy.random.default_rng(seed)
    targets = (generator.random((count, labels)) < numpy.linspace(0.05, 0.5, labels)).astype(numpy.float32)
    targets[targets.sum(axis=1) == 0, labels - 1] = 1
    return Split(tuple(f"text {n}" for n in range(count)), targets, tuple(f"id {n}" for n in range(count)))


# -- splits -------------------------------------------------------------------------------------------------------


def test_the_digest_tells_every_difference():
    split = classes(3, 4)
    other_targets = Split(split.inputs, split.targets[::-1].copy(), split.ids)
    other_inputs = Split(("text 0x", *split.inputs[1:]), split.targets, split.ids)
    other_ids = Split(split.inputs, split.targets, ("id 0x", *split.ids[1:]))
    as_floats = Split(split.inputs, split.targets.astype(numpy.float64), split.ids)
    moved = Split(("text 0text 1", "", *split.inputs[2:]), split.targets, split.ids)
    variants = [split, other_targets, other_inputs, other_ids, as_floats, moved, split.take(range(6))]
    assert len({each.digest() for each in variants}) == len(variants)
    assert split.digest() == split.take(range(7)).digest() and len(split.digest()) == 64


def test_a_split_of_unequal_parts_is_refused():
    with pytest.raises(ValueError, match="2 inputs, 3 targets and 2 ids"):
        Split(("a", "b"), numpy.zeros(3), ("1", "2"))


def test_the_order_depends_on_seed_purpose_and_key_only():
    keys = [f"text {n}" for n in range(200)]
    order = shuffled(keys, 0, purpose="draw")
    assert sorted(order) == list(range(200)) and not numpy.array_equal(order, numpy.arange(200))
    assert not numpy.array_equal(order, shuffled(keys, 1, purpose="draw"))
    assert not numpy.array_equal(order, shuffled(keys, 0, purpose="upper"))
    backwards = shuffled(keys[::-1], 0, purpose="draw")
    assert [keys[each] for each in order] == [keys[::-1][each] for each in backwards]


def test_the_order_is_the_same_on_every_machine():
    """Against an independent writing-down of the same rule: ordered by sha256 of purpose, seed and key."""
    keys = ["b", "a", "ü", "c"]
    marks = {key: hashlib.sha256(b"draw\x005\x00" + key.encode()).hexdigest() for key in keys}
    assert [keys[each] for each in shuffled(keys, 5, purpose="draw")] == sorted(keys, key=marks.get)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.8])
def test_cuts_are_stratified_disjoint_and_whole(fraction):
    split = classes(10, 50, 125)
    first, second = cut(split, "classification", fraction, seed=0, purpose="upper")
    assert sorted([*first, *second]) == list(range(len(split)))
    expected = [int(count * fraction + 0.5) for count in (10, 50, 125)]
    assert numpy.bincount(split.targets[second]).tolist() == expected


def test_numbers_are_cut_evenly_over_their_range():
    split = numbers(97)
    first, second = cut(split, "regression", 0.2, seed=3, purpose="upper")
    assert len(second) == 19
    ranks = numpy.argsort(numpy.argsort(split.targets))[second]
    assert numpy.bincount(ranks * 10 // 97, minlength=10).min() >= 1  # every tenth of the range is in the upper part
    assert abs(numpy.median(split.targets[first]) - numpy.median(split.targets[second])) < 5


def test_several_labels_are_cut_by_the_rarest():
    split = many_labels(400, 6)
    _, second = cut(split, "multilabel", 0.25, seed=0, purpose="upper")
    assert len(second) == 100
    share = split.targets[second].sum(axis=0) / split.targets.sum(axis=0)
    assert share.min() > 0.15 and share.max() < 0.35


def test_the_stratum_of_an_example():
    targets = numpy.array([[1, 0, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=numpy.float32)
    assert strata("multilabel", targets).tolist() == [2, 0, 3, 1]
    assert strata("regression", numpy.array([5.0, 1.0, 3.0, 2.0]), bins=2).tolist() == [1, 0, 1, 0]
    assert strata("regression", numpy.array([1.0]), bins=10).tolist() == [0]


def test_groups_are_not_torn_apart():
    split = classes(60, 90)
    groups = [f"family {n % 37}" for n in range(150)]
    first, second = cut(split, "classification", 0.2, seed=0, purpose="test", groups=groups, exact=True)
    assert not {groups[each] for each in first} & {groups[each] for each in second}
    assert 0.15 * 150 <= len(second) <= 0.2 * 150


def test_draws_are_stratified_seeded_and_nested():
    split = classes(5, 40, 60)
    eight, short = draw(split, "classification", 8, seed=0)
    assert numpy.bincount(split.targets[eight]).tolist() == [5, 8, 8] and short == {0: 5}
    sixteen, _ = draw(split, "classification", 16, seed=0)
    assert set(eight) < set(sixteen) and set(eight) != set(draw(split, "classification", 8, seed=1)[0])
    assert eight.tolist() == sorted(eight)
    everything, short = draw(split, "classification", 0, seed=0)
    assert len(everything) == 105 and not short


def test_draws_of_numbers_are_spread_over_the_range():
    split = numbers(200)
    ten, _ = draw(split, "regression", 10, seed=0)
    assert numpy.bincount(strata("regression", split.targets)[ten]).tolist() == [1] * 10
    twenty, _ = draw(split, "regression", 20, seed=0)
    assert set(ten) < set(twenty)
    everything, short = draw(split, "regression", 500, seed=0)
    assert len(everything) == 200 and short == {-1: 200}


def test_draws_of_several_labels_have_enough_of_each():
    split = many_labels(300, 5)
    chosen, short = draw(split, "multilabel", 10, seed=0)
    counts = split.targets[chosen].sum(axis=0)
    assert counts.min() >= 10 and not short and len(chosen) <= 50
    rare = Split(split.inputs, numpy.column_stack([split.targets, numpy.eye(300)[:, :1]]).astype("float32"), split.ids)
    assert draw(rare, "multilabel", 10, seed=0)[1] == {5: 1}


@pytest.mark.parametrize(
    ("counts", "fraction", "advice", "working"),
    [
        ((3, 40), 0.1, "at least 0.167", 0.167),  # three of 43 are more than a rare class may be
        ((3, 9), 0.1, "at least 0.167", 0.167),
        ((4, 4), 0.05, "at least 0.125", 0.125),
        ((5, 5), 0.95, "less than 0.9", 0.89),
    ],
)
def test_a_fraction_that_empties_a_class_names_it_and_what_works(counts, fraction, advice, working):
    labels, split = ("rare", "common"), classes(*counts)
    with pytest.raises(LabError, match=f"upper_fraction={fraction:g} .* class 'rare'") as caught:
        two_levels(split, "classification", fraction, seed=0, labels=labels)
    assert advice in caught.value.hint
    lower, upper, remarks = two_levels(split, "classification", working, seed=0, labels=labels)
    assert set(lower.targets) == set(upper.targets) == {0, 1} and not remarks


def test_the_fraction_below_the_named_one_does_not_work():
    for count in range(2, 30):
        split = classes(count, count)
        with pytest.raises(LabError) as caught:
            two_levels(split, "classification", 0.4 / count, seed=0, labels=("a", "b"))
        low = float(caught.value.hint.split("at least ")[1].split()[0])
        two_levels(split, "classification", low, seed=0, labels=("a", "b"))
        with pytest.raises(LabError):
            two_levels(split, "classification", low - 0.002, seed=0, labels=("a", "b"))


def test_classes_that_are_rare_altogether_are_tolerated_and_named():
    split = classes(1, 2, 300)
    lower, upper, remarks = two_levels(split, "classification", 0.2, seed=0, labels=("one", "two", "many"))
    assert set(upper.targets) == {2} and set(lower.targets) == {0, 1, 2}
    assert remarks == ("too rare for both levels, so missing in the upper split: one (1), two (2)",)


def test_a_class_with_one_example_cannot_be_split():
    with pytest.raises(LabError, match=r"class 'a' \(1 training example\)") as caught:
        two_levels(classes(1, 3), "classification", 0.3, seed=0, labels=("a", "b"))
    assert "at least 2 examples" in caught.value.hint


@pytest.mark.parametrize(("count", "fraction", "empty"), [(5, 0.05, "upper"), (5, 0.95, "lower"), (1, 0.2, "upper")])
def test_numbers_too_few_for_two_levels(count, fraction, empty):
    with pytest.raises(LabError, match=f"no example in the {empty} split"):
        two_levels(numbers(count), "regression", fraction, seed=0, labels=())


# -- prepare ------------------------------------------------------------------------------------------------------


@pytest.fixture
def task(monkeypatch):
    """A task in memory in the place of `reuters`."""
    import dataclasses

    def install(train, test=None, *, kind="classification", labels=("a", "b", "c"), groups=()):
        data = TaskData(kind, labels, train, test or train.take(range(4)), ("of the loader",), groups)
        replaced = dataclasses.replace(TASKS["reuters"], load=lambda config, progress: data)
        monkeypatch.setitem(TASKS, "reuters", replaced)

    return install


def test_the_parts_of_a_run_fit_together(task):
    task(classes(30, 50, 70))
    prepared = prepare(RunConfig(examples_per_class=20, selection_fraction=0.1))
    assert sorted([*prepared.lower.ids, *prepared.upper.ids]) == sorted(prepared.train.ids)
    assert not set(prepared.selection.ids) & set(prepared.train.ids)
    assert numpy.bincount(prepared.train.targets).tolist() == [20, 20, 20]
    assert numpy.bincount(prepared.upper.targets).tolist() == [4, 4, 4]
    assert numpy.bincount(prepared.selection.targets).tolist() == [3, 5, 7]
    assert "of the loader" in prepared.notes


def test_equal_settings_give_equal_parts_and_other_seeds_others(task):
    task(classes(30, 50, 70))
    parts = [prepare(RunConfig(examples_per_class=8, seed=seed)) for seed in (0, 0, 1)]
    assert parts[0].lower.digest() == parts[1].lower.digest() != parts[2].lower.digest()
    assert parts[0].upper.digest() == parts[1].upper.digest() != parts[2].upper.digest()
    assert parts[0].test.digest() == parts[2].test.digest()


def test_methods_share_their_data_and_only_two_levels_cut_it(task):
    task(classes(30, 50, 70))
    two, one = prepare(RunConfig(examples_per_class=8)), prepare(RunConfig(examples_per_class=8, method="dora"))
    assert one.train.digest() == two.train.digest() and one.lower is one.train and one.upper is None
    same = prepare(RunConfig(examples_per_class=8, upper_data="same"))
    assert same.lower is same.upper is same.train and same.train.digest() == two.train.digest()


def test_one_setting_does_not_move_the_others(task):
    task(classes(30, 50, 70))
    base = prepare(RunConfig(examples_per_class=8))
    assert prepare(RunConfig(examples_per_class=8, upper_fraction=0.4)).train.digest() == base.train.digest()
    assert set(base.upper.ids) < set(prepare(RunConfig(examples_per_class=8, upper_fraction=0.4)).upper.ids)


def test_small_classes_are_used_whole_and_named(task):
    task(classes(3, 50, 70))
    prepared = prepare(RunConfig(examples_per_class=8))
    assert numpy.bincount(prepared.train.targets).tolist() == [3, 8, 8]
    assert "classes with fewer than 8 training examples, all used: a 3" in prepared.notes


def test_inputs_that_stand_in_both_parts_are_counted(task):
    train = classes(20, 20)
    test = Split(("TEXT  1", "other", "text 3"), numpy.array([0, 1, 0]), ("x", "y", "z"))
    task(train, test)
    assert "2 of 3 test inputs also stand in the training data" in prepare(RunConfig()).notes


def test_selection_keeps_groups_together(task):
    split = classes(60, 60)
    groups = tuple(f"family {n // 3}" for n in range(120))
    task(split, groups=groups)
    prepared = prepare(RunConfig(selection_fraction=0.2))
    family = dict(zip(split.ids, groups))
    assert not {family[each] for each in prepared.selection.ids} & {family[each] for each in prepared.train.ids}
    assert any("similar ones together" in note for note in prepared.notes)


def test_the_upper_split_can_keep_groups_together(task):
    split = classes(60, 60)
    families = tuple(f"family {row // 6}" for row in range(120))
    task(split, groups=families)
    family = dict(zip(split.ids, families))
    config = RunConfig(examples_per_class=0, selection_fraction=0.1)
    random, together = prepare(config), prepare(config.replace(upper_data="held-out-families"))
    assert together.train.digest() == random.train.digest(), "the same training data, cut in another way"
    assert not {family[each] for each in together.upper.ids} & {family[each] for each in together.lower.ids}
    assert sorted([*together.upper.ids, *together.lower.ids]) == sorted(random.train.ids)
    shared = {family[each] for each in random.lower.ids}
    many = sum(family[each] in shared for each in random.upper.ids)
    (note,) = (note for note in random.notes if "have similar ones in the lower split" in note)
    assert note.startswith(f"{many} of {len(random.upper)} examples") and "upper_data=held-out-families" in note
    assert not any("have similar ones in the lower split" in note for note in together.notes)


def test_groups_can_only_be_kept_together_where_there_are_any(task):
    task(classes(30, 30))
    with pytest.raises(LabError, match="knows which inputs resemble each other"):
        prepare(RunConfig(upper_data="held-out-families"))


def test_selection_that_leaves_nothing(task):
    task(classes(3, 3))
    with pytest.raises(LabError, match=r"selection_fraction=0\.1 leaves 0 examples"):
        prepare(RunConfig(selection_fraction=0.1))
    task(classes(3, 3), groups=tuple("abcabc"))
    with pytest.raises(LabError, match=r"selection_fraction=0\.9"):
        prepare(RunConfig(selection_fraction=0.9))


def test_other_kinds_go_the_same_way(task):
    task(numbers(100), kind="regression", labels=())
    prepared = prepare(RunConfig(examples_per_class=50, selection_fraction=0.2))
    assert (len(prepared.selection), len(prepared.train), len(prepared.upper)) == (20, 50, 10)
    task(numbers(30), kind="regression", labels=())
    assert any("30 training examples" in note for note in prepare(RunConfig(examples_per_class=50)).notes)
    task(many_labels(100, 3), kind="multilabel")
    assert len(prepare(RunConfig()).upper) == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(task="reuter"), "there is no task 'reuter'.*did you mean 'reuters'"),
        (dict(task="xyz"), "task=csv"),
        (dict(variant="r9"), "variant='r9' is none of task=reuters .allowed: r8, r52, r10, r90.*did you mean"),
        (dict(task="stability", variant="x"), "allowed: none"),
        (dict(task="peptides", data="x.csv"), "data='x.csv' is not used by task=peptides.*task=csv"),
        (dict(task="reuters", label_column="y"), "label_column='y' is not used"),
        (dict(task="csv"), "task=csv needs a table"),
    ],
)
def test_settings_that_do_not_fit_the_task(settings, message):
    with pytest.raises(LabError, match=message):
        prepare(RunConfig(**settings))


def test_a_kind_that_does_not_fit(task):
    task(classes(9, 9))
    with pytest.raises(LabError, match="kind=regression does not fit task=reuters, which is classification"):
        prepare(RunConfig(kind="regression"))


def test_the_registry_says_everything_about_each_task():
    for name, each in TASKS.items():
        assert each.name == name and get_task(name) is each
        assert each.family in ("text", "protein") and each.default_model and each.default_length > 0
        assert each.title and each.source and each.licence
        assert (each.default_variant in each.variants) if each.variants else each.default_variant == ""
        if each.package is not None:
            assert each.size == each.package.size and each.citation and each.notice


def test_the_readme_names_every_checksum():
    text = (Path(__file__).resolve().parents[1] / "data" / "README.md").read_text(encoding="utf-8")
    for each in (*TASKS.values(), *MODELS.values()):
        if each.package is not None:
            assert each.package.sha256 in text and f"{each.package.size:,} bytes" in text
            assert f"{each.package.name} {each.package.version}" in text
            weighty = [
                member for member in each.package.members if not member.name.endswith((".json", "vocab.txt", ".md"))
            ]
            assert weighty and all(member.sha256 in text and f"{member.size:,}" in text for member in weighty)
    assert " ".join(text.replace("> ", "").split()).count("agreed to allow the free distribution of this data") == 1


def test_no_loader_needs_torch():
    code = (
        "import sys, bidora.tasks, bidora.config\n"
        f"bidora.tasks.prepare(bidora.config.RunConfig(task='csv', data={str(Path(__file__).parent / 'no.csv')!r}))"
    )
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert "does not exist" in done.stderr
    assert not any(line.split("|")[-1].strip() in ("torch", "transformers") for line in done.stderr.splitlines())


# -- sequences ----------------------------------------------------------------------------------------------------


def test_sequences_are_cleaned():
    assert clean_sequence(" mkt ay\nIAKQ* ") == "MKTAYIAKQ"
    assert set("XBUZO") < set(ALPHABET) and len(ALPHABET) == 25


def test_what_looks_like_proteins():
    assert look_like_proteins(["MKTAYIAKQR", "GLWSKIK"])
    assert (
        not look_like_proteins(["I AM SHOUTING", "STOP"])
        and not look_like_proteins(["mktay"])
        and not look_like_proteins([])
    )


def test_relatives_are_found_by_shared_letters():
    """Against the definition, written out for each pair."""
    generator = numpy.random.default_rng(0)
    sequences = ["".join(generator.choice(list("AKL"), size=generator.integers(2, 12))) for _ in range(60)]

    def words(sequence):
        return {sequence[i : i + 3] for i in range(max(1, len(sequence) - 2))}

    expected = set()
    for i in range(60):
        for j in range(i + 1, 60):
            one, two = words(sequences[i]), words(sequences[j])
            if len(one & two) / len(one | two) >= 0.3:
                expected.add((i, j))
    first, second = similar_pairs(sequences)
    assert set(zip(first.tolist(), second.tolist())) == expected and 20 < len(expected) < 1500


def test_chains_of_relatives_are_one_family():
    first, second = numpy.array([0, 1, 4]), numpy.array([1, 2, 5])
    found = clusters(7, first, second)
    assert found[0] == found[1] == found[2] and found[4] == found[5] and len(set(found.tolist())) == 4
    test = numpy.array([True, False, False, False, True, True, False])
    assert with_neighbour(test, first, second) == 1


def test_peptides_are_read_with_all_their_oddities():
    text = "6,1,UniProt,AMP\nACDE, 1\nACDE,1\nFGHI,0\nKLMN,0\nKLMN, 1\nqrst,1\n"
    sequences, targets, dropped = read_peptides(text)
    assert sequences == ["ACDE", "FGHI", "QRST"] and targets.tolist() == [1, 0, 1] and dropped == (2, 1)
    with pytest.raises(LabError, match="peptide 2: letter 'J'"):
        read_peptides("2\nACDE,1\nAJC,0\n")


def test_mutants_know_their_site():
    sequences = ["ACDE", "ACDF", "GCDE", "ACDG", "AKDE", "AHDE"]
    sites, names = mutated_sites([*sequences[1:]])
    assert sites.tolist() == [5, 2, 5, 3, 3] and names == ["E5F", "A2G", "E5G", "C3K", "C3H"]
    with pytest.raises(LabError, match="no single mutant"):
        mutated_sites([*sequences[1:], "GKDE"])


def test_every_fifth_site_is_held_out_over_the_whole_range():
    sites = numpy.repeat(numpy.arange(2, 52), 3)
    energies = numpy.repeat(numpy.linspace(-1, 3, 50), 3)
    chosen = choose_sites(sites, energies)
    assert len(chosen) == 10 and len({(site - 2) // 5 for site in chosen}) == 10
    assert chosen == choose_sites(sites, energies)


def packaged(name, **settings):
    if not task_is_fetched(name):
        pytest.skip(f"the data of {name} are not in {cache_folder()}: `bidora fetch` brings them")
    return prepare(RunConfig(task=name, **settings))


@pytest.mark.real
def test_the_counts_of_the_peptides():
    prepared = packaged("peptides")
    assert (len(prepared.train), len(prepared.test)) == (3696, 924)
    assert numpy.bincount(prepared.train.targets).tolist() == [1664, 2032]
    assert numpy.bincount(prepared.test.targets).tolist() == [416, 508]
    sequences = [*prepared.train.inputs, *prepared.test.inputs]
    assert len(set(sequences)) == 4620
    first, second = similar_pairs(sequences)
    test = numpy.arange(4620) >= 3696
    assert with_neighbour(test, first, second) == 0
    assert any("0 of 924 test peptides" in note for note in prepared.notes)
    assert packaged("peptides", seed=5).test.digest() == prepared.test.digest()


@pytest.mark.real
def test_the_peptides_without_their_start():
    prepared = packaged("peptides", variant="amp-no-start")
    assert len(prepared.train) + len(prepared.test) == 4620
    assert sum(text.startswith("M") for text in prepared.test.inputs) < 30  # a second M may follow the first
    assert not any("shortcut" in note for note in prepared.notes)
    assert any("alone is right for 76.4 %" in note for note in packaged("peptides").notes)


@pytest.mark.real
def test_the_counts_of_the_mutants():
    prepared = packaged("stability")
    assert (prepared.kind, prepared.labels, len(prepared.train), len(prepared.test)) == ("regression", (), 635, 178)
    assert prepared.train.targets.dtype == numpy.float64 and {len(text) for text in prepared.train.inputs} == {55}
    sites = [{name[1:-1] for name in split.ids} for split in (prepared.train, prepared.test)]
    assert not sites[0] & sites[1] and (len(sites[0]), len(sites[1])) == (43, 11)
    both = numpy.concatenate([prepared.train.targets, prepared.test.targets])
    assert (len(both), both.min().round(2), both.max().round(2)) == (813, -1.92, 3.69)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (dict(data="bbp_bbppred/BBP_train.xlsx", test_data="bbp_bbppred/BBP_test.xlsx"), ("classification", 200, 38)),
        (dict(data="mic_grampa/all_interesting_bacteria.csv", label_column="E_coli"), ("regression", 3647, 912)),
        (
            dict(
                data="thermo_tm_pairs/alldata.xlsx",
                input_column="Sequence1",
                label_column="Tm Protein1",
                examples_per_class=50,
            ),
            ("regression", 50, 176),
        ),
    ],
)
def test_real_tables_of_others(settings, expected):
    if not (REAL / settings["data"]).exists():
        pytest.skip(f"../shared/data/{settings['data']} is not here")
    paths = {name: str(REAL / value) if name.endswith("data") else value for name, value in settings.items()}
    prepared = prepare(RunConfig(task="csv", model="esm2", **paths))
    assert (prepared.kind, len(prepared.train), len(prepared.test)) == expected
