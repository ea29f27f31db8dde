"""The promises of a task, and of the metrics that it names."""

from __future__ import annotations

import atexit
import functools
import itertools
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import numpy as np

from bakeoff.contracts.metric import Answers, Metric
from bakeoff.contracts.task import Paths, TaskInfo
from bakeoff.errors import BakeoffError
from bakeoff.files import temporary_folder
from bakeoff.testing.contract import Contract
from bakeoff.text.numbers import significant
from bakeoff.text.values import spelt
from bakeoff.text.words import quoted
from bakeoff.training.data import named_by_data, split_fingerprint

PlainColumns = dict[str, list[Any]]


@functools.cache
def cache_folder() -> Path:
    """A cache folder for this process; it is deleted when the process ends."""
    process = ExitStack()
    atexit.register(process.close)
    return process.enter_context(temporary_folder("bakeoff-contract-"))


class TaskContract(Contract):
    """The promises of a Task. Its data are read from the folder `data`, else from BAKEOFF_DATA; without data, tests are
    skipped."""

    data: ClassVar[Path | None] = None

    def test_info_is_the_same_each_time(self) -> None:
        first, second = (self.component.info(self.chosen()) for _ in range(2))
        for key in sorted({field.name for field in fields(first)} - {"metrics"}):  # metrics have no equality
            if getattr(first, key) != getattr(second, key):
                self.broken(f"`info` gives another `{key}` the second time; the same options must give the same answer")

    def test_missing_data_is_a_sentence(self) -> None:
        """Checks that in an empty folder `check_available` raises a BakeoffError of one line, unless the task needs no
        files."""
        self.ready()
        with temporary_folder() as empty:
            try:
                self.component.check_available(self.chosen(), Paths(empty, empty))
            except BakeoffError as error:
                if len(str(error).strip().splitlines()) != 1:
                    self.broken(
                        f"without its data `check_available` says {quoted(error)}; it must be one line: what is missing, "
                        "how to get it"
                    )
            except Exception as error:  # any other is what this test looks for
                self.broken(
                    f"without its data `check_available` raises {type(error).__name__}: {error}; raise DataError that says "
                    "how to get the data"
                )

    def test_every_promised_split_and_column_is_there(self) -> None:
        info, splits = self.loaded()
        for name in info.splits:
            if not splits.get(name, {}).get("id"):
                self.broken(f"split {name!r} of `info` is not loaded, or is empty, or has no column 'id'")
            labels = ("label",) if name in info.labelled_splits else ()
            for column in (*labels, *info.text_columns, *info.slice_columns):
                if column not in splits[name]:
                    self.broken(f"split {name!r} has no column {column!r}; it has {', '.join(splits[name])}")
            for column in info.text_columns:
                if wrong := [value for value in splits[name][column] if not isinstance(value, str)]:
                    self.broken(f"split {name!r}, column {column!r} holds {quoted(wrong[0])}; it must hold text")

    def test_ids_are_text_and_unique_over_all_splits(self) -> None:
        seen: dict[str, str] = {}
        for name, columns in self.loaded()[1].items():
            for number in columns.get("id", []):
                if not isinstance(number, str):
                    self.broken(f"split {name!r}: id {quoted(number)} is no text")
                if number in seen:
                    self.broken(f"id {quoted(number)} is in {seen[number]!r} and in {name!r}; make the split part of the id")
                seen[number] = name

    def test_the_rows_are_the_same_in_another_process(self) -> None:
        """Compares ids, texts and labels, in order, with those in another process, which has another hash seed."""
        info, splits = self.loaded()
        here = {name: split_fingerprint(splits[name], info, {}) for name in info.splits if self.whole(info, splits, name)}
        places = self.places()
        there = self.ask(fingerprints, dict(self.options), places)
        if differing := [name for name in here if here[name] != there.get(name)]:
            self.broken(
                f"split {differing[0]!r} has other rows, or another order, in another process; use no clock, no hash(), "
                "no order of a set or a folder, no unseeded random numbers"
            )

    def test_labels_are_those_that_it_declares(self) -> None:
        info, splits = self.loaded()
        for name in info.labelled_splits:
            try:
                labels = info.kind.read_labels(splits.get(name, {}).get("label", []), info.n_outputs)
            except BakeoffError as error:
                self.broken(f"split {name!r}, {error}")
            if (row := info.kind.first_impossible(labels, info.n_outputs)) is not None:
                why = info.kind.impossible_in_words(info.n_outputs)
                self.broken(f"split {name!r}, row {row}: label {quoted(labels[row])} is {why}")

    def test_metrics_agree_with_their_parts(self) -> None:
        """Checks that a score is the sum of the numerators over the sum of the denominators of its `ratio_terms`, on
        predictions drawn with five seeds."""
        for metric, predictions, references in self.scored():
            parts = metric.ratio_terms(predictions, references)
            if parts is None:
                continue
            numerator, denominator = parts
            if numerator.shape != references.shape or denominator.shape != references.shape:
                self.broken(f"metric {metric.name!r}: `ratio_terms` must give two numbers for each example")
            total, score = denominator.sum(), metric.score(predictions, references)
            ratio = float(numerator.sum() / total) if total else 0.0
            if not math.isclose(ratio, score, rel_tol=1e-9, abs_tol=1e-12):
                self.broken(
                    f"metric {metric.name!r}: `score` is {significant(score, 6)} and its `ratio_terms` give "
                    f"{significant(ratio, 6)} on the same predictions"
                )

    def test_scores_stay_within_the_range_that_their_metric_declares(self) -> None:
        for metric, predictions, references in self.scored():
            for score in (metric.score(predictions, references), metric.score(references, references)):
                if not metric.unit.holds(score):
                    self.broken(
                        f"metric {metric.name!r}: scores {significant(score, 6)}, outside {_range(metric)}, which its `unit` "
                        "declares"
                    )

    def test_right_answers_score_best(self) -> None:
        for metric, predictions, references in self.scored():
            sign = 1 if metric.higher_is_better else -1
            right, other = metric.score(references, references), metric.score(predictions, references)
            if not math.isfinite(right) or sign * right < sign * other:
                self.broken(
                    f"metric {metric.name!r}: right answers score {significant(right, 6)}, others {significant(other, 6)}, and "
                    f"`higher_is_better` is {metric.higher_is_better}"
                )

    def test_the_majority_baseline_has_every_metric(self) -> None:
        info, splits = self.loaded()
        metrics = {metric.name for metric in self.metrics(info)}
        if len(metrics) < len(info.metrics):
            raise SkipTest("one of its metrics is not available here")
        train = answers_in(splits["train"]["label"], info)
        for name in info.scored_splits:
            scores = self.component.majority_baseline(info, train, answers_in(splits[name]["label"], info))
            if set(scores) != metrics or not all(map(math.isfinite, scores.values())):
                wanted = ", ".join(sorted(metrics))
                self.broken(f"`majority_baseline` gives {scores} on {name!r}; it must give a finite score of {wanted}")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def places(self) -> Paths:
        given = os.environ.get("BAKEOFF_DATA")
        return Paths(self.data or (Path(given) if given else None), cache_folder())

    def known(self) -> TaskInfo:
        """The task's `info`, with the label names from the data if it does not have them."""
        info: TaskInfo = self.component.info(self.chosen())
        return info if info.labels_are_known else self.loaded()[0]

    def loaded(self) -> tuple[TaskInfo, dict[str, PlainColumns]]:
        """The task's `info`, and split -> columns as plain lists. Skips the test if the data are not available."""
        self.ready()
        options, places = self.chosen(), self.places()
        try:
            self.component.check_available(options, places)
        except Exception as error:  # `test_missing_data_is_a_sentence` checks it
            raise SkipTest(str(error)) from None
        splits = self.component.load(options, places)
        info = self.component.info(options)
        if "train" in splits:
            info = named_by_data(info, splits["train"])
        return info, {name: plain(split, name in info.labelled_splits) for name, split in splits.items()}

    @staticmethod
    def whole(info: TaskInfo, splits: dict[str, PlainColumns], name: str) -> bool:
        """Whether the split has all columns that a fingerprint needs; another test requires them."""
        return {"id", "label", *info.text_columns} <= set(splits.get(name, {}))

    @staticmethod
    def metrics(info: TaskInfo) -> Iterator[Metric]:
        """Yields the metrics that are available here; offline, those of the hub are not."""
        for metric in info.metrics:
            try:
                metric.check_available()
            except BakeoffError:
                continue
            yield metric

    def scored(self) -> Iterator[tuple[Metric, Answers, Answers]]:
        """Yields each metric with made-up predictions and references, drawn with five seeds."""
        info = self.known()
        for metric, seed in itertools.product(self.metrics(info), range(5)):
            for predictions, references in info.kind.made_up_answers(np.random.default_rng(seed), info.n_outputs):
                yield metric, predictions, references


def _range(metric: Metric) -> str:
    low, high = metric.unit.low, metric.unit.high
    return f"{'any number' if low is None else spelt(low)} to {'any number' if high is None else spelt(high)}"


def answers_in(labels: list[Any], info: TaskInfo) -> Answers:
    """Labels as the array that metrics take."""
    return np.asarray(info.kind.read_labels(labels, info.n_outputs))


def plain(split: Any, labelled: bool) -> PlainColumns:
    """A split's columns as lists; in a split without labels, each label is None, as in the harness."""
    columns: PlainColumns = split.to_dict()
    return columns if labelled else {**columns, "label": [None] * len(split)}


def fingerprints(task: Any, chosen: Mapping[str, Any], places: Paths) -> dict[str, str]:
    """Split -> fingerprint of the rows that the task loads with the chosen options; called in a fresh process."""
    options = task.Options.model_validate(chosen)
    info, splits = task.info(options), task.load(options, places)
    return {name: split_fingerprint(plain(splits[name], name in info.labelled_splits), info, {}) for name in info.splits}
