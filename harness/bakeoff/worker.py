"""THE MAIN LINE: one run in its own process. Read `fine_tune` from top to bottom.

`python -m bakeoff.worker REQUEST.json FOLDER` performs one run and leaves its record in FOLDER: the door for schedulers.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from bakeoff import hardware
from bakeoff.components import Adaptation, Built, Encoding, Places, Prepared, Row, Task, TaskInfo
from bakeoff.data import check_rows, split_fingerprint, weights_sha256
from bakeoff.errors import BakeoffError, RunError
from bakeoff.job import Job
from bakeoff.meter import Clock, EnergyCounter, Observer, forget_peak_memory, peak_memory_bytes
from bakeoff.plan import Component
from bakeoff.record import (
    OUTPUT_FILE,
    PREDICTIONS_FILE,
    RECORD_FILE,
    STEPS_FILE,
    Asked,
    Cost,
    Data,
    Failure,
    MetricFacts,
    Record,
    Split,
    Weights,
    dump,
)
from bakeoff.registry import Registry, load_registry
from bakeoff.spec import Recipe

EVALUATION_BATCH = 32
"""Examples per forward pass when predicting; the same for all runs, so that it never tells strategies apart."""

Report = Callable[[str, int, int, float | None], None]
"""Progress: phase, step, total steps, loss."""


class Request(BaseModel):
    """What a worker is told: the run, and where things lie here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    asked: Asked
    data: Path | None
    cache: Path
    device: str
    threads: int


@dataclass
class Findings:
    """What a run has found out so far; a failed run keeps what it had."""

    data: Data | None = None
    weights: Weights | None = None
    job: Job | None = None
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    device: Any = None
    evaluated: int = 0
    owns: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def fine_tune(request: Request, folder: Path, clock: Clock, found: Findings, observer: Observer, report: Report) -> None:
    """One run, from the request to the files in its folder; fills `found` on the way."""
    asked = request.asked
    recipe = Recipe.model_validate(asked.recipe)
    parts = components(asked, load_registry())
    task, model, trainer = (parts[kind].registered.component for kind in ("task", "model", "trainer"))
    options = {kind: part.options for kind, part in parts.items()}
    found.owns = sorted(trainer.owns)
    hardware.set_threads(request.threads)
    found.device = device = hardware.pick_device(request.device)
    clock.synchronize = lambda: hardware.synchronize(device)

    def begin(phase: str) -> None:
        clock.enter(phase)
        report(phase, 0, 0, None)

    begin("load")
    info, splits = load_task(task, options["task"], Places(request.data, request.cache))
    found.data = describe_data(task, info, splits)

    begin("encode")
    prepared = model.prepare(info, options["model"], Encoding(recipe.max_length, recipe.padding))
    encoded = {name: prepared.encode(splits[name]) for name in ("train", *info.predicted_splits)}

    begin("build")
    built, adaptation = build(parts, info, asked, recipe)
    network = adaptation.model.to(device)
    initial = initial_weights(network, built.newly_initialised)

    found.job = job = Job(
        model=network,
        recipe=recipe,
        device=device,
        prepared=prepared,
        encoded=encoded["train"],
        labels=splits["train"]["label"],
        groups=adaptation.groups,
        seed=(asked.seed, asked.replicate),
        observer=observer,
        trainer=f"trainer '{trainer.name}' ({parts['trainer'].registered.origin})",
        on_first_step=lambda: clock.enter("train"),
        on_look=lambda step, loss: report("train", step, job.total_steps, loss),
    )
    begin("warm-up")
    with observer:
        trainer.fit(job, options["trainer"])
    job.check()

    begin("evaluate")
    logits = {name: predict(prepared, network, encoded[name], device) for name in info.predicted_splits}
    found.evaluated = sum(len(values) for values in logits.values())
    found.scores = {name: score(info, logits[name], splits[name]["label"]) for name in logits}

    begin("save")
    found.weights = describe_weights(network, built.newly_initialised, initial, adaptation.lineage)
    write_steps(folder / STEPS_FILE, job)
    write_predictions(folder / PREDICTIONS_FILE, logits, splits, encoded, info.slice_columns)


