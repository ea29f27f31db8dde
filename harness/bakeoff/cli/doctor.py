"""`bakeoff doctor`."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from bakeoff.cli.output import say
from bakeoff.text.numbers import gibibytes, per_cent, with_decimals

WIDTH = 11
"""Of the names of what is looked at."""


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what to do where something is missing."""

    name: str
    found: str
    remedy: str = ""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder of datasets (default: BAKEOFF_DATA).")
@click.option("--control/--no-control", default=True, help="Measure the machine (10 s).")
def doctor(data: Path | None, control: bool) -> None:
    """Say what is here: hardware, versions, hub, data, plugins, write access; and what to do about what is missing.

    Fit to paste into a bug report: the home folder is written as ~.
    """
    missing = 0
    for finding in findings(data, control=control):
        missing += bool(finding.remedy)
        say("!" if finding.remedy else " ", style="yellow" if finding.remedy else "", end="")
        say(f" {finding.name:{WIDTH}} {modest(finding.found)}")
        if finding.remedy:
            say(f"  {'':{WIDTH}} -> {modest(finding.remedy)}")
    say("", f"{missing} to look at" if missing else "all is here")


def modest(text: str) -> str:
    """Without the user's name in it."""
    return text.replace(str(Path.home()), "~")


def findings(data: Path | None, *, control: bool) -> Iterator[Finding]:
    """One after the other, as they are found."""
    yield from versions()
    yield from machine()
    yield from plugins()
    yield hub()
    yield from datasets(data)
    yield from write_access()
    if control:
        yield from measured()


def versions() -> Iterator[Finding]:
    from bakeoff.machine import hardware

    found = hardware.software(("bakeoff",))
    yield Finding("bakeoff", found.pop("bakeoff", "not installed as a distribution"))
    yield Finding("python", f"{found.pop('python')} on {platform.platform()}")
    yield Finding("software", ", ".join(f"{name} {version}" for name, version in found.items()))


def machine() -> Iterator[Finding]:
    """Processor, memory, devices, and the precisions that they have."""
    import psutil

    from bakeoff.errors import BakeoffError
    from bakeoff.machine import hardware

    cores = os.cpu_count() or 1
    usable = hardware.usable_threads()
    yield Finding("processor", f"{hardware.processor()}, {usable} of {cores} cores usable")
    memory = psutil.virtual_memory()
    load = os.getloadavg()[0]
    busy = "other work is going on, and times will not hold" if load > usable / 2 else ""
    yield Finding(
        "memory", f"{gibibytes(memory.total)}, {gibibytes(memory.available)} available; load {with_decimals(load, 1)}", busy
    )
    try:
        hardware.prepare_environment(usable)
        device = hardware.pick_device("auto")
    except ImportError as error:
        yield Finding("torch", f"cannot be imported: {error}", "install bakeoff again, as README says")
        return
    named = hardware.accelerator_name(device) or "no accelerator; training on the CPU"
    precisions = []
    for precision in ("fp32", "bf16"):
        try:
            hardware.require_precision(precision, device.type)
            precisions.append(precision)
        except BakeoffError as error:
            yield Finding("precision", str(error))
    yield Finding("device", f"{device.type}: {named}; {', '.join(precisions)}")


def plugins() -> Iterator[Finding]:
    """What is installed, what lacks an extra, and what is broken."""
    from bakeoff.cli.inputs import doubly_installed
    from bakeoff.contracts.registry import load_registry
    from bakeoff.machine.distributions import REMEDY

    registry = load_registry()
    for clause in doubly_installed(registry):
        yield Finding("installed", clause, REMEDY)
    kinds: dict[str, list[str]] = {}
    for found in registry.all():
        kinds.setdefault(found.component.kind, []).append(found.component.name)
    for kind, names in kinds.items():
        yield Finding(f"{kind}s", ", ".join(names))
    extras: dict[str, list[str]] = {}
    for found in registry.all():
        for extra in found.component.missing_extras():
            extras.setdefault(extra, []).append(f"{found.component.kind} {found.component.name}")
    for extra, names in extras.items():
        yield Finding("extra", f"{extra} is not installed ({', '.join(names)})", f"pip install 'bakeoff[{extra}]'")
    for plugin in registry.broken:
        yield Finding("plugin", f"{plugin.origin} is broken: {plugin.error}", "mend it or uninstall it")
    for clash in registry.clashes:
        yield Finding("plugin", str(clash), "uninstall one of them")


