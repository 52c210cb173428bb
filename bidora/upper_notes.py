"""What the log says about the upper level: sizes of the hypergradient's two parts, as means over the steps of a line."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bidora.hypergradient import Hypergradient
from bidora.hypergradient.parameters import inner, norm


class UpperNotes:
    """Loss of the upper split, ‖direct‖, ‖implicit‖ and the cosine between them, since the last line of the log.

    The numbers of a step stay on its device until somebody reads them: reading at once would wait for it in every step.
    """

    def __init__(self) -> None:
        self._unread: list[Tensor] = []
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, found: Hypergradient) -> None:
        """Note one upper step."""
        sizes = (norm(found.direct), norm(found.implicit), inner(found.direct, found.implicit), found.upper_loss)
        self._unread.append(torch.stack(sizes))

    def take_means(self) -> dict[str, float]:
        """upper_loss, direct_norm, implicit_norm and cosine (NaN where a part is 0), after which counting begins anew.

        Empty where there was no upper step.
        """
        self._read()
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        self._read()
        return {"sums": self._sums, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._unread, self._sums, self._count = [], state["sums"], state["count"]

    def _read(self) -> None:
        if not self._unread:
            return
        for direct, implicit, product, loss in torch.stack(self._unread).tolist():
            cosine = product / (direct * implicit) if direct * implicit else math.nan
            values = {"upper_loss": loss, "direct_norm": direct, "implicit_norm": implicit, "cosine": cosine}
            for name, value in values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += len(self._unread)
        self._unread = []
