"""The README's first command, for real: slow, since it trains six times."""

from __future__ import annotations

from pathlib import Path

import pytest
from end_to_end.experiments import call, records

PUBLISHED = Path(__file__).parents[2] / "results" / "quickstart"


@pytest.mark.slow
def test_the_quickstart_trains_and_then_knows_that_all_is_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    first = call("run", PUBLISHED / "spec.yaml", "--into", folder, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "6 runs: 6 done now; trained" in first.stdout
    found = records(folder)
    assert len(found) == 6
    for seed in range(3):
        assert found[f"trainer-api/{seed}"]["weights"] == found[f"manual-loop/{seed}"]["weights"]
    for record in found.values():
        for split, scores in record["scores"].items():
            assert scores["accuracy"] >= record["data"]["floor"][split]["accuracy"] + 0.10
    beside = call("table", folder, "--beside", PUBLISHED, folder=tmp_path)
    assert beside.returncode == 0, beside.stderr
    assert "trainer-api" in beside.stdout
    again = call("run", PUBLISHED / "spec.yaml", "--into", folder, folder=tmp_path)
    assert again.returncode == 0
    assert "all 6 runs are recorded" in again.stdout
