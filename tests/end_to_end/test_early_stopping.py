"""Early stopping as a user asks for it: when it stops, in which trainers, what is recorded, and what is refused."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from end_to_end.experiments import call, records, start, wait_until, write_spec

from bakeoff.training.evaluation import Patience

HEAD = """
name: stopping
tasks: [{name: toy, size: 24}]
models: [tiny-bert]
recipe: {epochs: 9, batch_size: 8, learning_rate: RATE, max_length: 32, early_stopping: {patience: 2}}
strategies:
"""
LOOPS = {"loop": {"trainer": "torch-loop"}, "api": {"trainer": "hf-trainer"}, "fast": {"trainer": "fast-loop"}}


@pytest.mark.parametrize(
    ("scores", "more", "stops"),
    [
        ([0.5], 0.0, False),
        ([0.5, 0.5, 0.5], 0.0, True),
        ([0.5, 0.6, 0.5], 0.0, False),
        ([0.5, 0.6, 0.5, 0.6], 0.0, True),
        ([0.5, 0.51, 0.52], 0.05, True),
        ([0.5, 0.52, 0.53, 0.53], 0.03, True),
        ([0.5, 0.52, 0.54, 0.56], 0.03, False),
        ([0.5, 0.52, 0.56, 0.57], 0.03, False),
    ],
)
def test_patience_counts_evaluations_without_a_better_score(scores: list[float], more: float, stops: bool) -> None:
    assert Patience(2, more, higher_is_better=True).is_out(scores) == stops
    assert Patience(2, more, higher_is_better=False).is_out([-score for score in scores]) == stops


@pytest.mark.slow
def test_every_loop_stops_at_the_same_epoch_and_the_record_tells(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, LOOPS, head=HEAD.replace("RATE", "1.0e-12"), select="best-on-dev")  # too slow to change answers
    done = call("run", spec, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for name, record in records(tmp_path).items():
        assert record["observed"]["optimizer_steps"] == 9, name
        assert (record["selection"]["evaluations"], record["selection"]["chosen_epoch"]) == (3, 1), name
        assert record["cost"]["flops"], name
    whole = write_spec(tmp_path / "whole", {"loop": LOOPS["loop"]}, head=HEAD.replace("RATE", "1.0e-12"), select="best-on-dev")
    whole.write_text(whole.read_text().replace("patience: 2", "patience: 20"))
    assert call("run", whole, folder=tmp_path).returncode == 0
    (record,) = records(tmp_path / "whole").values()
    assert (record["observed"]["optimizer_steps"], record["selection"]["evaluations"]) == (27, 9)


@pytest.mark.slow
def test_strategies_that_stop_at_other_epochs_are_compared_and_nobody_is_blamed(tmp_path: Path) -> None:
    rows = {
        "slow": {"trainer": "torch-loop"},
        "patient": {"trainer": "torch-loop", "recipe": {"early_stopping": {"patience": 4}}},
    }
    spec = write_spec(tmp_path, rows, head=HEAD.replace("RATE", "1.0e-12"), select="best-on-dev", seeds=3)
    assert call("run", spec, folder=tmp_path).returncode == 0
    steps = {name: record["observed"]["optimizer_steps"] for name, record in records(tmp_path).items()}
    assert {(steps[f"slow/{seed}"], steps[f"patient/{seed}"]) for seed in range(3)} == {(9, 15)}
    found = json.loads(call("table", tmp_path, "--json", folder=tmp_path).stdout)
    (pair,) = found["groups"][0]["to_baseline"]
    assert (pair["verdict"] == "confounded", pair["confounders"]) == (False, [])
    named = {warning["name"] for warning in found["warnings"]}
    assert not named & {"unpaired-seeds", "unequal-budgets", "recipe-not-followed"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("every", "evaluate"), [*(pytest.param(every, None, marks=pytest.mark.long) for every in (5, 30)), (5, 10)]
)
def test_a_run_that_is_killed_stops_where_the_undisturbed_one_does(every: int, evaluate: int | None, tmp_path: Path) -> None:
    """Also where a checkpoint is due at the end of each epoch, 30 steps, when it is not known yet whether training goes on; and
    where dev is evaluated within the epochs."""

    def made(folder: Path) -> Path:
        head = HEAD.replace("RATE", "1.0e-3").replace("size: 24", "size: 240")
        if evaluate:
            head = head.replace("max_length: 32", f"max_length: 32, evaluate_every: {evaluate}")
            head = head.replace("patience: 2", "patience: 9")
        return write_spec(folder, {"loop": LOOPS["loop"]}, head=head, select="best-on-dev", checkpoint_every=every)

    assert call("run", made(tmp_path / "whole"), folder=tmp_path).returncode == 0
    spec = made(tmp_path / "killed")
    first = start("run", spec, folder=tmp_path)
    checkpoints = ".checkpoints-*/step-*/manifest.json"  # complete ones
    wait_until(lambda: list((tmp_path / "killed" / "records").glob(checkpoints)))
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    assert call("run", spec, folder=tmp_path).returncode == 0
    whole, killed = (records(tmp_path / name)["loop/0"] for name in ("whole", "killed"))
    assert killed["resumed_at"]
    for what in ("weights", "selection"):
        assert killed[what] == whole[what]


@pytest.mark.parametrize(
    ("recipe", "keys"),
    [
        ({}, {}),
        ({"early_stopping": {"patience": 0}}, {"select": "best-on-dev"}),
        ({"early_stopping": {}}, {"select": "best-on-dev"}),
        ({"early_stopping": {"patience": 2, "min_delta": -1}}, {"select": "best-on-dev"}),
    ],
)
def test_what_cannot_stop_is_refused_at_its_line(recipe: dict[str, Any], keys: dict[str, Any], tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {"loop": {**LOOPS["loop"], "recipe": recipe}}, head=HEAD.replace("RATE", "1e-3"), **keys)
    refused = call("check", spec, folder=tmp_path)
    assert (refused.returncode, "early_stopping" in refused.stderr + refused.stdout) == (2, True)


def test_a_metric_that_the_task_does_not_have_is_named_before_any_run(tmp_path: Path) -> None:
    recipe = {"early_stopping": {"patience": 2, "metric": "acuracy"}}
    spec = write_spec(
        tmp_path, {"loop": {**LOOPS["loop"], "recipe": recipe}}, head=HEAD.replace("RATE", "1e-3"), select="best-on-dev"
    )
    refused = call("run", spec, folder=tmp_path)
    assert (refused.returncode, "'accuracy'" in refused.stderr) == (2, True)
    assert not (tmp_path / "records").exists()
