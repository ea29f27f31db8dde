"""`make stress`: experiments under disturbances, several commands at once, damage and fuzz, and what came of them.

`python -m stress FOLDER --seed N` writes `measurements.json` and `table.md`; started again after it was stopped, it goes on.
`--round M` plays one round alone, keeps its folder where something went wrong, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from stress.damage import damage
from stress.disturbances import DISTURBANCES
from stress.every_file import Fuzz
from stress.fuzz import fuzz_specs
from stress.kinds_of_files import kinds as kinds_of_files
from stress.rounds import Round, numbered
from stress.table import render
from stress.together import twins

from bakeoff.records.provenance import environment

SIGNALS = 200

UNFINISHED = ".tmp-measurements.json"
"""What was measured so far, beside the place of the whole; git ignores it."""

Found = dict[str, Any]


def main(words: Sequence[str]) -> int:
    asked = parsed(words)
    toybox = str(Path(__file__).parents[1] / "thirdparty" / "toybox")
    sys.path.insert(0, toybox)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [toybox, os.environ.get("PYTHONPATH")]))
    skipped = {kind: why for kind, one in DISTURBANCES.items() if (why := one.lacks())}
    for kind, why in skipped.items():
        print(f"skipped: {kind}: {why}", file=sys.stderr)
    kinds = [kind for kind in (asked.kinds or DISTURBANCES) if kind not in skipped]
    folder = Path(tempfile.mkdtemp(prefix="stress-"))
    if asked.round is not None:
        one = numbered(asked.round, folder, asked.seed, kinds)
        tell(one, folder, asked.seed)
        return 1 if one.broken else 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    unfinished = asked.folder / UNFINISHED
    found = begun(
        unfinished, {"seed": asked.seed, "signals": asked.signals, "kinds": kinds, "skipped": skipped, "commit": commit()}
    )
    while step := next_step(found, folder, asked):
        began = time.monotonic()
        step()
        found["minutes"] += (time.monotonic() - began) / 60
        unfinished.write_text(json.dumps(found), encoding="utf-8")
    found |= {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    (asked.folder / "measurements.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (asked.folder / "table.md").write_text(render(found), encoding="utf-8")
    unfinished.unlink()
    print(render(found))
    return 1 if any(one["broken"] for one in found["rounds"]) or found["fuzz"]["faults"] else 0


def parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stress", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where measurements.json and table.md are written")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signals", type=int, default=SIGNALS, help="rounds are played until so many were sent")
    parser.add_argument("--round", type=int, help="play this one alone, and keep its folder where something went wrong")
    parser.add_argument("--kinds", nargs="+", choices=DISTURBANCES, help="disturb in these ways only")
    asked = parser.parse_args(words)
    if (asked.folder is None) == (asked.round is None):
        parser.error("give a folder, or the number of a round to play alone")
    return asked


def begun(unfinished: Path, asked: Found) -> Found:
    """What was measured before, where the same was asked for; else nothing yet."""
    try:
        before: Found = json.loads(unfinished.read_bytes())
    except FileNotFoundError:
        before = {}
    if asked.items() <= before.items():
        print(f"going on after round {len(before['rounds']) - 1}", file=sys.stderr)
        return before
    return {**asked, "minutes": 0.0, "rounds": []}


def next_step(found: Found, folder: Path, asked: argparse.Namespace) -> Callable[[], None] | None:
    """What is to be measured next, and puts its result into `found`; None where nothing is left."""

    def one_round() -> None:
        found["rounds"].append(as_json(one := numbered(len(found["rounds"]), folder, asked.seed, found["kinds"])))
        tell(one, folder, asked.seed)

    def part(name: str) -> None:
        found[name] = PARTS[name](folder / name)

    if sum(sum(sent.values()) for one in found["rounds"] for sent in one["signals"].values()) < found["signals"]:
        return one_round
    left = [name for name in PARTS if name not in found]
    return partial(part, left[0]) if left else None


def several(folder: Path) -> list[Found]:
    return [twins(folder / f"{count}", count, seeds=4) for count in (2, 8)]


def fuzzed(folder: Path, cases: int = 1000) -> Found:
    (folder / "specs").mkdir(parents=True)
    ends = Fuzz(folder / "files", kinds_of_files()).run(cases, seed=1)
    return {"specs": fuzz_specs(folder / "specs", cases), "files": dict(ends.counts), "faults": ends.faults}


PARTS: dict[str, Callable[[Path], Any]] = {
    "twins": several,
    "damage": lambda folder: damage(folder, 1000, seed=1),
    "fuzz": fuzzed,
}
"""What is measured besides the rounds."""


def tell(one: Round, folder: Path, seed: int) -> None:
    """How a round went, and where it went wrong the command that plays it again."""
    done = "; ".join(f"{kind}: {what} ({count})" for (kind, what), count in sorted(one.done.items()))
    print(f"round {one.number}: {one.commands} commands, {one.seconds:.0f} s. {done}", file=sys.stderr, flush=True)
    for invariant, what in one.broken:
        print(f"  BROKEN, {invariant}: {what}", file=sys.stderr)
    if one.broken:
        again = f"cd tests && ../.venv/bin/python -m stress --seed {seed} --round {one.number}"
        print(f"  left in {folder}/round-{one.number}; again: {again}", file=sys.stderr, flush=True)


def as_json(one: Round) -> Found:
    return {**vars(one), "done": nested(one.done), "signals": nested(one.signals)}


def nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """One dictionary for each first word."""
    found: dict[str, dict[str, int]] = {}
    for (first, second), count in sorted(counts.items()):
        found.setdefault(first, {})[second] = count
    return found


def commit() -> str:
    """Of the code that is measured, where it lies in a repository."""
    done = subprocess.run(["git", "rev-parse", "--short=9", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip() or "unknown"


def machine() -> str:
    from bakeoff.machine import hardware

    return environment((), threads=hardware.usable_threads()).hardware


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
