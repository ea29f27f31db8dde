"""What a run leaves behind: found, described, written, composed into a record."""

from __future__ import annotations

import json
import math
import os
import stat
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.contracts.fields import LARGEST
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.metrics import facts_of
from bakeoff.contracts.model import Built
from bakeoff.contracts.task import Row, Task, TaskInfo
from bakeoff.errors import PluginError
from bakeoff.files import KINDS, Tree, temporary_name
from bakeoff.machine import hardware
from bakeoff.machine.faults import writing
from bakeoff.machine.file_hashes import sha256_of
from bakeoff.machine.memory_energy import EnergyCounter, _is_cuda, memory_peaks
from bakeoff.records.provenance import distributions_of, environment, processes_of
from bakeoff.records.schema import (
    FILE_NAME,
    KIND_KEY,
    LONGEST_FILE_NAME,
    MOST_LABELS,
    MOST_NEW,
    MOST_NOTES,
    OUTPUT_FILE,
    RECORD_FILE,
    TRACEBACK_FILE,
    Cost,
    Data,
    Failure,
    MadeFrom,
    Observed,
    Record,
    Requested,
    Selection,
    Split,
    Weights,
)
from bakeoff.records.silent_metrics import shortened, silent_metrics
from bakeoff.text.words import quoted
from bakeoff.training.clock import Clock
from bakeoff.training.data import Columns, split_fingerprint, weights_sha256
from bakeoff.training.data_checks import overlaps
from bakeoff.training.job import Job
from bakeoff.training.observer import Observer
from bakeoff.training.request import Request

DECIMALS = 6
"""Of seconds in a record: nothing is timed better."""


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


def describe_data(task: Task, info: TaskInfo, splits: Mapping[str, Columns]) -> Data:
    """Sizes, fingerprints, the floor, what is in the training split too, and which metrics say nothing."""
    sources = dict(task.source_versions())
    untrained = without_learning(task, info, splits)
    return Data(
        source_versions=sources,
        kind=info.kind.name,
        labels=capped(info.labels, MOST_LABELS),
        splits={
            name: Split(
                examples=len(splits[name]["id"]),
                labelled=name in info.labelled_splits,
                fingerprint=split_fingerprint(splits[name], info, sources),
            )
            for name in info.splits
        },
        metrics=[facts_of(metric) for metric in info.metrics],
        primary_metric=info.primary_metric,
        majority_baseline=untrained.floor,
        overlap=overlaps(info, splits),
        silent=untrained.silent,
    )


@dataclass(frozen=True)
class NoLearning:
    """What the metrics say of a run that learns nothing; all by split and metric."""

    silent: dict[str, dict[str, str]] = field(default_factory=dict)
    """Why a metric says nothing there: it has neither score nor floor."""
    floor: dict[str, dict[str, float]] = field(default_factory=dict)
    undefined: dict[str, dict[str, str]] = field(default_factory=dict)
    """What a metric gives in place of a floor: it says something, but not of answers that are all one."""


def without_learning(task: Task, info: TaskInfo, splits: Mapping[str, Columns]) -> NoLearning:
    """Of all scored splits. Raises DataError where a metric can't be had."""
    train = np.asarray(splits["train"]["label"])
    right = {name: np.asarray(splits[name]["label"]) for name in info.scored_splits}
    found = NoLearning(silent_metrics(info.metrics, right, info.labels, load=True))
    for name, labels in right.items():
        floor = found.floor.setdefault(name, {})
        for metric in info.metrics:
            if metric.name in found.silent.get(name, {}):
                continue
            alone = replace(info, metrics=(metric,), primary_metric=metric.name)
            try:
                score = task.majority_baseline(alone, train, labels)[metric.name]
                told = "" if abs(score) <= LARGEST else f"{score}"
            except Exception as error:  # a metric of any author
                told = shortened(f"{type(error).__name__}: {error}")
            if told:
                found.undefined.setdefault(name, {})[metric.name] = told
            else:
                floor[metric.name] = float(score)
    return found


