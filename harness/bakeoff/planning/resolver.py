"""From an experiment file and the registry to a plan; every error before any work, all of them at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from bakeoff.contracts.configured import Configured, canonical, notes_of
from bakeoff.contracts.dev_split import SELECTION_SPLIT, selection_split
from bakeoff.contracts.metrics import HubMetric
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import Registry
from bakeoff.contracts.task import TaskInfo
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import BakeoffError, DataError, PluginError, Problem, SpecError
from bakeoff.planning.judging import Primary, wrong_gate, wrong_margins
from bakeoff.planning.runs import Configuration, Plan, ResolvedStrategy, Tuning
from bakeoff.records.schema import Imported
from bakeoff.spec.document import Document, sentence
from bakeoff.spec.experiment_file import NAME, Ref, SearchSpace, Spec
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.values import yaml_value
from bakeoff.text.words import did_you_mean, escaped


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
        self.primaries: list[Primary] = []

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
        if spec and len(self.primaries) == len(tasks):
            self.check_units(spec)
        if self.problems or spec is None:
            raise SpecError(self.problems)
        primaries = tuple(self.primaries)
        plan = Plan(spec, _whole(tasks), _whole(models), _whole(strategies), tuple(imported), primaries)
        self.check_duplicates(plan)
        if self.problems:
            raise SpecError(self.problems)
        return plan

    def say(self, path: KeyPath, message: str) -> None:
        problem = self.document.problem(path, message)
        if problem not in self.problems:  # a search that several strategies share would say it once for each
            self.problems.append(problem)

    def listed(self, kind: str, key: str) -> list[Configured | None]:
        """A list's components, None at the place of each that is a problem."""
        entries = self.document.data.get(key)
        refs = [_as_ref(entry) for entry in entries] if isinstance(entries, list) else []
        return [self.component(kind, ref, (key, index)) if ref else None for index, ref in enumerate(refs)]

    def component(self, kind: str, ref: Ref, path: KeyPath) -> Configured | None:
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
            return Configured(registered, component.Options.model_validate(ref.options))
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
                    self.say((*path, "same_as"), did_you_mean("strategy", same_as, set(self.strategy_names()) - {name}))
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
            trainer, chosen_method = found.get("trainer"), found.get("method")
            if not (trainer and chosen_method and recipe and isinstance(replicate, int) and isinstance(trials, int)):
                yield None
                continue
            strategy = ResolvedStrategy(name, trainer, chosen_method, recipe, replicate, trials)
            yield self.tuned(strategy, source, origin)

    def tuned(self, strategy: ResolvedStrategy, source: dict[str, Any], origin: KeyPath) -> ResolvedStrategy | None:
        """The strategy with its search, its own or the experiment's; None where that has a problem."""
        own = "search" in source
        raw, path = (source["search"], (*origin, "search")) if own else (self.document.data.get("search"), ("search",))
        if raw is None or raw == "none":
            return strategy
        try:
            space = SearchSpace.model_validate(raw)
        except ValidationError:
            return None  # said where the file is read
        before = len(self.problems)
        reported = self.document.parsed[0].seeds if self.document.parsed[0] else []
        if both := sorted(set(space.seeds) & set(reported)):
            self.say((*path, "seeds"), f"seed {both[0]} is reported too; a search needs seeds of its own")
        known = [self.check_searched(key, values, strategy, (source, origin), path) for key, values in space.grid.items()]
        if len(self.problems) > before or not all(known):  # a problem that was said before is not said again
            return None
        configurations = []
        for combination in itertools.product(*space.grid.values()):
            chosen = dict(zip(space.grid, combination, strict=True))
            try:
                configurations.append(Configuration(tuple(chosen.items()), self.configured(strategy, source, chosen)))
            except ValidationError as error:
                shown = ", ".join(f"{key} {value}" for key, value in chosen.items())
                self.say(path, f"strategy '{strategy.name}' with {escaped(shown)}: {sentence(error.errors()[0], Recipe)}")
                return None
        tuning = Tuning(str(origin[1]), space, tuple(configurations))
        return replace(configurations[0].strategy, trials=len(configurations), tuning=tuning)

    def check_searched(
        self, key: str, values: list[Any], strategy: ResolvedStrategy, given: tuple[dict[str, Any], KeyPath], path: KeyPath
    ) -> bool:
        """Says what is wrong with one key of a search, for this strategy; False where it is none that can be searched."""
        source, origin = given
        kind, _, option = key.partition(".")
        part = {"trainer": strategy.trainer, "method": strategy.method}.get(kind) if option else None
        if part is None:
            if key not in Recipe.model_fields:
                options = [
                    f"{name}.{field}"
                    for name, component in (("trainer", strategy.trainer), ("method", strategy.method))
                    for field in type(component.options).model_fields
                ]
                self.say((*path, key), did_you_mean("recipe key or option", key, [*Recipe.model_fields, *options]))
                return False
            fixed = (*origin, "recipe", key) if key in source.get("recipe", {}) else None
        else:
            if option not in type(part.options).model_fields:
                known = [f"{kind}.{field}" for field in type(part.options).model_fields]
                wrong = did_you_mean(f"option of {kind} '{part.name}'", key, known)
                self.say((*path, key), f"{wrong} (strategy '{strategy.name}')")
                return False
            ref = source.get(kind)
            fixed = (*origin, kind, option) if isinstance(ref, dict) and option in ref else None
        if fixed:
            self.say(fixed, "the search chooses this; it cannot be given too")
            return False
        for number, value in enumerate(values):
            try:
                self.configured(strategy, source, {key: value})
            except ValidationError as error:
                schema = type(part.options) if part else Recipe
                own = [detail for detail in error.errors(include_url=False) if detail["loc"][:1] in {(option or key,), ()}]
                if own:
                    self.say((*path, key, number), sentence(own[0], schema))
        return True

    def configured(self, strategy: ResolvedStrategy, source: dict[str, Any], values: Mapping[str, Any]) -> ResolvedStrategy:
        """The strategy with these values of a search; raises pydantic's ValidationError."""
        parts = {"trainer": strategy.trainer, "method": strategy.method}
        changes = dict(source.get("recipe", {}))
        for key, value in values.items():
            kind, _, option = key.partition(".")
            if not option:
                changes[key] = value
                continue
            given = parts[kind].options.model_dump(include=parts[kind].options.model_fields_set)
            options = type(parts[kind].options).model_validate({**given, option: value})
            parts[kind] = replace(parts[kind], options=options)
        recipe = self.merged_recipe(changes)
        return replace(strategy, trainer=parts["trainer"], method=parts["method"], recipe=recipe)

    def recipe(self, changes: Any, path: KeyPath) -> Recipe | None:
        """The shared recipe with a strategy's changes; what is wrong in the shared part is a problem already."""

        def is_own(location: KeyPath) -> bool:
            """Keys that go ill together are the strategy's own where the shared ones alone go well."""
            return location[0] in changes if location else bool({"epochs", "max_steps"} & changes.keys()) or _is_whole(shared)

        shared = self.document.data.get("recipe", {})
        if not isinstance(shared, dict) or not isinstance(changes, dict):
            return None
        try:
            return self.merged_recipe(changes)
        except ValidationError as error:
            self.problems += self.document.problems_of(error, path, model=Recipe, only=is_own)
            return None

    def merged_recipe(self, changes: Mapping[str, Any]) -> Recipe:
        """Raises pydantic's ValidationError."""
        kept = dict(self.document.data.get("recipe", {}))
        for given, replaced in (("max_steps", "epochs"), ("epochs", "max_steps")):
            if given in changes:
                kept.pop(replaced, None)
        return Recipe.model_validate({**kept, **changes})

    def imported(self, spec: Spec, tasks: tuple[Configured, ...]) -> Iterator[Imported]:
        """The published figures, each with its task's label."""
        for index, row in enumerate(spec.imported):
            named = [task.label for task in tasks if row.task in (None, task.name, task.label)]
            labels = [label for label in named if label == row.task] or named
            if not labels:
                wrong = did_you_mean("task", row.task or "", [task.label for task in tasks])
                self.say(("imported", index, "task"), wrong)
            elif len(labels) > 1:
                self.say(("imported", index), f"`task` must say which of {', '.join(labels)} the figure belongs to")
            elif row.split not in (splits := self.splits.get(labels[0], (row.split,))):
                self.say(("imported", index, "split"), did_you_mean("split", row.split, splits))
            else:
                facts = row.model_dump(exclude={"task"})
                yield Imported(**facts, task=labels[0])

    def check_units(self, spec: Spec) -> None:
        """Margin and gate, in the units of all tasks' primary metrics."""
        rule = spec.gate.quality
        for path, message in (*wrong_margins(spec.margin, self.primaries), *(wrong_gate(rule, self.primaries) if rule else ())):
            self.say(path, message)

    def check_baseline(self) -> None:
        baseline, names = self.document.data.get("baseline"), self.strategy_names()
        if isinstance(baseline, str) and NAME.fullmatch(baseline) and baseline not in names:
            self.say(("baseline",), did_you_mean("strategy", baseline, names))

    def strategy_names(self) -> list[str]:
        """Those that may be shown to a person; a name that is none is a problem already."""
        raw = self.document.data.get("strategies")
        return [name for name in raw if NAME.fullmatch(name)] if isinstance(raw, dict) else []

    def check_repeats(self, key: str, components: list[Configured | None]) -> None:
        seen: dict[str, int] = {}
        for index, component in enumerate(components):
            if component and (first := seen.setdefault(canonical(component.identity), index)) != index:
                self.say((key, index), f"the same as {key}[{first}]")

    def check_pairs(self, tasks: list[Configured | None], strategies: list[ResolvedStrategy]) -> None:
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
                about = ("tasks", index, "metrics") if what.startswith("metric ") else ("tasks", index)
                self.say(about, f"{whose}{escaped(what)}")
                continue
            report_on = self.document.data.get("report_on", Spec.model_fields["report_on"].default)
            if isinstance(report_on, str) and NAME.fullmatch(report_on) and report_on not in info.scored_splits:
                wrong = did_you_mean("split to report on", report_on, info.scored_splits)
                if report_on in info.hidden_splits:
                    wrong = f"the labels of split '{report_on}' are not public; report on {' or '.join(info.scored_splits)}"
                elif report_on in info.splits and report_on != "train":
                    others = f"report on {' or '.join(info.scored_splits)}" if info.scored_splits else "no split can be"
                    wrong = f"split '{report_on}' has no labels: it is predicted and kept, not scored; {others}"
                self.say(("report_on",), f"task '{task.name}': {wrong}")
            lacks = selection_split(info.scored_splits) not in info.scored_splits
            if self.document.data.get("select") == "best-on-dev" and lacks:
                self.say(
                    ("select",), f"task '{task.name}' has no labelled split '{SELECTION_SPLIT}' to select on; use last-epoch"
                )
            if any(strategy.tuning for strategy in strategies) and lacks:
                self.say(("search",), f"task '{task.name}' has no labelled split '{SELECTION_SPLIT}' to choose on")
            self.splits[task.label] = info.splits
            primary = next(metric for metric in info.metrics if metric.name == info.primary_metric)
            if isinstance(primary, HubMetric) and primary.better is None:
                self.say(
                    ("tasks", index, "metrics"),
                    f"task '{task.name}' is judged by {primary.name}, which comes from the hub, and the hub does not say which "
                    f"scores are better: write {yaml_value({'name': primary.name, 'better': 'higher'})} or better: lower",
                )
            self.primaries.append(Primary(task.name, index, primary))
            for strategy in strategies:
                trainer: Trainer = strategy.trainer.registered.component
                if info.kind not in trainer.supports.kinds:
                    self.say(
                        ("strategies", strategy.name, "trainer"),
                        f"trainer '{trainer.name}' does no {info.kind} (task '{task.name}', tasks[{index}])",
                    )
                if info.kind != "classification" and strategy.recipe.label_smoothing:
                    why = f"smooths between classes, and task '{task.name}' is no classification but {info.kind}"
                    self.refuse(strategy, "label_smoothing", why)
        default = Recipe()
        for strategy in (each for one in strategies for each in configurations_of(one)):
            trainer = strategy.trainer.registered.component
            for key in Recipe.model_fields:
                path: KeyPath = ("strategies", strategy.name, "recipe", key)
                if "steps" in trainer.owns and path not in self.document.places and key not in searched_by(strategy):
                    continue  # the shared recipe speaks of steps, and of others' steps
                followed = key in trainer.supports.recipe_keys or key in {"precision", "processes"}  # which it declares apart
                if followed or getattr(strategy.recipe, key) == getattr(default, key):
                    continue
                self.refuse(strategy, key, "does not follow this key")
            for key, why in self.unsupported(strategy).items():
                self.refuse(strategy, key, why)
            if strategy.recipe.precision not in trainer.supports.precisions:
                known = " or ".join(sorted(trainer.supports.precisions, reverse=True))
                self.refuse(strategy, "precision", f"trains in {known}, not in {strategy.recipe.precision}")
            if trainer.supports.methods is not None and strategy.method.name not in trainer.supports.methods:
                known = ", ".join(sorted(trainer.supports.methods))
                wrong = f"trainer '{trainer.name}' goes with method {known} only, not with '{strategy.method.name}'"
                self.say(("strategies", strategy.name, "method"), wrong)
            if strategy.recipe.processes > (most := trainer.supports.processes):
                self.refuse(strategy, "processes", f"trains in {most} process{'es' if most > 1 else ''} at most")
            if "checkpoint_every" in self.document.data and "steps" not in trainer.owns:
                wrong = "" if trainer.supports.resume else f"trainer '{trainer.name}' cannot go on from one"
                if strategy.recipe.processes > 1:
                    wrong = "runs of several processes cannot go on from one"
                if wrong:
                    self.say(("checkpoint_every",), f"{wrong} (strategy '{strategy.name}')")

    def unsupported(self, strategy: ResolvedStrategy) -> Mapping[str, str]:
        """Recipe keys whose values the trainer can't follow with its options -> why; what it has to say of the others is tried
        too."""
        part = strategy.trainer
        trainer: Trainer = part.registered.component
        try:
            notes_of(trainer, strategy.recipe, part.options)
            trainer.owned(strategy.recipe, part.options)
            return trainer.unsupported(strategy.recipe, part.options)
        except Exception as error:  # the author's code, as above
            told = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self.say(("strategies", strategy.name), f"trainer '{trainer.name}' ({part.registered.origin}): {escaped(told)}")
            return {}

    def refuse(self, strategy: ResolvedStrategy, key: str, why: str) -> None:
        """Says that the strategy's trainer cannot do this key's value, where it stands in the file."""
        own: KeyPath = ("strategies", strategy.name)
        places = ((*own, "recipe", key), (*own, "search", key), ("search", key), ("recipe", key))
        searched = key in searched_by(strategy)
        place = next((path for path in places if path in self.document.places and (searched or "search" not in path)), own)
        self.say(place, f"trainer '{strategy.trainer.name}' (strategy '{strategy.name}') {why}")

    def check_duplicates(self, plan: Plan) -> None:
        first: dict[str, str] = {}
        for run in (*plan.runs, *plan.trials):
            name = run.strategy.name
            if (other := first.setdefault(run.id, name)) != name:
                free = next(number for number in itertools.count(1) if number not in {one.replicate for one in plan.strategies})
                told = f"the same runs as strategy '{other}'; say `replicate: {free}` for an A/A arm with other seed streams"
                self.say(("strategies", name), told)


def configurations_of(strategy: ResolvedStrategy) -> list[ResolvedStrategy]:
    """All that it may turn out to be."""
    if strategy.tuning is None:
        return [strategy]
    return [replace(each.strategy, tuning=strategy.tuning) for each in strategy.tuning.configurations]


def searched_by(strategy: ResolvedStrategy) -> set[str]:
    return set(strategy.tuning.space.grid) if strategy.tuning else set()


def _is_whole(recipe: dict[str, Any]) -> bool:
    try:
        Recipe.model_validate(recipe)
    except ValidationError:
        return False
    return True


def _as_ref(entry: Any) -> Ref | None:
    try:
        return Ref.model_validate(entry)
    except ValidationError:
        return None


T = TypeVar("T")


def _whole(items: list[T | None]) -> tuple[T, ...]:
    """All items, once none of them is a problem any more."""
    return tuple(item for item in items if item is not None)
