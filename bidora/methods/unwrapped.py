"""Methods without an adapter: some of the model's own parameters are trained. PEFT has no tuner for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bidora.methods.method import Look, Method, Paper, Rates

if TYPE_CHECKING:
    from torch import nn

    from bidora.config import RunConfig

TRAINED_FILE = "trained.safetensors"
"""Trained tensors of the backbone by their names in transformers' model."""

HOW_TO_LOAD = """---
base_model: {base}
---
# {title} on {base}

There is no adapter to attach: `{file}` holds the tensors that were trained, by their names in transformers' model.

    import torch
    from safetensors.torch import load_file
    from transformers import {loader}

    model = {loader}.from_pretrained("{base}"{labels}, dtype=torch.float32)
{load}
{head}"""

_LOAD = '    model.load_state_dict(load_file("{file}"), strict=False)  # all other tensors stay pretrained\n'
_HEAD = """    head = load_file("head.safetensors")  # weight (outputs, width) and bias (outputs,)
    # logits = mean of last_hidden_state over the tokens of the attention mask @ head["weight"].T + head["bias"]
"""

_LOADERS = {
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForTokenClassification": "AutoModelForTokenClassification",
    "ForCausalLM": "AutoModelForCausalLM",
    "LMHeadModel": "AutoModelForCausalLM",
}
"""End of a model class's name → what loads it; everything else is a plain encoder."""


class Unwrapped(Method):
    """Trains parameters of the model itself, and saves those alone."""

    settings = ()
    uses_peft = False

    def save(self, backbone: nn.Module, folder: Path) -> None:
        """Write what was trained, and how to load it."""
        from safetensors.torch import save_file

        trained = {name: p.detach().cpu().contiguous() for name, p in backbone.named_parameters() if p.requires_grad}
        if trained:
            save_file(trained, folder / TRAINED_FILE, metadata={"format": "pt"})
        settings = backbone.config
        backbone.config.save_pretrained(str(folder))  # type: ignore[union-attr, operator]
        kind = next((each for each in _LOADERS if type(backbone).__name__.endswith(each)), "")
        words = HOW_TO_LOAD.format(
            base=settings._name_or_path,  # type: ignore[union-attr]
            title=self.title,
            file=TRAINED_FILE if trained else "head.safetensors",
            loader=_LOADERS.get(kind, "AutoModel"),
            labels=f", num_labels={settings.num_labels}" if kind.endswith("Classification") else "",  # type: ignore[union-attr]
            load=_LOAD.format(file=TRAINED_FILE) if trained else "",
            head="" if kind else _HEAD,
        )
        (folder / "README.md").write_text(words, encoding="utf-8")


class BitFit(Unwrapped):
    """All bias terms and the head; every weight matrix stays (BitFit)."""

    name = "bitfit"
    title = "BitFit"
    summary = "trains the bias terms of the model and the head; every weight matrix stays as it is"
    formula = r"y = W_0 x + b,\quad b \text{ trained}"
    convention = "ΔM and ΔD are 0 by definition. PEFT has no such tuner: trained.safetensors holds the biases."
    paper = Paper(
        "BitFit",
        "E. Ben Zaken, S. Ravfogel, Y. Goldberg: BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based "
        "Masked Language-models. ACL 2022. arXiv 2106.10199.",
        "https://arxiv.org/abs/2106.10199",
    )
    place = 70
    look = Look("#C2548A", "5px,2px", "triangle-right")
    rates = Rates(1e-3, 3e-2)
    pass_cost = 0.9
    moves_weights = False

    def prepare(self, model: nn.Module, config: RunConfig) -> None:
        """Refuse a model without biases, such as Llama."""
        from bidora.errors import LabError

        if not any(self.trains(name) for name, _ in model.named_parameters()):
            raise LabError(
                f"{type(model).__name__} has no bias, so method=bitfit would train the head only",
                hint="use method=head to train just that, or another method",
                kind="model",
            )

    def trains(self, name: str) -> bool:
        """Every bias, those of layer norms included."""
        return name.endswith("bias")


class HeadOnly(Unwrapped):
    """The head on frozen features."""

    name = "head"
    title = "head only"
    summary = "trains the head on features of the frozen model; what every other method adds to this is adaptation"
    convention = "ΔM and ΔD are 0 by definition."
    paper = Paper(
        "linear probing",
        "G. Alain, Y. Bengio: Understanding Intermediate Layers Using Linear Classifier Probes. 2016. arXiv 1610.01644.",
        "https://arxiv.org/abs/1610.01644",
    )
    place = 71
    look = Look("#8A6D5B", "1px,3px", "triangle-left")
    rates = Rates(3e-3, 1e-1)
    pass_cost = 0.5
    moves_weights = False
    trained = ()


class Full(Unwrapped):
    """Every weight."""

    name = "full"
    title = "full fine-tuning"
    summary = "trains every weight of the model"
    formula = r"W' = W_0 + \Delta W"
    convention = "Saved as a whole model in transformers' layout."
    paper = Paper(
        "fine-tuning",
        "J. Devlin and others: BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding. "
        "NAACL 2019. arXiv 1810.04805.",
        "https://arxiv.org/abs/1810.04805",
    )
    place = 72
    look = Look("#555555", "dot", "triangle-up", "#A6A6A6")
    rates = Rates(1e-5, 1e-3)
    pass_cost = 1.3

    def trains(self, name: str) -> bool:
        """All of it."""
        return True

    def save(self, backbone: nn.Module, folder: Path) -> None:
        """A whole model."""
        backbone.save_pretrained(str(folder))  # type: ignore[operator]


METHODS = (BitFit(), HeadOnly(), Full())
