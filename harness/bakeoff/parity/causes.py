"""Finds out why two traces differ, from what was observed; the experiment file only tells whether a difference was asked for.

Each function that `find_causes` calls looks for one kind of cause in all steps that both strategies took.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.contracts.recipe import Recipe
from bakeoff.parity.trace import StepTrace, Trace
from bakeoff.text.numbers import significant
from bakeoff.text.values import spelt

END = "number of steps"
"""The quantity that differs if one training ended and the other went on."""


@dataclass(frozen=True)
class Cause:
    """Why two traces differ. step: where, counted from 1; 0 is before the first step. what: the quantity whose difference it
    explains, as named in `verdict`."""

    step: int
    what: str
    text: str


ORDER_KEYS = ("seed", "replicate", "sampling", "data_seed", "group_by_length")
RATE_KEYS = (*("learning_rate", "scheduler", "power", "cycles", "decay", "warmup", "epochs", "max_steps", "min_steps"),)
"""What decides the data order, and the learning rate of a step."""


def find_causes(first: Trace, second: Trace) -> list[Cause]:
    """All causes that can be named, sorted by step."""
    searches = (starts, batches, labels, randomness, losses, rates, clipping, settings, lengths)
    return sorted((cause for search in searches for cause in search(first, second)), key=lambda cause: cause.step)


def requested(first: Trace, second: Trace, *keys: str) -> str:
    """The end of a sentence that says whether the experiment file asks for different values of these keys."""
    pairs = [(key, *(_shown(_requested(trace, key)) for trace in (first, second))) for key in keys]
    if differing := [f"{key} {a} against {b}" for key, a, b in pairs if a != b]:
        return f"; the experiment file asks for it: {', '.join(differing)}"
    return f"; the experiment file asks both for {', '.join(f'{key} {a}' for key, a, _ in pairs)}"


def _requested(trace: Trace, key: str) -> Any:
    if key in Recipe.model_fields:
        return getattr(trace.recipe, key)
    value = getattr(trace.requested, key)
    return value if isinstance(value, int | str) else value.name


def _shown(value: Any) -> str:
    return "none" if value is None else spelt(value) if isinstance(value, float) else str(value).lower()


def first_step(
    first: Trace, second: Trace, differs: Callable[[StepTrace, StepTrace], bool]
) -> list[tuple[int, StepTrace, StepTrace]]:
    """The first step that both strategies took and in which they differ: [(its number from 1, first's step, second's step)];
    empty if there is none."""
    steps = zip(itertools.count(1), first.steps, second.steps, strict=False)
    return list(itertools.islice((step for step in steps if differs(*step[1:])), 1))


# --- before the first step, and what goes into each ----------------------------------------------------------------------


def starts(first: Trace, second: Trace) -> Iterator[Cause]:
    if first.trainable != second.trainable:
        counts = f"{first.trainable:,} weights train in {first.strategy}, {second.trainable:,} in {second.strategy}"
        keys = requested(first, second, "method", "frozen_embeddings")
        yield Cause(0, "initial weights", f"different method: {counts}{keys}")
    elif first.initial_weights != second.initial_weights:
        what = "newly initialised weights" if first.head_weights != second.head_weights else "loaded weights"
        yield Cause(
            0, "initial weights", f"different {what} at the start (seed){requested(first, second, 'seed', 'replicate')}"
        )


def batches(first: Trace, second: Trace) -> Iterator[Cause]:
    for number, a, b in first_step(first, second, lambda a, b: a.batch != b.batch):
        yield Cause(number, "batch", _batch_cause(first, second, a, b, number - 1))


def _batch_cause(first: Trace, second: Trace, a: StepTrace, b: StepTrace, index: int) -> str:
    if any(_requested(first, key) != _requested(second, key) for key in ("train_examples", "subset")):
        return f"different examples to train on{requested(first, second, 'train_examples', 'subset')}"
    if a.rows is None or b.rows is None:
        return "inputs that are not rows of the training split as the model's tokenizer encodes them"
    if a.rows == b.rows:
        if a.passes != b.passes:
            split = f"{_in_passes(a)} in {first.strategy}, {_in_passes(b)} in {second.strategy}"
            return f"different micro-batches: {split}{requested(first, second, 'micro_batch_size')}"
        if a.tokens == b.tokens and a.shape != b.shape:
            padded = f"to {a.shape[-1]} tokens in {first.strategy}, to {b.shape[-1]} in {second.strategy}"
            return f"different padding: {padded}{requested(first, second, 'padding')}"
        return f"the same rows, encoded differently{requested(first, second, 'max_length')}"
    if sorted(a.rows) == sorted(b.rows):
        return "the same rows in a different order inside the batch"
    if len(first.planned[0]) != len(second.planned[0]):
        sizes = f"{len(a.rows)} rows in {first.strategy}, {len(b.rows)} in {second.strategy}"
        return f"different batch size: {sizes}{requested(first, second, 'batch_size')}"
    if first.planned != second.planned:
        return f"different data order: the jobs themselves differ{requested(first, second, *ORDER_KEYS)}"
    departures = (_departure(trace, index) for trace in (second, first))
    return next(filter(None, departures), "different data order in both strategies")


def _in_passes(step: StepTrace) -> str:
    """How many examples each forward pass of a step had, as text: `8 + 8 + 4 rows`."""
    return f"{' + '.join(map(str, step.passes))} rows"


def _departure(trace: Trace, index: int) -> str:
    """A clause on how a trace departs from the job's order of batches at this step; empty if it does not."""
    planned, seen = trace.planned, [step.rows for step in trace.steps[index:]]
    if seen[0] == planned[index]:
        return ""

    def moved(by: int) -> bool:
        pairs = [(rows, planned[at]) for at, rows in enumerate(seen, index + by) if 0 <= at < len(planned)]
        return bool(pairs) and all(rows == wanted for rows, wanted in pairs)

    if moved(1):
        short = ", the short last one of its epoch" if len(planned[index]) < max(map(len, planned)) else ""
        return f"{trace.strategy} skipped batch {index + 1} of the job's order{short}"
    if moved(-1):
        return f"{trace.strategy} took batch {index} of the job's order twice"
    given = {tuple(rows) for rows in planned}
    if all(tuple(rows or ()) in given for rows in seen):
        return f"different data order: {trace.strategy} takes the job's batches in an order of its own"
    sizes = f"{len(seen[0] or ())} rows at this step; the job gave {len(planned[index])}"
    return f"different data order: {trace.strategy} makes batches of its own ({sizes})"


