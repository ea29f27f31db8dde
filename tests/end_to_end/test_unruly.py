"""A trainer with bad manners harms its own run at most: the record names it, and the experiment goes on with its other runs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from end_to_end.experiments import call, records, time_is_up, write_spec
from messages import tells

from bakeoff.machine import hardware
from bakeoff.records.store import Store
from bakeoff.runner import supervisor as supervision

LINGERING = "86400.25"
"""As the trainer has it."""
SECONDS = 600
"""That a run may take; they are over as soon as the deaf trainer hears nothing any more."""
UNRULY = str(Path(__file__).parents[1] / "thirdparty" / "unruly")
HEAD = """
name: unruly
tasks: [{name: toy, size: 20}]
models: [tiny-bert]
recipe: {epochs: 1, batch_size: 8, learning_rate: 1e-3, max_length: 32}
strategies:
"""
BY_HAND = r" \(phase (train|save): trainer unruly of unruly(, model tiny-bert of bakeoff)?\)"
"""How the words of a record end that the run's own process could not write."""

LEFT = "; trainer unruly of unruly, or another plugin of the run, made it, and a record may have regular files only"

FAILS = {
    "removes its folder": ("crashed", f"its folder was removed; exit code 1{BY_HAND}"),
    "leaves another's record": ("crashed", f"the worker wrote the record of run 'r1-[0-9a-f]+' in place of run r1-.*{BY_HAND}"),
    "says no JSON": ("error", f"5 bytes .*are not a message: hello{BY_HAND}"),
    "exits at once": ("crashed", f"exit code 0{BY_HAND}"),
    "raises no exception": ("error", r"Leaving: so long \(unruly.py:[0-9]+\)"),
}
FAILS_TOO = {
    "litters": ("error", re.escape(r"'mod el/x\n' in the run's folder is a file with a name that no record can hold" + LEFT)),
    "litters and raises": ("error", r"ValueError: so long \(unruly.py:[0-9]+\)"),
    "leaves a link": ("error", re.escape("'data' in the run's folder is a symbolic link" + LEFT)),
    "leaves a FIFO": ("error", re.escape("'fifo' in the run's folder is a named pipe (FIFO)" + LEFT)),
    "says an unknown phase": ("error", f"its process sent what is no report of progress: .*{BY_HAND}"),
    "exits": ("error", r"SystemExit: 0 \(unruly.py:[0-9]+\)"),
    "kills its parent": ("crashed", f"killed by SIGKILL .*{BY_HAND}"),
    "leaves no record": ("crashed", f"its record.json is damaged: id: Field required{BY_HAND}"),
    "makes its folder a link": ("crashed", f"its folder was removed; .*is a symbolic link.*{BY_HAND}"),
    "leaves a folder as record": ("crashed", f"its record.json cannot be read: it is a folder, not a file{BY_HAND}"),
    "says another shape": ("error", f"3 bytes .*are not a message: .*{BY_HAND}"),
    "says what nests deep": ("error", f"200000 bytes .*are not a message: .*{BY_HAND}"),
    "says a huge step": ("error", f"its process sent what is no report of progress: .*{BY_HAND}"),
    "says half a word": ("error", f"[0-9]+ bytes .*are not a message: .*{BY_HAND}"),
    "says too much": ("error", f"over 67108864 bytes .*are not a message{BY_HAND}"),
    "stops its guard": ("crashed", f"exit code 3{BY_HAND}"),
    "kills its server": ("crashed", f"exit code 255{BY_HAND}"),
    "is deaf": ("timed out", "it took over 600 s"),
}
WELL = ("changes folder", "closes its pipes", "leaves children", "makes copies of itself")
WELL_TOO = ("makes a session", "clears its environment", "floods", "raises in a copy")
REMARKED = {"exits with 3 at exit": "exit code 3", "hangs at exit": "it went on for 1 s after its record was complete"}
REMARKED_TOO = {"segfaults at exit": "killed by SIGSEGV", "leaves a thread": "it went on for 1 s after its record was complete"}


@pytest.fixture(autouse=True)
def _unruly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(UNRULY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [UNRULY, os.environ.get("PYTHONPATH")])))
    monkeypatch.setattr(supervision, "EXIT_SECONDS", 1.0)
    deaf = named("is deaf")
    time_is_up(monkeypatch, lambda run: run.run.strategy.name == deaf and (run.folder.parents[1] / "deaf").exists())


def named(fault: str) -> str:
    return re.sub("[^a-zA-Z0-9]", "-", fault)


