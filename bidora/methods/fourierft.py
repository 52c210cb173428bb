"""FourierFT: the change of each weight as a few entries of its two-dimensional Fourier transform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bidora.methods.method import Look, Method, Paper, Rates

if TYPE_CHECKING:
    from bidora.config import RunConfig


class FourierFT(Method):
    """W0 + a·Re(IDFT2(F)), F zero but for n trained entries at random places (FourierFT, eqs 2–4)."""

    name = "fourierft"
    title = "FourierFT"
    summary = "trains n entries of the Fourier transform of each weight's change; their places are drawn by the seed"
    formula = r"W' = W_0 + a\, \mathrm{Re}\, \mathcal{F}^{-1}(E, c)"
    convention = (
        "Coefficients begin at zero, so that step 0 is the pretrained model; the authors draw them from N(0, 1), which in "
        "small layers adds as much as the weights themselves."
    )
    paper = Paper(
        "FourierFT",
        "Z. Gao and others: Parameter-Efficient Fine-Tuning with Discrete Fourier Transform. ICML 2024. arXiv 2405.03003.",
        "https://arxiv.org/abs/2405.03003",
    )
    place = 41
    look = Look("#8C8C1A", "9px,2px,2px,2px,2px,2px,2px,2px", "star-diamond")
    settings = ("target_modules", "frequencies", "fourier_scale")
    rates = Rates(1e-2, 2e-1)
    pass_cost = 1.3
    trained = ("fourierft_",)

    def peft_config(self, config: RunConfig, **shared: Any) -> Any:
        """FourierFT's, beginning at zero."""
        from peft import FourierFTConfig

        return FourierFTConfig(
            n_frequency=config.frequencies,
            scaling=config.fourier_scale,
            random_loc_seed=config.seed,
            init_weights=True,
            **shared,
        )

    def check_layer(self, config: RunConfig, name: str, shape: tuple[int, int]) -> None:
        """A weight has no more frequencies than entries."""
        from bidora.errors import LabError

        entries = shape[0] * shape[1]
        if config.frequencies > entries:
            raise LabError(
                f"frequencies={config.frequencies} exceeds the {entries} entries of {name} (allowed: 1 to {entries})",
                hint="the paper uses 1,000 for weights of 768 × 768 entries",
            )


METHODS = (FourierFT(),)
