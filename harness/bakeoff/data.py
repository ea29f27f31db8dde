"""What the harness does to data: fingerprints, orders, and hashes of weights."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bakeoff.components import Batch, TaskInfo
from bakeoff.errors import DataError, quoted
from bakeoff.hardware import stream_seed


def split_fingerprint(rows: Mapping[str, Sequence[Any]], task: TaskInfo, sources: Mapping[str, str]) -> str:
    """sha256 over sources, ids, texts and labels, row by row: the same rows give the same word, whichever way they came."""
    digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode() if sources else b"")
    columns = [rows[name] for name in ("id", *task.text_columns, "label")]
    for row in zip(*columns, strict=True):
        digest.update(json.dumps(row, ensure_ascii=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def check_rows(splits: Mapping[str, Mapping[str, Sequence[Any]]], info: TaskInfo, task: str) -> None:
    """Raises DataError where a task breaks its promise: splits, columns, unique ids, labels in range."""
    if missing := [name for name in info.splits if name not in splits]:
        raise DataError(f"task '{task}' promised split {quoted(missing[0])} and did not load it")
    seen: set[str] = set()
    for name in info.splits:
        columns = splits[name]
        if lacking := [column for column in ("id", *info.text_columns, "label", *info.slice_columns) if column not in columns]:
            raise DataError(f"task '{task}', split '{name}': no column {quoted(lacking[0])}")
        ids = columns["id"]
        if not ids:
            raise DataError(f"task '{task}', split '{name}' is empty")
        if not all(isinstance(row, str) for row in ids):
            raise DataError(f"task '{task}', split '{name}': ids must be text")
        if len(set(ids)) != len(ids) or not seen.isdisjoint(ids):
            raise DataError(f"task '{task}', split '{name}': ids are not unique")
        seen.update(ids)
        if info.kind == "classification" and name in info.labelled_splits:
            valid = range(len(info.labels))
            wrong = [label for label in columns["label"] if not isinstance(label, int) or label not in valid]
            if wrong:
                raise DataError(
                    f"task '{task}', split '{name}': label {quoted(wrong[0])} is none of 0 to {len(info.labels) - 1}"
                )
        if info.kind == "regression" and name in info.labelled_splits:
            wrong = [label for label in columns["label"] if not isinstance(label, float) or not math.isfinite(label)]
            if wrong:
                raise DataError(f"task '{task}', split '{name}': label {quoted(wrong[0])} is no finite number (a float)")


def epoch_batches(examples: int, batch_size: int, *, seed: int, replicate: int, epoch: int) -> list[Batch]:
    """An epoch's global batches as row numbers, the last one short if it must be.

    numpy's PCG64 draws the order, so that it hangs neither on torch's version nor on the device.
    """
    generator = np.random.Generator(np.random.PCG64(stream_seed(seed, replicate, "order", epoch)))
    order = generator.permutation(examples).tolist()
    return [tuple(order[start : start + batch_size]) for start in range(0, examples, batch_size)]


def weights_sha256(named_tensors: Iterable[tuple[str, Any]]) -> str:
    """Canonical hash of named tensors: sorted name, dtype, shape, bytes; the device does not matter."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(named_tensors, key=lambda item: item[0]):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else b"")
    return digest.hexdigest()
