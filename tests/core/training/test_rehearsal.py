"""Two steps by a trainer before any run: each fault is told by the call that is missing or wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from core.tried import changed, right, tried
from messages import tells

from bakeoff.plugin import TrainingJob, make_optimizer

MINE = "trainer 'mine' (plugin 'mine' of mine 1.0) "


def loop(
    *,
    begin: Callable[[Any, int], Any] = lambda job, step: job.begin_step(step),
    end: Callable[[Any, int, Any], Any] = lambda job, step, loss: job.end_step(step, loss),
    updates: int = 1,
    last: int = 2,
    guard: Any = contextlib.nullcontext,
) -> Any:
    """A trainer whose loop differs from the right one in one call."""

    def fit(self: Any, job: TrainingJob, options: Any) -> None:
        optimizer = make_optimizer(job)
        with guard():
            for step in range(last):
                (batch, *_) = job.batches(step)
                begin(job, step)
                losses = [self.backward(job, job.model, part) for part in job.micro_batches(batch)]
                for _ in range(updates):
                    optimizer.step()
                optimizer.zero_grad()
                end(job, step, sum(losses))
                job.end_epoch()

    return changed(right.Loop, fit=fit)


def stacked(loss: Any) -> Any:
    import torch

    return torch.stack([loss, loss])


def without_collate(self: Any, job: Any, model: Any, part: Any) -> Any:
    inputs = job.prepared.collate([{**job.examples[row], "row": 0} for row in part.rows])
    loss = job.loss(model(**{name: value for name, value in inputs.items() if name != "labels"}).logits, inputs["labels"])
    loss.backward()
    return loss.detach()


WRONG: dict[str, tuple[Any, str]] = {
    "no begin": (loop(begin=lambda *_: None), "called end_step(0), and begin_step(0) was not called: "),
    "no end": (loop(end=lambda *_: None), "called begin_step(1) before end_step(0): "),
    "from 1": (loop(begin=lambda job, step: job.begin_step(step + 1)), "called begin_step(1) first, and the first step is 0: "),
    "anew each epoch": (
        loop(begin=lambda job, _: job.begin_step(0), end=lambda job, _, loss: job.end_step(0, loss)),
        "called begin_step(0) after end_step(0): count steps on over all epochs, 1 is next",
    ),
    "another number": (
        loop(end=lambda job, step, loss: job.end_step(step + 1, loss)),
        "called end_step(1) after begin_step(0): ",
    ),
    "no number": (loop(end=lambda job, step, loss: job.end_step(step, float(loss))), "gave end_step(0, loss) a float: "),
    "two losses": (
        loop(end=lambda job, step, loss: job.end_step(step, stacked(loss))),
        "gave end_step(0, loss) a tensor of shape (2,): ",
    ),
    "nothing": (loop(last=0), "returned from `fit` and never called begin_step(0): "),
    "too few": (loop(last=1), "returned from `fit` after 1 step, and the job asked for 2: "),
    "too many": (loop(last=3), "called begin_step(2), and the job has 2 steps, 0 to 1: "),
    "no update": (loop(updates=0), "took no step with a torch optimizer: call `optimizer.step()`"),
    "two updates": (loop(updates=2), "took 4 steps with its optimizers in 2 steps of the job: "),
    "swallows": (
        loop(begin=lambda *_: None, guard=lambda: contextlib.suppress(Exception)),
        "swallowed an exception of the job: PluginError: ",
    ),
    "no collate": (changed(right.Loop, backward=without_collate), "called `job.collate` 0 times in 2 steps"),
    "other rows": (
        changed(right.Loop, backward=lambda self, job, model, part: job.collate([{"input_ids": [1, 2]}])),
        "gave `job.collate` rows that are not of `job.examples`: ",
    ),
    "a copy": (changed(right.TrainsACopy), "left all weights of `job.model` as they were: "),
    "no context": (changed(right.Loop, fast_inference=lambda *_: None), ": `fast_inference` returned nothing (None); "),
}
QUICK = ("no begin", "too few", "a copy")
"""Tried whenever tests are run; the others are slow together."""


@pytest.mark.parametrize("fault", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in WRONG])
def test_a_wrong_call_is_told_by_its_name_and_what_to_do(fault: str, tmp_path: Path) -> None:
    trainer, sentence = WRONG[fault]
    ((kind, message),) = tried(tmp_path, trainer)
    assert kind == "strategy"
    begin = MINE.rstrip() if sentence.startswith(":") else MINE
    assert tells(message, f"{begin}{sentence}"), message


def test_a_right_trainer_passes_with_all_that_a_run_may_do(tmp_path: Path) -> None:
    assert tried(tmp_path, select="best-on-dev", keep="final", checkpoint_every=5) == []
    assert tried(tmp_path, changed(right.Loop), recipe={"max_steps": 900, "epochs": None, "warmup": 100}) == []


@pytest.mark.slow
def test_what_a_run_asks_for_besides_is_tried_too(tmp_path: Path) -> None:
    ((_, epochs),) = tried(tmp_path, changed(right.NeverEndsEpoch), select="best-on-dev")
    assert tells(epochs, MINE, "end_epoch() after 0 of ", "job.end_epoch()")
    ((_, resume),) = tried(tmp_path, changed(right.ClaimsToResume), checkpoint_every=1)
    assert tells(resume, MINE, "job.resume", "checkpoint_every")
    ((_, order),) = tried(tmp_path, changed(right.Loop, batches=lambda self, job, epoch: [job.batches(epoch)[0][::-1]]))
    assert tells(order, MINE, "trained step 0 ", "`job.batches` gave ")


@pytest.mark.slow
def test_other_errors_name_the_trainer_and_its_line(tmp_path: Path) -> None:
    for fit in (lambda self, job, options: job.model.nothing(), lambda self, job, options: exit(3)):
        ((kind, message),) = tried(tmp_path, changed(right.Loop, fit=fit), package=__name__.partition(".")[0])
        assert kind == "strategy"
        assert tells(message, f"two steps with {MINE}failed: ", ", called at test_rehearsal.py:")


def test_a_loss_that_diverges_is_left_to_the_run(tmp_path: Path) -> None:
    """Its schedule may warm up longer than two steps do."""
    recipe = {"learning_rate": 1e30, "max_grad_norm": None, "warmup": 0}
    assert tried(tmp_path, recipe=recipe) == []
