"""How long commands take over thousands of records, and how much memory, on one core, with an index and without.

Targets: 10,000 records: `table` 2 s and 400 MB with an index, 8 s without one, 2.5 s with one new record; `report` 6 s; `plan`
and `run` with nothing to do 2 s. 100,000 records: `table` 15 s and 2 GB, 80 s without an index; `plan` and `run` 15 s. 1,000
strategies of ten seeds: `table` 5 s. The records of one task of 1,000 have 1,725 predictions each, all others 100.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from benchmarks.timing import say
from builders import Many, make_many

BAKEOFF = str(Path(sys.executable).with_name("bakeoff"))
MIB, ROUNDS = 2**20, 3


class Taken(NamedTuple):
    """What one call of a command took."""

    seconds: float
    memory: int
    """The peak of its process, in bytes."""


def timed(many: Many, *words: str) -> Taken:
    """The real command, on one core."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [BAKEOFF, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "BAKEOFF_CACHE": str(cache_of(many)), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
    )
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, errors
    return Taken(time.perf_counter() - began, usage.ru_maxrss * 1024)


def cache_of(many: Many) -> Path:
    return many.folder.with_name(f"{many.folder.name}-cache")


def without_index(many: Many) -> None:
    shutil.rmtree(cache_of(many), ignore_errors=True)


def without_one(many: Many) -> None:
    """As if one record were new: it is copied, so that its files are others."""
    record = next(path for path in (many.folder / "records").iterdir() if path.is_dir())
    beside = record.with_name(".tmp-copy")
    shutil.copytree(record, beside)
    shutil.rmtree(record)
    beside.rename(record)


def nothing(_: Many) -> None:
    pass


@pytest.fixture(scope="module")
def of_10000(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    yield from kept(tmp_path_factory.mktemp("many") / "10000", tasks=10, strategies=10, seeds=100)


@pytest.fixture(scope="module")
def of_100000(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    yield from kept(tmp_path_factory.mktemp("many") / "100000", tasks=100, strategies=10, seeds=100)


@pytest.fixture(scope="module")
def of_1000_strategies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    yield from kept(tmp_path_factory.mktemp("many") / "strategies", tasks=1, strategies=1000, seeds=10)


def kept(folder: Path, **sizes: int) -> Iterator[Many]:
    many = make_many(folder, **sizes)
    yield many
    shutil.rmtree(folder)  # pytest keeps the folders of three sessions


def measure(
    benchmark: Any, capsys: Any, many: Many, verb: str, prepare: Callable[[Many], None], target: str, rounds: int = 3
) -> None:
    """Tells median and spread of several calls; without `without_index` there is one before, which leaves an index."""
    words = [verb, str(many.spec if verb in ("plan", "run") else many.folder)]
    if prepare is not without_index:
        timed(many, *words)
    found: list[Taken] = []

    def once() -> None:
        found.append(timed(many, *words))

    benchmark.pedantic(once, setup=lambda: prepare(many), rounds=ROUNDS if many.records <= 10_000 else 1)
    seconds = [one.seconds for one in found]
    memory = max(one.memory for one in found) // MIB
    benchmark.extra_info |= {"target": target, "seconds": [round(one, 2) for one in seconds], "peak_mib": memory}
    spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
    say(capsys, f"{verb} over {many.records:,}: {statistics.median(seconds):.1f} s ({spread}), {memory:,} MiB; target {target}")


@pytest.mark.benchmark(group="many records")
@pytest.mark.parametrize(
    ("verb", "prepare", "target"),
    [
        ("table", without_index, "8 s"),
        ("table", nothing, "2 s, 400 MB"),
        ("table", without_one, "2.5 s"),
        ("report", nothing, "6 s"),
        ("plan", nothing, "2 s"),
        ("run", nothing, "2 s"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_10000(benchmark: Any, capsys: Any, of_10000: Many, verb: str, prepare: Callable[[Many], None], target: str) -> None:
    measure(benchmark, capsys, of_10000, verb, prepare, target)


@pytest.mark.benchmark(group="many records")
@pytest.mark.parametrize(
    ("verb", "prepare", "target"),
    [("table", without_index, "80 s"), ("table", nothing, "15 s, 2 GB"), ("plan", nothing, "15 s"), ("run", nothing, "15 s")],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_100000(benchmark: Any, capsys: Any, of_100000: Many, verb: str, prepare: Callable[[Many], None], target: str) -> None:
    measure(benchmark, capsys, of_100000, verb, prepare, target)


@pytest.mark.benchmark(group="many records")
def test_1000_strategies(benchmark: Any, capsys: Any, of_1000_strategies: Many) -> None:
    measure(benchmark, capsys, of_1000_strategies, "table", nothing, "5 s")
