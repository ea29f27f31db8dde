"""linear-probe against a full fine-tuning of three epochs, each for all of MRPC."""

from __future__ import annotations

import json
import os
import statistics
import time
from typing import Any

import pytest
from benchmarks.speed import STEPS, TrainerLoop, material
from benchmarks.timing import say

EPOCHS, BATCH_SIZE, ROUNDS = 3, 8, 4


@pytest.mark.skipif("BAKEOFF_DATA" not in os.environ, reason="needs the official MRPC files in BAKEOFF_DATA")
def test_linear_probe_trains_in_a_fraction_of_the_time_of_full(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Target: 30 times faster than torch-loop with the same recipe, its steps taken from medians."""
    import torch

    from bakeoff.machine.hardware import usable_threads
    from bakeoff.training.data import epoch_batches

    torch.set_num_threads(usable_threads())
    given = material("minilm")
    order = epoch_batches(len(given.encoded), BATCH_SIZE, seed=0, replicate=0, epoch=0)
    steps_of_a_turn = STEPS["cpu"]
    full = TrainerLoop(given, BATCH_SIZE, torch.device("cpu"), "torch-loop")
    seconds: dict[str, list[float]] = {"full": [], "linear-probe": [], "linear-probe bf16": []}

    def turns() -> None:
        for number in range(ROUNDS):
            steps = full.turn(order[number * steps_of_a_turn : (number + 1) * steps_of_a_turn])[1:]
            seconds["full"].append(statistics.median(steps) * len(order) * EPOCHS)
            for name in ("linear-probe", "linear-probe bf16"):
                seconds[name].append(probe(given, "bf16" if name.endswith("bf16") else "fp32"))

    benchmark.pedantic(turns, rounds=1)
    benchmark.extra_info.update(
        seconds={name: [round(value, 1) for value in values] for name, values in seconds.items()},
        times_as_fast={
            name: round(statistics.median(a / b for a, b in zip(seconds["full"], values, strict=True)), 1)
            for name, values in seconds.items()
        },
    )
    say(capsys, json.dumps(benchmark.extra_info, indent=1))


def probe(given: Any, precision: str) -> float:
    """Seconds of one training."""
    import torch

    from bakeoff.contracts.model import Built
    from bakeoff.contracts.registry import load_registry
    from bakeoff.kinds import CLASSIFICATION
    from bakeoff.plugin import Recipe
    from bakeoff.training.fed_batches import Examples, StepSchedule
    from bakeoff.training.job import Job

    registry = load_registry()
    trainer, method = registry.get("trainer", "linear-probe").component, registry.get("method", "head-only").component
    recipe = Recipe(precision=precision)
    adaptation = method.adapt(Built(given.build(), ()), method.Options(), recipe)
    examples = Examples(given.encoded, given.labels)
    schedule = StepSchedule(len(examples), recipe, (0, 0))
    job = Job(adaptation, given.prepared, examples, schedule, mean_loss=CLASSIFICATION.mean_loss, device=torch.device("cpu"))
    began = time.perf_counter()
    trainer.fit(job, trainer.Options())
    return time.perf_counter() - began
