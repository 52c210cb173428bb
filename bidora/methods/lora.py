"""LoRA and two variants that change one factor each: rsLoRA the scale, LoRA+ the learning rate of B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bidora.methods.method import LOW_RANK, Look, Method, Paper, Rates

if TYPE_CHECKING:
    from bidora.config import RunConfig


class Lora(Method):
    """W0 + s·BA, B from zero (LoRA, section 4.1)."""

    name = "lora"
    title = "LoRA"
    summary = "trains a low-rank update BA beside each frozen weight; B begins at zero"
    formula = r"W' = W_0 + \tfrac{\alpha}{r} BA"
    paper = Paper(
        "LoRA",
        "E. J. Hu and others: LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022. arXiv 2106.09685.",
        "https://arxiv.org/abs/2106.09685",
    )
    place = 10
    look = Look("#0072B2", "dashdot", "diamond")


class RankStabilisedLora(Lora):
    """LoRA with s = α/√r, so that the update does not shrink as the rank grows."""

    name = "rslora"
    title = "rsLoRA"
    summary = "LoRA with the scale α/√r in place of α/r, so that a larger rank does not mean smaller steps"
    formula = r"W' = W_0 + \tfrac{\alpha}{\sqrt{r}} BA"
    convention = "At rank 8 and equal α the scale is 2.8 times LoRA's, and so is the first step."
    paper = Paper(
        "rsLoRA",
        "D. Kalajdzievski: A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA. 2023. arXiv 2312.03732.",
        "https://arxiv.org/abs/2312.03732",
    )
    place = 11
    look = Look("#7570B3", "longdashdot", "triangle-down")

    def peft_config(self, config: RunConfig, **shared: Any) -> Any:
        """LoRA's, with `use_rslora`."""
        from peft import LoraConfig

        return LoraConfig(
            r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, use_rslora=True, **shared
        )


class LoraPlus(Lora):
    """LoRA with a larger learning rate for B than for A."""

    name = "loraplus"
    title = "LoRA+"
    summary = "LoRA with a learning rate for B that is several times that of A (b_learning_rate_ratio)"
    convention = (
        "The ratio goes to B alone; A and the head keep the learning rate. PEFT's create_loraplus_optimizer and the "
        "authors' code also give it to every trained vector, such as the head's bias."
    )
    paper = Paper(
        "LoRA+",
        "S. Hayou, N. Ghosh, B. Yu: LoRA+: Efficient Low Rank Adaptation of Large Models. ICML 2024. arXiv 2402.12354.",
        "https://arxiv.org/abs/2402.12354",
    )
    place = 12
    look = Look("#4477AA", "12px,3px,3px,3px,3px,3px", "star")
    settings = (*LOW_RANK, "b_learning_rate_ratio")
    rates = Rates(1e-4, 2e-3)
    own_rates = (("lora_B", "b_learning_rate_ratio"),)


METHODS = (Lora(), RankStabilisedLora(), LoraPlus())
