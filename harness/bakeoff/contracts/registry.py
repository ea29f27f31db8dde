"""Installed plugins -> (kind, name) -> component with its origin.

pluggy leaves three gaps that are closed here: a plugin that fails to import takes the host down, two plugins under one name
lose one silently, and a misspelt hook passes.
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

import pluggy

from bakeoff.contracts import hookspecs
from bakeoff.contracts.component import Component
from bakeoff.contracts.dev_split import Carvable
from bakeoff.contracts.hookspecs import GROUP
from bakeoff.contracts.method import Method
from bakeoff.contracts.model import Model
from bakeoff.contracts.recipe import COMPONENT_NAME, Options
from bakeoff.contracts.task import Task
from bakeoff.contracts.trainer import Supports, Trainer
from bakeoff.contracts.versions import refuse_old_contract, refuse_old_methods
from bakeoff.errors import PluginError
from bakeoff.machine.distributions import builds, imported_build
from bakeoff.machine.signals import pass_on_interrupt
from bakeoff.machine.surroundings import same_folder
from bakeoff.text.words import did_you_mean, escaped, quoted, shown_path


@dataclass(frozen=True)
class Origin:
    """Where a component came from; goes into every record."""

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
        """What to install before it can run, as pip is told it (`bakeoff[minilm]`); empty where nothing is missing."""
        missing = self.component.missing_extras()
        return f"{self.origin.distribution}[{','.join(missing)}]" if missing else ""


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be used; the rest works."""

    origin: Origin
    error: str


@dataclass(frozen=True)
class Clash:
    """A component that several plugins offer. Neither wins: which one a spec means would hang on what is installed."""

    kind: str
    name: str
    origins: tuple[Origin, ...]

    def __str__(self) -> str:
        owners = " and by ".join(str(origin) for origin in self.origins)
        return f"{self.kind} '{self.name}' is offered by {owners}: uninstall all but one"


class Registry:
    """What is installed. What broken plugins offered is not there, nor is what several plugins offer."""

    def __init__(
        self,
        components: Mapping[tuple[str, str], Registered],
        broken: Iterable[BrokenPlugin] = (),
        clashes: Iterable[Clash] = (),
        *,
        distributions: Iterable[str] = (),
    ) -> None:
        """`distributions`: those in which plugins were looked for, by name."""
        self._components = dict(components)
        self.distributions = tuple(distributions)
        self.broken = tuple(broken)
        self.clashes = tuple(clashes)

    def all(self) -> list[Registered]:
        """Every component, by kind and name."""
        kinds = list(COMPONENT_KINDS)
        ordered = sorted(self._components.items(), key=lambda item: (kinds.index(item[0][0]), item[0][1]))
        return [registered for _, registered in ordered]

    def names(self, kind: str) -> list[str]:
        return sorted(name for of_kind, name in self._components if of_kind == kind)

    def get(self, kind: str, name: str) -> Registered:
        """Raises PluginError with both owners, or with the nearest name and the broken plugins: any may own the name."""
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
    """Every plugin of the entry-point group `bakeoff`, built-ins included."""
    plugins: list[tuple[str, Any, Origin]] = []
    entry_points, broken, distributions = _entry_points()
    for entry_point in entry_points:
        origin = _origin(entry_point.name, entry_point.dist)
        try:
            with same_folder(), redirect_stdout(sys.stderr):  # a banner of theirs must not get into `--json`
                plugins.append((origin.plugin, _load(entry_point, origin), origin))
        except BaseException as error:  # third-party code: whatever it raises, the command line must live
            pass_on_interrupt(error)  # the user's, not the plugin's
            broken.append(BrokenPlugin(origin, _one_line(error)))
    return register(plugins, broken, distributions)


def register(
    plugins: Iterable[tuple[str, Any, Origin]], broken: Iterable[BrokenPlugin] = (), distributions: Iterable[str] = ()
) -> Registry:
    """Modules or objects with our hooks -> a registry. Clashes name all owners."""
    failed = list(broken)
    offers: dict[tuple[str, str], list[Registered]] = {}
    taken: dict[str, Origin] = {}
    for name, plugin, origin in plugins:
        if (first := taken.setdefault(name, origin)) is not origin:
            failed.append(BrokenPlugin(origin, f"the name '{name}' is taken by {first}: uninstall one of the two"))
            continue
        try:
            with redirect_stdout(sys.stderr):
                found = _components_of(name, plugin)
        except BaseException as error:  # as above
            pass_on_interrupt(error)
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


# --- one plugin ----------------------------------------------------------------------------------------------------------


def _components_of(name: str, plugin: Any) -> dict[tuple[str, str], Component]:
    """One plugin's components, asked through a manager of its own, so that its failure is nobody else's."""
    refuse_old_contract(plugin)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    _check_hooks(manager, plugin)
    found: dict[tuple[str, str], Component] = {}
    for hook in manager.get_hookcallers(plugin) or ():
        kind = hook.name.removeprefix("bakeoff_").removesuffix("s")
        for implementation in hook.get_hookimpls():
            # Called without pluggy's caller, which drops a None: a forgotten `return` would pass for an empty list.
            for component in _listed(hook.name, implementation.function(), COMPONENT_KINDS[kind]):
                _check_component(component, hook.name, kind)
                if (key := (kind, component.name)) in found:
                    raise PluginError(f"{hook.name} offers {kind} '{component.name}' twice")
                found[key] = carvable(component) if kind == "task" else component
    return found


def carvable(task: Task) -> Task:
    """The task with `split` among its options, unless it has one of its own."""
    return task if "split" in task.Options.model_fields else Carvable(task)


