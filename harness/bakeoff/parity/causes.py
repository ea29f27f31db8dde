"""Why two traces differ, told from what was seen; the experiment file is only asked whether it wanted it so.

Each function looks for one kind of cause over all steps that both took, whatever else differs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.contracts.recipe import Recipe
from bakeoff.parity.trace import StepTrace, Trace
from bakeoff.text.numbers import significant
from bakeoff.text.values import spelt

END = "number of steps"
"""What differs where one training ended and the other went on."""


@dataclass(frozen=True)
class Cause:
    """`step` counts from 1; 0 is before the first. `what` is what it explains, in the words of `verdict`."""

    step: int
    what: str
    text: str


def find_causes(first: Trace, second: Trace) -> list[Cause]:
    """All that can be named, the earliest first."""
    seekers = (starts, batches, labels, randomness, losses, rates, clipping, settings, lengths)
    return sorted((cause for seek in seekers for cause in seek(first, second)), key=lambda cause: cause.step)


def asked_for(first: Trace, second: Trace, *keys: str) -> str:
    """What the experiment file asks for these keys, as the end of a sentence."""
    pairs = [(key, _asked(first, key), _asked(second, key)) for key in keys]
    if differing := [f"{key} {_shown(a)} against {_shown(b)}" for key, a, b in pairs if a != b]:
        return f"; the experiment file asks for it: {', '.join(differing)}"
    return f"; the experiment file asks both for {', '.join(f'{key} {_shown(a)}' for key, a, _ in pairs)}"


def _asked(trace: Trace, key: str) -> Any:
    if key in Recipe.model_fields:
        return getattr(trace.recipe, key)
    value = getattr(trace.requested, key)
    return value if isinstance(value, int | str) else value.name


def _shown(value: Any) -> str:
    return "none" if value is None else spelt(value) if isinstance(value, float) else str(value).lower()


def steps_of(first: Trace, second: Trace) -> Iterator[tuple[int, StepTrace, StepTrace]]:
    """(step from 1, its two traces) of the steps that both took."""
    return ((number, a, b) for number, (a, b) in enumerate(zip(first.steps, second.steps, strict=False), 1))


# --- before the first step, and what goes into each ----------------------------------------------------------------------


def starts(first: Trace, second: Trace) -> Iterator[Cause]:
    if first.trainable != second.trainable:
        counts = f"{first.trainable:,} weights train in {first.strategy}, {second.trainable:,} in {second.strategy}"
        yield Cause(0, "initial weights", f"another method: {counts}{asked_for(first, second, 'method', 'frozen_embeddings')}")
    elif first.initial_weights != second.initial_weights:
        what = "newly initialised weights" if first.head_weights != second.head_weights else "loaded weights"
        yield Cause(0, "initial weights", f"other {what} to start from (seed){asked_for(first, second, 'seed', 'replicate')}")


def batches(first: Trace, second: Trace) -> Iterator[Cause]:
    for number, a, b in steps_of(first, second):
        if a.batch != b.batch:
            yield Cause(number, "batch", _batch_cause(first, second, number - 1))
            return


def _batch_cause(first: Trace, second: Trace, index: int) -> str:
    a, b = first.steps[index], second.steps[index]
    if _asked(first, "train_examples") != _asked(second, "train_examples"):
        return f"other examples to train on{asked_for(first, second, 'train_examples')}"
    if a.rows is None or b.rows is None:
        return "other inputs, which are not rows of the training split as the model's tokenizer encodes them"
    if a.rows == b.rows:
        if a.passes != b.passes:
            split = f"{_in_passes(a)} in {first.strategy}, {_in_passes(b)} in {second.strategy}"
            return f"other micro-batches: {split}{asked_for(first, second, 'micro_batch_size')}"
        if a.tokens == b.tokens and a.shape != b.shape:
            padded = f"to {a.shape[-1]} tokens in {first.strategy}, to {b.shape[-1]} in {second.strategy}"
            return f"other padding: {padded}{asked_for(first, second, 'padding')}"
        return f"the same rows, encoded otherwise{asked_for(first, second, 'max_length')}"
    if sorted(a.rows) == sorted(b.rows):
        return "the same rows in another order inside the batch"
    if len(first.planned[0]) != len(second.planned[0]):
        sizes = f"{len(a.rows)} rows in {first.strategy}, {len(b.rows)} in {second.strategy}"
        return f"another batch size: {sizes}{asked_for(first, second, 'batch_size')}"
    if first.planned != second.planned:
        return f"another data order: the job gave them out so{asked_for(first, second, 'seed', 'replicate')}"
    return next(
        (text for trace in (second, first) if (text := _departure(trace, index))), "another data order in both strategies"
    )


def _in_passes(step: StepTrace) -> str:
    """Examples of each forward pass, in words: `8 + 8 + 4 rows`."""
    return f"{' + '.join(map(str, step.passes))} rows"


def _departure(trace: Trace, index: int) -> str:
    """How a trace leaves the job's order at this step; empty where it does not."""
    planned = trace.planned
    seen = [step.rows for step in trace.steps[index:]]
    if seen[0] == planned[index]:
        return ""

    def moved(by: int) -> bool:
        pairs = [(rows, planned[at]) for at, rows in enumerate(seen, index + by) if 0 <= at < len(planned)]
        return bool(pairs) and all(rows == wanted for rows, wanted in pairs)

    place = f"batch {index + 1} of the job's order"
    if moved(1):
        short = len(planned[index]) < max(map(len, planned))
        return f"{trace.strategy} dropped {place}{', the short last one of its epoch' if short else ''}"
    if moved(-1):
        return f"{trace.strategy} took {place.replace(str(index + 1), str(index))} twice"
    given = {tuple(rows) for rows in planned}
    if all(tuple(rows or ()) in given for rows in seen):
        return f"another data order: {trace.strategy} takes the job's batches in an order of its own"
    sizes = f"{len(seen[0] or ())} rows at this step; the job gave {len(planned[index])}"
    return f"another data order: {trace.strategy} puts together batches of its own ({sizes})"


