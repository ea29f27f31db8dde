"""Writes the results of a run: its steps, its predictions, and its record, whether it succeeded or failed."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.contracts.kind import Kind
from bakeoff.contracts.own_model import ReportedStep
from bakeoff.contracts.registry import plugin_packages
from bakeoff.contracts.task import Row
from bakeoff.errors import BakeoffError, RunError
from bakeoff.files import Tree
from bakeoff.machine import hardware
from bakeoff.machine.faults import writing
from bakeoff.machine.memory_energy import is_cuda, memory_peaks
from bakeoff.records.provenance import environment
from bakeoff.records.record_files import dump
from bakeoff.records.schema import (
    KIND_KEY,
    MOST_NEW,
    MOST_NOTES,
    RECORD_FILE,
    TRACEBACK_FILE,
    Cost,
    Environment,
    Failure,
    Record,
    Weights,
    capped,
)
from bakeoff.text.words import escaped
from bakeoff.training.assembly import Assembly, Findings
from bakeoff.training.clock import Clock
from bakeoff.training.data import weights_sha256
from bakeoff.training.job import Job
from bakeoff.training.request import Request
from bakeoff.training.run_folder import hashes_of, require_plain

NO_STEPS = "not counted: the trainer owns its model"
DECIMALS = 6
"""Decimals of seconds in a record; clocks are not more precise."""


def failure_of(error: BaseException, phase: str) -> Failure:
    """The record's description of an exception that ended a run."""
    reason: Any = "error"
    if isinstance(error, RunError):
        reason = error.reason
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        reason = "out of memory"
    return Failure(reason=reason, message=message_of(error), phase=phase)


def message_of(error: BaseException, packages: Collection[str] | None = None) -> str:
    """An exception in one line; if it is not Bakeoff's own, with its type, the place where it was raised, and the line of a
    plugin that called what raised it. packages: top-level packages of the plugins; by default of all installed ones."""
    text = escaped(" ".join(str(error).split())[:500])
    if isinstance(error, BakeoffError):
        return text
    frames = [
        (str(frame.f_globals.get("__name__", "")).partition(".")[0], _place(frame.f_code.co_filename, line))
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    where = ""
    if frames:
        plugins = plugin_packages() if packages is None else packages
        own = [place for package, place in frames if package in plugins]
        called = f", called at {own[-1]}" if own and own[-1] != frames[-1][1] else ""
        where = f" ({frames[-1][1]}{called})"
    return f"{type(error).__name__}: {text}{where}"


def _place(file: str, line: int) -> str:
    path = Path(file)
    return f"{path.parent.name}/{path.name}:{line}" if path.stem == "__init__" else f"{path.name}:{line}"


def describe_weights(run: Assembly) -> Weights:
    """What a record says about the weights of a run after its training."""
    return Weights(
        parameters_total=sum(parameter.numel() for parameter in run.network.parameters()),
        parameters_trainable=sum(parameter.numel() for parameter in run.network.parameters() if parameter.requires_grad),
        newly_initialised=capped(run.built.newly_initialised, MOST_NEW),
        head=run.built.head,
        head_init_sha256=run.head_sha256,
        initial_sha256=run.initial_sha256,
        final_sha256=weights_sha256(run.network.state_dict().items()),
        lineage=list(run.adaptation.lineage),
        trained_bytes=trained_bytes(run.network),
    )


def trained_bytes(network: Any) -> int:
    """The size of a safetensors file with the trained parameters: 8 bytes, a header padded to a multiple of 8, the tensors."""
    header, size = {}, 0
    for name, tensor in sorted(network.named_parameters()):
        if tensor.requires_grad:
            begin, size = size, size + tensor.numel() * tensor.element_size()
            kind = f"{'BF' if 'bfloat' in str(tensor.dtype) else 'F'}{8 * tensor.element_size()}"
            header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [begin, size]}
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + 8 * math.ceil(length / 8) + size


def write_steps(path: Path, job: Job) -> None:
    """Writes the steps of a training as Parquet, with columns step, loss, learning_rate, grad_norm (null where it was not
    measured), seconds (since the first step began)."""
    import pyarrow as pa

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
    _write_table(path, table)


def write_reported_steps(path: Path, steps: Sequence[ReportedStep]) -> None:
    """Writes the steps that a script reported as Parquet, with columns step, loss, learning_rate (null where it was not
    reported). Writes nothing if no step was reported."""
    import pyarrow as pa

    if not steps:
        return
    table = pa.table(
        {
            "step": pa.array(range(len(steps)), pa.int32()),
            "loss": pa.array([step.loss for step in steps], pa.float64()),
            "learning_rate": pa.array([step.learning_rate for step in steps], pa.float64()),
        }
    )
    _write_table(path, table)


