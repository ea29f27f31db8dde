"""`check --build`: every task loaded, every model built, every method applied and its model asked once, before any run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.contracts.dev_split import selection_split
from bakeoff.contracts.model import Built, Encoding, Prepared
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.task import Row, TaskInfo
from bakeoff.errors import BakeoffError, DataError, ModelError
from bakeoff.machine import hardware
from bakeoff.machine.faults import raise_machine_error
from bakeoff.machine.file_hashes import WatchedFiles
from bakeoff.records.provenance import Facts, as_plain, facts_of_model, facts_of_rows
from bakeoff.records.schema import Requested
from bakeoff.records.silent_metrics import why_silent
from bakeoff.toolkit.model_structure import positions_of
from bakeoff.training.assembly import components, encode_rows, load, watched_files, with_model
from bakeoff.training.data import Columns, LoadedTask
from bakeoff.training.data_checks import NoLearning, data_checks, without_learning
from bakeoff.training.evaluation import EVALUATION_BATCH, predict
from bakeoff.training.kept_model import require_keepable
from bakeoff.training.model_checks import ModelCheck
from bakeoff.training.preparation import drawn_rows, head_of, make_ready, require_examples, taken
from bakeoff.training.record_writer import message_of
from bakeoff.training.request import Request


def rehearse(
    say: Callable[[dict[str, Any]], None],
    requests: list[str],
    trials: Sequence[str] = (),
    seeds: Sequence[tuple[int, int]] = (),
) -> None:
    """Says what would keep these runs from starting, and on what they would run; `trials` are the ids of a search's runs.

    `requests` are the runs of one seed; `seeds` holds seed and replicate of all runs.

    {"problems": [(task, model or strategy; its label; message), ...], "device": "cuda", "accelerator": its name,
    "instructions": "AVX512",
    "sources": [(task's label, model's label, facts as plain lists), ...], "remarks": [(label of task or model, sentence), ...]}
    """
    import bakeoff.machine.preload  # noqa: F401 - where there is no fork server, its settings are made here

    asked = [Request.model_validate_json(text) for text in requests]
    device = hardware.pick_device(asked[0].device)
    rehearsal = Rehearsal(trials, seeds, places=[asked[0].cache])
    for request in asked:
        rehearsal.note_examples(request)
    for request in asked:
        rehearsal.attempt_run(request)
    say(
        {
            "problems": rehearsal.problems,
            "device": device.type,
            "accelerator": hardware.accelerator_name(device),
            "instructions": hardware.instructions(),
            "sources": [(*pair, as_plain(facts)) for pair, facts in rehearsal.sources.items()],
            "remarks": rehearsal.remarks,
        }
    )


class Rehearsal:
    """Tries each task, model and method once, whatever the number of runs."""

    def __init__(
        self, trials: Sequence[str] = (), seeds: Sequence[tuple[int, int]] = (), *, places: Sequence[Path] = ()
    ) -> None:
        """`places` are the folders that may be written to."""
        self.registry, self.places = load_registry(), places
        self.trials = frozenset(trials)
        self.seeds = seeds
        """Seed and replicate of all runs."""
        self.examples: dict[tuple[str, ...], int | None] = {}
        """What is asked of a model -> the most training rows that a run takes; None for all."""
        self.problems: list[tuple[str, str, str]] = []
        self.tasks: dict[str, LoadedTask | None] = {}
        """By label; None where it does not load."""
        self.sources: dict[tuple[str, str], Facts] = {}
        """Labels of task and model -> what runs of them would be made from."""
        self.remarks: list[tuple[str, str]] = []
        """Label of a task or model, and what is odd about its rows or its checkpoint."""
        self.tried: set[tuple[str, ...]] = set()
        self.sound: dict[tuple[str, ...], bool] = {}
        """Task, model, length and padding -> whether the model can read all rows so, and answers each for itself."""
        self.kept: set[tuple[str, ...]] = set()
        """What has been tried to keep, whatever trainer has it."""

    def attempt_run(self, request: Request) -> None:
        asked, recipe, parts = request.requested, request.recipe, components(request, self.registry)
        model, method, trainer = (parts[kind].registered.component for kind in ("model", "method", "trainer"))
        options = {kind: part.options for kind, part in parts.items()}
        self.attempt("strategy", asked.strategy, self.require_hardware, request)
        if asked.task_label not in self.tasks:
            loaded = self.attempt(
                "task", asked.task_label, load, parts["task"].registered.component, options["task"], request.places
            )
            self.tasks[asked.task_label] = loaded
            if loaded:
                self.remarks += [(asked.task_label, sentence) for sentence in data_checks(loaded.info, loaded.splits)]
                untrained = self.attempt("task", asked.task_label, without_learning, loaded.task, loaded.info, loaded.splits)
                self.note_undefined(asked.task_label, loaded.info.primary_metric, untrained)
        if (known := self.tasks[asked.task_label]) is None:
            return
        info, splits = known.info, known.splits
        for chooses, way_out in (
            (asked.select == "best-on-dev", "'select: last-epoch'"),
            (request.id in self.trials, "no 'search:'"),
        ):
            if chooses:
                self.attempt("task", asked.task_label, require_choice, info, splits, way_out)
        self.attempt("strategy", asked.strategy, require_examples, recipe, len(splits["train"]["label"]))
        shaping = f"{recipe.max_length} {recipe.padding} {recipe.frozen_embeddings} {recipe.gradient_checkpointing}"
        key = (asked.task_label, asked.model_label, asked.method.model_dump_json(), asked.trainer.name, shaping)
        if key in self.tried:
            return
        self.tried.add(key)
        encoding = Encoding(recipe.max_length, recipe.padding)
        files = watched_files(model, options["model"], request.places)
        prepared = self.attempt("model", asked.model_label, model.prepare, info, options["model"], encoding)
        used = self.used_rows(request, known)
        encoded = (
            self.attempt("model", asked.model_label, encode_rows, prepared, known, used, request.cache) if prepared else None
        )
        built = self.attempt("model", asked.model_label, model.build, info, options["model"]) if prepared else None
        if built is None:
            return
        cautions = [(asked.model_label, caution) for caution in built.cautions]
        self.remarks += [caution for caution in cautions if caution not in self.remarks]
        self.attempt("model", asked.model_label, self.note_sources, asked, prepared, built, files)
        room = positions_of(built.model)
        if room is not None and recipe.max_length > room:
            self.say("strategy", asked.strategy, f"max_length {recipe.max_length} is more than the model's {room} positions")
            return
        if encoded is None or not self.is_sound(request, info, options["model"], built, prepared, used, encoded):
            return
        head, before = self.attempt("strategy", asked.strategy, head_of, built), len(self.problems)
        adaptation = self.attempt("strategy", asked.strategy, make_ready, method, built, options["method"], recipe)
        if adaptation is not None:
            self.attempt("strategy", asked.strategy, trainer.check_model, adaptation.model, recipe)
            texts = {name: list(splits["train"][name][:2]) for name in info.text_columns}
            examples = self.attempt("model", asked.model_label, prepared.encode, texts)
            if examples:
                network, device = adaptation.model, hardware.pick_device(request.device)
                self.attempt("strategy", asked.strategy, require_answer, prepared, network, examples, info.n_outputs, device)
            if request.keep == "final" and key[:3] not in self.kept and len(self.problems) == before:
                self.kept.add(key[:3])
                columns = {name: list(splits["train"][name][:EVALUATION_BATCH]) for name in info.text_columns}
                keep = partial(require_keepable, adaptation.model, prepared, info, columns, head=head, cache=request.cache)
                self.attempt("strategy", asked.strategy, keep, hardware.pick_device(request.device))

    def note_undefined(self, task: str, primary: str, untrained: NoLearning | None) -> None:
        """Which metrics give no score where all answers are one: a run may come to that."""
        for split, metrics in untrained.undefined.items() if untrained else ():
            for metric, told in metrics.items():
                comes = "would fail" if metric == primary else "would have none"
                found = f"{split}: {metric} gives no score ({told}) where all answers are one"
                self.remarks.append((task, f"{found}; a run that learns nothing {comes}"))

    def note_sources(self, asked: Requested, prepared: Prepared, built: Built, files: WatchedFiles) -> None:
        """What runs of this task and model are made from, once for each pair; before the method makes another of the model."""
        pair = (asked.task_label, asked.model_label)
        if pair in self.sources:
            return
        task = self.tasks[asked.task_label]
        assert task is not None
        made_from = with_model(task.made_from, prepared, built, files)
        self.sources[pair] = {**facts_of_rows(task.fingerprints, made_from), **facts_of_model(made_from)}

    def note_examples(self, request: Request) -> None:
        """Before any is tried: all runs of which the model is asked once."""
        question, wanted = question_of(request), request.recipe.train_examples
        most = self.examples.get(question, 0)
        self.examples[question] = None if wanted is None or most is None else max(wanted, most)

    def used_rows(self, request: Request, task: LoadedTask) -> dict[str, Columns]:
        """By split, the rows that a run of any seed is given."""
        rows = {name: task.splits[name] for name in task.info.splits}
        examples = self.examples.get(question_of(request), request.recipe.train_examples)
        if examples is not None:
            there = len(rows["train"]["label"])
            seeds = self.seeds or [(request.requested.seed, request.requested.replicate)]
            drawn = {row for seed in seeds for row in drawn_rows(there, examples, seed)}
            if len(drawn) < there:
                rows["train"] = taken(rows["train"], sorted(drawn))
        return rows

    def is_sound(
        self,
        request: Request,
        info: TaskInfo,
        options: Any,
        built: Built,
        prepared: Prepared,
        used: Mapping[str, Columns],
        encoded: Mapping[str, Sequence[Row]],
    ) -> bool:
        """Whether the model can read all rows, and answers each for itself; asked once for all methods and seeds."""
        asked = request.requested
        question = question_of(request)
        if question not in self.sound:
            model = self.registry.get("model", asked.model.name).component

            def check() -> bool:
                check = ModelCheck(
                    model=built.model,
                    prepared=prepared,
                    plain=model.prepare(info, options, Encoding(request.recipe.max_length, "longest")),
                    rows=encoded,
                    name_of=lambda split, number: str(used[split]["id"][number]),
                    device=hardware.pick_device(request.device),
                )
                check.run()
                return True

            self.sound[question] = self.attempt("model", asked.model_label, check) is True
        return self.sound[question]

    @staticmethod
    def require_hardware(request: Request) -> None:
        device = hardware.pick_device(request.device, precision=request.recipe.precision)
        hardware.require_processes(request.recipe.processes, device.type, jobs=request.jobs)

    def attempt(self, kind: str, name: str, action: Callable[..., Any], *arguments: Any) -> Any:
        """What the action gives, or None and a problem."""
        try:
            return action(*arguments)
        except Exception as error:  # a component of any author: its error is what is asked for here
            raise_machine_error(error, self.places)
            self.say(kind, name, str(error) if isinstance(error, BakeoffError) else message_of(error))
            return None

    def say(self, kind: str, name: str, message: str) -> None:
        if (kind, name, message) not in self.problems:
            self.problems.append((kind, name, message))


def question_of(request: Request) -> tuple[str, ...]:
    """On what the answers of a model to single rows hang: task, model, length and padding."""
    asked, recipe = request.requested, request.recipe
    return asked.task_label, asked.model_label, str(recipe.max_length), recipe.padding


def require_answer(prepared: Prepared, network: Any, examples: Sequence[Row], outputs: int, device: Any) -> None:
    """Raises ModelError where the model gives no logits, (examples, outputs)."""
    try:
        logits = predict(prepared, network.to(device), examples, device)
    except Exception as error:  # a model of any author, as a method of any other left it
        raise ModelError(f"its forward pass fails: {message_of(error)}") from error
    if logits.shape != (wanted := (len(examples), outputs)):
        raise ModelError(f"its model answers in another shape: {tuple(logits.shape)} where {wanted} is due")


def require_choice(info: TaskInfo, splits: dict[str, Columns], way_out: str) -> None:
    """Raises DataError where the best state, or configuration, can't be chosen: the primary metric gives all one score."""
    split = selection_split(info.scored_splits)
    primary = next(metric for metric in info.metrics if metric.name == info.primary_metric)
    if silent := why_silent(primary, np.asarray(splits[split]["label"]), info.labels, load=True):
        raise DataError(
            f"the best is chosen by {primary.name} on {split}, which says nothing there: {silent}; "
            f"take another primary metric, or {way_out}"
        )
