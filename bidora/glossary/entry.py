"""What one entry of the glossary holds."""

from __future__ import annotations

from dataclasses import dataclass

from bidora.glossary.references import REFERENCES


@dataclass(frozen=True)
class Entry:
    """One number, word or setting that a screen shows.

    Attributes:
        key: its anchor, as in `glossary?term=delta_d`; lower case, digits and underscores.
        term: what it is called.
        meaning: one to four sentences.
        topic: one of TOPICS.
        formula: LaTeX without dollar signs; empty where there is none.
        unit: "–" for a pure number, empty where there is no number.
        convention: what has to be said beside the number: axis, split, what it is a mean of.
        source: (key of a reference or "", place in it or words), one or more.
        shown: where it is to be seen, in words.
        names: column names, quantities of metrics.jsonl and settings that it explains, besides its key.
    """

    key: str
    term: str
    meaning: str
    topic: str
    formula: str = ""
    unit: str = ""
    convention: str = ""
    source: tuple[tuple[str, str], ...] = ()
    shown: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def details(self) -> str:
        """Unit, convention, source and where it is shown, as lines of Markdown."""
        cited = [
            ", ".join(filter(None, [f"[{REFERENCES[key].short}]({REFERENCES[key].address})" if key else "", place]))
            for key, place in self.source
        ]
        parts = {
            "Unit": self.unit,
            "Convention": self.convention,
            "Source": "; ".join(cited),
            "Shown in": "; ".join(self.shown),
        }
        return "  \n".join(f"**{name}:** {text}" for name, text in parts.items() if text)


TOPICS = {
    "weights": "What happens to the weights",
    "levels": "Two levels",
    "statistics": "Lines, intervals and differences",
    "scores": "Losses and scores",
    "data": "Data and splits",
    "cost": "Cost",
    "runs": "Runs",
    "methods": "Methods",
    "settings": "Settings",
}
"""Topic → its heading, in the order of the page."""
