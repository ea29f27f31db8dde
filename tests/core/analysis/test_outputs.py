"""Answers as statistics hold them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from builders import drawn_answers, make_experiment

from bakeoff.analysis.boards import compare
from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.analysis.rescoring import rescore
from bakeoff.analysis.slices import BY_LABEL, BY_LENGTH
from bakeoff.contracts.metric import Floats, Metric
from bakeoff.records.predictions import Predictions


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
        (board,), (rescored,) = compare(found).boards, rescore(found).boards
        cut = columns - ({"channel"} if changes else set())
        assert {one.column for one in board.slices} == {one.column for one in rescored.slices} == cut
        for notes in (board.notes, rescored.notes):
            assert sum("not cut by channel" in note for note in notes) == changes


def test_the_terms_of_a_metric_are_computed_once_for_each_split_and_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.arange(60) % 2
    answers = {name: drawn_answers(labels, seeds=2, accuracy=0.8, seed=seed) for seed, name in enumerate(("base", "row"))}
    made = make_experiment(answers, labels)
    calls: Counter[tuple[str, str]] = Counter()
    compute = SplitOutputs._ratio_terms

    def counted(self: SplitOutputs, metric: Metric, strategy: str) -> tuple[Floats, Floats] | None:
        calls[metric.name, strategy] += 1
        return compute(self, metric, strategy)

    monkeypatch.setattr(SplitOutputs, "_ratio_terms", counted)
    compare(made)
    assert set(calls.values()) == {1}
