"""The index of a folder of records: what was read of their files before, so that unchanged files are not read again.

It is a cache in one Parquet file. An entry is used only while the record's files have the states (size, times, inode, device)
in which they were read; otherwise they are read and checked anew. The index lies in the user's own cache, and counts only if
file and folder belong to this user and nobody else can write to them: an index that comes with a stranger's records is never
read. Without it every command gives the same results, more slowly.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bakeoff.errors import StoreError
from bakeoff.files import Tree, make_private
from bakeoff.machine.file_hashes import State, code_digest, digest_of
from bakeoff.machine.processes import left_by_the_dead
from bakeoff.records.predictions import PredictionsReader, SharedExamples, SplitAnswers
from bakeoff.records.record_parts import OWN, SHARED, SharedParts, texts_of
from bakeoff.records.schema import PREDICTIONS_FILE, Record

FOLDER: Final = "index"
"""The folder of the cache that holds the indexes of all folders of records."""
LEAST: Final = 300
"""A folder with fewer records has no index: reading them takes less time than loading pyarrow."""
CODE: Final = ("bakeoff.records", "bakeoff.contracts", "bakeoff.kinds")
"""An index is discarded when the code of these packages changes, by which it was written and is read."""
CODE_KEY: Final = b"bakeoff.code"
PACKED: Final = struct.Struct(">5Q")
"""A `State` as bytes."""
MOST: Final = 2**64 - 1
DICTIONARY_BYTES: Final = 2**26
"""The size of the distinct values of a column up to which each is stored once."""
OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
BROKEN: Final = (OSError, StoreError, ValueError, KeyError)
"""What reading a damaged index may raise: it is then as if there were none."""
UNKNOWN: Final[State] = (0, 0, 0, 0, 0)
"""Stands for the state of a file that was not checked."""


@dataclass
class Entry:
    """What is known of one record."""

    state: State
    """The state of its `record.json` when it was read."""
    record: Record
    texts: Mapping[str, str] | None = None
    """The record as `texts_of` writes it, where that is known already."""
    files: dict[str, State] = field(default_factory=dict)
    """File of the record -> its state when it proved to match the record."""
    answers: Mapping[str, SplitAnswers] | None = None
    """None where its predictions were not read."""
    examples: SharedExamples | None = None
    """The examples of the answers."""


class Index:
    """The index of one folder of records."""

    def __init__(self, file: Path, *, least: int = LEAST) -> None:
        """file: where the index is stored. least: how many records a folder has at least to get an index."""
        self.file, self.least = file, least
        self._parts, self._reader = SharedParts(), PredictionsReader()
        self._entries: dict[str, Entry] = {}
        """Entries used since the index was loaded, by the name of the record's folder."""
        self._new: set[str] = set()
        """The names of entries that the file lacks, or has without something that was read since."""

    @classmethod
    def of(cls, records: Path, cache: Path) -> Index:
        """The index of a folder of records, in the user's `cache`."""
        place = [str(records.resolve())]
        with suppress(OSError):
            found = records.stat()
            place += [str(found.st_dev), str(found.st_ino)]
        return cls(cache / FOLDER / f"{digest_of(place)}.parquet")

    # --- reading ---

    def record(self, name: str, state: State) -> Record | None:
        """The record in the folder of this name; None if it is not known in this state of its `record.json`."""
        entry = self._entries.get(name)
        if entry is None and self._kept is not None and (entry := self._kept.entry(name, state)) is not None:
            self._entries[name] = entry
        return entry.record if entry is not None and entry.state == state else None

    def is_whole(self, record: Record, files: Mapping[str, State]) -> bool:
        """Whether these files of the record, in these states, were found to match it."""
        entry = self._entry_of(record)
        return entry is not None and all(entry.files.get(file) == found for file, found in files.items())

    def answers(self, record: Record, file: State, reader: PredictionsReader) -> Mapping[str, SplitAnswers] | None:
        """Split -> answers of the run; None if they are not known in this state of the file of predictions."""
        entry = self._entry_of(record)
        if entry is None or entry.files.get(PREDICTIONS_FILE) != file:
            return None
        if entry.answers is None and self._kept is not None:
            with suppress(*BROKEN):
                entry.answers, entry.examples = self._kept.answers(record.id, entry.record, reader)
        return entry.answers

    def _entry_of(self, record: Record) -> Entry | None:
        """The entry of a record that was read with this index, and is still the one in its folder."""
        entry = self._entries.get(record.id)
        return entry if entry is not None and entry.record.seal == record.seal else None

    @cached_property
    def _kept(self) -> Kept | None:
        """The stored index; None if there is none that counts."""
        if not self.file.is_file():
            return None
        with suppress(*BROKEN):
            content = _own(self.file)
            return Kept(content, self._parts) if content is not None else None
        return None

    # --- adding ---

    def add(self, name: str, state: State, record: Record) -> Record:
        """Adds a record that was just read. Returns it with the parts that it has in common with others shared."""
        texts = texts_of(record)
        self._entries[name] = Entry(state, self._parts.shared(record, texts), texts)
        self._new.add(name)
        return self._entries[name].record

    def add_files(self, record: Record, files: Mapping[str, State]) -> None:
        """Adds that these files of a known record, in these states, match it."""
        if (entry := self._entry_of(record)) is not None:
            entry.files |= files
            self._new.add(record.id)

    def add_answers(self, record: Record, file: State, answers: Mapping[str, SplitAnswers], examples: SharedExamples) -> None:
        """Adds the answers in the predictions of a known record, which match it in this state of their file."""
        if (entry := self._entry_of(record)) is not None:
            entry.answers, entry.examples = answers, examples
            self.add_files(record, {PREDICTIONS_FILE: file})

    # --- writing ---

    def save(self, names: Collection[str]) -> None:
        """Writes the index with the entries of these records, if anything was added; does nothing where that is impossible.

        The file is replaced at once. Of two processes that write it, the later one wins: each index is complete in itself.
        """
        new = {name: self._entries[name] for name in sorted(self._new.intersection(names))}
        if not new or len(names) < self.least:
            return
        if self._kept is not None:  # what is stored of them and was not needed is carried over
            for entry in new.values():
                self.answers(entry.record, entry.files.get(PREDICTIONS_FILE, UNKNOWN), self._reader)
        table = _table_of(new)
        with suppress(OSError, StoreError):
            _write(self._kept.before(table, {*names} - new.keys()) if self._kept is not None else table, self.file)
            self._new.clear()


