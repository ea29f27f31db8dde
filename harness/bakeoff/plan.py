"""What is to be run: strategies whose every part is known, and their runs in order, with stable ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from bakeoff.components import Model, Places, Trainer
from bakeoff.errors import escaped
from bakeoff.planning.judging import Primary, margins
from bakeoff.record import Asked, ComponentOrigin, Imported
from bakeoff.registry import Registered
from bakeoff.spec import Options, Recipe, SearchSpace, Spec

ID_ALGORITHM = "r1"
"""Goes in front of every id: another way of computing ids gets another prefix, so that nothing reruns silently."""


LONGEST_NOTE = 500
"""Characters: a record holds them."""


def identity(options: BaseModel) -> dict[str, Any]:
    """Options as an id sees them: an option added later says its neutral value, at which ids stay what they were.

    `Field(..., json_schema_extra={"neutral": value})` marks such an option.
    """
    result = {}
    for name, known in type(options).model_fields.items():
        value = getattr(options, name)
        extra = known.json_schema_extra if isinstance(known.json_schema_extra, dict) else {}
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


def id_of(asked: Asked) -> str:
    """The id of the run that this was asked of: what `Run.id` gives, from a record."""
    parts = {kind: getattr(asked, kind) for kind in ("task", "model", "method", "trainer")}
    return _hashed(
        {kind: {"name": part.name, "version": part.version, "options": part.options} for kind, part in parts.items()}
        | {"recipe": asked.recipe, "seed": asked.seed, "replicate": asked.replicate, "select": asked.select}
    )


def _hashed(asked: dict[str, Any]) -> str:
    return f"{ID_ALGORITHM}-{hashlib.sha256(canonical(asked).encode()).hexdigest()[:16]}"


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
        shown = ", ".join(f"{name}={_as_label(value)}" for name, value in given.items())
        return f"{self.name} ({shown})" if shown else self.name

    def options_at(self, places: Places) -> Options:
        """The options with paths as this machine has them; no part of ids and labels."""
        component = self.registered.component
        return component.resolved(self.options, places) if isinstance(component, Model) else self.options

    @cached_property
    def origin(self) -> ComponentOrigin:
        return ComponentOrigin(
            name=self.name,
            version=self.registered.component.version,
            distribution=self.registered.origin.distribution,
            distribution_version=self.registered.origin.version,
            options=identity(self.options),
        )


def _as_label(value: Any) -> str:
    """An option's value in few characters."""
    words = [_as_word(item) for item in value] if isinstance(value, list) else []
    if words and None not in words:
        return "+".join(filter(None, words))
    return value if isinstance(value, str) else canonical(value)


def _as_word(item: Any) -> str | None:
    """A text, or a metric with what is said of it: `f1 (spam)`; None of anything else."""
    if isinstance(item, dict) and isinstance(name := item.get("name"), str):
        return f"{name} ({', '.join(str(value) for key, value in item.items() if key != 'name')})"
    return item if isinstance(item, str) else None


def notes_of(trainer: Trainer, recipe: Recipe, options: Options) -> list[str]:
    """What a trainer has to say of a recipe, each a line."""
    return [escaped(" ".join(note.split())[:LONGEST_NOTE]) for note in trainer.notes(recipe, options)]


@dataclass(frozen=True)
class ResolvedStrategy:
    """A strategy with nothing left to look up."""

    name: str
    trainer: Component
    method: Component
    recipe: Recipe
    replicate: int
    trials: int
    tuning: Tuning | None = None
    """How its configuration is chosen; until then it stands here with the first one."""

    @cached_property
    def asked_recipe(self) -> dict[str, Any]:
        """The recipe as far as it is in effect: a trainer that owns its steps leaves what it does not follow out of them."""
        trainer: Trainer = self.trainer.registered.component
        whole = identity(self.recipe)
        owns_steps = "steps" in trainer.owns
        return {key: value for key, value in whole.items() if not owns_steps or key in trainer.supports.recipe_keys}


@dataclass(frozen=True)
class Configuration:
    """One combination of a search's values."""

    values: tuple[tuple[str, Any], ...]
    strategy: ResolvedStrategy


@dataclass(frozen=True)
class Tuning:
    """How a strategy's configuration is chosen."""

    owner: str
    """The strategy whose trials decide: its own name, or that of the one it repeats."""
    space: SearchSpace
    configurations: tuple[Configuration, ...]


