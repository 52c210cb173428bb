"""Presets: questions that the lab can answer, each with the runs that answer it and a prediction to make first.

The sizes say about how long one run takes on two cores: 30 s, 2 min, 5 min. `estimate` knows better once runs have
finished on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.grid import grid

SIZES: dict[str, dict[str, Any]] = {
    "30 s": {"steps": 30, "batch_size": 8, "max_length": 48, "evaluate_every": 15},
    "2 min": {"steps": 150, "batch_size": 16, "max_length": 64},
    "5 min": {"steps": 360, "batch_size": 16, "max_length": 64},
}
"""Size → the settings that make a run that long, for BiDoRA on peptides with the small ESM-2; other methods are quicker."""

SEEDS = {"30 s": (0, 1), "2 min": (0, 1, 2), "5 min": (0, 1, 2, 3, 4)}

START: dict[str, Any] = {"task": "peptides", "examples_per_class": 32, "learning_rate": 3e-3}
"""What the form and every preset begin with: the quickest task, few examples."""


@dataclass(frozen=True)
class Preset:
    """One question and the runs that answer it.

    Attributes:
        name: in links.
        title: a few words.
        question: what the runs answer.
        why: what is behind it, in two or three sentences.
        ask: the prediction to make before anything runs.
        options: possible predictions.
        look: where the answer is to be seen afterwards.
        arms: what is compared, as changes of the shared settings; each is run with every seed.
        shared: settings of all arms.
        equal_effort: whether arms with fewer gradient evaluations get more steps.
    """

    name: str
    title: str
    question: str
    why: str
    ask: str
    options: tuple[str, ...]
    look: str
    arms: tuple[dict[str, Any], ...]
    shared: dict[str, Any]
    equal_effort: bool = False

    def configs(self, size: str = "30 s", *, seeds: tuple[int, ...] = ()) -> list[RunConfig]:
        """The runs: all arms of one seed, then those of the next.

        Args:
            size: one of SIZES.
            seeds: in place of those that belong to the size.

        Raises:
            LabError: there is no such size.
        """
        if size not in SIZES:
            raise LabError(f"size={size!r} is not one of {', '.join(SIZES)}", hint="use 30 s for a first look")
        chosen = seeds or SEEDS[size]
        return grid(self.base(size), arms=self.arms, seeds=chosen, equal_effort=self.equal_effort)

    def base(self, size: str = "30 s") -> dict[str, Any]:
        """The settings that all its runs share."""
        return {**START, **SIZES[size], **self.shared}

    @property
    def is_grid(self) -> bool:
        """Whether the arms differ in nothing but the method, so that a form of methods × seeds can make them."""
        return all(set(arm) == {"method"} for arm in self.arms)


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        LabError: there is none.
    """
    if name in PRESETS:
        return PRESETS[name]
    raise LabError(f"there is no preset {name[:40]!r}", hint=f"there are {', '.join(PRESETS)}")


def _methods(*names: str) -> tuple[dict[str, Any], ...]:
    return tuple({"method": name} for name in names)


def _bidora(**changes: Any) -> dict[str, Any]:
    return {"method": "bidora", **changes}


_MORE_LESS = ("higher in most seeds", "lower in most seeds", "no clear difference")

