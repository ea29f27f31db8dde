"""The registry of installed components: each is found by kind and name, with the plugin that offers it.

This module and `plugin_components` catch three faults that pluggy does not: an import error in one plugin would end the
command, one of two plugins with the same name would be lost silently, and a misspelt hook would be ignored.
"""

from __future__ import annotations

import importlib.metadata
import sys
import traceback
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakeoff.contracts.hookspecs import COMPONENT_KINDS, GROUP
from bakeoff.contracts.plugin_components import components_of
from bakeoff.errors import PluginError
from bakeoff.machine.distributions import builds, imported_build
from bakeoff.machine.installing import install_command
from bakeoff.machine.signals import is_interrupt
from bakeoff.machine.surroundings import same_folder
from bakeoff.text.words import did_you_mean, escaped, quoted, shown_path


@dataclass(frozen=True)
class Origin:
    """The plugin and distribution that a component came from; stored in every record."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' of {self.distribution} {self.version}"


@dataclass(frozen=True)
class Registered:
    """A component and its origin."""

    component: Any
    origin: Origin
    package: str = ""
    """The importable package, or module, that the plugin is in."""

    @property
    def needs(self) -> str:
        """What to install before it can run, as an argument of pip (`bakeoff[minilm]`); empty if nothing is missing."""
        missing = self.component.missing_extras()
        return f"{self.origin.distribution}[{','.join(missing)}]" if missing else ""

    @property
    def told_needs(self) -> str:
        """What it needs and the command that installs it, for a message; empty if nothing is missing."""
        return f"needs {self.needs} ({install_command(self.needs)})" if self.needs else ""


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be loaded, and why. All other plugins still work."""

    origin: Origin
    error: str


@dataclass(frozen=True)
class Clash:
    """A component that several plugins offer. None of them is used, because which one was meant would depend on what is
    installed."""

    kind: str
    name: str
    origins: tuple[Origin, ...]

    def __str__(self) -> str:
        owners = " and by ".join(str(origin) for origin in self.origins)
        return f"{self.kind} '{self.name}' is offered by {owners}: uninstall all but one"


class Registry:
    """All installed components, except those of broken plugins and those offered by several plugins."""

    def __init__(
        self,
        components: Mapping[tuple[str, str], Registered],
        broken: Iterable[BrokenPlugin] = (),
        clashes: Iterable[Clash] = (),
        *,
        distributions: Iterable[str] = (),
    ) -> None:
        """components: (kind, name) -> component. distributions: names of the distributions that have plugins."""
        self._components = dict(components)
        self.distributions = tuple(distributions)
        self.broken = tuple(broken)
        self.clashes = tuple(clashes)

    def all(self) -> list[Registered]:
        """Every component, sorted by kind and name."""
        kinds = list(COMPONENT_KINDS)
        ordered = sorted(self._components.items(), key=lambda item: (kinds.index(item[0][0]), item[0][1]))
        return [registered for _, registered in ordered]

    def names(self, kind: str) -> list[str]:
        return sorted(name for of_kind, name in self._components if of_kind == kind)

    def get(self, kind: str, name: str) -> Registered:
        """The component of this kind and name. Raises PluginError that names all owners of a clash, or the nearest name and
        the broken plugins that may offer it."""
        if (kind, name) in self._components:
            return self._components[kind, name]
        for clash in self.clashes:
            if (clash.kind, clash.name) == (kind, name):
                raise PluginError(str(clash))
        message = did_you_mean(kind, name, self.names(kind))
        if self.broken:
            shown = [f"{plugin.origin}: {plugin.error}" for plugin in self.broken[:3]]
            if more := len(self.broken) - len(shown):
                shown.append(f"{more} more, see `bakeoff plugins`")
            end = "" if message.endswith("?") else "."
            message += f"{end} It may belong to a broken plugin: {'; '.join(shown)}"
        raise PluginError(message)


def load_registry() -> Registry:
    """Loads every plugin of the entry-point group `bakeoff`, the built-in ones included."""
    plugins: list[tuple[str, Any, Origin]] = []
    entry_points, broken, distributions = _entry_points()
    for entry_point in entry_points:
        origin = _origin(entry_point.name, entry_point.dist)
        try:
            with same_folder(), redirect_stdout(sys.stderr):  # a banner of theirs must not get into `--json`
                plugins.append((origin.plugin, _load(entry_point, origin), origin))
        except BaseException as error:  # third-party code: whatever it raises, the command line must live
            if is_interrupt(error):  # the user's, not the plugin's
                raise
            broken.append(BrokenPlugin(origin, _one_line(error)))
    return register(plugins, broken, distributions)


