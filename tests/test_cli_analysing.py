"""`bidora analyse` on checkpoints, and what it refuses."""

from __future__ import annotations

import csv

import numpy
import pytest
from safetensors.numpy import save_file

from bidora.cli import main
from bidora.config import RunConfig
from bidora.runs import Run

pytestmark = pytest.mark.usefixtures("own_places")


def checkpoint(folder, scale_of_query=1.0):
    """Two layers of two non-square matrices each; the query is scaled, the value is turned in layer 1."""
    folder.mkdir()
    generator = numpy.random.default_rng(0)
    tensors = {}
    for layer in range(2):
        for name in ("query", "value"):
            weight = generator.normal(size=(4, 6)).astype(numpy.float32)
            if scale_of_query != 1.0:
                weight = (
                    weight * numpy.float32(scale_of_query) if name == "query" else numpy.roll(weight, layer, axis=1)
                )
            tensors[f"encoder.layer.{layer}.attention.self.{name}.weight"] = weight
    save_file(tensors, folder / "model.safetensors")
    return tensors


@pytest.mark.parametrize(("axis", "along"), [("output", 1), ("input", 0)])
def test_analyse_of_two_checkpoints(tmp_path, capsys, axis, along):
    before = checkpoint(tmp_path / "before")
    checkpoint(tmp_path / "after", scale_of_query=1.5)
    path = tmp_path / "dynamics.csv"
    words = ["analyse", str(tmp_path / "after"), "--base", str(tmp_path / "before"), "--axis", axis, "--csv", str(path)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert f"one per {axis} unit" in text
    assert "slope" in text
    assert "Pearson" in text
    assert "Spearman" in text
    rows = {(row["layer"], row["module"]): row for row in csv.DictReader(path.read_text().splitlines())}
    assert set(rows) == {("0", "query"), ("1", "query"), ("1", "value")}  # the value of layer 0 is unchanged
    assert "Equal on both sides and left out: 1 matrix." in text
    norms = numpy.linalg.norm(before["encoder.layer.0.attention.self.query.weight"].astype(float), axis=along)
    assert float(rows["0", "query"]["delta_m"]) == pytest.approx(0.5 * norms.mean(), rel=1e-6)
    assert float(rows["0", "query"]["delta_m_signed_percent"]) == pytest.approx(50)
    assert float(rows["0", "query"]["delta_d"]) == pytest.approx(0, abs=1e-7)
    assert float(rows["1", "value"]["delta_d"]) > 0.1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["analyse", "{folder}/before"], "does not say what it was trained from"),
        (["analyse", "{folder}/before", "--base", "./no/model"], "no/model"),
        (["analyse", "{folder}/before", "--base", "{folder}/before", "--axis", "both"], "axis"),
        (["analyse", "{run}"], "has no adapter yet: it is queued"),
    ],
)
def test_analyse_of_what_cannot_be_analysed(tmp_path, capsys, words, expected):
    checkpoint(tmp_path / "before")
    run = Run.create(RunConfig(), tmp_path / "runs")
    assert main([word.format(folder=tmp_path, run=run.id) for word in words]) == 2
    assert expected in capsys.readouterr().err
