"""The promises of every component, of any kind, as tests; some promises are checked in a fresh process."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from operator import methodcaller
from typing import Any, ClassVar, NoReturn
from unittest import SkipTest

from pydantic import ValidationError

from bakeoff.contracts.component import Component
from bakeoff.contracts.recipe import COMPONENT_NAME, Options
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError
from bakeoff.text.words import quoted, shown_path

UNKNOWN_KEY = "no_option_has_this_name"
HEAVY = ("accelerate", "datasets", "evaluate", "peft", "torch", "transformers")
CHILD = "from bakeoff.testing.contract import answer; answer()"
CHILD_SECONDS = 120


class BrokenPromiseError(AssertionError):
    """A component breaks its contract; the message says what is wrong, where, and what is right."""


class ChildError(Exception):
    """A fresh process ended without an answer; the message is its last line of output."""


def installed(kind: str, name: str) -> Any:
    """The installed component of this kind and name, found as an experiment finds it, by its package's entry point. Raises
    PluginError if there is none."""
    return load_registry().get(kind, name).component


class Contract:
    """Base of all contracts; subclass one of them, and pytest collects a test for each promise.

    A promise that cannot be checked (a library or the data is missing) is skipped with the reason.
    """

    component: ClassVar[Any]
    """The object under test."""
    options: ClassVar[Mapping[str, Any]] = {}
    """The options as an experiment file would give them to the component; small data and small models keep the tests quick."""

    @classmethod
    def broken_promises(cls) -> dict[str, str]:
        """Runs all tests; returns, for those that fail, the test's name -> what is wrong. Works without pytest, for example in
        a notebook."""
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
            self.broken("`Options` must be a subclass of bakeoff.plugin.Options")
        for key in ("extra", "strict", "frozen"):
            if options.model_config.get(key) != Options.model_config.get(key):
                self.broken(f"`Options` changes {key!r}; it must stay {Options.model_config.get(key)!r}")
        try:
            options.model_validate({**self.options, UNKNOWN_KEY: 1})
        except ValidationError as error:
            if any(found["type"] == "extra_forbidden" for found in error.errors()):
                return
        self.broken(f"`Options` accepts the unknown key {UNKNOWN_KEY!r}; a misspelt option must be an error")

    def test_options_come_back_from_a_record(self) -> None:
        """Writes the options as JSON and reads them again: this validates defaults, and finds types that JSON does not
        have."""
        chosen = self.chosen()
        try:
            again = type(chosen).model_validate(chosen.model_dump(mode="json"))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            self.broken(f"option {key!r} does not come back from JSON: {first['msg']} (a list does, a tuple doesn't)")
        if again != chosen:
            self.broken(
                "`Options` change when written as JSON and read again; a run would have other options than its experiment"
            )

    def test_it_can_be_pickled(self) -> None:
        try:
            again = pickle.loads(pickle.dumps(self.component))  # noqa: S301 - our own, pickled here
        except Exception as error:  # pickle raises TypeError, AttributeError, PicklingError ...
            self.broken(f"it can't be pickled ({type(error).__name__}: {error}); keep no open files, locks or lambdas in it")
        if (again.name, again.version) != (self.component.name, self.component.version):
            self.broken("pickled and read back it has another name or version; `__init__` must set both")

    def test_it_is_listed_without_loading_torch(self) -> None:
        """Checks, in a fresh process, that the component's module, its check for extras and, for a task, its `info` import
        none of the heavy libraries."""
        self.ready()
        if loaded := self.ask(imported, dict(self.options)):
            self.broken(f"its module or `info` imports {', '.join(loaded)}; import them inside the methods that train or load")

    def test_a_missing_extra_is_told(self) -> None:
        """Checks, in a fresh process where the modules in `needs` can't be imported, that the missing extra is reported."""
        needs = self.component.needs
        if not needs:
            raise SkipTest("it needs no extra")
        try:
            missing = ask(self.component, methodcaller("missing_extras"), blocked=tuple(needs))
        except ChildError as error:
            self.broken(f"without {', '.join(needs)} it can't even be listed ({error}); import them where they are used")
        if missing != sorted(set(needs.values())):
            self.broken(f"without {', '.join(needs)} `missing_extras` gives {missing}, not {sorted(set(needs.values()))}")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def chosen(self) -> Any:
        """`options`, validated: an object of the component's `Options`."""
        return self.component.Options.model_validate(dict(self.options))

    def ready(self) -> None:
        """Skips the test if an extra that the component needs is not installed."""
        if missing := self.component.missing_extras():
            raise SkipTest(f"it needs {', '.join(missing)}, which is not installed")

    def ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `question(component, *arguments)` in a fresh process. Skips the test if the component can't be loaded
        there, because another test then fails."""
        try:
            return ask(self.component, question, *arguments)
        except ChildError as error:
            raise SkipTest(f"it can't be checked in a fresh process: {error}") from None

    def broken(self, sentence: str) -> NoReturn:
        """Fails the test with this sentence, after the component's name and the place of its class."""
        __tracebackhide__ = True  # pytest then points at the promise
        raise BrokenPromiseError(f"{place_of(self.component)}: {sentence}")


def place_of(component: Component) -> str:
    """A component's kind, name, and the file and line of its class, as text."""
    made_by = type(component)
    try:
        where = f"{shown_path(inspect.getsourcefile(made_by))}:{inspect.getsourcelines(made_by)[1]}"
    except (OSError, TypeError):  # typed into an interpreter
        where = made_by.__qualname__
    return f"{component.kind} {quoted(getattr(component, 'name', '?'))} ({where})"


# --- a fresh process: nothing is imported there yet, and modules can be made missing ---------------------------------------


def ask(component: Component, question: Callable[..., Any], *arguments: Any, blocked: Sequence[str] = ()) -> Any:
    """What `question(component, *arguments)` returns in a fresh process, where no module of `blocked` can be imported.

    The result must be JSON. Raises ChildError if the component can't be pickled, or the process fails.
    """
    try:
        pickled = pickle.dumps((question, component, arguments))
    except Exception as error:  # as in `test_it_can_be_pickled`
        raise ChildError(f"it can't be pickled: {error}") from error
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHILD],  # nothing is imported from the working directory
        input=pickle.dumps((tuple(blocked), pickled)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "random"},
        capture_output=True,
        timeout=CHILD_SECONDS,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ChildError(lines[-1] if lines else f"exit code {done.returncode}")
    return json.loads(done.stdout)


def answer() -> None:
    """What the fresh process does: reads a question from stdin, and writes its answer to stdout as JSON."""
    import bakeoff.plugin  # noqa: F401 - what Bakeoff itself needs is there, whatever the component needs

    blocked, pickled = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    sys.modules.update(dict.fromkeys(blocked))  # None is Python's own way to say "not there"
    with redirect_stdout(sys.stderr):
        question, component, arguments = pickle.loads(pickled)  # noqa: S301 - as above
        found = question(component, *arguments)
    print(json.dumps(found))


def imported(component: Any, options: Mapping[str, Any]) -> list[str]:
    """Which of the `HEAVY` libraries are imported by the component's module and, for a task, by its `info`; called in a fresh
    process."""
    component.missing_extras()
    if component.kind == "task":
        component.info(component.Options.model_validate(options))
    return [name for name in HEAVY if name in sys.modules]
