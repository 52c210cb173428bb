"""Several tests at once: p values that account for how many there were."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bidora.errors import LabError
from bidora.wording import CORRECTIONS


def corrected(p: ArrayLike, correction: str = "holm") -> NDArray[np.float64]:
    """The p values of a family of tests, corrected; NaN (no test) stays NaN and is not counted.

    Args:
        p: (n,) each between 0 and 1, or NaN.
        correction: holm, bh or none.

    Raises:
        LabError: the correction is unknown, or a p lies outside 0 to 1.

    >>> corrected([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    if correction not in CORRECTIONS:
        raise LabError(
            f"correction={correction!r} is not one of {', '.join(CORRECTIONS)}",
            hint="holm bounds the chance of one false finding, bh the expected share of false ones",
        )
    values = np.asarray(p, dtype=np.float64)
    known = np.isfinite(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise LabError("a p value lies outside 0 <= p <= 1", hint="give p values, not statistics")
    found = np.full(values.shape, np.nan)
    if correction == "none":
        return values
    found[known] = holm(values[known]) if correction == "holm" else benjamini_hochberg(values[known])
    return found


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's step-down correction (1979): bounds the chance of even one false finding, whatever the tests share.

    The smallest p is multiplied by n, the next by n − 1, and so on; none may fall below the one before it.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(stepped, 1.0)
    return found


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini and Hochberg's step-up correction (1995): bounds the expected share of false ones among the findings."""
    if not len(p):
        return np.empty(0)
    from scipy.stats import false_discovery_control  # takes a second

    return np.asarray(false_discovery_control(p, method="bh"), dtype=np.float64)