def perform(request: Request, folder: Path, report: Report = lambda phase, step, total, loss: None) -> Record:
    """One run and its record, whether it ends well or not; everything it leaves is in `folder`."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    clock, energy, observer, found = Clock(), EnergyCounter(), Observer(), Findings()
    forget_peak_memory()
    failure = None
    try:
        if "bakeoff.preload" not in sys.modules:  # not from the fork server: nobody has looked yet whether all is there
            locate(request)
        import bakeoff.preload  # noqa: F401 - and an error of its imports would be seen here

        fine_tune(request, folder, clock, found, observer, report)
    except Exception as error:  # a run that raises is a record with its reason, and the experiment goes on
        failure = Failure(reason=reason_of(error), message=message_of(error), phase=clock.phase)
        if not isinstance(error, BakeoffError):
            (folder / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
    record = compose(request, started, clock, energy, observer, found, failure, folder)
    (folder / RECORD_FILE).write_bytes(dump(record))
    return record


# --- the details of a run, in its order ----------------------------------------------------------------------------------


def locate(request: Request) -> None:
    """Whether data and weights can be had, asked before their libraries are imported: it may set HF_HUB_OFFLINE."""
    parts = components(request.asked, load_registry())
    task, model = parts["task"], parts["model"]
    task.registered.component.locate(task.options, Places(request.data, request.cache))
    model.registered.component.locate(model.options)


def components(asked: Asked, registry: Registry) -> dict[str, Component]:
    """The run's components by kind, their options validated again."""
    found = {}
    for kind in ("task", "model", "method", "trainer"):
        wanted = getattr(asked, kind)
        registered = registry.get(kind, wanted.name)
        found[kind] = Component(registered, registered.component.Options.model_validate(wanted.options))
    return found


def load_task(task: Task, options: Any, places: Places) -> tuple[TaskInfo, dict[str, dict[str, list[Any]]]]:
    """What the task is, and its checked splits as plain columns."""
    info = task.info(options)
    task.locate(options, places)
    splits = {name: dataset.to_dict() for name, dataset in task.load(options, places).items()}
    check_rows(splits, info, task.name)
    return info, splits


def describe_data(task: Task, info: TaskInfo, splits: Mapping[str, Mapping[str, Any]]) -> Data:
    """Sizes, fingerprints and the floor."""
    train, sources = np.asarray(splits["train"]["label"]), dict(task.sources())
    return Data(
        sources=sources,
        kind=info.kind,
        labels=list(info.labels),
        splits={
            name: Split(
                examples=len(splits[name]["id"]),
                labelled=name in info.labelled_splits,
                fingerprint=split_fingerprint(splits[name], info, sources),
            )
            for name in info.splits
        },
        metrics=[MetricFacts(name=metric.name, higher_is_better=metric.higher_is_better) for metric in info.metrics],
        primary_metric=info.primary_metric,
        floor={name: task.floor(info, train, np.asarray(splits[name]["label"])) for name in info.predicted_splits},
    )


def build(parts: Mapping[str, Component], info: TaskInfo, asked: Asked, recipe: Recipe) -> tuple[Built, Adaptation]:
    """The model with a fresh head from the run's `init` stream, and made ready by the method."""
    model, method = parts["model"], parts["method"]
    hardware.restart_random(hardware.stream_seed(asked.seed, asked.replicate, "init"))
    built = model.registered.component.build(info, model.options)
    return built, method.registered.component.adapt(built.model, method.options, recipe)


def initial_weights(network: Any, fresh: tuple[str, ...]) -> tuple[str, str]:
    """Hashes of the newly initialised parameters and of all, before training."""
    state = network.state_dict()
    return weights_sha256((name, state[name]) for name in fresh if name in state), weights_sha256(state.items())


def predict(prepared: Prepared, network: Any, examples: list[Row], device: Any) -> Any:
    """Logits (examples, n_outputs), float32, in the examples' order; evaluated by length, so that little is padding."""
    import torch

    network.eval()
    order = sorted(range(len(examples)), key=lambda number: -len(examples[number].get("input_ids", ())))
    logits = None
    with torch.inference_mode():
        for start in range(0, len(order), EVALUATION_BATCH):
            rows = order[start : start + EVALUATION_BATCH]
            batch = prepared.collate([examples[row] for row in rows])
            output = prepared.predict(network, {name: tensor.to(device) for name, tensor in batch.items()})
            values = output.float().cpu().numpy()  # (rows, n_outputs)
            if logits is None:
                logits = np.empty((len(examples), values.shape[1]), dtype=np.float32)
            logits[rows] = values
    return logits


def score(info: TaskInfo, logits: Any, labels: list[int]) -> dict[str, float]:
    """Every metric of the task on one split."""
    if not np.isfinite(logits).all():
        raise RunError("diverged", "the trained model's logits are not finite")
    predictions = logits.argmax(axis=1)
    return {metric.name: metric.score(predictions, np.asarray(labels)) for metric in info.metrics}


def describe_weights(network: Any, fresh: tuple[str, ...], initial: tuple[str, str], lineage: tuple[str, ...]) -> Weights:
    shown = list(fresh) if len(fresh) <= 20 else [*fresh[:20], f"and {len(fresh) - 20} more"]
    return Weights(
        parameters_total=sum(parameter.numel() for parameter in network.parameters()),
        parameters_trainable=sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
        newly_initialised=shown,
        head_init_sha256=initial[0],
        initial_sha256=initial[1],
        final_sha256=weights_sha256(network.state_dict().items()),
        lineage=list(lineage),
    )


