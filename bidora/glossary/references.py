"""The papers and programs that entries refer to, and the conventions of this lab beside theirs."""

from __future__ import annotations

from typing import NamedTuple

from bidora.methods import METHODS


class Reference(NamedTuple):
    """One work: short name, full reference, address, and what stands behind what is said of it here."""

    short: str
    full: str
    address: str
    note: str = ""


REFERENCES = {
    "bidora": Reference(*METHODS["bidora"].paper),
    "dora": Reference(*METHODS["dora"].paper),
    "lora": Reference(*METHODS["lora"].paper),
    "darts": Reference(
        "DARTS",
        "H. Liu, K. Simonyan, Y. Yang: DARTS: Differentiable Architecture Search. ICLR 2019. arXiv 1806.09055.",
        "https://arxiv.org/abs/1806.09055",
    ),
    "betty": Reference(
        "Betty",
        "S. K. Choe and others: Betty: An Automatic Differentiation Library for Multilevel Optimization. ICLR 2023. "
        "arXiv 2207.02849.",
        "https://arxiv.org/abs/2207.02849",
        "The library beneath the official BiDoRA code.",
    ),
    "peft": Reference(
        "PEFT",
        "S. Mangrulkar and others: PEFT: State-of-the-art Parameter-Efficient Fine-Tuning methods. Hugging Face.",
        "https://github.com/huggingface/peft",
        "The library whose adapter layout this lab reads and writes.",
    ),
}
REFERENCES |= {name: Reference(*method.paper) for name, method in METHODS.items() if name not in REFERENCES}
"""Key → reference, in the order of the page."""


class Convention(NamedTuple):
    """One choice that has to be known before numbers are compared: what, here, elsewhere, and the entry about it."""

    what: str
    here: str
    elsewhere: str
    term: str


CONVENTIONS = (
    Convention(
        "Norm axis",
        "one magnitude per output unit: a row of W stored (out, in); PEFT and NVlabs",
        "the papers write the transposed matrix (column norm); BiDoRA's code takes one per input unit",
        "magnitude",
    ),
    Convention(
        "ΔM",
        "mean over output units of |m − m₀|, on merged weights, in weight units",
        "the same in DoRA, eq. 3",
        "delta_m",
    ),
    Convention(
        "ΔD", "mean over output units of 1 − cos, on merged weights, from 0 to 2", "the same in DoRA, eq. 4", "delta_d"
    ),
    Convention("Scale s", "s = α/r, as in LoRA and PEFT", "the official BiDoRA scripts have no s", "scale"),
    Convention(
        "ξ",
        "a setting, unroll_scale: 0 (first order), lr (the learning rate of the lower step), adam (the step AdamW "
        "really takes), or a number",
        "DARTS: ξ is the lower learning rate; Betty: ξ = 1",
        "unroll_scale",
    ),
    Convention(
        "Norm in the graph",
        "attached for BiDoRA, detached for DoRA; both can be chosen",
        "DoRA, section 4.3, treats ‖V‖ as a constant; so does PEFT",
        "norm",
    ),
    Convention(
        "D_tr",
        "lower split: trains A, B and head during the search",
        "called training set",
        "n_lower",
    ),
    Convention(
        "D_val",
        "upper split: trains m; cut from the training data",
        "called validation set; it is trained on",
        "n_upper",
    ),
    Convention(
        "Selection split",
        "optional, cut from the training data; settings are chosen on it",
        "often the same as the test set",
        "n_selection",
    ),
    Convention(
        "Test",
        "never trained on, never chosen on",
        "on GLUE, as published, the benchmark's dev set",
        "n_test",
    ),
    Convention(
        "Slope and correlation",
        "always both, with intervals and leave-one-out ranges",
        "BiDoRA's abstract gives the slopes −8.042 and −1.784 and calls them correlations; DoRA gives correlations",
        "slope",
    ),
)
