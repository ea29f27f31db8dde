"""Spec x registry -> ordered runs with stable ids; every error before any work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from bakeoff.components import TaskInfo, Trainer
from bakeoff.errors import BakeoffError, DataError, PluginError, Problem, SpecError, escaped, unknown
from bakeoff.record import Asked, ComponentOrigin, Imported
from bakeoff.registry import Registered, Registry
from bakeoff.spec import NAME, SELECTION_SPLIT, Document, Options, Recipe, Ref, Spec
from bakeoff.tree import KeyPath

ID_ALGORITHM = "r1"
"""Goes in front of every id: another way of computing ids gets another prefix, so that nothing reruns silently."""


def identity(options: BaseModel) -> dict[str, Any]:
    """Options as an id sees them: an option added later says its neutral value, at which ids stay what they were.

    `Field(..., json_schema_extra={"neutral": value})` marks such an option.
    """
    result = {}
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if "neutral" in extra and value == extra["neutral"]:
            continue
        result[name] = _identity_within(value)
    return result


def _identity_within(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return identity(value)
    if isinstance(value, list | tuple):
        return [_identity_within(item) for item in value]
    if isinstance(value, dict):
        return {key: _identity_within(item) for key, item in value.items()}
    return value


def canonical(value: Any) -> str:
    """JSON with one spelling: sorted keys, no spaces, ASCII; paths, dates and enums as text; NaN and infinity refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=to_jsonable_python)


@dataclass(frozen=True)
class Component:
    """A component of the registry with its validated options."""

    registered: Registered
    options: Options

    @property
    def name(self) -> str:
        return str(self.registered.component.name)

    @cached_property
    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.registered.component.version, "options": identity(self.options)}

    @cached_property
    def label(self) -> str:
        """The name, and the options that were given."""
        given = {name: value for name, value in identity(self.options).items() if name in self.options.model_fields_set}
        shown = ", ".join(f"{name}={value if isinstance(value, str) else canonical(value)}" for name, value in given.items())
        return f"{self.name} ({shown})" if shown else self.name

    @cached_property
    def origin(self) -> ComponentOrigin:
        return ComponentOrigin(
            name=self.name,
            version=self.registered.component.version,
            distribution=self.registered.origin.distribution,
            distribution_version=self.registered.origin.version,
            options=identity(self.options),
        )


@dataclass(frozen=True)
class ResolvedStrategy:
    """A strategy with nothing left to look up."""

    name: str
    trainer: Component
    method: Component
    recipe: Recipe
    replicate: int
    trials: int


@dataclass(frozen=True)
class Run:
    """One task x model x strategy x seed."""

    experiment: str
    task: Component
    model: Component
    strategy: ResolvedStrategy
    seed: int
    select: str

    @cached_property
    def id(self) -> str:
        """A hash of what was asked; not of names, margin, folder or machine."""
        asked = {
            "task": self.task.identity,
            "model": self.model.identity,
            "method": self.strategy.method.identity,
            "trainer": self.strategy.trainer.identity,
            "recipe": identity(self.strategy.recipe),
            "seed": self.seed,
            "replicate": self.strategy.replicate,
            "select": self.select,
        }
        return f"{ID_ALGORITHM}-{hashlib.sha256(canonical(asked).encode()).hexdigest()[:16]}"

    @cached_property
    def asked(self) -> Asked:
        return Asked(
            experiment=self.experiment,
            strategy=self.strategy.name,
            task_label=self.task.label,
            model_label=self.model.label,
            task=self.task.origin,
            model=self.model.origin,
            method=self.strategy.method.origin,
            trainer=self.strategy.trainer.origin,
            recipe=identity(self.strategy.recipe),
            seed=self.seed,
            replicate=self.strategy.replicate,
            select=self.select,
        )

    @property
    def title(self) -> str:
        """What a person calls it, where the experiment has one task and one model."""
        return f"{self.strategy.name} seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """An experiment's runs, interleaved seed by seed so that drift of the machine hits all strategies alike."""

    spec: Spec
    tasks: tuple[Component, ...]
    models: tuple[Component, ...]
    strategies: tuple[ResolvedStrategy, ...]
    imported: tuple[Imported, ...] = ()

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        return tuple(
            Run(self.spec.name, task, model, strategy, seed, self.spec.select)
            for task in self.tasks
            for model in self.models
            for seed in self.spec.seeds
            for strategy in self.strategies
        )

    @property
    def baseline(self) -> str:
        return self.spec.baseline or self.strategies[0].name


def resolve(document: Document, registry: Registry) -> Plan:
    """The plan; raises SpecError with everything that is wrong, found without torch."""
    return _Resolver(document, registry).plan()


