"""The two steps of `linear-probe`: computing features by the frozen encoder, and the head that fits them best. Imports
torch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from bakeoff.plugin import ModelError, TrainingJob, head_inputs, head_modules
from bakeoff_fast_loop.evaluation import fast_inference
from bakeoff_fast_loop.families import encoder_of
from bakeoff_fast_loop.packing import pack_batch

BATCH = 32
"""Examples per forward pass, as in the harness's predictions."""

MOST_ITERATIONS = 10_000


def final_linear(model: Any) -> torch.nn.Linear:
    """The head, if it is a single linear layer. Raises ModelError otherwise."""
    heads = head_modules(model)
    if len(heads) != 1 or not isinstance(heads[0][1], torch.nn.Linear):
        found = ", ".join(f"{name} ({type(module).__name__})" for name, module in heads) or "none"
        raise ModelError(f"linear-probe needs a head of one linear layer; {type(model).__name__} has {found}")
    return heads[0][1]


def encode_features(job: TrainingJob) -> tuple[np.ndarray, np.ndarray]:
    """The head's input for every training example, (n, width), and the labels, (n,), in the same order, which is not the
    examples'."""
    model = job.model
    model.eval()  # dropout off
    labels: list[torch.Tensor] = []
    order = sorted(range(len(job.examples)), key=lambda row: -len(job.examples[row].get("input_ids", ())))
    with (
        torch.no_grad(),
        packed_predictions(job, job.collate([job.examples[order[0]], job.examples[order[-1]]])),
        head_inputs(model) as seen,
    ):
        for start in range(0, len(order), BATCH):
            batch = job.collate([job.examples[row] for row in order[start : start + BATCH]])
            labels.append(batch.pop("labels"))
            with job.autocast():
                model(**{name: tensor.to(job.device) for name, tensor in batch.items()})
    return torch.cat(seen).numpy().astype(np.float64), torch.cat(labels).numpy()


def packed_predictions(job: TrainingJob, batch: dict[str, torch.Tensor]) -> AbstractContextManager[None]:
    """A context in which the model predicts by fast-loop's forward pass if that runs on this device (the CPU) and supports the
    model and this batch; else by its own."""
    if job.device.type != "cpu":
        return nullcontext()
    try:
        encoder_of(job.model)
        pack_batch(**{name: tensor for name, tensor in batch.items() if name != "labels"})
    except ModelError:
        return nullcontext()
    return fast_inference(job.model, torch.bfloat16 if job.recipe.precision == "bf16" else torch.float32)


def solve_head(model: Any, features: np.ndarray, labels: np.ndarray, *, l2: float) -> None:
    """Fits the head: writes the weights that minimise (sum of cross-entropies + l2 / 2 * squared norm of the weights) into it.

    With two classes the regression has one row of weights; its halves, with both signs, give the same probabilities.
    """
    regression = LogisticRegression(C=1 / l2, solver="newton-cg", max_iter=MOST_ITERATIONS, tol=1e-6).fit(features, labels)
    weights, bias = regression.coef_, regression.intercept_
    if len(weights) == 1:
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    head = final_linear(model)
    rows = torch.from_numpy(regression.classes_)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(float(bias.min()) - 20.0 if len(rows) < head.out_features else 0.0)  # a label that train never has
        head.weight[rows] = torch.from_numpy(weights).to(head.weight)
        head.bias[rows] = torch.from_numpy(bias).to(head.bias)
