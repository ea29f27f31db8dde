"""What one plugin offers: its hooks are checked and called, and each component that they return is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any, get_args

import pluggy

from bakeoff.contracts import hookspecs
from bakeoff.contracts.component import TITLED, Component
from bakeoff.contracts.held_out import SplittableTask
from bakeoff.contracts.hookspecs import COMPONENT_KINDS, GROUP
from bakeoff.contracts.recipe import COMPONENT_NAME, Options, Recipe
from bakeoff.contracts.trainer import Owned, Supports, Trainer
from bakeoff.contracts.versions import refuse_old_contract, refuse_old_methods
from bakeoff.errors import PluginError
from bakeoff.text.words import did_you_mean, quoted


def components_of(name: str, plugin: Any) -> dict[tuple[str, str], Component]:
    """The components that one plugin offers: (kind, name) -> component.

    Each plugin has a pluggy manager of its own, so that its errors stop no other. A task gets the option `split`, unless it has
    one of that name. Raises PluginError for hooks and components that break the contract, and whatever the plugin's own code
    raises.
    """
    refuse_old_contract(plugin)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    _check_hooks(manager, plugin)
    found: dict[tuple[str, str], Component] = {}
    for hook in manager.get_hookcallers(plugin) or ():
        kind = next(kind for kind in COMPONENT_KINDS if hook.name in (f"bakeoff_{kind}s", f"bakeoff_{kind}es"))
        for implementation in hook.get_hookimpls():
            # Called without pluggy's caller, which drops a None: a forgotten `return` would pass for an empty list.
            for component in _listed(hook.name, implementation.function(), COMPONENT_KINDS[kind]):
                _check_component(component, hook.name, kind)
                if (key := (kind, component.name)) in found:
                    raise PluginError(f"{hook.name} offers {kind} '{component.name}' twice")
                splits_itself = kind != "task" or "split" in component.Options.model_fields
                found[key] = component if splits_itself else SplittableTask(component)
    return found


def _check_hooks(manager: pluggy.PluginManager, plugin: Any) -> None:
    """Raises PluginError for a misspelt hook, a function named like a hook but not marked as one, and no hook at all."""
    known = [name for name in vars(hookspecs) if name.startswith("bakeoff_")]
    hooks = manager.get_hookcallers(plugin) or []
    marked = {hook.name for hook in hooks}
    named = {name for name in dir(plugin) if name.startswith("bakeoff_") and callable(getattr(plugin, name, None))}
    if misspelt := sorted((marked | named) - set(known)):
        raise PluginError("; ".join(did_you_mean("hook", hook, known) for hook in misspelt))
    if forgotten := sorted(named - marked):
        raise PluginError(f"{', '.join(forgotten)} lacks the decorator @hookimpl (from bakeoff.plugin)")
    if not hooks:
        raise PluginError(f"it implements none of Bakeoff's hooks ({', '.join(known)})")
    for hook in hooks:
        if any(implementation.hookwrapper or implementation.wrapper for implementation in hook.get_hookimpls()):
            raise PluginError(
                f"{hook.name} must return components; a hook wrapper has nothing to wrap here: write @hookimpl alone"
            )


def _listed(hook: str, result: Any, wanted: type[Component]) -> list[Any]:
    """What a hook returned, as a list. Raises PluginError for a text, a mapping, and anything else that is not a collection."""
    if isinstance(result, Iterable) and not isinstance(result, str | bytes | Mapping):
        return list(result)
    what = "nothing" if result is None else quoted(result)
    raise PluginError(f"{hook} must return a list of bakeoff.plugin.{wanted.__name__} objects; it returned {what}")


def _check_component(component: Any, hook: str, kind: str) -> None:
    """Raises PluginError if an object that the hook returned is not a component of the right kind, or has an invalid
    attribute."""
    wanted = COMPONENT_KINDS[kind]
    if isinstance(component, type) and issubclass(component, wanted):
        raise PluginError(f"{hook} returned the class {component.__name__}; return an object: {component.__name__}()")
    if not isinstance(component, wanted) or component.kind != kind:
        raise PluginError(f"{hook} returned {quoted(component)}, which is not a bakeoff.plugin.{wanted.__name__}")
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
    if kind in TITLED and "title" in options.model_fields:
        raise PluginError(f"{hook}: {what}.Options has a key 'title', which names a {kind} in headings: rename the key")
    for key, value in Options.model_config.items():
        if key in ("extra", "strict", "frozen") and options.model_config.get(key) != value:
            raise PluginError(
                f"{hook}: {what}.Options must keep {key}={value!r} of bakeoff.plugin.Options, "
                "which refuses unknown keys and loose types"
            )
    if isinstance(component, Trainer):
        _check_trainer(component, f"{hook}: {what}")
    component.missing_extras()  # one that raises must do so here, where it has a name


def _check_trainer(trainer: Trainer, what: str) -> None:
    """Raises PluginError where `owns` or a part of `supports` is no set of words, or has an unknown word."""
    if not isinstance(trainer.supports, Supports):
        raise PluginError(f"{what}.supports must be a bakeoff.plugin.Supports")
    words = {f"supports.{name}": getattr(trainer.supports, name) for name in ("kinds", "recipe_keys", "precisions", "methods")}
    for name, value in {**words, "owns": trainer.owns}.items():
        if value is None and name in ("supports.kinds", "supports.methods"):
            continue
        if not isinstance(value, Set) or not all(isinstance(word, str) for word in value):
            raise PluginError(f"{what}.{name} is {quoted(value)}; it must be a set of words: frozenset({{'...'}})")
        for word in sorted(value):
            if name == "supports.recipe_keys" and word not in Recipe.model_fields:
                raise PluginError(f"{what}.{name}: {did_you_mean('recipe key', word, list(Recipe.model_fields))}")
            if name == "owns" and word not in (known := get_args(get_args(Owned)[0])):
                raise PluginError(f"{what}.{name}: {did_you_mean('part of training', word, known)}")
