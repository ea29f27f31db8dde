"""Kills, twins and damage done to real experiments, and what came of them.

`make stress` writes `results/stress/measurements.json` and what `render` makes of it, `table.md`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from end_to_end.experiments import call, environment, records, start, write_spec

from bakeoff.errors import DamageError
from bakeoff.store import Store

BOTH = {"trainer-api": {"trainer": "hf-trainer"}, "manual-loop": {"trainer": "torch-loop"}}
LONGER = {"epochs": 12, "batch_size": 8, "learning_rate": 1e-3, "max_length": 32}
STARTING, WORKING = 5.0, 1.5
"""Kills come up to so many seconds after a start; two of three up to so many after a worker was seen: in load, train, write."""

OUTLIVED = 2.0
"""Seconds that a worker may live on when its parent is gone."""


def kill(folder: Path, kills: int, *, seeds: int, seed: int) -> dict[str, Any]:
    """An experiment under so many SIGKILLs at random moments, then finished and held against an undisturbed one."""
    draw = random.Random(seed)  # noqa: S311 - nobody is to be kept from guessing the moments
    keys = {"seeds": seeds, "checkpoint_every": 5, "recipe": LONGER}
    head = "name: toy\ntasks: [{name: toy, size: 20}]\nmodels: [tiny-bert]\nstrategies:\n"
    calm = write_spec(folder / "calm", BOTH, head=head, **keys)
    assert call("run", calm, "--threads", "1", folder=folder / "calm").returncode == 0
    expected = results(folder / "calm")

    killed: Counter[str] = Counter()
    outlived, damaged, rounds = 0.0, 0, 0
    while killed.total() < kills:
        place = folder / f"round-{rounds}"
        spec, rounds = write_spec(place, BOTH, head=head, **keys), rounds + 1
        while killed.total() < kills and len(whole_and_well(place)) < len(expected):
            process = start("run", spec, "--retry", "failed", "--threads", "1", "--jobs", "2", folder=place)
            while killed.total() < kills and process.poll() is None:
                await_moment(place, process, draw)
                found = family(place, process)
                if not found:
                    break
                kind = min(draw.sample(sorted(found), len(found)), key=killed.__getitem__)  # each kind about as often
                os.kill(draw.choice(found[kind]), signal.SIGKILL)
                killed[kind] += 1
                if kind == "parent":
                    process.wait()
                    outlived = max(outlived, seconds_until_gone(place))
                damaged += count_damaged(place)
            if process.poll() is None:
                process.kill()
            process.communicate()
        while len(whole_and_well(place)) < len(expected):
            call("run", spec, "--retry", "failed", "--threads", "1", folder=place)
        assert results(place) == expected, "another result than undisturbed"
        shutil.rmtree(place)
    return {
        "kills": dict(sorted(killed.items())),
        "experiments": rounds,
        "runs": rounds * len(expected),
        "damaged_records": damaged,
        "longest_survival_seconds": round(outlived, 2),
        "results_as_undisturbed": True,
    }


def await_moment(folder: Path, process: subprocess.Popen[str], draw: random.Random) -> None:
    if draw.random() < 1 / 3:
        time.sleep(draw.uniform(0, STARTING))
        return
    while process.poll() is None and "worker" not in family(folder, process):
        time.sleep(0.05)
    time.sleep(draw.uniform(0, WORKING))


def results(folder: Path) -> dict[str, Any]:
    """All of the records that no kill may change: weights, scores, what the optimizer did."""
    return {
        name: [record["weights"], record["scores"], record["observed"], record["cost"]["steps"]]
        for name, record in records(folder).items()
        if record["status"] == "ok"
    }


def whole_and_well(folder: Path) -> set[str]:
    return set(results(folder)) if (folder / "records").is_dir() else set()


def family(folder: Path, process: subprocess.Popen[str]) -> dict[str, list[int]]:
    """Living processes of the experiment by their part: the command, its fork server, workers."""
    found: dict[str, list[int]] = {}
    for number in living(folder):
        line = command_line(number)
        if number == process.pid:
            kind = "parent"
        elif "resource_tracker" in line:
            continue
        else:
            kind = "fork server" if parent_of(number) == process.pid else "worker"
        found.setdefault(kind, []).append(number)
    return found if process.poll() is None else {}


def living(folder: Path) -> list[int]:
    """Processes whose environment names the experiment's cache; zombies apart."""
    word = f"BAKEOFF_CACHE={environment(folder)['BAKEOFF_CACHE']}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def parent_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def seconds_until_gone(folder: Path) -> float:
    began = time.monotonic()
    while [number for number in living(folder) if "resource_tracker" not in command_line(number)]:
        if time.monotonic() - began > 30:
            raise AssertionError("a worker lives on after its parent")
        time.sleep(0.02)
    return time.monotonic() - began


