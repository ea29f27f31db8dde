"""An exception in the words of a record: its reason, and one line."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, RunError
from bakeoff.records.schema import Failure
from bakeoff.text.words import escaped


def failure_of(error: BaseException, phase: str) -> Failure:
    """What a record holds of an exception."""
    return Failure(reason=reason_of(error), message=message_of(error), phase=phase)


def reason_of(error: BaseException) -> Any:
    """A record's word for an exception."""
    if isinstance(error, RunError):
        return error.reason
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return "out of memory"
    return "error"


def message_of(error: BaseException) -> str:
    """One line; for what nobody expected, with the place where it was raised."""
    text = escaped(" ".join(str(error).split())[:500])
    if isinstance(error, BakeoffError):
        return text
    where = "".join(
        f" ({Path(frame.filename).name}:{frame.lineno})" for frame in traceback.extract_tb(error.__traceback__)[-1:]
    )
    return f"{type(error).__name__}: {text}{where}"