def register(
    plugins: Iterable[tuple[str, Any, Origin]], broken: Iterable[BrokenPlugin] = (), distributions: Iterable[str] = ()
) -> Registry:
    """Builds the registry of these plugins. plugins: (name, module or object with hooks, origin) of each."""
    failed = list(broken)
    offers: dict[tuple[str, str], list[Registered]] = {}
    taken: dict[str, Origin] = {}
    for name, plugin, origin in plugins:
        if (first := taken.setdefault(name, origin)) is not origin:
            failed.append(BrokenPlugin(origin, f"the name '{name}' is taken by {first}: uninstall one of the two"))
            continue
        try:
            with redirect_stdout(sys.stderr):
                found = components_of(name, plugin)
        except BaseException as error:  # as above
            if is_interrupt(error):
                raise
            failed.append(BrokenPlugin(origin, _one_line(error)))
            continue
        module = getattr(plugin, "__name__", type(plugin).__module__)
        for key, component in found.items():
            offers.setdefault(key, []).append(Registered(component, origin, module.partition(".")[0]))
    return Registry(
        {key: owners[0] for key, owners in offers.items() if len(owners) == 1},
        failed,
        [Clash(*key, tuple(o.origin for o in owners)) for key, owners in sorted(offers.items()) if len(owners) > 1],
        distributions=distributions,
    )


# --- distributions -------------------------------------------------------------------------------------------------------


def _entry_points() -> tuple[list[importlib.metadata.EntryPoint], list[BrokenPlugin], list[str]]:
    """The entry points of all plugins, those that could not be read, and the names of all distributions that have any.

    Sorted by distribution and name, with Bakeoff's own first, so that no other distribution can take over a name of theirs.
    Each distribution is read separately, so that a damaged entry_points.txt can be named; of several installed builds of one
    distribution the imported one is read, which need not be the first on the path.
    """
    broken: list[BrokenPlugin] = []
    unique: dict[tuple[bool, str, str, str], importlib.metadata.EntryPoint] = {}
    names = dict[str, None]()
    for dist in importlib.metadata.distributions():
        try:
            found = _own_entry_points(dist)
            name = _origin("?", dist).distribution if found else "?"
            if name in names:
                continue
            if name != "?":  # else `_load` tells where it lies
                names[name] = None
                found = _own_entry_points(imported_build(name)) if len(builds(name)) > 1 else found
        except Exception as error:  # importlib.metadata raises something else for each kind of damage
            broken.append(BrokenPlugin(_origin("?", dist), f"its entry_points.txt is damaged: {_one_line(error)}"))
            continue
        for entry_point in found:
            unique.setdefault((name != GROUP, name, entry_point.name, entry_point.value), entry_point)
    return [unique[key] for key in sorted(unique)], broken, list(names)


def plugin_packages() -> set[str]:
    """The importable packages, or modules, that installed plugins are in."""
    return {entry_point.value.partition(":")[0].partition(".")[0].strip() for entry_point in _entry_points()[0]}


def _own_entry_points(dist: importlib.metadata.Distribution) -> list[importlib.metadata.EntryPoint]:
    return [entry_point for entry_point in dist.entry_points if entry_point.group == GROUP]


def _origin(plugin: str, dist: importlib.metadata.Distribution | None) -> Origin:
    """A distribution's name and version; "?" in place of what its metadata lacks."""
    try:
        name, version = (dist.metadata["Name"], dist.metadata["Version"]) if dist else (None, None)
    except Exception:  # importlib.metadata has no word for damaged files: each Python raises something else
        name = version = None
    return Origin(escaped(plugin), escaped(name or "?"), escaped(version or "?"))


def _load(entry_point: importlib.metadata.EntryPoint, origin: Origin) -> Any:
    if "?" in (origin.distribution, origin.version):
        where = f" in {shown_path(Path(str(entry_point.dist.locate_file(''))))}" if entry_point.dist else ""
        raise PluginError(f"its distribution{where} has no readable name and version, which every record stores: reinstall it")
    if not entry_point.pattern.match(entry_point.value):
        raise PluginError(f"its entry point {quoted(entry_point.value)} names no module (`module` or `module:attribute`)")
    return entry_point.load()


def _one_line(error: BaseException) -> str:
    """The exception in one line, with the place outside Bakeoff where it was raised."""
    try:
        text = escaped(" ".join(str(error).split())) or "no message"
    except Exception:  # an exception that cannot even be shown
        text = "no message"
    if isinstance(error, PluginError):
        return text
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((str(Path(__file__).parent), "<frozen")) and "importlib" not in frame.filename
    ]
    where = f" ({shown_path(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text[:300]}{where}"
