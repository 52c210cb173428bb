"""Memory of one forward and backward pass, counted by allocation instead of read off the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile


def kept_bytes(forward: Callable[[], object], *, but: list[Tensor]) -> int:
    """Bytes that a forward pass keeps for its backward, each storage counted once.

    Args:
        forward: the pass.
        but: tensors that live anyway (weights, input); their storages are not counted.
    """
    known = {tensor.untyped_storage().data_ptr() for tensor in but}
    kept: dict[int, int] = {}
    alive = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # else the address could be given to another tensor and counted once for both
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    del result
    return sum(kept.values())


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """Largest number of bytes allocated at one time by some work, beyond what was allocated before it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _silent_stderr(), profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as recorded:
        work()
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    peak = now = 0
    for event in sorted(events, key=lambda each: each.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep out the lines that some builds of torch's profiler write past Python."""
    before, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nothing)
