"""SIGKILL at any moment loses at most the runs under way and damages nothing; many commands share one folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from stress.kills import OUTLIVED, damage, kill, twins

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.long)])
def test_kills_lose_nothing_and_the_result_is_the_undisturbed_one(tmp_path: Path, kills: int) -> None:
    found = kill(tmp_path, kills, seeds=2, seed=kills)
    assert sum(found["kills"].values()) == kills
    assert set(found["kills"]) == {"parent", "fork server", "worker"}
    assert found["damaged_records"] == 0
    assert found["longest_survival_seconds"] <= OUTLIVED


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_eight_at_once_record_every_run_once(tmp_path: Path) -> None:
    assert twins(tmp_path, 8, seeds=3) == {"commands": 8, "runs": 6, "recorded": 6, "ended": 6}


def test_every_altered_file_of_a_record_is_named(tmp_path: Path) -> None:
    assert damage(tmp_path, 300, seed=0) == {"alterations": 300, "named": 300}
