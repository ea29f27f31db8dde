"""Assembles a run, up to the job that its trainer is given. Read `assemble` from top to bottom.

Runs, `bakeoff parity` and the contract suite of trainers call `assemble`. The check before the first run calls its stages, once
for each task and model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np

from bakeoff.contracts.configured import Configured, notes_of, parts_of
from bakeoff.contracts.method import Adaptation
from bakeoff.contracts.model import Built, Encoding, HeadOrigin, Model, Prepared
from bakeoff.contracts.recipe import LONGEST_INPUT, Recipe
from bakeoff.contracts.recipe_parts import PARTS
from bakeoff.contracts.registry import Registry
from bakeoff.contracts.returned import described, required, required_texts
from bakeoff.contracts.task import Paths, Row, Task, TaskInfo
from bakeoff.contracts.trainer import Owned, Trainer, WhatIsTimed
from bakeoff.errors import DataError, ModelError, PluginError
from bakeoff.files import Tree
from bakeoff.machine import hardware, random_streams
from bakeoff.machine.file_hashes import FileHashes, Files, WatchedFiles, code_digest, digest_of, half
from bakeoff.machine.memory_energy import EnergyCounter
from bakeoff.records.provenance import differences, facts_of_data, facts_of_model, from_plain
from bakeoff.records.schema import Data, MadeFrom, Predicted, Selection, Weights
from bakeoff.text.words import did_you_mean, quoted
from bakeoff.training.class_weights import class_weights
from bakeoff.training.data import Columns, LoadedTask, check_rows, columns_of, named_by_data, weights_sha256
from bakeoff.training.data_checks import describe_data
from bakeoff.training.distributed import ALONE, World
from bakeoff.training.encoding import encode
from bakeoff.training.fed_batches import Examples, StepSchedule, lengths_of
from bakeoff.training.input_length import enough_for, length_in, with_length, within_positions
from bakeoff.training.job import Job
from bakeoff.training.observer import Observer
from bakeoff.training.preparation import make_ready, training_rows
from bakeoff.training.recipe_parts import mean_loss, optimizer_maker
from bakeoff.training.request import Request

J = TypeVar("J", bound=Job)
COMPILED = "compiled"
"""Folder of torch.compile's kernels in the cache."""


@dataclass
class Findings:
    """What is known of a run so far; it goes into the record even if the run fails."""

    data: Data | None = None
    made_from: MadeFrom = MadeFrom()  # noqa: RUF009 - it is frozen
    weights: Weights | None = None
    observer: Observer = field(default_factory=Observer)
    job: Job | None = None
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    device: Any = None
    evaluated: int = 0
    energy: EnergyCounter = field(default_factory=EnergyCounter)
    selection: Selection | None = None
    evaluation_difference: float | None = None
    largest_logit: float | None = None
    owns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    distributions: frozenset[str] = frozenset()
    """Names of the distributions of the recipe's plugin optimizer and loss, and of what they need."""
    max_length: int | None = None
    """The length that `max_length: auto` came to; None for a recipe with a number."""
    predicted: Predicted = "logits"
    timed: WhatIsTimed = "phases"
    used_dev: bool = False
    memory: tuple[int, int | None] | None = None
    """Peak memory before saving, summed over the run's processes: bytes of main memory, bytes of device memory (None where that
    is not known)."""
    claims: dict[str, Any] | None = None
    """See `Record.claims`."""