class _Resolver:
    """Collects problems on the way, so that all of them come at once."""

    def __init__(self, document: Document, registry: Registry) -> None:
        self.document = document
        self.registry = registry
        self.problems: list[Problem] = []
        self.splits: dict[str, tuple[str, ...]] = {}

    def plan(self) -> Plan:
        spec, problems = self.document.parsed
        self.problems += problems
        tasks, models = self.listed("task", "tasks"), self.listed("model", "models")
        strategies = list(self.strategies())
        self.check_baseline()
        self.check_pairs(tasks, [strategy for strategy in strategies if strategy is not None])
        if not self.document.flaws:  # NaN, for one, has no identity
            self.check_repeats("tasks", tasks)
            self.check_repeats("models", models)
        imported = list(self.imported(spec, _whole(tasks))) if spec and all(tasks) else []
        if self.problems or spec is None:
            raise SpecError(self.problems)
        plan = Plan(spec, _whole(tasks), _whole(models), _whole(strategies), tuple(imported))
        self.check_duplicates(plan)
        if self.problems:
            raise SpecError(self.problems)
        return plan

    def say(self, path: KeyPath, message: str) -> None:
        self.problems.append(self.document.problem(path, message))

    def listed(self, kind: str, key: str) -> list[Component | None]:
        """A list's components, None at the place of each that is a problem."""
        entries = self.document.data.get(key)
        refs = [_as_ref(entry) for entry in entries] if isinstance(entries, list) else []
        return [self.component(kind, ref, (key, index)) if ref else None for index, ref in enumerate(refs)]

    def component(self, kind: str, ref: Ref, path: KeyPath) -> Component | None:
        """The component with validated options, or None and a problem."""
        try:
            registered = self.registry.get(kind, ref.name)
        except PluginError as error:
            self.say((*path, "name") if (*path, "name") in self.document.places else path, str(error))
            return None
        component = registered.component
        if needs := registered.needs:
            self.say(path, f"{kind} '{ref.name}' needs {needs} (pip install '{needs}')")
        try:
            return Component(registered, component.Options.model_validate(ref.options))
        except ValidationError as error:
            self.problems += self.document.problems_of(error, path, model=component.Options)
            return None

    def strategies(self) -> Iterator[ResolvedStrategy | None]:
        entries = self.document.data.get("strategies")
        raw: dict[str, Any] = entries if isinstance(entries, dict) else {}
        for name, data in raw.items():
            if not isinstance(data, dict):
                continue
            path: KeyPath = ("strategies", name)
            source, origin = data, path
            if isinstance(same_as := data.get("same_as"), str):
                if not isinstance(raw.get(same_as), dict):
                    self.say((*path, "same_as"), unknown("strategy", same_as, set(self.strategy_names()) - {name}))
                    continue
                source, origin = raw[same_as], ("strategies", same_as)
                if source.get("same_as") is not None:
                    self.say((*path, "same_as"), f"'{same_as}' is itself a repeat; name the strategy that it repeats")
                    continue
            method = "full" if source.get("method") is None else source["method"]
            parts = {"trainer": _as_ref(source.get("trainer")), "method": _as_ref(method)}
            found = {kind: self.component(kind, ref, (*origin, kind)) for kind, ref in parts.items() if ref is not None}
            recipe = self.recipe(source.get("recipe", {}), (*origin, "recipe"))
            replicate, trials = data.get("replicate", 0), source.get("trials", 1)
            whole = found.get("trainer") and found.get("method") and recipe
            if whole and isinstance(replicate, int) and isinstance(trials, int):
                yield ResolvedStrategy(name, found["trainer"], found["method"], recipe, replicate, trials)  # type: ignore[arg-type]
            else:
                yield None

    def recipe(self, changes: Any, path: KeyPath) -> Recipe | None:
        """The shared recipe with a strategy's changes; what is wrong in the shared part is a problem already."""

        def is_own(location: KeyPath) -> bool:
            return location[0] in changes if location else bool({"epochs", "max_steps"} & changes.keys())

        shared = self.document.data.get("recipe", {})
        if not isinstance(shared, dict) or not isinstance(changes, dict):
            return None
        kept = dict(shared)
        for given, replaced in (("max_steps", "epochs"), ("epochs", "max_steps")):
            if given in changes:
                kept.pop(replaced, None)
        try:
            return Recipe.model_validate({**kept, **changes})
        except ValidationError as error:
            self.problems += self.document.problems_of(error, path, model=Recipe, only=is_own)
            return None

    def imported(self, spec: Spec, tasks: tuple[Component, ...]) -> Iterator[Imported]:
        """The published figures, each with its task's label."""
        for index, row in enumerate(spec.imported):
            named = [task.label for task in tasks if row.task in (None, task.name, task.label)]
            labels = [label for label in named if label == row.task] or named
            if not labels:
                wrong = unknown("task", row.task or "", [task.label for task in tasks])
                self.say(("imported", index, "task"), wrong)
            elif len(labels) > 1:
                self.say(("imported", index), f"`task` must say which of {', '.join(labels)} the figure belongs to")
            elif row.split not in (splits := self.splits.get(labels[0], (row.split,))):
                self.say(("imported", index, "split"), unknown("split", row.split, splits))
            else:
                facts = row.model_dump(exclude={"task"})
                yield Imported(**facts, task=labels[0])

    def check_baseline(self) -> None:
        baseline, names = self.document.data.get("baseline"), self.strategy_names()
        if isinstance(baseline, str) and NAME.fullmatch(baseline) and baseline not in names:
            self.say(("baseline",), unknown("strategy", baseline, names))

    def strategy_names(self) -> list[str]:
        """Those that may be shown to a person; a name that is none is a problem already."""
        raw = self.document.data.get("strategies")
        return [name for name in raw if NAME.fullmatch(name)] if isinstance(raw, dict) else []

    def check_repeats(self, key: str, components: list[Component | None]) -> None:
        seen: dict[str, int] = {}
        for index, component in enumerate(components):
            if component and (first := seen.setdefault(canonical(component.identity), index)) != index:
                self.say((key, index), f"the same as {key}[{first}]")

    def check_pairs(self, tasks: list[Component | None], strategies: list[ResolvedStrategy]) -> None:
        """Components that cannot work together."""
        for index, task in enumerate(tasks):
            if task is None:
                continue
            try:
                info: TaskInfo = task.registered.component.info(task.options)
            except Exception as error:  # the author's code: whatever it raises is a problem of this task
                what = (
                    str(error) if isinstance(error, BakeoffError) else f"{type(error).__name__}: {' '.join(str(error).split())}"
                )
                whose = "" if isinstance(error, DataError) else f"task '{task.name}' ({task.registered.origin}): "
                self.say(("tasks", index), f"{whose}{escaped(what)}")
                continue
            report_on = self.document.data.get("report_on", Spec.model_fields["report_on"].default)
            if isinstance(report_on, str) and NAME.fullmatch(report_on) and report_on not in info.predicted_splits:
                wrong = unknown("split to report on", report_on, info.predicted_splits)
                self.say(("report_on",), f"task '{task.name}': {wrong}")
            if self.document.data.get("select") == "best-on-dev" and SELECTION_SPLIT not in info.predicted_splits:
                self.say(
                    ("select",), f"task '{task.name}' has no labelled split '{SELECTION_SPLIT}' to select on; use last-epoch"
                )
            self.splits[task.label] = info.splits
            for strategy in strategies:
                trainer: Trainer = strategy.trainer.registered.component
                if info.kind not in trainer.supports.kinds:
                    self.say(
                        ("strategies", strategy.name, "trainer"),
                        f"trainer '{trainer.name}' does no {info.kind} (task '{task.name}', tasks[{index}])",
                    )
        default = Recipe()
        for strategy in strategies:
            trainer = strategy.trainer.registered.component
            for key in Recipe.model_fields:
                if key in trainer.supports.recipe_keys or getattr(strategy.recipe, key) == getattr(default, key):
                    continue
                path = ("strategies", strategy.name, "recipe", key)
                place = path if path in self.document.places else ("recipe", key)
                self.say(place, f"trainer '{trainer.name}' (strategy '{strategy.name}') does not follow this key")
            if strategy.recipe.precision not in trainer.supports.precisions:
                self.say(("recipe", "precision"), f"trainer '{trainer.name}' does not train in {strategy.recipe.precision}")

    def check_duplicates(self, plan: Plan) -> None:
        first: dict[str, str] = {}
        for run in plan.runs:
            name = run.strategy.name
            if (other := first.setdefault(run.id, name)) != name:
                self.say(
                    ("strategies", name),
                    f"the same runs as strategy '{other}'; say `replicate: 1` for an A/A arm with other seed streams",
                )


def _as_ref(entry: Any) -> Ref | None:
    try:
        return Ref.model_validate(entry)
    except ValidationError:
        return None


T = TypeVar("T")


def _whole(items: list[T | None]) -> tuple[T, ...]:
    """All items, once none of them is a problem any more."""
    return tuple(item for item in items if item is not None)
