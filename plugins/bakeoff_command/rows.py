"""The files between the harness and a script: the harness writes rows, the script writes answers and steps. One JSON object a
line, in ASCII.

    {"id": 17, "texts": {"sentence": "..."}, "label": "positive"}
    {"id": 17, "answer": "positive", "scores": {"positive": 0.9, "negative": 0.1}}
    {"step": 0, "loss": 0.7, "learning_rate": 5e-05}
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bakeoff.plugin import (
    Answer,
    DataError,
    Example,
    ReportedStep,
    Tree,
    did_you_mean,
    open_regular,
    quoted,
    read_json,
    sha256_of,
)

LONGEST_LINE: Final = 2**20
"""The longest line that is read, in bytes."""
MOST_STEPS: Final = 1_000_000
READ_ONLY: Final = 0o444


# --- out -----------------------------------------------------------------------------------------------------------------


def write_rows(examples: Sequence[Example], folder: Path) -> Path:
    """Writes rows into a file of the folder, and returns its path. The file is read-only and is named by the hash of its
    content, so that equal rows are written once."""
    whole = hashlib.sha256()
    for line in _lines(examples):
        whole.update(line)
    place = folder / f"{whole.hexdigest()}.jsonl"
    if not is_unchanged(place):
        tree = Tree(folder)
        tree.make(folder)
        with tree.writing(place, synced=False, mode=READ_ONLY) as stream:
            stream.writelines(_lines(examples))
    return place


def _lines(examples: Iterable[Example]) -> Iterator[bytes]:
    for one in examples:
        row: dict[str, Any] = {"id": one.id, "texts": dict(one.texts)}
        if one.label is not None:
            row["label"] = one.label
        yield json.dumps(row).encode("ascii") + b"\n"


def is_unchanged(path: Path) -> bool:
    """Whether a file that `write_rows` wrote is there and still has the same content."""
    try:
        return sha256_of(path) == path.stem
    except OSError:
        return False


# --- back ----------------------------------------------------------------------------------------------------------------


def read_answers_file(path: Path, asked: Collection[int], *, of: str) -> dict[int, Answer]:
    """The answers in a file that a script wrote: row id -> answer, with its line. asked: the ids of all rows to predict. of:
    how messages about the file begin.

    Whether the answers themselves are possible is checked later, as for all trainers. Raises DataError with one sentence that
    names the line.
    """
    found: dict[int, Answer] = {}
    lines: dict[int, int] = {}
    for number, row in _objects(path, of):
        where = f"{path.name}, line {number}"
        _require_keys(row, ("id", "answer"), ("scores",), where)
        name = row["id"]
        if not isinstance(name, int) or isinstance(name, bool):
            raise DataError(f"{where}: the id is {quoted(json.dumps(name))}; it must be the number of a row, as in {{predict}}")
        if name not in asked:
            raise DataError(f"{where}: id {name} is none of the {len(asked):,} rows to predict")
        if name in lines:
            raise DataError(f"{where}: id {name} is answered twice, first in line {lines[name]}; answer each once")
        lines[name] = number
        found[name] = Answer(name, row["answer"], row.get("scores"), place=f"line {number} of {path.name}")
    return found


def read_steps_file(path: Path) -> list[ReportedStep]:
    """The steps that a script reported, in order; empty if it wrote no file. Raises DataError."""
    if not path.exists():
        return []
    steps: list[ReportedStep] = []
    for number, row in _objects(path, "steps"):
        where = f"{path.name}, line {number}"
        _require_keys(row, ("step", "loss"), ("learning_rate",), where)
        if not isinstance(row["step"], int) or row["step"] != len(steps):
            raise DataError(
                f"{where}: step is {quoted(json.dumps(row['step']))}; steps are counted from 0, each once: this is {len(steps)}"
            )
        if len(steps) == MOST_STEPS:
            raise DataError(f"{where}: more than {MOST_STEPS:,} steps; report fewer")
        numbers = [_number(row.get(key), key, where) for key in ("loss", "learning_rate")]
        steps.append(ReportedStep(*numbers))
    return steps


def _number(value: Any, key: str, where: str) -> float | None:
    if value is None and key != "loss":
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise DataError(f"{where}: {key} is {quoted(json.dumps(value))}; it must be a finite number")
    return float(value)


def _require_keys(row: dict[str, Any], needed: Collection[str], also: Collection[str], where: str) -> None:
    known = (*needed, *also)
    for key in row:
        if key not in known:
            raise DataError(f"{where}: {did_you_mean('key', key, known)}")
    for key in needed:
        if key not in row:
            raise DataError(f'{where}: there is no "{key}"; a line has {", ".join(known)}')


def _objects(path: Path, of: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line number, JSON object) for each line of a file, reading at most 1 MiB of a line. of: how messages begin.
    Raises DataError."""
    with _opened(path, of) as stream:
        number = 0
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            where = f"{path.name}, line {number}"
            if len(line) > LONGEST_LINE:
                raise DataError(f"{where}: longer than {LONGEST_LINE:,} bytes, the most that is read of a line")
            try:
                row = read_json(line)
            except ValueError as error:
                raise DataError(f"{where}: {error}") from None
            if not isinstance(row, dict):
                raise DataError(f"{where}: {quoted(line[:80].decode(errors='replace').strip())} is no JSON object")
            yield number, row


@contextmanager
def _opened(path: Path, of: str) -> Iterator[Any]:
    try:
        stream = open_regular(path)
    except FileNotFoundError:
        raise DataError(f"{of}: the file {path.name} was not written") from None
    except OSError as error:
        raise DataError(f"{of}: {path.name}: {error.strerror}") from None
    with stream:
        yield stream
