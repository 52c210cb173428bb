"""The tables of the final weights: against decomposition and spectra by hand, on weights that are not square."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_train import run_of

from bidora import final_weights
from bidora.final_weights import singular_values, spectrum_table, unit_table
from bidora.train import train


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 10, generator=generator)
    update = torch.randn(6, 2, generator=generator) @ torch.randn(2, 10, generator=generator)
    return {"encoder.layer.3.query": base}, {"encoder.layer.3.query": base + update}, update


def test_every_unit_is_told_with_its_magnitude_before_and_after(weights):
    base, merged, _ = weights
    table = unit_table(base, merged)
    (before,), (after,) = base.values(), merged.values()
    assert list(table["unit"]) == list(range(6))
    assert set(table["layer"]) == {3} and set(table["module"]) == {"query"}
    np.testing.assert_allclose(table["m0"], before.norm(dim=1), rtol=1e-6)
    np.testing.assert_allclose(table["m"], after.norm(dim=1), rtol=1e-6)
    cosine = torch.nn.functional.cosine_similarity(before, after, dim=1)
    np.testing.assert_allclose(table["delta_d"], 1 - cosine, atol=1e-6)


def test_the_spectrum_is_that_of_the_change_and_ends_at_its_rank(weights):
    base, merged, update = weights
    table = spectrum_table(base, merged)
    np.testing.assert_allclose(table["singular_value"], torch.linalg.svdvals(update), atol=1e-5)
    assert list(table["index"]) == [1, 2, 3, 4, 5, 6]
    assert table["cumulative"].iloc[1] == pytest.approx(1.0, abs=1e-6)
    assert table["cumulative"].iloc[0] < 0.999
    assert len(spectrum_table(base, merged, leading=2)) == 2


def test_a_layer_that_did_not_change_has_no_share(weights):
    base, _, _ = weights
    table = spectrum_table(base, base)
    assert (table["singular_value"] == 0).all() and table["cumulative"].isna().all()


def test_no_layers_give_empty_tables_with_their_columns():
    assert list(unit_table({}, {}).columns) == ["name", "layer", "module", "unit", "m0", "m", "delta_d"]
    assert len(spectrum_table({}, {})) == 0 and "singular_value" in spectrum_table({}, {})


def test_large_matrices_are_projected_and_draw_no_numbers_of_training(monkeypatch):
    torch.manual_seed(3)
    matrix = torch.randn(40, 5) @ torch.randn(5, 60)
    exact = singular_values(matrix, 8)
    monkeypatch.setattr(final_weights, "EXACT_UP_TO", 16)
    state = torch.get_rng_state()
    found = singular_values(matrix, 8)
    assert torch.equal(state, torch.get_rng_state())
    np.testing.assert_allclose(found[:5], exact[:5], rtol=1e-4)
    assert found.max() == found[0] and len(found) == 8


@pytest.mark.parametrize("method", ["lora", "dora", "full"])
def test_a_run_leaves_both_tables(method: str, tiny_bert: Path, table: Path, tmp_path: Path):
    run = run_of(tmp_path, tiny_bert, table, method=method)
    train(run)
    units, spectrum = run.units(), run.spectrum()
    assert len(units) == 4 * 24  # two layers, query and value
    end = run.dynamics().query("step == 12").set_index("name")
    units["moved"] = (units["m"] - units["m0"]).abs()
    for name, part in units.groupby("name"):
        assert part["moved"].mean() == pytest.approx(end.loc[name, "delta_m"], rel=1e-3)
        assert part["delta_d"].mean() == pytest.approx(end.loc[name, "delta_d"], rel=1e-3, abs=1e-7)
    leading = spectrum[spectrum["index"] == 2].set_index("name")["cumulative"]
    if method == "lora":  # rank 2
        assert (leading > 0.9999).all()
    else:  # new magnitudes scale whole rows of W0; full fine-tuning has no bound
        assert (leading < 0.9999).all()


def test_a_run_without_the_tables_reads_as_empty(tiny_bert: Path, table: Path, tmp_path: Path):
    run = run_of(tmp_path, tiny_bert, table)
    assert run.units().empty and run.spectrum().empty
    (run.path / "units.parquet").write_bytes(b"PAR1 no table")
    assert run.units().empty
