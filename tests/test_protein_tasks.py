"""bbp, mic, thermostability: tables of every make, test parts by families, leakage, and runs to plain PEFT."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy
import pytest
import torch
from test_leakage import drawn, edited

from bidora.config import RunConfig
from bidora.errors import LabError
from bidora.runs import Run
from bidora.tasks import prepare
from bidora.tasks.leakage import nearest_identity
from bidora.tasks.mic import species

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"


def families(count: int, members: int, *, seed: int = 0, length: tuple[int, int] = (12, 20)) -> list[str]:
    """Sequences in families of near relatives, one family after the other."""
    generator = random.Random(seed)
    founders = [drawn(generator, *length) for _ in range(count)]
    return [
        edited(founder, 0.06 * member, generator).ljust(8, "A") for founder in founders for member in range(members)
    ]


def write(path: Path, heading: list[str], rows) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([heading, *rows])
    return path


def peptides(path: Path, count: int = 40, *, seed: int = 0, words=("0", "1")) -> Path:
    rows = [(each, words[number % 2]) for number, each in enumerate(families(count, 1, seed=seed))]
    return write(path, ["sequence", "label"], rows)


def note(prepared, start: str) -> str:
    return next(each for each in prepared.notes if each.startswith(start))


# -- BBP ----------------------------------------------------------------------------------------------------------


def test_peptides_in_csv_xlsx_and_fasta_are_the_same(tmp_path):
    import pandas

    table = peptides(tmp_path / "train.csv")
    frame = pandas.read_csv(table)
    frame.to_excel(tmp_path / "train.xlsx", index=False)
    records = [f">p{row}|{label}\n{sequence}" for row, (sequence, label) in enumerate(frame.itertuples(index=False))]
    (tmp_path / "train.fasta").write_text("\n".join(records))
    frame.assign(label=frame["label"].map({0: "non-BBP", 1: "BBP"})).to_csv(tmp_path / "words.csv", index=False)
    test = peptides(tmp_path / "test.csv", 10, seed=1)
    read = [
        prepare(RunConfig(task="bbp", data=str(tmp_path / name), test_data=str(test)))
        for name in ("train.csv", "train.xlsx", "train.fasta", "words.csv")
    ]
    for each in read:
        assert each.train.inputs == read[0].train.inputs and (each.train.targets == read[0].train.targets).all()
        assert (len(each.train), len(each.test), each.labels) == (40, 10, ("other", "BBP"))
        assert each.metrics[0] == "accuracy" and "weighted_f1" in each.metrics
    assert "of 10 test sequences" in note(read[0], "leakage:")


def test_a_folder_with_one_training_and_one_test_file(tmp_path):
    peptides(tmp_path / "BBP_train.csv")
    peptides(tmp_path / "BBP_test.csv", 10, seed=1)
    (tmp_path / "README.txt").write_text("train and test")
    assert len(prepare(RunConfig(task="bbp", data=str(tmp_path))).test) == 10
    peptides(tmp_path / "other_train.csv")
    with pytest.raises(LabError, match=r"cannot be told \(it holds BBP_test.csv, BBP_train.csv, other_train.csv\)"):
        prepare(RunConfig(task="bbp", data=str(tmp_path)))


def test_without_a_test_file_whole_families_are_held_out(tmp_path):
    sequences = families(30, 4)
    table = write(tmp_path / "all.csv", ["sequence", "label"], [(each, n // 4 % 2) for n, each in enumerate(sequences)])
    prepared = prepare(RunConfig(task="bbp", data=str(table), selection_fraction=0.2))
    assert 20 <= len(prepared.test) <= 24
    assert prepare(RunConfig(task="bbp", data=str(table), seed=4)).test.digest() == prepared.test.digest()
    near = nearest_identity(prepared.test.inputs, (*prepared.train.inputs, *prepared.selection.inputs))
    assert f"{int((near >= 0.7).sum())} at 70 % or more" in note(prepared, "leakage:")
    at_random = int(note(prepared, "leakage:").split("plain random cut ")[1].split()[0])
    assert (near >= 0.7).sum() < 4 < at_random
    assert "similar ones together" in note(prepared, "selection:")


def test_a_leak_between_the_users_own_files_is_said(tmp_path):
    train = peptides(tmp_path / "train.csv")
    prepared = prepare(RunConfig(task="bbp", data=str(train), test_data=str(peptides(tmp_path / "t.csv", 10))))
    assert "10 at 70 % or more, 10 at 80 % or more, 10 at 90 % or more, 10 identical" in note(prepared, "leakage:")
    assert "10 of 10 test inputs also stand in the training data" in prepared.notes


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("ACDEF", "maybe"), ("CDEFG", "1")], "line 2 of t.csv: label 'maybe' in column 'label' is neither"),
        ([("ACJEF", "1"), ("CDEFG", "0")], "line 2 of t.csv: letter 'J'"),
        ([("ACDEF", "1"), ("", "0")], "line 3 of t.csv: the sequence in column 'sequence' is empty"),
        ([(each, "1") for each in families(20, 1)], "class 'other' has 0 training examples"),
    ],
)
def test_peptides_that_cannot_be_used(rows, words, tmp_path):
    table = write(tmp_path / "t.csv", ["sequence", "label"], rows)
    with pytest.raises(LabError) as caught:
        prepare(RunConfig(task="bbp", data=str(table)))
    assert words in caught.value.message and caught.value.hint


@pytest.mark.parametrize("task", ["bbp", "mic", "thermostability"])
@pytest.mark.parametrize("data", ["", "hub"])
def test_tasks_without_data_say_what_they_need(task, data):
    with pytest.raises(LabError, match=f"task={task} needs a table.*data=PATH"):
        prepare(RunConfig(task=task, data=data))


# -- MIC ----------------------------------------------------------------------------------------------------------


def concentrations(count: int = 40, seed: int = 0):
    """Sequences and log10 MIC in µM."""
    generator = random.Random(seed)
    return [(each, round(generator.uniform(-1, 3), 4)) for each in families(count, 1, seed=seed)]


def test_long_and_pivoted_tables_say_the_same(tmp_path):
    values = concentrations()
    pivoted = write(
        tmp_path / "pivoted.csv",
        ["", "Sequence", "E_coli", "S_aureus"],
        [(n, each, value if n % 4 else "", value + 1) for n, (each, value) in enumerate(values)],
    )
    rows = [("E. coli", each, value - 0.5, "uM", "False") for n, (each, value) in enumerate(values) if n % 4]
    rows += [("Escherichia coli ATCC 25922", each, value + 1, "uM", "False") for _, each, value, *_ in rows]
    rows += [("S. aureus", each, value + 1, "uM", "False") for each, value in values]
    rows += [("E. coli", "ACDEFGHIKL", 0.1, "uM", "True")]
    long = write(tmp_path / "long.csv", ["bacterium", "sequence", "value", "unit", "has_unusual_modification"], rows)
    one, two = (prepare(RunConfig(task="mic", data=str(path), method="lora")) for path in (pivoted, long))
    assert one.train.inputs == two.train.inputs and one.test.inputs == two.test.inputs
    numpy.testing.assert_allclose(one.train.targets, two.train.targets, atol=1e-9)
    assert len(one.train) + len(one.test) == 30 and one.metrics == ("spearman", "mse")
    assert "long.csv: 30 peptides have several values, which were averaged as logarithms" in two.notes
    assert "1 rows with unusual modifications were left out" in two.notes
    assert note(one, "pivoted.csv: 10 of 40 rows have no label")
    pivoted.write_text(pivoted.read_text().replace(",,", ",NA,"))
    again = prepare(RunConfig(task="mic", data=str(pivoted), method="lora"))
    assert again.train.ids == one.train.ids and note(again, "pivoted.csv: 10 of 40 rows have no label (10 say 'NA')")
    other = prepare(RunConfig(task="mic", variant="S_aureus", data=str(long), method="lora"))
    assert len(other.train) + len(other.test) == 40


def test_concentrations_become_logarithms(tmp_path):
    values = concentrations()
    micromolar = write(tmp_path / "c.csv", ["sequence", "MIC (uM)"], [(each, 10**value) for each, value in values])
    logarithms = write(tmp_path / "l.csv", ["sequence", "log10_MIC"], values)
    one, two = (prepare(RunConfig(task="mic", data=str(path), method="lora")) for path in (micromolar, logarithms))
    numpy.testing.assert_allclose(one.train.targets, two.train.targets, atol=1e-9)
    assert any("taken for µM, log10 was taken" in each for each in one.notes)
    assert any("taken for log10 of µM" in each for each in two.notes)


@pytest.mark.parametrize(
    ("heading", "value", "words"),
    [
        (["sequence", "MIC (µg/mL)"], 8, "another unit than µM"),
        (["sequence", "pMIC"], 5, "another unit than µM"),
        (["sequence", "MIC_uM"], 0, "a concentration is above 0"),
        (["sequence", "value"], 128, "cannot be log10 of µM"),
        (["sequence", "S_aureus"], 1, "has no column for E_coli"),
    ],
)
def test_units_that_are_not_meant(heading, value, words, tmp_path):
    table = write(tmp_path / "t.csv", heading, [*concentrations(10), ("ACDEFGHIKL", value)])
    if heading[1] == "MIC_uM":
        write(table, heading, [("ACDEFGHIKLM", 3), ("ACDEFGHIKL", 0)])
    with pytest.raises(LabError) as caught:
        prepare(RunConfig(task="mic", data=str(table)))
    assert words in caught.value.message and caught.value.hint


def test_a_bacterium_that_is_not_there(tmp_path):
    table = write(
        tmp_path / "t.csv", ["species", "sequence", "value"], [("B. subtilis", *each) for each in concentrations(10)]
    )
    with pytest.raises(LabError, match="never names E_coli; it names B. subtilis"):
        prepare(RunConfig(task="mic", data=str(table)))
    assert species("Bacillus subtilis 168") == species("B_subtilis") == species("B. subtilis")


# -- thermostability ----------------------------------------------------------------------------------------------


def temperatures(count: int = 40):
    generator = random.Random(1)
    return [(each, round(generator.uniform(45, 75), 2)) for each in families(count, 1, length=(30, 60))]


def test_pairs_of_proteins_become_proteins(tmp_path):
    proteins = temperatures()
    rows = [(f"a{n}", *proteins[n], f"b{n}", *proteins[20 + n], 0) for n in range(20)]
    rows += [("a0", *proteins[0], "b1", *proteins[21], 0)]  # both in pairs of their own, too
    heading = ["Protein_ID1", "Sequence1", "Tm Protein1", "Protein_ID2", "Sequence2", "Tm Protein2", "ΔTm"]
    paired, single = (
        prepare(RunConfig(task="thermostability", data=str(path), method="lora"))
        for path in (
            write(tmp_path / "pairs.csv", heading, rows),
            write(tmp_path / "single.csv", ["sequence", "Tm"], proteins),
        )
    )
    assert dict(zip(paired.train.inputs, paired.train.targets)) == dict(zip(single.train.inputs, single.train.targets))
    assert set(paired.test.inputs) == set(single.test.inputs) and paired.kind == "regression"
    assert len(set(paired.train.ids + paired.test.ids)) == 40
    assert "pairs.csv: 21 pairs of proteins, each taken by itself" in paired.notes


def test_classes_of_temperatures_and_classes_by_name(tmp_path):
    proteins = temperatures()
    numbers = write(tmp_path / "n.csv", ["sequence", "tm"], proteins)
    named = write(
        tmp_path / "c.csv", ["sequence", "label"], [(each, "hot" if t >= 60 else "cold") for each, t in proteins]
    )
    one, two = (
        prepare(RunConfig(task="thermostability", variant="classes", data=str(path), method="lora"))
        for path in (numbers, named)
    )
    assert one.labels == ("below 60 °C", "60 °C or above") and two.labels == ("cold", "hot")
    assert one.train.inputs == two.train.inputs and (one.train.targets == two.train.targets).all()
    assert one.metrics == two.metrics == ("accuracy", "weighted_precision", "weighted_f1")
    write(numbers, ["sequence", "tm"], [(each, t - 40) for each, t in proteins])
    with pytest.raises(LabError, match="lie on one side of 60 °C"):
        prepare(RunConfig(task="thermostability", variant="classes", data=str(numbers)))
    with pytest.raises(LabError, match="is no finite number"):
        prepare(RunConfig(task="thermostability", data=str(named)))


# -- runs ---------------------------------------------------------------------------------------------------------


def in_plain_peft(run: Run, base: Path, sequences) -> torch.Tensor:
    """Outputs of the saved adapter and head without bidora."""
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    model = PeftModel.from_pretrained(AutoModel.from_pretrained(base), str(run.adapter_dir)).merge_and_unload().eval()
    head = load_file(run.adapter_dir / "head.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(run.adapter_dir)
    batch = tokenizer(list(sequences), truncation=True, max_length=30, padding=True, return_tensors="pt")
    mask = batch["attention_mask"].unsqueeze(-1).float()
    with torch.no_grad():
        hidden = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    return (hidden * mask).sum(1) / mask.sum(1) @ head["weight"].t() + head["bias"]


@pytest.mark.filterwarnings("ignore")  # of plain transformers and peft
@pytest.mark.parametrize("task", ["bbp", "mic", "thermostability"])
def test_bidora_from_the_file_to_plain_peft_with_equal_scores(task, tiny_esm, tmp_path):
    from bidora.metrics import score
    from bidora.train import train

    made = {
        "bbp": lambda path: peptides(path),
        "mic": lambda path: write(path, ["sequence", "log10_mic"], concentrations()),
        "thermostability": lambda path: write(path, ["sequence", "tm"], temperatures()),
    }
    config = RunConfig(
        task=task,
        variant="classes" if task == "thermostability" else "",
        data=str(made[task](tmp_path / "table.csv")),
        model=str(tiny_esm),
        method="bidora",
        rank=2,
        steps=6,
        batch_size=8,
        learning_rate=1e-2,
        threads=1,
        max_length=30,
    )
    run = Run.create(config, tmp_path / "runs")
    result = train(run)
    test = prepare(config).test
    outputs = in_plain_peft(run, tiny_esm, test.inputs).double().numpy()
    if task == "mic":
        scale = json.loads((run.adapter_dir / "lab.json").read_text())["target_scale"]
        outputs = outputs[:, 0] * scale["deviation"] + scale["mean"]
    extra = "mse" if task == "mic" else "weighted_f1"
    again = score(result["kind"], outputs, test.targets, metrics=(extra,))
    for name, value in again.items():
        assert result["scores"][name]["value"] == (None if value is None else pytest.approx(value, rel=1e-4))
    assert any(each.startswith("leakage:") for each in run.meta["notes"])


# -- the real files -------------------------------------------------------------------------------------------------


def real(task: str, data: str, **settings):
    if not (REAL / data).exists():
        pytest.skip(f"../shared/data/{data} is not here")
    return prepare(RunConfig(task=task, data=str(REAL / data), method="lora", **settings))


def test_the_counts_of_bbppred():
    prepared = real("bbp", "bbp_bbppred")
    assert numpy.bincount(prepared.train.targets).tolist() == [100, 100]
    assert numpy.bincount(prepared.test.targets).tolist() == [19, 19]
    assert len(set(prepared.train.inputs)) == 199 and not set(prepared.train.inputs) & set(prepared.test.inputs)
    lengths = [(min(map(len, each.inputs)), max(map(len, each.inputs))) for each in (prepared.train, prepared.test)]
    assert lengths == [(5, 53), (7, 45)]
    assert note(prepared, "1 of 200 training rows repeat a peptide")
    assert "0 identical" in note(prepared, "leakage:")


@pytest.mark.parametrize(("variant", "count"), [("E_coli", 4559), ("S_aureus", 4110), ("P_aeruginosa", 2516)])
def test_the_counts_of_grampa(variant, count):
    prepared = real("mic", "mic_grampa/all_interesting_bacteria.csv", variant=variant)
    assert len(prepared.train) + len(prepared.test) == count
    assert "0 at 90 % or more, 0 identical" in note(prepared, "leakage:")


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["temperature", "classes"])
def test_the_counts_of_the_melting_temperatures(variant):
    prepared = real("thermostability", "thermo_tm_pairs/alldata.xlsx", variant=variant)
    sequences = (*prepared.train.inputs, *prepared.test.inputs)
    assert len(set(sequences)) == len(sequences) == 1119
    assert (min(map(len, sequences)), max(map(len, sequences))) == (70, 5596)
    assert any("881 pairs" in each for each in prepared.notes)
    if variant == "temperature":
        values = numpy.concatenate([prepared.train.targets, prepared.test.targets])
        assert (values.min().round(1), values.max().round(1), values.mean().round(1)) == (40.1, 90.9, 60.7)
