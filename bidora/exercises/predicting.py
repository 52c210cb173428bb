"""A prediction before the lesson, compared with what is seen: who predicts first learns more than who only watches."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from bidora.exercises.exploring import live

_CHOICES: dict[str, str] = {}


def predict(key: str, question: str, options: Sequence[str]) -> None:
    """Ask for a prediction: buttons where there is a live front end, a numbered list elsewhere. Nobody has to answer.

    Args:
        key: for `reveal`.
        question: one sentence.
        options: the answers to choose from.
    """
    if not live():
        print(_wrapped(question))
        for number, option in enumerate(options, start=1):
            print(f"  {number}. {option}")
        print("Choose one before you read on.")
        return
    import ipywidgets
    from IPython.display import display

    choice = ipywidgets.RadioButtons(
        options=list(options), value=None, description="", layout=ipywidgets.Layout(width="auto")
    )
    choice.observe(lambda change: remember(key, change["new"]), names="value")
    display(ipywidgets.VBox([ipywidgets.HTML(f"<b>{question}</b>"), choice]))


def remember(key: str, option: Any) -> None:
    """Keep a choice until `reveal`; what the buttons call."""
    if option is not None:
        _CHOICES[key] = str(option)


def reveal(key: str, answer: str, why: str) -> None:
    """Print the answer, beside the reader's own prediction where there is one.

    Args:
        key: as in `predict`.
        answer: the option that holds.
        why: one or two sentences.
    """
    chosen = _CHOICES.get(key)
    before = "" if chosen is None else f"You predicted: {chosen}\n"
    print(_wrapped(f"{before}What holds: {answer}\n{why}"))


def _wrapped(text: str) -> str:
    """Printed text does not wrap at words by itself."""
    return "\n".join(textwrap.fill(line, 100) for line in text.splitlines())
