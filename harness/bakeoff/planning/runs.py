"""The runs of an experiment in their order, with stable ids, and the strategies that they belong to."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bakeoff.contracts.configured import Configured, canonical, identity, notes_of
from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.contracts.metric import Metric
from bakeoff.contracts.recipe import FOLLOWED_BY_ALL, Recipe
from bakeoff.contracts.task import TaskInfo
from bakeoff.contracts.trainer import Trainer
from bakeoff.planning.titles import titles_of
from bakeoff.records.provenance import origin_of
from bakeoff.records.run_names import NamedRun, RunNames, place_name, run_name, trial_name
from bakeoff.records.schema import Imported, Requested, Titles, Vary, together
from bakeoff.spec.experiment_file import PLAIN_MARGIN, Spec
from bakeoff.spec.strategy import SearchSpace
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.tolerances import POINTS
from bakeoff.text.values import grouped

ID_ALGORITHM = "r1"
"""The prefix of every id. Another way of computing ids gets another prefix, so that no run is silently repeated."""


def id_of(asked: Requested) -> str:
    """The id of a requested run: a hash of what is trained, without names, margin, folder and machine."""
    return Asked(asked).id_at(asked.seed)


class Asked:
    """What is requested of runs that differ in nothing but the seed."""

    def __init__(self, requested: Requested) -> None:
        """requested: that of a run with any seed."""
        self._requested = requested

    def at(self, seed: int) -> Requested:
        return self._requested.model_copy(update={"seed": seed})

    def id_at(self, seed: int) -> str:
        before, after = self._hashed
        return f"{ID_ALGORITHM}-{hashlib.sha256(f'{before}{seed}{after}'.encode()).hexdigest()[:16]}"

    @cached_property
    def _hashed(self) -> tuple[str, str]:
        """The canonical JSON of all that is hashed, up to the seed and after it."""
        hashed = self._requested.hashed()
        members = {name: f"{canonical(name)}:{canonical(hashed[name])}" for name in sorted(hashed)}
        before = [member for name, member in members.items() if name < "seed"]
        after = [member for name, member in members.items() if name > "seed"]
        return f'{{{",".join(before)},"seed":', f",{','.join(after)}}}"


@dataclass(frozen=True)
class KnownTask:
    """A task of the file, and what it declares about itself before its data is loaded."""

    index: int
    """The position of the task in the experiment file, from 0."""
    task: Configured
    info: TaskInfo

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def metric(self) -> Metric:
        """The task's primary metric."""
        return self.info.primary

    @property
    def unit(self) -> str:
        """The name that a margin or a gate uses for the unit of the metric: `points`, or the metric's own name."""
        return POINTS if self.metric.unit.in_points else self.metric.name

    @property
    def metric_alone(self) -> str:
        """The name of the metric without the class that it is about: `f1` of `f1 (spam)`."""
        return self.metric.name.partition(" (")[0]

    @property
    def can_select(self) -> bool:
        """Whether it has a labelled split on which the best epoch or configuration can be chosen."""
        return selection_split(self.info.scored_splits) in self.info.scored_splits


