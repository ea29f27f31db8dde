"""The README's first command, for real: slow, since it trains twice, or six times."""

from __future__ import annotations

from pathlib import Path

import pytest
from end_to_end.experiments import call, records
from messages import tells

PUBLISHED = Path(__file__).parents[2] / "results" / "quickstart"


@pytest.mark.long
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_quickstart_trains_and_then_knows_that_all_is_recorded(tmp_path: Path, seeds: int) -> None:
    folder, spec = tmp_path / "runs", tmp_path / "spec.yaml"
    text = (PUBLISHED / "spec.yaml").read_text(encoding="utf-8")
    assert "\nseeds: 3\n" in text
    spec.write_text(text.replace("\nseeds: 3\n", f"\nseeds: {seeds}\n"), encoding="utf-8")
    first = call("run", spec, "--into", folder, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    assert tells(first.stdout, "", f"{2 * seeds} runs: ", f"{2 * seeds} done now; ")
    found = records(folder)
    assert len(found) == 2 * seeds
    for seed in range(seeds):
        assert found[f"trainer-api/{seed}"]["weights"] == found[f"manual-loop/{seed}"]["weights"]
    for record in found.values():
        for split, scores in record["scores"].items():
            assert scores["accuracy"] >= record["data"]["majority_baseline"][split]["accuracy"] + 0.10
    beside = call("table", folder, "--beside", PUBLISHED, folder=tmp_path)
    assert beside.returncode == 0, beside.stderr
    assert "trainer-api" in beside.stdout
    again = call("run", spec, "--into", folder, folder=tmp_path)
    assert again.returncode == 0
    assert tells(again.stdout, "", f"all {2 * seeds} runs ")