def hub() -> Finding:
    from bakeoff.machine.hub import hub_cache, hub_endpoint, hub_is_reachable

    if hub_is_reachable():
        return Finding("hub", f"{hub_endpoint()} answers; cache {hub_cache()}")
    return Finding(
        "hub",
        f"{hub_endpoint()} does not answer within 2 s (or HF_HUB_OFFLINE is set)",
        "without it: models minilm and tiny-*, models in local folders, tasks from files",
    )


def datasets(data: Path | None) -> Iterator[Finding]:
    """Whether each task's data can be had, as far as it can be told without options."""
    from bakeoff.cli.inputs import find_places
    from bakeoff.contracts.registry import load_registry
    from bakeoff.errors import BakeoffError

    try:
        places = find_places(data)
    except BakeoffError as error:
        yield Finding("data", str(error), "name an existing folder with --data or BAKEOFF_DATA")
        return
    yield Finding("data", str(places.data) if places.data else "no folder given (--data, BAKEOFF_DATA): tasks ask the hub")
    here = []
    for found in [entry.component for entry in load_registry().all() if entry.component.kind == "task"]:
        try:
            found.check_available(found.Options(), places)
            here.append(found.name)
        except BakeoffError as error:
            yield Finding("task", f"{found.name}: {error}", "only if you want this task")
        except ValueError:  # its options have no defaults: your own tables
            continue
    yield Finding("ready", ", ".join(here) or "no task")


def write_access() -> Iterator[Finding]:
    """The working directory, the cache, and how much room there is."""
    from bakeoff.cli.inputs import find_places
    from bakeoff.errors import BakeoffError
    from bakeoff.files import nameless_file

    folders = {"here": Path.cwd()}
    with contextlib.suppress(BakeoffError):  # of the data, said already
        folders["cache"] = find_places(None).cache
    for name, folder in folders.items():
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        room = f"{gibibytes(shutil.disk_usage(nearest).free)} free"
        try:
            with nameless_file(nearest):
                yield Finding(name, f"{folder}: can be written, {room}")
        except OSError as error:
            yield Finding(name, f"{folder}: {error.strerror}", "choose another with --into, or BAKEOFF_CACHE for the cache")


def measured() -> Iterator[Finding]:
    """Two control runs: how fast this machine is, and whether it is steady."""
    from bakeoff.contracts.task import Paths
    from bakeoff.runner.machine_check import measure_control
    from bakeoff.runner.settings import Settings

    settings = Settings(places=Paths(None, Path()))
    first, second = (measure_control(settings, session="doctor", moment=moment) for moment in ("before", "after"))
    products = ", ".join(
        f"{precision} {with_decimals(flops / 1e9, 0)} GFLOP/s" for precision, flops in second.peak_flops.items()
    )
    before, after = (with_decimals(control.milliseconds, 2) for control in (first, second))
    drift = second.milliseconds / first.milliseconds - 1
    unsteady = max(first.spread, second.spread) > 0.2 or abs(drift) > 0.1
    steady = f"spread {per_cent(first.spread)} and {per_cent(second.spread)}; products {products}"
    yield Finding(
        "control",
        f"{before} and {after} ms ({per_cent(drift, signed=True)}), {steady}",
        "the machine is not steady: stop other work before comparing times" if unsteady else "",
    )