def labels(first: Trace, second: Trace) -> Iterator[Cause]:
    for number, a, b in steps_of(first, second):
        if a.batch == b.batch and a.labels and b.labels and a.labels != b.labels:
            yield Cause(number, "labels", "other labels for the same texts")
            return


def randomness(first: Trace, second: Trace) -> Iterator[Cause]:
    for number, a, b in steps_of(first, second):
        if a.random != b.random:
            if a.random_given != b.random_given:
                why = f"the job's own streams differ{asked_for(first, second, 'seed', 'replicate')}"
            else:
                astray = [trace for trace, step in ((first, a), (second, b)) if step.random != step.random_given]
                names = " and ".join(trace.strategy for trace in astray)
                why = f"{names} seeds anew, or draws random numbers, between the job's begin_step and the forward pass"
            yield Cause(number, "random state", f"another random stream (seed) for dropout: {why}")
            return
        if a.random_later != b.random_later and a.batch == b.batch:
            text = "one of them seeds anew, or draws random numbers, between the forward passes of a step"
            yield Cause(number, "random state", f"another random stream (seed) for dropout: {text}")
            return


# --- what is made of it --------------------------------------------------------------------------------------------------


def losses(first: Trace, second: Trace) -> Iterator[Cause]:
    for number, a, b in steps_of(first, second):
        if a.loss == b.loss:
            continue
        for trace, step in ((second, b), (first, a)):
            if text := _weighing(trace, step):
                yield Cause(number, "loss", f"{trace.strategy} {text}")
                return
    differing = [key for key in ("label_smoothing", "precision") if _asked(first, key) != _asked(second, key)]
    at = next((number for number, a, b in steps_of(first, second) if a.loss != b.loss), None)
    if differing and at is not None:
        yield Cause(at, "loss", f"the loss is computed otherwise{asked_for(first, second, *differing)}")


def _weighing(trace: Trace, step: StepTrace) -> str:
    """How a step's loss departs from the mean over its batch, told from its forward passes; empty where it does not.

    Each pass weighs as many parts as it has examples.
    """
    parts, rows = step.pass_losses, step.passes
    if not parts or len(parts) != len(rows):
        return ""
    whole = max(len(other.passes) for other in trace.steps)
    right = sum(part * count for part, count in zip(parts, rows, strict=True)) / sum(rows)
    summed = f"adds up the mean losses of {len(parts)} micro-batches"
    for wrong, text in (
        (right, ""),
        (sum(parts), f"{summed}: loss and gradients are {len(parts)} times too large"),
        (sum(parts) / len(parts), f"weighs the micro-batches of {_in_passes(step)} alike"),
        (sum(parts) / whole, f"divides by the {whole} micro-batches of a whole batch where there are {len(parts)}"),
    ):
        if math.isclose(step.loss, wrong, rel_tol=1e-5):
            return text
    return ""


# --- what is done with the gradients -------------------------------------------------------------------------------------


def rates(first: Trace, second: Trace) -> Iterator[Cause]:
    differing = [number for number, a, b in steps_of(first, second) if a.learning_rates != b.learning_rates]
    if differing:
        yield Cause(differing[0], "learning rate", _rate_cause(first, second))


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
    peaks = (max(one), max(two))
    told = asked_for(first, second, "learning_rate", "scheduler", "power", "warmup", "epochs", "max_steps")
    ratios = [b / a for a, b in zip(one, two, strict=False) if a]
    if ratios and ratios[0] != 1 and all(math.isclose(ratio, ratios[0], rel_tol=1e-6) for ratio in ratios):
        one_peak, other_peak = map(spelt, peaks)
        return f"another learning rate: it peaks at {one_peak} in {first.strategy}, at {other_peak} in {second.strategy}{told}"
    at = one.index(peaks[0]) + 1, two.index(peaks[1]) + 1
    if at[0] != at[1]:
        return f"another warm-up: the peak is at step {at[0]} in {first.strategy}, at {at[1]} in {second.strategy}{told}"
    if (shapes := (_shape(one), _shape(two))) != tuple(reversed(shapes)):
        return f"another scheduler: the rate {shapes[0]} in {first.strategy}, {shapes[1]} in {second.strategy}{told}"
    total = f"{first.total_steps} steps planned in {first.strategy}, {second.total_steps} in {second.strategy}"
    return f"the learning rate falls at another pace ({total}){told}"