def _check_hooks(manager: pluggy.PluginManager, plugin: Any) -> None:
    """Refuses misspelt hooks, functions named like hooks that nobody marked, and plugins without any hook."""
    known = [name for name in vars(hookspecs) if name.startswith("bakeoff_")]
    hooks = manager.get_hookcallers(plugin) or []
    marked = {hook.name for hook in hooks}
    named = {name for name in dir(plugin) if name.startswith("bakeoff_") and callable(getattr(plugin, name, None))}
    if misspelt := sorted((marked | named) - set(known)):
        raise PluginError("; ".join(did_you_mean("hook", hook, known) for hook in misspelt))
    if forgotten := sorted(named - marked):
        raise PluginError(f"{', '.join(forgotten)} lacks the decorator @hookimpl (from bakeoff.plugin)")
    if not hooks:
        raise PluginError(f"it implements none of our hooks ({', '.join(known)})")
    for hook in hooks:
        if any(implementation.hookwrapper or implementation.wrapper for implementation in hook.get_hookimpls()):
            raise PluginError(f"{hook.name} must return components; a hook wrapper has nothing to wrap here")


def _listed(hook: str, result: Any, wanted: type[Component]) -> list[Any]:
    """What a hook returned as a list, a generator included; a word or a mapping is none, though Python could walk it."""
    if isinstance(result, Iterable) and not isinstance(result, str | bytes | Mapping):
        return list(result)
    what = "nothing" if result is None else quoted(result)
    raise PluginError(f"{hook} must return a list of bakeoff.plugin.{wanted.__name__} objects; it returned {what}")


def _check_component(component: Any, hook: str, kind: str) -> None:
    wanted = COMPONENT_KINDS[kind]
    if isinstance(component, type) and issubclass(component, wanted):
        raise PluginError(f"{hook} returned the class {component.__name__}; return an object: {component.__name__}()")
    if not isinstance(component, wanted) or component.kind != kind:
        raise PluginError(f"{hook} returned {quoted(component)}, which is no bakeoff.plugin.{wanted.__name__}")
    refuse_old_methods(component)
    what = type(component).__name__
    for attribute in ("name", "summary", "version"):
        value = getattr(component, attribute, None)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise PluginError(f"{hook}: {what}.{attribute} must be a line of text")
    if not COMPONENT_NAME.fullmatch(component.name):
        raise PluginError(
            f"{hook}: {quoted(component.name)} cannot be a name (lower-case letters, digits, '.', '_', '-', one '/')"
        )
    options = component.Options
    if not (isinstance(options, type) and issubclass(options, Options)):
        raise PluginError(f"{hook}: {what}.Options must be a class made from bakeoff.plugin.Options")
    for key, value in Options.model_config.items():
        if key in ("extra", "strict", "frozen") and options.model_config.get(key) != value:
            raise PluginError(
                f"{hook}: {what}.Options must keep {key}={value!r} of bakeoff.plugin.Options, "
                "which refuses unknown keys and loose types"
            )
    if isinstance(component, Trainer) and not isinstance(component.supports, Supports):
        raise PluginError(f"{hook}: {what}.supports must be a bakeoff.plugin.Supports")
    component.missing_extras()  # one that raises must do so here, where it has a name


# --- distributions -------------------------------------------------------------------------------------------------------


def _entry_points() -> tuple[list[importlib.metadata.EntryPoint], list[BrokenPlugin], list[str]]:
    """Ours first, so that a neighbour cannot take a name that worked; then by distribution and name. And the names of all
    distributions that offer any.

    Each distribution is asked by itself, so that one with a damaged entry_points.txt has a name; of several builds of one the
    imported one is asked, which need not be the first that is found.
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
        except Exception as error:
            broken.append(BrokenPlugin(_origin("?", dist), f"its entry_points.txt is damaged: {_one_line(error)}"))
            continue
        for entry_point in found:
            unique.setdefault((name != GROUP, name, entry_point.name, entry_point.value), entry_point)
    return [unique[key] for key in sorted(unique)], broken, list(names)


def _own_entry_points(dist: importlib.metadata.Distribution) -> list[importlib.metadata.EntryPoint]:
    return [entry_point for entry_point in dist.entry_points if entry_point.group == GROUP]


def _origin(plugin: str, dist: importlib.metadata.Distribution | None) -> Origin:
    """Metadata may lack anything; "?" stands for what it lacks."""
    try:
        name, version = (dist.metadata["Name"], dist.metadata["Version"]) if dist else (None, None)
    except Exception:  # importlib.metadata has no word for damaged files: each Python raises something else
        name = version = None
    return Origin(escaped(plugin), escaped(name or "?"), escaped(version or "?"))


def _load(entry_point: importlib.metadata.EntryPoint, origin: Origin) -> Any:
    if "?" in (origin.distribution, origin.version):
        where = f" in {shown_path(Path(str(entry_point.dist.locate_file(''))))}" if entry_point.dist else ""
        raise PluginError(f"its distribution{where} has no readable name and version, which every record must tell")
    if not entry_point.pattern.match(entry_point.value):
        raise PluginError(f"its entry point {quoted(entry_point.value)} names no module")
    return entry_point.load()


def _one_line(error: BaseException) -> str:
    """The exception, and the place in other people's code where it was raised."""
    try:
        text = escaped(" ".join(str(error).split())) or "no message"
    except Exception:  # an exception that cannot even be shown
        text = "no message"
    if isinstance(error, PluginError):
        return text
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen") and "importlib" not in frame.filename
    ]
    where = f" ({shown_path(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text[:300]}{where}"


COMPONENT_KINDS: Mapping[str, type[Component]] = {
    "task": Task,
    "model": Model,
    "method": Method,
    "trainer": Trainer,
}
