"""Scores of generated texts: against hand-made values, small independent implementations, and the libraries' own corpus scores."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny_causal import needs_scores

from bidora.errors import LabError
from bidora.metrics import baseline, generated, primary_of, score, score_intervals
from bidora.metrics.generated import tokens
from bidora.metrics.scoring import objects

pytestmark = needs_scores

WORDS = "the a cheap pub near river serves good food in city centre and is family friendly called Blue Spice".split()


def texts(count: int, *, seed: int = 0) -> tuple[list[str], list[tuple[str, ...]]]:
    """Outputs that resemble one of one to four references each."""
    generator = random.Random(seed)
    outputs, references = [], []
    for _ in range(count):
        first = generator.choices(WORDS, k=generator.randint(5, 14))
        others = [generator.choices(WORDS, k=generator.randint(5, 14)) for _ in range(generator.randint(0, 3))]
        changed = [word if generator.random() < 0.8 else generator.choice(WORDS) for word in first]
        outputs.append(" ".join(changed[: generator.randint(4, 14)]) + ".")
        references.append(tuple(" ".join(each) + "." for each in (first, *others)))
    return outputs, references


def scored(outputs: list[str], references: list[tuple[str, ...]]) -> dict[str, float | None]:
    return score("generation", objects(outputs), objects(references))


# -- by hand ---------------------------------------------------------------------------------------------------------


def test_bleu_of_one_sentence_by_hand():
    """Right of 7, 6, 5, 4 n-grams: 6 (no second "the"), 4, 3, 2; as long as its reference, so nothing is taken off."""
    found = scored(["the cat sat on the mat ."], [("the cat sat on a mat .", "a dog lay on a mat")])
    right = [(6, 7), (4, 6), (2, 5), (1, 4)]
    # the cat | cat sat | sat on | mat . are right; the cat sat | cat sat on; the cat sat on
    assert found["bleu"] == pytest.approx(math.exp(sum(math.log(a / b) for a, b in right) / 4))


def test_a_short_answer_pays_for_its_brevity():
    whole, part = "a pub near the river in the city", "a pub near the river"
    assert scored([whole], [(whole,)])["bleu"] == pytest.approx(1.0)
    assert scored([part], [(whole,)])["bleu"] == pytest.approx(math.exp(1 - 8 / 5))


def test_case_and_the_other_references_count_as_they_should():
    found = scored(["THE PUB IS CHEAP ."], [("nothing alike here", "the pub is cheap .")])
    assert found["bleu"] == pytest.approx(1.0) and found["rouge_l"] == pytest.approx(1.0)
    assert found["chrf"] < 0.5, "chrF tells capitals from small letters, as sacrebleu does by default"


def test_an_empty_answer_and_one_without_a_right_word_score_nothing_and_break_nothing():
    for answer in ("", "zzz"):
        found = scored([answer], [("a cheap pub",)])
        assert found["bleu"] == found["nist"] == found["rouge_l"] == 0.0 and found["chrf"] == pytest.approx(0, abs=0.01)


def test_words_are_cut_as_mteval_cuts_them():
    assert tokens("Café Rouge: £20-25, 3.5 of 5!") == [
        "café",
        "rouge",
        ":",
        "£20",
        "-",
        "25",
        ",",
        "3.5",
        "of",
        "5",
        "!",
    ]


# -- independent implementations ---------------------------------------------------------------------------------------


def grams(words: list[str], order: int) -> Counter:
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))


def bleu_again(outputs: list[str], references: list[tuple[str, ...]]) -> float:
    """Papineni and others 2002, section 2.3, with the nearest reference length (the shorter of two)."""
    right, total, length, wanted = [0] * 4, [0] * 4, 0, 0
    for output, group in zip(outputs, references):
        ours, theirs = tokens(output), [tokens(each) for each in group]
        length += len(ours)
        wanted += min((abs(len(each) - len(ours)), len(each)) for each in theirs)[1]
        for order in range(1, 5):
            most: Counter = Counter()
            for each in theirs:
                most |= grams(each, order)
            counted = grams(ours, order)
            right[order - 1] += sum((counted & most).values())
            total[order - 1] += sum(counted.values())
    mean = sum(math.log(a / b) for a, b in zip(right, total)) / 4
    return min(1.0, math.exp(1 - wanted / length)) * math.exp(mean)


def rouge_l_again(outputs: list[str], references: list[tuple[str, ...]]) -> float:
    """Lin 2004, with a recursive longest common subsequence."""
    import re

    def longest(one: tuple[str, ...], two: tuple[str, ...], known: dict) -> int:
        if not one or not two:
            return 0
        key = (len(one), len(two))
        if key not in known:
            same = one[-1] == two[-1]
            known[key] = (
                1 + longest(one[:-1], two[:-1], known)
                if same
                else max(longest(one[:-1], two, known), longest(one, two[:-1], known))
            )
        return known[key]

    def f1(one: str, two: str) -> float:
        first, second = (tuple(re.findall(r"[a-z0-9]+", each.lower())) for each in (one, two))
        common = longest(first, second, {})
        return 2 * common / (len(first) + len(second)) if common else 0.0

    return sum(max(f1(output, each) for each in group) for output, group in zip(outputs, references)) / len(outputs)


@pytest.mark.parametrize("seed", range(3))
def test_bleu_and_rouge_l_against_small_implementations(seed):
    outputs, references = texts(30, seed=seed)
    found = scored(outputs, references)
    assert found["bleu"] == pytest.approx(bleu_again(outputs, references), rel=1e-12)
    assert found["rouge_l"] == pytest.approx(rouge_l_again(outputs, references), rel=1e-12)


# -- the libraries' own scores of a whole set -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_added_counts_give_the_libraries_scores_of_the_whole_set(seed):
    import sacrebleu
    from nltk.translate.nist_score import corpus_nist

    outputs, references = texts(25, seed=seed)
    most = max(map(len, references))
    streams = [[group[i] if i < len(group) else None for group in references] for i in range(most)]
    found = scored(outputs, references)
    assert 100 * found["bleu"] == pytest.approx(
        sacrebleu.corpus_bleu(outputs, streams, lowercase=True, force=True).score
    )
    assert 100 * found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(outputs, streams).score)
    cut = [[tokens(each) for each in group] for group in references]
    assert found["nist"] == pytest.approx(corpus_nist(cut, [tokens(each) for each in outputs]))


def test_smoothing_is_sacrebleus():
    import sacrebleu

    outputs, references = ["a b c d e", "x y"], [("a q b q c", "a z"), ("x q",)]
    expected = sacrebleu.corpus_bleu(outputs, [["a q b q c", "x q"], ["a z", None]], lowercase=True).score
    assert 100 * scored(outputs, references)["bleu"] == pytest.approx(expected) and expected > 0


# -- intervals, baseline, refusals -----------------------------------------------------------------------------------------


def test_a_bootstrap_sample_is_scored_as_the_set_that_it_is():
    """Corpus resampling: weights 2, 0, 1 … give what the repeated texts give."""
    outputs, references = texts(12)
    weights = np.array([2, 0, 1, 3, 0, 0, 1, 1, 2, 0, 1, 1], dtype=float)
    measure = generated.GENERATION.measure(objects(outputs), objects(references), ())
    found = measure(weights[None])
    again = [place for place, count in enumerate(weights) for _ in range(int(count))]
    whole = scored([outputs[place] for place in again], [references[place] for place in again])
    for name in ("bleu", "chrf", "rouge_l"):
        assert found[name][0] == pytest.approx(whole[name])
    assert found["nist"][0] > 0  # its information weights stay those of all references


def test_intervals_hold_the_score_and_are_fast():
    outputs, references = texts(630)
    began = time.perf_counter()
    found = score_intervals("generation", objects(outputs), objects(references))
    assert time.perf_counter() - began < 30
    assert next(iter(found)) == primary_of("generation") == "bleu"
    for name in ("bleu", "nist", "rouge_l", "chrf"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    assert found["bleu"]["high"] - found["bleu"]["low"] < 0.1


def test_the_baseline_says_the_most_frequent_reference_to_everything():
    train = objects([("b",), ("a cheap pub .",), ("a cheap pub .",)])
    test = objects([("a cheap pub .",), ("x y z .", "the pub")])
    expected = scored(["a cheap pub ."] * 2, list(test))
    assert baseline("generation", train, test) == expected


def test_meteor_is_there_exactly_where_wordnet_is(monkeypatch):
    outputs, references = texts(3)
    generated.why_no_meteor.cache_clear()
    assert ("meteor" in scored(outputs, references)) is generated.wordnet_is_here()
    monkeypatch.setattr(generated, "wordnet_is_here", lambda: True)
    monkeypatch.setattr(generated, "_meteor", lambda texts, references: np.array([0.0, 0.5, 1.0]))
    assert scored(outputs, references)["meteor"] == pytest.approx(0.5)
    assert list(scored(outputs, references)) == list(generated.NAMES)


def test_meteor_is_nltks(monkeypatch):
    """Without WordNet: an object without synonyms in its place."""
    from nltk.translate import meteor_score

    class Nothing:
        def synsets(self, word):
            return []

    plain = meteor_score.meteor_score
    monkeypatch.setattr(meteor_score, "meteor_score", lambda group, text: plain(group, text, wordnet=Nothing()))
    found = generated._meteor(["A cheap pub."], [["x", "a cheap pub ."]])
    matched, chunks = 4, 1
    assert found[0] == pytest.approx(1 - 0.5 * (chunks / matched) ** 3)


def write_wordnet(root: Path) -> Path:
    """A WordNet of one noun with two words for it, in the files of WordNet 3.0 that nltk asks for."""
    place = root / "corpora" / "wordnet"
    place.mkdir(parents=True)
    for part in ("adj", "adv", "noun", "verb"):
        for name in (f"index.{part}", f"data.{part}", f"{part}.exc"):
            (place / name).write_text("")
    licence = "  1 WordNet 3.0 made up for a test\n"
    pointer = f"{len(licence):08d}"
    (place / "data.noun").write_text(f"{licence}{pointer} 00 n 02 pub 0 saloon 0 000 | a place to drink\n")
    (place / "index.noun").write_text("".join(f"{word} n 1 0 1 0 {pointer}\n" for word in ("pub", "saloon")))
    (place / "lexnames").write_text("00\tadj.all\t3\n")
    (place / "index.sense").write_text("")
    return root


def in_a_process_of_its_own(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


METEOR = """
from bidora.metrics import generated
print(generated.why_no_meteor() or float(generated._meteor(["the saloon"], [["the pub"]])[0]))
"""


def test_meteor_takes_synonyms_from_wordnet_or_says_why_not(tmp_path):
    """In processes of their own, since nltk looks for its data once."""
    whole = write_wordnet(tmp_path / "whole")
    assert float(in_a_process_of_its_own(METEOR, NLTK_DATA=str(whole))) == pytest.approx(1 - 0.5 * (1 / 2) ** 3)
    assert "which nltk does not find" in in_a_process_of_its_own(METEOR, NLTK_DATA=str(tmp_path), HOME=str(tmp_path))
    (write_wordnet(tmp_path / "torn") / "corpora" / "wordnet" / "lexnames").unlink()
    told = in_a_process_of_its_own(METEOR, NLTK_DATA=str(tmp_path / "torn"), HOME=str(tmp_path))
    assert "cannot read" in told and "lexnames" in told and "nltk.downloader wordnet" in told


def test_what_is_missing_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(generated.LIBRARIES, "no_such_library", "no-such-library")
    with pytest.raises(LabError, match="not installed: no-such-library") as caught:
        scored(["a"], [("a",)])
    assert "pip install 'bidora-lab[generation]'" in caught.value.hint


@pytest.mark.parametrize(
    ("outputs", "references", "words"),
    [
        ([], [], "no items"),
        (["a"], [("a",), ("b",)], "1 outputs for 2 targets"),
        (["a"], [()], "item 0 has no list of references"),
        (["a"], ["a text"], "item 0 has no list of references"),
    ],
)
def test_what_cannot_be_scored_is_refused(outputs, references, words):
    with pytest.raises(LabError, match=words):
        scored(outputs, references)
