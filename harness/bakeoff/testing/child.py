"""Questions to a component in a fresh process: nothing is imported there yet, and modules can be made missing."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bakeoff.contracts.component import Component
from bakeoff.contracts.task import Paths
from bakeoff.training.data import split_fingerprint

HEAVY = ("accelerate", "datasets", "evaluate", "peft", "torch", "transformers")
CODE = "from bakeoff.testing.child import main; main()"
SECONDS = 120


class ChildError(Exception):
    """The process ended without an answer; its last line."""


def ask(component: Component, question: str, *, blocked: Sequence[str] = (), **arguments: Any) -> Any:
    """What `question` (a key of QUESTIONS) answers in a fresh process; of `blocked` modules, none can be imported there.

    Raises ChildError where the component can't be pickled, or the process fails.
    """
    try:
        pickled = pickle.dumps(component)
    except Exception as error:  # as in `test_it_can_be_pickled`
        raise ChildError(f"it can't be pickled: {error}") from error
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE],  # nothing is imported from the working directory
        input=pickle.dumps((tuple(blocked), pickled, question, arguments)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "random"},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ChildError(lines[-1] if lines else f"exit code {done.returncode}")
    return json.loads(done.stdout)


def main() -> None:
    """The fresh process: a question on stdin, its answer as JSON on stdout."""
    blocked, pickled, question, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    for module in blocked:
        sys.modules[module] = None  # type: ignore[assignment]  # Python's own way to say "not there"
    with redirect_stdout(sys.stderr):
        answer = QUESTIONS[question](pickle.loads(pickled), **arguments)  # noqa: S301 - as above
    print(json.dumps(answer))


def loaded(component: Any, options: Mapping[str, Any] | None = None) -> list[str]:
    """Libraries that came with the component's module, and for a task with its `info`."""
    component.missing_extras()
    if options is not None:
        component.info(component.Options.model_validate(dict(options)))
    return [name for name in HEAVY if name in sys.modules]


def missing(component: Any) -> list[str]:
    """Extras that it says are missing."""
    return list(component.missing_extras())


def rows(task: Any, options: Mapping[str, Any], data: str | None, cache: str) -> dict[str, str]:
    """Split -> fingerprint of its rows."""
    chosen = task.Options.model_validate(dict(options))
    info = task.info(chosen)
    splits = task.load(chosen, Paths(Path(data) if data else None, Path(cache)))
    return {name: split_fingerprint(plain(splits[name], name in info.labelled_splits), info, {}) for name in info.splits}


def plain(split: Any, labelled: bool) -> dict[str, list[Any]]:
    """A split's columns; of one without labels, each is None, as the harness has it."""
    columns: dict[str, list[Any]] = split.to_dict()
    return columns if labelled else {**columns, "label": [None] * len(split)}


QUESTIONS: dict[str, Any] = {"loaded": loaded, "missing": missing, "rows": rows}
