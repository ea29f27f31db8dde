"""What must hold whatever happens to an experiment: looked at while it is disturbed, between commands, and in the end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from stress.commands import Command
from stress.processes import described, living, seconds_until_gone
from stress.scene import Scene

from bakeoff.errors import BakeoffError, DamageError
from bakeoff.records.schema import Record
from bakeoff.records.store import Store

HALF_WRITTEN = (".tmp-", ".claim-", ".checkpoints-")
"""How the names begin of what only a command at work may have in its folder."""

OUTLIVED = 2.0
"""Seconds that a process of an experiment may live on when its command has ended."""

PATIENCE = 30.0

LOST, WRONG, PROCESS, HALF, DAMAGED, ANSWER, MACHINE = (
    "no good record is lost",
    "no row is wrong",
    "no process is left",
    "no file is half-written",
    "every record is whole",
    "a command ends by itself, with an exit code and without a traceback",
    "no fault of the machine is recorded as the run's",
)
INVARIANTS = {
    LOST: "a record that was once seen whole and with status ok is there, byte by byte, unless it was asked to be made again",
    WRONG: "weights, scores, steps, what the optimizer did and every prediction are those of an undisturbed experiment",
    PROCESS: f"within {OUTLIVED:g} s nothing lives whose environment names the folder",
    HALF: "an experiment that is finished holds no temporary folder, claim or checkpoint, and its plan can be read",
    DAMAGED: "schema and every checksum",
    ANSWER: "0, 1, 2 or 130, or the signal that it was sent; an error is one line (but for Python interrupted as it starts)",
    MACHINE: "full disks, closed terminals, suspensions, clocks and polite signals leave no failed run: all is made by itself",
}
"""What is checked, and what that means."""


class Witness:
    """Sees an experiment again and again, and remembers what was good and what went wrong."""

    def __init__(self, scene: Scene, *, patience: float = PATIENCE) -> None:
        """A process that lives on after so many seconds is left."""
        self.scene, self.patience = scene, patience
        self.seen: dict[str, dict[str, str]] = {}
        self.checked: Counter[str] = Counter()
        self.broken: list[tuple[str, str]] = []
        self.answered = 0
        """So many of the commands have ended, and how they did was looked at."""
        self.outlived = 0.0
        """The longest time, in seconds, that a process lived on after its command."""

    def check(self, invariant: str, wrong: list[str] | str) -> None:
        """Counts a check; `wrong` is what it found."""
        self.checked[invariant] += 1
        self.broken += [(invariant, one) for one in ([wrong] if isinstance(wrong, str) else wrong) if one]

    def look(self) -> None:
        """At any moment: what is recorded is whole, and what was good is still there."""
        for run_id, before in self.seen.items():
            folder = self.scene.experiment / "records" / run_id
            wrong = lost(folder, before)
            if wrong and run_id in self.scene.replaced:
                if folder.is_dir():  # made again; while the old one is set aside there is none
                    self.scene.replaced.remove(run_id)
            else:
                self.check(LOST, wrong)
        self.check(DAMAGED, damaged(self.scene.experiment))
        self.seen |= good_records(self.scene.experiment)

    def look_between(self, hangs: list[str]) -> None:
        """When all commands have ended."""
        self.check(ANSWER, hangs)
        for command in self.scene.commands[self.answered :]:
            self.check(ANSWER, bad_answer(command))
        self.answered = len(self.scene.commands)
        self.outlived = max(self.outlived, seconds_until_gone(self.scene.cache, limit=self.patience))
        left = [described(process) for process in living(self.scene.cache)]
        self.check(PROCESS, f"left after {self.patience:.0f} s: {', '.join(left)}" if left else "")
        self.check(MACHINE, faults_of_the_machine(self.scene.experiment))
        self.look()

    def look_at_the_end(self, expected: dict[str, Any]) -> None:
        """When the experiment was finished undisturbed."""
        self.look()
        found = results(self.scene.experiment)
        wanted = [f"{name}/{seed}" for name in self.scene.strategies for seed in range(self.scene.seeds)]
        for name in sorted({*wanted, *found}):
            self.check(WRONG, "" if found.get(name) == expected.get(name) else f"{name} is not as undisturbed")
        verified = self.scene.call("verify", self.scene.experiment)
        whole = f"{self.scene.runs} of {self.scene.runs} records are undamaged"
        said = f"verify: {verified.returncode} {verified.stdout}{verified.stderr}"
        self.check(DAMAGED, "" if said.startswith(f"verify: 0 {whole}") else said[:300])
        self.check(HALF, half_written(self.scene.experiment))


def good_records(folder: Path) -> dict[str, dict[str, str]]:
    """Run id -> file -> its hash, of the records that are whole and have status ok."""
    store, found = Store(folder), {}
    for run_id in store.recorded_ids():
        with contextlib.suppress(BakeoffError, OSError):  # `damaged` tells
            if store.check(run_id).status == "ok":
                found[run_id] = hashes(store.records / run_id)
    return found


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lost(folder: Path, before: dict[str, str]) -> str:
    """What became of a record that was good; empty where it is as it was."""
    if not folder.is_dir():
        return f"{folder.name} was good and is gone"
    changed = sorted(dict(before.items() ^ hashes(folder).items()))
    return f"{folder.name} was good; changed since: {', '.join(changed)}" if changed else ""


def damaged(folder: Path) -> list[str]:
    """A sentence for each record that is not whole; one that is being set aside just now is none."""
    store, found = Store(folder), []
    for run_id in store.recorded_ids():
        try:
            store.check(run_id)
        except DamageError as error:
            if store.occupied(run_id):
                found.append(str(error))
    return found


def failures(folder: Path) -> list[Record]:
    store = Store(folder)
    return [record for record in store.read_all()[0] if record.failure is not None]


def unkept(folder: Path) -> list[str]:
    """The runs that ended well without leaving their model."""
    found = [record for record in Store(folder).read_all()[0] if record.status == "ok"]
    return [record.id for record in found if "model/model.safetensors" not in record.files]


def faults_of_the_machine(folder: Path) -> list[str]:
    """Failed records that blame the run for a full disk, or for a disk that cannot be read or written."""
    said = ((record.id, record.failure.message) for record in failures(folder) if record.failure)
    return [f"{name} failed: {text}" for name, text in said if re.search(r"No space left|Input/output|Errno (28|5)\b", text)]


def bad_answer(command: Command) -> str:
    """What is wrong with how a command ended: its exit code, a traceback, an error without a line that says so."""
    code, text = command.process.returncode, command.output.read_text(encoding="utf-8", errors="replace")
    signals = {-number for number in command.sent} | {128 + number for number in command.sent}
    if code not in {0, 1, 2, 130} | signals:
        return f"exit code {code}: {text[-300:]}"
    if "Traceback" in text and not (signal.SIGINT in command.sent and is_python_starting(text)):
        return f"a traceback: {text[text.index('Traceback') :][-600:]}"
    return "exit code 2 without a line that says why" if code == 2 and not text.strip() and not command.unheard else ""


def is_python_starting(text: str) -> bool:
    """Whether Python itself was interrupted, before the command's own code began: nothing of ours can be said then."""
    return text.rstrip().endswith("KeyboardInterrupt") and "in main" not in text


def half_written(folder: Path) -> list[str]:
    """What a finished experiment must not hold any more."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.startswith(HALF_WRITTEN)]
    with contextlib.suppress(OSError, ValueError):
        json.loads((folder / "records" / "plan.json").read_bytes())
        return found
    return [*found, "records/plan.json cannot be read"]


def results(folder: Path) -> dict[str, Any]:
    """All of the good records that no disturbance may change, by strategy and seed."""
    found = {}
    for record in Store(folder).read_all()[0]:
        if record.status == "ok":
            kept = {"weights", "scores", "observed"}
            name = f"{record.requested.strategy}/{record.requested.seed}"
            found[name] = [
                json.loads(record.model_dump_json(include=kept)),
                record.cost.steps if record.cost else None,
                record.files["predictions.parquet"],
            ]
    return found
