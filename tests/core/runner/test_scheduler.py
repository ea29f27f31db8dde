"""Runs side by side: when another one may start, and which devices it gets."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from messages import tells

from bakeoff.contracts.task import Paths
from bakeoff.machine import hardware
from bakeoff.runner.scheduler import Scheduler
from bakeoff.runner.settings import Settings

GIB = 2**30


class Notes(list[str]):
    """A progress that keeps what is said."""

    def note(self, line: str) -> None:
        self.append(line)


@pytest.fixture
def scheduler() -> Scheduler:
    """Two runs under way of three that may be; the larger took 2 GiB."""
    settings = Settings(paths=Paths(None, Path()), jobs=3)
    made = Scheduler(None, None, settings, Notes(), sources={}, reruns={})  # type: ignore[arg-type]  # neither is asked for here
    made.active = [SimpleNamespace(), SimpleNamespace()]  # type: ignore[list-item]
    made.largest = 2 * GIB
    return made


def with_free(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=memory))


def test_another_run_starts_where_memory_for_it_is_free(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(8 * GIB, monkeypatch)
    assert scheduler.has_room()
    assert scheduler.progress == []


def test_where_memory_is_short_it_waits_and_says_so_once(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(int(1.5 * GIB), monkeypatch)
    assert not scheduler.has_room()
    assert not scheduler.has_room()
    (line,) = scheduler.progress
    assert tells(line, "only 1.5 GiB ", "2.0 GiB: ", "next run")
    with_free(8 * GIB, monkeypatch)
    assert scheduler.has_room(), "when others have ended"


def test_a_lone_run_starts_whatever_is_free(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(0, monkeypatch)
    scheduler.active.clear()
    assert scheduler.has_room(), "else the experiment would never end"


def test_no_more_start_than_there_are_jobs(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(100 * GIB, monkeypatch)
    scheduler.active.append(SimpleNamespace())  # type: ignore[arg-type]
    assert not scheduler.has_room()


@pytest.mark.parametrize(
    ("visible", "place", "processes", "own"),
    [
        ("", 0, 1, ["0"]),
        ("", 1, 1, ["1"]),
        ("", 1, 2, ["2", "3"]),
        ("4,6", 1, 1, ["6"]),
        ("4,5,6,7", 1, 2, ["6", "7"]),
        ("4", 1, 1, []),
    ],
)
def test_runs_under_way_get_devices_of_their_own(
    visible: str, place: int, processes: int, own: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(hardware.ALL_DEVICES, visible)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    hardware.take_devices(place, processes)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == (own[0] if own else ""), "a process sees one"
    if own:
        hardware.show_all_devices()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(own), "and its processes share the run's"
