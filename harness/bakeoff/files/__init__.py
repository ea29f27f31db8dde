"""All opening, writing and deleting of files goes through here: `tests/house/test_file_access.py` finds any other call."""

from __future__ import annotations

from bakeoff.files.loose import (
    append_to_named_file,
    make_private,
    nameless_file,
    open_that_of,
    temporary_folder,
    write_all,
)
from bakeoff.files.reading import ALWAYS_READ, KINDS, LARGEST_RATIO, open_regular, read_regular
from bakeoff.files.tree import HOST, TEMPORARY_PREFIX, Tree, temporary_name

__all__ = [
    "ALWAYS_READ",
    "HOST",
    "KINDS",
    "LARGEST_RATIO",
    "TEMPORARY_PREFIX",
    "Tree",
    "append_to_named_file",
    "make_private",
    "nameless_file",
    "open_regular",
    "open_that_of",
    "read_regular",
    "temporary_folder",
    "temporary_name",
    "write_all",
]