def labels(first: Trace, second: Trace) -> Iterator[Cause]:
    for number, _, _ in first_step(first, second, lambda a, b: a.batch == b.batch and labels_differ(a, b)):
        yield Cause(number, "labels", "different labels for the same texts")


def labels_differ(a: StepTrace, b: StepTrace) -> bool:
    """Whether the labels of both were observed and differ."""
    return bool(a.labels and b.labels) and a.labels != b.labels


def randomness(first: Trace, second: Trace) -> Iterator[Cause]:
    def differs(a: StepTrace, b: StepTrace) -> bool:
        return a.random != b.random or (a.random_later != b.random_later and a.batch == b.batch)

    for number, a, b in first_step(first, second, differs):
        if a.random == b.random:
            why = "one of them reseeds, or draws random numbers, between the forward passes of a step"
        elif a.random_given != b.random_given:
            why = f"the job's own streams differ{requested(first, second, 'seed', 'replicate')}"
        else:
            astray = [trace.strategy for trace, step in ((first, a), (second, b)) if step.random != step.random_given]
            why = f"{' and '.join(astray)} reseeds, or draws random numbers, between begin_step and the forward pass"
        yield Cause(number, "random state", f"different random stream (seed) for dropout: {why}")


# --- what is made of it --------------------------------------------------------------------------------------------------


