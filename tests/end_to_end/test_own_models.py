"""Strategies with models of their own, from the file to the tables: alone on one leaderboard, and beside a grid."""

from __future__ import annotations

from pathlib import Path

import pytest
from end_to_end.experiments import call, records, write_spec

import bakeoff
from bakeoff.analysis.comparison import compare
from bakeoff.records.load import load_experiment

pytestmark = pytest.mark.slow

HEAD = """
name: toy
tasks: [{name: toy, size: 20}]
recipe: {epochs: 1, batch_size: 8, learning_rate: 1e-3, max_length: 16}
strategies:
"""
SMALL, LARGE = {"name": "tiny-bert", "layers": 1}, {"name": "tiny-bert", "layers": 2}


def test_models_of_strategies_are_compared_on_one_leaderboard_and_beside_a_grid_from_the_same_runs(tmp_path: Path) -> None:
    small = {"trainer": "torch-loop", "model": SMALL}
    longer = {"trainer": "torch-loop", "model": LARGE, "recipe": {"max_length": 32}}
    alone = write_spec(tmp_path / "alone", {"small": small, "large": longer}, head=HEAD)
    assert "2 done now" in call("run", alone, folder=tmp_path).stdout
    (group,) = compare(load_experiment([alone.parent])).groups
    assert {row.strategy: row.ranking for row in group.rows} == {"small": 0, "large": 0}
    assert group.under_test == ["model", "recipe.max_length"]
    assert [pair.confounders for pair in group.to_baseline] == [[]]
    assert {row.strategy: row.facts["parameters"] for row in group.rows}["large"] > group.rows[0].facts["parameters"]

    wide = {"name": "tiny-bert", "layers": 1, "hidden_size": 24}
    grid = write_spec(
        tmp_path / "grid",
        {"full": {"trainer": "torch-loop"}, "wide": {"trainer": "torch-loop", "model": wide}},
        head=HEAD.replace("recipe:", "models: [{name: tiny-bert, layers: 1}, {name: tiny-bert, layers: 2}]\nrecipe:"),
    )
    assert "3 done now" in call("run", grid, folder=tmp_path).stdout
    found, small = bakeoff.load(grid.parent).runs["run"], records(alone.parent)["small/0"]["id"]
    assert len(found) == 3
    assert small in set(found)  # `full` on the first model
    groups = compare(load_experiment([grid.parent])).groups
    assert [[row.strategy for row in group.rows] for group in groups] == [["full", "wide"]] * 2
    assert set(bakeoff.compare(bakeoff.load(grid.parent)).leaderboard["strategy"]) >= {"full", "wide"}
    assert "nothing left to do" in call("plan", grid, folder=tmp_path).stdout
