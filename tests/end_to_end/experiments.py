"""Experiments as a user starts them: a file, a folder, and the real command in a process of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bakeoff.records.record_files import dump
from bakeoff.records.schema import Record
from bakeoff.runner.supervisor import Supervisor

COMMAND = [str(Path(sys.executable).with_name("bakeoff"))]

TOY = """
name: toy
tasks: [{name: toy, size: 20}]
models: [tiny-bert]
recipe: {epochs: 2, batch_size: 8, learning_rate: 1e-3, max_length: 32}
strategies:
"""


def write_spec(folder: Path, strategies: dict[str, Any], *, head: str = TOY, **keys: Any) -> Path:
    """An experiment in `folder`; JSON values are YAML values."""
    lines = [f"  {name}: {json.dumps(strategy)}" for name, strategy in strategies.items()]
    more = [f"{key}: {json.dumps(value)}" for key, value in {"seeds": 1, **keys}.items()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "spec.yaml"
    path.write_text(head + "\n".join(lines + more) + "\n", encoding="utf-8")
    return path


def environment(folder: Path) -> dict[str, str]:
    """Of this process, with a cache of its own."""
    return {**os.environ, "BAKEOFF_CACHE": str(folder / "cache")}


def _rest(arguments: tuple[str | Path, ...], control: bool) -> list[str]:
    """For `run`: one thread unless the arguments say otherwise (the models are small, and two tests may be under way), and no
    control runs, which take seconds, unless they are wanted."""
    if arguments[0] != "run":
        return []
    few = [] if control or {"--threads", "--jobs"} & {*arguments} else ["--threads", "1"]
    return few if control else [*few, "--no-control"]


def start(*arguments: str | Path, folder: Path, control: bool = False, **more: Any) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments), *_rest(arguments, control)],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def call(*arguments: str | Path, folder: Path, control: bool = False) -> subprocess.CompletedProcess[str]:
    """The command in this process, whose commands share one fork server; `start` has it in a process of its own, which imports
    for six seconds before its first run."""
    from bakeoff.cli import main
    from bakeoff.machine.hub import hub_is_reachable

    words = ["bakeoff", *map(str, arguments), *_rest(arguments, control)]
    out, err, before, handler = io.StringIO(), io.StringIO(), dict(os.environ), signal.getsignal(signal.SIGTERM)
    os.environ.update(environment(folder))
    try:
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended:
                main()
    finally:
        os.environ.clear()  # of what the command sets for its workers, too
        os.environ.update(before)
        hub_is_reachable.cache_clear()
        signal.signal(signal.SIGTERM, handler)
    return subprocess.CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())


def sleeper(folder: Path) -> dict[str, Any]:
    """A strategy that never ends training; `trains(folder)` says whether it has begun to."""
    return {"trainer": {"name": "sleeps", "marker": str(folder / "trains")}}


def trains(folder: Path) -> bool:
    return (folder / "trains").exists()


def time_is_up(patch: pytest.MonkeyPatch, when: Callable[[Supervisor], bool]) -> None:
    """For commands in this process: a run has taken all its time as soon as `when` says so of it, however little has passed."""
    look = Supervisor.poll

    def look_later(run: Supervisor) -> Record | None:
        if run.timeout is not None and when(run):
            run.seconds = run.timeout
        return look(run)

    patch.setattr(Supervisor, "poll", look_later)


def wait_until(happened: Callable[[], Any], *, seconds: float = 600.0) -> Any:
    """What it gives, as soon as that is true; fails where it never is."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)
    return found


def say_otherwise(path: Path, old: str, new: str) -> None:
    """Alters a record, and its seal with it: as if it had been made so."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_bytes(dump(Record.model_validate_json(text.replace(old, new))))


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of an experiment folder, by strategy and seed: `manual-loop/0`."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "records").glob("r1-*/record.json"))]
    return {f"{record['requested']['strategy']}/{record['requested']['seed']}": record for record in found}
