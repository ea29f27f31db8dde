"""Flags as a whole: a clean experiment has none, partial data break none, and they come gravest first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from core.made_records import make_experiment_folder
from core.sins import (
    BASELINE,
    LABELS,
    ROW,
    answers,
    codes,
    control,
    experiment,
    flags_of,
    grounds_of,
    importing,
    published,
    sinning,
    the_flag,
)
from core.table_records import run_id

from bakeoff.analysis.boards import compare
from bakeoff.analysis.findings import Flag
from bakeoff.analysis.flags.detectors import DETECTORS, codes_of, in_order, raise_flags
from bakeoff.contracts.metric import MetricFacts
from bakeoff.contracts.metrics import BUILT_IN
from bakeoff.records.load import load_experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.schema import PREDICTIONS_FILE


def test_a_clean_experiment_raises_no_flag() -> None:
    assert flags_of(experiment()) == []


def test_every_sin_of_the_list_has_a_detector() -> None:
    assert sorted(DETECTORS, key=lambda code: int(code[1:])) == [f"S{number}" for number in range(1, 18)]
    assert all(DETECTORS.values())


@pytest.mark.parametrize("part", ["observed", "weights", "data", "selection", "evaluation_difference", "cost"])
@pytest.mark.parametrize("row", [BASELINE, ROW, None])
def test_a_part_that_is_not_recorded_breaks_no_detector_and_raises_nothing(part: str, row: str | None) -> None:
    made = sinning(experiment(), "", row=row, **{part: None})
    assert codes(made) == []


def test_records_without_scores_break_no_detector() -> None:
    assert set(codes(sinning(experiment(), "", scores={}))) <= {"S3", "S17"}


def test_records_that_all_failed_break_no_detector() -> None:
    made = experiment({BASELINE: answers(), ROW: answers(seed=5)}, failing={ROW: range(8)})
    assert codes(made) == ["S11"]


def test_one_row_alone_breaks_no_detector() -> None:
    assert codes(experiment({BASELINE: answers(seeds=1)})) == ["S1"]


def test_predictions_that_cannot_be_read_break_no_other_detector() -> None:
    clean = experiment()
    unread = replace(clean, predictions=lambda run_id: {})
    assert set(codes(unread)) <= {"S1", "S17"}


def test_a_flag_names_its_board_and_what_concerns_all_boards_is_said_once() -> None:
    clean = experiment()
    (board,) = [ground.board for ground in grounds_of(clean)]
    drifting = replace(clean, controls=(control(10), control(12)))
    made = sinning(drifting, "", evaluation_difference=0.5)
    (ground,) = grounds_of(made)
    flags = in_order([*raise_flags(ground), *raise_flags(ground)])
    assert [(flag.code, flag.board) for flag in flags if flag.code in ("S17", "S8")] == [("S17", board.title), ("S8", "")]


def test_flags_come_gravest_first() -> None:
    made = importing(
        sinning(experiment({BASELINE: answers(seeds=2, seed=1), ROW: answers(seeds=2)}), "", evaluation_difference=0.5),
        published(accuracy=0.81, f1=0.86),
    )
    found = codes(made)
    assert found[0] == "S17"
    assert found[-1] == "S14"
    assert "S1" in found
    assert found == sorted(found, key=list(DETECTORS).index)


def test_a_row_has_each_of_its_codes_once_and_no_other_row_s() -> None:
    def flag(code: str, *rows: str) -> Flag:
        return Flag(code=code, board="", rows=list(rows), sentence="", next_step="")

    assert codes_of("a", [flag("S1", "a", "b"), flag("S17", "a"), flag("S17", "a"), flag("S2", "b")]) == ["S17", "S1"]


def test_a_comparison_carries_the_codes_to_its_rows() -> None:
    found = compare(sinning(experiment(), "", evaluation_difference=0.5))
    assert {row.strategy: row.flags for row in found.boards[0].rows} == {BASELINE: [], ROW: ["S17"]}


def test_records_on_disk_raise_what_records_in_memory_raise(tmp_path: Path) -> None:
    rows = {BASELINE: answers(accuracy=0.8, seed=1), ROW: answers()}
    folder = make_experiment_folder(tmp_path / "made", rows, LABELS, imported=[published(accuracy=0.81)])
    assert codes(load_experiment([folder])) == ["S14"]
    lost = next((folder / "records").glob(f"{run_id(ROW, 3)}/{PREDICTIONS_FILE}"))
    lost.unlink()
    flag = the_flag(load_experiment([folder]), "S17")
    assert flag.rows == [ROW]
    assert f"{ROW} seed 3" in flag.sentence
    assert PREDICTIONS_FILE in flag.sentence


def test_numbers_in_place_of_labels_break_no_detector() -> None:
    """Regression: one output, a metric without parts, differences in its own unit."""
    clean = experiment()
    truth = np.linspace(-3.0, 3.0, 400)

    def read(run_id: str) -> dict[str, Predictions]:
        noise = np.random.default_rng(int(run_id[-8:], 16)).normal(size=400)
        test = clean.predictions(run_id)["test"]
        return {"test": replace(test, labels=truth, logits=(truth + noise).astype(np.float32)[:, None], kind="regression")}

    made = replace(clean, predictions=read, metrics={"glue/mrpc": {"pearson": BUILT_IN["pearson"]()}})
    facts = [MetricFacts(name="pearson", higher_is_better=True, version="1")]
    made = sinning(
        made, "data", row=None, kind="regression", labels=[], metrics=facts, primary_metric="pearson", majority_baseline={}
    )
    assert "S17" in codes(sinning(made, "", row=None, scores={"test": {"pearson": 0.5}}))


def test_many_rows_make_few_flags_and_short_sentences() -> None:
    rows = {BASELINE: answers(seeds=1, seed=0)} | {f"row-{n}": answers(seeds=1, seed=n) for n in range(1, 40)}
    found = flags_of(sinning(experiment(rows), "", row=None, evaluation_difference=0.5))
    assert len([flag for flag in found if flag.code in ("S1", "S17")]) == 2
    assert all(len(flag.sentence) < 700 for flag in found if flag.code in ("S1", "S17", "S12"))


def test_labels_alone_are_no_answer_that_rows_could_have_copied() -> None:
    everything_right = np.tile(LABELS, (8, 1))
    assert "S15" not in codes(experiment({BASELINE: everything_right, ROW: everything_right}, under_test=["trainer"]))
