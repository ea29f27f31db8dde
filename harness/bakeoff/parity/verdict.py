"""Compares two traces (records of training steps): they are identical, or differ at a first step, in some quantity and for
some reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bakeoff.contracts.fields import Part
from bakeoff.parity.causes import END, clipped_at, find_causes, labels_differ, setting
from bakeoff.parity.trace import StepTrace, Trace
from bakeoff.text.numbers import significant

QUANTITIES: tuple[tuple[str, Callable[[StepTrace], Any]], ...] = (
    ("batch", lambda step: step.batch),
    ("labels", lambda step: step.labels),
    ("random state", lambda step: (step.random, step.random_later)),
    ("loss", lambda step: repr(step.loss)),
    ("gradient norm before clipping", lambda step: repr(step.unclipped_norm)),
    ("learning rate", lambda step: step.learning_rates),
    ("gradient norm", lambda step: repr(step.norm)),
    ("weights", lambda step: step.weights),
)
"""(name of a quantity, function that reads it from a step): what is compared at each step, in the order of cause and
effect."""


class Row(Part):
    """One step of one strategy, formatted for people."""

    step: int
    strategy: str
    batch: str
    loss: str
    learning_rate: str
    gradient_norm: str
    weights: str


class Verdict(Part):
    """The result of a comparison. Steps are counted from 1; step 0 stands for the state before the first step."""

    strategies: tuple[str, str]
    title: str
    """Task, model and seed."""
    identical: bool
    identical_steps: int
    compared_steps: int
    total_steps: int
    differs_at: int | None
    differs_in: str
    likely_causes: list[str]
    also_different: list[str]
    notes: list[str]
    """The trainers' notes on their recipes, each after its strategy's name."""
    around: list[Row]
    """The step before the first difference, that step and the next, for both strategies."""
    observed: dict[str, dict[str, str]]


def compare(first: Trace, second: Trace) -> Verdict:
    """Compares two traces bit by bit."""
    step, what = first_difference(first, second)
    causes = find_causes(first, second)
    likely = [cause.text for cause in causes if cause.what == what and cause.step <= (step or 0)]
    also = [cause.text for cause in causes if cause.text not in likely]
    compared = min(len(first.steps), len(second.steps))
    return Verdict(
        strategies=(first.strategy, second.strategy),
        title=f"{first.requested.task_label}, {first.requested.model_label}, seed {first.requested.seed}",
        identical=step is None,
        identical_steps=compared if step is None else max(0, step - 1),
        compared_steps=compared,
        total_steps=first.total_steps,
        differs_at=step,
        differs_in=what,
        likely_causes=likely or ([_unexplained(first, second, step, what)] if step is not None else []),
        also_different=also,
        notes=[f"{trace.strategy}: {note}" for trace in (first, second) for note in trace.notes],
        around=[
            _row(number, trace)
            for number in (range(max(1, step - 1), max(1, step) + 2) if step is not None else ())
            for trace in (first, second)
            if number <= len(trace.steps)
        ],
        observed={trace.strategy: _observed(trace) for trace in (first, second)},
    )


def first_difference(first: Trace, second: Trace) -> tuple[int | None, str]:
    """The first step that differs, and the quantity in which it differs first; (None, "") if the traces are identical."""
    if (first.initial_weights, first.trainable) != (second.initial_weights, second.trainable):
        return 0, "initial weights"
    for number, (a, b) in enumerate(zip(first.steps, second.steps, strict=False), 1):
        for name, read in QUANTITIES:
            if labels_differ(a, b) if name == "labels" else read(a) != read(b):
                return number, name
    if len(first.steps) != len(second.steps):
        return min(len(first.steps), len(second.steps)) + 1, END
    if any(trace.trouble and not trace.diverged for trace in (first, second)):
        return len(first.steps) + 1, END
    return None, ""


def _unexplained(first: Trace, second: Trace, step: int, what: str) -> str:
    """A sentence on the likely cause, found by elimination, of a difference in `what` at `step` that no observed cause
    explains."""
    if step == 0:
        return "nothing that was observed explains it"
    a, b = first.steps[step - 1], second.steps[step - 1]
    if what == "loss":
        return "the loss is computed differently: weights, batch, labels and random state are the same"
    if what == "gradient norm before clipping" and a.unclipped_norm and b.unclipped_norm:
        larger = f"the gradients of {second.strategy} are {significant(b.unclipped_norm / a.unclipped_norm, 4)} times as large"
        scaled = (
            f"micro-batches may have other weights, or the gradients of the step before may not have been cleared ({larger})"
            if len(b.passes) > 1
            else f"the loss may be scaled ({larger})"
            if step == 1
            else "the gradients of the step before may not have been cleared (zero_grad)"
        )
        return f"the backward pass differs, though weights, batch and loss are the same: {scaled}"
    if what == "gradient norm":
        return "the gradients are changed between the backward pass and the optimizer, other than by clipping"
    if what == "weights":
        return (
            "the optimizers do different things with the same gradients, rates and settings, "
            "or the weights are changed outside of them"
        )
    return "nothing that was observed explains it"


def _observed(trace: Trace) -> dict[str, str]:
    """Setting -> its value as text: the optimizer settings with which the strategy was observed to train."""
    limit = clipped_at(trace)
    keys = ("optimizer", "betas", "eps", "momentum", "bias_correction", "fused", "weight_decay")
    return {key: setting(trace, key) for key in keys} | {
        "clipped_at": significant(limit, 4) if limit is not None else "never",
        "steps": str(len(trace.steps)),
    }


def _row(number: int, trace: Trace) -> Row:
    step = trace.steps[number - 1]
    size = " x ".join(map(str, step.shape[:2]))
    rows = ", ".join(map(str, step.rows[:3])) + (", ..." if len(step.rows) > 3 else "") if step.rows else step.batch[:8]
    return Row(
        step=number,
        strategy=trace.strategy,
        batch=f"{size}: {rows}",
        loss=significant(step.loss, 9),
        learning_rate=", ".join(significant(rate, 9) for rate in step.learning_rates),
        gradient_norm=significant(step.norm, 9) if step.norm is not None else "?",
        weights=step.weights[:8],
    )
