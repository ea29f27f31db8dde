"""How a run is put together, up to the job that its trainer is handed. Read `assemble` from top to bottom.

A run, `bakeoff parity` and the contract suite of trainers call `assemble`; the check before the first run goes through its
stages, each task and model once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from bakeoff.contracts.configured import Configured, notes_of
from bakeoff.contracts.method import Adaptation
from bakeoff.contracts.model import Built, Encoding, Prepared
from bakeoff.contracts.recipe import Recipe
from bakeoff.contracts.registry import Registry
from bakeoff.contracts.task import Paths, Row, Task, TaskInfo
from bakeoff.contracts.trainer import Owned, Trainer
from bakeoff.machine import hardware, random_streams
from bakeoff.machine.memory_energy import EnergyCounter
from bakeoff.records.schema import Data, MadeFrom, Requested, Selection, Weights
from bakeoff.training import sources
from bakeoff.training.data import Columns, LoadedTask, check_rows, columns_of, named_by_data, weights_sha256
from bakeoff.training.data_checks import describe_data
from bakeoff.training.distributed import ALONE, World
from bakeoff.training.encoding import encode
from bakeoff.training.fed_batches import Examples, StepSchedule
from bakeoff.training.job import Job
from bakeoff.training.preparation import make_ready, training_rows
from bakeoff.training.request import Request

J = TypeVar("J", bound=Job)


@dataclass
class Findings:
    """What a run has found out so far; a failed run keeps what it had."""

    data: Data | None = None
    made_from: MadeFrom = MadeFrom()  # noqa: RUF009 - it is frozen
    weights: Weights | None = None
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
    memory: tuple[int, int] | None = None
    """Peaks of the run's processes, summed, when nothing was left but to save: bytes of memory, and of the device's."""


@dataclass(frozen=True)
class Assembly:
    """A run that is ready to be trained."""

    request: Request
    recipe: Recipe
    trainer: Trainer
    options: Any
    """The trainer's."""
    title: str
    """What errors call the trainer."""
    owns: Owned
    device: Any
    world: World
    info: TaskInfo
    splits: Mapping[str, Columns]
    data: Data
    prepared: Prepared
    encoded: Mapping[str, Sequence[Row]]
    """The rows to train on, and the splits that are predicted."""
    labels: Sequence[Any]
    """Of the rows to train on, as a loss wants them."""
    built: Built
    """The model before the method."""
    adaptation: Adaptation
    head_sha256: str
    """Of the new weights, before the method."""
    initial_sha256: str
    """Of all weights, before training."""

    @property
    def network(self) -> Any:
        return self.adaptation.model

    def job(self, made_as: Callable[..., J], **more: Any) -> J:
        """The job for the trainer, of the class `made_as`; `more` are arguments of `Job` that only the caller knows."""
        seed = self.request.requested.seed, self.request.requested.replicate
        examples = Examples(self.encoded["train"], self.labels)
        schedule = StepSchedule(len(examples), self.recipe, seed, self.world)
        given = {"mean_loss": self.info.kind.mean_loss, "device": self.device, "owns": self.owns, "trainer": self.title, **more}
        return made_as(self.adaptation, self.prepared, examples, schedule, **given)


