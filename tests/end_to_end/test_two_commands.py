"""Two commands on one folder: one is suspended and loses its run, or both make failed runs again. No good record is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, start, wait_until, write_spec

from bakeoff.files import HOST
from bakeoff.planning.runs import Run
from bakeoff.records import claims
from bakeoff.records.record_files import dump
from bakeoff.records.schema import RECORD_FILE, Failure, Record
from bakeoff.records.store import Store
from bakeoff.runner import scheduler
from bakeoff.runner.scheduler import Scheduler
from bakeoff.runner.supervisor import Supervisor

SLOWLY = {"manual-loop": {"trainer": "torch-loop", "recipe": {"epochs": 200}}}
QUICKLY = {"manual-loop": {"trainer": "torch-loop"}}


def suspend(process: subprocess.Popen[str]) -> None:
    """With all its workers, as Ctrl-Z does and a lid that is closed."""
    os.killpg(process.pid, signal.SIGSTOP)


def wake(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGCONT)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "records").iterdir() if path.name.startswith("."))


@pytest.fixture
def suspended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder and the command that is suspended there, in the middle of its only run; a minute is a second from now on."""
    folder = tmp_path / "e"
    first = start("run", write_spec(folder, SLOWLY, checkpoint_every=50), folder=tmp_path, start_new_session=True)
    wait_until(lambda: [*folder.glob("records/.checkpoints-*/step-*")])
    suspend(first)
    monkeypatch.setattr(claims, "STALE_SECONDS", 1.0)
    yield folder, first
    if first.poll() is None:
        os.killpg(first.pid, signal.SIGKILL)
    first.communicate()


def test_who_lost_its_claim_publishes_no_failure_and_leaves_the_claim_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "e"
    look, theirs = Scheduler.poll, b'{"host": "elsewhere", "process": 1, "token": "theirs"}'

    def lose(self: Scheduler) -> list[Record]:
        (path,) = folder.glob("records/.claim-*")
        path.write_bytes(theirs)
        if not [*folder.glob("records/.tmp-*/output.txt")]:
            return look(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Scheduler, "poll", lose)
    answer = call("run", write_spec(folder, SLOWLY), folder=tmp_path)
    assert answer.returncode == 130
    assert records(folder) == {}
    (claim,) = left(folder)
    assert (folder / "records" / claim).read_bytes() == theirs