_ALL: tuple[Preset, ...] = (
    Preset(
        "methods",
        "LoRA, DoRA, BiDoRA",
        "At equal steps, how do LoRA, DoRA and BiDoRA differ in test accuracy and in what they do to the weights?",
        "All three see the same examples in the same order for the same number of steps. BiDoRA searches first and is "
        "then trained again from the initial values, so it costs about four times as many gradient evaluations.",
        "BiDoRA's test accuracy, compared with DoRA's, will be …",
        _MORE_LESS,
        "Compare: the table with paired differences, then ΔM against ΔD for each method.",
        _methods("lora", "dora", "bidora"),
        {},
    ),
    Preset(
        "equal-effort",
        "… at equal gradient evaluations",
        "Is anything left of a difference when all methods may compute equally much?",
        "LoRA and DoRA get as many steps as it takes to match the gradient evaluations of BiDoRA's search and retraining. "
        "Whoever has four times the steps has four times the chances to fit, and to overfit.",
        "With equal gradient evaluations BiDoRA's test accuracy, compared with DoRA's, will be …",
        _MORE_LESS,
        "Compare: the fairness box says whether the evaluations are equal; then the table of paired differences.",
        _methods("lora", "dora", "bidora"),
        {},
        equal_effort=True,
    ),
    Preset(
        "implicit",
        "Does the implicit term matter?",
        "Does it change anything to look one lower step ahead (ξ), or is the direct gradient of the upper loss enough?",
        "ξ = 0 drops the implicit part of the hypergradient, lr keeps it as in the paper, adam uses the step that AdamW "
        "really takes. The size of the implicit part against the direct one tells how much could change at all.",
        "With ξ = lr, how long will the implicit part be, compared with the direct part?",
        ("longer", "about a tenth", "a hundredth or less"),
        "Run, Two levels: norms and angle of both parts. Compare: accuracy of the three variants.",
        (_bidora(unroll_scale="0"), _bidora(unroll_scale="lr"), _bidora(unroll_scale="adam")),
        {},
    ),
    Preset(
        "alternation",
        "Held-out split or alternation?",
        "Is it the held-out data that makes the difference, or merely that magnitude and direction take turns?",
        "In the control both levels train on the same data: the alternation stays, the split is gone. DoRA has neither.",
        "Taking the held-out split away will make test accuracy …",
        (*_MORE_LESS,),
        "Compare: the three arms, paired by seed; the gap between train and test score.",
        (_bidora(), _bidora(upper_data="same"), {"method": "dora"}),
        {},
    ),
    Preset(
        "retrain",
        "Retrain, continue, or stop?",
        "After the search: train A, B and head anew under the fixed magnitude, go on from where they are, or stop?",
        "The paper trains again from the initial values on all data. A magnitude that was learnt beside other A and B may or "
        "may not suit the new ones. Stopping uses the upper split for the magnitude only.",
        "Which will have the highest test accuracy in most seeds?",
        ("from the initial values", "continued", "stopped after the search", "no clear difference"),
        "Compare: accuracy and gradient evaluations of the three; run, Live: what happens at the second phase's first step.",
        (_bidora(retrain="restart"), _bidora(retrain="continue"), _bidora(retrain="none")),
        {},
    ),
    Preset(
        "examples",
        "How many examples?",
        "Does a level of its own for the magnitude help most when there are few examples, or never?",
        "DoRA and BiDoRA with 8, 32 and 128 peptides of each class. With 8, BiDoRA's upper split holds two or three of them.",
        "Where will BiDoRA be ahead of DoRA, if anywhere?",
        ("with 8 per class", "with 32 per class", "with 128 per class", "nowhere"),
        "Compare: differences by number of examples; the intervals are widest where there are few seeds.",
        tuple({"method": m, "examples_per_class": n} for n in (8, 32, 128) for m in ("dora", "bidora")),
        {},
    ),
    Preset(
        "split",
        "How large the upper split?",
        "How much training data may the magnitude keep for itself before the direction lacks it?",
        "The reference keeps a fifth. What the upper level holds, the search's lower level does not see; the retraining "
        "sees all of it.",
        "Between a tenth and a half, test accuracy will …",
        ("rise with the upper split", "fall with the upper split", "hardly change"),
        "Compare: accuracy after the search and at the end, for each fraction.",
        (_bidora(upper_fraction=0.1), _bidora(upper_fraction=0.2), _bidora(upper_fraction=0.5)),
        {},
    ),
    Preset(
        "alive",
        "Is m alive?",
        "Does the magnitude move at all, and what happens when its learning rate is raised?",
        "With equal learning rates m often moves so little that it changes hardly anything. The ratio multiplies the "
        "learning rate of the upper level.",
        "With thirty times the learning rate for m, test accuracy will be …",
        ("higher", "lower", "about the same"),
        "Run, Weights: drift of the magnitude in %. Compare: ΔM against ΔD, whose slope follows this ratio.",
        tuple(_bidora(upper_learning_rate_ratio=ratio) for ratio in (1.0, 10.0, 30.0)),
        {},
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}
"""Every preset by name, the simplest first."""
