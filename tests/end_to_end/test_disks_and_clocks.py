"""A full disk, a folder that turns read-only: each is named, recorded of no run, and nothing is lost."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, write_spec
from messages import tells

from bakeoff.errors import MachineError
from bakeoff.records import claims
from bakeoff.records.store import Store
from bakeoff.training.job import Job
from bakeoff.training.worker import perform

LOOP = {"manual-loop": {"trainer": "torch-loop"}}
LONGER = {"manual-loop": {"trainer": "torch-loop", "recipe": {"epochs": 20}}}
"""60 steps."""
PLANTED = Path(__file__).parents[1] / "thirdparty" / "planted"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S607


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)  # noqa: S607


def fill(path: Path) -> None:
    """Writes until nothing more fits."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(descriptor, b"\0" * 4096)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)


def leftovers(folder: Path) -> list[str]:
    """What lies beside the records, checkpoints apart."""
    names = [path.name for path in (folder / "records").iterdir()]
    return sorted(name for name in names if not name.startswith((".checkpoints-", "r1-", "plan.json")))


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("records/.checkpoints-*/*"))


@pytest.mark.slow
def test_a_disk_that_fills_up_at_a_checkpoint_is_no_error_of_the_run(small_disk: Path, tmp_path: Path) -> None:
    """Nothing is recorded of any run, the whole checkpoint stays, and with room again the same command goes on from it."""
    remount(small_disk, "size=2m")  # one checkpoint of 1.08 MB fits
    folder = small_disk / "e"
    spec = write_spec(folder, LONGER, seeds=2, checkpoint_every=20)
    stopped = call("run", spec, folder=tmp_path)
    assert stopped.returncode == 2, stopped.stderr
    last = stopped.stderr.splitlines()[-1]
    assert re.match(rf"{folder}/records/\.checkpoints-r1-\w+: .* \(1,08\d,\d{{3}} bytes .* [\d,]+ bytes", last)
    assert "Traceback" not in stopped.stderr
    assert stopped.stderr.count(": started") == 1, "the second run is not tried on a full disk"
    assert (records(folder), leftovers(folder)) == ({}, [])
    assert checkpoints(folder) == ["step-000000020"]
    remount(small_disk, "size=8m")
    again = call("run", spec, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    made = records(folder)
    assert {name: record["resumed_at"] for name, record in made.items()} == {"manual-loop/0": [20], "manual-loop/1": []}
    assert [record["attempts"] for record in made.values()] == [[], []]
    assert (leftovers(folder), checkpoints(folder)) == ([], [])


@pytest.mark.slow
def test_runs_beside_the_one_that_finds_no_room_are_stopped_and_go_on(small_disk: Path, tmp_path: Path) -> None:
    remount(small_disk, "size=4m")  # room for three checkpoints, where two runs keep two each
    folder = small_disk / "e"
    spec = write_spec(folder, LONGER, seeds=2, checkpoint_every=10)
    stopped = call("run", spec, "--jobs", "2", "--threads", "1", folder=tmp_path)
    assert stopped.returncode == 2, stopped.stderr
    assert os.strerror(errno.ENOSPC) in stopped.stderr.splitlines()[-1]
    assert (records(folder), leftovers(folder)) == ({}, [])
    left = {name[:5] for name in checkpoints(folder)}
    assert left - {".tmp-"} == {"step-"}, "the run beside may have been stopped while it wrote one"
    remount(small_disk, "size=16m")
    again = call("run", spec, "--jobs", "2", "--threads", "1", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert all(record["resumed_at"] for record in records(folder).values())


@pytest.mark.slow
def test_only_the_model_finds_no_room(small_disk: Path, tmp_path: Path) -> None:
    remount(small_disk, "size=256k")
    spec = write_spec(small_disk / "e", LOOP, keep="final")
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 1, answer.stderr
    (record,) = records(small_disk / "e").values()
    assert record["status"] == "ok"
    assert re.match(r".* \([\d,]+ bytes .* [\d,]+ bytes are free\)$", record["kept"]["reason"])
    assert call("verify", small_disk / "e", folder=tmp_path).returncode == 0
    remount(small_disk, "size=8m")
    again = call("run", spec, "--retry", "unkept", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    (made,) = records(small_disk / "e").values()
    assert (made["kept"]["reason"], made["weights"], made["attempts"]) == (None, record["weights"], [])


@pytest.mark.slow
def test_a_model_that_is_made_again_and_finds_no_room_again_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    spec = write_spec(small_disk / "e", LOOP)
    assert call("run", spec, folder=tmp_path).returncode == 0
    (before,) = records(small_disk / "e").values()
    spec.write_text(spec.read_text() + "keep: final\n")
    fill(small_disk / "filling")
    answer = call("run", spec, "--retry", "unkept", folder=tmp_path)
    assert answer.returncode == 2, answer.stderr
    assert [*records(small_disk / "e").values()] == [before]


def a_request(folder: Path, **more: Any) -> Any:
    from bakeoff_planted_bench import plan_of, requests_of

    plan = plan_of(folder, "{one: {trainer: torch-loop}}", recipe="{epochs: 3, batch_size: 4, learning_rate: 1e-3}")
    return requests_of(plan)["one"].model_copy(update=more)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PLANTED)
    return a_request(tmp_path)


def test_a_disk_that_is_full_when_the_training_has_ended_leaves_no_record(
    asked: Any, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, check = small_disk / "run", Job.check
    folder.mkdir()

    def then_full(self: Job, **more: Any) -> None:
        check(self, **more)
        fill(small_disk / "filling")

    monkeypatch.setattr(Job, "check", then_full)
    with pytest.raises(
        MachineError, match=rf"^{folder}.*No space left on device \([\d,]+ bytes are needed and 0 bytes are free\)"
    ):
        perform(asked, folder)
    assert not (folder / "record.json").exists()


def test_a_folder_of_a_librarys_own_that_is_full_is_named(
    asked: Any, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trainer that writes to TMPDIR, where nothing of the run lies."""
    import tempfile

    import torch

    begin = Job.begin_step

    def and_write(self: Job, step: int) -> None:
        begin(self, step)
        with tempfile.TemporaryDirectory(dir=small_disk) as folder:
            torch.save({"a": torch.zeros(2**20)}, Path(folder) / "mine.pt")

    monkeypatch.setenv("TMPDIR", str(small_disk))
    monkeypatch.setattr(Job, "begin_step", and_write)
    (tmp_path / "run").mkdir()
    with pytest.raises(MachineError, match=rf"^{small_disk}: {os.strerror(errno.ENOSPC)}"):
        perform(asked, tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_run_needs_no_room_in_the_cache(asked: Any, small_disk: Path, tmp_path: Path) -> None:
    fill(small_disk / "filling")
    (tmp_path / "run").mkdir()
    record = perform(asked.model_copy(update={"cache": small_disk / "cache"}), tmp_path / "run")
    assert record.status == "ok"


@pytest.mark.slow
def test_a_cache_without_room_for_a_model_that_is_kept_is_named_before_any_run(small_disk: Path, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "e", LOOP, keep="final")
    (small_disk / "cache").mkdir()
    fill(small_disk / "filling")
    stopped = call("run", spec, folder=small_disk)
    assert stopped.returncode == 2, stopped.stderr
    assert re.match(rf"{small_disk}/cache.*: {os.strerror(errno.ENOSPC)} \(", stopped.stderr.splitlines()[-1])
    assert not (tmp_path / "e" / "records").exists()


@pytest.mark.slow
def test_a_process_that_dies_where_a_disk_is_full_may_have_died_of_that(small_disk: Path, tmp_path: Path) -> None:
    """A page of a mapped file that finds no room kills its process."""
    spec = write_spec(tmp_path / "e", {"dies": {"trainer": "segfaults"}})
    (small_disk / "cache").mkdir()
    fill(small_disk / "filling")
    stopped = call("run", spec, folder=small_disk)
    assert stopped.returncode == 2, stopped.stderr
    assert tells(stopped.stderr.splitlines()[-1], f"{small_disk / 'cache'}: ", os.strerror(errno.ENOSPC))
    assert (records(tmp_path / "e"), leftovers(tmp_path / "e")) == ({}, [])
    (small_disk / "filling").unlink()
    assert call("run", spec, folder=small_disk).returncode == 1
    assert [record["failure"]["reason"] for record in records(tmp_path / "e").values()] == ["crashed"]


@pytest.mark.slow
@pytest.mark.parametrize("kib", [24, pytest.param(36, marks=pytest.mark.long)])
def test_several_processes_for_a_run_tell_a_full_disk_too(small_disk: Path, tmp_path: Path, kib: int) -> None:
    """Whether it fills up at the first folders of a run or when the last of it is written."""
    remount(small_disk, f"size={kib}k")
    spec = write_spec(small_disk / "e", {"two": {"trainer": "torch-loop", "recipe": {"processes": 2}}})
    stopped = call("run", spec, "--threads", "2", folder=tmp_path)
    assert stopped.returncode == 2, stopped.stderr
    assert os.strerror(errno.ENOSPC) in stopped.stderr.splitlines()[-1]
    assert (records(small_disk / "e"), leftovers(small_disk / "e")) == ({}, [])


def test_a_full_disk_is_named_and_what_was_recorded_stays(small_disk: Path, tmp_path: Path) -> None:
    spec = write_spec(small_disk / "e", LOOP)
    assert call("run", spec, folder=tmp_path).returncode == 0
    before = records(small_disk / "e")
    spec = write_spec(small_disk / "e", LOOP, seeds=2)
    filling = small_disk / "filling"
    fill(filling)
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2, answer.stderr
    assert os.strerror(errno.ENOSPC) in answer.stderr
    assert "Traceback" not in answer.stderr
    assert records(small_disk / "e") == before
    filling.unlink()
    again = call("run", spec, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(records(small_disk / "e")) == 2
    assert call("verify", small_disk / "e", folder=tmp_path).returncode == 0


def test_a_folder_that_turned_read_only_is_named_and_its_table_can_be_read(small_disk: Path, tmp_path: Path) -> None:
    spec = write_spec(small_disk / "e", LOOP)
    assert call("run", spec, folder=tmp_path).returncode == 0
    write_spec(small_disk / "e", LOOP, seeds=2)
    remount(small_disk, "ro")
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2
    assert "Read-only file system" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert call("verify", small_disk / "e", folder=tmp_path).stdout.startswith("1 of 1 records are undamaged\n")


def test_two_records_of_one_moment_do_not_mix(tmp_path: Path) -> None:
    """Folders in the making never share a name, whatever the clock says."""
    store = Store(tmp_path)
    store.records.mkdir()
    first, second = store.begin("r1-0"), store.begin("r1-0")
    assert first != second
    for number, folder in enumerate((first, second)):
        (folder / "record.json").write_text(str(number))
    assert store.publish(first, "r1-0")
    assert not store.publish(second, "r1-0"), "the first one stands"
    assert (store.records / "r1-0" / "record.json").read_text() == "0"
    assert [path.name for path in store.records.iterdir()] == ["r1-0"]


@pytest.mark.parametrize("done", [pytest.param("moved", marks=pytest.mark.slow), "deleted"])
def test_a_folder_that_is_gone_while_its_runs_are_made_rises_no_more(
    tmp_path: Path, done: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first word of the second run."""
    from bakeoff.runner.scheduler import Scheduler

    spec, look = write_spec(tmp_path / "e", LONGER, seeds=2), Scheduler.poll

    def take_away(scheduler: Scheduler) -> list[Any]:
        if scheduler.store.recorded_ids() and spec.parent.exists():
            if done == "moved":
                spec.parent.rename(tmp_path / "moved")
            else:
                shutil.rmtree(spec.parent)
        return look(scheduler)

    monkeypatch.setattr(Scheduler, "poll", take_away)
    monkeypatch.setattr(claims, "STALE_SECONDS", 1.0)  # this process lives on, and its claim went along
    answer = call("run", spec, folder=tmp_path)
    assert answer.returncode == 2
    assert "moved, deleted or replaced" in answer.stderr.splitlines()[-1]
    assert not spec.parent.exists()
    if done == "moved":
        monkeypatch.setattr(Scheduler, "poll", look)
        again = call("run", tmp_path / "moved" / "spec.yaml", folder=tmp_path)
        assert again.returncode == 0, again.stderr
        assert len(records(tmp_path / "moved")) == 2


@pytest.mark.slow
def test_a_disk_that_is_full_while_times_are_measured_is_named_and_an_earlier_timing_stays(
    small_disk: Path, tmp_path: Path
) -> None:
    spec = write_spec(small_disk / "e", LONGER)
    measure = ("time", spec, "--threads", "1", "--budget", "0.3", "--within", "90")
    assert call(*measure, folder=tmp_path).returncode == 0
    costs = Store(small_disk / "e").costs_file
    before = costs.read_bytes()
    fill(small_disk / "full")
    stopped = call(*measure, folder=tmp_path)
    assert stopped.returncode == 2
    assert "No space left on device" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert costs.read_bytes() == before
    assert leftovers(small_disk / "e") == ["costs.json"]
    (small_disk / "full").unlink()
    assert call(*measure, folder=tmp_path).returncode == 0
    assert costs.read_bytes() != before
