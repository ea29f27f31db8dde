"""THE MAIN LINE: one run in its own process. Read `fine_tune` from top to bottom.

`python -m bakeoff.worker REQUEST.json FOLDER` performs one run and leaves its record in FOLDER: the door for schedulers.
"""

from __future__ import annotations

import errno
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from bakeoff import hardware
from bakeoff.components import Adaptation, Built, Encoding, Places, Prepared, Row, Task, TaskInfo
from bakeoff.data import check_rows
from bakeoff.errors import BakeoffError, RunError, shown_path
from bakeoff.job import Job
from bakeoff.meter import Clock, EnergyCounter, Observer, forget_peak_memory
from bakeoff.metrics import answers
from bakeoff.outcome import (
    Findings,
    bare_record,
    compose,
    describe_data,
    describe_weights,
    initial_weights,
    message_of,
    reason_of,
    write_predictions,
    write_steps,
)
from bakeoff.plan import Component
from bakeoff.record import PREDICTIONS_FILE, RECORD_FILE, STEPS_FILE, Asked, Failure, Record, dump
from bakeoff.registry import Registry, load_registry
from bakeoff.request import Request
from bakeoff.selection import BestState
from bakeoff.spec import SELECTION_SPLIT, Recipe

EVALUATION_BATCH = 32
"""Examples per forward pass when predicting; the same for all runs, so that it never tells strategies apart."""

Report = Callable[[str, int, int, float | None], None]
"""Progress: phase, step, total steps, loss."""


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

    def evaluate(split: str) -> Any:
        found.evaluated += len(encoded[split])
        return predict(prepared, network, encoded[split], device)

    best = best_state(asked, info, network, splits, evaluate)

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
        on_epoch=look_between(best, begin) if best is not None else None,
    )
    begin("warm-up")
    with observer:
        trainer.fit(job, options["trainer"])
    job.check()
    if "order" not in trainer.owns:
        job.check_order()

    begin("evaluate")
    if best is not None:
        best.look()
        found.selection = best.restore()
    logits = {name: evaluate(name) for name in info.predicted_splits}
    found.evaluation_difference = repeat_first_batch(prepared, network, encoded, logits, device)
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
    try:
        record = compose(request, started, clock, energy, observer, found, failure, folder)
        content = dump(record)
    except Exception as error:  # a plugin's numbers may be anything: a record must be left all the same
        unfit = Failure(reason="error", message=f"no record could be made of it: {message_of(error)}", phase=clock.phase)
        record = bare_record(request, started, failure or unfit)
        content = dump(record)
    unfinished = folder / f".{RECORD_FILE}"
    unfinished.write_bytes(content)
    unfinished.rename(folder / RECORD_FILE)
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


def build(parts: Mapping[str, Component], info: TaskInfo, asked: Asked, recipe: Recipe) -> tuple[Built, Adaptation]:
    """The model with a fresh head from the run's `init` stream, and made ready by the method."""
    model, method = parts["model"], parts["method"]
    hardware.restart_random(hardware.stream_seed(asked.seed, asked.replicate, "init"))
    built = model.registered.component.build(info, model.options)
    return built, method.registered.component.adapt(built, method.options, recipe)


def predict(prepared: Prepared, network: Any, examples: list[Row], device: Any) -> Any:
    """Logits (examples, n_outputs), float32, in the examples' order; evaluated by length, so that little is padding."""
    import torch

    network.eval()
    order = longest_first(examples)
    logits = None
    with torch.no_grad():  # not inference mode: training may go on, and what a model caches in that mode has no gradients
        for start in range(0, len(order), EVALUATION_BATCH):
            rows = order[start : start + EVALUATION_BATCH]
            batch = prepared.collate([examples[row] for row in rows])
            output = prepared.predict(network, {name: tensor.to(device) for name, tensor in batch.items()})
            values = output.float().cpu().numpy()  # (rows, n_outputs)
            if logits is None:
                logits = np.empty((len(examples), values.shape[1]), dtype=np.float32)
            logits[rows] = values
    return logits


def longest_first(examples: Sequence[Row]) -> list[int]:
    return sorted(range(len(examples)), key=lambda number: -len(examples[number].get("input_ids", ())))


def repeat_first_batch(
    prepared: Prepared, network: Any, encoded: Mapping[str, list[Row]], logits: Mapping[str, Any], device: Any
) -> float | None:
    """Predicts the first batch of the first split once more; the largest difference, None where there is no finite one."""
    for name, before in logits.items():
        rows = longest_first(encoded[name])[:EVALUATION_BATCH]
        again = predict(prepared, network, [encoded[name][row] for row in rows], device)
        if np.array_equal(before[rows], again, equal_nan=True):
            return 0.0
        largest = float(np.abs(before[rows] - again).max())
        return largest if math.isfinite(largest) else None
    return None


def best_state(
    asked: Asked,
    info: TaskInfo,
    network: Any,
    splits: Mapping[str, Mapping[str, Any]],
    predict_split: Callable[[str], Any],
) -> BestState | None:
    """The keeper of the best state, where the experiment selects one."""
    if asked.select != "best-on-dev":
        return None
    labels = splits[SELECTION_SPLIT]["label"]

    def evaluate() -> tuple[Any, float]:
        logits = predict_split(SELECTION_SPLIT)
        return answers(logits, info.kind), score(info, logits, labels)[info.primary_metric]

    primary = next(metric for metric in info.metrics if metric.name == info.primary_metric)
    return BestState(network, evaluate, split=SELECTION_SPLIT, higher_is_better=primary.higher_is_better)


def look_between(best: BestState, begin: Callable[[str], None]) -> Callable[[], None]:
    """A look while training; its time is the evaluation's."""

    def look() -> None:
        begin("evaluate")
        best.look()
        begin("train")

    return look


def score(info: TaskInfo, logits: Any, labels: list[int]) -> dict[str, float]:
    """Every metric of the task on one split."""
    if not np.isfinite(logits).all():
        raise RunError("diverged", "the trained model's logits are not finite")
    predictions = answers(logits, info.kind)
    scores = {metric.name: metric.score(predictions, np.asarray(labels)) for metric in info.metrics}
    for name, value in scores.items():
        if not math.isfinite(value):
            raise RunError("error", f"metric '{name}' gave {value}")
    return scores


def main(arguments: list[str]) -> int:
    """The command line of `python -m bakeoff.worker`: 0 for a run that ended well, 1 for a recorded failure."""
    if len(arguments) != 2:
        print("usage: python -m bakeoff.worker REQUEST.json FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[1])
    try:
        request = Request.model_validate_json(Path(arguments[0]).read_bytes())
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(errno.EEXIST, "holds something already; a run needs an empty folder", str(folder))
    except ValidationError as error:
        print(f"{shown_path(arguments[0])} is no request: {error.error_count()} errors", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{shown_path(error.filename)}: {error.strerror}", file=sys.stderr)
        return 2
    hardware.prepare_environment(request.threads)
    record = perform(request, folder)
    if record.failure:
        print(f"{record.failure.reason}: {record.failure.message}", file=sys.stderr)
    return 1 if record.failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
