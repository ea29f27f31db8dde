"""A task's rows as columns, with their checks, fingerprints and order; hashes of weights."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bakeoff.contracts.metric import Floats
from bakeoff.contracts.model import Batch
from bakeoff.contracts.returned import described
from bakeoff.contracts.task import Task, TaskInfo
from bakeoff.errors import DataError
from bakeoff.machine.random_streams import stream_seed
from bakeoff.records.schema import MadeFrom
from bakeoff.text.words import quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

BATCHES_SORTED = 50
"""So many batches' rows are sorted by length at a time; transformers' `LengthGroupedSampler` takes as many."""
AT_ONCE = 10_000
"""How many rows are held as Python objects, or encoded, at a time."""

T = TypeVar("T")


class Lazy(Sequence[T]):
    """A sequence whose items are made on access, by `item(number)` for 0 <= number < len."""

    @abstractmethod
    def item(self, number: int) -> T: ...

    def __getitem__(self, place: Any) -> Any:
        """An item for a number, a list for a slice."""
        return self.items(place) if isinstance(place, slice) else self.item(range(len(self))[place])

    def items(self, places: slice) -> list[T]:
        return [self.item(number) for number in range(*places.indices(len(self)))]


class Column(Lazy[Any]):
    """A column of a split, read from Arrow on access: a memory-mapped file is never loaded whole."""

    def __init__(self, values: pa.ChunkedArray) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def item(self, number: int) -> Any:
        return self.values[number].as_py()

    def items(self, places: slice) -> list[Any]:
        return list(self.values[places].to_pylist())

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), AT_ONCE):
            yield from self[start : start + AT_ONCE]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.values.to_numpy(), dtype=dtype)


class Columns(dict[str, Sequence[Any]]):
    """A split: column name -> values, one for each row."""

    notes: tuple[str, ...] = ()
    """What the task itself says about the split, a sentence each; shown with the data checks."""


def columns_of(split: Dataset, info: TaskInfo, *, labelled: bool = True) -> Columns:
    """The columns of a loaded split. Lists of labels become sets (`contracts.metric.Answers`); in a split without labels
    every label is None, whatever the column contains."""
    table = split.with_format("arrow")[:]
    columns = Columns({name: Column(table[name]) for name in table.column_names})
    columns.notes = tuple((split.info.description or "").splitlines())
    if not labelled:
        columns["label"] = [None] * len(table)
    elif "label" in columns:
        columns["label"] = info.kind.read_labels(columns["label"], info.n_outputs)
    return columns


def named_by_data(info: TaskInfo, train: Dataset) -> TaskInfo:
    """Takes the label names from the data, where `info` leaves them open. Raises DataError where the data has none."""
    if info.labels_are_known:
        return info
    feature = train.features.get("label")
    names = getattr(getattr(feature, "feature", feature), "names", None)
    if not names:
        raise DataError(
            "the task names no labels, and the `label` column of its training split is not a ClassLabel with names: give the "
            "names in one of the two"
        )
    return replace(info, labels=tuple(names), n_outputs=info.kind.n_outputs(len(names)))


def split_fingerprint(rows: Mapping[str, Sequence[Any]], task: TaskInfo, sources: Mapping[str, str]) -> str:
    """SHA-256 over sources, ids, texts and labels, row by row: it depends on the rows alone, not on how they were stored."""
    digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode() if sources else b"")
    columns = [rows[name] for name in ("id", *task.text_columns, "label")]
    for row in zip(*columns, strict=True):
        digest.update(json.dumps(row, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()


def check_rows(splits: Mapping[str, Columns], info: TaskInfo, task: str) -> None:
    """Raises DataError where the rows break the task's declaration: splits, columns, unique ids, labels in range. task: its
    name in messages."""
    if missing := [name for name in info.splits if name not in splits]:
        raise DataError(f"task '{task}' declares split {quoted(missing[0])} but did not load it")
    seen: set[str] = set()
    for name in info.splits:
        columns = splits[name]
        if lacking := [column for column in ("id", *info.text_columns, "label", *info.slice_columns) if column not in columns]:
            raise DataError(f"task '{task}', split '{name}': no column {quoted(lacking[0])}")
        ids = columns["id"]
        if not len(ids):
            raise DataError(f"task '{task}', split '{name}' is empty")
        if not all(isinstance(row, str) for row in ids):
            raise DataError(f"task '{task}', split '{name}': ids must be text")
        for row in ids:
            if row in seen:
                raise DataError(f"task '{task}', split '{name}': id {quoted(row)} occurs twice, here or in another split")
            seen.add(row)
        for column in info.text_columns:
            if (row := first_without_text(columns[column])) is not None:
                found = described(columns[column][row])
                raise DataError(
                    f"task '{task}', split '{name}': row {quoted(ids[row])} has {found} in the text column {quoted(column)}, "
                    "where each row needs a text, which may be empty"
                )
        if name not in info.labelled_splits:
            continue
        if (row := info.kind.first_impossible(columns["label"], info.n_outputs)) is not None:
            why = info.kind.impossible_in_words(info.n_outputs)
            raise DataError(f"task '{task}', split '{name}': label {quoted(columns['label'][row])} is {why}")


def first_without_text(values: Sequence[Any]) -> int | None:
    """The row number of the first value that is not a text; None if all are. Of an Arrow column of strings only the nulls are
    searched."""
    if isinstance(values, Column):
        import pyarrow as pa

        if pa.types.is_string(values.values.type) or pa.types.is_large_string(values.values.type):
            return None if not values.values.null_count else values.values.to_pylist().index(None)
    return next((row for row, value in enumerate(values) if not isinstance(value, str)), None)


@dataclass(frozen=True)
class LoadedTask:
    """A task with its loaded and checked rows."""

    task: Task
    info: TaskInfo
    splits: dict[str, Columns]
    made_from: MadeFrom
    """Fingerprints of its label names and files."""

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Split -> fingerprint of its rows."""
        return {name: self.fingerprint(self.splits[name]) for name in self.info.splits}

    def fingerprint(self, rows: Columns) -> str:
        return split_fingerprint(rows, self.info, self.task.source_versions())


def epoch_batches(
    examples: int,
    batch_size: int,
    *,
    seed: int,
    replicate: int,
    epoch: int,
    chances: Floats | None = None,
    lengths: Sequence[int] | None = None,
) -> list[Batch]:
    """The row numbers of an epoch's global batches; the last batch may be short.

    chances: each row's chance to be drawn, (examples,), with replacement; by default each row comes once. lengths: of each
    row, in tokens, where rows of like length stand together.

    The order is drawn by numpy's PCG64, so that it depends neither on the version of torch nor on the device.
    """
    generator = np.random.Generator(np.random.PCG64(stream_seed(seed, replicate, "order", epoch)))
    drawn = generator.permutation(examples) if chances is None else generator.choice(examples, size=examples, p=chances)
    order: list[int] = drawn.tolist()
    if lengths is not None:
        together = BATCHES_SORTED * batch_size
        parts = [order[start : start + together] for start in range(0, examples, together)]
        order = [row for part in parts for row in sorted(part, key=lambda row: -lengths[row])]
    return [tuple(order[start : start + batch_size]) for start in range(0, examples, batch_size)]


def weights_sha256(named_tensors: Iterable[tuple[str, Any]]) -> str:
    """SHA-256 over name, dtype, shape and bytes of the tensors, sorted by name; it does not depend on the device."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(named_tensors, key=lambda item: item[0]):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else b"")
    return digest.hexdigest()


def trained_state(model: Any) -> dict[str, Any]:
    """Name -> tensor of everything that training may change: trainable parameters, and buffers."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}
