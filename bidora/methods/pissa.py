"""PiSSA: LoRA that begins at the leading singular vectors of W0, which are taken out of the frozen weight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidora.methods.method import Look, Method, Paper, Rates

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bidora.config import RunConfig

_START = ("pissa_start_A", "pissa_start_B")
"""Buffers of each layer with the initial A and B, which the saved adapter needs."""


class Pissa(Method):
    """(W0 − s·B0A0) + s·BA with s·B0A0 the best approximation of W0 of rank r (PiSSA, eqs 2–4)."""

    name = "pissa"
    title = "PiSSA"
    summary = "LoRA that begins at the leading r singular directions of each weight and freezes the rest"
    formula = r"W' = (W_0 - sB_0A_0) + sBA,\quad sB_0A_0 = U_r \Sigma_r V_r^\top"
    convention = (
        "Step 0 is the pretrained model up to rounding of the decomposition (relative error of the logits below 1e-4 in "
        "float32). Saved as a plain LoRA adapter of rank 2r, W₀ + s(BA − B₀A₀), so that it needs no decomposition when "
        "it is loaded."
    )
    paper = Paper(
        "PiSSA",
        "F. Meng, Z. Wang, M. Zhang: PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large Language "
        "Models. NeurIPS 2024. arXiv 2404.02948.",
        "https://arxiv.org/abs/2404.02948",
    )
    place = 13
    look = Look("#A6761D", "6px,2px,2px,2px", "star-triangle-up")
    rates = Rates(1e-4, 2e-3)

    def peft_config(self, config: RunConfig, **shared: Any) -> Any:
        """LoRA's, with the exact decomposition."""
        from peft import LoraConfig

        return LoraConfig(
            r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, init_lora_weights="pissa", **shared
        )

    def adapter_rank(self, config: RunConfig) -> int:
        """2r: what was taken out of W0 and what came in its place may span different directions."""
        return 2 * config.rank

    def prepare(self, model: nn.Module, config: RunConfig) -> None:
        """Keep the initial A and B of each layer beside it, outside of the state dict."""
        from peft.tuners.lora import Linear

        for layer in model.modules():
            if isinstance(layer, Linear):
                name = layer.active_adapters[0]
                for buffer, matrices in zip(_START, (layer.lora_A, layer.lora_B), strict=True):
                    layer.register_buffer(buffer, matrices[name].weight.detach().clone(), persistent=False)

    def pretrained_weight(self, layer: nn.Module) -> Tensor:
        """The residual that is frozen, and what was taken out of it; W0 up to rounding."""
        scale = layer.scaling[layer.active_adapters[0]]  # type: ignore[index]
        start_A, start_B = (layer.get_buffer(buffer) for buffer in _START)
        return super().pretrained_weight(layer) + scale * (start_B @ start_A)

    def save(self, backbone: nn.Module, folder: Path) -> None:
        """The same function as LoRA of rank 2r on the untouched W0: A′ = [A; A0], B′ = [B, −B0], α′ = 2α."""
        import torch
        from peft.tuners.lora import Linear
        from peft.utils import get_peft_model_state_dict
        from safetensors.torch import save_file

        state = get_peft_model_state_dict(backbone, save_embedding_layers=False)
        for name, layer in backbone.named_modules():
            if isinstance(layer, Linear):
                start_A, start_B = (layer.get_buffer(buffer) for buffer in _START)
                state[f"{name}.lora_A.weight"] = torch.cat([state[f"{name}.lora_A.weight"], start_A])
                state[f"{name}.lora_B.weight"] = torch.cat([state[f"{name}.lora_B.weight"], -start_B], dim=1)
        config: Any = backbone.peft_config["default"]  # type: ignore[index]
        before = (config.r, config.lora_alpha, config.init_lora_weights, config.inference_mode)
        config.r, config.lora_alpha = 2 * config.r, 2 * config.lora_alpha
        config.init_lora_weights, config.inference_mode = True, True
        config.save_pretrained(str(folder))
        config.r, config.lora_alpha, config.init_lora_weights, config.inference_mode = before
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()},
            folder / "adapter_model.safetensors",
            metadata={"format": "pt"},
        )


METHODS = (Pissa(),)
