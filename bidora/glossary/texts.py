"""Entries on scores of written texts."""

from __future__ import annotations

from bidora.glossary.entry import Entry

_TABLES = ("Start", "Runs", "Compare")
_SEVERAL = "Against all references of an item. On the whole test set at the end; on a sample of it on the way."

TEXT_SCORES = (
    Entry(
        key="bleu",
        term="BLEU",
        topic="scores",
        meaning="How many of a text's words, pairs, triples and quadruples of words also stand in one of its references, "
        "with a deduction where texts are shorter than these. The primary score of written texts.",
        formula=r"\min\!\left(1, e^{1 - r/c}\right) \prod_{n=1}^{4} p_n^{1/4}",
        unit="% (tables write 68.2 for 68.2 %); differences in points",
        convention=f"sacrebleu, small letters, tokens of mteval-v13a; counts are added over the test set. {_SEVERAL}",
        source=(("", "Papineni et al. 2002, ACL; Post 2018, WMT"),),
        shown=_TABLES,
    ),
    Entry(
        key="nist",
        term="NIST",
        topic="scores",
        meaning="Like BLEU, but a rare run of words counts more than a frequent one, and short texts are treated more mildly.",
        formula=r"\sum_{n=1}^{5} \frac{\sum_{\text{shared}} \log_2 \frac{\#(w_1 \dots w_{n-1})}{\#(w_1 \dots w_n)}}"
        r"{\#\, n\text{-grams}} \cdot \text{penalty}",
        unit="bits, from 0 on, without upper limit",
        convention=f"As nltk computes it; information weights from all references of the test set. {_SEVERAL}",
        source=(("", "Doddington 2002, HLT"),),
        shown=_TABLES,
    ),
    Entry(
        key="meteor",
        term="METEOR",
        topic="scores",
        meaning="Words shared with the best reference, also by their stem and as synonyms in WordNet; less where they stand "
        "in another order.",
        unit="% ; differences in points",
        convention="nltk's, which is the version of 2007: numbers of METEOR 1.5, which papers report, differ. Left out where "
        f"WordNet is not found. Mean over items. {_SEVERAL}",
        source=(("", "Lavie and Agarwal 2007, WMT"),),
        shown=_TABLES,
    ),
    Entry(
        key="rouge_l",
        term="ROUGE-L",
        topic="scores",
        meaning="Length of the longest run of words, gaps allowed, that a text shares with its nearest reference, against the "
        "lengths of both (F1).",
        formula=r"\frac{2\,\mathrm{LCS}}{|\text{text}| + |\text{reference}|}",
        unit="% ; differences in points",
        convention="rouge-score's; E2E's own script weighs recall more (β = 1.2), so its numbers differ a little. Mean over "
        f"items. {_SEVERAL}",
        source=(("", "Lin 2004, ACL workshop"),),
        shown=(*_TABLES, "Runs, tab Samples"),
    ),
    Entry(
        key="chrf",
        term="chrF",
        topic="scores",
        meaning="Runs of one to six letters shared with the best reference; does not depend on how words are cut.",
        formula=r"\frac{5\,P\,R}{4\,P + R}",
        unit="% ; differences in points",
        convention=f"sacrebleu's, which tells capitals from small letters. {_SEVERAL}",
        source=(("", "Popović 2015, WMT"),),
        shown=_TABLES,
    ),
)