def losses(first: Trace, second: Trace) -> Iterator[Cause]:
    def weighed(a: StepTrace, b: StepTrace) -> str:
        texts = ((trace, _weighing(trace, step)) for trace, step in ((second, b), (first, a)))
        return next((f"{trace.strategy} {text}" for trace, text in texts if text), "")

    for number, a, b in first_step(first, second, lambda a, b: a.loss != b.loss and bool(weighed(a, b))):
        yield Cause(number, "loss", weighed(a, b))
        return
    keys = [
        key for key in ("label_smoothing", "class_weights", "precision") if _requested(first, key) != _requested(second, key)
    ]
    for number, _, _ in first_step(first, second, lambda a, b: bool(keys) and a.loss != b.loss):
        yield Cause(number, "loss", f"the loss is computed differently{requested(first, second, *keys)}")


def _weighing(trace: Trace, step: StepTrace) -> str:
    """A clause on how a step's loss departs from the mean over its batch, judged by the losses of its forward passes; empty if
    it does not.

    In the mean, each pass is weighted by its number of examples.
    """
    parts, rows = step.pass_losses, step.passes
    if not parts or len(parts) != len(rows):
        return ""
    whole = max(len(other.passes) for other in trace.steps)
    right = sum(part * count for part, count in zip(parts, rows, strict=True)) / sum(rows)
    summed = f"adds up the mean losses of {len(parts)} micro-batches"
    explanations = (
        (right, ""),
        (sum(parts), f"{summed}: loss and gradients are {len(parts)} times too large"),
        (sum(parts) / len(parts), f"gives the micro-batches of {_in_passes(step)} equal weights"),
        (sum(parts) / whole, f"divides by the {whole} micro-batches of a whole batch although there are {len(parts)}"),
    )
    return next((text for loss, text in explanations if math.isclose(step.loss, loss, rel_tol=1e-5)), "")


# --- what is done with the gradients -------------------------------------------------------------------------------------


def rates(first: Trace, second: Trace) -> Iterator[Cause]:
    for number, _, _ in first_step(first, second, lambda a, b: a.learning_rates != b.learning_rates):
        yield Cause(number, "learning rate", _rate_cause(first, second))


def _rate_cause(first: Trace, second: Trace) -> str:
    one, two = ([max(step.learning_rates, default=0.0) for step in trace.steps] for trace in (first, second))
    for slow, fast, trace, other in ((one, two, second, first), (two, one, first, second)):
        if _follows(fast, slow, lambda step: 2 * step):
            return (
                f"the scheduler of {trace.strategy} is stepped twice per step: its rate at step n is that of "
                f"{other.strategy} at step 2n-1"
            )
        if _follows(fast, slow, lambda step: step + 1):
            return f"the scheduler of {trace.strategy} runs one step ahead (stepped before the optimizer?)"
    keys = requested(first, second, *RATE_KEYS)

    def differ(what: str, word: str, values: Sequence[object]) -> str:
        return f"different {what}: {word} {values[0]} in {first.strategy}, {values[1]} in {second.strategy}{keys}"

    ratios = [b / a for a, b in zip(one, two, strict=False) if a]
    if ratios and ratios[0] != 1 and all(math.isclose(ratio, ratios[0], rel_tol=1e-6) for ratio in ratios):
        return differ("learning rate", "it peaks at", [spelt(max(one)), f"at {spelt(max(two))}"])
    peaks = [values.index(max(values)) + 1 for values in (one, two)]
    if peaks[0] != peaks[1]:
        return differ("warm-up", "the peak is at step", [peaks[0], f"at {peaks[1]}"])
    if _shape(one) != _shape(two):
        return differ("scheduler", "the rate", [_shape(one), _shape(two)])
    total = f"{first.total_steps} steps planned in {first.strategy}, {second.total_steps} in {second.strategy}"
    return f"the learning rate falls at a different pace ({total}){keys}"


def _follows(fast: Sequence[float], slow: Sequence[float], map_step: Callable[[int], int]) -> bool:
    """Whether `fast` at each step n equals `slow` at step `map_step(n)`, and `slow` changes between the two steps."""
    pairs = [(fast[n], slow[map_step(n)], slow[n]) for n in range(len(fast)) if map_step(n) < len(slow) and n < len(slow)]
    moved = [pair for pair in pairs if pair[1] != pair[2]]
    return len(moved) >= 2 and all(math.isclose(a, b, rel_tol=1e-9) for a, b, _ in pairs)