@dataclass(frozen=True)
class Assembly:
    """A run that is ready to be trained."""

    request: Request
    trainer: Trainer
    options: Any
    """The trainer's options."""
    title: str
    """How error messages name the trainer."""
    owns: Owned
    device: Any
    world: World
    task: LoadedTask
    data: Data
    prepared: Prepared
    parts: Mapping[str, Configured]
    """Recipe key (`optimizer`, `loss`) -> the plugin's component that the recipe names for it."""
    recipe: Recipe
    """The recipe, with a number in place of `max_length: auto`."""
    encoded: Mapping[str, Sequence[Row]]
    """The encoded rows of each predicted split."""
    examples: Examples
    """The encoded rows to train on, with their labels."""
    built: Built
    """The model before the method adapts it."""
    adaptation: Adaptation
    head_sha256: str
    """Hash of the newly initialised weights, before the method adapts the model."""
    initial_sha256: str
    """Hash of all weights before training."""

    @property
    def network(self) -> Any:
        return self.adaptation.model

    def fast_inference(self) -> AbstractContextManager[None]:
        """The trainer's context for predictions."""
        context: AbstractContextManager[None] = required(
            self.trainer.fast_inference(self.network),
            AbstractContextManager,
            of=f"{self.title}: `fast_inference`",
            must="a context manager",
        )
        return context

    def job(self, made_as: Callable[..., J], **more: Any) -> J:
        """The trainer's job, an instance of `made_as`; `more` are further keyword arguments of `Job`."""
        requested, recipe, info = self.request.requested, self.recipe, self.task.info
        seed = requested.seed, requested.replicate
        labels = self.examples.labels if recipe.sampling == "weighted" else None
        lengths = lengths_of(self.examples.encoded) if recipe.group_by_length else None
        schedule = StepSchedule(len(self.examples), recipe, seed, self.world, labels, lengths)
        given = {
            "mean_loss": mean_loss(self.parts["loss"]) if "loss" in self.parts else info.kind.mean_loss,
            "class_weights": class_weights(recipe.class_weights, self.examples.labels, info.labels),
            "optimizer": optimizer_maker(self.parts["optimizer"], recipe) if "optimizer" in self.parts else None,
            "device": self.device,
            "owns": self.owns,
            "trainer": self.title,
            **more,
        }
        return made_as(self.adaptation, self.prepared, self.examples, schedule, **given)


@dataclass(frozen=True)
class Start:
    """What every run has at its start, before anything of its model is read."""

    components: Mapping[str, Any]
    """Kind (`task`, `model`, `method`, `trainer`) -> component."""
    options: Mapping[str, Any]
    """Kind -> the component's options."""
    title: str
    """How error messages name the trainer."""
    owns: Owned
    device: Any
    task: LoadedTask
    train: Columns
    """The rows to train on."""

    @property
    def trainer(self) -> Any:
        return self.components["trainer"]


@dataclass(frozen=True)
class Frozen:
    """The strategy's model as it was built, for a trainer that owns another model and takes features from this one."""

    prepared: Prepared
    encoded: Mapping[str, Sequence[Row]]
    """Split -> its encoded rows; `train` has those to train on."""
    built: Built


def assemble(
    request: Request,
    parts: Mapping[str, Configured],
    *,
    found: Findings | None = None,
    begin: Callable[[str], None] = lambda phase: None,
    world: World = ALONE,
    task: LoadedTask | None = None,
) -> Assembly:
    """Assembles a run up to its training: loads the task, encodes its rows, builds the model, and adapts it by the method.

    parts: kind -> component, by `components`. found: receives what becomes known of the run, for its record. begin: called with
    the name of each phase as it begins. world: the processes that share the run. task: the loaded task, or one with fewer rows
    (for a rehearsal); by default it is loaded here. Raises DataError, ModelError or PluginError where a component fails.
    """
    found, recipe = found or Findings(), request.recipe
    start = begin_run(request, parts, found, begin, world=world, task=task)
    options, trainer, task, device = start.options, start.trainer, start.task, start.device
    prepared, encoded, built = read_and_build(start, request, found, begin)
    if found.max_length is not None:
        recipe = with_length(recipe, found.max_length)
    state = built.model.state_dict()
    head = weights_sha256((name, state[name]) for name in built.newly_initialised if name in state)
    assert found.data is not None
    adaptation = make_ready(start.components["method"], built, options["method"], recipe)
    require_same_sources(request, found.data, found.made_from)
    network = adaptation.model.to(device)
    initial = weights_sha256(network.state_dict().items())
    trainer.check_model(network, recipe)
    if recipe.torch_compile:
        hardware.require_compiler(device.type)
        with suppress(OSError):  # else torch uses the temporary folder
            Tree(request.cache).make(request.cache / COMPILED)
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(request.cache / COMPILED))
        network.compile()
    return Assembly(
        request=request,
        trainer=trainer,
        options=options["trainer"],
        title=start.title,
        owns=start.owns,
        device=device,
        world=world,
        task=task,
        data=found.data,
        prepared=prepared,
        parts={key: part for key, part in parts.items() if key in PARTS},
        recipe=recipe,
        encoded=encoded,
        examples=Examples(encoded["train"], task.info.kind.targets(start.train["label"], task.info.n_outputs)),
        built=built,
        adaptation=adaptation,
        head_sha256=head,
        initial_sha256=initial,
    )


