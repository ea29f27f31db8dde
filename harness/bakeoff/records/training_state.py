"""The training state in a checkpoint, checked once where it is read: types, ranges, and whether it fits the run and its model.

Checksums detect a damaged checkpoint, but not a forged one. An error after these checks, while the state is restored, is not
blamed on the checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bakeoff.contracts.fields import Count, PlainDict, Seconds, Sha256, Some, first_flaw
from bakeoff.records.schema import PHASES
from bakeoff.text.words import quoted

TENSORS, FACTS, MANIFEST = "state.safetensors", "state.json", "manifest.json"
MOST_OF_A_MANIFEST: Final = 2**12
MOST_OF_THE_FACTS: Final = 2**30
"""The largest size of `state.json` in bytes; a step takes about 60 bytes for each of its rows."""
STATES_OF_A_MODEL: Final = 12
"""A checkpoint's tensors are at most so many times the model's: weights, the best weights, the optimizer's state."""
AVERAGES: Final = frozenset({"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"})
"""Names of the moving averages in the states of torch's optimizers."""
NUMBER: Final = re.compile(r"[0-9]{1,9}")
"""The pattern of a parameter's number, as it stands in the names of the optimizer's values."""
BESIDE_THE_MODEL: Final = 2**30
"""Bytes that a checkpoint's tensors may have beyond those of the model's size: losses, and predictions of each evaluation."""


class StatePart(BaseModel):
    """The base of a checkpoint's parts. NaN and infinity are allowed: a training that diverges has such norms and losses."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Manifest(StatePart):
    """The list of a checkpoint's files, written last: without it a checkpoint is incomplete."""

    steps: Some
    files: Annotated[dict[str, Sha256], Field(max_length=2)]
    seal: Sha256
    """SHA-256 of this file, computed with 64 zeros in place of this value."""


class ObserverState(StatePart):
    """The state of `training.observer.Observer`."""

    steps: Count
    learning_rates: list[float]
    norms: dict[Annotated[str, Field(pattern=r"^[0-9]{1,18}$")], float]
    seconds: Seconds
    skipped: list[Count] = []


class BestFacts(StatePart):
    """The state of `training.evaluation.BestState`: the score of each evaluation, the number of the best one, from 0, and the
    scores by which early stopping decides."""

    scores: list[float] = []
    best: Count = 0
    watched: list[float] = []


class OtherFacts(StatePart):
    """What a checkpoint keeps besides the state of the training: seconds by phase, and the state of `select: best-on-dev`."""

    seconds: dict[Literal[*PHASES], Seconds] = {}  # type: ignore[valid-type]
    best: BestFacts = BestFacts()


class TrainingState(StatePart):
    """The content of `state.json`, except what the checkpoint was made from."""

    optimizer: dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], PlainDict]
    """Number of a parameter -> what the optimizer stores for it, other than tensors."""
    scheduler: PlainDict
    clock: list[float]
    fed: list[tuple[tuple[Count, ...], Count, Count]]
    """(rows, tokens, tokens with padding) of each micro-batch."""
    operations: dict[Annotated[str, Field(pattern=r"^[0-9]{1,18}$")], Count]
    epochs_ended: Count
    observer: ObserverState
    loss_scale: list[tuple[Some, float, float, list[float]]]
    resumed_at: list[Count]
    scaler: PlainDict = {}
    """The state of the loss scale of fp16; empty for other precisions."""
    others: OtherFacts = OtherFacts()


@dataclass(frozen=True)
class Due:
    """What a checkpoint's state must agree with: the schedule and model of the run that continues from it."""

    steps: int
    """The number of steps of the whole training."""
    steps_per_epoch: int
    micro_batches: Sequence[tuple[int, ...]] | None
    """The rows of each micro-batch up to the state's step; None if the trainer has an order of its own."""
    weights: Mapping[str, Any]
    """Name -> tensor of the model, for each that training may change; names, shapes and types are compared."""


def parse_state(facts: Any) -> TrainingState:
    """Validates the content of `state.json`. Raises ValueError that names the first invalid field."""
    try:
        return TrainingState.model_validate(facts)
    except ValidationError as error:
        raise ValueError(f"{FACTS}: {first_flaw(error)}") from None


def require_fit(steps: int, state: TrainingState, tensors: Mapping[str, Any], due: Due) -> None:
    """Raises ValueError if state and tensors cannot be those of the run that `due` describes after so many steps."""
    if not 0 < steps < due.steps:
        raise ValueError(f"the checkpoint is of step {steps}, and the run has only {due.steps} steps")
    counts = {
        "clock": len(state.clock),
        "observer.steps": state.observer.steps,
        "observer.learning_rates": len(state.observer.learning_rates),
        "losses": tensors["losses"].numel() if "losses" in tensors else 0,
    }
    for what, count in counts.items():
        if count != steps:
            raise ValueError(f"{what}: {count} entries for {steps} steps")
    if state.epochs_ended > steps // due.steps_per_epoch:
        raise ValueError(f"epochs_ended: {state.epochs_ended} after {steps} steps of {due.steps_per_epoch} an epoch")
    if any(int(step) >= steps for step in (*state.operations, *state.observer.norms)):
        raise ValueError(f"it has operations or gradient norms of steps after the {steps} steps that were taken")
    if state.resumed_at != sorted(state.resumed_at) or any(not 0 < step <= steps for step in state.resumed_at):
        raise ValueError(f"resumed_at: {state.resumed_at[:5]} after {steps} steps")
    if due.micro_batches is not None and [rows for rows, _, _ in state.fed] != list(due.micro_batches):
        raise ValueError("fed: it was trained on other rows than this run's")
    _require_tensors(state, tensors, due.weights)


