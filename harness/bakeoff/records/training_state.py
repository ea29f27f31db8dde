"""The state of a training in a checkpoint, checked once where it is read: types, ranges, and that it fits the run and its
model.

Checksums detect a damaged checkpoint, but not one that somebody made. After these checks, an error while the state is restored
is not the checkpoint's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bakeoff.contracts.fields import Count, PlainDict, Seconds, Sha256, Some, first_flaw
from bakeoff.records.schema import PHASES
from bakeoff.text.words import quoted

TENSORS, FACTS, MANIFEST = "state.safetensors", "state.json", "manifest.json"
MOST_OF_A_MANIFEST: Final = 2**12
MOST_OF_THE_FACTS: Final = 2**30
"""Bytes: a step takes about 60 for each of its rows."""
STATES_OF_A_MODEL: Final = 12
"""A checkpoint's tensors are at most so many times the model's: weights, the best ones, what optimizers keep of each."""
AVERAGES: Final = frozenset({"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"})
"""Of torch's optimizers, by the names in their state."""
NUMBER: Final = re.compile(r"[0-9]{1,9}")
"""Of a parameter."""
BESIDE_THE_MODEL: Final = 2**30
"""Bytes of what does not grow with the model: losses, and the answers of each evaluation."""


class StatePart(BaseModel):
    """The base of a checkpoint's parts. NaN and infinity are allowed: a training that diverges has such norms and losses."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Manifest(StatePart):
    """Written last: what makes a checkpoint whole."""

    steps: Some
    files: Annotated[dict[str, Sha256], Field(max_length=2)]
    seal: Sha256
    """sha256 of this file with 64 zeros in this place."""


class ObserverState(StatePart):
    """The state of `training.observer.Observer`."""

    steps: Count
    learning_rates: list[float]
    norms: dict[Annotated[str, Field(pattern=r"^[0-9]{1,18}$")], float]
    seconds: Seconds


class BestFacts(StatePart):
    """The state of `training.best_epoch`: the score of each evaluation, and the best one."""

    scores: list[float] = []
    best: Count = 0


class OtherFacts(StatePart):
    """Of what is kept beside the training itself."""

    seconds: dict[Literal[*PHASES], Seconds] = {}  # type: ignore[valid-type]
    best: BestFacts = BestFacts()


class TrainingState(StatePart):
    """`state.json`, without what the checkpoint was made from."""

    optimizer: dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], PlainDict]
    """Number of a parameter -> what the optimizer keeps of it beside tensors."""
    scheduler: PlainDict
    clock: list[float]
    fed: list[tuple[tuple[Count, ...], Count, Count]]
    """Rows, tokens and tokens with padding of each micro-batch."""
    operations: dict[Annotated[str, Field(pattern=r"^[0-9]{1,18}$")], Count]
    epochs_ended: Count
    observer: ObserverState
    loss_scale: list[tuple[Some, float, float, list[float]]]
    resumed_at: list[Count]
    others: OtherFacts = OtherFacts()


@dataclass(frozen=True)
class Due:
    """What a state has to be like, by the run's own plan and model."""

    steps: int
    """Of the whole training."""
    steps_per_epoch: int
    micro_batches: Sequence[tuple[int, ...]] | None
    """The rows of each micro-batch up to the state's step; None of a trainer with an order of its own."""
    weights: Mapping[str, Any]
    """Name -> tensor of all that training may change."""


def parse_state(facts: Any) -> TrainingState:
    """Raises ValueError that names the first field that is wrong."""
    try:
        return TrainingState.model_validate(facts)
    except ValidationError as error:
        raise ValueError(f"{FACTS}: {first_flaw(error)}") from None


def require_fit(steps: int, state: TrainingState, tensors: Mapping[str, Any], due: Due) -> None:
    """Raises ValueError where facts and tensors are not those of this run after so many steps."""
    if not 0 < steps < due.steps:
        raise ValueError(f"it is of step {steps} of {due.steps}")
    counts = {
        "clock": len(state.clock),
        "observer.steps": state.observer.steps,
        "observer.learning_rates": len(state.observer.learning_rates),
        "losses": tensors["losses"].numel() if "losses" in tensors else 0,
    }
    for what, count in counts.items():
        if count != steps:
            raise ValueError(f"{what}: {count} where {steps} steps were taken")
    if state.epochs_ended > steps // due.steps_per_epoch:
        raise ValueError(f"epochs_ended: {state.epochs_ended} after {steps} steps of {due.steps_per_epoch} an epoch")
    if any(int(step) >= steps for step in (*state.operations, *state.observer.norms)):
        raise ValueError(f"it has operations or gradient norms of steps after the {steps} steps that were taken")
    if state.resumed_at != sorted(state.resumed_at) or any(not 0 < step <= steps for step in state.resumed_at):
        raise ValueError(f"resumed_at: {state.resumed_at[:5]} after {steps} steps")
    if due.micro_batches is not None and [rows for rows, _, _ in state.fed] != list(due.micro_batches):
        raise ValueError("fed: it was trained on other rows than the run's")
    _require_tensors(state, tensors, due.weights)