def write_predictions(
    path: Path,
    logits: Mapping[str, Any],
    splits: Mapping[str, Mapping[str, Sequence[Any]]],
    encoded: Mapping[str, Sequence[Row]],
    slice_columns: tuple[str, ...],
    kind: Kind,
) -> None:
    """Writes the predictions of a run as Parquet, one row for each example: split, id, label (null in splits without labels),
    logits (a list of float32), tokens, and the task's slice columns.

    logits: split -> (examples, n_outputs). splits: split -> column -> values. encoded: split -> encoded rows, to count tokens.
    """
    import pyarrow as pa

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
    _write_table(path, table)


def _write_table(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    with writing(path, size=table.nbytes), Tree(path.parent).writing(path) as stream:
        pq.write_table(table, stream, compression="zstd")


def compose(
    request: Request,
    started: str,
    clock: Clock,
    found: Findings,
    failure: Failure | None,
    folder: Path,
) -> Record:
    """The record of a run that has ended, with everything that is known about it."""
    require_plain(folder, request.requested)
    total = clock.stop()
    joules, note = found.energy.joules()
    job, device, seconds = found.job, found.device, clock.seconds
    steps = len(job.losses) if job else 0
    training, evaluating = seconds["warm-up"] + seconds["train"], seconds["evaluate"]
    operations = job.flops() if job else (None, NO_STEPS if "model" in found.owns else "not counted: training was not reached")
    requested = request.requested
    memory, on_device = found.memory or memory_peaks(device)
    return Record(
        id=request.id,
        status="failed" if failure else "ok",
        failure=failure,
        started=started,
        requested=requested,
        made_from=found.made_from,
        environment=environment_of(request, device, found.distributions),
        data=found.data,
        weights=found.weights,
        observed=job.observed() if job else None,
        scores={} if failure else found.scores,
        selection=found.selection,
        evaluation_difference=found.evaluation_difference,
        largest_logit=found.largest_logit,
        cost=Cost(
            phase_seconds=rounded(seconds),
            total_seconds=round(total, DECIMALS),
            steps=steps,
            train_samples_per_second=rate(job.counts()[0], training) if job else None,
            evaluate_samples_per_second=rate(found.evaluated, evaluating),
            peak_memory_bytes=memory,
            peak_device_memory_bytes=on_device if is_cuda(device) else None,
            energy_joules=joules,
            energy_note=note,
            flops=operations[0],
            flops_note=operations[1],
            harness_seconds=round(found.observer.seconds + (job.seconds if job else 0.0), DECIMALS),
        ),
        attempts=request.attempts,
        resumed_at=job.resumed_at if job else [],
        trainer_owns=found.owns,
        randomness="trainer" if "randomness" in found.owns else "harness",
        trainer_notes=capped(found.notes, MOST_NOTES),
        max_length=found.max_length,
        predicted=found.predicted,
        timed=found.timed,
        used_dev=found.used_dev,
        claims=found.claims,
        files=hashes_of(folder),
    )


def environment_of(request: Request, device: Any = None, distributions: Collection[str] = ()) -> Environment:
    """The environment of a run; `device` is None where the run failed before it had one. distributions: those that belong to
    its software beside its components' own."""
    return environment(
        request.requested.distributions.union(distributions),
        threads=request.threads,
        device=device.type if device is not None else request.device,
        accelerator=hardware.accelerator_name(device) if device is not None else "",
        processes=request.requested.processes,
        jobs=request.jobs,
    )


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds of each phase, to the microsecond."""
    return {phase: round(taken, DECIMALS) for phase, taken in seconds.items()}


def rate(examples: int, seconds: float) -> float | None:
    """Examples per second, to six digits; None without examples or time."""
    return float(f"{examples / seconds:.6g}") if examples and seconds else None


def write_record(folder: Path, record: Record) -> None:
    """Writes the record atomically. Raises MachineError if there is no space, and StoreError for a record that could not be
    read again."""
    content = dump(record)
    with writing(folder, size=len(content)):
        Tree(folder).write(folder / RECORD_FILE, content)


def write_traceback(folder: Path) -> None:
    """Writes the traceback of the current exception beside the record. Raises MachineError where there is no room."""
    content = traceback.format_exc().encode(errors="backslashreplace")
    with writing(folder, size=len(content)):
        Tree(folder).write(folder / TRACEBACK_FILE, content)


def bare_record(request: Request, started: str, failure: Failure, *, cost: Cost | None = None) -> Record:
    """The record of a failed run about which nothing else is known."""
    return Record(
        id=request.id,
        status="failed",
        failure=failure,
        started=started,
        requested=request.requested,
        environment=environment_of(request),
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