@dataclass(frozen=True)
class Run:
    """One task x model x strategy x seed."""

    experiment: str
    task: Component
    model: Component
    strategy: ResolvedStrategy
    seed: int
    select: str
    tried: tuple[tuple[str, Any], ...] = ()
    """The values of a search's trial; empty for a run that is reported."""

    @cached_property
    def id(self) -> str:
        """A hash of what was asked; not of names, margin, folder or machine."""
        asked = {
            "task": self.task.identity,
            "model": self.model.identity,
            "method": self.strategy.method.identity,
            "trainer": self.strategy.trainer.identity,
            "recipe": self.strategy.asked_recipe,
            "seed": self.seed,
            "replicate": self.strategy.replicate,
            "select": self.select,
        }
        return _hashed(asked)

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
            recipe=self.strategy.asked_recipe,
            seed=self.seed,
            replicate=self.strategy.replicate,
            select=self.select,
        )

    @property
    def title(self) -> str:
        """What a person calls it, where the experiment has one task and one model."""
        tried = ", ".join(f"{key} {value if isinstance(value, str) else canonical(value)}" for key, value in self.tried)
        return f"{self.strategy.name} seed {self.seed}{f' (trial: {tried})' if tried else ''}"


@dataclass(frozen=True)
class Plan:
    """An experiment's runs, interleaved seed by seed so that drift of the machine hits all strategies alike.

    Where a strategy's configuration is searched, its runs are known once `chosen` says which one.
    """

    spec: Spec
    tasks: tuple[Component, ...]
    models: tuple[Component, ...]
    strategies: tuple[ResolvedStrategy, ...]
    imported: tuple[Imported, ...] = ()
    primaries: tuple[Primary, ...] = ()
    """Of the tasks, in their order."""
    chosen: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """(strategy that was searched, task, model) -> which of its configurations."""

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The runs to report, as far as they are known."""
        return tuple(
            Run(self.spec.name, task, model, settled, seed, self.spec.select)
            for task in self.tasks
            for model in self.models
            for seed in self.spec.seeds
            for strategy in self.strategies
            if (settled := self.settled(strategy, task, model)) is not None
        )

    @cached_property
    def trials(self) -> tuple[Run, ...]:
        """The runs by which configurations are chosen."""
        tuned = [strategy for strategy in self.strategies if strategy.tuning and strategy.tuning.owner == strategy.name]
        longest = max((len(strategy.tuning.space.seeds) for strategy in tuned if strategy.tuning), default=0)
        return tuple(
            Run(self.spec.name, task, model, trial.strategy, seed, self.spec.select, trial.values)
            for task in self.tasks
            for model in self.models
            for position in range(longest)
            for strategy in tuned
            if strategy.tuning
            for seed in strategy.tuning.space.seeds[position : position + 1]
            for trial in strategy.tuning.configurations
        )

    @cached_property
    def notes(self) -> dict[str, list[str]]:
        """What trainers have to say of the recipes that they are given -> the strategies that it is said of."""
        found: dict[str, list[str]] = {}
        for strategy in self.strategies:
            variants = strategy.tuning.configurations if strategy.tuning else (Configuration((), strategy),)
            for variant in variants:
                part, recipe = variant.strategy.trainer, variant.strategy.recipe
                for note in notes_of(part.registered.component, recipe, part.options):
                    names = found.setdefault(note, [])
                    if strategy.name not in names:
                        names.append(strategy.name)
        return found

    @property
    def waiting(self) -> int:
        """Runs to report whose configuration is not chosen yet."""
        everything = len(self.tasks) * len(self.models) * len(self.spec.seeds) * len(self.strategies)
        return everything - len(self.runs)

    def settled(self, strategy: ResolvedStrategy, task: Component, model: Component) -> ResolvedStrategy | None:
        """The strategy with what was chosen for it; None where that is not known."""
        if strategy.tuning is None:
            return strategy
        number = self.chosen.get((strategy.tuning.owner, task.label, model.label))
        return None if number is None else strategy.tuning.configurations[number].strategy

    @property
    def margin(self) -> dict[str, float]:
        """As `record.Declared` has it."""
        return margins(self.spec.margin, self.primaries)

    @property
    def baseline(self) -> str:
        return self.spec.baseline or self.strategies[0].name
