"""What the schemas of records, plans and control runs share: the version, names of files, limits, and checks of names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from bakeoff.text.words import quoted

SCHEMA_VERSION: Final = 6
RECORD_FILE = "record.json"
STEPS_FILE = "steps.parquet"
PREDICTIONS_FILE = "predictions.parquet"
KIND_KEY = b"bakeoff.kind"
"""In the metadata of predictions: what kind of task they answer."""
MODEL_FOLDER = "model"
"""Of a run with `keep: final`: the trained model; its README says how transformers, and peft, load it."""
TRACEBACK_FILE = "traceback.txt"
"""Of a run that failed by an error that nobody expected."""
OUTPUT_FILE = "output.txt"
"""Whatever a run, its plugins and libraries printed; kept only beside a failure, and outside the record's checksums."""

MOST_LABELS: Final = 20
"""Names of labels that a record holds; one more says how many there are besides."""
MOST_NOTES: Final = 4
"""Of a trainer, likewise."""
SCORES_KEPT: Final = 32
"""Of the evaluations that a state was chosen by: a record stays small however many epochs there are."""

PHASES = ("import", "load", "encode", "build", "warm-up", "train", "evaluate", "save")
"""`warm-up` is from the call of the trainer to its first step: building its optimizer, compiling. Costs count both."""

Reason = Literal["diverged", "out of memory", "timed out", "crashed", "interrupted", "error"]


RunId = Annotated[str, Field(pattern=r"^r[0-9]+-[0-9a-z]+$", max_length=100)]
"""A folder's name and nothing else: a record may come from anybody."""

FILE_NAME: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,2}$")
LONGEST_FILE_NAME: Final = 255
FileName = Annotated[str, Field(pattern=FILE_NAME.pattern, max_length=LONGEST_FILE_NAME)]
"""A file in a record's folder, or in a folder there (`model/`), or in one of that (`model/adapter/`)."""

UNSEALED: Final = "0" * 64
MOST_NEW: Final = 5
"""Newly initialised parameters that a record names."""


AS_FILE: Final = ConfigDict(ser_json_inf_nan="constants")
"""A number that JSON has not stays one, so that writing it fails: it does not turn into null."""


def capped(names: Sequence[str], limit: int = MOST_LABELS) -> list[str]:
    """The first names and how many more: a record stays small however many there are."""
    return list(names) if len(names) <= limit else [*names[:limit], f"and {len(names) - limit} more"]


def require_known(what: str, names: Collection[Any], known: Collection[Any]) -> None:
    """Raises ValueError for the first name that is not known."""
    if (other := next((name for name in names if name not in known), None)) is not None:
        raise ValueError(f"{what}: {quoted(other)} is not known here; there is {', '.join(map(quoted, known)) or 'none'}")


def require_unique(what: str, names: Iterable[Any]) -> None:
    """Raises ValueError for the first name that stands there twice."""
    if (twice := next((name for name, times in Counter(names).items() if times > 1), None)) is not None:
        raise ValueError(f"{what}: {quoted(twice)} stands twice")
