"""How soon `bakeoff table` answers. Targets: 100 records 1 s, 10,000 records 3 s."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import declare, make_record

from bakeoff.cli.table import read, save
from bakeoff.records.record_files import dump
from bakeoff.records.schema import RECORD_FILE
from bakeoff.records.store import Store

BAKEOFF = str(Path(sys.executable).with_name("bakeoff"))
STRATEGIES = 10


def make_many(folder: Path, count: int) -> Path:
    """Records of ten strategies, written without the store's syncs, which cost minutes for thousands."""
    records = [
        make_record(f"strategy-{number % STRATEGIES}", number // STRATEGIES, test_accuracy=0.8 + number % 97 / 1000)
        for number in range(count)
    ]
    for record in records:
        place = Store(folder).records / record.id
        place.mkdir(parents=True)
        (place / RECORD_FILE).write_bytes(dump(record))
    declare(folder, records, baseline="strategy-0")
    return folder


@pytest.mark.benchmark(group="table")
def test_a_table_of_100_records(benchmark: Any, tmp_path: Path) -> None:
    benchmark.extra_info["target_seconds"] = 1.0
    command = [BAKEOFF, "table", str(make_many(tmp_path / "x", 100))]
    done = benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, check=True), rounds=9, warmup_rounds=1)
    assert done.stdout.count(b"| strategy-") == 2 * STRATEGIES


@pytest.mark.benchmark(group="table")
def test_a_table_of_10000_records(benchmark: Any, tmp_path: Path) -> None:
    benchmark.extra_info["target_seconds"] = 3.0
    folder = make_many(tmp_path / "x", 10_000)

    def show() -> int:
        reading = read([folder])
        save(reading, folder)
        return len(reading.comparison.groups[0].rows[0].scored)

    assert benchmark.pedantic(show, rounds=3) == 10_000 // STRATEGIES
    shutil.rmtree(folder)  # pytest keeps the folders of three sessions