def _follows(fast: Sequence[float], slow: Sequence[float], map_step: Any) -> bool:
    """Whether `fast` is at each step where `slow` is at another, and `slow` moves at all in between."""
    pairs = [(fast[n], slow[map_step(n)], slow[n]) for n in range(len(fast)) if map_step(n) < len(slow) and n < len(slow)]
    moved = [pair for pair in pairs if pair[1] != pair[2]]
    return len(moved) >= 2 and all(math.isclose(a, b, rel_tol=1e-9) for a, b, _ in pairs)


def _shape(values: Sequence[float]) -> str:
    """What a learning rate does from its peak on."""
    falling = list(values)[values.index(max(values)) :]
    drops = [a - b for a, b in itertools.pairwise(falling) if b > 0]
    if len(set(falling)) == 1:
        return "stays" if len(falling) > 1 else "rises"
    if all(math.isclose(drop, drops[0], rel_tol=1e-6) for drop in drops):
        return "falls in a line"
    return "falls along a curve"


def clipping(first: Trace, second: Trace) -> Iterator[Cause]:
    limits = clipped_at(first), clipped_at(second)
    for number, a, b in steps_of(first, second):
        if _let_through(limits[0], a, b) or _let_through(limits[1], b, a):
            said = [_clipping_in_words(trace, limit) for trace, limit in zip((first, second), limits, strict=True)]
            text = f"clipping: {said[0]}, {said[1]}{asked_for(first, second, 'max_grad_norm')}"
            yield Cause(number, "gradient norm", text)
            return


def _let_through(limit: float | None, step: StepTrace, other: StepTrace) -> bool:
    """Whether a step was clipped at this limit where the other strategy's gradient went beyond it."""
    return limit is not None and _is_clipped(step) and other.norm is not None and other.norm > limit * 1.001


def clipped_at(trace: Trace) -> float | None:
    """The largest norm that was left of a larger one; None where no gradient was made smaller before the optimizer."""
    left = [step.norm for step in trace.steps if step.norm is not None and _is_clipped(step)]
    return max(left, default=None)


def _is_clipped(step: StepTrace) -> bool:
    return step.norm is not None and step.unclipped_norm is not None and step.norm < step.unclipped_norm * (1 - 1e-4)


def _clipping_in_words(trace: Trace, limit: float | None) -> str:
    if limit is None:
        return f"{trace.strategy} does not clip (norms up to {significant(max(step.norm or 0 for step in trace.steps), 4)})"
    times = sum(map(_is_clipped, trace.steps))
    return f"{trace.strategy} clips gradients at {significant(limit, 4)} ({times} of {len(trace.steps)} steps)"


def settings(first: Trace, second: Trace) -> Iterator[Cause]:
    """Each setting of the optimizers that differs, with its values on both sides; of other optimizers, those that all have."""
    own = () if first.optimizer != second.optimizer else ("betas", "eps", "momentum", "bias_correction")
    for name, key in (
        ("optimizer", "optimizer"),
        *((key.replace("_", " "), key) for key in own),
        ("fused kernel", "fused"),
        ("weight decay", "weight_decay"),
    ):
        one, two = (setting(trace, key) for trace in (first, second))
        if one != two and first.groups and second.groups:
            told = asked_for(first, second, key, *(["weight_decay_exempt"] if key == "weight_decay" else []))
            yield Cause(1, "weights", f"{name}: {one} in {first.strategy}, {two} in {second.strategy}{told}")


def setting(trace: Trace, key: str) -> str:
    """A setting as the optimizer held it, in words."""
    if key == "optimizer":
        return trace.optimizer
    if key == "weight_decay":
        decayed: dict[float, int] = {}
        for group in trace.groups:
            decayed[group.weight_decay or 0.0] = decayed.get(group.weight_decay or 0.0, 0) + group.elements
        elements = sum(decayed.values())
        shares = [f"{spelt(decay)} on {n:,} of {elements:,} parameters" for decay, n in sorted(decayed.items()) if decay]
        return ", ".join(shares) or "0"
    values = (getattr(group, key) for group in trace.groups)
    default = "torch's default" if key == "fused" else "none"
    return ", ".join(dict.fromkeys(default if value is None else _shown(value) for value in values))


def lengths(first: Trace, second: Trace) -> Iterator[Cause]:
    """Trainings that ended where the other went on, and what trainers did wrong."""
    for trace in (first, second):
        if trace.trouble:
            yield Cause(len(trace.steps) + 1, END, f"{trace.strategy}: {trace.trouble}")
    if len(first.steps) != len(second.steps) and not (first.trouble or second.trouble):
        told = asked_for(first, second, "epochs", "max_steps")
        yield Cause(min(len(first.steps), len(second.steps)) + 1, END, f"another number of steps{told}")