class Kept:
    """The entries of a stored index. Columns are decoded when they are first needed."""

    def __init__(self, content: bytes, parts: SharedParts) -> None:
        """Raises ValueError, KeyError or an error of pyarrow for a file that this code did not write, or that was damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        if (self._file.schema_arrow.metadata or {}).get(CODE_KEY) != _code():
            raise ValueError("it was written by other code")
        self._parts = parts
        table = self._table(["name", "state", "files", OWN, *SHARED])
        self._rows = {name: row for row, name in enumerate(table["name"].to_pylist())}
        self._state, self._files, self._own = table["state"], table["files"], table[OWN]
        self._shared = {
            name: (table[name].indices.to_numpy(), [parts.part(name, text) for text in table[name].dictionary.to_pylist()])
            for name in SHARED
        }
        self._examples: dict[tuple[int, int], SharedExamples] = {}
        """(number of the examples in the column's dictionary, identity of a record's data) -> the examples."""

    def entry(self, name: str, state: State) -> Entry | None:
        """The entry of the record in the folder of this name; None if there is none with this state."""
        row = self._rows.get(name)
        if row is None or self._state[row].as_py() != _packed(state):
            return None
        record = self._parts.record(
            {name: known[numbers[row]] for name, (numbers, known) in self._shared.items()}, self._own[row].as_py()
        )
        states = _unpacked(self._files[row].as_py())
        files = {file: found for file, found in zip(record.files, states, strict=True) if found != UNKNOWN}
        return Entry(state, record, files=files)

    def answers(
        self, name: str, record: Record, reader: PredictionsReader
    ) -> tuple[dict[str, SplitAnswers], SharedExamples] | tuple[None, None]:
        """Split -> answers of the run, and their examples; None where the index has none."""
        stored, row = self._answers, self._rows.get(name)
        if row is None or record.data is None or (number := int(stored.numbers[row])) < 0:
            return None, None
        key = number, id(record.data)
        if key not in self._examples:
            self._examples[key] = reader.examples(_frame_of(stored.examples[number].as_buffer()), record.data)
        examples, outputs = self._examples[key], int(stored.outputs[row])
        values = np.frombuffer(stored.answers[row].as_buffer(), stored.dtypes[row])
        figures = np.frombuffer(stored.calibration[row].as_buffer()).reshape(-1, 2).tolist()
        found, start = dict[str, SplitAnswers](), 0
        for (split, (rows, part)), (error, brier) in zip(examples.splits.items(), figures, strict=True):
            calibration = None if math.isnan(error) else (error, brier)
            found[split] = SplitAnswers(part, values[start : start + len(rows)], outputs, calibration)
            start += len(rows)
        return found, examples

    def before(self, new: Any, names: Collection[str]) -> Any:
        """A table of the entries of these records, followed by the table `new`."""
        import pyarrow as pa

        rows = [row for name, row in self._rows.items() if name in names]
        return pa.concat_tables([self._file.read(use_threads=False).take(pa.array(rows, pa.int64())), new]).unify_dictionaries()

    @cached_property
    def _answers(self) -> StoredAnswers:
        table = self._table(["answers", "dtype", "outputs", "calibration", "examples"])
        return StoredAnswers(
            answers=table["answers"],
            dtypes=table["dtype"].to_pylist(),
            outputs=table["outputs"].to_numpy(),
            calibration=table["calibration"],
            numbers=table["examples"].indices.fill_null(-1).to_numpy(),
            examples=table["examples"].dictionary,
        )

    def _table(self, columns: Sequence[str]) -> dict[str, Any]:
        table = self._file.read(columns=list(columns), use_threads=False).unify_dictionaries().combine_chunks()
        return {name: table[name].chunk(0) for name in columns}


class StoredAnswers(NamedTuple):
    """The columns of an index with the answers of its n records, as pyarrow or numpy arrays."""

    answers: Any
    """(n,) the bytes of a run's answers, one split after the other."""
    dtypes: list[str]
    """(n,) numpy's name of the answers' type."""
    outputs: NDArray[np.int64]
    """(n,) how many logits an example has."""
    calibration: Any
    """(n,) the bytes of the two figures of calibration of each split; NaN where there are none."""
    numbers: NDArray[np.int32]
    """(n,) which of `examples` the run's are; -1 for a run whose answers are not stored."""
    examples: Any
    """Distinct examples, each as an Arrow stream of `SharedExamples.frame`."""


