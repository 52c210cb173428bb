"""Published results: tables as printed, test items, our runs beside them."""

from __future__ import annotations

import os
from pathlib import Path

from run_folders import write_run
from visiting import visit


def opened(app, **query):
    return visit(app, "published", **query)


def words(app) -> str:
    kinds = ("markdown", "caption", "info", "warning", "header", "title")
    return "\n".join(str(each.value) for kind in kinds for each in getattr(app, kind)).replace("\\", "")


def test_a_table_as_printed_and_in_test_items(app):
    opened(app)
    scores, items = (each.value for each in app.dataframe)
    assert scores.set_index("method").loc["BiDoRA", "CoLA, MCC"] == "61.3"
    assert "+8 of 277" in items["test items"].tolist()
    assert "published p = 2.4e-4" in words(app) and "No finished run of yours" in words(app)


def test_another_table_by_link_and_another_difference(app):
    proteins = "Table 4: Proteins, ESM with the ProteinAligner checkpoint"
    opened(app, table=proteins)
    assert app.selectbox(key="table").value == proteins
    assert "inferred" in words(app) and "signed-rank test of BiDoRA" not in words(app)
    app.selectbox(key="minus-4").set_value("LoRA").run()
    assert not app.exception
    assert app.dataframe[1].value["difference"].iloc[0] == "BiDoRA − LoRA"


def test_a_table_that_is_none_is_passed_over(app):
    opened(app, table="../../etc")
    assert app.selectbox(key="table").value == "Table 1: GLUE, RoBERTa base"


def test_our_runs_stand_beside_it(app):
    write_run(Path(os.environ["BIDORA_RUNS"]), "dora", 0, 0.7, task="rte", model="roberta-base")
    opened(app)
    ours = app.dataframe[2].value
    assert ours["published"].tolist() == ["73.2"] and ours["ours"].tolist() == ["70.0 [69.0, 71.0]"]
    assert ours["same model"].tolist() == ["yes"]
