"""What the schemas of records, plans and control runs share: the version, file names, limits, and checks of names."""

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
REPORTED_STEPS_FILE = "reported_steps.parquet"
"""The steps of a run as its script reported them; the harness did not observe them."""
PREDICTIONS_FILE = "predictions.parquet"
KIND_KEY = b"bakeoff.kind"
"""Key in the metadata of predictions.parquet: the kind of task."""
MODEL_FOLDER = "model"
"""The trained model of a run with `keep: final`; its README says how to load it."""
TRACEBACK_FILE = "traceback.txt"
"""The traceback of a run that failed by an unexpected error."""
OUTPUT_FILE = "output.txt"
"""Whatever a run, its plugins and libraries printed, without a checksum: of a run that succeeded 64 KiB at most."""

MOST_LABELS: Final = 20
"""How many label names a record stores; one more entry gives the number of the others."""
MOST_NOTES: Final = 4
"""How many notes of a trainer a record stores; one more entry gives the number of the others."""
SCORES_KEPT: Final = 32
"""How many evaluations' scores a record stores, so that it stays small however many epochs there are."""

PHASES = ("import", "load", "encode", "build", "warm-up", "train", "evaluate", "save")
"""`warm-up` runs from the call of the trainer to its first step (making the optimizer, compiling); train seconds include it."""

Reason = Literal["diverged", "out of memory", "timed out", "crashed", "interrupted", "error"]


RUN_ID: Final = re.compile(r"r[0-9]+-[0-9a-z]+")
RunId = Annotated[str, Field(pattern=f"^{RUN_ID.pattern}$", max_length=100)]
"""A run's id; also the name of its folder, so it must not contain a path: records may come from strangers."""

FILE_NAME: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,2}$")
LONGEST_FILE_NAME: Final = 255
FileName = Annotated[str, Field(pattern=FILE_NAME.pattern, max_length=LONGEST_FILE_NAME)]
"""A file in a record's folder, or one or two folders below it (`model/`, `model/adapter/`)."""

UNSEALED: Final = "0" * 64
MOST_NEW: Final = 5
"""How many newly initialised parameters a record names."""


AS_FILE: Final = ConfigDict(ser_json_inf_nan="constants")
"""Writing a number that JSON lacks (NaN, infinity) fails instead of turning it into null."""


def capped(names: Sequence[str], limit: int = MOST_LABELS) -> list[str]:
    """The first names, and an entry with the number of the others, so that a record stays small."""
    return list(names) if len(names) <= limit else [*names[:limit], f"and {len(names) - limit} more"]


def require_known(what: str, names: Collection[Any], known: Collection[Any]) -> None:
    """Raises ValueError for the first name that is not among `known`."""
    if (other := next((name for name in names if name not in known), None)) is not None:
        raise ValueError(f"{what}: {quoted(other)} is unknown; valid: {', '.join(map(quoted, known)) or 'none'}")


def require_unique(what: str, names: Iterable[Any]) -> None:
    """Raises ValueError for the first name that occurs twice."""
    if (twice := next((name for name, times in Counter(names).items() if times > 1), None)) is not None:
        raise ValueError(f"{what}: {quoted(twice)} occurs twice")
