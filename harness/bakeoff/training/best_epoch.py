"""`select: best-on-dev`: the state after each epoch is looked at, and the best one is what the run is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bakeoff.contracts.metric import Answers, Metric
from bakeoff.records.schema import SCORES_KEPT, Selection
from bakeoff.statistics.scorers import luck_of_the_best
from bakeoff.training.data import trained_state


class BestState:
    """Remembers the best state of a network over several evaluations on one split."""

    def __init__(
        self, network: Any, evaluate: Callable[[], tuple[Answers, float]], *, split: str, metric: Metric, labels: Answers
    ) -> None:
        """`evaluate` gives the network's answers on the split (n,) and their score; `labels` are the right answers."""
        self.network, self.evaluate, self.split = network, evaluate, split
        self.metric, self.labels = metric, labels
        self.sign = 1.0 if metric.higher_is_better else -1.0
        self.scores: list[float] = []
        self.answers: list[Answers] = []
        self.best = 0
        self._state: dict[str, Any] = {}

    def look(self) -> None:
        """Evaluates the network as it is, and keeps it if it is better than any before; its training mode stays as it was."""
        modes = [(module, module.training) for module in self.network.modules()]
        answers, score = self.evaluate()
        for module, training in modes:
            module.training = training
        self.answers.append(answers)
        self.scores.append(score)
        if len(self.scores) == 1 or self.sign * score > self.sign * self.scores[self.best]:
            self.best = len(self.scores) - 1
            state = trained_state(self.network).items()
            self._state = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state}

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tensors and facts that `take_up` needs to go on where this one is."""
        import torch

        tensors = {f"best/{name}": tensor for name, tensor in self._state.items()}
        tensors |= {f"answers/{number}": torch.from_numpy(answers) for number, answers in enumerate(self.answers)}
        return tensors, {"scores": self.scores, "best": self.best}

    def take_up(self, tensors: dict[str, Any], facts: dict[str, Any]) -> None:
        """Goes on from what `state` gave. Raises ValueError where answers are missing."""
        self.scores, self.best = list(facts["scores"]), facts["best"]
        self.answers = [tensors[f"answers/{number}"].numpy() for number in range(len(self.scores))]
        if any(answers.shape != self.labels.shape for answers in self.answers):
            raise ValueError(f"answers to the {len(self.labels)} examples of {self.split} are missing")
        self._state = {name.removeprefix("best/"): value for name, value in tensors.items() if name.startswith("best/")}

    def restore(self) -> Selection:
        """Puts the best state back into the network, and says how it was found."""
        self.network.load_state_dict(self._state, strict=False)
        answers = np.stack(self.answers)  # (evaluations, n)
        return Selection(
            split=self.split,
            evaluations=len(self.scores),
            chosen_epoch=self.best + 1,
            scores=self.scores[-SCORES_KEPT:],
            discordance=discordance(self.answers) if np.issubdtype(answers.dtype, np.integer) else None,
            optimism=luck_of_the_best(self.metric, answers, self.labels),
        )


def discordance(answers: Sequence[Answers]) -> float:
    """The share of examples that two evaluations label differently, in the mean over all pairs; 0.0 where there is no pair.

    Counted by label: of E evaluations that give an example c times one label, c (c - 1) ordered pairs agree on it.
    """
    evaluations = len(answers)
    if evaluations < 2:
        return 0.0
    table = np.stack(answers)  # (E, n)
    counts = np.stack([(table == label).sum(axis=0) for label in np.unique(table)])  # (labels, n)
    agreeing = (counts * (counts - 1)).sum(axis=0).mean()
    return max(0.0, float(1.0 - agreeing / (evaluations * (evaluations - 1))))
