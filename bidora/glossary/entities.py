"""Entries on scores of named entities."""

from __future__ import annotations

from bidora.glossary.entry import Entry

_TABLES = ("Start", "Runs", "Compare")
_TEST = "On the whole test set at the end; on a sample of it on the way. Nothing is chosen by it."

ENTITY_SCORES = (
    Entry(
        key="entity_f1",
        term="Entity F1",
        topic="scores",
        meaning="F1 of named entities: one counts as found where its first word, its last word and its type are all right.",
        formula=r"\frac{2\,TP}{2\,TP + FP + FN}",
        unit="% ; differences in points",
        convention=f"By seqeval, IOB2 read strictly: an I- tag that goes on from nothing opens no entity. {_TEST}",
        source=(("", "CoNLL-2003: Tjong Kim Sang and De Meulder 2003"),),
        shown=(*_TABLES, "Classroom, replay"),
    ),
    Entry(
        key="entity_precision",
        term="Entity precision",
        topic="scores",
        meaning="Share of the predicted entities that are right in both ends and type.",
        formula=r"\frac{TP}{TP + FP}",
        unit="% ; differences in points",
        convention=f"0 where nothing is predicted. {_TEST}",
        source=(("", "standard"),),
        shown=_TABLES,
    ),
    Entry(
        key="entity_recall",
        term="Entity recall",
        topic="scores",
        meaning="Share of the entities in the test set that are found with both ends and type.",
        formula=r"\frac{TP}{TP + FN}",
        unit="% ; differences in points",
        convention=_TEST,
        source=(("", "standard"),),
        shown=_TABLES,
    ),
)