def assemble(
    request: Request,
    registry: Registry,
    *,
    found: Findings | None = None,
    begin: Callable[[str], None] = lambda phase: None,
    world: World = ALONE,
) -> Assembly:
    """The run that a request asks for, up to its training; `begin` is told each phase, and `found` filled on the way."""
    asked, found = request.requested, found or Findings()
    recipe, seed = Recipe.model_validate(asked.recipe), (asked.seed, asked.replicate)
    parts = components(asked, registry, request.places)
    model, options = parts["model"].registered.component, parts["trainer"].options
    trainer: Trainer = parts["trainer"].registered.component
    found.made_from = sources.of_code(parts)
    owns = trainer.owned(recipe, options)
    found.owns, found.notes = sorted(owns), notes_of(trainer, recipe, options)
    hardware.set_threads(max(1, request.threads // world.size))
    found.device = device = hardware.pick_device(request.device)
    hardware.require_precision(recipe.precision, device.type)
    found.energy.watch(device, devices=world.size)

    begin("load")
    loaded = load(parts["task"], request.places, found.made_from)
    info, splits, found.made_from = loaded.info, loaded.splits, loaded.made_from
    found.data = describe_data(loaded)
    rows = {name: splits[name] for name in info.predicted_splits}
    rows = {"train": training_rows(splits["train"], recipe, seed=seed), **rows}

    begin("encode")
    files = sources.watched_model(parts["model"], request.cache)
    prepared = model.prepare(info, parts["model"].options, Encoding(recipe.max_length, recipe.padding))
    encoded = encode_rows(prepared, loaded, rows, request.cache)

    begin("build")
    random_streams.restart_random(random_streams.stream_seed(*seed, "init"))
    built: Built = model.build(info, parts["model"].options)
    state = built.model.state_dict()
    head = weights_sha256((name, state[name]) for name in built.newly_initialised if name in state)
    found.made_from = sources.and_model(found.made_from, prepared, built, files)
    adaptation = make_ready(parts["method"].registered.component, built, parts["method"].options, recipe)
    sources.require_same(request, found.data, found.made_from)
    network = adaptation.model.to(device)
    initial = weights_sha256(network.state_dict().items())
    trainer.check_model(network, recipe)
    return Assembly(
        request=request,
        recipe=recipe,
        trainer=trainer,
        options=options,
        title=f"trainer '{trainer.name}' ({parts['trainer'].registered.origin})",
        owns=owns,
        device=device,
        world=world,
        info=info,
        splits=splits,
        data=found.data,
        prepared=prepared,
        encoded=encoded,
        labels=info.kind.targets(rows["train"]["label"], info.n_outputs),
        built=built,
        adaptation=adaptation,
        head_sha256=head,
        initial_sha256=initial,
    )


# --- its stages, in their order ------------------------------------------------------------------------------------------


def components(asked: Requested, registry: Registry, places: Paths) -> dict[str, Configured]:
    """The run's components by kind, their options validated again and their paths resolved."""
    found = {}
    for kind in ("task", "model", "method", "trainer"):
        wanted = getattr(asked, kind)
        registered = registry.get(kind, wanted.name)
        component = Configured(registered, registered.component.Options.model_validate(wanted.options))
        found[kind] = replace(component, options=component.options_at(places))
    return found


def check_available(part: Configured, places: Paths) -> None:
    """Raises BakeoffError where a task's data or a model's weights can't be had; a look within seconds, before their libraries
    are imported. It may set HF_HUB_OFFLINE."""
    component = part.registered.component
    component.check_available(part.options_at(places), *((places,) if component.kind == "task" else ()))


def load(task: Configured, places: Paths, made_from: MadeFrom = MadeFrom()) -> LoadedTask:  # noqa: B008 - it is frozen
    """The task loaded and checked; `made_from` is what is known of the run so far."""
    files = sources.watched_task(task, places)
    info, splits = load_task(task.registered.component, task.options, places)
    return LoadedTask(task.registered.component, info, splits, sources.and_task(made_from, info, files))


def load_task(task: Task, options: Any, places: Paths) -> tuple[TaskInfo, dict[str, Columns]]:
    """What the task is, and its checked splits."""
    info = task.info(options)
    task.check_available(options, places)
    loaded = task.load(options, places)
    if "train" in loaded:
        info = named_by_data(info, loaded["train"])
    splits = {name: columns_of(split, info, labelled=name in info.labelled_splits) for name, split in loaded.items()}
    check_rows(splits, info, task.name)
    return info, splits


def encode_rows(prepared: Prepared, loaded: LoadedTask, rows: Mapping[str, Columns], cache: Path) -> dict[str, Sequence[Row]]:
    """Splits, or some of their rows, encoded or taken from the cache."""
    found = {}
    for name, taken in rows.items():
        whole = taken is loaded.splits[name]
        fingerprint = loaded.fingerprints[name] if whole else loaded.fingerprint(taken)
        texts = {column: taken[column] for column in loaded.info.text_columns}
        found[name] = encode(prepared, texts, cache=cache, fingerprint=fingerprint)
    return found