def write_steps(path: Path, job: Job) -> None:
    """step, loss, learning_rate, grad_norm (null where it was not measured), seconds (at its end, from the first begin)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    norms = job.observer.norms
    steps = range(len(job.losses))
    table = pa.table(
        {
            "step": pa.array(steps, pa.int32()),
            "loss": pa.array(job.step_losses(), pa.float32()),
            "learning_rate": pa.array(job.observer.learning_rates, pa.float64()),
            "grad_norm": pa.array([norms.get(step) for step in steps], pa.float32()),
            "seconds": pa.array(job.clock, pa.float32()),
        }
    )
    pq.write_table(table, path, compression="zstd")


def write_predictions(
    path: Path,
    logits: Mapping[str, Any],
    splits: Mapping[str, Mapping[str, Any]],
    encoded: Mapping[str, list[Row]],
    slice_columns: tuple[str, ...],
) -> None:
    """split, id, label, logits (a list of float32), tokens and the task's slice columns for every predicted example."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "split": pa.array([name for name in logits for _ in logits[name]]).dictionary_encode(),
        "id": pa.array([row for name in logits for row in splits[name]["id"]]),
        "label": pa.array([label for name in logits for label in splits[name]["label"]]),
        "logits": pa.array([values for name in logits for values in logits[name]], pa.list_(pa.float32())),
        "tokens": pa.array([len(row.get("input_ids", ())) for name in logits for row in encoded[name]], pa.int32()),
    }
    for column in slice_columns:
        columns[f"slice:{column}"] = pa.array([str(value) for name in logits for value in splits[name][column]])
    table = pa.table(columns)
    pq.write_table(table, path, compression="zstd")


def compose(
    request: Request,
    started: str,
    clock: Clock,
    energy: EnergyCounter,
    observer: Observer,
    found: Findings,
    failure: Failure | None,
    folder: Path,
) -> Record:
    """The record of whatever was found."""
    total = clock.stop()
    joules, note = energy.joules()
    job, device, seconds = found.job, found.device, clock.seconds
    steps = len(job.losses) if job else 0
    training = seconds["warm-up"] + seconds["train"]
    asked = request.asked
    on_cuda = device is not None and device.type == "cuda"
    return Record(
        id=request.id,
        status="failed" if failure else "ok",
        failure=failure,
        started=started,
        asked=asked,
        environment=hardware.environment(
            {getattr(asked, kind).distribution for kind in ("task", "model", "method", "trainer")} | {"bakeoff"},
            threads=request.threads,
            device=device.type if device is not None else request.device,
            accelerator=hardware.accelerator_name(device) if device is not None else "",
        ),
        data=found.data,
        weights=found.weights,
        observed=observer.observed(seen=job.seen(), order_sha256=job.order_sha256()) if job else None,
        scores=found.scores,
        cost=Cost(
            phase_seconds=seconds,
            total_seconds=total,
            steps=steps,
            train_samples_per_second=job.seen()[0] / training if job and training else None,
            evaluate_samples_per_second=found.evaluated / seconds["evaluate"] if found.evaluated else None,
            peak_memory_bytes=peak_memory_bytes(),
            peak_device_memory_bytes=_peak_device_memory(device) if on_cuda else None,
            energy_joules=joules,
            energy_note=note,
            harness_seconds=observer.seconds + (job.seconds if job else 0.0),
        ),
        trainer_owns=found.owns,
        files={path.name: _sha256(path) for path in sorted(folder.iterdir()) if path.name not in {RECORD_FILE, OUTPUT_FILE}},
    )


def _peak_device_memory(device: Any) -> int:
    import torch

    return int(torch.cuda.max_memory_allocated(device))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reason_of(error: Exception) -> Any:
    """A record's word for an exception."""
    if isinstance(error, RunError):
        return error.reason
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return "out of memory"
    return "error"


def message_of(error: Exception) -> str:
    """One line; for what nobody expected, with the place where it was raised."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, BakeoffError):
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(frame.filename).name}:{frame.lineno})"


def main(arguments: list[str]) -> int:
    """The command line of `python -m bakeoff.worker`: 0 for a run that ended well, 1 for a recorded failure."""
    if len(arguments) != 2:
        print("usage: python -m bakeoff.worker REQUEST.json FOLDER", file=sys.stderr)
        return 2
    request = Request.model_validate_json(Path(arguments[0]).read_bytes())
    folder = Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    record = perform(request, folder)
    if record.failure:
        print(f"{record.failure.reason}: {record.failure.message}", file=sys.stderr)
    return 1 if record.failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
