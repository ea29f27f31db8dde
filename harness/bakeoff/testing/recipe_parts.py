"""The promises of a loss and of an optimizer, checked on made-up logits and weights."""

from __future__ import annotations

import copy
from typing import Any
from unittest import SkipTest

import numpy as np

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import Origin, Registered
from bakeoff.kinds import KINDS, kind_named
from bakeoff.records.training_state import is_plain
from bakeoff.testing.bench import random_state
from bakeoff.testing.contract import Contract
from bakeoff.text.numbers import significant
from bakeoff.training.recipe_parts import optimizer_maker

ROWS, OUTPUTS, STEPS = 6, 3, 3
SHAPES = ((4, 3), (3,), (2, 5))
"""Shapes of the weights with which optimizers are tested."""


class LossContract(Contract):
    """Tests that every Loss must pass."""

    def test_it_gives_one_number_for_each_row(self) -> None:
        for kind, logits, targets in self.batches():
            losses = self.losses(logits, targets)
            if tuple(getattr(losses, "shape", ())) != (ROWS,):
                self.broken(
                    f"`losses` gives {shape_of(losses)} for {ROWS} rows of a {kind} task; give the loss of each, (batch,)"
                )
            if not bool(losses.isfinite().all()):
                self.broken(f"`losses` of a {kind} task are not all finite: {[float(loss) for loss in losses]}")

    def test_the_loss_of_a_row_is_its_own(self) -> None:
        """Checks that a row has the same loss alone as among others: else micro-batches would not add up to their batch."""
        for kind, logits, targets in self.batches():
            whole = self.losses(logits, targets)
            if tuple(getattr(whole, "shape", ())) != (ROWS,):
                continue  # another test tells
            for row in range(ROWS):
                alone = self.losses(logits[row : row + 1], targets[row : row + 1])
                if not bool(alone[0].isclose(whole[row], rtol=1e-5, atol=1e-7)):
                    self.broken(
                        f"the loss of a row of a {kind} task is {significant(float(alone[0]), 6)} alone and "
                        f"{significant(float(whole[row]), 6)} among {ROWS} rows; let it depend on that row alone"
                    )

    def test_it_can_be_learnt_from(self) -> None:
        """Checks that a step against the gradient lowers the mean loss."""
        for kind, logits, targets in self.batches():
            given = logits.clone().requires_grad_()
            losses = self.losses(given, targets)
            if not losses.requires_grad:
                self.broken(
                    f"`losses` of a {kind} task have no gradient; compute them from `logits` by torch operations, without "
                    "`detach`, `item` or numpy"
                )
            losses.mean().backward()
            if given.grad is None or not bool(given.grad.isfinite().all()) or not bool(given.grad.any()):
                self.broken(f"`losses` of a {kind} task give no finite gradient at the logits")
            lower = self.losses(logits - 1e-2 * given.grad, targets).mean()
            if not bool(lower < self.losses(logits, targets).mean()):
                self.broken(f"a step against the gradient does not lower the loss of a {kind} task")

    def test_it_uses_no_random_number(self) -> None:
        for _, logits, targets in self.batches():
            before = random_state()
            first, second = self.losses(logits, targets), self.losses(logits, targets)
            if not bool(first.equal(second)) or random_state() != before:
                self.broken("`losses` draws random numbers; the random streams of a step are those of the model's dropout")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def batches(self) -> list[tuple[str, Any, Any]]:
        """(kind of task, random logits (6, n_outputs), random targets) of each kind that the loss is for."""
        import torch

        self.ready()
        found = []
        for name in sorted(KINDS if self.component.kinds is None else self.component.kinds):
            kind = kind_named(name)
            outputs = kind.n_outputs(OUTPUTS)
            _, references = next(kind.made_up_answers(np.random.default_rng(1), outputs))
            targets = torch.tensor(kind.targets(references[:ROWS].tolist(), outputs))
            logits = torch.randn(ROWS, outputs, generator=torch.Generator().manual_seed(1))
            found.append((name, logits, targets))
        return found

    def losses(self, logits: Any, targets: Any) -> Any:
        return self.component.losses(logits, targets, self.chosen())


