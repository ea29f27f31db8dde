"""Tables cached as Arrow files, which are written completely or not at all, and read by memory-mapping.

The last 32 bytes of each file are the SHA-256 of the rest. Arrow itself does not notice damage: it trusts the lengths and
offsets in a file, and returns other rows or fails much later.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.files import Tree, open_regular

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 2**20
"""How many bytes are read and hashed at a time."""


class DamagedError(Exception):
    """The contents of a cached file do not match the SHA-256 at its end."""


def cached_table(
    path: Path, batches: Callable[[], Iterable[pa.RecordBatch]], *, fits: Callable[[pa.Table], bool] = lambda table: True
) -> pa.Table | None:
    """The table stored at `path`, memory-mapped; the file is written first if it is missing, damaged or not accepted by
    `fits`.

    batches: makes the record batches to write; called again if writing fails, and then the table stays in memory. fits:
    whether a stored table is the one that is wanted. Returns None if there is no batch.
    """
    import pyarrow as pa

    with suppress(OSError, DamagedError):
        if fits(table := mapped(path)):
            return table
    with suppress(OSError, DamagedError):
        write_batches(path, batches())
        return mapped(path)
    made = list(batches())
    return pa.Table.from_batches(made) if made else None


class Hashed(io.BufferedWriter):
    """A buffered writer that also hashes what is written."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.hash = hashlib.sha256()

    def write(self, part: Any) -> int:
        self.hash.update(part)
        return super().write(part)


def mapped(path: Path) -> pa.Table:
    """The table in a cached Arrow file, memory-mapped. Raises OSError if the file can't be read, and DamagedError if its
    contents do not match the SHA-256 in its last 32 bytes."""
    import pyarrow as pa

    with open_regular(path) as stream:  # read, not mapped: the pages of a map would count as this process's memory
        digest = hashlib.sha256()
        end = left = os.fstat(stream.fileno()).st_size - digest.digest_size
        while left > 0 and (part := stream.read(min(left, AT_ONCE))):
            digest.update(part)
            left -= len(part)
        if left or stream.read() != digest.digest():
            raise DamagedError(path)
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source, footer_offset=end).read_all()


def write_batches(path: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Writes record batches to an Arrow file, followed by the SHA-256 of their bytes; no file without a batch. Two processes
    may write the same file at once. Raises OSError."""
    import pyarrow as pa

    made = iter(batches)
    first = next(made, None)
    if first is None:
        return
    cache = Tree(path.parent)
    cache.make(path.parent)
    with cache.writing(path) as stream:
        hashed = Hashed(stream)
        with pa.ipc.new_file(hashed, first.schema) as writer:
            writer.write_batch(first)
            for batch in made:
                writer.write_batch(batch)
        hashed.detach()
        stream.write(hashed.hash.digest())
