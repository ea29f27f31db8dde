"""A strategy held against itself: with other seed streams it must not come out as better or worse more often than it may."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from end_to_end.experiments import environment

from bakeoff.analysis.comparison import compare
from bakeoff.records.experiment import Experiment
from bakeoff.records.load import load_experiment

TESTS = Path(__file__).parents[1]
PAIRS = 200
SPEC = """
name: aa
tasks: [temper]
models: [tiny-bert]
recipe: {max_steps: 100, batch_size: 16, learning_rate: 5e-3, warmup: 0.1, max_length: 16}
seeds: 3
strategies:
  arm-0: {trainer: torch-loop}
"""


def train(folder: Path, *, arms: int, processes: int = 2) -> Experiment:
    """All arms: the first strategy and its replicates, trained for real."""
    lines = [f"  arm-{number}: {{same_as: arm-0, replicate: {number}}}" for number in range(1, arms)]
    spec = folder / "spec.yaml"
    spec.write_text(SPEC + "\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "end_to_end.many_runs", str(spec), str(folder)]
    parts = [
        subprocess.Popen([*command, str(part), str(processes)], env=environment(folder), cwd=TESTS) for part in range(processes)
    ]
    assert [part.wait(timeout=1500) for part in parts] == [0] * processes
    return load_experiment([folder])


def duel(experiment: Experiment, first: str, second: str) -> Experiment:
    """The same records, of these two arms alone."""
    runs = [run for run in experiment.declared.runs if run.strategy in (first, second)]
    declared = experiment.declared.model_copy(update={"runs": runs, "baseline": second})
    ids = {run.id for run in runs}
    return replace(experiment, declared=declared, records=tuple(record for record in experiment.records if record.id in ids))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_strategy_and_its_replicate_are_seldom_told_apart(tmp_path: Path) -> None:
    """200 pairs of arms that share no run; at most 16 (8 %) may end as better or worse, where 5 % is nominal."""
    experiment = train(tmp_path, arms=2 * PAIRS)
    verdicts: Counter[str] = Counter()
    for number in range(PAIRS):
        (group,) = compare(duel(experiment, f"arm-{2 * number + 1}", f"arm-{2 * number}")).groups
        (pair,) = group.to_baseline
        verdicts[pair.verdict] += 1
    print(json.dumps(verdicts))
    scores = [record.scores["test"]["accuracy"] for record in experiment.records]
    floor = next(record.data.majority_baseline["test"]["accuracy"] for record in experiment.records if record.data)
    assert sum(scores) / len(scores) > floor + 0.1, "the arms must have learnt something, or the test tests nothing"
    assert len(set(scores)) > 20, "the arms must differ"
    assert verdicts.total() == PAIRS
    assert verdicts["better"] + verdicts["worse"] <= 0.08 * PAIRS, verdicts
    assert not verdicts["confounded"]
    assert not verdicts["identical"]
