"""Devices and threads of this machine, and descriptions of its hardware and software."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError
from bakeoff.machine.distributions import installed_version
from bakeoff.text.words import did_you_mean

SOFTWARE = ("accelerate", "datasets", "evaluate", "numpy", "safetensors", "tokenizers", "torch", "transformers")
"""Distributions that can change a result, besides Bakeoff and the plugins in use."""

DEVICES = ("auto", "cpu", "cuda", "mps")

ALL_DEVICES = "BAKEOFF_ALL_CUDA_DEVICES"
"""Environment variable with the original value of CUDA_VISIBLE_DEVICES; empty if that was not set."""

CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Linux's flags of processors that multiply in bfloat16: two of x86, one of ARM."""


def usable_threads() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_environment(threads: int) -> None:
    """Sets environment variables that libraries read when imported. To be called before the fork server starts, which
    imports them."""
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"  # else a repository without safetensors asks a conversion service
    os.environ["USE_HUB_KERNELS"] = "NO"  # else, where the kernels library is installed, models run code of the hub
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asking for CUDA through cuInit would poison the forks
    # A process has one device: the Trainer would take all it sees and multiply the batch. `show_all_devices` undoes it.
    os.environ.setdefault(ALL_DEVICES, os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    os.environ["PYTHONSAFEPATH"] = "1"  # else a user's evaluate.py in the working directory would be imported


def show_all_devices() -> None:
    """Makes all CUDA devices that were visible at first visible again; each process of a run then takes one."""
    if devices := os.environ.get(ALL_DEVICES):
        os.environ["CUDA_VISIBLE_DEVICES"] = devices
    else:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)


def take_devices(place: int, processes: int) -> None:
    """Restricts this process, before CUDA starts, to the devices of one run. place: the run's number, from 0, among those that
    train at the same time. processes: how many processes a run has, each with one device."""
    visible = os.environ.get(ALL_DEVICES, "")
    devices = visible.split(",") if visible else [str(number) for number in range((place + 1) * processes)]
    own = devices[place * processes : (place + 1) * processes]
    os.environ[ALL_DEVICES] = ",".join(own)
    os.environ["CUDA_VISIBLE_DEVICES"] = own[0] if own else ""


def pick_device(name: str, *, precision: str = "fp32", threads: int | None = None) -> Any:
    """The torch device of this name; `auto` prefers cuda, then mps, then cpu. threads: how many threads torch uses on the CPU.

    Raises BakeoffError if there is no such device, or if it has no arithmetic of this precision.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)

    if name not in DEVICES:
        raise BakeoffError(did_you_mean("device", name, DEVICES))
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, present in there.items() if present)
    if not there[name]:
        raise BakeoffError(f"there is no device '{name}' here; available: {', '.join(d for d in there if there[d])}")
    require_precision(precision, name)
    return torch.device(name)


def require_precision(precision: str, device: str) -> None:
    """Raises BakeoffError if the device would only emulate this precision, which is slower than fp32; for fp16, if it is not
    CUDA."""
    if precision == "fp16" and device != "cuda":
        raise BakeoffError(f"precision fp16: its scaled loss is for CUDA, and the device is {device}; use bf16 or fp32")
    if precision != "bf16":
        return
    if device == "cuda":
        import torch

        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise BakeoffError(f"precision bf16: {torch.cuda.get_device_name()} has no bfloat16 arithmetic; use fp32")
    elif device == "cpu" and not BF16_FLAGS & cpu_flags():
        flags = ", ".join(sorted(BF16_FLAGS))
        raise BakeoffError(f"precision bf16: {processor()} has no bfloat16 arithmetic (none of the flags {flags}); use fp32")


def require_compiler(device: str) -> None:
    """Raises BakeoffError if `torch.compile` can't work on this device: on the CPU it needs a C++ compiler, on CUDA triton."""
    if device == "cuda":
        if importlib.util.find_spec("triton") is None:
            raise BakeoffError("torch_compile: on CUDA it needs the package triton, which is not installed")
        names = [os.environ.get("CC") or "gcc", "clang"]
    else:  # what torch/_inductor/config.py looks for
        names = [os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")]
    if not any(map(shutil.which, names)):
        raise BakeoffError(f"torch_compile: it needs the compiler {names[0]}, which is not there: install it, or set CXX or CC")


def require_processes(processes: int, device: str, *, jobs: int = 1) -> None:
    """Raises BakeoffError if a run can't have this many processes on this machine, or if `jobs` runs at the same time need
    more CUDA devices than there are."""
    if processes == 1 and (jobs == 1 or device != "cuda"):
        return
    if processes > 1 and (sys.platform != "linux" or device not in {"cpu", "cuda"}):
        raise BakeoffError(f"processes {processes}: several for one run need Linux, and the CPU or CUDA")
    if device == "cpu":
        most, what = usable_threads(), "usable core"
    else:
        import torch

        before = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        show_all_devices()
        most, what = torch.cuda.device_count(), "CUDA device"
        os.environ["CUDA_VISIBLE_DEVICES"] = before
    there = f"{most} {what}{'s' if most != 1 else ''}"
    if processes > most:
        raise BakeoffError(f"processes {processes}: each takes one {what}, and this machine has {there}")
    if device == "cuda" and processes * jobs > most:
        raise BakeoffError(
            f"--jobs {jobs}: each run takes {processes} {what}{'s' * (processes > 1)}, and this machine has {there}"
        )


def cpu_info() -> dict[str, str]:
    """Linux's description of the first processor; empty on other systems."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}


def cpu_flags() -> set[str]:
    """The processor's features as the kernel lists them; on systems without such a list (macOS) `BF16_FLAGS` is assumed."""
    info = cpu_info()
    return set((info.get("flags") or info.get("Features") or "").split()) if info else BF16_FLAGS


def synchronize(device: Any) -> None:
    """Waits until the device has finished its work, so that times measured now are right."""
    if device is None:
        return
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def software(distributions: Iterable[str]) -> dict[str, str]:
    """Distribution -> installed version, for `SOFTWARE` and these distributions, with Python's; those that are not installed
    are left out. Of several builds the imported one counts; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in sorted({*SOFTWARE, *distributions}):
        try:
            found[name] = installed_version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's name as the kernel gives it."""
    return cpu_info().get("model name") or platform.processor() or platform.machine()


def hardware_class(accelerator: str, *, threads: int, processes: int = 1) -> str:
    """The hardware class of a run as text: the processor and the threads that the run's processes share; or the accelerator,
    with how many, one for each process. accelerator: empty for the CPU."""
    if accelerator:
        return accelerator if processes == 1 else f"{processes} x {accelerator}"
    threads = max(threads, processes)
    return f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"


def instructions() -> str | None:
    """The vector instructions that torch uses on this CPU (`AVX512`), which ATEN_CPU_CAPABILITY can limit; None if torch was
    not imported."""
    torch = sys.modules.get("torch")
    return str(torch.backends.cpu.get_cpu_capability()) if torch is not None else None


def accelerator_name(device: Any) -> str:
    """The name of a CUDA or MPS device; empty for the CPU."""
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"Apple {platform.machine()} (mps)" if device.type == "mps" else ""
