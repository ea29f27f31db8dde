"""The option `split: {select: train 10%}` of every task: holds out a share of train as a split to select on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from bakeoff.contracts.recipe import Options
from bakeoff.contracts.task import Paths, Task, TaskInfo
from bakeoff.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset


class SplitOptions(Options):
    """Which share of train is held out."""

    select: Annotated[str, Field(pattern=r"^train [0-9]{1,2}(\.[0-9]{1,4})?%$")] = Field(
        description="`train 10%`: chosen by a hash of each row's id, so that a smaller share's rows are among a larger one's."
    )

    @property
    def share(self) -> float:
        return float(self.select.removeprefix("train ").removesuffix("%")) / 100


UNCHANGED = ("name", "summary", "version", "needs", "check_available", "files", "source_versions", "majority_baseline")
"""Attributes copied from the wrapped task; since `Task` defines defaults for them, `__getattr__` is never asked."""


class SplittableTask(Task):
    """Wraps a task and adds the option `split` to its options. The rows that it holds out are a further split, called
    `select`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        vars(self).update({name: getattr(task, name) for name in UNCHANGED})
        field = Field(None, json_schema_extra={"neutral": None}, description="A split to select on, held out of train.")
        own = task.Options
        self.Options = create_model(own.__name__, __base__=own, __doc__=own.__doc__, split=(SplitOptions | None, field))  # type: ignore[misc]

    def __reduce__(self) -> tuple[Any, ...]:
        return SplittableTask, (self.task,)  # the class of its options is made above, where pickle finds none

    def __getattr__(self, name: str) -> Any:
        """Takes every other attribute from the wrapped task."""
        return getattr(self.__dict__["task"], name) if "task" in self.__dict__ else object.__getattribute__(self, name)

    def info(self, options: Any) -> TaskInfo:
        info = self.task.info(options)
        if getattr(options, "split", None) is None:
            return info
        return replace(info, splits=(*info.splits, HELD_OUT_SPLIT), labelled_splits=(*info.labelled_splits, HELD_OUT_SPLIT))

    def load(self, options: Any, places: Paths) -> dict[str, Dataset]:
        splits = self.task.load(options, places)
        split = getattr(options, "split", None)
        if split is None:
            return splits
        train = splits["train"]
        out = [place_of(row_id) < split.share for row_id in train["id"]]
        kept, held_out = ([row for row, is_out in enumerate(out) if is_out is which] for which in (False, True))
        if not kept or not held_out:
            left = f"{len(kept)} of {len(out)} rows to train on, {len(held_out)} to select on"
            raise DataError(f"task '{self.name}': split select {split.select} leaves {left}; choose another share")
        selection = train.select(held_out)
        selection.info.description = ""  # the data checks of train are reported there
        return {**splits, "train": train.select(kept), HELD_OUT_SPLIT: selection}


def place_of(row_id: str) -> float:
    """Maps a row's id to a number from 0 to 1, the same on every machine: the first 64 bits of the id's SHA-256 over 2^64."""
    return float(int.from_bytes(hashlib.sha256(row_id.encode()).digest()[:8], "big") / 2**64)


SELECTION_SPLIT = "dev"
"""The split on which `select: best-on-dev` and searches compare candidates, unless one was held out of train for it."""


HELD_OUT_SPLIT = "select"


def selection_split(splits: Iterable[str]) -> str:
    """The name of the split, out of these, on which checkpoints and configurations are selected."""
    return HELD_OUT_SPLIT if HELD_OUT_SPLIT in splits else SELECTION_SPLIT