@dataclass(frozen=True)
class ResolvedStrategy:
    """A strategy with its components and its whole recipe."""

    name: str
    trainer: Configured
    method: Configured
    recipe: Recipe
    replicate: int
    trials: int
    spelt_out: tuple[str, ...] = ()
    """The parts that the experiment file sets for it or that its search chooses, named as in `under_test`."""
    written: str = ""
    """Its name in the experiment file: `full` of `full@64`, where a key varies."""
    varied: str = ""
    """The recipe key that varies; empty where none does."""
    title: str = ""
    """What headings call it beside its name; empty if the file says nothing."""
    tuning: Tuning | None = None
    """The search that chooses its configuration; None for no search. Until it has chosen, this strategy has the first one."""
    tried: tuple[tuple[str, Any], ...] = ()
    """(key, value) of each searched key in this configuration; empty for no search."""
    model: Configured | None = None
    """The model that it names for itself; None where it uses the shared ones, or its trainer uses no model but its own."""
    parts: Mapping[str, Configured] = field(default_factory=dict)
    """Recipe key -> the plugin's component that the recipe names for it."""
    files: tuple[tuple[str, int, Configured], ...] = ()
    """Of a strategy whose runs were made elsewhere: (label of the task, seed, the trainer with the file) of each of them."""

    @property
    def has_own_model(self) -> bool:
        """Whether it names a model or has a trainer with one, so that its runs are made once, whatever models others share."""
        trainer: Trainer = self.trainer.registered.component
        return self.model is not None or not trainer.uses_model

    @cached_property
    def seed_free(self) -> bool:
        """Whether none of its configurations depends on the seed, so that one run is enough. With `train_examples` each seed
        has rows of its own to train on, unless these are the first ones."""
        return not any(
            (variant.recipe.train_examples is not None and variant.recipe.subset == "drawn")
            or variant.trainer.registered.component.depends_on_seed(variant.recipe, variant.trainer.options)
            for variant in self.variants
        )

    @property
    def owns_model(self) -> bool:
        """Whether its trainer owns the model that is trained, whether or not that takes features of the strategy's model."""
        trainer: Trainer = self.trainer.registered.component
        return trainer.owns_model

    @property
    def heading(self) -> str:
        """Its title with its name, `Full fine-tuning (full)`; its name if it has no title."""
        return self.called(self.name)

    def called(self, name: str) -> str:
        return f"{self.title} ({name})" if self.title not in ("", name) else name

    @property
    def variants(self) -> tuple[ResolvedStrategy, ...]:
        """All configurations that may be chosen for it; only itself, if nothing is searched."""
        return self.tuning.configurations if self.tuning else (self,)

    @cached_property
    def asked_recipe(self) -> dict[str, Any]:
        """The recipe as ids and records have it: without keys that a trainer does not follow because it owns its steps."""
        trainer: Trainer = self.trainer.registered.component
        whole = identity(self.recipe)
        if "steps" not in trainer.owns:
            return whole
        followed = trainer.recipe_keys(self.trainer.options) | FOLLOWED_BY_ALL
        return {key: value for key, value in whole.items() if key in followed}

    def asked(self, experiment: str, task: Configured, model: Configured | None, select: str) -> Asked:
        """What is requested of its runs on a task and a model; one object for all seeds."""
        place = experiment, id(task), id(model), select
        if place not in self._asked:
            requested = Requested(
                experiment=experiment,
                strategy=self.name,
                task_label=task.label,
                model_label=label_of(model),
                task=origin_of(task),
                model=origin_of(model) if model else None,
                method=origin_of(self.method),
                trainer=origin_of(self.trainer),
                recipe=self.asked_recipe,
                seed=0,
                replicate=self.replicate,
                select=select,
            )
            self._asked[place] = Asked(requested), task, model
        return self._asked[place][0]

    @cached_property
    def _asked(self) -> dict[tuple[str, int, int, str], tuple[Asked, Configured, Configured | None]]:
        """What `asked` gives, by the identity of task and model, which are kept, so that no others get their place."""
        return {}


@dataclass(frozen=True)
class Tuning:
    """The search that chooses a strategy's configuration."""

    owner: str
    """The strategy whose trials decide: its own name, or that of the one it repeats."""
    space: SearchSpace
    configurations: tuple[ResolvedStrategy, ...]
    """One for each combination of the searched values, or for each that a budget draws."""


SearchKey = tuple[str, str, str, int]
"""(searched strategy, task, model, which of its searches, from 0)."""


@dataclass(frozen=True)
class Run:
    """One task x model x strategy x seed."""

    experiment: str
    task: Configured
    model: Configured | None
    """None where the strategy's trainer uses no model but its own."""
    strategy: ResolvedStrategy
    seed: int
    select: str
    is_trial: bool = False
    """Whether the run only serves a search, and is not reported."""
    search: int = 0
    """Which of its strategy's searches it serves or follows, from 0."""
    at: str = field(default="", compare=False)
    """The part of its name that tells it from runs of the plan's other tasks and models: `@TASK,MODEL`."""

    @property
    def model_label(self) -> str:
        """The label of its model; empty where it has none."""
        return label_of(self.model)

    @property
    def tried(self) -> tuple[tuple[str, Any], ...]:
        """The values that a trial of a search tries; empty for a run that is reported."""
        return self.strategy.tried if self.is_trial else ()

    @cached_property
    def id(self) -> str:
        return self.strategy.asked(self.experiment, self.task, self.model, self.select).id_at(self.seed)

    @cached_property
    def requested(self) -> Requested:
        return self.strategy.asked(self.experiment, self.task, self.model, self.select).at(self.seed)

    @property
    def title(self) -> str:
        """The name of the run: `full:0`, with its task and model where the plan has several."""
        return f"{run_name(self.strategy.name, self.seed)}{self.at}{self.trial}"

    @property
    def trial(self) -> str:
        """The part of a trial's name that tells it from other trials with the same seed; empty for a run that is reported."""
        repeated = self.strategy.tuning is not None and self.strategy.tuning.space.repeat > 1
        return trial_name(dict(self.tried), self.search if repeated else None) if self.tried else ""

    @property
    def search_key(self) -> SearchKey:
        """The search that a trial serves."""
        return self.strategy.name, self.task.label, self.model_label, self.search


