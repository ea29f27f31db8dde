"""Peaks and joules are measured, or said to be unmeasured."""

from __future__ import annotations

import sys
from mmap import mmap
from pathlib import Path

import pytest
from messages import tells

from bakeoff.machine.memory_energy import EnergyCounter, forget_peak_memory, peak_memory_bytes


def test_peak_memory_forgets_and_grows() -> None:
    forget_peak_memory()
    before = peak_memory_bytes()
    with mmap(-1, 64 * 2**20) as block:  # pages of its own: what malloc gives may be there since an earlier test
        for place in range(0, len(block), 4096):
            block[place] = 1
        assert peak_memory_bytes() >= before + 32 * 2**20


def test_a_cuda_device_without_a_counter_is_unmeasured_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        type = "cuda"

    monkeypatch.setitem(sys.modules, "pynvml", None)  # as where nvidia-ml-py is not installed
    counter = EnergyCounter()
    counter.watch(Device())
    joules, note = counter.joules()
    assert joules is None
    assert tells(note, "the device's energy", "unmeasured: ")
    assert "pynvml" in note


def test_a_cuda_devices_joules_are_those_since_the_watch_began(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        type = "cuda"

    readings = iter([1000.0, 1042.5])
    monkeypatch.setattr("bakeoff.machine.memory_energy.device_energy", lambda device: lambda: next(readings))
    counter = EnergyCounter()
    counter.watch(Device())
    assert counter.joules() == (42.5, "NVML, the whole device, idle power included")


@pytest.mark.parametrize("last", [3.0, 1000.0])
def test_energy_that_is_negative_or_nothing_is_unmeasured(monkeypatch: pytest.MonkeyPatch, last: float) -> None:
    class Device:
        type = "cuda"

    readings = iter([1000.0, last])
    monkeypatch.setattr("bakeoff.machine.memory_energy.device_energy", lambda device: lambda: next(readings))
    counter = EnergyCounter()
    counter.watch(Device())
    assert counter.joules() == (None, "unmeasured: the device's energy counter was reset, or did not change")


def test_a_counter_of_the_processor_that_stands_still_measures_nothing(tmp_path: Path) -> None:
    """As in some virtual machines."""
    (tmp_path / "energy_uj").write_text("0")
    counter = EnergyCounter()
    counter.zones = [tmp_path]
    counter._before = counter._read()
    assert counter.joules() == (None, "unmeasured: the RAPL counter did not change")
    (tmp_path / "energy_uj").write_text("2500000")
    assert counter.joules()[0] == 2.5


def test_a_counter_that_fails_at_the_end_is_unmeasured_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        type = "cuda"

    def fail() -> float:
        raise RuntimeError("GPU is lost")

    readings = iter([lambda: 1000.0, fail])
    monkeypatch.setattr("bakeoff.machine.memory_energy.device_energy", lambda device: lambda: next(readings)())
    counter = EnergyCounter()
    counter.watch(Device())
    assert counter.joules() == (None, "the device's energy is unmeasured: GPU is lost")


def test_a_run_on_several_devices_does_not_pass_one_devices_energy_for_its_own() -> None:
    class Device:
        type = "cuda"

    counter = EnergyCounter()
    counter.watch(Device(), devices=2)
    joules, note = counter.joules()
    assert joules is None
    assert tells(note, "unmeasured: ", "2 devices")


def test_energy_is_measured_or_said_to_be_unmeasured() -> None:
    joules, note = EnergyCounter().joules()
    assert (joules is None) == note.startswith("unmeasured")
