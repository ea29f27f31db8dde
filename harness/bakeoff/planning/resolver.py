"""Makes a plan from an experiment file and the registry; reports all errors at once, before any work."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bakeoff.contracts.configured import Configured, canonical, notes_of, with_parts
from bakeoff.contracts.recipe import DEFAULTS, Options, Recipe
from bakeoff.contracts.registry import Registry
from bakeoff.contracts.returned import required
from bakeoff.contracts.task import Paths, TaskInfo
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import BakeoffError, DataError, PluginError, SpecError
from bakeoff.planning import recipe_parts, rules
from bakeoff.planning.imported_runs import imported_strategies
from bakeoff.planning.rules import place_of
from bakeoff.planning.runs import KnownTask, Plan, ResolvedStrategy, Tuning
from bakeoff.planning.titles import titles_of
from bakeoff.records.schema import Imported
from bakeoff.spec.document import Document
from bakeoff.spec.experiment_file import ImportedRun
from bakeoff.spec.given import is_given
from bakeoff.spec.messages import sentence
from bakeoff.spec.other_names import not_found
from bakeoff.spec.strategy import NAME, OwnRecipe, SearchSpace, Strategy, merged_recipe
from bakeoff.spec.varied import Varied
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.values import options_in_words
from bakeoff.text.words import did_you_mean, escaped


def resolve(document: Document, registry: Registry) -> Plan:
    """The plan of an experiment file. Raises SpecError with everything that is wrong in the file. Torch is not imported."""
    return _Resolver(document, registry).plan()


class _Resolver:
    """Combines the valid parts of the file, and collects problems on the way, so that all are reported at once."""

    def __init__(self, document: Document, registry: Registry) -> None:
        self.document = document
        beside = Path() if is_given(document) else document.path.parent
        self.places = Paths(None, Path(), beside.absolute())
        self.spec, self.problems, self.reading = document.read(registry)

    def plan(self) -> Plan:
        listed = self.reading.components["task"]
        tasks = [known for index, task in enumerate(listed) if task and (known := self.known(index, task))]
        strategies = [row for name, given in self.reading.named.items() if given for row in self.rows_of(name, given)]
        self.check(tasks, strategies)
        imported: list[Imported] = []
        if tasks and len(tasks) == len(listed):
            self.check_units(tasks)
            imported = list(self.imported(tasks))
            strategies += self.made_elsewhere(tasks)
        if self.problems or self.spec is None:
            raise SpecError(self.problems)
        self.spec = self.spec.model_copy(update={"report_on": self.report_on(tasks)})
        tasks_and_models = tuple(self.spec.tasks), tuple(map(self.model, self.spec.models))
        plan = Plan(self.spec, *tasks_and_models, tuple(strategies), tuple(imported), tuple(tasks))
        self.say(rules.strategies_differ(plan))
        if self.problems:
            raise SpecError(self.problems)
        return plan

    def says(self, key: str) -> Any:
        """The value of a top-level key of the file, or its default; None if the value is wrong."""
        return self.reading.keys.valid.get(key)

    def report_on(self, tasks: list[KnownTask]) -> str | None:
        """The split whose scores are compared; None if the file names it wrongly."""
        said: str | None = self.says("report_on")
        return said if said is None or ("report_on",) in self.document.places else rules.default_report(tasks, said)

    def say(self, found: Iterable[tuple[KeyPath, str]]) -> bool:
        """Adds problems, (path in the file, message) each; returns whether there were any."""
        problems = [self.document.problem(path, message) for path, message in found]
        self.problems += [one for one in dict.fromkeys(problems) if one not in self.problems]
        return bool(problems)

    # --- combining -------------------------------------------------------------------------------------------------------

    def known(self, index: int, task: Configured) -> KnownTask | None:
        """What the task declares about itself; None if that is a problem."""
        try:
            return KnownTask(index, task, required(task.registered.component.info(task.options), TaskInfo, of="`info`"))
        except Exception as error:  # the author's code: whatever it raises is a problem of this task
            what = str(error) if isinstance(error, BakeoffError) else rules.told(error)
            whose = "" if isinstance(error, DataError) else f"task '{task.name}' ({task.registered.origin}): "
            key = next((key for start, key in (("metric ", "metrics"), ("split: ", "split")) if what.startswith(start)), None)
            about = ("tasks", index, key) if key else ("tasks", index)
            self.say([(about, f"{whose}{escaped(what)}")])
            return None

    def rows_of(self, name: str, given: Strategy) -> Iterator[ResolvedStrategy]:
        """Yields the resolved strategies that one of the file stands for: a single one, or one for each value of the key that
        varies."""
        varied: Varied | None = self.says("vary")
        for number in range(len(varied.values)) if varied else (None,):
            if (row := self.resolved(name, given, number)) is not None:
                yield row

    def resolved(self, name: str, given: Strategy, number: int | None) -> ResolvedStrategy | None:
        """The strategy with its components, or with those of the one that it repeats (`same_as`); None if there is a problem.
        number: the position of its value in `vary`; None where no key varies."""
        source, origin = given, name
        path: KeyPath = ("strategies", name)
        if given.same_as is not None:
            origin = given.same_as
            if origin not in self.reading.named:
                self.say([((*path, "same_as"), did_you_mean("strategy", origin, set(self.names()) - {name}))])
                return None
            if (repeated := self.reading.named[origin]) is None:
                return None
            if repeated.same_as is not None:
                self.say([((*path, "same_as"), f"'{origin}' is itself a repeat; name the strategy that it repeats")])
                return None
            source = repeated
        method = source.method or self.full_method(path)
        trainer = source.trainer and self.with_code(source.trainer, ("strategies", origin, "trainer"))
        if not (trainer and method):
            return None
        varied: Varied | None = self.says("vary")
        if number is not None:
            if (at_value := self.at_value(source, origin, number)) is None:
                return None
            source = at_value
        row, key = (varied.row(name, varied.values[number]), varied.key) if varied and number is not None else (name, "")
        recipe = source.recipe.whole or DEFAULTS  # where there is none, only the search is looked at
        strategy = ResolvedStrategy(
            row,
            trainer,
            method,
            recipe,
            given.replicate,
            source.trials,
            tuple(source.spelt_out),
            written=name,
            varied=key,
            title=given.title or "",
            model=self.model(source.model) if source.model else None,
        )
        return self.tuned(strategy, source, origin)

    def at_value(self, source: Strategy, origin: str, number: int) -> Strategy | None:
        """The strategy with the key that varies in its recipe, at the value with this number; None if that value can't stand
        with the other keys. origin: the strategy's name, for messages."""
        varied: Varied = self.says("vary")
        value = varied.values[number]
        changes = {**source.recipe.changes, varied.key: value}
        try:
            whole = merged_recipe(self.says("recipe") or DEFAULTS, changes)
        except ValidationError as error:
            told = [sentence(detail, Recipe) for detail in error.errors(include_url=False)]
            self.say(((("vary", varied.key, number)), f"strategy '{origin}': {one}") for one in told)
            return None
        return source.model_copy(update={"recipe": OwnRecipe(changes, whole if source.recipe.whole else None)})

    def with_code(self, trainer: Configured, path: KeyPath) -> Configured | None:
        """The trainer with the hash of the code that it runs, if it runs any; None if that code is a problem."""
        try:
            return trainer.with_code(self.places)
        except BakeoffError as error:
            self.say([(path, str(error))])
            return None

    def model(self, given: Configured) -> Configured:
        """The first model of the file that is the same as this one, so that both have one label, with the title that either
        has."""
        if self.document.flaws:  # NaN, for one, has no identity
            return given
        named = [one for kind in ("model", "own model") for one in self.reading.components[kind] if one]
        alike = [one for one in named if canonical(one.identity) == canonical(given.identity)]
        return replace(alike[0], given_title=next((one.given_title for one in alike if one.given_title), ""))

    def full_method(self, path: KeyPath) -> Configured | None:
        try:
            return Configured(registered := self.reading.registry.get("method", "full"), registered.component.Options())
        except PluginError as error:
            self.say([(path, str(error))])
            return None

    def tuned(self, strategy: ResolvedStrategy, source: Strategy, origin: str) -> ResolvedStrategy | None:
        """The strategy with its own search or the experiment's, if there is one; None if the search has a problem."""
        own = "search" in source.model_fields_set
        if not own and "search" in self.reading.keys.wrong:
            return None
        space = source.search if own else self.says("search")
        path: KeyPath = ("strategies", origin, "search") if own else ("search",)
        varied: Varied | None = self.says("vary")
        found_wrong = space and self.say(self.wrong_search(space, strategy, source, origin, path))
        if found_wrong:
            return None
        if space is None:
            return self.with_parts(strategy) if source.recipe.whole else None
        configurations = []
        for chosen in space.configurations:
            try:
                configurations.append(self.configured(strategy, source, chosen))
            except BakeoffError as error:
                found_wrong = self.say([(path, str(error))])
            except ValidationError as error:
                wrong = _wrong_choice(error, chosen, space, strategy, path)
                found_wrong = self.say(one for one in wrong if source.recipe.whole or one[0] != path)
        configurations = [known for one in configurations if (known := self.with_parts(one)) is not None]
        if found_wrong or source.recipe.whole is None or len(configurations) < len(space.configurations):
            return None
        at = strategy.name.removeprefix(f"{strategy.written}@") if space.at is None or varied is None else varied.said(space.at)
        if all(one.seed_free for one in configurations):
            space = space.model_copy(update={"seeds": space.seeds[:1], "repeat": 1})
        tuning = Tuning(f"{origin}@{at}" if varied else origin, space, tuple(configurations))
        spelt_out = tuple(dict.fromkeys([*strategy.spelt_out, *space.parts]))
        return replace(configurations[0], trials=len(configurations), tuning=tuning, spelt_out=spelt_out)

    def with_parts(self, strategy: ResolvedStrategy) -> ResolvedStrategy | None:
        """The strategy with the components that its recipe names, their versions and all of their options; None if there is a
        problem with one."""
        parts, wrong = recipe_parts.found_in(strategy.recipe, self.reading.registry)
        places = self.document.places
        self.say(((*place_of(key, strategy, places), *path), told) for key, path, told in wrong)
        return None if wrong else replace(strategy, recipe=with_parts(strategy.recipe, parts), parts=parts)

    def wrong_search(
        self, space: SearchSpace, strategy: ResolvedStrategy, source: Strategy, origin: str, path: KeyPath
    ) -> Iterator[tuple[KeyPath, str]]:
        """Yields what is wrong with a search for this strategy: seeds and keys that are given already, and unknown keys."""
        if reported := self.says("seeds"):
            yield from (((*path, key), problem) for key, problem in rules.wrong_search_seeds(space, reported))
        if "vary" not in self.reading.keys.wrong:
            yield from (((*path, key), problem) for key, problem in rules.searched_at_a_value(self.says("vary"), space))
        parts = {"trainer": strategy.trainer, "method": strategy.method}
        options = {kind: [f"{kind}.{option}" for option in type(part.options).model_fields] for kind, part in parts.items()}
        for key in (one for one in space.grid if one != strategy.varied):
            kind, _, option = key.partition(".")
            place: KeyPath = ("strategies", origin, kind, option) if option else ("strategies", origin, "recipe", key)
            if kind in parts and option:
                given = parts[kind].options.model_fields_set
                if key not in options[kind]:
                    wrong = did_you_mean(f"option of {kind} '{parts[kind].name}'", key, options[kind])
                    yield (*path, key), f"{wrong} (strategy '{strategy.written}')"
            else:
                given = set(source.recipe.changes)
                if key not in Recipe.model_fields:
                    known = [*Recipe.model_fields, *itertools.chain(*options.values())]
                    yield (*path, key), not_found("recipe key or option", key, known)
            if (option or key) in given:
                yield place, "the search chooses this key: leave it out here, or leave it out of the search"

    def configured(self, strategy: ResolvedStrategy, source: Strategy, chosen: Mapping[str, Any]) -> ResolvedStrategy:
        """The strategy with one combination of a search's values. Raises pydantic's ValidationError, and BakeoffError
        for code that is missing."""
        changes: dict[str, dict[str, Any]] = {"": dict(source.recipe.changes), "trainer": {}, "method": {}}
        for key, value in chosen.items():
            kind, _, name = key.rpartition(".")
            changes[kind][name] = value
        recipe = merged_recipe(self.says("recipe") or DEFAULTS, changes[""])
        trainer, method = strategy.trainer, strategy.method.changed(changes["method"])
        if changes["trainer"] and source.trainer:  # which code it is may be searched too
            trainer = source.trainer.changed(changes["trainer"]).with_code(self.places)
        return replace(strategy, trainer=trainer, method=method, recipe=recipe, tried=tuple(chosen.items()))

    def imported(self, tasks: list[KnownTask]) -> Iterator[Imported]:
        """The published figures, each with its task's label."""
        splits = {task.task.label: task.info.splits for task in tasks}
        titles = titles_of([task.task for task in tasks])
        for index, row in enumerate(self.says("imported") or ()):
            named = [one.task.label for one in tasks if row.task in (None, one.name, one.task.label, titles[one.task.label])]
            labels = [label for label in named if label == row.task] or named
            if not labels:
                self.say([(("imported", index, "task"), did_you_mean("task", row.task or "", splits))])
            elif len(labels) > 1:
                told = f"`task` must say which of {', '.join(labels)} the figure belongs to"
                self.say([(("imported", index), told)])
            elif row.split not in splits[labels[0]]:
                self.say([(("imported", index, "split"), did_you_mean("split", row.split, splits[labels[0]]))])
            else:
                yield Imported(**row.model_dump(exclude={"task"}), task=labels[0])

    def made_elsewhere(self, tasks: list[KnownTask]) -> list[ResolvedStrategy]:
        """The strategies whose runs are imported."""
        given: list[ImportedRun] = self.says("imported_runs") or []
        titles = titles_of([task.task for task in tasks])
        called = {one.task.label: {one.name, one.task.label, titles[one.task.label]} for one in tasks}
        found = imported_strategies(given, self.names(), called, self.places.beside, self.reading.registry)
        self.say(found.problems)
        if given and (seeds := self.says("seeds")) and seeds.looks:
            self.say(
                [(("imported_runs",), "looks add seeds as needed, but imported runs have fixed seeds: give `seeds` as a list")]
            )
        return found.strategies

    # --- rules -----------------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The valid names of strategies; each invalid one is a problem already."""
        return [name for name in self.reading.named if NAME.fullmatch(name)]

    def check(self, tasks: list[KnownTask], strategies: list[ResolvedStrategy]) -> None:
        """Applies the rules to each task and strategy, and to their combinations."""
        baseline = self.says("baseline")
        names = [*self.names(), *(run.strategy for run in self.says("imported_runs") or ())]
        if baseline is not None and baseline not in names:
            self.say([(("baseline",), did_you_mean("strategy", baseline, names))])
        listed: dict[KeyPath, Configured] = {
            (key, index): component
            for key, kind in (("tasks", "task"), ("models", "model"))
            for index, component in enumerate(self.reading.components[kind])
            if component
        }
        used: dict[KeyPath, Configured] = {
            ("strategies", name, kind): component
            for name, given in self.reading.named.items()
            for kind in ("trainer", "method", "model")
            if given and (component := getattr(given, kind))
        }
        own_models = {path: component for path, component in used.items() if path[-1] == "model"}
        self.say(rules.are_installed(listed | used))
        if not self.document.flaws:  # NaN, for one, has no identity
            self.say(rules.stand_once(listed))
            self.say(rules.titles_differ(listed | own_models, strategies))
        if varied := self.says("vary"):
            known = {name: given for name, given in self.reading.named.items() if given}
            self.say(rules.nothing_else_gives_it(varied, self.given_keys(), known))
        if seeds := self.says("seeds"):
            self.say(rules.looks_have_something_to_compare(seeds, len(self.reading.named)))
        for name, given in self.reading.named.items():
            if given is not None:
                self.say(rules.trainer_takes_model_and_method(name, given))
        if "models" not in self.reading.keys.wrong:
            self.say(rules.strategies_have_models(self.says("models") or (), self.reading.named))
        searched = any(strategy.tuning for strategy in strategies)
        report_on, is_written = self.report_on(tasks), ("report_on",) in self.document.places
        for task in tasks:
            self.say(rules.reported_split_is_scored(task, report_on, is_written=is_written))
            self.say(rules.selection_has_a_split(task, self.says("select"), searched=searched))
            self.say(rules.primary_metric_has_a_direction(task))
            for number, model in enumerate(self.says("models") or ()):
                self.say(rules.model_suits_the_task(task, model, ("models", number)))
            for strategy in strategies:
                if strategy.model is not None:
                    self.say(rules.model_suits_the_task(task, strategy.model, ("strategies", strategy.written, "model")))
                self.say(rules.trainer_does_the_kind(task, strategy))
                for variant in strategy.variants:
                    self.refuse(variant, rules.loss_is_for_the_kind(task, variant))
                self.refuse(strategy, rules.recipe_fits_the_kind(task, strategy))
        for strategy in strategies:
            for variant in strategy.variants:
                self.check_strategy(replace(variant, tuning=strategy.tuning))

    def given_keys(self) -> Set[str]:
        """The recipe keys that the file gives for all strategies."""
        shared: Recipe | None = self.says("recipe")
        return shared.model_fields_set if shared else set()

    def check_strategy(self, strategy: ResolvedStrategy) -> None:
        """Applies the rules to one configuration of a strategy."""
        path: KeyPath = ("strategies", strategy.written, "recipe")
        own = {key for key in Recipe.model_fields if (*path, key) in self.document.places}
        own |= {*(strategy.tuning.space.grid if strategy.tuning else ()), strategy.varied}
        self.refuse(strategy, rules.keys_are_followed(strategy, own))
        self.refuse(strategy, rules.parts_are_used(strategy))
        self.refuse(strategy, rules.evaluations_on_dev_are_used(strategy, self.says("select")))
        self.refuse(strategy, self.unsupported(strategy).items())
        self.refuse(strategy, rules.precision_and_processes_are_supported(strategy, own))
        self.say(rules.method_is_supported(strategy))
        self.say(rules.repeats_differ(strategy) if not self.problems else ())
        if self.says("checkpoint_every") is not None:
            self.say(rules.runs_can_go_on(strategy))

    def check_units(self, tasks: list[KnownTask]) -> None:
        """Checks margin and gate against the units of all tasks' primary metrics."""
        margin, gate = self.says("margin"), self.says("gate")
        self.say(rules.wrong_margins(margin, tasks) if margin is not None else ())
        self.say(rules.wrong_gate(gate.quality, tasks) if gate and gate.quality else ())

    def unsupported(self, strategy: ResolvedStrategy) -> Mapping[str, str]:
        """Recipe key whose value the trainer can't follow with its options -> why. What its other methods return is checked
        here too."""
        part = strategy.trainer
        trainer: Trainer = part.registered.component
        try:
            notes_of(trainer, strategy.recipe, part.options)
            required(
                trainer.owned(strategy.recipe, part.options),
                Set,
                of=f"trainer '{trainer.name}': `owned`",
                must="a frozenset of words",
            )
            of = f"trainer '{trainer.name}': `depends_on_seed`"
            required(trainer.depends_on_seed(strategy.recipe, part.options), bool, of=of, must="True or False")
            of = f"trainer '{trainer.name}': `unsupported`"
            refused = trainer.unsupported(strategy.recipe, part.options)
            found: Mapping[str, str] = required(refused, Mapping, of=of, must="a dict: recipe key -> why")
            return found
        except Exception as error:  # the author's code, as above
            told = f"trainer '{trainer.name}' ({part.registered.origin}): {escaped(rules.told(error))}"
            told = str(error) if isinstance(error, BakeoffError) else told
            self.say([(("strategies", strategy.written), told)])
            return {}

    def refuse(self, strategy: ResolvedStrategy, found: Iterable[rules.Refusal]) -> None:
        """Adds a problem for each recipe key that the strategy's trainer can't follow, at its place in the file."""
        for key, why in found:
            told = f"trainer '{strategy.trainer.name}' (strategy '{strategy.written}') {why}"
            self.say([(place_of(key, strategy, self.document.places), told)])


def _place_of_value(path: KeyPath, key: str, given: Any, value: Any) -> KeyPath:
    """The place in the file of a searched value; of one that was drawn from a range the place of the range."""
    return (*path, key, given.index(value)) if isinstance(given, list) else (*path, key)


def _wrong_choice(
    error: ValidationError, chosen: Mapping[str, Any], space: SearchSpace, strategy: ResolvedStrategy, path: KeyPath
) -> Iterator[tuple[KeyPath, str]]:
    """Yields the problems of one combination of a search's values: a value that is invalid by itself, or values that can't go
    together."""
    shown = escaped(options_in_words(chosen))
    for detail in error.errors(include_url=False):
        message = sentence(detail, Options)
        keys = [key for key in chosen if detail["loc"][:1] == (key.rpartition(".")[2],)]
        yield from ((_place_of_value(path, key, space.given[key], chosen[key]), message) for key in keys)
        if not keys and not detail["loc"]:
            yield path, f"strategy '{strategy.written}' with {shown}: {message}"
