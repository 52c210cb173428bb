"""The state of the random generators, recorded before a pass and replayed in later ones.

Two passes whose difference is a derivative must draw the same dropout masks: with other masks the difference measures
the noise of dropout, divided by a small ε.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class RandomState(NamedTuple):
    """State of torch's default generators: of the CPU, and of each accelerator in use.

    Covers what models draw through torch (dropout, layer drop); Python's and NumPy's generators belong to data loading.
    """

    cpu: Tensor  # (bytes,) uint8
    devices: tuple[tuple[torch.device, Tensor], ...] = ()

    @classmethod
    def record(cls, *parameters: Mapping[str, Tensor]) -> RandomState:
        """The present state on the CPU and on every accelerator where one of the tensors lives."""
        found = {tensor.device for group in parameters for tensor in group.values()}
        return cls._of([device for device in sorted(found, key=str) if device.type != "cpu"])

    @classmethod
    def _of(cls, devices: list[torch.device]) -> RandomState:
        return cls(torch.get_rng_state(), tuple((device, _read(device)) for device in devices))

    def restore(self) -> None:
        """Make this the present state."""
        torch.set_rng_state(self.cpu)
        for device, state in self.devices:
            module = torch.get_device_module(device)
            if device.type == "mps":  # one generator, no device argument
                module.set_rng_state(state)
            else:
                module.set_rng_state(state, device)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Within the block the generators start from this state; after it they are as they were before the block."""
        before = self._of([device for device, _ in self.devices])
        self.restore()
        try:
            yield
        finally:
            before.restore()


def _read(device: torch.device) -> Tensor:
    module = torch.get_device_module(device)
    state: Tensor = module.get_rng_state() if device.type == "mps" else module.get_rng_state(device)
    return state
