"""What a trained model answers: logits of whole splits, their scores, and whether it answers the same twice."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bakeoff.contracts.fields import LARGEST
from bakeoff.contracts.model import Prepared, same_logits
from bakeoff.contracts.task import Row, TaskInfo
from bakeoff.errors import PluginError, RunError
from bakeoff.machine.streams import write_line
from bakeoff.training.distributed import ALONE, World

EVALUATION_BATCH = 32
"""Examples per forward pass when predicting; the same for all runs, so that it never tells strategies apart."""


def predict(prepared: Prepared, network: Any, examples: Sequence[Row], device: Any, world: World = ALONE) -> Any:
    """Logits (examples, n_outputs), float32, in the examples' order; evaluated by length, so that little is padding.

    Collective: the batches are dealt to the ranks one by one, and every rank gets the logits of all.
    """
    import torch

    network.eval()
    order = longest_first(examples)
    batches = [order[start : start + EVALUATION_BATCH] for start in range(0, len(order), EVALUATION_BATCH)]
    mine = []
    with torch.no_grad():  # not inference mode: training may go on, and what a model caches in that mode has no gradients
        for rows in batches[world.rank :: world.size]:
            batch = prepared.collate([examples[row] for row in rows])
            output = prepared.predict(network, {name: tensor.to(device) for name, tensor in batch.items()})
            mine.append(output.float().cpu().numpy())  # (rows, n_outputs)
    logits = None
    for rank, theirs in enumerate(world.gather(mine)):
        for rows, values in zip(batches[rank :: world.size], theirs, strict=True):
            if logits is None:
                logits = np.empty((len(examples), values.shape[1]), dtype=np.float32)
            logits[rows] = values
    return logits


def longest_first(examples: Sequence[Row]) -> list[int]:
    return sorted(range(len(examples)), key=lambda number: -len(examples[number].get("input_ids", ())))


def repeat_first_batch(
    prepared: Prepared,
    network: Any,
    encoded: Mapping[str, Sequence[Row]],
    logits: Mapping[str, Any],
    device: Any,
    world: World = ALONE,
) -> float | None:
    """Predicts the first batch of the first split once more; the largest difference, None where there is no finite one."""
    for name, before in logits.items():
        rows = longest_first(encoded[name])[:EVALUATION_BATCH]
        again = predict(prepared, network, [encoded[name][row] for row in rows], device, world)
        if np.array_equal(before[rows], again, equal_nan=True):
            return 0.0
        largest = float(np.abs(before[rows] - again).max())
        return largest if math.isfinite(largest) else None
    return None


def largest_of(logits: Mapping[str, Any]) -> float | None:
    """The largest absolute value in any split; None where one is not finite."""
    largest = max(float(np.abs(values).max()) for values in logits.values())
    return largest if math.isfinite(largest) else None


def require_same_logits(difference: float | None, largest: float | None, trainer: str) -> None:
    """Raises PluginError where a trainer's way to evaluate gives other logits than the model's own forward pass."""
    if difference is None or not same_logits(difference, largest or 0.0):
        raise PluginError(f"{trainer} evaluates otherwise than the model: logits differ by up to {difference}")


def require_finite(logits: Mapping[str, Any]) -> None:
    """Raises RunError where a split's logits, (examples, n_outputs), are not all finite."""
    if not all(np.isfinite(values).all() for values in logits.values()):
        raise RunError("diverged", "the trained model's logits are not finite")


def score(info: TaskInfo, logits: Any, labels: Sequence[Any], silent: Collection[str] = ()) -> dict[str, float]:
    """Every metric of the task on one split, but for those that say nothing there (`silent`) and those that give these answers
    no finite score. Raises RunError where that is the primary metric."""
    require_finite({"": logits})
    predictions, right = info.kind.answers(logits), np.asarray(labels)
    scores = {}
    for metric in info.metrics:
        if metric.name in silent:
            continue
        try:
            value = metric.score(predictions, right)
        except Exception as error:  # a metric of any author
            if metric.name == info.primary_metric:
                raise
            write_line(sys.stdout, f"metric '{metric.name}' gave no score: {type(error).__name__}: {error}")
            continue
        if abs(value) <= LARGEST:
            scores[metric.name] = float(value)
        elif metric.name == info.primary_metric:
            raise RunError("error", f"metric '{metric.name}' gave {value}, and the run is judged by it")
    return scores