def _shape(values: Sequence[float]) -> str:
    """How a learning rate develops after its peak, in a few words."""
    falling = list(values)[values.index(max(values)) :]
    drops = [a - b for a, b in itertools.pairwise(falling) if b > 0]
    if len(set(falling)) == 1:
        return "stays" if len(falling) > 1 else "rises"
    return "falls in a line" if all(math.isclose(drop, drops[0], rel_tol=1e-6) for drop in drops) else "falls along a curve"


def clipping(first: Trace, second: Trace) -> Iterator[Cause]:
    limits = clipped_at(first), clipped_at(second)
    for number, _, _ in first_step(first, second, lambda a, b: _let_through(limits[0], a, b) or _let_through(limits[1], b, a)):
        texts = [_clipping_in_words(trace, limit) for trace, limit in zip((first, second), limits, strict=True)]
        yield Cause(number, "gradient norm", f"clipping: {', '.join(texts)}{requested(first, second, 'max_grad_norm')}")


def _let_through(limit: float | None, step: StepTrace, other: StepTrace) -> bool:
    """Whether the gradient of `step` was clipped at this limit although the other strategy let a gradient above the limit
    through."""
    return limit is not None and _is_clipped(step) and other.norm is not None and other.norm > limit * 1.001


def clipped_at(trace: Trace) -> float | None:
    """The largest norm of a clipped gradient: the limit. None if no gradient was made smaller before the optimizer received
    it."""
    return max((step.norm for step in trace.steps if step.norm is not None and _is_clipped(step)), default=None)


def _is_clipped(step: StepTrace) -> bool:
    return step.norm is not None and step.unclipped_norm is not None and step.norm < step.unclipped_norm * (1 - 1e-4)


def _clipping_in_words(trace: Trace, limit: float | None) -> str:
    if limit is None:
        return f"{trace.strategy} does not clip (norms up to {significant(max(step.norm or 0 for step in trace.steps), 4)})"
    times = sum(map(_is_clipped, trace.steps))
    return f"{trace.strategy} clips gradients at {significant(limit, 4)} ({times} of {len(trace.steps)} steps)"


def settings(first: Trace, second: Trace) -> Iterator[Cause]:
    """Yields each optimizer setting that differs, with both values; for different optimizers only the settings that all
    optimizers have."""
    own = () if first.optimizer != second.optimizer else ("betas", "eps", "momentum", "bias_correction")
    for key in ("optimizer", *own, "fused", "weight_decay"):
        one, two = (setting(trace, key) for trace in (first, second))
        if one != two and first.groups and second.groups:
            name = "fused kernel" if key == "fused" else key.replace("_", " ")
            keys = requested(first, second, key, *(["weight_decay_exempt"] if key == "weight_decay" else []))
            yield Cause(1, "weights", f"{name}: {one} in {first.strategy}, {two} in {second.strategy}{keys}")


def setting(trace: Trace, key: str) -> str:
    """An optimizer setting as text."""
    if key == "optimizer":
        return trace.optimizer
    if key == "weight_decay":
        decayed: Counter[float] = Counter()
        for group in trace.groups:
            decayed[group.weight_decay or 0.0] += group.elements
        shares = [f"{spelt(decay)} on {n:,} of {decayed.total():,} parameters" for decay, n in sorted(decayed.items()) if decay]
        return ", ".join(shares) or "0"
    values = (getattr(group, key) for group in trace.groups)
    default = "torch's default" if key == "fused" else "none"
    return ", ".join(dict.fromkeys(default if value is None else _shown(value) for value in values))


def lengths(first: Trace, second: Trace) -> Iterator[Cause]:
    """Yields errors of the trainers, or that the trainings ended at different steps."""
    failed = [trace for trace in (first, second) if trace.trouble]
    yield from (Cause(len(trace.steps) + 1, END, f"{trace.strategy}: {trace.trouble}") for trace in failed)
    if len(first.steps) != len(second.steps) and not failed:
        keys = requested(first, second, "epochs", "max_steps", "min_steps")
        yield Cause(min(len(first.steps), len(second.steps)) + 1, END, f"different number of steps{keys}")
