"""Evaluates a model: logits of whole splits, their scores, whether they are reproducible; keeps the best of several epochs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bakeoff.contracts.fields import LARGEST
from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.metric import Answers, Metric
from bakeoff.contracts.model import Prepared, same_logits
from bakeoff.contracts.returned import required
from bakeoff.contracts.task import Row, TaskInfo
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import BakeoffError, PluginError, RunError
from bakeoff.machine.streams import write_line
from bakeoff.records.schema import SCORES_KEPT, Selection
from bakeoff.statistics.scorers import luck_of_the_best
from bakeoff.text.words import did_you_mean, quoted
from bakeoff.training.assembly import Assembly
from bakeoff.training.data import trained_state
from bakeoff.training.distributed import ALONE, World

COLLATE, PREDICT = "the model's `collate`", "the model's `predict`"
EVALUATION_BATCH = 32
"""Examples per forward pass when predicting; fixed, so that strategies never differ by it."""


def predict(prepared: Prepared, network: Any, examples: Sequence[Row], device: Any, world: World = ALONE) -> Any:
    """Logits (examples, n_outputs), float32, in the order of the examples. Batches have examples of like length, to reduce
    padding.

    Collective: batches are distributed over the ranks, and every rank gets all logits.
    """
    import torch

    network.eval()
    batches = batches_of(examples)
    with (
        torch.no_grad()
    ):  # not inference mode: tensors that a model caches in that mode have no gradients, and training may continue
        mine = [
            predict_batch(prepared, network, [examples[row] for row in rows], device)
            for rows in batches[world.rank :: world.size]
        ]
    logits = None
    for rank, theirs in enumerate(world.gather(mine)):
        for rows, values in zip(batches[rank :: world.size], theirs, strict=True):
            if logits is None:
                logits = np.empty((len(examples), values.shape[1]), dtype=np.float32)
            logits[rows] = values
    return logits


def batches_of(examples: Sequence[Row]) -> list[list[int]]:
    """The row numbers of each batch, the longest examples first."""
    order = longest_first(examples)
    return [order[start : start + EVALUATION_BATCH] for start in range(0, len(order), EVALUATION_BATCH)]


def predict_batch(prepared: Prepared, network: Any, examples: Sequence[Row], device: Any) -> Any:
    """Logits (examples, n_outputs), float32, of one forward pass; to be called where gradients are off."""
    import torch

    batch = required(prepared.collate(examples), Mapping, of=COLLATE, must="a dict: name -> tensor (batch, length)")
    for name, tensor in batch.items():
        required(tensor, torch.Tensor, of=f"{COLLATE}: {quoted(name)}", verb="is", must="a tensor (batch, ...)")
    output = prepared.predict(network, {name: tensor.to(device) for name, tensor in batch.items()})
    logits = required(output, torch.Tensor, of=PREDICT, must="the logits, a tensor (batch, n_outputs), such as `output.logits`")
    if logits.ndim != 2 or len(logits) != len(examples):
        shape = tuple(logits.shape)
        raise PluginError(f"{PREDICT} returned shape {shape} for {len(examples)} examples; logits are (batch, n_outputs)")
    return logits.float().cpu().numpy()


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
    """Predicts the first batch of the first split again. Returns the largest absolute difference from its `logits`; None if
    that is not finite."""
    for name, before in logits.items():
        rows = longest_first(encoded[name])[:EVALUATION_BATCH]
        again = predict(prepared, network, [encoded[name][row] for row in rows], device, world)
        if np.array_equal(before[rows], again, equal_nan=True):
            return 0.0
        largest = float(np.abs(before[rows] - again).max())
        return largest if math.isfinite(largest) else None
    return None


def largest_of(logits: Mapping[str, Any]) -> float | None:
    """The largest absolute logit of all splits; None if a logit is not finite. logits: split -> (examples, n_outputs)."""
    largest = max(float(np.abs(values).max()) for values in logits.values())
    return largest if math.isfinite(largest) else None


def repeat_evaluation(run: Assembly, logits: Mapping[str, Any], largest: float | None) -> float | None:
    """Predicts one batch again, to see whether predicting is reproducible. Returns the largest absolute difference of a logit;
    None if that is not finite. Collective: every rank must call it. largest: the largest absolute logit.

    Raises PluginError if the trainer's `fast_inference` gives other logits than the model's own forward pass.
    """

    def repeat() -> float | None:
        return repeat_first_batch(run.prepared, run.network, run.encoded, logits, run.device, run.world)

    with run.fast_inference():
        difference = repeat()
    if difference is not None and type(run.trainer).fast_inference is not Trainer.fast_inference:
        plain = repeat()
        if plain is None or not same_logits(plain, largest or 0.0):
            raise PluginError(
                f"{run.title} changes the evaluation: its logits differ from the model's own by up to {plain}; "
                "its `fast_inference` must give the same, with the weights of that moment"
            )
    return difference


def require_finite(logits: Mapping[str, Any]) -> None:
    """Raises RunError where a split's logits, (examples, n_outputs), are not all finite."""
    if not all(np.isfinite(values).all() for values in logits.values()):
        raise RunError("diverged", "the trained model's logits are not finite")


