"""TrainerCallbacks that write what happens into the run folder: progress, metrics, weight dynamics.

They read tensors and counters; they decide nothing but when to stop (a wish to stop, or a loss that is not finite).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bidora.adapter import MAGNITUDE, adapted_layers, target_names
from bidora.cost import Cost
from bidora.decomposition import directed_units, merged_weight, unit_change
from bidora.errors import LabError
from bidora.linear_layers import LINEAR, stores_inputs_first, weight_of
from bidora.methods import Method, get_method
from bidora.runs import Run
from bidora.weight_files import layer_of, module_names

Progress = Callable[[str, float, float], None]

CHANGES = ("delta_m", "delta_m_signed_percent", "delta_d", "angle_degrees")
"""What `changes` measures, in its order."""

STATUS_SECONDS = 1.0
"""Least time between two writes of status.json."""


class ProgressRecorder(TrainerCallback):
    """Status, time left, metrics, and the wish to stop.

    Args:
        run: where to write.
        phase: train, search or retrain.
        phase_index: 0 or 1.
        done_before: steps of earlier phases.
        total: steps of all phases.
        cost: counters, stopped after each step.
        progress: told after each step (text, done, total).
    """

    def __init__(
        self,
        run: Run,
        *,
        phase: str,
        phase_index: int,
        done_before: int,
        total: int,
        cost: Cost,
        progress: Progress | None = None,
    ) -> None:
        self.run, self.phase, self.phase_index = run, phase, phase_index
        self.done_before, self.total, self.cost, self.progress = done_before, total, cost, progress
        self.stopped = False
        self._written = 0.0
        self._first: tuple[int, float] | None = None
        self._loss = ""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Count, tell the time left, and look for the wish to stop."""
        self.cost.stop_clock()
        if not (self.run.path / "config.json").exists():
            raise LabError(
                f"the folder of run {self.run.id} is gone: it was deleted or moved while the run was at work",
                hint="start the run again; a run is stopped before its folder is touched",
                kind="run",
            )
        now, done = time.perf_counter(), self.done_before + state.global_step
        if self._first is None:
            self._first = (done, now)
        steps = done - self._first[0]
        per_step = (now - self._first[1]) / steps if steps else None
        if now - self._written > STATUS_SECONDS or state.global_step == state.max_steps:
            self._written = now
            left = round((self.total - done) * per_step, 1) if per_step is not None and steps >= 5 else None
            self.run.update_status(
                phase=self.phase, step=done, total=self.total, eta_seconds=left, seconds_per_step=per_step
            )
        if self.progress is not None:
            self.progress(f"{self.phase}{self._loss}", done, self.total)
        if self.run.stop_requested() and state.global_step < state.max_steps:
            self.stopped = True
            self.run.update_status(state="stopping", phase=self.phase, step=done, total=self.total)
            control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **rest: Any,
    ) -> None:
        """Write one line of metrics.jsonl.

        Raises:
            LabError: the loss is not finite.
        """
        line = dict(logs or {})
        if "train_runtime" in line:
            return
        for old, new in (("grad_norm", "gradient_norm"), ("epoch", None)):
            value = line.pop(old, None)
            if new is not None and value is not None:
                line[new] = value
        self.write(state.global_step, line)
        if "loss" in line:
            self._loss = f" · loss {line['loss']:.3f}"
            check_finite(line, state.global_step)

    def write(self, step: int, line: dict[str, Any]) -> None:
        """One line of metrics.jsonl with phase, step and cost so far."""
        counted = self.cost.to_dict()
        self.run.append_metrics(
            {
                "phase": self.phase,
                "phase_index": self.phase_index,
                "step": step,
                "seconds": counted["seconds_training"],
                **line,
                "examples_seen": counted["examples_seen"],
                "gradient_evaluations": counted["gradient_evaluations"],
            }
        )


