"""A fuzz over every kind of file that Bakeoff reads: each case damages one file of one kind, and says how it was met.

Right, or one line that names the file: never a traceback, never a wait, never another figure without a warning. A case is
repeated by its seed: `python -m stress.every_file SEED` in `tests`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bakeoff.errors import BakeoffError
from bakeoff.text.words import escaped

LONGEST_SECONDS = 60.0
"""Of one case, on a machine that is busy: what takes longer is waiting for something."""
VALUES: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 10**24, -(2**70), 1e308, -1e308, 5e-324, 0.5, float("nan"), float("inf")),
    *("", "x", "0", "NaN", "x" * 9000, "\x1b[2J\x00", "../../x", "/etc/passwd", "\ud800", "r1-0"),
    *([], {}, [[]], {"a": {"b": []}}, ["\x00"], [1, 2, 3]),
]
BYTES = [b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 3000, b'"', b"\n", b"NaN", b"1e999", b"9" * 400, b"\\ud800"]
CELLS = [b"", b"x" * 5000, b"nan", b"1e999", b"\x00", b"\xff", b'"', b'""', b"-1", b"9" * 30, "\u2028".encode(), b"=1+1"]


@dataclass
class Kind:
    """One kind of file: how a folder with it is made, and what reads it."""

    name: str
    make: Callable[[Path], None]
    use: Callable[[Path, list[str]], Any]
    """What is read of the folder, in a form that can be compared; warnings go into the list. Raises BakeoffError."""
    files: Callable[[Path], list[Path]]
    seal: Callable[[Path, Path], None] | None = None
    """Makes the checksums right again that a file has."""
    optional: frozenset[str] = frozenset()
    """Names of files without which a folder is as whole: an experiment need not have been timed."""
    checked: bool = False
    """Whether checksums hold the content: without a warning it is never another one, unless they were made right again."""
    weight: int = 10
    """Of so many cases, against the other kinds."""


@dataclass
class Ends:
    """How the cases ended."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """A sentence with the seed for each that ended as none may."""


# --- damage ----------------------------------------------------------------------------------------------------------------


def damage(path: Path, chance: random.Random) -> str:
    """Damages the file; what was done, in a word."""
    content = path.read_bytes()
    ways = ["bytes", "bytes", "bytes", "cut", "empty", "double", "fifo", "link", "folder", "gone"]
    if path.suffix in {".json", ".yaml"}:
        ways += ["value"] * 24
    elif path.suffix == ".jsonl":
        ways += ["line"] * 14
    elif path.suffix == ".parquet":
        ways += ["column"] * 24
    elif path.suffix == ".safetensors":
        ways += ["header"] * 14
    elif path.suffix in {".csv", ".tsv"}:
        ways += ["cell"] * 24
    way = chance.choice(ways)
    if way in {"fifo", "link", "folder", "gone"}:
        path.unlink()
        if way == "fifo":
            os.mkfifo(path)
        elif way == "link":
            path.symlink_to("/dev/zero" if chance.random() < 0.5 else path.parent / "nowhere")
        elif way == "folder":
            path.mkdir()
        return way
    ways_to = {"value": _json, "line": _jsonl, "column": _parquet, "header": _header, "cell": _cells}
    path.write_bytes(ways_to.get(way, _bytes)(content, chance, way))
    return way


def _bytes(content: bytes, chance: random.Random, way: str) -> bytes:
    at = chance.randrange(len(content) + 1)
    if way == "empty":
        return b""
    if way == "cut":
        return content[:at]
    if way == "double":
        return content + content
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(content) + 1), chance.choice([0, 1, 1, 8, 60])
        put = chance.choice(BYTES) if chance.random() < 0.5 else bytes([chance.randrange(256)])
        content = content[:at] + put + content[at + length :]
    return content


def altered(value: Any, chance: random.Random) -> Any:
    """The value with one of its parts replaced, removed, doubled, renamed or moved."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        way = chance.choice(["into"] * 6 + ["drop", "rename", "set", "add"])
        if way == "into":
            return {**value, key: altered(value[key], chance)}
        rest = {name: inner for name, inner in value.items() if name != key}
        if way == "drop":
            return rest
        if way == "rename":
            return rest | {chance.choice(["", "../x", "\x1b[1m", f"{key}s"]): value[key]}
        return {**value, (key if way == "set" else "more"): chance.choice(VALUES)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        way = chance.choice(["into"] * 6 + ["drop", "double", "turn"])
        if way == "into":
            return [*value[:at], altered(value[at], chance), *value[at + 1 :]]
        return {"drop": value[:at] + value[at + 1 :], "double": value + value, "turn": value[::-1]}[way]
    if isinstance(value, int | float) and not isinstance(value, bool) and chance.random() < 0.5:
        return chance.choice([-value, value + 1, value * 2, value / 3, float(value), str(value)])
    return chance.choice(VALUES)


def _json(content: bytes, chance: random.Random, way: str) -> bytes:
    plain = json.loads(content)
    for _ in range(chance.randint(1, 2)):
        plain = altered(plain, chance)
    return json.dumps(plain).encode()


def _jsonl(content: bytes, chance: random.Random, way: str) -> bytes:
    lines = content.splitlines()
    at = chance.randrange(len(lines))
    lines[at] = _json(lines[at], chance, way)
    return b"\n".join(lines) + b"\n"


def _parquet(content: bytes, chance: random.Random, way: str) -> bytes:
    table = pq.read_table(pa.BufferReader(content))
    place = chance.randrange(table.num_columns)
    name, values = table.column_names[place], table.column(place).to_pylist()
    what = chance.choice(["value"] * 6 + ["drop", "rename", "double", "rows", "type", "order", "again"])
    sink = pa.BufferOutputStream()
    if what == "drop":
        table = table.drop_columns([name])
    elif what == "rename":
        table = table.rename_columns([f"{one}s" if one == name else one for one in table.column_names])
    elif what == "double":
        table = table.append_column(name, table.column(place))
    elif what == "rows":
        table = table.slice(chance.choice([0, 1, 3]), chance.choice([0, 1, len(table)]))
    elif what == "order":
        table = table.take(pa.array(chance.sample(range(len(table)), len(table))))
    elif what == "again":
        table = pa.concat_tables([table, table])
    elif what == "type":
        kinds = [[str(one) for one in values], [None] * len(values), [[one] for one in values], [{"a": one} for one in values]]
        table = table.set_column(place, name, pa.array(chance.choice(kinds)))
    else:
        at = chance.randrange(len(values))
        put = chance.choice([None, -1, 2, 10**6, -1e300, float("nan"), float("inf"), "x", "", [], [1.0], [float("nan")] * 2])
        try:
            made = pa.array([*values[:at], put, *values[at + 1 :]], table.schema.field(place).type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            made = pa.array([str(value) for value in values])
        table = table.set_column(place, name, made)
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def _header(content: bytes, chance: random.Random, way: str) -> bytes:
    """A safetensors file with another header."""
    length = int.from_bytes(content[:8], "little")
    if chance.random() < 0.3:
        return chance.choice([2**62, 50_000_000, 0, length + 1, 7]).to_bytes(8, "little") + content[8:]
    header = _json(content[8 : 8 + length], chance, way)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _cells(content: bytes, chance: random.Random, way: str) -> bytes:
    lines = content.split(b"\n")
    mark = b"\t" if b"\t" in lines[0] else b","
    at = chance.randrange(len(lines))
    cells = lines[at].split(mark)
    cell = chance.randrange(len(cells))
    put = chance.choice(CELLS)
    lines = {
        "value": lambda: [*lines[:at], mark.join([*cells[:cell], put, *cells[cell + 1 :]]), *lines[at + 1 :]],
        "drop": lambda: [*lines[:at], mark.join(cells[:cell] + cells[cell + 1 :]), *lines[at + 1 :]],
        "more": lambda: [*lines[:at], mark.join([*cells, put]), *lines[at + 1 :]],
        "line": lambda: lines[:at] + lines[at + 1 :],
        "again": lambda: [*lines[:at], lines[at], *lines[at:]],
        "turn": lambda: lines[::-1],
    }[chance.choice(["value", "value", "value", "drop", "more", "line", "again", "turn"])]()  # fmt: skip
    return b"\n".join(lines)


# --- cases -----------------------------------------------------------------------------------------------------------------


class HangError(BaseException):
    """It took too long."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    def late(*_: object) -> None:
        raise HangError(f"over {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Fuzz:
    """Kinds of files with their whole folders, made once."""

    def __init__(self, root: Path, kinds: list[Kind]) -> None:
        self.root, self.kinds = root, kinds
        self.answers: dict[str, Any] = {}
        for kind in kinds:
            kind.make(self.whole(kind))
            warnings: list[str] = []
            self.answers[kind.name] = kind.use(self.copied(kind), warnings)
            assert warnings == [], f"{kind.name}: nothing is wrong with what is whole: {warnings}"

    def whole(self, kind: Kind) -> Path:
        (place := self.root / "whole" / kind.name).mkdir(parents=True, exist_ok=True)
        return place

    def copied(self, kind: Kind) -> Path:
        place = self.root / "altered" / kind.name
        if place.exists():
            shutil.rmtree(place)
        shutil.copytree(self.whole(kind), place)
        return place

    def run(self, cases: int, seed: int = 0) -> Ends:
        ends = Ends()
        for number in range(seed, seed + cases):
            self.case(number, ends)
        return ends

    def case(self, seed: int, ends: Ends) -> None:
        """One case; everything about it follows from the seed."""
        chance = random.Random(seed)  # noqa: S311 - nobody is to be kept from guessing it
        kind = chance.choices(self.kinds, [kind.weight for kind in self.kinds])[0]
        folder = self.copied(kind)
        path = chance.choice(kind.files(folder))
        way = damage(path, chance)
        sealed = kind.seal is not None and path.is_file() and not path.is_symlink() and chance.random() < 0.5
        if sealed and kind.seal is not None:
            kind.seal(folder, path)
        where = f"seed {seed}: {kind.name}, {path.relative_to(folder)}, {way}{', checksums made right' if sealed else ''}"
        warnings: list[str] = []
        try:
            with at_most(LONGEST_SECONDS):
                answer = kind.use(folder, warnings)
        except BakeoffError as error:
            warnings.append(str(error))
            ends.counts["refused"] += 1
        except HangError as error:
            ends.faults.append(f"{where}: {error}")
        except Exception as error:  # that is what is looked for
            ends.faults.append(f"{where}: {type(error).__name__}: {escaped(error)[:300]}")
        else:
            same = answer == self.answers[kind.name]
            ends.counts["as before" if same else "told" if warnings else "another answer"] += 1
            left_out = way == "gone" and path.name in kind.optional
            if kind.checked and not same and not warnings and not sealed and not left_out:
                ends.faults.append(f"{where}: another answer without a warning")
        if warnings and not any(path.name in line or path.parent.name in line for line in warnings):
            ends.faults.append(f"{where}: the file is not named: {escaped(warnings[0])[:300]}")
        for line in "\n".join(warnings).splitlines():
            if not line.isprintable():
                ends.faults.append(f"{where}: not printable: {escaped(line)[:200]}")


def main(arguments: list[str]) -> int:
    """`python -m stress.every_file SEED [CASES]`"""
    from stress.kinds_of_files import kinds

    with tempfile.TemporaryDirectory() as folder:
        ends = Fuzz(Path(folder), kinds()).run(int([*arguments, "1"][1]), int(arguments[0]))
    print(dict(ends.counts), *ends.faults, sep="\n")
    return 1 if ends.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
