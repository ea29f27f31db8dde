"""What a row's training computed: rates by each run's own time, shares of its own machine, nothing that nobody measured."""

from __future__ import annotations

from typing import Any

import pytest
from builders import make_control, make_record

from bakeoff.analysis.summary.compute import legend, work_cells, work_of
from bakeoff.records.schema import Record
from bakeoff.text.numbers import DASH

HERE, OTHER = "AMD EPYC, 2 threads", "NVIDIA H100"


def counted(flops: float | None, seconds: float, *, precision: str | None = None, **record: Any) -> Record:
    made = make_record(train_seconds=seconds, recipe={"precision": precision} if precision else None, **record)
    assert made.cost is not None
    return made.model_copy(update={"cost": made.cost.model_copy(update={"flops": flops})})


def test_a_rate_is_the_mean_over_seeds_of_operations_a_second() -> None:
    work = work_of([counted(1000.0, 10.0), counted(1000.0, 5.0, seed=1)], [])
    assert (work.flops, work.flops_per_second, work.peak_share) == (1000.0, 150.0, None)


def test_a_share_is_of_the_peak_in_the_runs_own_precision_on_its_own_hardware() -> None:
    controls = [
        make_control(hardware=HERE, peak_flops={"fp32": 200.0, "bf16": 400.0}),
        make_control(hardware=HERE, peak_flops={"fp32": 200.0, "bf16": 400.0}, moment="after"),
        make_control(hardware=OTHER, peak_flops={"fp32": 8000.0}),
    ]
    assert work_of([counted(1000.0, 10.0)], controls).peak_share == pytest.approx(0.5)
    assert work_of([counted(1000.0, 10.0, precision="bf16")], controls).peak_share == pytest.approx(0.25)
    mixed = [counted(1000.0, 10.0), counted(1000.0, 1.0, seed=1, hardware=OTHER)]
    assert work_of(mixed, controls).peak_share == pytest.approx((0.5 + 0.125) / 2)


def test_without_a_peak_in_that_precision_there_is_no_share() -> None:
    controls = [make_control(hardware=HERE, peak_flops={"fp32": 200.0}), make_control(hardware=HERE, peak_flops={})]
    assert work_of([counted(1000.0, 10.0, precision="bf16")], controls).peak_share is None


@pytest.mark.parametrize(
    ("milliseconds", "peak", "reason"),
    [
        ((10.0, 13.2), 200.0, "the control run moved by 32 %"),
        ((10.0, 10.0), 40.0, "faster than the control runs' matrix product"),
        ((10.0, 30.0), 40.0, "the control run moved by 200 %"),
    ],
)
def test_a_share_of_the_peak_that_says_nothing_is_withheld_with_the_reason(
    milliseconds: tuple[float, float], peak: float, reason: str
) -> None:
    """100 operations a second: 224 % of a peak was printed where the machine had moved."""
    controls = [make_control(each, hardware=HERE, peak_flops={"fp32": peak}) for each in milliseconds]
    work = work_of([counted(1000.0, 10.0)], controls)
    assert work.peak_share is None
    assert reason in work.withheld
    titles, cells = work_cells({"a": work})
    assert "of peak" not in titles
    assert not [cell for cell in cells["a"] if "%" in cell]
    assert f"Of peak is withheld for a: {work.withheld}." in legend({"a": work, "b": work_of([], [])})


def test_records_of_before_counting_show_no_table() -> None:
    assert work_cells({"old": work_of([make_record()], [])}) == ([], {})


def test_a_row_that_was_not_counted_has_a_dash_and_a_column_that_nobody_fills_is_left_out() -> None:
    titles, cells = work_cells({"new": work_of([counted(2e12, 10.0)], []), "old": work_of([make_record()], [])})
    assert titles == ["trainable", "TFLOP", "GFLOP/s"]
    assert cells == {"new": ["22,713,986", "2.00", "200.0"], "old": ["22,713,986", DASH, DASH]}


def test_a_rate_from_other_hardware_stands_in_parentheses() -> None:
    rows = {"here": work_of([counted(2e12, 10.0)], []), "there": work_of([counted(2e12, 1.0, hardware=OTHER)], [])}
    _, cells = work_cells(rows, ["there"])
    assert [row[-1] for row in cells.values()] == ["200.0", "(2,000.0)"]
