"""The check before the first run, for `bakeoff run` and `bakeoff check --build`: can these runs be made here?

In a process of its own, each task is loaded, each model built and each method applied once, by the stages of
`training/assembly`, and each model has to answer a few rows. `check --build` also lets each trainer take two steps
(`training/rehearsal`). Nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from bakeoff.contracts.configured import Configured, canonical, parts_of
from bakeoff.contracts.held_out import selection_split
from bakeoff.contracts.metric import is_below, one_example
from bakeoff.contracts.model import Built, Encoding, Prepared
from bakeoff.contracts.own_model import OwnModelTrainer
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Row, TaskInfo
from bakeoff.errors import BakeoffError, DataError, ModelError, PluginError, SpecError
from bakeoff.machine import hardware
from bakeoff.machine.faults import raise_machine_error
from bakeoff.machine.signals import is_interrupt
from bakeoff.machine.worker_process import DOING, EarlyEndError, Message, ask_worker
from bakeoff.planning.runs import Plan, Run
from bakeoff.records.provenance import Facts, as_plain, facts_of_model, facts_of_rows, from_plain
from bakeoff.records.silent_metrics import why_silent
from bakeoff.runner.availability import require_available
from bakeoff.runner.changes import Machine
from bakeoff.runner.settings import Progress, Settings, request_of
from bakeoff.runner.trust import require_trust
from bakeoff.spec.document import Document
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.numbers import with_decimals
from bakeoff.text.values import spelt
from bakeoff.text.words import escaped
from bakeoff.toolkit.head_inputs import head_modules
from bakeoff.toolkit.model_structure import positions_of
from bakeoff.training.assembly import (
    automatic_length,
    build,
    components,
    encode_rows,
    load,
    prepare,
    watched_files,
    with_model,
)
from bakeoff.training.class_weights import class_weights
from bakeoff.training.data import Columns, LoadedTask
from bakeoff.training.data_checks import data_checks, without_learning
from bakeoff.training.evaluation import EVALUATION_BATCH, metric_of, predict
from bakeoff.training.fed_batches import require_enough_steps
from bakeoff.training.input_length import length_in, with_length, within_positions
from bakeoff.training.kept_model import require_keepable
from bakeoff.training.model_checks import ModelCheck
from bakeoff.training.preparation import head_of, make_ready, require_examples, rows_of, taken
from bakeoff.training.record_writer import message_of
from bakeoff.training.rehearsal import rehearse, rehearse_own
from bakeoff.training.request import Request

Culprit = tuple[str, str]
"""The cause of a problem: `task`, `model` or `strategy`, and its label."""


def preflight(document: Document, plan: Plan, settings: Settings, progress: Progress, *, rehearsed: bool = False) -> Machine:
    """Returns the hardware that the runs would use, and the data and weights from which they would be made. Raises SpecError
    with all problems that would keep a run from starting. rehearsed: also lets each trainer take two steps."""
    require_trust(document, plan, settings)
    hardware.prepare_environment(settings.threads)
    runs: dict[tuple[Any, ...], Run] = {}  # one seed stands for all
    for run in plan.wanted.values():
        which = run.seed if run.strategy.files else run.strategy.tried  # each file is another
        runs.setdefault((run.is_trial, run.task.label, run.model_label, run.strategy.name, repr(which)), run)
    require_available(document, plan, settings.paths, runs.values())
    steps = " and every trainer takes two steps" if rehearsed else ""
    progress.note(f"checking that every task loads and every model builds{steps} ...")
    more: dict[str, Any] = {"keep": plan.spec.keep, "checkpoint_every": plan.spec.checkpoint_every}
    requests = [request_of(run, settings, **more).model_dump_json() for run in runs.values()]
    seeds = sorted({(run.seed, run.strategy.replicate) for run in plan.wanted.values()})
    trials = [run.id for run in plan.trials]
    places: dict[str, dict[str, KeyPath]] = {
        "task": {task.label: ("tasks", index) for index, task in enumerate(plan.tasks)},
        "model": {label: place for label, (_, place) in plan.all_models.items()},
        "strategy": {
            strategy.name: ("imported_runs",) if strategy.files else ("strategies", strategy.written)
            for strategy in plan.strategies
        },
    }
    try:
        found = ask_worker(try_runs, requests, trials, seeds, rehearsed, key="problems", named="the check of tasks and models")
    except EarlyEndError as error:
        if error.doing is None:
            raise
        kind, label, what = error.doing
        raise SpecError([document.problem(places[kind][label], f"the process ended while {what}: {error.how}")]) from None
    problems = [document.problem(places[kind][label], message) for kind, label, message in found["problems"]]
    problems += [document.problem(("margin",), message) for message in small_margins(plan, found["examples"])]
    if problems:
        raise SpecError(problems)
    titles = plan.titles.models | plan.titles.tasks
    for label, sentence in found["notes"]:
        progress.note(f"{escaped(titles.get(label, label))}: {sentence}")
    sources = {(task, model): from_plain(facts) for task, model, facts in found["sources"]}
    return Machine(**found["machine"], threads=settings.threads, sources=sources)


def small_margins(plan: Plan, found: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    """Yields a problem for each margin that is less than what one example of the reported split adds to the score.

    found: (task's label, split, what one of its examples adds to the primary metric, in the metric's own unit), for all tasks
    whose scores are shares of examples.
    """
    examples = {label: example for label, split, example in found if split == plan.spec.report_on}
    for known in plan.known_tasks:
        task, unit, name = plan.tasks[known.index], known.metric.unit, known.metric.name
        margin, example = plan.margin.get(name, plan.margin.get(known.unit)), examples.get(task.label)
        if margin is not None and example is not None and is_below(margin / unit.scale, example):
            least = with_decimals(math.ceil(example * unit.scale * 1000) / 1000, 3)
            yield (
                f"{spelt(margin)} {unit.name} is less than one example of {plan.spec.report_on} is worth (task "
                f"'{task.label}': {least} {unit.name}), so that only equal scores would lie within it; name at least {least}, "
                "or leave 'margin' out"
            )


def try_runs(
    send: Callable[[Message], None],
    requests: Sequence[str],
    trials: Sequence[str],
    seeds: Sequence[tuple[int, int]],
    rehearsed: bool,
) -> None:
    """What the worker process of `preflight` does. requests: JSON of one request for each kind of run, of one seed; trials:
    ids of the runs of searches; seeds: (seed, replicate) of all runs. It sends one message:

        {"problems": [(kind of culprit, its label, message), ...], "notes": [(label of task or model, sentence), ...],
        "sources": [(task's label, model's label, facts as plain lists), ...],
        "examples": [(task's label, scored split, what one of its examples adds to the primary metric), ...],
        "machine": {"device": "cuda", "accelerator": its name, "instructions": "AVX512"}}
    """
    import bakeoff.machine.preload  # noqa: F401 - where there is no fork server, its settings are made here

    asked = [Request.model_validate_json(text) for text in requests]
    tried = Preflight(asked, trials, seeds, rehearsed=rehearsed, doing=lambda *what: send({DOING: what}))
    tried.try_all()
    accelerator, instructions = hardware.accelerator_name(tried.device), hardware.instructions()
    send(
        {
            "problems": tried.problems,
            "notes": tried.notes,
            "sources": [(*pair, as_plain(facts)) for pair, facts in tried.sources.items()],
            "examples": tried.examples,
            "machine": {"device": tried.device.type, "accelerator": accelerator, "instructions": instructions},
        }
    )


class Preflight:
    """Tries each task, model and method of these runs once, whatever the number of runs."""

    def __init__(
        self,
        requests: Sequence[Request],
        trials: Sequence[str] = (),
        seeds: Sequence[tuple[int, int]] = (),
        *,
        rehearsed: bool = False,
        doing: Callable[[str, str, str], None] = lambda kind, label, what: None,
    ) -> None:
        """requests, trials, seeds: as for `try_runs`; without `seeds`, those of the requests. doing: called with a culprit and
        what is done with it next, so that it is known if the process does not survive that."""
        self.rehearsed, self.doing = rehearsed, doing
        self.requests, self.trials = requests, frozenset(trials)
        self.seeds = seeds or sorted({(one.requested.seed, one.requested.replicate) for one in requests})
        self.registry, self.device = load_registry(), hardware.pick_device(requests[0].device)
        self.problems: list[tuple[str, str, str]] = []
        self.notes: list[tuple[str, str]] = []
        """(label of a task or model, what is odd about its rows or its checkpoint)."""
        self.tasks: dict[str, LoadedTask | None] = {}
        """A task's label -> the loaded task; None for a task that can't be loaded."""
        self.sources: dict[tuple[str, str], Facts] = {}
        """Labels of task and model -> what runs of them would be made from."""
        self.examples: list[tuple[str, str, float]] = []
        """(task's label, scored split, what one of the split's examples adds to the primary metric), for metrics that are
        shares of examples."""
        self.tried: set[tuple[str, ...]] = set()
        self.answers: dict[tuple[str, ...], bool] = {}
        """Value of `question_of` -> whether that model can read all rows, and its answer to a row does not depend on the other
        rows."""
        self.kept: set[tuple[str, ...]] = set()
        """(task, model, method) for which saving and reloading a model has been tried."""

    def try_all(self) -> None:
        for request in self.requests:
            self.attempt(("strategy", request.requested.strategy), self.require_hardware, request)
            parts = components(request, self.registry)
            if (task := self.load_task(request, parts["task"])) is not None:
                owns_model = isinstance(parts["trainer"].registered.component, OwnModelTrainer)
                (self.try_own_model if owns_model else self.try_run)(request, parts, task)
                if self.rehearsed or (owns_model and parts["trainer"].registered.component.knows_ids):
                    self.rehearse(request, parts, task)

    def rehearse(self, request: Request, parts: dict[str, Configured], task: LoadedTask) -> None:
        """Lets the trainer take two steps, once for all runs that differ only in numbers of their recipe. A trainer that owns
        its model answers a few rows instead, and one that reads predictions reads all of them."""
        asked = request.requested
        recipe = request.recipe.model_dump(exclude={"epochs", "max_steps", "min_steps", "train_examples", "warmup"})
        settings = {key: value for key, value in recipe.items() if not isinstance(value, float)}
        key = (asked.task_label, asked.model_label, canonical([parts["method"].identity, parts["trainer"].identity, settings]))
        culprit = ("strategy", asked.strategy)
        concerned = {culprit, ("task", asked.task_label), ("model", asked.model_label)}
        if key in self.tried or any(problem[:2] in concerned for problem in self.problems):
            return
        self.tried.add(key)
        trainer = parts["trainer"]
        if isinstance(trainer.registered.component, OwnModelTrainer):
            self.doing(*culprit, f"trainer '{trainer.name}' answered a few rows")
            self.attempt(culprit, rehearse_own, request, parts, task, during=f"a few rows with {named(trainer)} failed")
            return
        self.doing(*culprit, f"trainer '{trainer.name}' took two steps")
        self.attempt(culprit, rehearse, request, parts, task, during=f"two steps with {named(trainer)} failed")

    def load_task(self, request: Request, part: Configured) -> LoadedTask | None:
        label, task = request.requested.task_label, part.registered.component
        if label in self.tasks:
            return self.tasks[label]
        self.doing("task", label, "it was loaded")
        loaded: LoadedTask | None = self.attempt(
            ("task", label), load, task, part.options, request.places, during=f"{named(part)} could not be loaded"
        )
        self.tasks[label] = loaded
        if loaded is None:
            return None
        info = loaded.info
        self.notes += [(label, sentence) for sentence in data_checks(info, loaded.splits)]
        primary = info.primary
        worth = {split: one_example(primary, np.asarray(loaded.splits[split]["label"])) for split in info.scored_splits}
        self.examples += [(label, split, example) for split, example in worth.items() if example is not None]
        untrained = self.attempt(("task", label), without_learning, task, info, loaded.splits)
        for split, metrics in untrained.undefined.items() if untrained else ():
            for metric, why in metrics.items():
                outcome = "fails" if metric == info.primary_metric else "has none"
                undefined = f"{split}: {metric} gives no score ({why}) if all predictions are the same"
                self.notes.append((label, f"{undefined}; a run that learns nothing {outcome}"))
        return loaded

    def try_run(self, request: Request, parts: dict[str, Configured], task: LoadedTask) -> None:
        asked, recipe, info, splits = request.requested, request.recipe, task.info, task.splits
        of_task, of_strategy = ("task", asked.task_label), ("strategy", asked.strategy)
        if asked.select == "best-on-dev":
            self.attempt(of_task, require_choice, info, splits, "'select: last-epoch'")
        stopping = recipe.early_stopping
        for name in filter(None, (recipe.select_by, stopping and stopping.metric)):
            self.attempt(of_strategy, require_telling, info, splits, name)
        if request.id in self.trials:
            self.attempt(of_task, require_choice, info, splits, "no 'search:'")
        labels = splits["train"]["label"]
        self.attempt(of_strategy, require_examples, recipe, len(labels))
        if "steps" not in parts["trainer"].registered.component.owns:
            self.attempt(of_strategy, require_enough_steps, recipe, len(labels))
            self.attempt(of_strategy, class_weights, recipe.class_weights, labels, info.labels)
        shaping = f"{recipe.max_length} {recipe.padding} {recipe.frozen_embeddings} {recipe.gradient_checkpointing}"
        key = (asked.task_label, asked.model_label, asked.method.model_dump_json(), asked.trainer.name, shaping)
        if key in self.tried:
            return
        self.tried.add(key)
        model = self.build(request, parts["model"], task)
        if model is None:
            return
        prepared, built, recipe = model
        head, before = self.attempt(of_strategy, head_of, built), len(self.problems)
        method, trainer = parts["method"], parts["trainer"]
        adaptation = self.attempt(
            of_strategy,
            make_ready,
            method.registered.component,
            built,
            method.options,
            recipe,
            during=f"`adapt` of {named(method)} failed",
        )
        if adaptation is None:
            return
        network = adaptation.model
        self.attempt(
            of_strategy,
            trainer.registered.component.check_model,
            network,
            recipe,
            during=f"`check_model` of {named(trainer)} failed",
        )
        texts = {name: list(splits["train"][name][:EVALUATION_BATCH]) for name in info.text_columns}
        two = {name: column[:2] for name, column in texts.items()}
        if examples := self.attempt(("model", asked.model_label), prepared.encode, two):
            self.attempt(of_strategy, require_answer, prepared, network, examples, info.n_outputs, self.device)
        if request.keep == "final" and key[:3] not in self.kept and len(self.problems) == before:
            self.kept.add(key[:3])
            paths = {"head": head, "cache": request.cache}
            self.attempt(of_strategy, require_keepable, network, prepared, info, texts, self.device, **paths)

    def try_own_model(self, request: Request, parts: dict[str, Configured], task: LoadedTask) -> None:
        """Checks a run whose trainer owns its model. If the trainer uses the strategy's model, that is built and must have a
        head."""
        asked, recipe = request.requested, request.recipe
        of_strategy, pair = ("strategy", asked.strategy), (asked.task_label, asked.model_label)
        if request.id in self.trials:
            self.attempt(("task", asked.task_label), require_choice, task.info, task.splits, "no 'search:'")
        self.attempt(of_strategy, require_examples, recipe, len(task.splits["train"]["label"]))
        if "model" not in parts:
            self.sources.setdefault(pair, facts_of_rows(task.fingerprints, task.made_from))
        elif (key := (*pair, asked.trainer.name, f"{recipe.max_length} {recipe.padding}")) not in self.tried:
            self.tried.add(key)
            if (model := self.build(request, parts["model"], task)) is not None:
                self.attempt(of_strategy, head_modules, model[1].model)

    def build(self, request: Request, part: Configured, task: LoadedTask) -> tuple[Prepared, Built, Recipe] | None:
        """Builds the model, and returns it if it can read all rows that runs of this task are given and answers them one by
        one, with the recipe, in which `max_length: auto` is a number; else adds a problem and returns None."""
        asked, recipe, info = request.requested, request.recipe, task.info
        culprit, model, options = ("model", asked.model_label), part.registered.component, part.options
        files = watched_files(model, options, request.places)
        self.doing(*culprit, "it was built")
        if is_auto := recipe.max_length == "auto":
            length = self.attempt(
                culprit,
                automatic_length,
                model,
                options,
                task,
                recipe,
                request.cache,
                during=f"`encode` of {named(part)} failed",
            )
            if length is None:
                return None
            recipe = with_length(recipe, length)
        prepared = self.attempt(culprit, prepare, model, info, options, recipe, during=f"`prepare` of {named(part)} failed")
        if prepared is None:
            return None
        rows = self.used_rows(request, task)
        encoded = self.attempt(
            culprit, encode_rows, prepared, task, rows, request.cache, during=f"`encode` of {named(part)} failed"
        )
        built = self.attempt(culprit, build, model, info, options, during=f"`build` of {named(part)} failed")
        if built is None:
            return None
        cautions = [(asked.model_label, caution) for caution in built.cautions]
        self.notes += [caution for caution in cautions if caution not in self.notes]
        pair = asked.task_label, asked.model_label
        if ("weights", "") not in self.sources.get(pair, {}):
            made_from = self.attempt(culprit, with_model, task.made_from, prepared, built, files)
            if made_from is not None:
                self.sources[pair] = {**facts_of_rows(task.fingerprints, made_from), **facts_of_model(made_from)}
        if is_auto and (shorter := within_positions(recipe, built)) is not recipe:
            recipe = shorter
            prepared = self.attempt(culprit, prepare, model, info, options, recipe)
            encoded = self.attempt(culprit, encode_rows, prepared, task, rows, request.cache)
        positions = positions_of(built.model)
        if positions is not None and length_in(recipe) > positions:
            message = f"max_length {recipe.max_length} is more than the model's {positions} positions; take at most {positions}"
            self.add_problem(("strategy", asked.strategy), message)
            return None
        if encoded is None:
            return None

        def answers() -> bool:
            plain = model.prepare(info, options, Encoding(length_in(recipe), "longest"))

            def name_of(split: str, number: int) -> str:
                return str(rows[split]["id"][number])

            ModelCheck(built.model, prepared, plain, encoded, name_of, self.device).run()
            return True

        question = question_of(request)
        if question not in self.answers:
            self.answers[question] = self.attempt(culprit, answers) is True
        return (prepared, built, recipe) if self.answers[question] else None

    def used_rows(self, request: Request, task: LoadedTask) -> dict[str, Columns]:
        """Split -> the rows that at least one run with the same `question_of` is given, at any seed."""
        rows = {name: task.splits[name] for name in task.info.splits}
        alike = [other.recipe for other in self.requests if question_of(other) == question_of(request)]
        if all(recipe.train_examples is not None for recipe in alike):
            there = len(rows["train"]["label"])
            largest = {recipe.subset: recipe for recipe in sorted(alike, key=lambda recipe: recipe.train_examples or 0)}
            drawn = {row for recipe in largest.values() for seed in self.seeds for row in rows_of(recipe, there, seed)}
            if len(drawn) < there:
                rows["train"] = taken(rows["train"], sorted(drawn))
        return rows

    def require_hardware(self, request: Request) -> None:
        device = hardware.pick_device(request.device, precision=request.recipe.precision)
        hardware.require_processes(request.recipe.processes, device.type, jobs=request.jobs)
        if request.recipe.torch_compile:
            hardware.require_compiler(device.type)
        if (part := parts_of(request.recipe, self.registry).get("optimizer")) is not None:
            devices = part.registered.component.devices
            if devices is not None and device.type not in devices:
                works = " and ".join(sorted(devices))
                raise PluginError(f"optimizer '{part.name}' works on {works}, and the device of the runs is {device.type}")

    def attempt(self, culprit: Culprit, action: Callable[..., Any], *arguments: Any, during: str = "", **more: Any) -> Any:
        """Calls the action and returns what it returns; if it raises an error, adds a problem and returns None. during: what a
        component was doing, put before the message of an error that is not Bakeoff's, which may not name the component."""
        try:
            return action(*arguments, **more)
        except BaseException as error:  # a component of any author: its errors are what is looked for here
            if is_interrupt(error):
                raise
            raise_machine_error(error, [self.requests[0].cache])
            if isinstance(error, BakeoffError):
                self.add_problem(culprit, str(error))
            else:
                packages = {registered.package for registered in self.registry.all()}
                self.add_problem(culprit, f"{f'{during}: ' if during else ''}{message_of(error, packages)}")
            return None

    def add_problem(self, culprit: Culprit, message: str) -> None:
        if (*culprit, message) not in self.problems:
            self.problems.append((*culprit, message))


def named(part: Configured) -> str:
    """A component's kind and name, and the plugin that it comes from, for a message."""
    return f"{part.registered.component.kind} '{part.name}' ({part.registered.origin})"


def question_of(request: Request) -> tuple[str, ...]:
    """What the answers of an untrained model to single rows depend on: task, model, length and padding."""
    asked, recipe = request.requested, request.recipe
    return asked.task_label, asked.model_label, str(recipe.max_length), recipe.padding


def require_answer(prepared: Prepared, network: Any, examples: Sequence[Row], outputs: int, device: Any) -> None:
    """Raises ModelError unless the model gives logits of shape (examples, outputs)."""
    try:
        logits = predict(prepared, network.to(device), examples, device)
    except PluginError:
        raise
    except Exception as error:  # a model of any author, as a method of any other left it
        raise ModelError(f"its forward pass fails: {message_of(error)}") from error
    if logits.shape != (wanted := (len(examples), outputs)):
        raise ModelError(f"its logits have the shape {tuple(logits.shape)} instead of {wanted}")


def require_telling(info: TaskInfo, splits: dict[str, Columns], name: str) -> None:
    """Raises DataError if the metric of this name can't choose a state or say when to stop, because it gives every model the
    same score on dev."""
    split, metric = selection_split(info.scored_splits), metric_of(info, name)
    if silent := why_silent(metric, np.asarray(splits[split]["label"]), info.labels, load=True):
        raise DataError(
            f"{name} is asked for on {split} while training, and cannot tell models apart there: {silent}; take another metric"
        )


def require_choice(info: TaskInfo, splits: dict[str, Columns], way_out: str) -> None:
    """Raises DataError if the primary metric cannot choose an epoch or a configuration, because every choice gets the same
    score on dev. way_out: what the user may write instead."""
    split, primary = selection_split(info.scored_splits), info.primary
    if silent := why_silent(primary, np.asarray(splits[split]["label"]), info.labels, load=True):
        raise DataError(
            f"the best epoch or configuration is chosen by {primary.name} on {split}, which cannot tell them apart: {silent}; "
            f"take another primary metric, or {way_out}"
        )