def check_finite(line: dict[str, Any], step: int) -> None:
    """Stop a run whose numbers are lost.

    Raises:
        LabError: a loss is NaN or infinite.
    """
    for name in ("loss", "upper_loss"):
        value = line.get(name)
        if value is not None and not math.isfinite(value):
            raise LabError(
                f"{name}={value} at step {step} (allowed: finite numbers)",
                hint="lower the learning rate (a tenth is a good try), or set max_gradient_norm=1",
                kind="diverged",
            )


class DynamicsRecorder(TrainerCallback):
    """ΔM, ΔD, angle and gradients of m per layer, from step 0 on (DoRA eqs 3–4 on merged weights).

    Args:
        run: where to write.
        model: the classifier in training.
        base: W0 by layer name (as `base_weights` gives it).
        phase: train, search or retrain.
        phase_index: 0 or 1.
        every: steps between two records; the last step is always recorded.
        source: gives the newest hypergradient, or None.
    """

    def __init__(
        self,
        run: Run,
        model: nn.Module,
        base: dict[str, Tensor],
        *,
        phase: str,
        phase_index: int,
        every: int,
        source: Callable[[], Any] | None = None,
    ) -> None:
        self.run, self.model, self.base = run, model, base
        self.phase, self.phase_index, self.every, self.source = phase, phase_index, every, source
        self.places = layers_and_modules(base)
        self.gradients: dict[str, float] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        """Record the beginning of a phase, once."""
        if state.global_step == 0:
            self._write(0)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        """Keep the norms of ∇m while they are there (DoRA trains m in the ordinary step)."""
        if self._due(state.global_step + 1, state.max_steps):
            named = {
                name: p.grad for name, p in self.model.named_parameters() if MAGNITUDE in name and p.grad is not None
            }
            self.gradients = {name: float(grad.norm()) for name, grad in named.items()}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Record when due."""
        if self._due(state.global_step, state.max_steps):
            self._write(state.global_step)

    def _due(self, step: int, last: int) -> bool:
        return step % self.every == 0 or step == last

    def _write(self, step: int) -> None:
        import pandas

        rows = [{"phase": self.phase, "phase_index": self.phase_index, "step": step, **row} for row in self._rows()]
        if rows:
            self.run.write_dynamics(pandas.DataFrame(rows), self.phase_index, step)

    def _rows(self) -> list[dict[str, Any]]:
        """One row per adapted layer; all numbers are brought from the device together."""
        if not self.base:
            return []
        found = self.source() if self.source is not None else None
        merged = merged_weights(self.model, list(self.base))
        moved = torch.stack([changes(self.base[name], weight) for name, weight in merged.items()]).tolist()
        sizes: list[list[float]] = []
        if found is not None:
            keys = [next(key for key in found.direct if key.startswith(f"{name}.")) for name in merged]
            sizes = torch.stack([_sizes(found.direct[key], found.implicit[key]) for key in keys]).tolist()
        rows = []
        for place, name in enumerate(merged):
            parts = _parts(*sizes[place]) if sizes else self._gradient_of(name)
            rows.append({**self.places[name], "name": name, **dict(zip(CHANGES, moved[place])), **parts})
        return rows

    def _gradient_of(self, name: str) -> dict[str, float]:
        """The norm of a layer's ∇m where the ordinary step trains m."""
        key = next((key for key in self.gradients if key.startswith(f"{name}.")), None)
        return {"magnitude_gradient_norm": self.gradients[key]} if key else {}


class TestScoreRecorder(TrainerCallback):
    """Scores on a sample of test and training data on the way, and their gap; nothing is chosen by them.

    Args:
        evaluate: (split name, limit) → an object with `scores`.
        progress: where the metrics line goes.
        every: steps between two scores; the last step of a phase is always scored.
        limit: examples of each split.
    """

    def __init__(
        self, evaluate: Callable[[str, int], Any], progress: ProgressRecorder, *, every: int, limit: int
    ) -> None:
        self.evaluate, self.progress, self.every, self.limit = evaluate, progress, every, limit

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        """Score when due."""
        if state.global_step % self.every and state.global_step != state.max_steps:
            return
        test, train = self.evaluate("test", self.limit), self.evaluate("train", self.limit)
        first = next(iter(test.scores))
        gap = None if None in (train.scores[first], test.scores[first]) else train.scores[first] - test.scores[first]
        scores = {
            f"{split}_{name}": value
            for split, each in (("test", test), ("train", train))
            for name, value in each.scores.items()
        }
        line = {**scores, "test_loss": test.loss, "train_loss": train.loss, "gap": gap}
        self.progress.write(state.global_step, line)