class OptimizerContract(Contract):
    """Tests that every Optimizer must pass. Skipped for one that does not work on the CPU."""

    def test_a_step_goes_against_the_gradient_and_a_rate_of_zero_changes_nothing(self) -> None:
        import torch

        weights = self.stepped(1)
        for before, after, gradient in zip(self.weights(), weights, gradients(0), strict=True):
            if not float(((after - before) * gradient).sum()) < 0:
                self.broken("a step does not go against the gradient; take `parameter.grad` of each parameter in the groups")
        still = self.stepped(1, rate=0.0)
        if any(not torch.equal(before, after) for before, after in zip(self.weights(), still, strict=True)):
            self.broken("a learning rate of 0 changes weights; every step must read `group['lr']`, which a scheduler sets")

    def test_it_follows_learning_rate_and_weight_decay_of_each_group(self) -> None:
        plain = self.stepped(1)
        for key, changed in (("lr", {"lr": 0.5}), ("weight_decay", {"weight_decay": 0.5})):
            others = self.stepped(1, last_group=changed)
            if not plain[0].equal(others[0]):
                self.broken(f"`{key}` of one group changes the weights of another")
            if plain[-1].equal(others[-1]):
                self.broken(f"it does not follow `{key}` of a group")

    def test_elementwise_is_elementwise(self) -> None:
        """Checks, if `elementwise` is set, that weights that are stored as one tensor get the same updates, and that weights
        whose gradient was always 0 stay."""
        import torch

        if not self.component.elementwise:
            raise SkipTest("it does not claim to be elementwise")
        apart = torch.cat([weight.flatten() for weight in self.stepped(STEPS)])
        whole = torch.nn.Parameter(torch.cat([weight.flatten() for weight in self.weights()]))
        optimizer = self.made([{"params": [whole], "lr": 0.1, "weight_decay": 0.0}])
        for step in range(STEPS):
            whole.grad = torch.cat([gradient.flatten() for gradient in gradients(step)])
            optimizer.step()
        if not torch.allclose(apart, whole.detach(), rtol=1e-5, atol=1e-7):
            self.broken("weights stored as one tensor get other updates; set `elementwise = False`")
        still = torch.nn.Parameter(self.weights()[0])
        optimizer = self.made(groups_of([still]))
        still.grad = torch.zeros_like(still)
        optimizer.step()
        if not still.detach().equal(self.weights()[0]):
            self.broken("weights whose gradient is 0 move without weight decay; set `elementwise = False`")

    def test_it_goes_on_from_its_state(self) -> None:
        """Checks that an optimizer made anew continues from the saved state with the same weights; required if `resumes` is
        set."""
        import torch

        if not self.component.resumes:
            raise SkipTest("it does not claim to resume")
        parameters = [torch.nn.Parameter(weight) for weight in self.weights()]
        optimizer = self.made(groups_of(parameters))
        take(optimizer, parameters, range(STEPS))
        state = copy.deepcopy(optimizer.state_dict())
        for values in state["state"].values():
            if odd := [name for name, value in values.items() if not torch.is_tensor(value) and not is_plain(value)]:
                self.broken(f"its state has {odd[0]!r}, which is neither a tensor nor a plain number; set `resumes = False`")
        again = [torch.nn.Parameter(parameter.detach().clone()) for parameter in parameters]
        fresh = self.made(groups_of(again))
        fresh.load_state_dict({"state": state["state"], "param_groups": fresh.state_dict()["param_groups"]})  # as a run does
        take(optimizer, parameters, range(STEPS, 2 * STEPS))
        take(fresh, again, range(STEPS, 2 * STEPS))
        if any(not one.equal(other) for one, other in zip(parameters, again, strict=True)):
            self.broken("continued from its saved state it takes other steps; keep all it needs in `self.state`")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def made(self, groups: list[dict[str, Any]]) -> Any:
        """A new optimizer of these groups, as a run makes it. Skips the test if it does not work here."""
        self.ready()
        if self.component.devices is not None and "cpu" not in self.component.devices:
            raise SkipTest(f"it works on {' and '.join(sorted(self.component.devices))} only")
        part = Configured(Registered(self.component, Origin("own", "own", "0")), self.chosen())
        return optimizer_maker(part, Recipe(learning_rate=0.1))(groups)

    def weights(self) -> list[Any]:
        """The weights before the first step, one tensor for each shape."""
        import torch

        generator = torch.Generator().manual_seed(2)
        return [torch.randn(*shape, generator=generator) for shape in SHAPES]

    def stepped(self, steps: int, *, rate: float = 0.1, last_group: dict[str, Any] | None = None) -> list[Any]:
        """The weights after so many steps. last_group: changes to the group of the last weight."""
        import torch

        parameters = [torch.nn.Parameter(weight) for weight in self.weights()]
        groups = groups_of(parameters, rate)
        groups[-1] |= last_group or {}
        take(self.made(groups), parameters, range(steps))
        return [parameter.detach() for parameter in parameters]


def groups_of(parameters: list[Any], rate: float = 0.1) -> list[dict[str, Any]]:
    """A group of all parameters but the last, and one of the last."""
    groups = [{"params": part, "lr": rate, "weight_decay": 0.0} for part in (parameters[:-1], parameters[-1:])]
    return [group for group in groups if group["params"]]


def gradients(step: int) -> list[Any]:
    """The gradients of a step, one tensor for each shape."""
    import torch

    generator = torch.Generator().manual_seed(10 + step)
    return [torch.randn(*shape, generator=generator) for shape in SHAPES]


def take(optimizer: Any, parameters: list[Any], steps: range) -> None:
    """Takes these steps with their gradients."""
    for step in steps:
        for parameter, gradient in zip(parameters, gradients(step), strict=True):
            parameter.grad = gradient
        optimizer.step()


def shape_of(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if hasattr(value, "shape") else f"a {type(value).__name__}"
