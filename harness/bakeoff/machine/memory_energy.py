"""A process's peak memory, and its energy in joules where a counter can be read."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def forget_peak_memory() -> None:
    """Resets the peak of this process's memory, because a forked process starts with its parent's peak. Linux only; elsewhere
    nothing happens."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """The largest resident set of this process so far, in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux kilobytes


class EnergyCounter:
    """Counts the energy of a run: joules of the CPU packages by RAPL, or of a CUDA device by NVML, where these counters can be
    read; never estimated."""

    def __init__(self) -> None:
        self.zones = sorted(Path("/sys/class/powercap").glob("intel-rapl:[0-9]"))
        self._before = self._read()
        self._device: Callable[[], float] | None = None
        self._device_before = 0.0
        self._device_note = ""

    def watch(self, device: Any, *, devices: int = 1) -> None:
        """Starts counting the energy of `device`, if it has a counter and is the run's only device. devices: how many the run
        has."""
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
        """Joules since the start, and a note on what was counted; None, and a note on why, if they are unmeasured. For a run
        on a CUDA device they are the joules of the device, otherwise those of the CPU packages."""
        if self._device is not None:
            try:
                joules = self._device() - self._device_before
                if joules <= 0:
                    return None, "unmeasured: the device's energy counter was reset, or did not change"
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
        taken = [now - before for before, now in zip(self._before, after, strict=True)]  # microjoules of each package
        if min(taken) < 0:
            return None, "unmeasured: the RAPL counter wrapped around"
        if not any(taken):
            return None, "unmeasured: the RAPL counter did not change"
        return sum(taken) / 1e6, "RAPL, all CPU packages of the machine, idle power included"


def device_energy(device: Any) -> Callable[[], float]:
    """A function that returns the joules that a CUDA device has used since its driver started.

    Raises ImportError without nvidia-ml-py, and RuntimeError, here or in the returned function, if the device has no counter
    (before Volta).
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


def memory_peaks(device: Any) -> tuple[int, int]:
    """This process's peak memory so far, in bytes: (main memory, CUDA memory); the second is 0 on other devices."""
    if not is_cuda(device):
        return peak_memory_bytes(), 0
    import torch

    return peak_memory_bytes(), int(torch.cuda.max_memory_allocated(device))


def is_cuda(device: Any) -> bool:
    return device is not None and device.type == "cuda"