def test_a_record_that_was_complete_when_its_claim_was_lost_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is lost between the last byte of the record and the end of the run's process."""
    folder = tmp_path / "e"
    watch, lost = Supervisor.poll, list[Path]()

    def lose(self: Supervisor) -> Record | None:
        if lost or not (self.folder / RECORD_FILE).exists():
            return watch(self)
        lost.extend(folder.glob("records/.claim-*"))
        lost[0].write_text(json.dumps({"host": HOST, "process": os.getpid(), "token": "theirs"}))
        monkeypatch.setattr(scheduler, "CLAIM_SECONDS", 0.0)
        return None

    monkeypatch.setattr(claims, "STALE_SECONDS", 1.0)
    monkeypatch.setattr(Supervisor, "poll", lose)
    answer = call("run", write_spec(folder, QUICKLY), folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (record,) = records(folder).values()
    assert (record["status"], record["attempts"]) == ("ok", [])
    assert [name for name in left(folder) if name.startswith(".tmp-")] == []
    assert answer.stderr.count(": started") == 1, "nobody makes again what is complete"


@pytest.mark.slow
def test_a_command_that_lost_its_run_while_it_was_suspended_publishes_no_interruption(suspended: Any, tmp_path: Path) -> None:
    """Once the second is at the run, the first goes on and is stopped at once: the second's good record stands alone."""
    folder, first = suspended

    def wake_and_stop() -> None:
        wait_until(lambda: len([*folder.glob("records/.tmp-r1-*")]) == 2)
        wake(first)
        first.send_signal(signal.SIGINT)

    other = threading.Thread(target=wake_and_stop)
    other.start()
    answer = call("run", folder / "spec.yaml", folder=tmp_path)
    other.join()
    _, err = first.communicate(timeout=300)
    assert first.returncode == 130, err
    assert "another process has" in err
    assert answer.returncode == 0, answer.stderr
    (record,) = records(folder).values()
    assert (record["status"], record["attempts"]) == ("ok", [])
    assert record["resumed_at"], "it went on from the first one's checkpoint"
    assert left(folder) == []


@pytest.mark.slow
def test_a_command_that_lost_its_run_leaves_it_to_the_other_and_ends_well(suspended: Any, tmp_path: Path) -> None:
    folder, first = suspended

    def wake_later() -> None:
        wait_until(lambda: len([*folder.glob("records/.tmp-r1-*")]) == 2)
        wake(first)

    other = threading.Thread(target=wake_later)
    other.start()
    answer = call("run", folder / "spec.yaml", folder=tmp_path)
    other.join()
    _, err = first.communicate(timeout=300)
    assert (first.returncode, answer.returncode) == (0, 0), err + answer.stderr
    (record,) = records(folder).values()
    assert (record["status"], record["attempts"]) == ("ok", [])
    assert left(folder) == []


def failed_one(folder: Path) -> Record:
    """The only record of the folder, as if its run had crashed."""
    (path,) = folder.glob(f"records/r1-*/{RECORD_FILE}")
    record = Record.model_validate_json(path.read_bytes())
    failure = Failure(reason="crashed", message="killed by SIGSEGV", phase="train")
    record = record.model_copy(update={"status": "failed", "failure": failure, "scores": {}})
    path.write_bytes(dump(record))
    return record


def test_a_run_that_another_command_made_again_meanwhile_is_not_made_a_third_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one publishes between this one's decision and its claim."""
    folder = tmp_path / "e"
    spec = write_spec(folder, QUICKLY)
    assert call("run", spec, folder=tmp_path).returncode == 0
    (path,) = folder.glob(f"records/r1-*/{RECORD_FILE}")
    good = path.read_bytes()
    failed = failed_one(folder)
    begin = Scheduler.start

    def after_the_other(self: Scheduler, run: Run) -> bool:
        other = Store(folder)
        made = other.begin(run.id)
        for file in path.parent.iterdir():
            (made / file.name).write_bytes(file.read_bytes())
        (made / RECORD_FILE).write_bytes(good)
        assert other.publish(made, run.id, instead_of=other.mark(run.id))
        return begin(self, run)

    monkeypatch.setattr(Scheduler, "start", after_the_other)
    answer = call("run", spec, "--retry", "failed", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "started" not in answer.stderr
    assert path.read_bytes() == good
    (aside,) = folder.glob(f"records/.replaced-*/{RECORD_FILE}")
    assert aside.read_bytes() == dump(failed)
    assert "attempt (1 crashed)" in (folder / "table.md").read_text()


@pytest.mark.long
def test_two_retries_at_once_make_the_run_once(tmp_path: Path) -> None:
    folder = tmp_path / "e"
    spec = write_spec(folder, QUICKLY)
    assert call("run", spec, folder=tmp_path).returncode == 0
    failed_one(folder)
    both = [start("run", spec, "--retry", "failed", folder=tmp_path) for _ in range(2)]
    told = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum(one.count(": started") for one in told) == 1
    (record,) = records(folder).values()
    assert (record["status"], [attempt["reason"] for attempt in record["attempts"]]) == ("ok", ["crashed"])
    assert len([*folder.glob("records/.replaced-*")]) == 1


def test_a_retry_that_is_interrupted_leaves_the_failure_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "e"
    spec = write_spec(folder, QUICKLY)
    assert call("run", spec, folder=tmp_path).returncode == 0
    failed = failed_one(folder)

    def stopped(self: Scheduler) -> list[Record]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Scheduler, "poll", stopped)
        assert call("run", spec, "--retry", "failed", folder=tmp_path).returncode == 130
    (record,) = records(folder).values()
    assert record == json.loads(dump(failed))
    assert left(folder) == []


def test_a_good_record_that_is_made_again_stands_until_a_new_one_does(tmp_path: Path) -> None:
    """`--retry unkept` whose run fails loses no scores."""
    folder = tmp_path / "e"
    spec = write_spec(folder, QUICKLY)
    assert call("run", spec, folder=tmp_path).returncode == 0
    before = records(folder)
    spec.write_text(spec.read_text() + "keep: final\nrun_timeout: 0.01\n")
    answer = call("run", spec, "--retry", "unkept", folder=tmp_path)
    assert answer.returncode == 1, answer.stderr
    assert "timed out" in answer.stderr
    assert records(folder) == before
    assert "1 failed attempt" in (folder / "table.md").read_text()


def test_time_in_which_a_command_was_suspended_is_none_of_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks at a run more than its whole timeout goes by."""
    look, real, ahead = Scheduler.poll, time.monotonic, [0.0]

    def after_an_hour(self: Scheduler) -> list[Record]:
        ahead[0] = 3600.0
        return look(self)

    monkeypatch.setattr(time, "monotonic", lambda: real() + ahead[0])
    monkeypatch.setattr(Scheduler, "poll", after_an_hour)
    answer = call("run", write_spec(tmp_path / "e", QUICKLY, run_timeout=600), folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert [record["status"] for record in records(tmp_path / "e").values()] == ["ok"]


TOY_FILE = (
    "name: toy\ntasks: [toy-file]\nmodels: [tiny-bert]\nrecipe: {epochs: 2, batch_size: 8, learning_rate: 1e-3}\nstrategies:\n"
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has a folder whose only run was recorded whole when its command, suspended just then, was killed; and its data."""
    place = tmp_path_factory.mktemp("killed")
    folder, data = place / "e", place / "data"
    data.mkdir()
    (data / "rows.csv").write_text("\n".join(f"{'ab'[number % 2]} {number},{number % 2}" for number in range(24)))
    first = start("run", write_spec(folder, QUICKLY, head=TOY_FILE), "--data", data, folder=place)
    wait_until(lambda: [*folder.glob("records/.tmp-r1-*/output.txt")])  # its worker has made it
    first.send_signal(signal.SIGSTOP)  # it alone: its worker goes on
    wait_until(lambda: [*folder.glob(f"records/.tmp-r1-*/{RECORD_FILE}")])
    first.kill()
    first.communicate()
    assert records(folder) == {}
    return place


@pytest.fixture
def whole_but_unpublished(killed: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of both."""
    for name in ("e", "data"):
        shutil.copytree(killed / name, tmp_path / name)
    return tmp_path / "e", tmp_path / "data"


@pytest.mark.slow
def test_a_run_that_was_whole_when_its_command_was_killed_is_not_made_again(
    whole_but_unpublished: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, data = whole_but_unpublished
    answer = call("run", folder / "spec.yaml", "--data", data, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "started" not in answer.stderr
    assert len(records(folder)) == 1
    assert left(folder) == []


@pytest.mark.slow
def test_a_run_that_was_left_whole_is_compared_with_the_data_that_are_there_now(
    whole_but_unpublished: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, data = whole_but_unpublished
    path = data / "rows.csv"
    path.write_text(path.read_text() + "\nsomething else,1")
    spec = write_spec(folder, QUICKLY, head=TOY_FILE, seeds=2)
    answer = call("run", spec, "--data", data, folder=tmp_path)
    assert answer.returncode == 2
    assert "1 recorded run" in answer.stderr
    assert len(records(folder)) == 1
    again = call("run", spec, "--data", data, "--changed", "rerun", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert [name[:10] for name in left(folder)] == [".replaced-"]
    assert len({json.dumps(record["data"]["splits"]) for record in records(folder).values()}) == 1


def test_a_claim_that_somebody_removes_is_made_again_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, removed = Scheduler.poll, 0

    def remove_claims(scheduler: Scheduler) -> list[Record]:
        nonlocal removed
        for path in scheduler.store.records.glob(".claim-*"):
            path.unlink()
            removed += 1
        return look(scheduler)

    monkeypatch.setattr(Scheduler, "poll", remove_claims)
    monkeypatch.setattr("bakeoff.runner.scheduler.CLAIM_SECONDS", 0.0)
    answer = call("run", write_spec(tmp_path / "e", QUICKLY), folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert removed > 1
    assert answer.stderr.count("started") == 1
    assert "taken it over" not in answer.stderr
    assert left(tmp_path / "e") == []
