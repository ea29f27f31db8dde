"""The trainer `imported`: a run that was made elsewhere, of which only a file of predictions is here.

`imported_runs` of an experiment file names such files; each becomes a run with this trainer, which trains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from bakeoff.plugin import (
    Answer,
    DataError,
    Example,
    Options,
    OwnModelJob,
    OwnModelTrainer,
    Paths,
    Recipe,
    Supports,
    did_you_mean,
    hookimpl,
    quoted,
    rows_in,
    sha256_of,
    shown_path,
)

NEEDED = ("split", "id", "answer")
COLUMNS = (*NEEDED, "scores")


class ImportedOptions(Options):
    """Options of `imported`: a file of predictions."""

    predictions: str = Field(description="Parquet, JSON lines, CSV or TSV with split, id, answer and perhaps scores.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Hash of its content.")
    _path: Path | None = PrivateAttr(None)


class Imported(OwnModelTrainer):
    """Answers with predictions that were made elsewhere; how they were made is unknown."""

    name = "imported"
    summary = "Predictions that were made elsewhere, read from a file (`imported_runs`)."
    version = "1"
    Options = ImportedOptions
    supports = Supports(kinds=None, recipe_keys=frozenset(), methods=frozenset({"full"}))
    timed: ClassVar[Literal["phases", "process", "nothing"]] = "nothing"
    knows_ids = True

    def notes(self, recipe: Recipe, options: ImportedOptions) -> Sequence[str]:
        return ("made elsewhere: how it was trained, on which rows and how long is not known",)

    def resolved(self, options: ImportedOptions, places: Paths) -> ImportedOptions:
        here = options.model_copy()
        here._path = places.beside / options.predictions
        try:
            found = sha256_of(here._path)
        except OSError as error:
            raise DataError(f"{shown_path(here._path)}: {error.strerror}") from None
        if found != options.sha256:
            raise DataError(f"{shown_path(here._path)} has changed since the experiment file was read: run it again")
        return here

    def fit_own(self, job: OwnModelJob, options: ImportedOptions) -> Mapping[int, Answer]:
        assert options._path is not None
        return read_predictions(options._path, job)

    def predict_own(
        self, model: Mapping[int, Answer], examples: Sequence[Example], job: OwnModelJob, options: ImportedOptions
    ) -> list[Answer]:
        return [model[one.id] for one in examples if one.id in model]


def read_predictions(path: Path, job: OwnModelJob) -> dict[int, Answer]:
    """The answers in a file of predictions: the harness's number of a row -> answer. Whether the answers are possible is
    checked later, as for all trainers. Raises DataError with one sentence that names the row of the file."""
    numbers = {
        split: {name: one.id for name, one in zip(job.task_ids(rows), rows, strict=True)} for split, rows in job.splits.items()
    }
    found: dict[int, Answer] = {}
    places: dict[int, str] = {}
    for place, row in rows_in(path, COLUMNS):
        if lacking := [name for name in NEEDED if row.get(name) is None]:
            why = "is empty" if lacking[0] in row else f"is missing; the columns are {', '.join(map(quoted, row))}"
            raise DataError(f"{place}: column '{lacking[0]}' {why}")
        number = number_of(str(row["id"]), str(row["split"]), numbers, place)
        if number in found:
            raise DataError(f"{place}: id {quoted(row['id'])} is answered twice, first in {places[number]}; answer each once")
        found[number] = Answer(number, answer_in(row["answer"], job), scores_in(row.get("scores")), place=place)
        places[number] = place
    return found


def number_of(name: str, split: str, numbers: Mapping[str, Mapping[str, int]], place: str) -> int:
    """The harness's number of the row with id `name` in the split. numbers: split -> row id -> number. place: the row of the
    file, in messages. Raises DataError if there is no such row."""
    if split not in numbers:
        raise DataError(f"{place}: {did_you_mean('split to predict', split, numbers)}")
    if name in numbers[split]:
        return numbers[split][name]
    if other := next((one for one, rows in numbers.items() if name in rows), None):
        raise DataError(f"{place}: id {quoted(name)} is a row of split '{other}', not of '{split}'")
    raise DataError(
        f"{place}: the task has no row {quoted(name)} in split '{split}'; `bakeoff show task TASK --rows FOLDER` writes the "
        "rows that it has"
    )


def answer_in(value: Any, job: OwnModelJob) -> Any:
    """The answer in a cell. In a regression, digits in a text file become a number."""
    if isinstance(value, str) and not job.labels:
        try:
            return float(value)
        except ValueError:
            return value  # what is wrong with it is told where all answers are checked
    return value


def scores_in(value: Any) -> Any:
    """The scores in a cell, label -> probability; Parquet gives a map as a list of pairs."""
    return dict(value) if isinstance(value, list) else value


@hookimpl
def bakeoff_trainers() -> list[OwnModelTrainer]:
    return [Imported()]