def describe_weights(network: Any, built: Built, initial: tuple[str, str], lineage: tuple[str, ...]) -> Weights:
    """`built` is the model before the method; `initial` the hash of what was fresh then, and of all before training."""
    return Weights(
        parameters_total=sum(parameter.numel() for parameter in network.parameters()),
        parameters_trainable=sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
        newly_initialised=capped(built.newly_initialised, MOST_NEW),
        head=built.head,
        head_init_sha256=initial[0],
        initial_sha256=initial[1],
        final_sha256=weights_sha256(network.state_dict().items()),
        lineage=list(lineage),
        trained_bytes=trained_bytes(network),
    )


def trained_bytes(network: Any) -> int:
    """The size of a safetensors file with the parameters that trained: 8 bytes, a header padded to 8 bytes, and the tensors."""
    header, size = {}, 0
    for name, tensor in sorted(network.named_parameters()):
        if tensor.requires_grad:
            begin, size = size, size + tensor.numel() * tensor.element_size()
            kind = f"{'BF' if 'bfloat' in str(tensor.dtype) else 'F'}{8 * tensor.element_size()}"
            header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [begin, size]}
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + 8 * math.ceil(length / 8) + size


def capped(names: Sequence[str], limit: int = MOST_LABELS) -> list[str]:
    """The first names and how many more: a record stays small however many there are."""
    return list(names) if len(names) <= limit else [*names[:limit], f"and {len(names) - limit} more"]


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
    with writing(path, size=table.nbytes), Tree(path.parent).writing(path) as stream:
        pq.write_table(table, stream, compression="zstd")


def write_predictions(
    path: Path,
    logits: Mapping[str, Any],
    splits: Mapping[str, Mapping[str, Sequence[Any]]],
    encoded: Mapping[str, Sequence[Row]],
    slice_columns: tuple[str, ...],
    kind: Kind,
) -> None:
    """split, id, label (null where the split has none), logits (a list of float32), tokens and the task's slice columns for
    every predicted example."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "split": pa.array([name for name in logits for _ in logits[name]]).dictionary_encode(),
        "id": pa.array([row for name in logits for row in splits[name]["id"]]),
        "label": pa.array([label for name in logits for label in splits[name]["label"]], pa.type_for_alias(kind.arrow_type)),
        "logits": pa.array([values for name in logits for values in logits[name]], pa.list_(pa.float32())),
        "tokens": pa.array([len(row.get("input_ids", ())) for name in logits for row in encoded[name]], pa.int32()),
    }
    for column in slice_columns:
        columns[f"slice:{column}"] = pa.array([str(value) for name in logits for value in splits[name][column]])
    table = pa.table(columns).replace_schema_metadata({KIND_KEY: kind.name.encode()})
    with writing(path, size=table.nbytes), Tree(path.parent).writing(path) as stream:
        pq.write_table(table, stream, compression="zstd")


def compose(
    request: Request,
    started: str,
    clock: Clock,
    observer: Observer,
    found: Findings,
    failure: Failure | None,
    folder: Path,
) -> Record:
    """The record of whatever was found."""
    require_plain(folder, request.requested)
    total = clock.stop()
    joules, note = found.energy.joules()
    job, device, seconds = found.job, found.device, clock.seconds
    steps = len(job.losses) if job else 0
    training, evaluating = seconds["warm-up"] + seconds["train"], seconds["evaluate"]
    operations = job.flops() if job else (None, "not counted: training was not reached")
    asked = request.requested
    memory, on_device = found.memory or memory_peaks(device)
    return Record(
        id=request.id,
        status="failed" if failure else "ok",
        failure=failure,
        started=started,
        requested=asked,
        made_from=found.made_from,
        environment=environment(
            distributions_of(asked),
            threads=request.threads,
            device=device.type if device is not None else request.device,
            accelerator=hardware.accelerator_name(device) if device is not None else "",
            processes=processes_of(asked),
            jobs=request.jobs,
        ),
        data=found.data,
        weights=found.weights,
        observed=seen_of(job) if job else None,
        scores={} if failure else found.scores,
        selection=found.selection,
        evaluation_difference=found.evaluation_difference,
        largest_logit=found.largest_logit,
        cost=Cost(
            phase_seconds=rounded(seconds),
            total_seconds=round(total, DECIMALS),
            steps=steps,
            train_samples_per_second=rate(job.seen()[0], training) if job else None,
            evaluate_samples_per_second=rate(found.evaluated, evaluating),
            peak_memory_bytes=memory,
            peak_device_memory_bytes=on_device if _is_cuda(device) else None,
            energy_joules=joules,
            energy_note=note,
            flops=operations[0],
            flops_note=operations[1],
            harness_seconds=round(observer.seconds + (job.seconds if job else 0.0), DECIMALS),
        ),
        attempts=request.attempts,
        resumed_at=job.resumed_at if job else [],
        trainer_owns=found.owns,
        trainer_notes=capped(found.notes, MOST_NOTES),
        files={name: sha256_of(folder / name) for name in files_in(folder)},
    )


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Of each phase, to the microsecond."""
    return {phase: round(taken, DECIMALS) for phase, taken in seconds.items()}


