"""The command `bakeoff doctor`."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import psutil

from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.inputs import find_paths, installed_twice
from bakeoff.cli.output import print_result
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError
from bakeoff.files import nameless_file
from bakeoff.machine import hardware
from bakeoff.machine.distributions import REMEDY
from bakeoff.machine.hub import hub_cache, hub_endpoint, hub_is_reachable
from bakeoff.machine.installing import install_command
from bakeoff.runner.machine_check import measure_control
from bakeoff.runner.settings import Settings
from bakeoff.spec.user_configuration import configuration_path
from bakeoff.text.numbers import gibibytes, per_cent, with_decimals

NAME_WIDTH = 11


@dataclass(frozen=True)
class Finding:
    """One line of output: what was checked, the result, and what to do if something is missing."""

    name: str
    found: str
    remedy: str = ""


@click.command()
@data_option
@click.option("--control/--no-control", default=True, help="Measure this machine's speed, and whether it is steady (10 s).")
def doctor(data: DataFolders, control: bool) -> None:
    """Check this installation: hardware, library versions, hub, data, plugins, write access.

    Where something is missing, the next line says what to do about it. The output can be pasted into a bug report: the home
    folder is written as ~.
    """
    missing = 0
    for finding in findings(data, control=control):
        missing += bool(finding.remedy)
        print_result("!" if finding.remedy else " ", style="yellow" if finding.remedy else "", end="")
        print_result(f" {finding.name:{NAME_WIDTH}} {without_home(finding.found)}")
        if finding.remedy:
            print_result(f"  {'':{NAME_WIDTH}} -> {without_home(finding.remedy)}")
    print_result("", f"{missing} to fix or ignore (lines with !)" if missing else "nothing is missing")


def without_home(text: str) -> str:
    """The text with the user's home folder written as ~, since its name is usually the user's."""
    return text.replace(str(Path.home()), "~")


def findings(data: DataFolders, *, control: bool) -> Iterator[Finding]:
    """Yields the findings, each as soon as it is known."""
    yield from versions()
    yield from machine()
    yield from plugins()
    yield hub()
    yield from datasets(data)
    yield from write_access()
    if control:
        yield measured()


def versions() -> Iterator[Finding]:
    found = hardware.software(("bakeoff",))
    yield Finding("bakeoff", found.pop("bakeoff", "not installed as a distribution"))
    yield Finding("python", f"{found.pop('python')} on {platform.platform()}")
    yield Finding("software", ", ".join(f"{name} {version}" for name, version in found.items()))


def machine() -> Iterator[Finding]:
    """Processor, memory, devices, the precisions that they support, and the hardware class of a run that has it all."""
    cores = os.cpu_count() or 1
    usable = hardware.usable_threads()
    yield Finding("processor", f"{hardware.processor()}, {usable} of {cores} cores usable")
    memory, load = psutil.virtual_memory(), os.getloadavg()[0]
    yield Finding(
        "memory",
        f"{gibibytes(memory.total)}, {gibibytes(memory.available)} available; load {with_decimals(load, 1)}",
        "other programs are busy: times measured now are too long" if load > usable / 2 else "",
    )
    try:
        hardware.prepare_environment(usable)
        device = hardware.pick_device("auto")
    except ImportError as error:
        yield Finding("torch", f"cannot be imported: {error}", "install bakeoff again, as its README says")
        return
    named = hardware.accelerator_name(device) or "no accelerator; training runs on the CPU"
    precisions = []
    for precision in ("fp32", "bf16"):
        try:
            hardware.require_precision(precision, device.type)
            precisions.append(precision)
        except BakeoffError as error:
            yield Finding("precision", str(error))
    yield Finding("device", f"{device.type}: {named}; {', '.join(precisions)}")
    yield Finding("hardware", hardware.hardware_class(hardware.accelerator_name(device), threads=usable))


def plugins() -> Iterator[Finding]:
    """Installed components, missing extras, broken plugins, and names that two plugins offer."""
    registry = load_registry()
    for clause in installed_twice(registry):
        yield Finding("installed", clause, REMEDY)
    kinds, extras = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for found in registry.all():
        component = found.component
        kinds[component.kind].append(component.name)
        for extra in component.missing_extras():
            extras[f"{found.origin.distribution}[{extra}]"].append(f"{component.kind} {component.name}")
    for kind, names in kinds.items():
        yield Finding(f"{kind}{'es' if kind.endswith('s') else 's'}", ", ".join(names))
    for extra, names in extras.items():
        yield Finding("extra", f"{extra} is not installed ({', '.join(names)})", install_command(extra))
    for plugin in registry.broken:
        yield Finding("plugin", f"{plugin.origin} is broken: {plugin.error}", "repair it or uninstall it")
    for clash in registry.clashes:
        yield Finding("plugin", str(clash), "uninstall one of them")


def hub() -> Finding:
    if hub_is_reachable():
        return Finding("hub", f"{hub_endpoint()} answers; cache {hub_cache()}")
    return Finding(
        "hub",
        f"{hub_endpoint()} does not answer within 2 s (or HF_HUB_OFFLINE is set)",
        "usable without it: the models minilm and tiny-*, models in local folders, tasks that read files",
    )


def datasets(data: DataFolders) -> Iterator[Finding]:
    """Whether the data folders exist, and which tasks find their data with their default options."""
    try:
        paths = find_paths(data)
    except BakeoffError as error:
        yield Finding("data", str(error), "name an existing folder with --data or BAKEOFF_DATA")
        return
    yield Finding("data", str(paths.data) if paths.data else "no folder given (--data, BAKEOFF_DATA): tasks ask the hub")
    for name, path in paths.named.items():
        there = "" if path.is_dir() else "there is no such folder"
        yield Finding("data", f"{name}: {path}{f': {there}' if there else ''}", there and f"edit {configuration_path()}")
    ready = []
    for task in [entry.component for entry in load_registry().all() if entry.component.kind == "task"]:
        try:
            task.check_available(task.Options(), paths)
            ready.append(task.name)
        except BakeoffError as error:
            yield Finding("task", f"{task.name}: {error}", "only needed if you want this task")
        except ValueError:  # its options have no defaults: your own tables
            continue
    yield Finding("ready", ", ".join(ready) or "no task")


def write_access() -> Iterator[Finding]:
    """Whether the working directory and the cache are writable, and how much space they have."""
    folders = {"here": Path.cwd()}
    with contextlib.suppress(BakeoffError):  # about the data folder, reported already
        folders["cache"] = find_paths().cache
    for name, folder in folders.items():
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = f"{gibibytes(shutil.disk_usage(nearest).free)} free"
        try:
            with nameless_file(nearest):
                yield Finding(name, f"{folder}: can be written, {free}")
        except OSError as error:
            yield Finding(name, f"{folder}: {error.strerror}", "choose another with --into, or BAKEOFF_CACHE for the cache")


def measured() -> Finding:
    """Two control runs: how fast this machine is, and whether its speed is steady."""
    settings = Settings(paths=Paths(None, Path()))
    first, second = (measure_control(settings, session="doctor", moment=moment) for moment in ("before", "after"))
    products = ", ".join(
        f"{precision} {with_decimals(flops / 1e9, 0)} GFLOP/s" for precision, flops in second.peak_flops.items()
    )
    before, after = (with_decimals(control.milliseconds, 2) for control in (first, second))
    drift = second.milliseconds / first.milliseconds - 1
    unsteady = max(first.spread, second.spread) > 0.2 or abs(drift) > 0.1
    spreads = f"spread {per_cent(first.spread)} and {per_cent(second.spread)}; matrix products {products}"
    return Finding(
        "control",
        f"{before} and {after} ms ({per_cent(drift, signed=True)}), {spreads}",
        "the machine is not steady: stop other work before comparing times" if unsteady else "",
    )