def changes(before: Tensor, after: Tensor) -> Tensor:
    """ΔM, signed ΔM in %, ΔD and mean angle of one layer, (4,), as CHANGES names them; one magnitude per output unit.

    Means over the units that are not zero in either weight; NaN where there are none.
    """
    first, second, _ = directed_units(before, after)
    units = unit_change(first, second)
    return torch.stack([units.magnitude.abs().mean(), units.percent.mean(), units.direction.mean(), units.angle.mean()])


def base_weights(model: nn.Module, target_modules: tuple[str, ...], method: Method | None = None) -> dict[str, Tensor]:
    """W0 of the adapted layers, by name; without an adapter (full fine-tuning) copies of the layers it would adapt.

    Where a model has no layer of such a name, copies of all linear layers in its numbered layers.

    Args:
        model: adapted, before training.
        target_modules: as in the settings.
        method: LoRA where none is given.
    """
    layers, method = adapted_layers(model), method or get_method("lora")
    if layers:
        return {name: method.pretrained_weight(layer) for name, layer in layers}
    ends = tuple(f".{name}" for name in target_names(model, target_modules))
    linear = {name: module for name, module in model.named_modules() if isinstance(module, LINEAR)}
    chosen = [name for name in linear if f".{name}".endswith(ends)] or [name for name in linear if layer_of(name) >= 0]
    return {name: weight_of(linear[name]).detach().clone() for name in chosen}


@torch.no_grad()
def merged_weights(model: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """The weights that act: W0 + s·BA for LoRA, m ⊙ V/‖V‖ for DoRA and BiDoRA, the weight itself without an adapter.

    Other layers of PEFT say themselves what they add (`get_delta_weight`).
    """
    from peft.tuners.lora import Linear as LoraLinear

    modules = dict(model.named_modules())
    merged = {}
    for name in names:
        layer = modules[name]
        if not hasattr(layer, "get_base_layer"):
            merged[name] = weight_of(layer).detach()
            continue
        adapter, weight = layer.active_adapters[0], weight_of(layer.get_base_layer())
        if not isinstance(layer, LoraLinear):
            added = layer.get_delta_weight(adapter)  # stored like the weight, except FourierFT's, which is (out, in)
            turned = stores_inputs_first(layer.get_base_layer()) and not hasattr(layer, "fourierft_spectrum")
            merged[name] = weight.detach() + (added.t() if turned else added)
            continue
        scale = layer.scaling[adapter]
        lora_A, lora_B = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
        magnitudes = layer.lora_magnitude_vector
        magnitude = magnitudes[adapter].weight if adapter in magnitudes else None
        merged[name] = merged_weight(weight, lora_A, lora_B, scale, magnitude)
    return merged


def layers_and_modules(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """For each name the layer's number (−1 where it has none), and a short name that tells the modules of a layer apart."""
    return {name: {"layer": layer_of(name), "module": short} for name, short in module_names(names).items()}


def _sizes(direct: Tensor, implicit: Tensor) -> Tensor:
    """Norms of both parts and of their sum, and their inner product, (4,)."""
    return torch.stack([direct.norm(), implicit.norm(), (direct + implicit).norm(), (direct * implicit).sum()])


def _parts(direct: float, implicit: float, total: float, product: float) -> dict[str, float]:
    cosine = product / (direct * implicit) if direct and implicit else float("nan")
    return {"direct_norm": direct, "implicit_norm": implicit, "magnitude_gradient_norm": total, "cosine": cosine}