def _require_tensors(state: TrainingState, tensors: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    named: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        named.setdefault(group, {})[rest] = tensor
    if named.keys() - {"model", "losses", "optimizer", "best", "answers"}:
        raise ValueError(f"{TENSORS}: it has unknown tensors of {', '.join(sorted(map(repr, named)))}")
    _require_same("model", named.get("model", {}), weights, all_of_them=True)
    _require_same("best", named.get("best", {}), weights, all_of_them=bool(state.others.best.scores))
    answers, evaluations = named.get("answers", {}), len(state.others.best.scores)
    if answers.keys() != {str(number) for number in range(evaluations)} or len({one.shape for one in answers.values()}) > 1:
        raise ValueError(f"{TENSORS}: the predictions of its {evaluations} evaluations are missing, or differ in length")
    if evaluations and state.others.best.best >= evaluations:
        raise ValueError(f"others.best: {state.others.best.best} of {evaluations} evaluations")


def _require_same(what: str, found: Mapping[str, Any], wanted: Mapping[str, Any], *, all_of_them: bool) -> None:
    """Raises ValueError if tensors have other names, shapes or types than wanted."""
    if wrong := sorted(found.keys() ^ wanted.keys() if all_of_them else found.keys() - wanted.keys()):
        raise ValueError(f"{TENSORS}: {what}/{wrong[0]} is {'not a tensor of the model' if wrong[0] in found else 'missing'}")
    for name, tensor in found.items():
        if (tensor.shape, tensor.dtype) != (wanted[name].shape, wanted[name].dtype):
            raise ValueError(f"{TENSORS}: {what}/{name} is {tuple(tensor.shape)} {tensor.dtype}, unlike the model's")


def parameter_states(
    numbers: Mapping[str, Mapping[str, Any]],
    tensors: Mapping[str, Any],
    parameters: Sequence[Any],
    averages: Collection[str] = AVERAGES,
) -> dict[int, dict[str, Any]]:
    """The state to load into an optimizer: number of a parameter (0, 1, ...) -> name -> a number or a tensor.

    numbers: number of a parameter -> name -> value. tensors: those of the checkpoint. parameters: those of the optimizer.

    averages: names of tensors that have their parameter's shape, as those of torch's optimizers do; others may have any. Raises
    ValueError, which begins with the file's name, if an optimizer of these parameters can't continue from it.
    """
    kept = [(FACTS, index, name, value) for index, values in numbers.items() for name, value in values.items()]
    for whole, tensor in tensors.items():
        group, _, rest = whole.partition("/")
        index, _, name = rest.partition("/")
        if group == "optimizer":
            kept.append((TENSORS, index, name, tensor))
    state: dict[int, dict[str, Any]] = {}
    for file, index, name, value in kept:
        place = f"{file}: {quoted(f'optimizer/{index}/{name}')}"
        if not name or not NUMBER.fullmatch(index) or int(index) >= len(parameters):
            raise ValueError(f"{place} belongs to no parameter: the optimizer has {len(parameters)} parameters")
        wanted, shape = tuple(parameters[int(index)].shape), tuple(getattr(value, "shape", ()))
        if (name in averages and shape != wanted) or (name == "step" and shape not in {(), (1,)}):
            raise ValueError(f"{place} is of shape {shape}, its parameter of {wanted}")
        state.setdefault(int(index), {})[name] = value
    return state


def require_scheduler(schedule: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raises ValueError, which begins with the file's name, if a scheduler whose current state is `own` can't continue from
    the saved state `schedule`."""
    wanted = {name for name, value in own.items() if is_plain(value)}
    if wrong := sorted(schedule.keys() ^ wanted):
        why = "is missing" if wrong[0] in wanted else "is not part of this scheduler's state"
        raise ValueError(f"{FACTS}: scheduler: {quoted(wrong[0])} {why}")
    for name, value in schedule.items():
        if not _alike(value, own[name]):
            told = f"in the checkpoint's scheduler {name} is {quoted(value)}, in the run's {quoted(own[name])}"
            raise ValueError(f"{FACTS}: {told}")


def is_plain(value: Any) -> bool:
    """Whether the value can be stored as JSON."""
    if isinstance(value, list):
        return all(is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def _alike(value: Any, own: Any) -> bool:
    """Whether a value can replace `own`: numbers for numbers, lists of equal length; anything for None."""
    if isinstance(own, list):
        return isinstance(value, list) and len(value) == len(own) and all(map(_alike, value, own))
    if isinstance(own, int | float) and not isinstance(own, bool):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return own is None or value is None or type(value) is type(own)
