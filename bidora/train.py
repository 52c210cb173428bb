"""train(run): data → model → phases → test → run folder. The only place that knows the phases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer, set_seed

from bidora.adapter import MAGNITUDE, adapt, split_parameters
from bidora.checkpoint import (
    COMPLETE_FILE,
    COST_FILE,
    TRAINABLE_FILE,
    load_method_state,
    load_trainable,
    save_method_state,
    trainable_tensors,
)
from bidora.classifier import Classifier, quiet_transformers, read_config
from bidora.config import is_bilevel
from bidora.cost import Cost, reset_peak_memory
from bidora.encoding import Encoded, TargetScale, padding_of
from bidora.evaluation import Evaluation, StopWished, evaluate, watched
from bidora.kinds import Kind, get_kind
from bidora.level_trainer import LevelTrainer
from bidora.methods import get_method
from bidora.metrics import SCORINGS, primary_of
from bidora.models import get_model, input_length, model_folder
from bidora.phases import Phase, compute_device, last_checkpoint, phases_of, prepare_parameters, training_arguments
from bidora.provenance import provenance, refuse_changes
from bidora.recorder import DynamicsRecorder, Progress, ProgressRecorder, TestScoreRecorder, base_weights
from bidora.result import result_of, save_adapter, write_final_weights
from bidora.runs import Run, read_json, write_json
from bidora.runs.standing import has_checkpoint
from bidora.shortcuts import kept_memory
from bidora.tasks import Prepared, get_task, prepare
from bidora.trainer import BiLevelTrainer
from bidora.working import working_on


def train(run: Run, *, progress: Progress | None = None) -> dict[str, Any]:
    """Train a run from where it stands to its end, and write everything into its folder.

    A run that was stopped or lost goes on from its last complete checkpoint and ends with the same bits as one that was
    never interrupted. A wish to stop (`run.request_stop()`) is granted after the current step.

    Args:
        run: a run that nobody else works on.
        progress: called with what is going on, how much is done and how much there is.

    Returns:
        What result.json holds; {} where the run was stopped before its end.

    Raises:
        LabError: something that the user can solve (settings, data, model, diverged loss); the run is marked as failed.
    """
    with working_on(run), quiet_transformers():
        try:
            training = _Training(run, progress)
            with _threads(_threads_of(run)), kept_memory() if training.device.type == "cpu" else nullcontext():
                result = training.go()
        except StopWished:
            result = {}
        run.update_status(state="finished" if result else "stopped", eta_seconds=None, exit_code=0)
    return result


def _threads_of(run: Run) -> int:
    """As many CPU threads as the settings say, or, where it goes on from a checkpoint, as it began with; 0: as it is.

    The last bits of a sum depend on their number, whoever goes on with the run: a terminal, the app or the queue.
    """
    began = run.meta.get("device", {}).get("threads")
    known = isinstance(began, int) and 0 < began <= (os.cpu_count() or 1) and run.checkpoints_dir.is_dir()
    return run.config.threads or (began if known else 0)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """As many CPU threads as a run asks for (0: as it is); the next run of this process finds what was before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _Data:
    """What the phases read: splits by name, as token ids, and what belongs to them."""

    prepared: Prepared
    splits: dict[str, Encoded]
    tokenizer: Any
    scale: TargetScale | None

    @property
    def pad_id(self) -> int:
        return padding_of(self.tokenizer)

    @property
    def kind(self) -> Kind:
        """What the kind of task decides."""
        return get_kind(self.prepared.kind)


