"""The phases of a run add up."""

from __future__ import annotations

import time

import pytest

from bakeoff.records.schema import PHASES
from bakeoff.training.clock import Clock


def test_phases_add_up_to_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    clock = Clock()
    for later, phase in ((5.0, "load"), (5.5, "train"), (7.5, "load")):
        monkeypatch.setattr(time, "monotonic", lambda later=later: now + later)
        clock.enter(phase)
    monkeypatch.setattr(time, "monotonic", lambda: now + 8.5)
    total = clock.stop()
    assert tuple(clock.seconds) == PHASES
    assert sum(clock.seconds.values()) == pytest.approx(total)
    assert (clock.seconds["load"], clock.seconds["train"]) == pytest.approx((1.5, 2.0))
    assert total - clock.seconds["import"] == pytest.approx(3.5)
    assert clock.seconds["import"] >= 5.0, "from the start of the process"


def test_the_clock_waits_for_the_device_at_every_boundary() -> None:
    waits: list[str] = []
    clock = Clock(synchronize=lambda: waits.append(clock.phase))
    clock.enter("train")
    clock.enter("evaluate")
    clock.stop()
    assert waits == ["import", "train", "evaluate"]
