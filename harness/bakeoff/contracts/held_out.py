"""The option `split` of every task: holds rows of train out, as `dev` and `test`, or as a further split, `select`, on which
checkpoints and configurations are selected."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, create_model, model_validator

from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.contracts.recipe import UNSAID, Options
from bakeoff.contracts.task import Paths, Task, TaskInfo
from bakeoff.errors import DataError
from bakeoff.text.normalised import normalised
from bakeoff.text.numbers import count
from bakeoff.text.values import listed

if TYPE_CHECKING:
    from datasets import Dataset

    from bakeoff.contracts.configured import Configured

SHARE = re.compile(r"(?!0{1,2}(\.0{1,4})? ?%)[0-9]{1,2}(\.[0-9]{1,4})? ?%")
USUAL = {"dev": "10%", "test": "20%"}
"""Split that can be held out -> the share that messages propose for it, in the order of a task's splits."""
AT_ONCE = 10_000
"""How many rows' texts are held as Python objects at a time."""


def _a_share(value: Any) -> str:
    if not isinstance(value, str) or not SHARE.fullmatch(value):
        raise ValueError("must be a share of train's rows above 0, such as 10%")
    whole, _, decimals = value.rstrip(" %").partition(".")
    return ".".join(filter(None, [whole.lstrip("0") or "0", decimals.rstrip("0")])) + "%"


def _some(share: str) -> str:
    if not share.strip("train 0.%"):
        raise ValueError("must be a share of train's rows above 0, such as train 10%")
    return share


def _written(shares: Mapping[str, str]) -> str:
    """Shares as in an experiment file: `{dev: 10%, test: 20%}`."""
    return f"{{{', '.join(f'{name}: {share}' for name, share in shares.items())}}}"


HeldOutShare = Annotated[str, BeforeValidator(_a_share), WithJsonSchema({"type": "string", "pattern": f"^{SHARE.pattern}$"})]


class SplitOptions(Options):
    """Which rows of train are held out: `{dev: 10%, test: 20%}`, or one of the two, or `{select: train 10%}`."""

    dev: HeldOutShare | None = Field(
        None,
        json_schema_extra=UNSAID,
        description="A share of train's rows, like 10%, to look at and to select on. Rows with equal texts stay together, and "
        "a hash of the text decides, so that rows which are added later move no other row.",
    )
    test: HeldOutShare | None = Field(
        None,
        json_schema_extra=UNSAID,
        description="A share of train's rows, like 20%, to report on; chosen as those of dev are.",
    )
    select: Annotated[str, Field(pattern=r"^train [0-9]{1,2}(\.[0-9]{1,4})?%$"), AfterValidator(_some)] | None = Field(
        None,
        json_schema_extra=UNSAID,
        description="`train 10%`: rows to select on where dev is reported, chosen by a hash of each row's id, so that a "
        "smaller share's rows are among a larger one's.",
    )

    @property
    def shares(self) -> dict[str, float]:
        """`dev` and `test`, if held out -> their shares of train's rows, from 0 to 1. No text of theirs is in train."""
        return {name: float(share[:-1]) / 100 for name in USUAL if (share := getattr(self, name)) is not None}

    @property
    def selected_share(self) -> float:
        """The share of train's rows that the split `select` gets, from 0 to 1; 0 where it is not held out."""
        return float((self.select or "0%").removeprefix("train ").removesuffix("%")) / 100

    @property
    def made(self) -> tuple[str, ...]:
        """The names of the splits that are held out."""
        return tuple(self.shares) or (HELD_OUT_SPLIT,)

    @model_validator(mode="before")
    @classmethod
    def _train_is_the_rest(cls, data: Any) -> Any:
        if isinstance(data, dict) and "train" in data:
            raise ValueError("train gets the rows that the other splits leave: leave `train` out here")
        return data

    @model_validator(mode="after")
    def _some_and_not_all(self) -> Self:
        if self.select is None and not self.shares:
            raise ValueError(f"name the shares to hold out, such as {_written(USUAL)}")
        if self.select is not None and self.shares:
            raise ValueError("`select` can't stand beside dev or test: leave it out, and select on dev")
        if sum(self.shares.values()) >= 1:
            raise ValueError("dev and test would take all rows of train: make the shares smaller")
        return self


UNCHANGED = (
    *("name", "summary", "version", "needs", "title", "check_available", "files", "source_versions", "majority_baseline"),
    *("takes_rows", "row_columns", "read_rows", "licence"),
)
"""Attributes copied from the wrapped task: `Task` has defaults for them, so `__getattr__` would never be called for them."""


