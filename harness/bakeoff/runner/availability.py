"""Whether the data and the models of an experiment are available. `check` and `plan` wait half a second for the answers;
commands that make runs wait as long as it takes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from threading import Thread
from typing import Final

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.task import Paths
from bakeoff.errors import BakeoffError, Problem, SpecError
from bakeoff.planning.runs import Plan, Run
from bakeoff.spec.document import Document
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.numbers import duration
from bakeoff.text.words import escaped

LOOK_SECONDS: Final = 0.5
"""How long `look_for_files` waits for all components together, so that `check` answers within a second."""


@dataclass(frozen=True)
class Look:
    """What was found about data and models within `LOOK_SECONDS`."""

    problems: tuple[Problem, ...]
    """A problem for each task or model that is not available, at its place in the experiment file."""
    unseen: tuple[str, ...]
    """A sentence for each task or model that did not answer in time (the hub, a large file)."""


def require_available(document: Document, plan: Plan, paths: Paths, runs: Collection[Run]) -> None:
    """Raises SpecError if the data or weights of these runs are not available. Takes seconds, and imports no heavy library."""
    used = {("task", run.task.label) for run in runs} | {("model", run.model_label) for run in runs}
    asked = [(place, part) for place, part in _parts(plan) if (part.registered.component.kind, part.label) in used]
    found = [document.problem(place, why) for place, part in asked if (why := _why_not(part, paths)) is not None]
    if found:
        raise SpecError(found)


def look_for_files(document: Document, plan: Plan, paths: Paths) -> Look:
    """Which tasks and models of the plan are not available, found within `LOOK_SECONDS`: all are asked at once, and those that
    take longer are named."""
    answers: dict[KeyPath, str | None] = {}

    def ask(place: KeyPath, part: Configured) -> None:
        answers[place] = _why_not(part, paths)

    parts = dict(_parts(plan))
    threads = [Thread(target=ask, args=item, daemon=True) for item in parts.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + LOOK_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    answered = dict(answers)
    return Look(
        tuple(document.problem(place, why) for place in parts if (why := answered.get(place)) is not None),
        tuple(
            f"not checked: {part.registered.component.kind} '{escaped(part.label)}' did not answer within "
            f"{duration(LOOK_SECONDS)} (--build waits for it)"
            for place, part in parts.items()
            if place not in answered
        ),
    )


def _parts(plan: Plan) -> Iterator[tuple[KeyPath, Configured]]:
    """All tasks and models, each with its place in the experiment file."""
    for index, task in enumerate(plan.tasks):
        yield ("tasks", index), task
    for model, place in plan.all_models.values():
        yield place, model


def _why_not(part: Configured, paths: Paths) -> str | None:
    """Why a task or a model is not available; None where it is."""
    try:
        part.check_available(paths)
    except BakeoffError as error:
        return str(error)
    except Exception as error:  # a component of any author
        component = part.registered.component
        what = escaped(" ".join(str(error).split()))
        return (
            f"{component.kind} '{component.name}' ({part.registered.origin}): `check_available` raised "
            f"{type(error).__name__}: {what}; it must raise {'DataError' if component.kind == 'task' else 'ModelError'} with "
            "a sentence that says what is missing"
        )
    return None
