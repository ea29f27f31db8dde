"""The phases of a run add up."""

from __future__ import annotations

import time

import pytest

from bakeoff.records.schema import PHASES
from bakeoff.training.clock import Clock


def test_phases_add_up_to_a_total_measured_apart() -> None:
    clock = Clock()
    began = time.monotonic()
    clock.enter("load")
    time.sleep(0.05)
    clock.enter("train")
    time.sleep(0.1)
    clock.enter("load")
    time.sleep(0.05)
    total = clock.stop()
    assert tuple(clock.seconds) == PHASES
    assert sum(clock.seconds.values()) == pytest.approx(total)
    assert clock.seconds["load"] >= 0.1
    assert clock.seconds["train"] >= 0.1
    assert 0.2 <= clock.seconds["load"] + clock.seconds["train"] <= time.monotonic() - began


def test_the_clock_waits_for_the_device_at_every_boundary() -> None:
    waits: list[str] = []
    clock = Clock(synchronize=lambda: waits.append(clock.phase))
    clock.enter("train")
    clock.enter("evaluate")
    clock.stop()
    assert waits == ["import", "train", "evaluate"]