class SplittableTask(Task):
    """Wraps a task and adds the option `split` to its options."""

    def __init__(self, task: Task) -> None:
        self.task = task
        vars(self).update({name: getattr(task, name) for name in UNCHANGED})
        field = Field(None, json_schema_extra=UNSAID, description="Splits that are held out of train: {dev: 10%, test: 20%}.")
        own = task.Options
        self.Options = create_model(own.__name__, __base__=own, __doc__=own.__doc__, split=(SplitOptions | None, field))  # type: ignore[misc]

    def __reduce__(self) -> tuple[Any, ...]:
        return SplittableTask, (self.task,)  # the class of its options is made above, where pickle finds none

    def __getattr__(self, name: str) -> Any:
        """Takes every other attribute from the wrapped task."""
        return getattr(self.__dict__["task"], name) if "task" in self.__dict__ else object.__getattribute__(self, name)

    def info(self, options: Any) -> TaskInfo:
        info = self.task.info(options)
        split: SplitOptions | None = getattr(options, "split", None)
        if split is None:
            return info
        for name in split.made:
            if name in (*info.splits, *info.hidden_splits):
                hidden = ", whose labels are not public: report on another" if name in info.hidden_splits else ""
                raise DataError(f"split: task '{self.name}' has a split '{name}' already{hidden}; leave `{name}` out here")
        return replace(
            info,
            splits=_in_order(info.splits, split.made),
            labelled_splits=_in_order(info.labelled_splits, split.made),
            held_out=split.shares,
        )

    def hub_dataset(self, options: Any) -> HubDataset | None:
        """That of the wrapped task, without train where rows of it are held out."""
        found, split = self.task.hub_dataset(options), getattr(options, "split", None)
        if found is None or split is None:
            return found
        return found.model_copy(update={"splits": {name: there for name, there in found.splits.items() if name != "train"}})

    def load(self, options: Any, places: Paths) -> dict[str, Dataset]:
        splits = self.task.load(options, places)
        split: SplitOptions | None = getattr(options, "split", None)
        if split is None:
            return splits
        train = splits["train"]
        names = _split_of_each(split, train, self.task.info(options).text_columns)
        made = {name: train.select([row for row, of in enumerate(names) if of == name]) for name in ("train", *split.made)}
        if not all(map(len, made.values())):
            sizes = listed(f"{len(rows):,} rows in {name}" for name, rows in made.items())
            asked, columns = _written(split.model_dump(exclude_none=True)), self.task.info(options).text_columns
            different = len({tuple(map(normalised, texts)) for texts in _texts(train, columns)})
            texts = f", which have {count(different, 'different text')}," if split.shares else ""
            raise DataError(
                f"task '{self.name}': split {asked} of {count(len(train), 'row')}{texts} leaves {sizes}; choose another share"
            )
        for name in split.made:
            made[name].info.description = ""  # the data checks of train are reported there
        return {**splits, **made}


def _in_order(given: Sequence[str], made: Sequence[str]) -> tuple[str, ...]:
    """The task's own splits (given) and those that are held out (made), in the order train, dev, test, others. Where `select`
    is held out, it follows the task's own splits in their order."""
    places = {name: place for place, name in enumerate(("train", *USUAL))}
    both = (*given, *made)
    return both if HELD_OUT_SPLIT in made else tuple(sorted(both, key=lambda name: places.get(name, len(places))))


def _split_of_each(split: SplitOptions, train: Dataset, text_columns: Sequence[str]) -> list[str]:
    """The name of the split that each row of train goes to, in the rows' order."""
    if not split.shares:
        return [HELD_OUT_SPLIT if place_of(row_id) < split.selected_share else "train" for row_id in train["id"]]
    return [split_of(texts, split.shares) for texts in _texts(train, text_columns)]


def _texts(train: Dataset, text_columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Yields the texts of each row, one for each text column."""
    for batch in train.select_columns(list(text_columns)).with_format("arrow").iter(batch_size=AT_ONCE):
        yield from zip(*(batch[column].to_pylist() for column in text_columns), strict=True)


def split_of(texts: Iterable[object], shares: Mapping[str, float]) -> str:
    """The name of the split that a row of train with these texts goes to. shares: `dev`, `test` -> share, from 0 to 1.

    The rows with the lowest numbers by `place_of` go to test and those with the highest to dev, so that another share of one
    moves no row into or out of the other.
    """
    place = place_of(json.dumps([normalised(text) for text in texts]))
    return "test" if place < shares.get("test", 0.0) else "dev" if place >= 1 - shares.get("dev", 0.0) else "train"


def place_of(key: str) -> float:
    """Maps a row's id, or its texts, to a number from 0 to 1, the same on every machine: the first 64 bits of its SHA-256,
    divided by 2^64."""
    return float(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64)


# --- which split is for what ------------------------------------------------------------------------------------------------


SELECTION_SPLIT = "dev"
"""The split on which `select: best-on-dev` and searches compare candidates, unless a split `select` was held out of train."""


HELD_OUT_SPLIT = "select"


def selection_split(splits: Iterable[str]) -> str:
    """The name of the split on which checkpoints and configurations are selected: `select` if `splits` has it, else `dev`."""
    return HELD_OUT_SPLIT if HELD_OUT_SPLIT in splits else SELECTION_SPLIT


def key_that_makes(split: str, task: Configured, info: TaskInfo) -> str | None:
    """What to write in the task so that it has this split: `split: {dev: 10%, test: 20%}`. None where the option `split` can't
    make it."""
    can_be_made = split in USUAL and split not in (*info.splits, *info.hidden_splits)
    if not can_be_made or not isinstance(task.registered.component, SplittableTask):
        return None
    given = getattr(task.options, "split", None)
    shares = {name: share for name in USUAL if (share := getattr(given, name, None))}
    lacking = {name: share for name, share in USUAL.items() if name not in (*info.splits, *info.hidden_splits)}
    wanted = {**lacking, **shares}
    return f"split: {_written({name: wanted[name] for name in USUAL if name in wanted})}"
