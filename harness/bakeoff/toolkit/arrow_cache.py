"""Arrow files in the cache: made once, whole or not at all, and mapped, so that what is in them need not be in memory.

The sha256 of an Arrow file stands behind its end, as 32 bytes. Arrow itself takes the lengths and offsets of a damaged file as
they are: what is mapped from one may be other rows, or end in an exception much later.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bakeoff.files import Tree, open_regular

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 2**20
"""Bytes that are hashed together."""


class DamagedError(Exception):
    """The file is not as it was written."""


def cached_table(
    path: Path, batches: Callable[[], Iterable[pa.RecordBatch]], *, fits: Callable[[pa.Table], bool] = lambda table: True
) -> pa.Table | None:
    """What the file holds, made by `batches` where it is not there, damaged or does not fit; in memory where it cannot be
    written. None of no batch."""
    import pyarrow as pa

    with suppress(OSError, DamagedError):
        if fits(table := mapped(path)):
            return table
    with suppress(OSError, DamagedError):
        write_batches(path, batches())
        return mapped(path)
    made = list(batches())
    return pa.Table.from_batches(made) if made else None


class Hashed(io.RawIOBase):
    """A stream for what Arrow writes, which goes on into `stream`, and is hashed."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.hash, self.written = stream, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.written

    def write(self, part: Any) -> int:
        self.hash.update(part)
        self.stream.write(part)
        self.written += len(part)
        return len(part)


def mapped(path: Path) -> pa.Table:
    """Raises OSError or DamagedError."""
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
    """Raises OSError. Whoever else makes the file meanwhile makes the same."""
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
        stream.write(hashed.hash.digest())
