"""Observes what the optimizer really did at each step."""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

from bakeoff.contracts.fields import LARGEST
from bakeoff.records.schema import LossScale, Observed, ObservedGroup
from bakeoff.text.numbers import rounded
from bakeoff.toolkit.optimizers import PAST_CORRECTION, gradient_norm

SCALE_DIGITS = 10
"""Significant digits of a group's learning rate divided by the highest; a quotient of rounded numbers has no more."""

NORM_DIGITS = 7
"""Significant digits of a recorded gradient norm."""

NORM_EVERY = 16
"""Gradient norms are measured at the first 16 steps and then at every 16th. Each measurement reads all gradients, which at
every step would take more than the 1 % of training time that the harness may add."""


class Observer:
    """A context manager that observes every step of every torch optimizer in this process, whatever the recipe says.

    norm_every: after how many steps the gradient norm is measured again; 1 for every step.
    """

    def __init__(self, *, norm_every: int = NORM_EVERY) -> None:
        self.norm_every = norm_every
        self.optimizer = ""
        self.steps = 0
        self.skipped: list[int] = []
        """The numbers of the steps that fp16 skipped because a gradient had overflowed."""
        self.groups: list[ObservedGroup] = []
        self.learning_rates: list[float] = []
        self._norms: list[tuple[int, Any]] = []
        self.seconds = 0.0
        self._handle: Any = None

    def __enter__(self) -> Observer:
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        self._handle = register_optimizer_step_pre_hook(self._see)
        return self

    def __exit__(self, *exception: object) -> None:
        self._handle.remove()

    def _see(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        began = time.perf_counter()
        if not self.groups:
            self.optimizer = type(optimizer).__name__
            highest = max(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)
            self.groups = [_observed_group(optimizer, group, highest) for group in optimizer.param_groups]
        self.learning_rates.append(max(float(group["lr"]) for group in optimizer.param_groups))
        if self.steps < NORM_EVERY or self.steps % self.norm_every == 0:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            self._norms.append((self.steps, gradient_norm(gradients)))
        self.steps += 1
        self.seconds += time.perf_counter() - began

    def skip(self, optimizer: Any) -> None:
        """To be called where a step was skipped: it counts as a step, with the learning rate that it would have had. optimizer:
        None where it is not known; then with the rate of the step before, 0 at the first."""
        known = [float(group["lr"]) for group in optimizer.param_groups] if optimizer is not None else self.learning_rates[-1:]
        self.learning_rates.append(max(known, default=0.0))
        self.skipped.append(self.steps)
        self.steps += 1

    def state(self) -> dict[str, Any]:
        """What a checkpoint stores of this observer, for `continue_from`."""
        return {
            "steps": self.steps,
            "learning_rates": self.learning_rates,
            "norms": {str(step): norm for step, norm in self.norms.items()},
            "seconds": self.seconds,
            "skipped": self.skipped,
        }

    def continue_from(self, state: dict[str, Any]) -> None:
        """Continues from the `state` of the observer of an earlier process of the same run; parameter groups are observed
        anew."""
        self.steps, self.learning_rates, self.seconds = state["steps"], list(state["learning_rates"]), state["seconds"]
        self.skipped = list(state["skipped"])
        self._norms = [(int(step), norm) for step, norm in state["norms"].items()]

    @property
    def norms(self) -> dict[int, float]:
        """Step -> global 2-norm of the gradient that the optimizer received."""
        return {step: float(norm) for step, norm in self._norms}

    def observed(
        self, *, counts: tuple[int, int, int], order_sha256: str, loss_scale: LossScale | None = None
    ) -> Observed | None:
        """What was observed of the optimizer and the rows; None before the first step, or if a learning rate was not finite.
        counts: (examples, tokens, tokens with padding) that were trained on."""
        if not self.groups or not all(abs(rate) <= LARGEST for rate in self.learning_rates):
            return None
        norms = [norm for norm in self.norms.values() if norm <= LARGEST]
        skipped = {*self.skipped}
        rates = [rate for step, rate in enumerate(self.learning_rates) if step not in skipped]
        peak = max(rates)
        return Observed(
            optimizer=self.optimizer,
            optimizer_steps=len(rates),
            groups=self.groups,
            learning_rate_first=rates[0],
            learning_rate_peak=peak,
            learning_rate_last=rates[-1],
            warmup_steps=rates.index(peak),
            gradient_norms_measured=len(self._norms),
            gradient_norm_median=rounded(statistics.median(norms), NORM_DIGITS) if norms else None,
            gradient_norm_max=rounded(max(norms), NORM_DIGITS) if norms else None,
            clipped_at=pile_up(norms),
            examples_seen=counts[0],
            tokens_seen=counts[1],
            padded_tokens_seen=counts[2],
            data_order_sha256=order_sha256,
            loss_scale=loss_scale,
        )


def pile_up(norms: list[float]) -> float | None:
    """The value that the largest norms share to 4 digits, which only clipping causes; None if they differ."""
    top = max(norms, default=0.0)
    together = [norm for norm in norms if math.isclose(norm, top, rel_tol=1e-4)]
    return rounded(top, 4) if len(together) >= 2 and top > 0 else None


def _observed_group(optimizer: Any, group: dict[str, Any], highest: float) -> ObservedGroup:
    """What a record says of a parameter group. highest: the highest learning rate of all groups before the scheduler changed
    any."""
    betas = group.get("betas")
    return ObservedGroup(
        tensors=len(group["params"]),
        elements=sum(parameter.numel() for parameter in group["params"]),
        weight_decay=_number(group.get("weight_decay")),
        betas=_numbers(betas),
        eps=_number(group.get("eps")),
        fused=group.get("fused"),
        lr_scale=_number(rounded(float(group.get("initial_lr", group["lr"])) / highest, SCALE_DIGITS)) if highest else None,
        momentum=_number(group.get("momentum")),
        bias_correction=_bias_correction(optimizer, group),
    )


def _bias_correction(optimizer: Any, group: dict[str, Any]) -> bool | None:
    """Whether torch's Adam corrects the bias; None for any other optimizer."""
    if "betas" not in group or not type(optimizer).__module__.startswith("torch.optim"):
        return None
    return float(optimizer.state.get(group["params"][0], {}).get("step", 0)) < PAST_CORRECTION


def _number(value: Any) -> float | None:
    """The value as a record stores it; None if it is no finite number. Optimizers have values of any type under these names:
    Adafactor's eps is a pair."""
    return float(value) if isinstance(value, int | float) and abs(value) <= LARGEST else None


def _numbers(values: Any) -> list[float] | None:
    found = [float(value) for value in values] if values else []
    return found if found and all(abs(value) <= LARGEST for value in found) else None