def _require_tensors(state: TrainingState, tensors: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    named: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        named.setdefault(group, {})[rest] = tensor
    if named.keys() - {"model", "losses", "optimizer", "best", "answers"}:
        raise ValueError(f"{TENSORS}: it holds tensors of {', '.join(sorted(map(repr, named)))}")
    _require_same("model", named.get("model", {}), weights, all_of_them=True)
    _require_same("best", named.get("best", {}), weights, all_of_them=bool(state.others.best.scores))
    answers, evaluations = named.get("answers", {}), len(state.others.best.scores)
    if answers.keys() != {str(number) for number in range(evaluations)} or len({one.shape for one in answers.values()}) > 1:
        raise ValueError(f"{TENSORS}: the answers of {evaluations} evaluations are not there, or not of one length")
    if evaluations and state.others.best.best >= evaluations:
        raise ValueError(f"others.best: {state.others.best.best} of {evaluations} evaluations")


def _require_same(what: str, found: Mapping[str, Any], wanted: Mapping[str, Any], *, all_of_them: bool) -> None:
    """Raises ValueError where tensors are not of the wanted names, shapes and types."""
    if wrong := sorted(found.keys() ^ wanted.keys() if all_of_them else found.keys() - wanted.keys()):
        raise ValueError(f"{TENSORS}: {what}/{wrong[0]} is {'no tensor of the model' if wrong[0] in found else 'missing'}")
    for name, tensor in found.items():
        if (tensor.shape, tensor.dtype) != (wanted[name].shape, wanted[name].dtype):
            raise ValueError(f"{TENSORS}: {what}/{name} is {tuple(tensor.shape)} {tensor.dtype}, the model's is another")


def kept_of_parameters(
    numbers: Mapping[str, Mapping[str, Any]], tensors: Mapping[str, Any], parameters: Sequence[Any]
) -> dict[int, dict[str, Any]]:
    """What an optimizer keeps: number of a parameter (0, 1, ...) -> name -> a number or a tensor.

    The averages of torch's optimizers have their parameter's shape; what others keep is theirs. Raises ValueError, which begins
    with the file's name, where an optimizer of these parameters can't go on from it.
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
            raise ValueError(f"{place} is of no parameter's state: the optimizer has {len(parameters)} parameters")
        wanted, shape = tuple(parameters[int(index)].shape), tuple(getattr(value, "shape", ()))
        if (name in AVERAGES and shape != wanted) or (name == "step" and shape not in {(), (1,)}):
            raise ValueError(f"{place} is of shape {shape}, its parameter of {wanted}")
        state.setdefault(int(index), {})[name] = value
    return state


def require_scheduler(schedule: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raises ValueError, which begins with the file's name, where a scheduler whose state is `own` now can't go on from it."""
    wanted = {name for name, value in own.items() if is_plain(value)}
    if wrong := sorted(schedule.keys() ^ wanted):
        why = "is missing" if wrong[0] in wanted else "is nothing that this scheduler keeps"
        raise ValueError(f"{FACTS}: scheduler: {quoted(wrong[0])} {why}")
    for name, value in schedule.items():
        if not _alike(value, own[name]):
            raise ValueError(f"{FACTS}: scheduler: {name} is {quoted(value)}")


def is_plain(value: Any) -> bool:
    """Whether JSON holds it."""
    if isinstance(value, list):
        return all(is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def _alike(value: Any, own: Any) -> bool:
    """Numbers for numbers, lists of as many; what is None now may become anything."""
    if isinstance(own, list):
        return isinstance(value, list) and len(value) == len(own) and all(map(_alike, value, own))
    if isinstance(own, int | float) and not isinstance(own, bool):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return own is None or value is None or type(value) is type(own)
