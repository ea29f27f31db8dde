"""Answers as statistics hold them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from builders import drawn_answers, make_experiment
from sklearn import metrics as oracle

from bakeoff.analysis import outputs
from bakeoff.analysis.comparison import compare
from bakeoff.analysis.rescoring import rescore
from bakeoff.analysis.slices import BY_LABEL, BY_LENGTH
from bakeoff.contracts.metric import Answers, Floats
from bakeoff.contracts.metrics import F1
from bakeoff.records.predictions import Predictions
from bakeoff.statistics.intervals import pseudo_values


def test_a_column_that_was_edited_between_runs_cuts_nothing_and_is_told() -> None:
    labels = np.arange(60) % 2
    part = ["web" if number < 30 else "app" for number in range(60)]
    answers = {name: drawn_answers(labels, seeds=2, accuracy=0.8, seed=seed) for seed, name in enumerate(("base", "row"))}
    made = make_experiment(answers, labels, slices={"channel": part, "other": part})
    last, old = made.declared.runs[-1].id, made.predictions

    def edited(run_id: str, *, changes: int) -> dict[str, Predictions]:
        """One run's rows the other way round, with some values of a column edited."""
        (found,) = old(run_id).values()
        if run_id != last:
            return {"test": found}
        slices = {name: values[::-1] for name, values in found.slices.items()}
        slices["channel"] = ("fax",) * changes + slices["channel"][changes:]
        turned = {"ids": found.ids[::-1], "labels": found.labels[::-1], "logits": found.logits[::-1], "slices": slices}
        return {"test": replace(found, **turned)}

    columns = {BY_LABEL, BY_LENGTH, "channel", "other"}
    for changes in (0, 1):
        found = replace(made, predictions=partial(edited, changes=changes))
        (group,), (rescored,) = compare(found).groups, rescore(found).groups
        cut = columns - ({"channel"} if changes else set())
        assert {one.column for one in group.slices} == {one.column for one in rescored.slices} == cut
        for notes in (group.notes, rescored.notes):
            assert sum("not cut by channel" in note for note in notes) == changes


class Counted(F1):
    """F1 that counts how often it is asked about which answers."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: Counter[bytes] = Counter()

    def ratio_terms(self, predictions: Answers, references: Answers) -> tuple[Floats, Floats]:
        self.asked.update(run.tobytes() for run in np.atleast_2d(predictions).astype(np.int64))
        return super().ratio_terms(predictions, references)


class NoRatio(Counted):
    """The same by its score alone, counted on the whole split; resamples are other answers."""

    def ratio_terms_of_runs(self, predictions: Answers, references: Answers) -> None:  # type: ignore[override]
        return None

    def score(self, predictions: Answers, references: Answers) -> float:
        self.asked[np.asarray(predictions, dtype=np.int64).tobytes()] += np.array_equal(references, np.arange(60) % 2)
        return float(oracle.f1_score(references, predictions, zero_division=0.0))


@pytest.mark.parametrize(
    ("kind", "times"), [(Counted, 1), (NoRatio, 2)], ids=["ratio", "no ratio, of which resampling scores all"]
)
def test_each_part_of_a_run_by_a_metric_is_computed_once(
    kind: type[Counted], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, metric = np.arange(60) % 2, kind()
    answers = {name: drawn_answers(labels, seeds=3, accuracy=0.8, seed=seed) for seed, name in enumerate(("base", "row"))}
    made = make_experiment(answers, labels)
    metrics = {task: {**known, "accuracy": metric} for task, known in made.metrics.items()}
    values = list[int]()
    monkeypatch.setattr(outputs, "pseudo_values", lambda *parts: values.append(len(parts[0])) or pseudo_values(*parts))
    compare(replace(made, metrics=metrics))
    runs = {run.astype(np.int64).tobytes(): times for own in answers.values() for run in own}
    assert {run: metric.asked[run] for run in runs} == runs
    rows = [number for number in values if number > 1]
    assert rows == [3, 3] * (2 if kind is Counted else 1), "once for each row and ratio; f1 (label 1) is another"
    assert values.count(1) == (kind is Counted), "and once for the majority baseline"


def test_lengths_are_those_that_some_run_counted() -> None:
    labels = np.arange(60) % 2
    made = make_experiment({name: drawn_answers(labels, seeds=2, accuracy=0.8) for name in ("answers", "model")}, labels)
    first, old = made.declared.runs[0].id, made.predictions

    def uncounted(run_id: str) -> dict[str, Predictions]:
        (found,) = old(run_id).values()
        return {"test": replace(found, tokens=np.zeros_like(found.tokens)) if run_id == first else found}

    rows = {name: [one for one in made.records if one.requested.strategy == name] for name in ("answers", "model")}
    lengths = [outputs.gather(one, rows).splits["test"].tokens for one in (made, replace(made, predictions=uncounted))]
    assert lengths[0].any()
    assert lengths[0].tolist() == lengths[1].tolist()