def _table_of(entries: Mapping[str, Entry]) -> Any:
    """The entries as a table with the columns of the index. entries: by the name of the record's folder."""
    import pyarrow as pa

    there = list(entries.values())
    texts = [entry.texts or texts_of(entry.record) for entry in there]
    files = [[entry.files.get(file, UNKNOWN) for file in entry.record.files] for entry in there]
    answers = [list((entry.answers or {}).values()) for entry in there]
    streams = {id(entry.examples): entry.examples for entry in there if entry.examples is not None}
    places = {key: number for number, key in enumerate(streams)}
    columns = {
        "name": pa.array(list(entries), pa.string()),
        "state": pa.array([_packed(entry.state) for entry in there], pa.binary()),
        "files": pa.array([b"".join(map(_packed, states)) for states in files], pa.binary()),
        OWN: pa.array([text[OWN] for text in texts], pa.large_string()),
        **{name: pa.array([text[name] for text in texts], pa.string()).dictionary_encode() for name in SHARED},
        "answers": pa.array([b"".join(one.answers.tobytes() for one in own) for own in answers], pa.large_binary()),
        "dtype": pa.array([own[0].answers.dtype.str if own else "" for own in answers], pa.string()),
        "outputs": pa.array([own[0].outputs if own else 0 for own in answers], pa.int64()),
        "calibration": pa.array([_figures(own) for own in answers], pa.binary()),
        "examples": pa.DictionaryArray.from_arrays(
            pa.array([places.get(id(entry.examples)) for entry in there], pa.int32()),
            pa.array([_stream_of(one.frame) for one in streams.values()], pa.binary()),
        ),
    }
    return pa.table(columns, metadata={CODE_KEY: _code()})


def _figures(answers: Sequence[SplitAnswers]) -> bytes:
    """The two figures of calibration of each split; NaN where there are none."""
    return np.array([one.calibration or (math.nan, math.nan) for one in answers], np.float64).tobytes()


def _stream_of(frame: Any) -> bytes:
    """A pyarrow table as an Arrow stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, frame.schema) as writer:
        writer.write_table(frame)
    return bytes(sink.getvalue())


def _frame_of(stream: Any) -> Any:
    """The inverse of `_stream_of`."""
    import pyarrow as pa

    return pa.ipc.open_stream(stream).read_all()


def _packed(state: State) -> bytes:
    return PACKED.pack(*(number & MOST for number in state))


def _unpacked(packed: bytes) -> list[State]:
    """The states of several files."""
    return list(PACKED.iter_unpack(packed))


def _code() -> bytes:
    """A fingerprint of the code that writes and reads indexes."""
    return digest_of([code_digest(package) for package in CODE]).encode()


def _own(file: Path) -> bytes | None:
    """The content of a file of the cache; None if another user could have written it. Raises OSError and StoreError."""
    for place in (file.parent, file):
        found = place.lstat()
        if found.st_uid != os.geteuid() or found.st_mode & OTHERS_MAY_WRITE:
            return None
    return Tree(file.parent).read(file)


def _write(table: Any, file: Path) -> None:
    """Writes an index. Raises OSError, and StoreError for a link in its place."""
    import pyarrow.parquet as pq

    tree = Tree(file.parent.parent)
    tree.make(tree.root)
    make_private(file.parent)
    for left, _ in left_by_the_dead(file.parent):
        tree.remove(left)
    shared = [*SHARED, "examples"]
    with tree.writing(file, synced=False, mode=0o600) as stream:
        pq.write_table(
            table,
            stream,
            compression="zstd",
            compression_level=1,
            use_dictionary=shared,
            dictionary_pagesize_limit=DICTIONARY_BYTES,
            write_page_checksum=True,
            write_statistics=False,
        )
