"""VeRA: two frozen random matrices shared by all layers; each layer trains two vectors that scale them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bidora.methods.method import Look, Method, Paper, Rates

if TYPE_CHECKING:
    from bidora.config import RunConfig


class Vera(Method):
    """W0 + diag(b)·B·diag(d)·A with A and B frozen and b from zero (VeRA, eq. 2)."""

    name = "vera"
    title = "VeRA"
    summary = "trains two vectors per layer that scale a pair of frozen random matrices, which all layers share"
    formula = r"W' = W_0 + \mathrm{diag}(b)\, B\, \mathrm{diag}(d)\, A"
    convention = (
        "A and B are drawn by the seed and saved with the adapter; b begins at 0, d at 0.1. There is no α. The paper uses "
        "ranks of 256 to 1,024: a rank costs one number per layer."
    )
    paper = Paper(
        "VeRA",
        "D. J. Kopiczko, T. Blankevoort, Y. M. Asano: VeRA: Vector-based Random Matrix Adaptation. ICLR 2024. "
        "arXiv 2310.11454.",
        "https://arxiv.org/abs/2310.11454",
    )
    place = 40
    look = Look("#B8518F", "2px,5px", "x")
    settings = ("rank", "dropout", "target_modules")
    rates = Rates(3e-3, 1e-1)
    trained = ("vera_lambda_",)

    def peft_config(self, config: RunConfig, **shared: Any) -> Any:
        """VeRA's, with the projections in the saved file, so that they need not be drawn again elsewhere."""
        from peft import VeraConfig

        return VeraConfig(
            r=config.rank,
            vera_dropout=config.dropout,
            projection_prng_key=config.seed,
            save_projection=True,
            d_initial=0.1,
            **shared,
        )

    def check_layer(self, config: RunConfig, name: str, shape: tuple[int, int]) -> None:
        """Any rank fits: the paper uses 256 to 1,024, as a rank costs one number per layer."""


METHODS = (Vera(),)
