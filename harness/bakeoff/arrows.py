"""Arrow files in the cache: made once, whole or not at all, and mapped, so that what is in them need not be in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.files import Tree, open_regular

if TYPE_CHECKING:
    import pyarrow as pa


def kept_table(
    path: Path, batches: Callable[[], Iterable[pa.RecordBatch]], *, fits: Callable[[pa.Table], bool] = lambda table: True
) -> pa.Table | None:
    """What the file holds, made by `batches` where it is not there, not whole or does not fit; in memory where it cannot be
    written. None of no batch."""
    import pyarrow as pa

    with suppress(OSError, pa.ArrowException):
        if fits(table := mapped(path)):
            return table
    with suppress(OSError):
        write(path, batches())
        return mapped(path)
    made = list(batches())
    return pa.Table.from_batches(made) if made else None


def mapped(path: Path) -> pa.Table:
    """Raises OSError or ArrowException."""
    import pyarrow as pa

    open_regular(path).close()  # a named pipe would be waited for
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def write(path: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Raises OSError. Whoever else makes the file meanwhile makes the same."""
    import pyarrow as pa

    made = iter(batches)
    first = next(made, None)
    if first is None:
        return
    cache = Tree(path.parent)
    cache.make(path.parent)
    with cache.writing(path) as stream, pa.ipc.new_file(stream, first.schema) as writer:
        writer.write_batch(first)
        for batch in made:
            writer.write_batch(batch)