def label_of(model: Configured | None) -> str:
    """The label of a model, as records have it; empty for None."""
    return model.label if model else ""


Contestant = tuple[ResolvedStrategy, Configured | None]
"""A strategy with the model that it is run with."""


@dataclass(frozen=True)
class Selection:
    """The runs of a plan that `--only` names."""

    words: tuple[str, ...]
    """What the user wrote for them."""
    places: frozenset[tuple[str, str, str, int]]
    """(label of task, label of model, strategy, seed) of each run to report."""
    trials: frozenset[str]
    """Ids of the trials that are named themselves, in addition to those that choose the configurations of the other runs."""


@dataclass(frozen=True)
class Plan:
    """An experiment's runs, interleaved seed by seed so that drift of the machine hits all strategies alike.

    Where a search chooses a strategy's configuration, its runs are known once `chosen` has the configuration.
    """

    spec: Spec
    tasks: tuple[Configured, ...]
    models: tuple[Configured, ...]
    """The models that strategies share; empty where each strategy has one of its own."""
    strategies: tuple[ResolvedStrategy, ...]
    imported: tuple[Imported, ...] = ()
    known_tasks: tuple[KnownTask, ...] = ()
    chosen: Mapping[SearchKey, int] = field(default_factory=dict)
    """Search -> the number of the chosen configuration."""
    only: Selection | None = None
    """The runs that are made; None for all."""

    @cached_property
    def by_id(self) -> dict[str, Run]:
        """Id -> run, for all runs whose configuration is known, the trials of searches first."""
        return {run.id: run for run in (*self.trials, *self.runs)}

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The runs to report, except those whose configuration is not chosen yet; at the end those that were made elsewhere."""
        made_here = (
            Run(self.spec.name, task, model, settled, seed, self.spec.select, search=number, at=self.at(task, model, strategy))
            for task in self.tasks
            for contestants in self.contestants
            for position, seed in enumerate(self.spec.seeds.numbers)
            for strategy, model in contestants
            if seed in self.seeds_of(strategy)
            for number in [self.search_of(strategy, position)]
            if (settled := self.settled(strategy, task, model, number)) is not None
        )
        return (*made_here, *self.made_elsewhere)

    @cached_property
    def made_elsewhere(self) -> tuple[Run, ...]:
        """The imported runs. Their seeds need not be those of the others."""
        return tuple(
            Run(self.spec.name, task, None, one, seed, self.spec.select, at=self.at(task, None, one))
            for task in self.tasks
            for strategy in self.strategies
            for label, seed, trainer in strategy.files
            if label == task.label
            for one in [replace(strategy, trainer=trainer)]
        )

    @cached_property
    def trials(self) -> tuple[Run, ...]:
        """The runs by which configurations are chosen."""
        searches = self.searches
        longest = max((len(search.space.seeds) for search in searches.values()), default=0)
        often = max((search.space.repeat for search in searches.values()), default=0)
        return tuple(
            Run(
                self.spec.name,
                task,
                model,
                configuration,
                seed,
                self.spec.select,
                is_trial=True,
                search=number,
                at=self.at(task, model, strategy),
            )
            for task in self.tasks
            for contestants in self.contestants
            for number in range(often)
            for position in range(longest)
            for strategy, model in contestants
            if (search := searches.get(strategy.name)) is not None
            if number < search.space.repeat
            for seed in search.space.trial_seeds(number)[position : position + 1]
            for configuration in search.configurations
        )

    @cached_property
    def contestants(self) -> tuple[tuple[Contestant, ...], ...]:
        """The strategies and models that are run on each task and seed, in one group for each shared model, within which runs
        are interleaved seed by seed. Strategies with a model of their own are in the first group, imported ones in none."""
        return tuple(
            tuple(
                (strategy, strategy.model if strategy.has_own_model else model)
                for strategy in self.strategies
                if not strategy.files
                if number == 0 or not strategy.has_own_model
            )
            for number, model in enumerate(self.models or (None,))
        )

    @cached_property
    def all_models(self) -> dict[str, tuple[Configured, KeyPath]]:
        """Label -> each model that runs use, and the first place in the file that names it."""
        found: dict[str, tuple[Configured, KeyPath]] = {}
        for index, model in enumerate(self.models):
            found[model.label] = model, ("models", index)
        for strategy in self.strategies:
            if strategy.model is not None:
                found.setdefault(strategy.model.label, (strategy.model, ("strategies", strategy.written, "model")))
        return found

    @cached_property
    def groups(self) -> list[tuple[Configured, str, list[Contestant]]]:
        """(task, label of model, contestants) of each comparison group, as `Declared.groups` has them."""
        shared = [model.label for model in self.models]
        labels = shared or [together(label_of(model) for _, model in self.contestants[0])]
        own = [(strategy, strategy.model) for strategy in self.strategies if strategy.has_own_model]
        found = []
        for task in self.tasks:
            for label, contestants in zip(labels, self.contestants, strict=True):
                model_of = {strategy.name: model for strategy, model in (*own, *contestants)}
                members = [(one, model_of[one.name]) for one in self.strategies if one.name in model_of]
                found.append((task, label, members))
        return found

    def model_of(self, strategy: ResolvedStrategy) -> Configured | None:
        """The model of the strategy's first runs; None where its trainer uses no model but its own."""
        return strategy.model if strategy.has_own_model else next(iter(self.models), None)

    @property
    def own_models(self) -> dict[str, str]:
        """Strategy with a model of its own -> the label of that model, as `plan.json` holds it."""
        return {strategy.name: label_of(strategy.model) for strategy in self.strategies if strategy.has_own_model}

    def at(self, task: Configured, model: Configured | None, strategy: ResolvedStrategy) -> str:
        """What is added to the name of a run: `@TASK,MODEL`; no task where the plan has one, and no model where the strategy
        has one."""
        found = self.titles
        models = 1 if strategy.has_own_model else len(self.models)
        return place_name(found.task(task.label), found.model(label_of(model)), tasks=len(self.tasks), models=models)

    def places(self, seeds: Sequence[int]) -> list[tuple[str, str, str, int]]:
        """(label of task, label of model, strategy, seed) of each run to report at these seeds."""
        pairs = [pair for contestants in self.contestants for pair in contestants]
        return [
            (task.label, label_of(model), strategy.name, seed)
            for task, (strategy, model), seed in itertools.product(self.tasks, pairs, seeds)
            if seed in self.seeds_of(strategy)
        ]

    def seeds_of(self, strategy: ResolvedStrategy) -> tuple[int, ...]:
        """The seeds of a strategy's runs: the first alone, if it does not depend on the seed."""
        numbers = self.spec.seeds.numbers
        return numbers[:1] if strategy.seed_free else numbers

    @property
    def seed_free(self) -> list[str]:
        """The strategies that do not depend on the seed."""
        return [strategy.name for strategy in self.strategies if strategy.seed_free]

    @cached_property
    def names(self) -> RunNames:
        """The names of all runs, also of those whose configuration is not chosen yet."""
        ids = {(run.task.label, run.model_label, run.strategy.name, run.seed): run.id for run in self.runs}
        elsewhere = [(run.task.label, run.model_label, run.strategy.name, run.seed) for run in self.made_elsewhere]
        keys = [*self.places(self.spec.seeds.numbers), *elsewhere]
        trials = (
            NamedRun(run.id, run.task.label, run.model_label, run.strategy.name, run.seed, run.trial) for run in self.trials
        )
        runs = (*trials, *(NamedRun(ids.get(key), *key) for key in keys))
        return RunNames(runs, self.titles, self.vary, own_models=frozenset(self.own_models))

    @property
    def searches(self) -> dict[str, Tuning]:
        """Strategy -> its search; strategies without one are left out, and so are those with `same_as`, which share
        another's."""
        tuned = {strategy.name: strategy.tuning for strategy in self.strategies if strategy.tuning}
        return {name: tuning for name, tuning in tuned.items() if tuning.owner == name}

    @cached_property
    def notes(self) -> dict[str, list[str]]:
        """Note of a trainer on its recipe -> the strategies that the note is about."""
        found: dict[str, dict[str, None]] = {}
        for strategy in self.strategies:
            for variant in strategy.variants:
                part = variant.trainer
                notes = notes_of(part.registered.component, variant.recipe, part.options)
                for note in [*notes, *(self.not_for_own_models if variant.owns_model else ())]:
                    found.setdefault(note, {})[strategy.name] = None
        return {note: list(names) for note, names in found.items()}

    @property
    def not_for_own_models(self) -> list[str]:
        """Notes on what the file asks for, but runs whose trainer owns the model can't have."""
        spec = self.spec
        asked = {
            "`keep: final` keeps no model of this strategy": spec.keep == "final",
            "`select: best-on-dev` selects no epoch of this strategy": spec.select == "best-on-dev",
            "`checkpoint_every` makes no checkpoints of this strategy": spec.checkpoint_every is not None,
        }
        return [f"{what}: its trainer owns the model" for what, is_asked in asked.items() if is_asked]

    @cached_property
    def titles(self) -> Titles:
        """What headings call tasks, models and strategies."""
        return Titles(
            tasks=titles_of(self.tasks),
            models=titles_of([model for model, _ in self.all_models.values()]),
            strategies={
                name: one.called(name)
                for one in self.strategies
                for name in dict.fromkeys((one.written, one.name))
                if one.called(name) != name
            },
        )

    @property
    def hub_datasets(self) -> dict[str, HubDataset]:
        """Label of a task -> the dataset on the hub that has its rows; tasks without one are left out."""
        return {task.label: found for task in self.tasks if (found := task.hub_dataset) is not None}

    @property
    def licences(self) -> dict[str, str]:
        """Label of a task or model -> the licence that its plugin states; those without one are left out."""
        parts = [*self.tasks, *(model for model, _ in self.all_models.values())]
        return {part.label: found for part in parts if (found := part.licence)}

    @property
    def waiting(self) -> int:
        """The number of wanted runs to report whose configuration is not chosen yet."""
        return self.waiting_among(self.spec.seeds.numbers)

    @property
    def run_range(self) -> tuple[int, int]:
        """The smallest and the largest number of runs to report: with looks, up to the first look and up to the last."""
        more = len(self.made_elsewhere)
        return len(self.places(self.first_seeds)) + more, len(self.places(self.spec.seeds.numbers)) + more

    def waiting_among(self, seeds: Sequence[int]) -> int:
        """As `waiting`, but of runs with these seeds alone."""
        places = self.places(seeds) if self.only is None else self.only.places
        elsewhere = {strategy.name for strategy in self.strategies if strategy.files}
        everything = sum(seed in seeds and name not in elsewhere for _, _, name, seed in places)
        known = [run for run in self.runs if run.seed in seeds and not run.strategy.files]
        return everything - sum(map(self.is_wanted, known))

    def is_wanted(self, run: Run) -> bool:
        """Whether the run is to be made: `only` names it, or names a run that waits for the search of this trial."""
        if self.only is None:
            return True
        if run.is_trial:
            return run.id in self.only.trials or run.search_key in self._wanted_searches
        return (run.task.label, run.model_label, run.strategy.name, run.seed) in self.only.places

    @cached_property
    def wanted(self) -> dict[str, Run]:
        """Id -> run, for all runs that are to be made and whose configuration is known, the trials of searches first."""
        return {run.id: run for run in (*self.trials, *self.runs) if self.is_wanted(run)}

    def is_wanted_search(self, search: SearchKey) -> bool:
        return self.only is None or search in self._wanted_searches

    @cached_property
    def _wanted_searches(self) -> set[SearchKey]:
        return self.searches_for(self.only.places) if self.only is not None else set()

    @property
    def first_seeds(self) -> tuple[int, ...]:
        """The seeds that are run whatever the results: those of the first look, or all where there are no looks."""
        return self.spec.seeds.numbers[: self.spec.seeds.looks[0] if self.spec.seeds.looks else None]

    def trials_for(self, searches: Collection[SearchKey]) -> tuple[Run, ...]:
        """The trials of these searches that have not chosen yet."""
        return tuple(run for run in self.trials if run.search_key in searches and run.search_key not in self.chosen)

    def searches_for(self, wanted: Collection[tuple[str, str, str, int]]) -> set[SearchKey]:
        """The searches that choose for these (task, model, strategy, reported seed)."""
        by_name = {strategy.name: strategy for strategy in self.strategies if strategy.tuning}
        positions = {seed: position for position, seed in enumerate(self.spec.seeds.numbers)}
        return {
            (strategy.tuning.owner, task, model, self.search_of(strategy, positions[seed]))
            for task, model, name, seed in wanted
            if (strategy := by_name.get(name)) is not None and strategy.tuning is not None and seed in positions
        }

    @property
    def first_trials(self) -> tuple[Run, ...]:
        """The wanted trials of searches that choose for `first_seeds` and have not chosen yet, and those that `only` names."""
        searches = self.searches_for(self.places(self.first_seeds))
        first = {run.id for run in self.trials_for(searches)} | (self.only.trials if self.only else set())
        return tuple(run for run in self.trials if run.id in first and self.is_wanted(run))

    def search_of(self, strategy: ResolvedStrategy, position: int) -> int:
        """Which of the strategy's searches chooses for the reported seed at this position; 0 without a search."""
        return position if strategy.tuning and strategy.tuning.space.repeat > 1 else 0

    def settled(
        self, strategy: ResolvedStrategy, task: Configured, model: Configured | None, search: int
    ) -> ResolvedStrategy | None:
        """The strategy with the configuration that its search with this number chose; None if none is chosen yet."""
        if strategy.tuning is None:
            return strategy
        number = self.chosen.get((strategy.tuning.owner, task.label, label_of(model), search))
        return None if number is None else strategy.tuning.configurations[number]

    @property
    def spelt_out(self) -> dict[str, list[str]] | None:
        """Strategy -> the parts that the file sets for it, as `plan.json` holds it. Where the file has `under_test`: None, or
        {} if that list is empty."""
        if self.spec.under_test is not None:
            return None if self.spec.under_test else {}
        return {strategy.name: list(strategy.spelt_out) for strategy in self.strategies}

    @property
    def margin(self) -> dict[str, float]:
        """Unit -> margin, as `plan.json` holds it."""
        return margins(self.spec.margin, self.known_tasks)

    @property
    def baseline(self) -> str:
        """The name of the baseline; where a key varies, that of its row at the last value."""
        return next(one.name for one in reversed(self.strategies) if one.written == self.baseline_alone)

    @property
    def baseline_alone(self) -> str:
        """The baseline as the file names it; the first strategy if the file names none."""
        return self.spec.baseline or self.strategies[0].written

    @property
    def baseline_of(self) -> dict[str, str]:
        """Strategy -> the baseline that it is compared with: where a key varies, the one at the same value."""
        names = [strategy.name for strategy in self.strategies]
        return self.vary.baselines(self.baseline) if self.vary else dict.fromkeys(names, self.baseline)

    @property
    def baseline_in_words(self) -> str:
        """The baseline in words: `full`, or `full at the same train_examples` where that key varies."""
        return f"{self.baseline_alone} at the same {self.vary.key}" if self.vary else self.baseline

    @property
    def baselines(self) -> set[str]:
        return set(self.baseline_of.values())

    @cached_property
    def vary(self) -> Vary | None:
        """The key that varies, as `plan.json` holds it."""
        if self.spec.vary is None:
            return None
        rows = grouped((strategy.written, strategy.name) for strategy in self.strategies)
        return Vary(key=self.spec.vary.key, values=list(self.spec.vary.values), rows=rows)


def margins(given: Mapping[str, float], tasks: Sequence[KnownTask]) -> dict[str, float]:
    """Unit (`points`, or a metric's name) -> margin as written. A plain number counts for the metrics' only unit, or for
    `points` if they have several."""
    units = list(dict.fromkeys(task.unit for task in tasks))
    if PLAIN_MARGIN in given:
        return {units[0] if len(units) == 1 else POINTS: given[PLAIN_MARGIN]}
    names = {task.metric_alone: task.metric.name for task in tasks}
    return {names.get(name, name): margin for name, margin in given.items()}
