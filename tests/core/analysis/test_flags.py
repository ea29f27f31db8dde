"""Warnings as a whole: a clean experiment has none, partial data break none, and they come gravest first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import (
    BASELINE,
    LABELS,
    ROW,
    altered,
    clean_answers,
    clean_experiment,
    importing,
    make_control,
    make_folder,
    published,
    run_id,
)
from core.analysis.found_warnings import codes, judged_groups, the_warning, warnings_of

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.findings import NamedWarning
from bakeoff.analysis.flags.catalogue import CATALOGUE
from bakeoff.analysis.flags.detectors import find_warnings, in_order, names_of
from bakeoff.contracts.metric import MetricFacts
from bakeoff.contracts.metrics import BUILT_IN
from bakeoff.kinds import REGRESSION
from bakeoff.records.load import load_experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.schema import PREDICTIONS_FILE


def test_a_clean_experiment_raises_no_flag() -> None:
    assert warnings_of(clean_experiment()) == []


def test_every_old_code_has_names() -> None:
    assert {entry.was for entry in CATALOGUE.values()} - {""} == {f"S{number}" for number in range(1, 18)}


@pytest.mark.parametrize("part", ["observed", "weights", "data", "selection", "evaluation_difference", "cost"])
@pytest.mark.parametrize("row", [BASELINE, ROW, None])
def test_a_part_that_is_not_recorded_breaks_no_detector_and_raises_nothing(part: str, row: str | None) -> None:
    made = altered(clean_experiment(), "", row=row, **{part: None})
    assert codes(made) == []


def test_records_without_scores_break_no_detector() -> None:
    assert set(codes(altered(clean_experiment(), "", scores={}))) <= {"different-data", "unreliable-scores"}


def test_records_that_all_failed_break_no_detector() -> None:
    made = clean_experiment({BASELINE: clean_answers(), ROW: clean_answers(seed=5)}, failing={ROW: range(8)})
    assert codes(made) == ["failed-runs"]


def test_one_row_alone_breaks_no_detector() -> None:
    assert codes(clean_experiment({BASELINE: clean_answers(seeds=1)})) == ["few-seeds"]


def test_predictions_that_cannot_be_read_break_no_other_detector() -> None:
    clean = clean_experiment()
    unread = replace(clean, predictions=lambda run_id: {})
    assert set(codes(unread)) <= {"few-seeds", "unreliable-scores"}


def test_a_flag_names_its_group_and_what_concerns_all_groups_is_said_once() -> None:
    clean = clean_experiment()
    (group,) = [judged.group for judged in judged_groups(clean)]
    drifting = replace(clean, controls=(make_control(10), make_control(12)))
    made = altered(drifting, "", evaluation_difference=0.5)
    (judged,) = judged_groups(made)
    warnings = in_order([*find_warnings(judged), *find_warnings(judged)])
    assert [
        (warning.name, warning.group) for warning in warnings if warning.name in ("unreliable-scores", "machine-changed")
    ] == [("unreliable-scores", group.title), ("machine-changed", "")]


def test_flags_come_gravest_first() -> None:
    made = importing(
        altered(
            clean_experiment({BASELINE: clean_answers(seeds=2, seed=1), ROW: clean_answers(seeds=2)}),
            "",
            evaluation_difference=0.5,
        ),
        published(accuracy=0.81, f1=0.86),
    )
    found = codes(made)
    assert found[0] == "unreliable-scores"
    assert found[-1] == "published-figures"
    assert "few-seeds" in found
    assert found == sorted(found, key=list(CATALOGUE).index)


def test_a_row_has_each_of_its_codes_once_and_no_other_row_s() -> None:
    def warning(name: str, *rows: str) -> NamedWarning:
        return NamedWarning(name=name, severity="caution", group="", rows=list(rows), what="", what_to_do="")

    assert names_of(
        "a",
        [
            warning("few-seeds", "a", "b"),
            warning("unreliable-scores", "a"),
            warning("unreliable-scores", "a"),
            warning("selection-bias", "b"),
        ],
    ) == ["unreliable-scores", "few-seeds"]


def test_a_comparison_carries_the_codes_to_its_rows() -> None:
    found = compare(altered(clean_experiment(), "", evaluation_difference=0.5))
    assert {row.strategy: row.warnings for row in found.groups[0].rows} == {BASELINE: [], ROW: ["unreliable-scores"]}


def test_records_on_disk_raise_what_records_in_memory_raise(tmp_path: Path) -> None:
    rows = {BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: clean_answers()}
    folder = make_folder(tmp_path / "made", rows, LABELS, imported=[published(accuracy=0.81)])
    assert codes(load_experiment([folder])) == ["published-figures"]
    lost = next((folder / "records").glob(f"{run_id(ROW, 3)}/{PREDICTIONS_FILE}"))
    lost.unlink()
    warning = the_warning(load_experiment([folder]), "unreliable-scores")
    assert warning.rows == [ROW]
    assert f"{ROW}:3" in warning.what
    assert PREDICTIONS_FILE in warning.what


def test_numbers_in_place_of_labels_break_no_detector() -> None:
    """Regression: one output, a metric without parts, differences in its own unit."""
    clean = clean_experiment()
    truth = np.linspace(-3.0, 3.0, 400)

    def read(run_id: str) -> dict[str, Predictions]:
        noise = np.random.default_rng(int(run_id[-8:], 16)).normal(size=400)
        test = clean.predictions(run_id)["test"]
        return {"test": replace(test, labels=truth, logits=(truth + noise).astype(np.float32)[:, None], kind=REGRESSION)}

    made = replace(clean, predictions=read, metrics={"glue/mrpc": {"pearson": BUILT_IN["pearson"]()}})
    facts = [MetricFacts(name="pearson", higher_is_better=True, version="1")]
    made = altered(
        made, "data", row=None, kind="regression", labels=[], metrics=facts, primary_metric="pearson", majority_baseline={}
    )
    assert "unreliable-scores" in codes(altered(made, "", row=None, scores={"test": {"pearson": 0.5}}))


def test_many_rows_make_few_flags_and_short_sentences() -> None:
    rows = {BASELINE: clean_answers(seeds=1, seed=0)} | {f"row-{n}": clean_answers(seeds=1, seed=n) for n in range(1, 40)}
    found = warnings_of(altered(clean_experiment(rows), "", row=None, evaluation_difference=0.5))
    assert len([warning for warning in found if warning.name in ("few-seeds", "unreliable-scores")]) == 2
    assert all(
        len(warning.what) < 700 for warning in found if warning.name in ("few-seeds", "unreliable-scores", "inconclusive")
    )


def test_labels_alone_are_no_answer_that_rows_could_have_copied() -> None:
    everything_right = np.tile(LABELS, (8, 1))
    assert "identical-runs" not in codes(
        clean_experiment({BASELINE: everything_right, ROW: everything_right}, under_test=["trainer"])
    )
