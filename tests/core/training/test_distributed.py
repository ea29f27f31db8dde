"""Who of several processes computes what, and what is said of one that ends."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from bakeoff.contracts.method import Adaptation
from bakeoff.contracts.recipe import Recipe
from bakeoff.kinds import CLASSIFICATION
from bakeoff.training.distributed import ALONE, World, ending
from bakeoff.training.fed_batches import Examples, StepSchedule
from bakeoff.training.job import Job


def job_of(world: World, **recipe: Any) -> Job:
    """A job over 29 examples, of which nothing is trained."""
    nothing: Any = None
    examples = Examples([{"input_ids": [row]} for row in range(29)], [0] * 29)
    return Job(
        Adaptation(nothing, ()),
        nothing,
        examples,
        StepSchedule(29, Recipe(**recipe), (0, 0), world),
        mean_loss=CLASSIFICATION.mean_loss,
        device=nothing,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("recipe", [{"batch_size": 7}, {"batch_size": 8, "micro_batch_size": 4}], ids=["plain", "accumulated"])
def test_the_ranks_shares_of_a_batch_are_the_batch(size: int, recipe: dict[str, int]) -> None:
    jobs = [job_of(World(rank, size), **recipe) for rank in range(size)]
    alone = job_of(ALONE, **recipe)
    for batch in alone.batches(0):
        assert all(job.batches(0) == alone.batches(0) for job in jobs)
        shares = [job.micro_batches(batch) for job in jobs]
        together = [part for share in shares for part in share]
        assert sorted(row for part in together if part.weight for row in part.rows) == sorted(batch), "each row once"
        assert sum(part.weight for part in together) == pytest.approx(1)
        assert all(part.weight == pytest.approx(len(part.rows) / len(batch)) for part in together if part.weight)
        assert {len(share) for share in shares} == {len(alone.micro_batches(batch))}, "as many forward passes in each"
        assert all(part.rows for part in together), "a rank without a row has one that carries no weight"


def test_random_streams_differ_between_ranks_and_not_between_worlds() -> None:
    import torch

    draws = {}
    for world in (ALONE, World(0, 2), World(1, 2), World(1, 3)):
        job = job_of(world, max_steps=1)
        job.begin_step(0)
        draws[world] = float(torch.rand(1))
        job.counter.stop()
    assert draws[ALONE] == draws[World(0, 2)]
    assert draws[World(1, 2)] == draws[World(1, 3)]
    assert draws[ALONE] != draws[World(1, 2)]


def test_one_process_has_nobody_to_wait_for() -> None:
    assert ALONE.gather("it") == ["it"]
    assert ALONE.sum(2.0) == 2.0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "exit code 3"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-signal.SIGKILL, "killed by SIGKILL (by the system for lack of memory, or by somebody)"),
        (-40, "killed by signal 40"),
    ],
)
def test_an_end_is_told_by_its_name(code: int, words: str) -> None:
    assert ending(code) == words


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 2), (1, 4), (1.5, 6), (0.01, 1), (2, 8)])
def test_a_part_of_an_epoch_has_its_share_of_the_steps_rounded_up(epochs: float, steps: int) -> None:
    assert StepSchedule(29, Recipe(epochs=epochs, batch_size=8), (0, 0)).total_steps == steps


def test_a_share_of_many_steps_is_not_rounded_up_by_its_last_bit() -> None:
    assert StepSchedule(800, Recipe(epochs=0.07, batch_size=8), (0, 0)).total_steps == 7
