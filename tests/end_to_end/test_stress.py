"""Disturbed at random moments, an experiment loses nothing and ends as the undisturbed one; and what breaks that is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import wait_until
from stress.commands import Command, Start
from stress.damage import damage
from stress.disturbances import DISTURBANCES
from stress.invariants import ANSWER, DAMAGED, HALF, INVARIANTS, LOST, MACHINE, PROCESS, WRONG, Witness, results
from stress.planted import BUGS
from stress.processes import MARK, living
from stress.rounds import numbered, play
from stress.scene import Scene
from stress.together import twins

from bakeoff.records.record_files import dump
from bakeoff.records.schema import Failure, Record

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
IN_CI = [pytest.param("full disks", 3, 1, id="full disks, briefly")]
OFTEN = [pytest.param(kind, 8, 2, marks=pytest.mark.long, id=kind) for kind in DISTURBANCES]
"""A minute each."""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_signals_lose_nothing_and_the_result_is_the_undisturbed_one(tmp_path: Path) -> None:
    one = play(tmp_path / "round", seed=3, number=0, kinds=["signals"], disturbances=3, seeds=1)
    assert one.broken == []
    assert one.done.total() >= 2
    assert set(one.checked) == set(INVARIANTS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "disturbances", "seeds"), [*IN_CI, *OFTEN])
def test_nothing_is_lost_by(tmp_path: Path, kind: str, disturbances: int, seeds: int) -> None:
    if why := DISTURBANCES[kind].lacks():
        pytest.skip(why)
    one = play(tmp_path / "round", seed=1, number=0, kinds=["signals", kind], disturbances=disturbances, seeds=seeds)
    assert one.broken == []
    assert {name for name, _ in one.done} <= {"signals", kind}


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_200_signals_among_all_other_disturbances(tmp_path: Path) -> None:
    kinds = [kind for kind, one in DISTURBANCES.items() if not one.lacks()]
    sent, number = 0, 0
    while sent < 200:
        one = numbered(number, tmp_path, 2, kinds)
        assert one.broken == [], f"round {number}"
        sent, number = sent + one.signals.total(), number + 1


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("commands", "seeds"), [(4, 1), (8, 3)])
def test_several_at_once_record_every_run_once(tmp_path: Path, commands: int, seeds: int) -> None:
    runs = 2 * seeds
    assert twins(tmp_path, commands, seeds=seeds) == {"commands": commands, "runs": runs, "recorded": runs, "ended": runs}


@pytest.mark.parametrize("count", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_every_altered_file_of_a_record_is_named(tmp_path: Path, count: int) -> None:
    assert damage(tmp_path, count, seed=0) == {"alterations": count, "named": count}


# --- the invariants can fail ---


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of two runs."""
    scene = Scene(tmp_path_factory.mktemp("finished"), seeds=1)
    scene.write()
    assert scene.call(*scene.arguments).returncode == 0
    return scene.folder


def alter(place: Path, fields: Callable[[Any], dict[str, Any]]) -> None:
    """Another record, as whole as the one that was there."""
    record = Record.model_validate_json((place / "record.json").read_bytes())
    (place / "record.json").write_bytes(dump(record.model_copy(update=fields(record))))


FULL = Failure(reason="error", message="OSError: [Errno 28] No space left on device", phase="save")


PLANTED: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a record is gone": (shutil.rmtree, {LOST, WRONG, DAMAGED}),
    "another record in its place": (
        lambda place: alter(place, lambda record: {"weights": record.weights.model_copy(update={"final_sha256": "0" * 64})}),
        {LOST, WRONG},
    ),
    "a file is cut off": (lambda place: (place / "steps.parquet").write_bytes(b"PAR1"), {LOST, DAMAGED}),
    "a temporary folder is left": (lambda place: (place.parent / ".tmp-r1-0").mkdir(), {HALF}),
    "a claim is left": (lambda place: (place.parent / ".claim-r1-0").touch(), {HALF}),
    "the plan is cut off": (lambda place: (place.parent / "plan.json").write_text("{"), {HALF, DAMAGED}),
    "a full disk failed the run": (
        lambda place: alter(place, lambda _: {"status": "failed", "failure": FULL, "scores": {}, "selection": None}),
        {LOST, WRONG, MACHINE},
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_what_was_done_to_a_folder_is_found(finished: Path, tmp_path: Path, case: str) -> None:
    folder = tmp_path / "round"
    shutil.copytree(finished, folder)
    witness = Witness(Scene(folder, seeds=1))
    expected = results(folder / "e")
    witness.look_between([])
    witness.look_at_the_end(expected)
    assert witness.broken == [], "nothing is wrong yet"
    spoil, found = PLANTED[case]
    spoil(sorted((folder / "e" / "records").glob("r1-*"))[0])
    witness.look_between([])
    witness.look_at_the_end(expected)
    assert {invariant for invariant, _ in witness.broken} == found


def test_a_record_that_was_asked_to_be_made_again_may_change_once(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "round"
    shutil.copytree(finished, folder)
    scene = Scene(folder, seeds=1)
    witness = Witness(scene)
    witness.look()
    places = sorted((folder / "e" / "records").glob("r1-*"))
    scene.replaced = {places[0].name}
    for number, expected in enumerate((0, 1)):
        alter(places[0], lambda _, number=number: {"started": f"2026-01-0{number + 1}T00:00:00+00:00"})
        witness.look()
        assert [invariant for invariant, _ in witness.broken].count(LOST) == expected


def test_a_process_that_is_left_is_found(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    witness = Witness(scene, patience=0.1)
    with subprocess.Popen(["sleep", "60"], env={MARK: str(scene.cache)}, start_new_session=True) as process:  # noqa: S607
        wait_until(lambda: living(scene.cache))  # its environment is there a moment after it has started
        witness.look_between([])
        process.kill()
    assert [invariant for invariant, _ in witness.broken] == [PROCESS]


@pytest.mark.parametrize(
    ("code", "printed"), [(70, ""), (-11, ""), (2, ""), (0, "Traceback (most recent call last):"), (1, "x\nTraceback (most")]
)
def test_an_answer_that_none_should_give_is_found(tmp_path: Path, code: int, printed: str) -> None:
    scene = Scene(tmp_path)
    process = subprocess.Popen(["sh", "-c", f"exit {code}" if code >= 0 else f"kill {code} $$"])  # noqa: S607
    process.wait()
    (tmp_path / "output").write_text(printed)
    scene.commands.append(Command(process, tmp_path / "output"))
    witness = Witness(scene)
    witness.look_between([])
    assert [invariant for invariant, _ in witness.broken] == [ANSWER]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("bug", "invariant"), [("loses_a_record", LOST), ("leaves_a_process", PROCESS), ("ends_in_a_traceback", ANSWER)]
)
def test_a_bug_of_the_command_is_found_by_a_round(tmp_path: Path, bug: str, invariant: str) -> None:
    def with_the_bug(start: Start) -> None:
        start.command = [sys.executable, str(Path(sys.modules[BUGS[bug].__module__].__file__ or "")), bug]

    one = play(tmp_path / "round", seed=1, number=0, kinds=["several commands"], disturbances=2, seeds=1, dress=[with_the_bug])
    assert invariant in {name for name, _ in one.broken}
