"""Clock, memory, energy, and the observer at the optimizer's steps."""

from __future__ import annotations

import contextlib
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bakeoff.contracts.fields import LARGEST
from bakeoff.records.schema import PHASES, LossScale, Observed, ObservedGroup
from bakeoff.toolkit.optimizers import PAST_CORRECTION, gradient_norm

NORM_EVERY = 16
"""Gradient norms are measured at the first 16 steps and then at every 16th: each one reads all gradients once, which at
every step would cost more than the 1 % of train time that the harness may add."""


class Clock:
    """One phase after the other from the start of the process; what is not in a phase does not exist, so they add up."""

    def __init__(self, *, synchronize: Callable[[], None] = lambda: None) -> None:
        self.synchronize = synchronize
        self.phase = "import"
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._entered = time.monotonic() - process_age()

    def enter(self, phase: str) -> None:
        """Ends the current phase, when the device has done its work, and begins another."""
        self.synchronize()
        now = time.monotonic()
        self.seconds[self.phase] += max(0.0, now - self._entered)  # whoever fakes a clock may turn it back
        self.phase, self._entered = phase, now

    def add(self, seconds: Mapping[str, float]) -> None:
        """Counts what an earlier process spent on the same run."""
        for phase, amount in seconds.items():
            self.seconds[phase] += amount

    def stop(self) -> float:
        """Ends the last phase; the total of all phases, from the start of the process to now, in seconds."""
        self.enter(self.phase)
        return math.fsum(self.seconds.values())


def process_age() -> float:
    """Seconds since this process began, to 10 ms; 0 where the kernel does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


def forget_peak_memory() -> None:
    """Starts the peak anew: a forked process is born with the peak of its parent. Linux only; elsewhere nothing happens."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kilobytes


class EnergyCounter:
    """Joules of the CPU packages by RAPL, and of a CUDA device by NVML, where they can be read; never an estimate."""

    def __init__(self) -> None:
        self.zones = sorted(Path("/sys/class/powercap").glob("intel-rapl:[0-9]"))
        self._before = self._read()
        self._device: Callable[[], float] | None = None
        self._device_before = 0.0
        self._device_note = ""

    def watch(self, device: Any, *, devices: int = 1) -> None:
        """Counts the device's own energy too, from now on, where it has a counter and is the only one of the run."""
        if device.type != "cuda":
            return
        if devices > 1:
            self._device_note = f"unmeasured: the run has {devices} devices, and one device's energy would not be the run's"
            return
        try:
            self._device = device_energy(device)
            self._device_before = self._device()
        except (ImportError, OSError, RuntimeError) as error:  # NVML's own errors are RuntimeErrors
            self._device, self._device_note = None, f"the device's energy is unmeasured: {error}"

    def _read(self) -> list[int] | None:
        try:
            return [int((zone / "energy_uj").read_text()) for zone in self.zones] or None
        except (OSError, ValueError):
            return None

    def joules(self) -> tuple[float | None, str]:
        """Since the start, and what the number is or why there is none. Of a run on a CUDA device: the device's."""
        if self._device is not None:
            try:
                joules = self._device() - self._device_before
                if joules <= 0:
                    return None, "unmeasured: the device's energy counter began anew, or stood still"
                return joules, "NVML, the whole device, idle power included"
            except RuntimeError as error:
                return None, f"the device's energy is unmeasured: {error}"
        if self._device_note:
            return None, self._device_note
        after = self._read()
        if self._before is None or after is None:
            return (
                None,
                "unmeasured: no readable RAPL counter" if self.zones else "unmeasured: this machine has no RAPL counter",
            )
        total = 0
        for before, now in zip(self._before, after, strict=True):
            if now < before:
                return None, "unmeasured: the RAPL counter wrapped around"
            total += now - before
        if not total:
            return None, "unmeasured: the RAPL counter stood still"
        return total / 1e6, "RAPL, all CPU packages of the machine, idle power included"


def device_energy(device: Any) -> Callable[[], float]:
    """Reads the joules that a CUDA device has taken since its driver started.

    Raises ImportError without nvidia-ml-py, RuntimeError where the device has no counter (before Volta), now or when read.
    """
    import pynvml
    import torch

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except pynvml.NVMLError as error:
        raise RuntimeError(str(error)) from None

    def joules() -> float:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000  # it counts millijoules
        except pynvml.NVMLError as error:
            raise RuntimeError(str(error)) from None

    joules()
    return joules


