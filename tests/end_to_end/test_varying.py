"""A key that varies, as a user runs it: killed and gone on with, every size a row, one curve for each strategy."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, start, wait_until, write_spec

import bakeoff
from bakeoff.records.store import Store

pytestmark = pytest.mark.slow

ROWS = {
    "loop": {"trainer": "torch-loop"},
    "probe": {"trainer": "linear-probe", "method": "head-only"},
    "most": {"trainer": "majority"},
}
SIZES: dict[str, Any] = {"vary": {"train_examples": [8, 12, "all"]}, "seeds": 3}
EACH = ("8", "12", "all")


def sizes(folder: Path) -> dict[str, list[int | None]]:
    """Row -> the sizes of its recorded runs, from the records themselves."""
    found: dict[str, list[int | None]] = {}
    for name, record in records(folder).items():
        found.setdefault(name.partition("/")[0], []).append(record["requested"]["recipe"].get("train_examples"))
    return found


def test_every_size_is_run_once_and_a_killed_command_goes_on(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ROWS, **{**SIZES, "seeds": 2})
    assert call("check", spec, folder=tmp_path).returncode == 0
    first = start("run", spec, folder=tmp_path)
    wait_until(lambda: len(records(tmp_path)) >= 2)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    done = len(records(tmp_path))
    wanted = 2 * 3 * 2 + 2 * 2 + 1  # of all rows the majority is the same at every seed
    assert done < wanted
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    found = sizes(tmp_path)
    assert found.keys() == {f"{strategy}@{size}" for strategy in ROWS for size in EACH}
    for row, own in found.items():
        size = row.partition("@")[2]
        assert set(own) == {None if size == "all" else int(size)}
        assert len(own) == (1 if row == "most@all" else 2), row
    assert "nothing left to do" in call("plan", spec, folder=tmp_path).stdout

    (group,) = json.loads(call("table", tmp_path, "--json", folder=tmp_path).stdout)["groups"]
    assert [(one["strategy"], [point["value"] for point in one["points"]]) for one in group["curve"]["strategies"]] == [
        (strategy, [*EACH]) for strategy in ROWS
    ]
    by_row = {row["strategy"]: row for row in group["rows"]}
    for one in group["curve"]["strategies"]:
        for point in one["points"]:
            row, lost = point["row"], {one["seed"] for one in by_row[point["row"]]["collapsed"]}
            own = {int(name.partition("/")[2]): one for name, one in records(tmp_path).items() if name.startswith(f"{row}/")}
            learned = [own[seed] for seed in own if seed not in lost] or [*own.values()]
            scores = [record["scores"]["test"]["accuracy"] for record in learned]
            assert point["score"] == pytest.approx(sum(scores) / len(scores))
            assert point["runs"] == len(scores)
    assert by_row["most@all"]["seed_free"]
    assert not by_row["most@8"]["seed_free"]
    frame = bakeoff.compare(bakeoff.load(tmp_path)).curve
    assert frame.groupby("strategy").size().to_dict() == dict.fromkeys(ROWS, 3)
    told = call("log", "loop@8:0", tmp_path, folder=tmp_path)
    assert (told.returncode, records(tmp_path)["loop@8/0"]["id"] in told.stdout) == (0, True)


@pytest.mark.long
def test_costs_seeds_and_single_runs_of_sizes_are_asked_for_as_of_any_rows(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"loop": ROWS["loop"], "api": {"trainer": "hf-trainer"}}, **SIZES)
    one = call("run", spec, "--only", "loop@8:0", folder=tmp_path)
    assert one.returncode == 0, one.stderr
    assert [*sizes(tmp_path)] == ["loop@8"]
    planned = call("plan", spec, "--resolve", "5", folder=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert all(f"api@{size}" in planned.stdout for size in EACH)
    timed = call("time", spec, "--threads", "1", "--budget", "0.5", "--within", "60", folder=tmp_path)
    assert timed.returncode == 0, timed.stderr
    (timing,) = Store(tmp_path).timings()
    assert {name for one in timing.timed for name in one.strategies} == {
        f"{name}@{size}" for name in ("loop", "api") for size in EACH
    }
    parity = call("parity", spec, folder=tmp_path)
    assert (parity.returncode, "identical" in parity.stdout) == (0, True), parity.stderr