def perform(folder: Path, faults: Sequence[str]) -> tuple[int, str, dict[str, dict[str, Any]]]:
    """An experiment of a good run, one of each fault, and another good one: exit code, what was told, records by fault."""
    strategies: dict[str, Any] = {"good": {"trainer": "torch-loop"}}
    for fault in faults:
        strategies[named(fault)] = {"trainer": {"name": "unruly", "fault": fault, "records": str(folder / "records")}}
    strategies["good-too"] = {"trainer": "torch-loop", "recipe": {"epochs": 2}}
    answer = call("run", write_spec(folder, strategies, head=HEAD, run_timeout=SECONDS), folder=folder)
    found = {name.removesuffix("/0"): record for name, record in records(folder).items()}
    return answer.returncode, answer.stderr, {fault: found[named(fault)] for fault in ("good", "good-too", *faults)}


def lingering() -> list[int]:
    """Processes that an unruly trainer has left."""
    return [process.pid for process in psutil.process_iter(["cmdline"]) if LINGERING in (process.info["cmdline"] or [])]


def hold(folder: Path, fails: dict[str, tuple[str, str]], well: Sequence[str], remarked: dict[str, str]) -> None:
    """The experiment, held against what becomes of each of these faults."""
    code, told, found = perform(folder, [*fails, *well, *remarked])
    assert code == (1 if fails else 0), told
    assert "Traceback" not in told
    assert [found[name]["failure"] for name in ("good", "good-too")] == [None, None]
    for fault, (reason, message) in fails.items():
        failure = found[fault]["failure"]
        assert failure["reason"] == reason, fault
        assert re.fullmatch(message, failure["message"]), fault
        assert found[fault]["requested"]["trainer"]["distribution"] == "unruly"
        left = {path.name for path in (folder / "records" / found[fault]["id"]).iterdir()}
        assert left <= {"record.json", "output.txt", "traceback.txt"}, fault
    for fault in (*well, *remarked):
        assert found[fault]["status"] == "ok", found[fault]["failure"]
        assert found[fault]["weights"]["final_sha256"] == found["good"]["weights"]["final_sha256"], fault
        printed = folder / "records" / found[fault]["id"] / "output.txt"
        assert not printed.exists() or 0 < printed.stat().st_size < 2**16 + 100, fault
        if fault == "floods":
            text = printed.read_text()
            assert (text[:11], text[-14:]) == ("line 000000", "the last line\n")
    assert {fault: found[fault]["process_notes"] for fault in well} == {fault: [] for fault in well}
    for fault, how in remarked.items():
        (remark,) = found[fault]["process_notes"]
        assert how in remark
        assert "trainer unruly of unruly" in remark
    store = Store(folder)
    assert [store.check(run_id).status for run_id in store.recorded_ids()].count("ok") == len(well) + len(remarked) + 2
    assert not list((folder / "records").glob(".[tc]*")), "neither .tmp- nor .claim-"
    assert lingering() == []


@pytest.mark.slow
def test_an_unruly_trainer_harms_its_own_run_at_most(tmp_path: Path) -> None:
    hold(tmp_path, FAILS, WELL, REMARKED)


@pytest.mark.long
def test_whatever_an_unruly_trainer_does_the_experiment_goes_on(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "of-the-user").touch()
    hold(tmp_path, FAILS_TOO, WELL_TOO, REMARKED_TOO)
    assert (tmp_path / "elsewhere" / "of-the-user").exists(), "the command follows no link"


@pytest.mark.slow
@pytest.mark.skipif(hardware.usable_threads() < 2, reason="two processes need two cores")
def test_a_run_of_two_processes_that_do_not_end_is_whole(tmp_path: Path) -> None:
    """Each rank has a thread that never ends. In another run they leave a link in the folder around their own."""
    options = {"name": "unruly", "records": str(tmp_path / "records")}
    two = {
        name: {"trainer": {**options, "fault": fault}, "recipe": {"processes": 2}}
        for name, fault in {"two": "leaves a thread", "linked": "leaves a link"}.items()
    }
    answer = call("run", write_spec(tmp_path, two, head=HEAD), "--threads", "2", folder=tmp_path)
    assert answer.returncode == 1, answer.stderr
    found = records(tmp_path)
    linked, record = found["linked/0"], found["two/0"]
    assert tells(linked["failure"]["message"], "'data' ", "symbolic link; ", "trainer unruly of unruly")
    assert not (tmp_path / "records" / linked["id"] / "data").is_symlink()
    assert record["status"] == "ok"
    (remark,) = record["process_notes"]
    assert "record was complete" in remark
