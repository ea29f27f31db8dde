"""Measured times in every output: the same numbers, and none where nothing was measured."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from builders import BASELINE, ROW, altered, clean_experiment, component, make_timing

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import Comparison, CostAxis
from bakeoff.records.experiment import Experiment
from bakeoff.report.cells import TIMED, amount_cell, cost_titles, timed_cells
from bakeoff.report.page.html import write_html
from bakeoff.report.text.csv_json import write_csv, write_json
from bakeoff.report.text.table_md import write_page


def experiment() -> Experiment:
    return altered(clean_experiment(under_test=["trainer"]), "requested", trainer=component("torch-loop"))


@pytest.fixture
def timed() -> Comparison:
    made = experiment()
    return compare(replace(made, timings=(make_timing(made.records, {BASELINE: 0.2, ROW: 0.1}),)))


def test_a_run_and_its_ratios_stand_in_every_output(timed: Comparison) -> None:
    (group,) = timed.groups
    ratio, taken = group.ratios[ROW, "train_seconds"], next(row.timed for row in group.rows if row.strategy == ROW)
    assert taken is not None
    assert ratio.ratio is not None
    assert ratio.low is not None
    shown = f"× {ratio.ratio:.2f} [{ratio.low:.2f}, "
    page = write_page(timed)
    line = next(line for line in page.splitlines() if line.startswith(f"| {ROW}") and "×" in line)
    assert shown in line
    assert f"{taken.total.seconds:.1f}" in line
    assert "by bakeoff time (2026-11-24 on AMD EPYC, 2 threads, load 2.5)" in " ".join(page.split())
    rows = {row["strategy"]: row for row in csv.DictReader(write_csv(timed).splitlines())}
    assert float(rows[ROW]["timed_train_seconds"]) == pytest.approx(taken.train.seconds)
    assert float(rows[ROW]["timed_train_seconds_ratio"]) == pytest.approx(ratio.ratio)
    assert float(rows[ROW]["timed_train_seconds_ratio_low"]) == pytest.approx(ratio.low)
    assert rows[BASELINE]["timed_run_seconds_ratio"] == ""
    found = json.loads(write_json(timed))["groups"][0]
    assert found["cost_axis"]["quantity"] == "train_seconds"
    assert shown in write_html(timed, experiment().records, lambda run: None)


def test_where_nothing_was_timed_there_is_no_column_for_it() -> None:
    comparison = compare(experiment())
    (group,) = comparison.groups
    assert [timed_cells(row, group) for row in group.rows] == [[], []]
    assert not {*TIMED} & {*cost_titles(group)} - {"to baseline"}
    assert "timed_run_seconds" not in write_csv(comparison)
    assert "bakeoff time" not in write_page(comparison)
    assert "nobody knows what else" in write_html(comparison, experiment().records, lambda run: None)


def test_a_row_without_turns_has_dashes_among_those_that_have_them() -> None:
    made = experiment()
    comparison = compare(replace(made, timings=(make_timing(made.records, {BASELINE: 0.2}),)))
    (group,) = comparison.groups
    cells = {row.strategy: timed_cells(row, group) for row in group.rows}
    assert set(cells[ROW]) == {"–"}
    assert len(cells[ROW]) == len(cells[BASELINE]) == len(TIMED)


@pytest.mark.parametrize(("amount", "shown"), [(34.12, "34.1"), (0.0644, "0.06"), (0.000123, "0.00012"), (1303.0, "1,303")])
def test_no_cost_of_a_tiny_model_is_shown_as_nothing(timed: Comparison, amount: float, shown: str) -> None:
    axis = CostAxis(quantity="flops", title="training, TFLOP", amounts={BASELINE: (amount, None, None)})
    assert amount_cell(BASELINE, timed.groups[0], axis) == shown
