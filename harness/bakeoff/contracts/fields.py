"""Types of the fields of files that Bakeoff writes and reads: their ranges, lengths and patterns.

The bounds are far beyond what a run can reach. They exclude values that would overflow, fill a page or name another folder.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bakeoff.machine.json_reader import require_depth
from bakeoff.text.words import escaped, quoted

LARGEST: Final = 1e100
"""The largest absolute value of a number, so that sums of squares stay finite."""
LARGEST_COUNT: Final = 2**63 - 1
LARGEST_SEED: Final = 2**31 - 1
MOST_SEEDS: Final = 10_000
FEWEST_AT_A_LOOK: Final = 3
"""The fewest seeds at a look (a number of seeds at which the comparisons are judged): two seeds tell too little about the
variance over seeds."""
FEWEST_FOR_RANKS: Final = 5
"""With looks, the fewest seeds for ranks: ranks judge all pairs, which needs the far tails of a distribution, and with fewer
seeds these are too heavy."""
MOST_LOOKS: Final = 20
MOST_TRIALS: Final = 1_000_000
LONGEST_TEXT: Final = 100_000
LONGEST_NAME: Final = 1000
MOST_LEVELS: Final = 32
"""The deepest nesting of lists and objects in a component's options."""

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
"""A duration in seconds, 31 years at most."""
Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Some = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
"""A count of at least 1."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Look = Annotated[int, Field(ge=FEWEST_AT_A_LOOK, le=MOST_SEEDS)]
"""A look: the number of seeds of each strategy at which the comparisons are judged."""
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
"""The name of a split, a metric or a distribution, of any characters."""
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
"""A hash that is only compared with other fingerprints; `provenance.digest_of` makes it of half a SHA-256."""


def _utc(text: str) -> str:
    """Returns a text unchanged. Raises ValueError unless it is a point in time in UTC, in ISO 8601."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a time like 2026-11-23T08:51:39+00:00") from None
    if moment.utcoffset() != timedelta(0):
        raise ValueError("must be a time in UTC, like 2026-11-23T08:51:39+00:00")
    return text


Moment = Annotated[str, Field(max_length=40), AfterValidator(_utc)]
"""A point in time: UTC, in ISO 8601."""


def _plain(value: Any) -> Any:
    """Returns a JSON value unchanged. Raises ValueError for numbers that are not finite or too large, and for nesting over
    MOST_LEVELS."""
    require_depth(value, MOST_LEVELS)
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif isinstance(one, float) and not math.isfinite(one):
            raise ValueError(f"holds {one}, which is not a number in JSON")
        elif isinstance(one, int) and abs(one) > LARGEST_COUNT:
            raise ValueError("holds an integer of more than 63 bits")
    return value


Plain = Annotated[Any, AfterValidator(_plain)]
"""An option of a component as a JSON value."""
PlainDict = Annotated[dict[str, Any], AfterValidator(_plain)]


def first_flaw(error: ValidationError) -> str:
    """The first of a file's validation errors, with its place: `requested.seed: Input should be a valid integer, not 'x'`."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))[:LONGEST_NAME]
    told = str(first["msg"]).removeprefix("Value error, ")
    if not where:
        return escaped(told)
    value = first["input"]
    shown = f", not {quoted(value)}" if isinstance(value, str | int | float | None) and first["type"] != "missing" else ""
    return escaped(f"{where}: {told}{shown}")


class Part(BaseModel):
    """The base of every part of a record: immutable, and without unknown keys.

    The fields have the types of this module; `record_files.read_part` validates them once, where a file is read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