def count_damaged(folder: Path) -> int:
    store = Store(folder)
    return sum(is_damaged(store, run_id) for run_id in store.recorded_ids())


def is_damaged(store: Store, run_id: str) -> bool:
    try:
        store.check(run_id)
    except DamageError:
        return True
    return False


def twins(folder: Path, count: int, *, seeds: int) -> dict[str, Any]:
    """So many commands on one folder at once."""
    spec = write_spec(folder, BOTH, seeds=seeds)
    processes = [start("run", spec, "--threads", "1", folder=folder) for _ in range(count)]
    answers = [process.communicate(timeout=1800)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, answers
    ended = sum("accuracy dev" in line for answer in answers for line in answer.splitlines())
    left = [path.name for path in (folder / "records").iterdir() if path.name.startswith((".tmp", ".claim"))]
    assert not left
    return {"commands": count, "runs": 2 * seeds, "recorded": len(records(folder)), "ended": ended}


def damage(folder: Path, times: int, *, seed: int) -> dict[str, Any]:
    """One file of a record altered by a byte or more, again and again: how often it is named."""
    draw = random.Random(seed)  # noqa: S311
    spec = write_spec(folder, BOTH, seeds=1)
    assert call("run", spec, "--threads", "1", folder=folder).returncode == 0
    store, named = Store(folder), 0
    files = sorted(path for path in store.records.glob("r1-*/*") if path.name != "output.txt")
    for _ in range(times):
        path = draw.choice(files)
        content = path.read_bytes()
        at, length = draw.randrange(len(content)), draw.choice([1, 1, 10, len(content)])
        change = draw.choice([b"", bytes([content[at] ^ draw.randrange(1, 256)]) + content[at + 1 : at + length]])
        path.write_bytes(content[:at] + change + content[at + length :])
        try:
            store.check(path.parent.name)
        except DamageError as error:
            named += path.name in str(error)
        path.write_bytes(content)
    assert not count_damaged(folder)
    return {"alterations": times, "named": named}


def render(found: dict[str, Any]) -> str:
    """`table.md`."""
    kills, many, altered, fuzz = found["kills"], found["twins"], found["damage"], found["fuzz"]
    by = ", ".join(f"{number} {kind}" for kind, number in kills["kills"].items())
    total, outlived = sum(kills["kills"].values()), kills["longest_survival_seconds"]
    rows = [
        (
            "kills",
            f"{total} SIGKILLs at random moments ({by}), {kills['experiments']} experiments, {kills['runs']} runs",
            f"{kills['damaged_records']} records damaged; a worker outlived its parent by at most {outlived} s; "
            "weights, scores and steps as undisturbed",
        ),
        *(
            (
                f"{one['commands']} commands at once",
                f"{one['runs']} runs in one folder",
                f"{one['recorded']} recorded, {one['ended']} made",
            )
            for one in many
        ),
        ("damage", f"{altered['alterations']} files of records altered", f"{altered['named']} named"),
        ("fuzz", f"{sum(fuzz['specs'].values())} experiment files", said(fuzz["specs"])),
        ("fuzz", f"{sum(fuzz['records'].values())} files of records", said(fuzz["records"])),
    ]
    lines = ["# Stress", "", "| what | how much | what came of it |", "|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", f"Measured {found['measured']} on {found['machine']}; made by `make stress`."]
    return "\n".join(lines) + "\n"


def said(ends: dict[str, int]) -> str:
    return ", ".join(f"{number} {end}" for end, number in ends.items()) + ", no traceback"


def main(target: Path) -> None:
    from stress.fuzz import fuzz_records, fuzz_specs

    from bakeoff import hardware

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": hardware.environment((), threads=hardware.usable_threads()).hardware,
            "kills": kill(folder / "kills", 200, seeds=5, seed=1),
            "twins": [twins(folder / f"twins-{count}", count, seeds=4) for count in (2, 8)],
            "damage": damage(folder / "damage", 1000, seed=1),
        }
        for part in ("specs", "records"):
            (folder / part).mkdir()
        found["fuzz"] = {"specs": fuzz_specs(folder / "specs", 1000), "records": fuzz_records(folder / "records", 300)}
    target.mkdir(parents=True, exist_ok=True)
    (target / "measurements.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (target / "table.md").write_text(render(found), encoding="utf-8")
    print(render(found))


if __name__ == "__main__":
    toybox = str(Path(__file__).parents[1] / "thirdparty" / "toybox")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [toybox, os.environ.get("PYTHONPATH")]))
    main(Path(sys.argv[1]))