def score(info: TaskInfo, logits: Any, labels: Sequence[Any], silent: Collection[str] = ()) -> dict[str, float]:
    """Metric -> its score on one split; metrics in `silent` (names) and those whose score is not finite are omitted. Raises
    RunError if the primary metric's score is not finite."""
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
            raise RunError("error", f"metric '{metric.name}' gave {value}, and the primary metric must give a finite score")
    return scores


# --- `select: best-on-dev` -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Patience:
    """Early stopping as a recipe asks for it, for one metric."""

    evaluations: int
    """How many evaluations in a row may be without a better score."""
    min_delta: float
    """By how much a score must be better, in the metric's internal unit."""
    higher_is_better: bool

    def is_out(self, scores: Sequence[float]) -> bool:
        """Whether none of the last `evaluations` scores was better than the best before it."""
        sign, waited, best = (1.0 if self.higher_is_better else -1.0), 0, -math.inf
        for score in scores:
            waited = 0 if sign * score > best + self.min_delta else waited + 1
            best = max(best, sign * score) if waited == 0 else best
        return waited >= self.evaluations


class BestState:
    """Evaluates a network several times on one split, and keeps a copy of its trained weights where they scored best."""

    def __init__(
        self,
        network: Any,
        predict: Callable[[], tuple[Answers, float]],
        *,
        split: str,
        metric: Metric,
        labels: Answers,
        patience: Patience | None = None,
        watch: Callable[[], float] | None = None,
    ) -> None:
        """predict: returns the network's predictions on the split, (n,), and their score. labels: the references. watch:
        returns the score of the last predictions that `patience` looks at; by default that of `predict`."""
        self.network, self.predict, self.split = network, predict, split
        self.metric, self.labels = metric, labels
        self.sign = 1.0 if metric.higher_is_better else -1.0
        self.patience, self.watch = patience, watch
        self.scores: list[float] = []
        self.watched: list[float] = []
        """The scores that `patience` looks at."""
        self.answers: list[Answers] = []
        self.best = 0
        self._state: dict[str, Any] = {}

    def evaluate(self) -> None:
        """Evaluates the network, and keeps its state if it is better than all before; each module keeps its training mode."""
        modes = [(module, module.training) for module in self.network.modules()]
        answers, score = self.predict()
        for module, training in modes:
            module.training = training
        self.answers.append(answers)
        self.scores.append(score)
        self.watched.append(score if self.watch is None else self.watch())
        if len(self.scores) == 1 or self.sign * score > self.sign * self.scores[self.best]:
            self.best = len(self.scores) - 1
            state = trained_state(self.network).items()
            self._state = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state}

    @property
    def stops(self) -> bool:
        """Whether the training ends after the last evaluation, since the scores got no better for too long."""
        return self.patience is not None and self.patience.is_out(self.watched)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a checkpoint stores of this object, for `continue_from`: (tensors, JSON values)."""
        import torch

        tensors = {f"best/{name}": tensor for name, tensor in self._state.items()}
        tensors |= {f"answers/{number}": torch.from_numpy(answers) for number, answers in enumerate(self.answers)}
        return tensors, {"scores": self.scores, "best": self.best, "watched": self.watched}

    def continue_from(self, tensors: dict[str, Any], facts: dict[str, Any]) -> None:
        """Continues from the `state` of an earlier process. Raises ValueError where predictions are missing."""
        self.scores, self.best, self.watched = list(facts["scores"]), facts["best"], list(facts["watched"])
        self.answers = [tensors[f"answers/{number}"].numpy() for number in range(len(self.scores))]
        if any(answers.shape != self.labels.shape for answers in self.answers):
            raise ValueError(f"predictions of the {len(self.labels)} examples of {self.split} are missing")
        self._state = {name.removeprefix("best/"): value for name, value in tensors.items() if name.startswith("best/")}

    def restore(self) -> Selection:
        """Loads the best state into the network, and returns how it was selected."""
        self.network.load_state_dict(self._state, strict=False)
        answers = np.stack(self.answers)  # (evaluations, n)
        return Selection(
            split=self.split,
            metric=self.metric.name,
            evaluations=len(self.scores),
            chosen_epoch=self.best + 1,
            scores=self.scores[-SCORES_KEPT:],
            discordance=discordance(self.answers) if np.issubdtype(answers.dtype, np.integer) else None,
            optimism=luck_of_the_best(self.metric, answers, self.labels),
        )


def best_state(run: Assembly, predict_split: Callable[[str], Any]) -> BestState | None:
    """The `BestState` of the run if it selects on dev; else None."""
    if run.request.requested.select != "best-on-dev":
        return None
    info = run.task.info
    split = selection_split(info.scored_splits)
    labels = run.task.splits[split]["label"]

    recipe = run.request.recipe
    stopping, chooser = recipe.early_stopping, info.primary if recipe.select_by is None else metric_of(info, recipe.select_by)
    watched = chooser if stopping is None or stopping.metric is None else metric_of(info, stopping.metric)
    asked = {info.primary_metric, chooser.name, watched.name}
    others = [metric.name for metric in info.metrics if metric.name not in asked]

    scores: dict[str, float] = {}

    def evaluate() -> tuple[Any, float]:
        logits = predict_split(split)
        scores.clear()
        scores.update(score(info, logits, labels, others))
        if chooser.name not in scores:
            raise RunError("error", f"metric '{chooser.name}' gave no score on {split}, and the best state is chosen by it")
        return info.kind.answers(logits), scores[chooser.name]

    worst = -math.inf if watched.higher_is_better else math.inf
    patience = None
    if stopping is not None:
        patience = Patience(stopping.patience, stopping.min_delta / watched.unit.scale, watched.higher_is_better)
    return BestState(
        run.network,
        evaluate,
        split=split,
        metric=chooser,
        labels=np.asarray(labels),
        patience=patience,
        watch=lambda: scores.get(watched.name, worst),  # a metric may have no score of constant answers
    )


def metric_of(info: TaskInfo, name: str) -> Metric:
    """The task's metric of this name. Raises BakeoffError where it has none."""
    known = {metric.name: metric for metric in info.metrics}
    if name not in known:
        raise BakeoffError(did_you_mean("metric", name, known))
    return known[name]


def discordance(answers: Sequence[Answers]) -> float:
    """The share of examples to which two evaluations give different labels, averaged over all pairs; 0.0 without any pair.

    Counted by label: where c of E evaluations give an example the same label, c (c - 1) ordered pairs agree on it.
    """
    evaluations = len(answers)
    if evaluations < 2:
        return 0.0
    table = np.stack(answers)  # (E, n)
    counts = np.stack([(table == label).sum(axis=0) for label in np.unique(table)])  # (labels, n)
    agreeing = (counts * (counts - 1)).sum(axis=0).mean()
    return max(0.0, float(1.0 - agreeing / (evaluations * (evaluations - 1))))