class _Training:
    """One call of train(run)."""

    def __init__(self, run: Run, progress: Progress | None) -> None:
        self.run, self.progress, self.config = run, progress, run.config
        self.method = get_method(self.config.method)
        self.device = compute_device(self.config)
        self.cost = Cost()

    def go(self) -> dict[str, Any]:
        """Data, model, phases, test."""
        reset_peak_memory()
        data = self._read_data()
        self._tell("reading the model")
        model = self._build(data)
        initial = trainable_tensors(model, self.method.upper)
        base = base_weights(model, self.config.target_modules, self.method)
        after_search: dict[str, Any] = {}
        for phase in phases_of(self.config):
            if not self._train_phase(phase, model, data, base, initial):
                return {}
            if phase.bilevel:
                after_search = self._score_after_search(model, data)
        return self._finish(model, data, base, after_search)

    # -- preparation --------------------------------------------------------------------------------------------

    def _read_data(self) -> _Data:
        """Fetch, sample, cut and encode; counts and hashes of what was read go into meta.json."""
        config, task = self.config, get_task(self.config.task)
        self._tell("reading data")
        prepared = prepare(config, self.progress)
        self.model = get_model(config.model or task.default_model)
        self.folder = model_folder(self.model.name, self.progress)
        tokenizer = AutoTokenizer.from_pretrained(self.folder)
        settings = read_config(self.folder).to_dict()
        length, shortened = input_length(config.max_length, task.default_length, settings)
        kind = get_kind(prepared.kind)
        scale = kind.scale(prepared.train.targets)
        named = {name: getattr(prepared, name) for name in ("train", "lower", "upper", "selection", "test")}
        splits = {
            name: kind.encode(split, tokenizer, max_length=length, scale=scale)
            for name, split in named.items()
            if split is not None
        }
        data_read = {
            name: {"count": len(each), "sha256": each.split.digest(), "cut": each.cut} for name, each in splits.items()
        }
        origin = provenance(self.folder, self.device)
        if has_checkpoint(self.run.path):
            refuse_changes(self.run.meta, {**origin, "data": data_read})
        self.run.update_meta(
            data=data_read,
            kind=kind.name,
            primary=primary_of(prepared.kind, prepared.metrics),
            labels=list(prepared.labels),
            notes=[*prepared.notes, *shortened, *kind.remarks(splits)],
            max_length=length,
            **origin,
        )
        return _Data(prepared, splits, tokenizer, scale)

    def _build(self, data: _Data) -> Classifier:
        """The adapted classifier with its initial values, which depend on the seed alone."""
        config = self.config
        twice = is_bilevel(config) and config.mixed_product == "exact" and config.unroll_scale != "0"
        set_seed(config.seed)
        attention = "eager" if twice else None
        model = data.kind.build(self.folder, config, labels=data.prepared.labels, attention=attention)
        # A causal classifier reads the last token that is no padding, so both must mean the same one.
        settings: Any = model.backbone.config
        settings.pad_token_id = data.pad_id
        set_seed(config.seed)
        adapt(model, config)
        return model.to(self.device)

    # -- phases -------------------------------------------------------------------------------------------------

    def _train_phase(
        self, phase: Phase, model: Classifier, data: _Data, base: dict[str, Tensor], initial: dict[str, Tensor]
    ) -> bool:
        """Train one phase from its last checkpoint; returns whether it came to its end."""
        run, folder = self.run, self.run.checkpoints_dir / phase.name
        end = folder / "end"
        prepare_parameters(model, phase, initial, upper=self.method.upper)
        if (end / COMPLETE_FILE).exists():
            load_trainable(model, end / TRAINABLE_FILE, self.method.upper)
            load_method_state(self.method, model, end)
            self.cost.load(read_json(end / COST_FILE))
            return True
        checkpoint = last_checkpoint(folder)
        step = int(checkpoint.name.split("-")[1]) if checkpoint else -1
        if checkpoint:
            self.cost.load(read_json(checkpoint / COST_FILE))
        run.truncate_metrics(phase.index, step)
        run.truncate_dynamics(phase.index, step)
        trainer, progress = self._trainer(phase, model, data, base)
        run.update_status(state="running", phase=phase.name, total=self.config.total_steps)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if progress.stopped:
            return False
        end.mkdir(parents=True, exist_ok=True)
        save_file(trainable_tensors(model, self.method.upper), end / TRAINABLE_FILE)
        save_method_state(self.method, model, end)
        write_json(end / COST_FILE, self.cost.to_dict())
        (end / COMPLETE_FILE).touch()
        return True

    def _trainer(
        self, phase: Phase, model: Classifier, data: _Data, base: dict[str, Tensor]
    ) -> tuple[LevelTrainer, ProgressRecorder]:
        """Trainer and recorders of one phase."""
        config, run = self.config, self.run
        options: dict[str, Any] = dict(
            model=model,
            args=training_arguments(config, phase, run.checkpoints_dir / phase.name),
            train_dataset=data.splits["lower" if phase.bilevel else "train"],
            config=config,
            kind=data.prepared.kind,
            cost=self.cost,
            order_seed=config.seed * 2 + 1_000_003 * phase.index,
            data_collator=data.kind.collator(data.pad_id, multiple=1 if self.device.type == "cpu" else 8),
        )
        trainer = (
            BiLevelTrainer(upper_dataset=data.splits["upper"], **options) if phase.bilevel else LevelTrainer(**options)
        )
        progress = ProgressRecorder(
            run,
            phase=phase.name,
            phase_index=phase.index,
            done_before=sum(each.steps for each in phases_of(config)[: phase.index]),
            total=config.total_steps,
            cost=self.cost,
            progress=self.progress,
        )
        dynamics = DynamicsRecorder(
            run,
            model,
            base,
            phase=phase.name,
            phase_index=phase.index,
            every=config.record_every or max(1, phase.steps // 40),
            source=(lambda: trainer.last_hypergradient) if isinstance(trainer, BiLevelTrainer) else None,
        )
        scores = TestScoreRecorder(
            lambda name, limit: self._evaluate(model, data, name, limit=limit),
            progress,
            every=config.evaluate_every or max(1, phase.steps // 4),
            limit=config.evaluation_examples or SCORINGS[data.prepared.kind].sample,
        )
        for callback in (progress, dynamics, scores):
            trainer.add_callback(callback)
        return trainer, progress

    # -- scores -------------------------------------------------------------------------------------------------

    def _evaluate(
        self, model: Classifier, data: _Data, name: str, *, limit: int = 0, progress: Progress | None = None
    ) -> Evaluation:
        return evaluate(
            model,
            data.splits[name],
            kind=data.prepared.kind,
            labels=data.prepared.labels,
            scale=data.scale,
            pad_id=data.pad_id,
            limit=limit,
            bfloat16=self.config.precision == "bfloat16",
            metrics=data.prepared.metrics,
            progress=progress,
        )

    def _score_after_search(self, model: Classifier, data: _Data) -> dict[str, Any]:
        """Test scores at the end of the search phase, kept so that a resumed run need not repeat them."""
        path = self.run.checkpoints_dir / "search" / "end" / "scores.json"
        if not path.exists():
            write_json(path, self._evaluate(model, data, "test", progress=watched(self.run, self.progress)).scores)
        return read_json(path)

    def _finish(
        self, model: Classifier, data: _Data, base: dict[str, Tensor], after_search: dict[str, Any]
    ) -> dict[str, Any]:
        """Save the adapter, test, write predictions, final weights and result."""
        run, prepared = self.run, data.prepared
        run.update_status(state="finalising", step=self.config.total_steps, eta_seconds=None)
        save_adapter(
            model,
            run.adapter_dir,
            data.tokenizer,
            method=self.method,
            base=self.model.public_name,
            labels=prepared.labels,
            kind=prepared.kind,
            scale=data.scale,
        )
        told = watched(run, self.progress)
        test = self._evaluate(model, data, "test", progress=told)
        test.predictions(data.splits["test"].split, prepared.labels).to_parquet(
            run.path / "predictions.parquet", index=False
        )
        run.compact_dynamics()
        levels = split_parameters(model, self.method.upper or MAGNITUDE)
        cost = {
            **self.cost.to_dict(),
            "trainable_parameters": sum(parameter.numel() for level in levels for parameter in level.values()),
            "total_parameters": sum(parameter.numel() for parameter in model.parameters()),
        }
        write_final_weights(run, model, base)  # after the peak of memory was read, which is that of training
        result = result_of(
            run,
            test=test,
            train=self._evaluate(model, data, "train", limit=SCORINGS[prepared.kind].train_sample, progress=told),
            selection=self._evaluate(model, data, "selection", progress=told) if "selection" in data.splits else None,
            splits={name: each.split for name, each in data.splits.items()},
            kind=prepared.kind,
            labels=prepared.labels,
            cost=cost,
            after_search=after_search,
        )
        write_json(run.path / "result.json", result)
        return result

    def _tell(self, text: str) -> None:
        if self.progress is not None:
            self.progress(text, 0, 0)