class Observer:
    """Sees every step of every torch optimizer while it is entered: what was done, whatever the recipe said.

    `norm_every` 1 measures the gradient norm at every step.
    """

    def __init__(self, *, norm_every: int = NORM_EVERY) -> None:
        self.norm_every = norm_every
        self.optimizer = ""
        self.steps = 0
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

    def state(self) -> dict[str, Any]:
        """What `take_up` needs to go on where this one is."""
        return {
            "steps": self.steps,
            "learning_rates": self.learning_rates,
            "norms": {str(step): norm for step, norm in self.norms.items()},
            "seconds": self.seconds,
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """Goes on where another observer of the same run was; groups are seen anew."""
        self.steps, self.learning_rates, self.seconds = state["steps"], list(state["learning_rates"]), state["seconds"]
        self._norms = [(int(step), norm) for step, norm in state["norms"].items()]

    @property
    def norms(self) -> dict[int, float]:
        """Step -> global 2-norm of the gradient as the optimizer received it."""
        return {step: float(norm) for step, norm in self._norms}

    def observed(
        self, *, seen: tuple[int, int, int], order_sha256: str, loss_scale: LossScale | None = None
    ) -> Observed | None:
        """What was seen; None before the first step, and where a learning rate was no number. `seen` counts examples, tokens,
        and tokens with padding."""
        if not self.groups or not all(abs(rate) <= LARGEST for rate in self.learning_rates):
            return None
        norms = [norm for norm in self.norms.values() if norm <= LARGEST]
        peak = max(self.learning_rates)
        return Observed(
            optimizer=self.optimizer,
            optimizer_steps=self.steps,
            groups=self.groups,
            learning_rate_first=self.learning_rates[0],
            learning_rate_peak=peak,
            learning_rate_last=self.learning_rates[-1],
            warmup_steps=self.learning_rates.index(peak),
            gradient_norms_measured=len(self._norms),
            gradient_norm_median=_seven_digits(statistics.median(norms)) if norms else None,
            gradient_norm_max=_seven_digits(max(norms)) if norms else None,
            clipped_at=pile_up(norms),
            examples_seen=seen[0],
            tokens_seen=seen[1],
            padded_tokens_seen=seen[2],
            data_order_sha256=order_sha256,
            loss_scale=loss_scale,
        )


def _seven_digits(norm: float) -> float:
    """As many digits as are right."""
    return float(f"{norm:.7g}")


def pile_up(norms: list[float]) -> float | None:
    """The value that the largest norms share to 4 digits: clipping leaves them there; free ones never meet like that."""
    top = max(norms, default=0.0)
    together = [norm for norm in norms if math.isclose(norm, top, rel_tol=1e-4)]
    return float(f"{top:.4g}") if len(together) >= 2 and top > 0 else None


def _observed_group(optimizer: Any, group: dict[str, Any], highest: float) -> ObservedGroup:
    """`highest` is the highest learning rate of all groups before any scheduling."""
    betas = group.get("betas")
    return ObservedGroup(
        tensors=len(group["params"]),
        elements=sum(parameter.numel() for parameter in group["params"]),
        weight_decay=_number(group.get("weight_decay")),
        betas=_numbers(betas),
        eps=_number(group.get("eps")),
        fused=group.get("fused"),
        lr_scale=_number(float(group.get("initial_lr", group["lr"])) / highest) if highest else None,
        momentum=_number(group.get("momentum")),
        bias_correction=_bias_correction(optimizer, group),
    )


def _bias_correction(optimizer: Any, group: dict[str, Any]) -> bool | None:
    """Whether an Adam of torch corrects at its first step; None where that is not known of the optimizer."""
    if "betas" not in group or not type(optimizer).__module__.startswith("torch.optim"):
        return None
    return float(optimizer.state.get(group["params"][0], {}).get("step", 0)) < PAST_CORRECTION


def _number(value: Any) -> float | None:
    """Optimizers hold what they like under these names (Adafactor's eps is a pair); a record holds numbers within its range."""
    return float(value) if isinstance(value, int | float) and abs(value) <= LARGEST else None


def _numbers(values: Any) -> list[float] | None:
    found = [float(value) for value in values] if values else []
    return found if found and all(abs(value) <= LARGEST for value in found) else None
