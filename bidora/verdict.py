"""What a run says, in a sentence or two: how it ended, whether m is alive, what was predicted. No winners."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bidora.analysis.grouping import METHOD_NAMES, norm_of, number
from bidora.config import RunConfig, is_bilevel
from bidora.metrics import LOWER_IS_BETTER, SHARES
from bidora.runs import Run
from bidora.wording import score_name

if TYPE_CHECKING:
    import pandas

STILL = 1e-7
"""A mean |m − m₀| up to this is rounding: float32 tells weights near 1 apart by 6e-8."""


class Verdict(NamedTuple):
    """A plain answer.

    Attributes:
        kind: one word for programs, such as alive, still, dead, fixed, none, unknown.
        short: two to four words for a badge.
        sentence: the answer with its numbers.
    """

    kind: str
    short: str
    sentence: str


def has_magnitude(config: RunConfig) -> bool:
    """Whether the method has a magnitude of its own that is trained."""
    return bool(norm_of(config))


def magnitude_verdict(config: RunConfig, motion: pandas.DataFrame) -> Verdict:
    """Is m alive? Whether gradients reach the magnitude, and whether it moves.

    Args:
        config: the run's settings.
        motion: of this run, as `bidora.analysis.magnitude_motion` gives it.
    """
    name = METHOD_NAMES.get(config.method, config.method)
    if not has_magnitude(config):
        return Verdict(
            "none", "no magnitude", f"{name} has no magnitude of its own; the norms of its weights change as they may."
        )
    later = motion[motion["step"] > 0]
    if later.empty:
        return Verdict("unknown", "m: not known yet", "No change of the magnitude has been recorded yet.")
    norms = later["gradient_norm"].dropna()
    last = later.iloc[-1]
    before = motion[(motion["step"] == 0) & (motion["phase_index"] == 0)]  # what rounding makes of no change at all
    noise = float(before["moved"].max()) if len(before) else 0.0
    moved = float(last["moved"])
    moves = moved > max(STILL, 10 * noise)
    reached = int((norms > 0).sum())
    words = f"a gradient reached m at {reached} of {len(norms)} recorded steps, and " if len(norms) else ""
    words += f"|m − m₀| is {moved:.3g} on average (weight units)"
    if is_bilevel(config) and last["phase_index"] > 0:
        words += "; the retraining phase keeps m fixed"
    if norms.empty and not moves:
        return Verdict("unknown", "m: not known yet", "No gradient of the magnitude has been recorded yet.")
    if moves:
        return Verdict("alive", "m is alive", f"m is alive: {words}.")
    if reached:
        return Verdict("still", "m stands still", f"m stands still: {words}.")
    return Verdict("dead", "m is dead", f"m is dead: {words}. Is its learning rate above zero, is it trained at all?")


def result_verdict(run: Run) -> str:
    """How a finished run ended: its primary score with interval, the constant answer, the gap, and what it cost."""
    result = run.result
    scores, primary = _mapping(result.get("scores")), str(result.get("primary") or "")
    score = _mapping(scores.get(primary))
    value = number(score.get("value"))
    if math.isnan(value):
        return "The run is finished, but its result cannot be read."
    words = score_name(primary)
    low, high = number(score.get("low")), number(score.get("high"))
    interval = f" (95 % interval {shown(primary, low)} to {shown(primary, high)})" if not math.isnan(low + high) else ""
    count = number(result.get("n_test"))
    examples = f" on {count:,.0f} test examples" if not math.isnan(count) else ""
    parts = [f"Test {words} {shown(primary, value)}{interval}{examples}."]
    parts += [_against_baseline(primary, value, low, high, number(_mapping(result.get("baseline")).get(primary)))]
    train = number(_mapping(result.get("train_scores")).get(primary))
    if not math.isnan(train) and primary not in LOWER_IS_BETTER:
        parts.append(f"Training data: {shown(primary, train)}.")
    return " ".join(filter(None, parts))


def _against_baseline(metric: str, value: float, low: float, high: float, baseline: float) -> str:
    if math.isnan(baseline):
        return ""
    words = f"The constant answer reaches {shown(metric, baseline)}"
    if math.isnan(low + high):
        return f"{words}."
    better = baseline > high if metric in LOWER_IS_BETTER else baseline < low
    worse = baseline < low if metric in LOWER_IS_BETTER else baseline > high
    if better:
        return f"{words}; the whole interval is better."
    return f"{words}, which is better." if worse else f"{words}, which lies within the interval: too close to tell."


def prediction_verdict(run: Run) -> Verdict | None:
    """What was predicted before the run against what came of it; None where nothing was predicted.

    meta.json's `prediction` is a text, or an object with `question`, `answer` and, where it can be checked, `metric`
    with `low` and `high`, the range that the answer stands for.
    """
    found = run.meta.get("prediction")
    if not found:
        return None
    prediction: Mapping[str, Any] = found if isinstance(found, Mapping) else {"answer": str(found)}
    question, answer = (str(prediction.get(name) or "")[:500] for name in ("question", "answer"))
    said = f"{question} You said: {answer}." if question else f"You said: {answer}."
    metric = str(prediction.get("metric") or run.result.get("primary") or "")
    value = number(_mapping(_mapping(run.result.get("scores")).get(metric)).get("value"))
    if math.isnan(value):
        return Verdict("open", "prediction open", said)
    came = f"{said} It came to {shown(metric, value)} ({score_name(metric)})."
    low, high = (number(prediction.get(name)) for name in ("low", "high"))
    if math.isnan(low) and math.isnan(high):
        return Verdict("shown", "prediction and result", came)
    below, above = not math.isnan(low) and value < low, not math.isnan(high) and value > high
    if below or above:
        return Verdict("missed", "not as predicted", f"{came} That is {'less' if below else 'more'} than you expected.")
    return Verdict("met", "as predicted", f"{came} That is what you expected.")


def shown(metric: str, value: float) -> str:
    """A score as people read it: 87.4 % for shares, three digits for the rest; – where there is none."""
    if math.isnan(value):
        return "–"
    return f"{100 * value:.1f} %" if metric in SHARES else f"{value:.3g}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
