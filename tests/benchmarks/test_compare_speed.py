"""How long comparing takes. Targets: all pairs of 20 strategies x 20 seeds x 1725 examples in 5 s; a report over 10,000
records in 20 s and 1 GB; and a cost that grows with the records, not faster.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.timing import say
from builders import declare, drawn_answers, fill, make_experiment, make_run

from bakeoff.analysis.comparison import compare
from bakeoff.records.record_files import dump
from bakeoff.records.schema import RECORD_FILE, Record
from bakeoff.records.store import Store

BAKEOFF = str(Path(sys.executable).with_name("bakeoff"))
STRATEGIES, EXAMPLES = 20, 1725
LABELS = (np.arange(EXAMPLES) % 3 > 0).astype(np.int64)


def answers(strategy: int, seeds: int) -> Any:
    return drawn_answers(LABELS, seeds=seeds, accuracy=0.80 + 0.003 * strategy, seed=strategy)


@pytest.mark.benchmark(group="compare")
def test_all_pairs_of_20_strategies_and_20_seeds(benchmark: Any) -> None:
    benchmark.extra_info["target_seconds"] = 5.0
    rows = {f"strategy-{number}": answers(number, 20) for number in range(STRATEGIES)}
    experiment = make_experiment(rows, LABELS, under_test=["trainer"])
    comparison = benchmark.pedantic(lambda: compare(experiment), rounds=5, warmup_rounds=1)
    assert len(comparison.groups[0].all_pairs) == STRATEGIES * (STRATEGIES - 1) // 2


def make_folder(folder: Path, count: int) -> Path:
    """So many records with predictions, written without the store's syncs, which cost minutes for thousands."""
    records: list[Record] = []
    for number in range(STRATEGIES):
        for seed, row in enumerate(answers(number, count // STRATEGIES)):
            record, predictions = make_run(f"strategy-{number}", seed, row, LABELS)
            place = Store(folder).records / record.id
            place.mkdir(parents=True)
            records.append(record.model_copy(update={"files": fill(place, predictions)}))
            (place / RECORD_FILE).write_bytes(dump(records[-1]))
    declare(folder, records, baseline="strategy-0")
    return folder


def report(folder: Path) -> tuple[float, int]:
    """Seconds of the real command, and the peak of its memory in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen([BAKEOFF, "report", str(folder)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - began, usage.ru_maxrss * 1024


@pytest.mark.benchmark(group="report")
def test_reports_over_1000_3000_and_10000_records(benchmark: Any, tmp_path: Path, capsys: Any) -> None:
    sizes = (1_000, 3_000, 10_000)
    folders = {count: make_folder(tmp_path / str(count), count) for count in sizes}
    measured: dict[int, list[tuple[float, int]]] = {count: [] for count in sizes}

    def one_round() -> None:
        for count, folder in folders.items():
            measured[count].append(report(folder))

    benchmark.extra_info["target"] = "10,000 records: 20 s, 1 GB"
    benchmark.pedantic(one_round, rounds=3)
    lines = []
    for count, runs in measured.items():
        seconds, memory = np.median([run[0] for run in runs]), max(run[1] for run in runs)
        spread = f"{min(run[0] for run in runs):.1f} to {max(run[0] for run in runs):.1f}"
        benchmark.extra_info[str(count)] = {"seconds": round(float(seconds), 2), "peak_mib": memory // 2**20}
        each = 1000 * seconds / count
        lines.append(f"{count:6,} records: {seconds:.1f} s ({spread}), {each:.2f} ms a record, {memory / 2**20:,.0f} MiB")
    say(capsys, "\n".join(lines))