def assemble_for_own_model(
    request: Request,
    parts: Mapping[str, Configured],
    *,
    found: Findings,
    begin: Callable[[str], None] = lambda phase: None,
    task: LoadedTask | None = None,
) -> tuple[Start, Frozen | None]:
    """Assembles a run whose trainer owns its model. Returns its start, and the strategy's model if the trainer uses it. The
    arguments are those of `assemble`."""
    start = begin_run(request, parts, found, begin, task=task)
    if request.requested.processes > 1:
        raise PluginError(f"{start.title} owns its model, and trains it in one process: leave `processes` at 1")
    frozen = Frozen(*read_and_build(start, request, found, begin)) if start.trainer.uses_model else None
    begin("build")
    assert found.data is not None
    require_same_sources(request, found.data, found.made_from)
    return start, frozen


# --- its stages, in their order ------------------------------------------------------------------------------------------


def begin_run(
    request: Request,
    parts: Mapping[str, Configured],
    found: Findings,
    begin: Callable[[str], None],
    *,
    world: World = ALONE,
    task: LoadedTask | None = None,
) -> Start:
    """Picks the device, loads the task and describes its data. The arguments are those of `assemble`."""
    component: dict[str, Any] = {kind: part.registered.component for kind, part in parts.items()}
    options, trainer, recipe = {kind: part.options for kind, part in parts.items()}, component["trainer"], request.recipe
    code = {kind: code_digest(part.registered.package) for kind, part in parts.items()}
    for part in (part.registered for key, part in parts.items() if key in PARTS):
        found.distributions |= {part.origin.distribution, *part.component.needs}
    found.made_from = MadeFrom(code={kind: digest for kind, digest in code.items() if digest is not None})
    owns: Owned = trainer.owned(recipe, options["trainer"])
    found.timed = trainer.timed
    found.owns, found.notes = sorted(owns), notes_of(trainer, recipe, options["trainer"])
    threads = max(1, request.threads // world.size)
    found.device = device = hardware.pick_device(request.device, precision=recipe.precision, threads=threads)
    found.energy.watch(device, devices=world.size)

    begin("load")
    task = task or load(component["task"], options["task"], request.places, found.made_from)
    found.made_from = task.made_from
    found.data = describe_data(task)
    title = f"trainer '{trainer.name}' ({parts['trainer'].registered.origin})"
    seed = request.requested.seed, request.requested.replicate
    train = training_rows(task.splits["train"], recipe, seed=seed)
    return Start(component, options, title, owns, device, task, train)


def read_and_build(
    start: Start, request: Request, found: Findings, begin: Callable[[str], None]
) -> tuple[Prepared, dict[str, Sequence[Row]], Built]:
    """Encodes the rows to train on and every predicted split, and builds the model, with new weights drawn from the seed.
    Returns (prepared model, split -> encoded rows, built model)."""
    model, options, task = start.components["model"], start.options["model"], start.task
    seed, recipe = (request.requested.seed, request.requested.replicate), request.recipe
    is_auto = recipe.max_length == "auto"

    begin("encode")
    files = watched_files(model, options, request.places)
    if is_auto:
        recipe = with_length(recipe, automatic_length(model, options, task, recipe, request.cache))
    prepared = prepare(model, task.info, options, recipe)
    rows = {"train": start.train} | {name: task.splits[name] for name in task.info.predicted_splits}
    encoded = encode_rows(prepared, task, rows, request.cache)

    begin("build")
    random_streams.restart_random(random_streams.stream_seed(*seed, "init"))
    built = build(model, task.info, options)
    if is_auto:
        if (shorter := within_positions(recipe, built)) is not recipe:
            recipe = shorter
            prepared = prepare(model, task.info, options, recipe)
            encoded = encode_rows(prepared, task, rows, request.cache)
        found.max_length = length_in(recipe)
        found.notes.append(f"max_length: auto is {found.max_length} tokens here")
    found.made_from = with_model(found.made_from, prepared, built, files)
    return prepared, encoded, built


def components(request: Request, registry: Registry, *, trains: bool = True) -> dict[str, Configured]:
    """The run's components by kind: `task`, `model`, `method`, `trainer`; and `optimizer` and `loss` where its recipe names one
    of a plugin. There is no `model` if the trainer owns its model and does not use the strategy's. Options are validated here,
    once per process, and their paths resolved on this machine. trains: False leaves optimizer and loss out, which only
    training needs.

    Raises PluginError for a component that is not installed, and pydantic's ValidationError.
    """
    found = {}
    uses_model = registry.get("trainer", request.requested.trainer.name).component.uses_model
    for kind in ("task", *(["model"] if uses_model else []), "method", "trainer"):
        wanted = getattr(request.requested, kind)
        registered = registry.get(kind, wanted.name)
        component = Configured(registered, registered.component.Options.model_validate(wanted.options))
        found[kind] = replace(component, options=component.options_at(request.places))
    return found | (parts_of(request.recipe, registry) if trains else {})


def watched_files(component: Any, options: Any, places: Paths) -> WatchedFiles:
    """The files that a task or a model is loaded from. Call it before loading: it notices files that change meanwhile."""
    of = f"{component.kind} '{component.name}': `files`"

    def find() -> Files | None:
        found: Files | None = component.files(options, *((places,) if component.kind == "task" else ()))
        if found is not None:
            for name, paths in required(found, Mapping, of=of, must="a dict: name -> list of paths, or None").items():
                if isinstance(paths, str) or not all(isinstance(path, Path) for path in paths):
                    raise PluginError(
                        f"{of} returned {described(paths)} for {quoted(name)}; each must be a list of pathlib.Path"
                    )
        return found

    return WatchedFiles(find, FileHashes(places.cache))


def load(task: Task, options: Any, places: Paths, made_from: MadeFrom = MadeFrom()) -> LoadedTask:  # noqa: B008 - it is frozen
    """Loads the task and checks its splits. Fingerprints of its label names and files are added to a copy of `made_from`.

    Raises DataError where its data is missing, breaks the task's declaration, or changes while it is read.
    """
    files = watched_files(task, options, places)
    info: TaskInfo = required(task.info(options), TaskInfo, of=f"task '{task.name}': `info`")
    required(task.source_versions(), Mapping, of=f"task '{task.name}': `source_versions`", must="a dict: name -> version")
    task.check_available(options, places)
    of = f"task '{task.name}': `load`"
    loaded = required(task.load(options, places), dict, of=of, must="a dict: split -> datasets.Dataset")
    for name, split in loaded.items():
        if not hasattr(split, "with_format") or not hasattr(split, "info"):
            raise PluginError(f"{of} returned {described(split)} for {quoted(name)}; each split must be a datasets.Dataset")
    if "train" in loaded:
        info = named_by_data(info, loaded["train"])
    splits = {name: columns_of(split, info, labelled=name in info.labelled_splits) for name, split in loaded.items()}
    check_rows(splits, info, task.name)
    known = {"labels": digest_of(list(info.labels)), "task_files": files.fingerprints()}
    return LoadedTask(task, info, splits, made_from.model_copy(update=known))


def automatic_length(model: Model, options: Any, task: LoadedTask, recipe: Recipe, cache: Path) -> int:
    """The number of tokens of `max_length: auto`, by the model's own tokenizer (`input_length.enough_for`), whatever the model
    can read.

    All rows of the training split count, whatever `train_examples` takes, so that all seeds and sizes have one length. Raises
    ModelError for a model that reads no tokens.
    """
    whole = prepare(model, task.info, options, with_length(recipe, LONGEST_INPUT))
    rows = encode_rows(whole, task, {"train": task.splits["train"]}, cache)["train"]
    if "input_ids" not in rows[0]:
        raise ModelError(f"max_length: auto: model '{model.name}' reads no tokens: write a number")
    return enough_for(np.fromiter((len(row["input_ids"]) for row in rows), np.int64, len(rows)))


def prepare(model: Model, info: TaskInfo, options: Any, recipe: Recipe) -> Prepared:
    """Calls the model's `prepare` and returns the result. Raises PluginError unless that is a `Prepared`."""
    prepared = model.prepare(info, options, Encoding(length_in(recipe), recipe.padding))
    found: Prepared = required(prepared, Prepared, of=f"model '{model.name}': `prepare`")
    return found


def build(model: Model, info: TaskInfo, options: Any) -> Built:
    """Calls the model's `build` and returns the result. Raises PluginError if that is not as `Built` describes it, as when it
    names new parameters that the model does not have."""
    of = f"model '{model.name}': `build`"
    built: Built = required(model.build(info, options), Built, of=of)
    required_texts(built.cautions, of=f"{of}: `cautions`", verb="is")
    new = required_texts(built.newly_initialised, of=f"{of}: `newly_initialised`", verb="is")
    if isinstance(built.model, type) or not hasattr(built.model, "state_dict"):
        raise PluginError(f"{of}: `model` is {described(built.model)}; it must be a torch module")
    if unknown := sorted(set(new) - set(built.model.state_dict())):
        raise PluginError(f"{of} names {quoted(unknown[0])} in `newly_initialised`, and the model has no such parameter")
    if built.head not in (None, *get_args(HeadOrigin)):
        raise PluginError(f"{of}: {did_you_mean('`head`', str(built.head), get_args(HeadOrigin))}")
    return built


def encode_rows(prepared: Prepared, task: LoadedTask, rows: Mapping[str, Columns], cache: Path) -> dict[str, Sequence[Row]]:
    """Encodes rows, or reads the encoded rows from the cache. rows: split -> its columns, or those of some of its rows."""
    found = {}
    for name, taken in rows.items():
        fingerprint = task.fingerprints[name] if taken is task.splits[name] else task.fingerprint(taken)
        texts = {column: taken[column] for column in task.info.text_columns}
        found[name] = encode(prepared, texts, cache=cache, fingerprint=fingerprint)
    return found


def with_model(made_from: MadeFrom, prepared: Prepared, built: Built, files: WatchedFiles) -> MadeFrom:
    """`made_from` with fingerprints of the model's tokenizer, pretrained weights and files. Call it before the method changes
    the model.

    Raises DataError where a file changed while it was read.
    """
    key, fresh = prepared.tokenizer_key(), set(built.newly_initialised)
    pretrained = weights_sha256(item for item in built.model.state_dict().items() if item[0] not in fresh)
    tokenizer = None if key is None else digest_of(key)
    known = {"weights": half(pretrained), "tokenizer": tokenizer, "model_files": files.fingerprints()}
    known["commit"] = built.commit
    return made_from.model_copy(update=known)


def require_same_sources(request: Request, data: Data, made_from: MadeFrom) -> None:
    """Raises DataError where data or model have changed since the experiment began."""
    here = {**facts_of_data(data, made_from), **facts_of_model(made_from)}
    if changed := differences(here, from_plain(request.sources)):
        what = ", ".join(found.what for found in changed)
        raise DataError(f"changed since this `bakeoff run` began: {what}; restore it, or start the command again")
