"""The loop: experiments that are disturbed in ways drawn by a seed, finished, and held against an undisturbed one."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from stress.commands import Start
from stress.disturbances import DISTURBANCES
from stress.invariants import ANSWER, MACHINE, Witness, failures, good_records, results, unkept
from stress.scene import HANGS, STRATEGIES, WITH_CHILDREN, Scene

SIGNALS = "signals"

AT_ONCE = 4
"""Disturbances of one command at most; then it is interrupted, or left alone."""

DISTURBED = 12
"""How often an experiment is disturbed at most."""


@dataclass(frozen=True)
class Round:
    """What was done to one experiment, and what came of it."""

    number: int
    kinds: list[str]
    runs: int
    commands: int
    seconds: float
    done: Counter[tuple[str, str]]
    """(kind of disturbance, what was done) -> how often."""
    signals: Counter[tuple[str, str]]
    """(kind of process, signal) -> how many were sent."""
    checked: Counter[str]
    broken: list[tuple[str, str]] = field(default_factory=list)
    outlived: float = 0.0


def play(
    folder: Path,
    *,
    seed: int,
    number: int,
    kinds: Sequence[str],
    disturbances: int,
    seeds: int = 2,
    dress: Sequence[Callable[[Start], None]] = (),
) -> Round:
    """One experiment, disturbed so many times and then finished.

    `folder` is made, and removed where nothing went wrong; `dress` changes how its commands are started.
    """
    began, draw = time.monotonic(), random.Random(f"{seed}/{number}")  # noqa: S311 - nobody is to be kept from guessing
    scene = Scene(folder, draw, seeds=seeds, dressing=[*dress])
    if draw.random() < 1 / 2:
        scene.keys["keep"] = "final"
    if draw.random() < 1 / 3:
        scene.strategies = STRATEGIES | WITH_CHILDREN
    elif draw.random() < 2 / 3:
        scene.keys["checkpoint_every"] = 10
    folder.mkdir(parents=True)
    with scene.closing:
        for kind in kinds:
            DISTURBANCES[kind].prepare(scene)
        scene.write()
        witness = Witness(scene)
        scene.look = witness.look
        disturb(scene, witness, kinds, disturbances)
        finish(scene, witness)
        witness.look_at_the_end(undisturbed(folder.parent, scene.variant, seeds, tuple(scene.strategies)))
    if not witness.broken:
        shutil.rmtree(folder)
    return Round(
        number=number,
        kinds=sorted({*kinds}),
        runs=scene.runs,
        commands=len(scene.commands),
        seconds=round(time.monotonic() - began, 1),
        done=scene.done,
        signals=scene.signals,
        checked=witness.checked,
        broken=witness.broken,
        outlived=witness.outlived,
    )


def disturb(scene: Scene, witness: Witness, kinds: Sequence[str], disturbances: int) -> None:
    """Starts commands until so much has been done to them, or everything is recorded."""
    left, before = disturbances, scene.done.total()
    while left > 0 and len(good_records(scene.experiment)) < scene.runs:
        scene.start()
        for _ in range(scene.draw.randint(2, AT_ONCE)):
            scene.await_moment()
            if not scene.alive():
                break
            kind = scene.draw.choice(kinds)
            if what := DISTURBANCES[kind].disturb(scene):
                scene.done[kind, what] += 1
            witness.look()
        witness.look_between(scene.end())
        for kind in kinds:
            witness.check(ANSWER, DISTURBANCES[kind].between(scene))
        left = disturbances - max(1, scene.done.total() - before)
        disturbances -= 1  # a command that ended before anything was done to it counts as well: the loop ends


def finish(scene: Scene, witness: Witness) -> None:
    """Makes what is missing, undisturbed."""
    answer_whole(scene, witness)
    failed = [f"{record.id} {record.failure.reason}: {record.failure.message}" for record in failures(scene.experiment)]
    if not scene.excused:
        witness.check(MACHINE, failed)
    if failed:
        answer_whole(scene, witness, "--retry", "failed")
    if scene.keys.get("keep") == "final" and unkept(scene.experiment):
        scene.replaced |= set(unkept(scene.experiment))
        answer_whole(scene, witness, "--retry", "unkept")


def answer_whole(scene: Scene, witness: Witness, *more: str) -> None:
    with interrupted_after(HANGS):
        answer = scene.call(*scene.arguments, *more)
    fine = answer.returncode in {0, 1} and "Traceback" not in answer.stderr
    witness.check(ANSWER, "" if fine else f"the undisturbed command ends with {answer.returncode}: {answer.stderr[-400:]}")
    witness.look()


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Ctrl-C for the command in this process where it takes longer."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@cache
def undisturbed(folder: Path, variant: int, seeds: int, strategies: tuple[str, ...]) -> dict[str, Any]:
    """The results of the experiment with that version of the data."""
    chosen = {name: one for name, one in (STRATEGIES | WITH_CHILDREN).items() if name in strategies}
    calm = Scene(folder / f"undisturbed-{variant}-{len(chosen)}", strategies=chosen, seeds=seeds, variant=variant)
    calm.folder.mkdir(parents=True)
    calm.write()
    answer = calm.call(*calm.arguments)
    assert answer.returncode == 0, answer.stderr
    return results(calm.experiment)


def numbered(number: int, folder: Path, seed: int, kinds: Sequence[str]) -> Round:
    """The round of that number: signals, mostly, and two of the other kinds."""
    others, draw = [kind for kind in kinds if kind != SIGNALS], random.Random(f"{seed}/{number}/kinds")  # noqa: S311 - as above
    drawn = [SIGNALS] * 3 + draw.sample(others, min(2, len(others)))
    return play(folder / f"round-{number}", seed=seed, number=number, kinds=drawn, disturbances=DISTURBED)
