"""`split: {select: train 10%}` beside any task's options: a split to select on, carved out of train."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from bakeoff.contracts.recipe import Options
from bakeoff.contracts.task import Paths, Task, TaskInfo
from bakeoff.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset


class Carve(Options):
    """Which share of train is set apart."""

    select: Annotated[str, Field(pattern=r"^train [0-9]{1,2}(\.[0-9]{1,4})?%$")] = Field(
        description="`train 10%`: chosen by a hash of each row's id, so that a smaller share's rows are among a larger one's."
    )

    @property
    def share(self) -> float:
        return float(self.select.removeprefix("train ").removesuffix("%")) / 100


class Carvable(Task):
    """A task that takes `split` beside its own options."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.name, self.summary, self.version, self.needs = task.name, task.summary, task.version, task.needs  # type: ignore[misc]
        field = Field(None, json_schema_extra={"neutral": None}, description="A split to select on, carved out of train.")
        own = task.Options
        self.Options = create_model(own.__name__, __base__=own, __doc__=own.__doc__, split=(Carve | None, field))  # type: ignore[misc]

    def __reduce__(self) -> tuple[Any, ...]:
        return Carvable, (self.task,)  # its options are a class made here, which no pickle finds

    def __getattr__(self, name: str) -> Any:
        """Whatever else the task has."""
        return getattr(self.__dict__["task"], name) if "task" in self.__dict__ else object.__getattribute__(self, name)

    def info(self, options: Any) -> TaskInfo:
        info = self.task.info(options)
        if getattr(options, "split", None) is None:
            return info
        return replace(info, splits=(*info.splits, CARVED_SPLIT), labelled_splits=(*info.labelled_splits, CARVED_SPLIT))

    def check_available(self, options: Any, places: Paths) -> None:
        self.task.check_available(options, places)

    def files(self, options: Any, places: Paths) -> Mapping[str, Sequence[Path]] | None:
        return self.task.files(options, places)

    def load(self, options: Any, places: Paths) -> dict[str, Dataset]:
        splits = self.task.load(options, places)
        carve = getattr(options, "split", None)
        if carve is None:
            return splits
        train = splits["train"]
        apart = [place_of(row_id) < carve.share for row_id in train["id"]]
        kept, carved = ([row for row, out in enumerate(apart) if out is which] for which in (False, True))
        if not kept or not carved:
            left = f"{len(kept)} of {len(apart)} rows to train on, {len(carved)} to select on"
            raise DataError(f"task '{self.name}': split select {carve.select} leaves {left}")
        set_apart = train.select(carved)
        set_apart.info.description = ""  # what is said of train is said there
        return {**splits, "train": train.select(kept), CARVED_SPLIT: set_apart}

    def source_versions(self) -> Mapping[str, str]:
        return self.task.source_versions()

    def majority_baseline(self, info: TaskInfo, train_labels: Any, references: Any) -> dict[str, float]:
        return self.task.majority_baseline(info, train_labels, references)


def place_of(row_id: str) -> float:
    """From 0 to 1, the same for an id everywhere and always: the first 64 bits of its sha256."""
    return float(int.from_bytes(hashlib.sha256(row_id.encode()).digest()[:8], "big") / 2**64)


SELECTION_SPLIT = "dev"
"""What `select: best-on-dev` and searches look at, unless the task has a split that was carved for it."""


CARVED_SPLIT = "select"


def selection_split(splits: Iterable[str]) -> str:
    """The one of these on which states and configurations are chosen."""
    return CARVED_SPLIT if CARVED_SPLIT in splits else SELECTION_SPLIT