def rate(examples: int, seconds: float) -> float | None:
    """Examples a second, to the six digits that a clock is good for; None where there were none."""
    return float(f"{examples / seconds:.6g}") if examples and seconds else None


def seen_of(job: Job) -> Observed | None:
    """What was seen of the training."""
    return job.observer.observed(seen=job.seen(), order_sha256=job.order_sha256(), loss_scale=job.loss_scale())


def write_record(folder: Path, content: bytes) -> None:
    """A record is there whole or not at all."""
    Tree(folder).write(folder / RECORD_FILE, content)


def write_traceback(folder: Path) -> None:
    """Of the exception that is being handled, beside the record; raises MachineError where there is no room."""
    content = traceback.format_exc().encode(errors="backslashreplace")
    with writing(folder, size=len(content)):
        Tree(folder).write(folder / TRACEBACK_FILE, content)


def bare_record(request: Request, started: str, failure: Failure, *, cost: Cost | None = None) -> Record:
    """The record of a run that could say nothing of itself."""
    return Record(
        id=request.id,
        status="failed",
        failure=failure,
        started=started,
        requested=request.requested,
        environment=environment(
            distributions_of(request.requested),
            threads=request.threads,
            device=request.device,
            processes=processes_of(request.requested),
            jobs=request.jobs,
        ),
        data=None,
        weights=None,
        observed=None,
        scores={},
        selection=None,
        evaluation_difference=None,
        cost=cost,
        attempts=request.attempts,
        resumed_at=[],
        trainer_owns=[],
        files={},
    )


def files_in(folder: Path) -> list[str]:
    """Of a run, its record and what it printed apart."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return [name for name in names if name not in {RECORD_FILE, OUTPUT_FILE}]


def clear(tree: Tree, folder: Path) -> None:
    """Removes all from a run's folder, which was empty when the run began, but what it printed and its traceback. What the
    system does not let go stays."""
    for name in tree.names(folder):
        path = folder / name
        with suppress(OSError):
            if name in {OUTPUT_FILE, TRACEBACK_FILE} and stat.S_ISREG(path.lstat().st_mode):
                continue
            tree.move(path, gone := folder / temporary_name("left"))  # by that name it is known as the run's
            tree.remove_folder(gone)


def require_plain(folder: Path, asked: Requested) -> None:
    """Raises PluginError for what a plugin left in its run's folder and no record can name."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (what := _oddity(path, name)) is None:
            continue
        who = f"trainer {asked.trainer.name} of {asked.trainer.distribution}, or another plugin of the run, left it there"
        raise PluginError(f"{quoted(name)} in the run's folder is {what}; {who}, and a record is of plain files alone")


def _oddity(path: Path, name: str) -> str | None:
    """What a record cannot name, in words; None for a plain file with a plain name, and for a folder of such."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        if name == RECORD_FILE:
            return "a folder in the place of the record"
        return None if any(path.iterdir()) else "an empty folder"
    if not stat.S_ISREG(mode):
        return KINDS.get(stat.S_IFMT(mode), "no plain file")
    fits = FILE_NAME.fullmatch(name) and len(name) <= LONGEST_FILE_NAME
    return None if fits else "a file with a name that no record can hold"


def end_copy(process: int) -> None:
    """Ends this process where it is another: a copy of the run's that a plugin's `os.fork` made, and let go on."""
    if os.getpid() != process:
        os._exit(1)
