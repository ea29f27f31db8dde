"""predictions.parquet: a run's predictions for each example. All checks of them are made here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bakeoff.contracts.calibration import expected_calibration_error, squared_error
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metric import Floats, Ints
from bakeoff.kinds import CLASSIFICATION, kind_named
from bakeoff.records.parquet import TEXT, Expected, FlawError, errors_as_damage, read_table, require, require_whole
from bakeoff.records.schema import KIND_KEY, MOST_LABELS, Data
from bakeoff.text.words import quoted

SLICE: Final = "slice:"
"""The prefix of the columns by whose values scores can be broken down, as the task declares."""


@dataclass(frozen=True)
class Predictions:
    """A run's predictions on one split: n examples, in recorded order."""

    ids: tuple[str, ...]
    """The examples' ids, all different."""
    labels: NDArray[Any]
    """(n,) label numbers; floats for a regression; sets of labels, as in `Answers`, for multi-label; NaN if the split has no
    labels."""
    logits: NDArray[np.float32]
    """(n, n_outputs), finite."""
    tokens: Ints
    """(n,) length of the encoded input."""
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column that the task declares for slicing -> its n values as text."""
    kind: Kind = CLASSIFICATION
    answers_alone: bool = False
    """Whether the logits only encode answers (labels or numbers), of which no probability is known."""

    @property
    def labelled(self) -> bool:
        """Whether the split has labels, so that predictions can be scored."""
        return not np.isnan(self.labels).any()

    @property
    def probabilities(self) -> Floats | None:
        """(n, n_outputs) probabilities that sum to 1 for each example; None for kinds of task without them, and where answers
        alone are known."""
        return None if self.answers_alone else self.kind.probabilities(self.logits)


@dataclass(frozen=True)
class SplitAnswers:
    """What comparisons need of a run's predictions on one split: n examples, in recorded order."""

    examples: Predictions
    """Ids, labels, tokens and slices; runs on the same examples share one object. Its logits are not to be used."""
    answers: NDArray[Any]
    """(n,) answers in the smallest type that holds them (`Kind.compact`)."""
    outputs: int
    """How many logits each example has."""
    calibration: tuple[float, float] | None
    """Expected calibration error and Brier score; None without labels, or where logits give no probabilities."""


def answers_of(predictions: Mapping[str, Predictions], examples: SharedExamples | None = None) -> dict[str, SplitAnswers]:
    """Split -> what comparisons need of these predictions. examples: those of the file, where the predictions are read from
    one."""
    return {
        split: SplitAnswers(
            examples.splits[split][1] if examples else own,
            own.kind.compact(own.kind.answers(own.logits), own.logits.shape[1]),
            own.logits.shape[1],
            _calibration(own),
        )
        for split, own in predictions.items()
    }


def _calibration(predictions: Predictions) -> tuple[float, float] | None:
    probabilities = predictions.probabilities if predictions.labelled else None
    if probabilities is None:
        return None
    return expected_calibration_error(probabilities, predictions.labels), squared_error(probabilities, predictions.labels)


@dataclass(frozen=True, eq=False)
class SharedExamples:
    """The examples of a file of predictions: what runs on the same examples have in common."""

    frame: Any
    """The file as a pyarrow table, all columns but the logits."""
    splits: Mapping[str, tuple[NDArray[np.int64], Predictions]]
    """Split -> its row numbers in the file, and its predictions without logits."""

    def with_logits(self, logits: NDArray[np.float32]) -> dict[str, Predictions]:
        """Split -> predictions. logits: (rows of the file, n_outputs)."""
        return {split: replace(part, logits=logits[rows]) for split, (rows, part) in self.splits.items()}


class PredictionsReader:
    """Reads runs' predictions. What runs on the same examples have in common (ids, labels, slices) is checked and stored
    once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], SharedExamples] = {}
        """Facts about a record's data -> the examples of the last run read with them."""

    def read(self, content: bytes, data: Data | None, path: Path) -> dict[str, Predictions]:
        """Split -> predictions, parsed from the `content` of the file at `path`. data: from the run's record. Raises
        DamageError that names file, column and row for anything that the harness would not write."""
        examples, logits = self.parse(content, data, path)
        return examples.with_logits(logits)

    def parse(self, content: bytes, data: Data | None, path: Path) -> tuple[SharedExamples, NDArray[np.float32]]:
        """As `read`: the file's examples, and their logits, (rows of the file, n_outputs)."""
        with errors_as_damage(path):
            table = read_table(content, expected(data))
            assert data is not None
            kind = (table.schema.metadata or {}).get(KIND_KEY, data.kind.encode())  # missing in schema versions before 4
            if kind != data.kind.encode():
                raise FlawError(
                    f"it is for a task of kind {quoted(kind.decode(errors='replace'))}, but its record for {data.kind}"
                )
            logits = _logits(table["logits"], outputs_of(data))
            return self.examples(table.drop_columns(["logits"]), data), logits

    def examples(self, frame: Any, data: Data) -> SharedExamples:
        """The examples of a file of predictions. frame: its columns but the logits. Raises FlawError for a missing, unexpected
        or impossible value."""
        sizes = [(name, split.examples, split.labelled) for name, split in data.splits.items()]
        key = (data.kind, tuple(data.labels), *sizes)
        if key not in self._known or not self._known[key].frame.equals(frame):
            self._known[key] = SharedExamples(frame, _examples(frame, data))
        return self._known[key]


