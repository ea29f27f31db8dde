"""Installed plugins -> (kind, name) -> component with its origin.

pluggy leaves three gaps that are closed here: a plugin that fails to import takes the host down, two plugins under one name
lose one silently, and a misspelt hook passes.
"""

from __future__ import annotations

import importlib.metadata
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pluggy

from bakeoff import hookspecs
from bakeoff.components import COMPONENT_KINDS, Component
from bakeoff.errors import PluginError, quoted, unknown
from bakeoff.hookspecs import GROUP
from bakeoff.spec import COMPONENT_NAME, Options


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


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be used; the rest works."""

    origin: Origin
    error: str


class Registry:
    """What is installed. Broken plugins are named in `broken`; what they offered is simply not there."""

    def __init__(self, components: Mapping[tuple[str, str], Registered], broken: Iterable[BrokenPlugin]) -> None:
        self._components = dict(components)
        self.broken = tuple(broken)

    def all(self) -> list[Registered]:
        """Every component, by kind and name."""
        kinds = list(COMPONENT_KINDS)
        ordered = sorted(self._components.items(), key=lambda item: (kinds.index(item[0][0]), item[0][1]))
        return [registered for _, registered in ordered]

    def names(self, kind: str) -> list[str]:
        return sorted(name for of_kind, name in self._components if of_kind == kind)

    def get(self, kind: str, name: str) -> Registered:
        """Raises PluginError with the nearest name, and with the plugins that are broken, for any of them may own the name."""
        if (kind, name) in self._components:
            return self._components[kind, name]
        message = unknown(kind, name, self.names(kind))
        for plugin in self.broken:
            message += f"; {plugin.origin} is broken and may have offered it: {plugin.error}"
        raise PluginError(message)


def load_registry() -> Registry:
    """Every plugin of the entry-point group `bakeoff`, built-ins included."""
    plugins: list[tuple[str, Any, Origin]] = []
    broken: list[BrokenPlugin] = []
    for entry_point in _entry_points():
        dist = entry_point.dist
        origin = Origin(entry_point.name, dist.name if dist else "?", dist.version if dist else "?")
        try:
            plugins.append((entry_point.name, entry_point.load(), origin))
        except (Exception, SystemExit) as error:  # third-party code: whatever it raises, the command line must live
            broken.append(BrokenPlugin(origin, _one_line(error)))
    return register(plugins, broken)


def register(plugins: Iterable[tuple[str, Any, Origin]], broken: Iterable[BrokenPlugin] = ()) -> Registry:
    """Modules or objects with our hooks -> a registry. Clashing plugins and components are broken, both owners named."""
    failed = list(broken)
    components: dict[tuple[str, str], Registered] = {}
    lost: dict[tuple[str, str], str] = {}
    taken: dict[str, Origin] = {}
    for name, plugin, origin in plugins:
        if name in taken:
            failed.append(BrokenPlugin(origin, f"its name is taken by {taken[name]}; uninstall one of the two"))
            continue
        taken[name] = origin
        try:
            found = _components_of(name, plugin)
        except (Exception, SystemExit) as error:
            failed.append(BrokenPlugin(origin, _one_line(error)))
            continue
        for component in found:
            key = (component.kind, component.name)
            if key in components or key in lost:
                # Neither may win silently: which one a spec means would hang on the order of installation.
                first = str(components.pop(key).origin) if key in components else lost[key]
                lost[key] = f"{first}, {origin}"
                failed.append(BrokenPlugin(origin, f"{key[0]} '{key[1]}' is offered twice: by {first} and by {origin}"))
            else:
                components[key] = Registered(component, origin)
    return Registry(components, failed)


def _components_of(name: str, plugin: Any) -> list[Component]:
    """One plugin's components, asked through a manager of its own, so that its failure is nobody else's."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    misspelt = _misspelt_hooks(manager, plugin)
    if misspelt:
        raise PluginError("; ".join(unknown("hook", hook, _hook_names()) for hook in misspelt))
    if not (hooks := manager.get_hookcallers(plugin)):
        raise PluginError(f"it implements none of our hooks ({', '.join(_hook_names())})")
    found: list[Component] = []
    for hook in hooks:
        for component in (item for result in hook() for item in result):
            _check_component(component, hook.name)
            found.append(component)
    return found


def _hook_names() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("bakeoff_")]


def _misspelt_hooks(manager: pluggy.PluginManager, plugin: Any) -> list[str]:
    """Hooks that pluggy's `check_pending` would refuse, and functions named like hooks that nobody marked."""
    known = set(_hook_names())
    marked = {hook.name for hook in manager.get_hookcallers(plugin) or ()}
    unmarked = {name for name in dir(plugin) if name.startswith("bakeoff_") and callable(getattr(plugin, name, None))}
    pending = sorted((marked | unmarked) - known)
    if not pending:
        manager.check_pending()
        if forgotten := sorted(unmarked - marked):
            raise PluginError(f"{', '.join(forgotten)} lacks the decorator @hookimpl (from bakeoff.plugin)")
    return pending


def _check_component(component: Any, hook: str) -> None:
    kind = hook.removeprefix("bakeoff_").removesuffix("s")
    wanted = COMPONENT_KINDS[kind]
    if not isinstance(component, wanted):
        raise PluginError(f"{hook} returned {quoted(component)}, which is no bakeoff.plugin.{wanted.__name__}")
    for attribute in ("name", "summary", "version"):
        value = getattr(component, attribute, None)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise PluginError(f"{hook}: {type(component).__name__}.{attribute} must be a line of text")
    if not COMPONENT_NAME.fullmatch(component.name):
        raise PluginError(f"{hook}: {quoted(component.name)} cannot be a name (lower-case letters, digits, '.', '_', '-', one '/')")
    if not (issubclass(component.Options, Options) and component.Options.model_config.get("extra") == "forbid"):
        raise PluginError(f"{hook}: {type(component).__name__}.Options must be a bakeoff.plugin.Options, which refuses unknown keys")


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    """Sorted by distribution and name; an editable install that is seen twice on the path counts once."""
    unique = {}
    for entry_point in importlib.metadata.entry_points(group=GROUP):
        dist = entry_point.dist.name if entry_point.dist else ""
        unique.setdefault((dist, entry_point.name, entry_point.value), entry_point)
    return [unique[key] for key in sorted(unique)]


def _one_line(error: BaseException) -> str:
    """The exception, and the last line of the plugin's own code that it passed."""
    text = " ".join(str(error).split()) or "no message"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames and not isinstance(error, PluginError) else ""
    return f"{type(error).__name__}: {text}{where}" if not isinstance(error, PluginError) else text
