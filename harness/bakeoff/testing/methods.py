"""The promises of a method, checked on a tiny model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bakeoff.contracts.method import Adaptation, ParameterGroup
from bakeoff.contracts.recipe import Recipe
from bakeoff.errors import PluginError
from bakeoff.testing.bench import (
    ENCODING,
    LABEL_NUMBERS,
    LABELS,
    built_tiny,
    examples_of,
    random_state,
    sample_info,
    seeded,
    sha256_of,
    tiny,
)
from bakeoff.testing.contract import Contract
from bakeoff.training.preparation import head_of, require_promises


class MethodContract(Contract):
    """The promises of a Method, checked on a tiny BERT."""

    recipe: ClassVar[Mapping[str, Any]] = {"weight_decay": 0.01}

    def test_the_head_always_trains(self) -> None:
        head = head_of(built_tiny())
        self.require(replace(adapted := self.adapted(), groups=groups_of_what_trains(adapted)), head)

    def test_groups_name_exactly_what_trains(self) -> None:
        self.require(self.adapted(), frozenset())

    def test_scales_and_weight_decays_are_numbers_that_an_optimizer_takes(self) -> None:
        for group in self.adapted().groups:
            if not all(0 <= value < math.inf for value in (group.lr_scale, group.weight_decay)):
                first = group.names[0] if group.names else "no parameter"
                self.broken(
                    f"the group of {first} has lr_scale {group.lr_scale}, weight_decay {group.weight_decay}; both must be 0 or "
                    "more, and finite"
                )

    def test_a_seed_reproduces(self) -> None:
        if sha256_of(self.adapted(0).model) != sha256_of(self.adapted(0).model):
            self.broken("`adapt` gives different weights with the same seed; draw from torch's global generator alone")

    def test_the_seed_stays_the_harness_s(self) -> None:
        """Checks that different seeds leave torch's generator in different states: a method that seeds it would not."""
        states = []
        for seed in (0, 1):
            self.adapted(seed)
            states.append(random_state())
        if states[0] == states[1]:
            self.broken("`adapt` seeds torch itself; the harness does that, so that random numbers depend on the run's seed")

    def test_the_model_still_predicts_and_learns(self) -> None:
        adapted = self.adapted()
        prepared = tiny().prepare(sample_info(), tiny().Options(), ENCODING)
        batch = prepared.collate(examples_of(prepared))
        del batch["labels"]
        logits = prepared.predict(adapted.model, batch)
        if tuple(logits.shape) != (len(LABEL_NUMBERS), len(LABELS)):
            self.broken(
                f"the adapted model gives logits {tuple(logits.shape)}; it must still give {(len(LABEL_NUMBERS), len(LABELS))}"
            )
        trained = [parameter for parameter in adapted.model.parameters() if parameter.requires_grad]
        if trained:
            loss: Any = logits.float().square().mean()
            loss.backward()
        if not any(parameter.grad is not None and bool(parameter.grad.any()) for parameter in trained):
            self.broken("nothing that trains gets a gradient; the adapted model must use the parameters that the groups name")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def adapted(self, seed: int = 0) -> Adaptation:
        """A new tiny model, adapted by the method."""
        self.ready()
        built, recipe = built_tiny(seed), Recipe.model_validate(dict(self.recipe))
        adaptation: Adaptation = seeded(seed, self.component.adapt, built, self.chosen(), recipe)
        return adaptation

    def require(self, adaptation: Adaptation, head: frozenset[str]) -> None:
        """Fails the test if the adaptation breaks what every run requires. head: names of the head's parameters, which must
        train."""
        __tracebackhide__ = True
        try:
            require_promises(adaptation, head, self.component.name)
        except PluginError as error:
            self.broken(f"{error}; set requires_grad, and name each parameter that has it once in `groups`")


def groups_of_what_trains(adaptation: Adaptation) -> tuple[ParameterGroup, ...]:
    """One group of all trainable parameters, in place of the method's own groups, so that only the head is checked."""
    return (ParameterGroup(tuple(name for name, p in adaptation.model.named_parameters() if p.requires_grad), 1.0, 0.0),)