def expected(data: Data | None) -> Expected:
    """The format of the predictions of a run on these data. Raises FlawError if there are no data."""
    if data is None:
        raise FlawError("its record has no data, so it can have no predictions")
    columns = {
        "split": TEXT,
        "id": TEXT,
        "label": kind_named(data.kind).arrow_type,
        "logits": "list of float",
        "tokens": "int32",
    }
    rows = sum(split.examples for name, split in data.splits.items() if name != "train")
    return Expected(columns, rows=rows, width=outputs_of(data), texts=SLICE)


def outputs_of(data: Data) -> int:
    """How many logits each example has, computed from the record's labels: of many labels it lists the first `MOST_LABELS`,
    then one entry with the number of the others. Raises FlawError if the kind of task does not allow so many labels."""
    more = re.fullmatch("and ([0-9]{1,9}) more", data.labels[-1]) if len(data.labels) > MOST_LABELS else None
    count = MOST_LABELS + int(more[1]) if more else len(data.labels)
    if not kind_named(data.kind).allows(count):
        raise FlawError(f"its record describes a {data.kind} task with {count} labels, which is impossible")
    return kind_named(data.kind).n_outputs(count)


def _logits(column: Any, outputs: int) -> NDArray[np.float32]:
    """The logits, (rows, outputs). Raises FlawError for a row with another number of logits, or with one that is not finite."""
    lists = column.combine_chunks()
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    require(lengths == outputs, "logits", lengths, f"not the number of the model's outputs, {outputs}")
    values: NDArray[np.float32] = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, outputs)  # a missing one is NaN
    require(np.asarray(np.isfinite(values).all(axis=1)), "logits", values, "not finite")
    return values


def _examples(frame: Any, data: Data) -> dict[str, tuple[NDArray[np.int64], Predictions]]:
    """`SharedExamples.splits` of a file. Raises FlawError for a missing, unexpected or impossible value."""
    import pyarrow as pa

    require_whole(frame, [name for name in frame.column_names if name != "label"])
    splits = np.asarray(frame["split"].to_pylist(), dtype=object)
    names = [name for name in data.splits if name != "train"]
    require(np.isin(splits, names), "split", splits, f"no split that its record predicts ({', '.join(names)})")
    found = {}
    for name in names:
        rows = np.flatnonzero(splits == name)
        if len(rows) != data.splits[name].examples:
            raise FlawError(
                f"it has {len(rows):,} rows of split {quoted(name)}, which has {data.splits[name].examples:,} examples"
            )
        found[name] = rows, _split_of(frame.take(pa.array(rows)), name, rows, data)
    return found


def _split_of(frame: Any, name: str, rows: NDArray[np.int64], data: Data) -> Predictions:
    """The predictions of one split, without logits. frame: its rows. rows: their numbers in the file."""
    tokens, ids = frame["tokens"].to_numpy(), tuple(frame["id"].to_pylist())
    require(tokens >= 0, "tokens", tokens, "not a number of tokens", rows)
    if len(set(ids)) < len(ids):
        first = {one: number for number, one in reversed(list(enumerate(ids)))}
        require(np.array([first[one] for one in ids]) == np.arange(len(ids)), "id", ids, f"in split {quoted(name)} twice", rows)
    return Predictions(
        ids=ids,
        labels=_labels(frame["label"], name, rows, data),
        logits=np.empty((len(ids), 0), np.float32),
        tokens=tokens,
        slices={
            column.removeprefix(SLICE): tuple(frame[column].to_pylist())
            for column in frame.column_names
            if column.startswith(SLICE)
        },
        kind=kind_named(data.kind),
    )


def _labels(column: Any, name: str, rows: NDArray[np.int64], data: Data) -> NDArray[Any]:
    """The labels of a split, (n,); NaN for a split without labels. Raises FlawError for a missing or impossible label."""
    missing = column.is_null().to_numpy()
    if not data.splits[name].labelled:
        require(missing, "label", column, f"a label, but split {quoted(name)} has none", rows)
        return np.full(len(rows), np.nan)
    require(~missing, "label", column, "no label", rows)
    labels: NDArray[Any] = column.to_numpy()
    kind, outputs = kind_named(data.kind), outputs_of(data)
    require(kind.possible(labels, outputs), "label", labels, kind.impossible_in_words(outputs), rows)
    return labels
