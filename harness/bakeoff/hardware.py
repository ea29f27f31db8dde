"""Devices, threads, random streams, and what this machine and its software are."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, unknown
from bakeoff.record import Environment

SOFTWARE = ("accelerate", "datasets", "evaluate", "numpy", "safetensors", "tokenizers", "torch", "transformers")
"""Distributions that can change a result, besides bakeoff and the plugins in use."""

DEVICES = ("auto", "cpu", "cuda", "mps")


def stream_seed(seed: int, replicate: int, stream: str, *position: int) -> int:
    """The seed (63 bits) of one random stream at one position; streams and replicates are independent of each other."""
    text = "/".join(map(str, (seed, replicate, stream, *position)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def restart_random(seed: int) -> None:
    """Every global generator that a model or trainer may draw from starts anew: torch (all devices), numpy, random."""
    import random

    import numpy as np
    import torch

    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def usable_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_environment(threads: int) -> None:
    """Settings that libraries read when imported; a fork server freezes them, so they are made before it starts."""
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"  # else a repository without safetensors asks a conversion service
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asking for CUDA through cuInit would poison the forks
    # A run has one device: the Trainer would take all it sees and multiply the batch.
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    os.environ["PYTHONSAFEPATH"] = "1"  # else a user's evaluate.py in the working directory would be imported


def set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def pick_device(name: str) -> Any:
    """`auto` takes cuda, then mps, then cpu; a device that is not there is an error."""
    import torch

    if name not in DEVICES:
        raise BakeoffError(unknown("device", name, DEVICES))
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, present in there.items() if present)
    if not there[name]:
        raise BakeoffError(f"there is no device '{name}' here; there is {', '.join(d for d in there if there[d])}")
    return torch.device(name)


def synchronize(device: Any) -> None:
    """Waits until the device has done what it was given, so that a clock read now is true."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def software(distributions: Iterable[str]) -> dict[str, str]:
    """Installed versions, read without importing anything; python's own among them."""
    found = {"python": platform.python_version()}
    for name in sorted({*SOFTWARE, *distributions}):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's name as the kernel gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment(distributions: Iterable[str], *, threads: int, device: str = "cpu", accelerator: str = "") -> Environment:
    """Where this process runs. `accelerator` is the device's own name, empty on the CPU."""
    import psutil

    return Environment(
        software=software(distributions),
        hardware=accelerator or f"{processor()}, {threads} thread{'s' if threads > 1 else ''}",
        threads=threads,
        device=device,
        processor=processor(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.machine()}",
    )


def accelerator_name(device: Any) -> str:
    """The name of a CUDA or MPS device; empty for the CPU."""
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"Apple {platform.machine()} (mps)" if device.type == "mps" else ""
