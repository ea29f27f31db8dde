"""The control run: a fixed piece of work before the first run of a call and after the last."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from end_to_end.experiments import call, sleeper, start, trains, wait_until, write_spec

from bakeoff.machine.hardware import usable_threads
from bakeoff.records.store import Store

RIGHT = {"right": {"trainer": "right"}}


@pytest.mark.slow
def test_one_before_and_one_after_where_something_is_to_be_done_and_where_it_is_wanted(tmp_path: Path) -> None:
    answer = call("run", write_spec(tmp_path, RIGHT), folder=tmp_path, control=True)
    assert answer.returncode == 0, answer.stderr
    (before, after), _ = Store(tmp_path).controls()
    assert (before.moment, after.moment) == ("before", "after")
    assert before.session == after.session
    (record,), _ = Store(tmp_path).read_all()
    for control in (before, after):
        assert control.hardware == record.environment.hardware
        assert control.threads == usable_threads()
        assert control.repetitions >= 2
        assert control.milliseconds > 0
        assert control.spread >= 0
        assert 1e9 < control.peak_flops["fp32"] < 1e15
    assert before.started <= record.started <= after.started
    again = call("run", tmp_path / "spec.yaml", folder=tmp_path, control=True)
    assert again.returncode == 0
    assert len(Store(tmp_path).controls()[0]) == 2
    threads = ("--threads", str(usable_threads()))
    unmeasured = call("run", write_spec(tmp_path, RIGHT, seeds=2), *threads, folder=tmp_path, control=False)
    assert unmeasured.returncode == 0
    assert len(Store(tmp_path).controls()[0]) == 2


@pytest.mark.long
def test_an_interrupt_leaves_only_the_one_before(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"sleeps": sleeper(tmp_path)})
    process = start("run", spec, folder=tmp_path, control=True, start_new_session=True)
    wait_until(lambda: trains(tmp_path))
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert [control.moment for control in Store(tmp_path).controls()[0]] == ["before"]
