"""What every component promises, whatever its kind."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn
from unittest import SkipTest

from pydantic import ValidationError

from bakeoff.contracts.component import Component
from bakeoff.contracts.recipe import COMPONENT_NAME, Options
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError
from bakeoff.testing.child import ChildError, ask
from bakeoff.text.words import quoted, shown_path

UNKNOWN_KEY = "no_option_has_this_name"


class BrokenPromiseError(AssertionError):
    """What is wrong, where, and what is right."""


def installed(kind: str, name: str) -> Any:
    """The component as an experiment gets it, through its package's entry point. Raises PluginError where there is none."""
    return load_registry().get(kind, name).component


class Contract:
    """The base of the four contracts; subclass one of them, and pytest collects a test per promise.

    A promise that cannot be looked at (an extra is missing, data lies elsewhere) is skipped with the reason.
    """

    component: ClassVar[Any]
    """The object under test."""
    options: ClassVar[Mapping[str, Any]] = {}
    """What an experiment would write beside the name; small data and small models keep this quick."""

    @classmethod
    def broken_promises(cls) -> dict[str, str]:
        """Test -> what is wrong, of the tests that fail; without pytest, for a notebook."""
        broken = {}
        for name in sorted(name for name in dir(cls) if name.startswith("test_")):
            try:
                getattr(cls(), name)()
            except SkipTest:
                continue
            except (BrokenPromiseError, BakeoffError) as error:
                broken[name] = str(error)
        return broken

    # --- the promises ----------------------------------------------------------------------------------------------------

    def test_name_summary_and_version_are_lines_of_text(self) -> None:
        for attribute in ("name", "summary", "version"):
            value = getattr(self.component, attribute, None)
            if not isinstance(value, str) or not value.strip() or not value.isprintable():
                self.broken(f"`{attribute}` is {quoted(value)}; it must be one line of text")
        if not COMPONENT_NAME.fullmatch(self.component.name):
            self.broken(f"{quoted(self.component.name)} is no name: lower-case letters, digits, '.', '_', '-', one '/'")

    def test_options_are_strict(self) -> None:
        options = self.component.Options
        if not (isinstance(options, type) and issubclass(options, Options)):
            self.broken("`Options` must be a class made from bakeoff.plugin.Options")
        for key in ("extra", "strict", "frozen"):
            if options.model_config.get(key) != Options.model_config.get(key):
                self.broken(f"`Options` changes {key!r}; it must stay {Options.model_config.get(key)!r}")
        try:
            options.model_validate({**self.options, UNKNOWN_KEY: 1})
        except ValidationError as error:
            if any(found["type"] == "extra_forbidden" for found in error.errors()):
                return
        self.broken(f"`Options` takes the unknown key {UNKNOWN_KEY!r}; a misspelt option must be an error")

    def test_options_come_back_from_a_record(self) -> None:
        """Written as JSON and read again: defaults are checked on the way, and types that JSON does not have are found."""
        chosen = self.chosen()
        try:
            again = type(chosen).model_validate(chosen.model_dump(mode="json"))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            self.broken(f"option {key!r} does not come back from JSON: {first['msg']} (a list does, a tuple doesn't)")
        if again != chosen:
            self.broken("`Options` are others after JSON; a run would have other options than its experiment")

    def test_it_can_be_pickled(self) -> None:
        try:
            again = pickle.loads(pickle.dumps(self.component))  # noqa: S301 - our own, made a moment ago
        except Exception as error:  # pickle has no word for it: TypeError, AttributeError, PicklingError ...
            self.broken(f"it can't be pickled ({type(error).__name__}: {error}); keep no open files, locks or lambdas in it")
        if (again.name, again.version) != (self.component.name, self.component.version):
            self.broken("pickled and read back it has another name or version; `__init__` must give both")

    def test_it_is_listed_without_loading_torch(self) -> None:
        """In a fresh process: importing its module, asking for its extras and, for a task, `info`."""
        self.ready()
        if loaded := self.ask("loaded"):
            self.broken(f"its module or `info` imports {', '.join(loaded)}; import them inside the methods that train or load")

    def test_a_missing_extra_is_told(self) -> None:
        """In a fresh process where the modules in `needs` cannot be imported."""
        needs = self.component.needs
        if not needs:
            raise SkipTest("it needs no extra")
        try:
            missing = ask(self.component, "missing", blocked=tuple(needs))
        except ChildError as error:
            self.broken(f"without {', '.join(needs)} it can't even be listed ({error}); import them where they are used")
        if missing != sorted(set(needs.values())):
            self.broken(f"without {', '.join(needs)} `missing_extras` tells {missing}, not {sorted(set(needs.values()))}")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def chosen(self) -> Any:
        """The options as an object."""
        return self.component.Options.model_validate(dict(self.options))

    def ready(self) -> None:
        """Skips where an extra is missing here."""
        if missing := self.component.missing_extras():
            raise SkipTest(f"it needs {', '.join(missing)}, which is not installed")

    def ask(self, question: str, **arguments: Any) -> Any:
        """An answer from a fresh process; skips where the component can't get there, which another test tells."""
        try:
            return ask(self.component, question, **arguments)
        except ChildError as error:
            raise SkipTest(f"it can't be looked at in a fresh process: {error}") from None

    def broken(self, sentence: str) -> NoReturn:
        """Fails the test, with the component's name and the place of its class."""
        __tracebackhide__ = True  # pytest points at the promise
        raise BrokenPromiseError(f"{place_of(self.component)}: {sentence}")


def place_of(component: Component) -> str:
    """Kind, name, file and line."""
    made_by = type(component)
    try:
        where = f"{shown_path(inspect.getsourcefile(made_by))}:{inspect.getsourcelines(made_by)[1]}"
    except (OSError, TypeError):  # typed into an interpreter
        where = made_by.__qualname__
    return f"{component.kind} {quoted(getattr(component, 'name', '?'))} ({where})"
