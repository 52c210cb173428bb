"""What a finished run leaves behind: result.json and the adapter folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from bidora.classifier import Classifier, save_head
from bidora.encoding import TargetScale
from bidora.evaluation import Evaluation
from bidora.final_weights import spectrum_table, unit_table
from bidora.methods import Method, get_method
from bidora.metrics import baseline, primary_of
from bidora.recorder import merged_weights
from bidora.runs import Run, finite, write_json
from bidora.statistics import fit_dynamics
from bidora.tasks.splits import Split


def result_of(
    run: Run,
    *,
    test: Evaluation,
    train: Evaluation,
    selection: Evaluation | None,
    splits: Mapping[str, Split],
    kind: str,
    labels: tuple[str, ...],
    cost: Mapping[str, Any],
    after_search: Mapping[str, Any],
) -> dict[str, Any]:
    """What result.json holds."""
    counts = {
        f"n_{name}": len(splits[name]) for name in ("train", "lower", "upper", "selection", "test") if name in splits
    }
    if "upper" not in splits:
        counts.update(n_lower=counts["n_train"], n_upper=0)
    return finite(
        {
            "kind": kind,
            "primary": primary_of(kind, test.metrics),
            **counts,
            "scores": test.intervals(labels),
            "train_scores": train.scores,
            **({"selection_scores": selection.scores} if selection is not None else {}),
            **({"after_search": dict(after_search)} if after_search else {}),
            "baseline": baseline(kind, splits["train"].targets, splits["test"].targets, labels, metrics=test.metrics),
            "cost": dict(cost),
            "dynamics": dynamics_summary(run),
        }
    )


def dynamics_summary(run: Run) -> dict[str, Any]:
    """Mean ΔM and ΔD over layers at the end, and the line ΔM on ΔD over layers and checkpoints of the last phase."""
    table = run.dynamics()
    if table.empty:
        return {}
    last = table[table["phase_index"] == table["phase_index"].max()]
    end = last[last["step"] == last["step"].max()]
    found: dict[str, Any] = {
        "delta_m": float(end["delta_m"].mean()),
        "delta_d": float(end["delta_d"].mean()),
        "points": 0,
    }
    steps = sorted(last["step"].unique())
    chosen = [steps[round(fraction * (len(steps) - 1))] for fraction in (0.25, 0.5, 0.75, 1.0)]
    points = last[last["step"].isin(chosen)]
    if points["delta_d"].nunique() < 3:
        return found
    fit = fit_dynamics(points)
    return {**found, "slope": fit.slope, "pearson": fit.pearson, "spearman": fit.spearman, "points": len(points)}


def write_final_weights(run: Run, model: Classifier, base: Mapping[str, Tensor]) -> None:
    """Write units.parquet and spectrum.parquet: what became of every unit and of the rank of the change.

    Args:
        run: where to write.
        model: trained.
        base: W0 by layer name.
    """
    merged = merged_weights(model, list(base))
    run.write_table("units", unit_table(base, merged))
    run.write_table("spectrum", spectrum_table(base, merged))


def save_adapter(
    model: Classifier,
    folder: Path,
    tokenizer: Any,
    *,
    base: str,
    labels: tuple[str, ...],
    kind: str,
    scale: TargetScale | None,
    method: Method | None = None,
) -> None:
    """Save in the layout of PEFT (full fine-tuning: of transformers), with tokenizer, labels and a mean-pooling head.

    BitFit and head only, which PEFT does not know, leave the trained tensors and a README.md that says how to load them.

    Args:
        model: trained.
        folder: made if it is not there.
        tokenizer: saved beside the adapter.
        base: what adapter_config.json names as the model before: a hub id, a packaged name or the user's own folder.
        labels: names of the classes.
        kind: name out of bidora.kinds.
        scale: of the target, for regression.
        method: what the model was adapted by; LoRA's or full fine-tuning's way of saving where none is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    adapters = getattr(model.backbone, "peft_config", {})
    for adapter in adapters.values():
        adapter.base_model_name_or_path = base
    encoder = model.backbone.get_base_model() if adapters else model.backbone
    encoder.name_or_path = encoder.config._name_or_path = base  # PEFT's model card takes it from both
    (method or get_method("lora" if adapters else "full")).save(model.backbone, folder)
    tokenizer.save_pretrained(str(folder))
    save_head(model, folder)
    how: dict[str, Any] = {"pooling": model.pooling, "kind": kind, "labels": list(labels)}
    if scale is not None:
        how["target_scale"] = {"mean": scale.mean, "deviation": scale.deviation}
    write_json(folder / "lab.json", how)
