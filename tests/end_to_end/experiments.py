"""Experiments as a user starts them: a file, a folder, and the real command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bakeoff.record import Record, dump

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


def start(*arguments: str | Path, folder: Path, control: bool = False, **more: Any) -> subprocess.Popen[str]:
    """The command. `run` has one thread, unless the arguments say more: the models are so small, and two tests may be under
    way; and no control runs, which take seconds, unless they are wanted."""
    rest = []
    if arguments[0] == "run":
        rest += [] if control else ["--no-control"]
        rest += [] if control or {"--threads", "--jobs"} & {*arguments} else ["--threads", "1"]
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments), *rest],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def call(*arguments: str | Path, folder: Path, control: bool = False) -> subprocess.CompletedProcess[str]:
    """The command, waited for."""
    process = start(*arguments, folder=folder, control=control)
    out, err = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def say_otherwise(path: Path, old: str, new: str) -> None:
    """Alters a record, and its seal with it: as if it had been made so."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_bytes(dump(Record.model_validate_json(text.replace(old, new))))


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of an experiment folder, by strategy and seed: `manual-loop/0`."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "records").glob("r1-*/record.json"))]
    return {f"{record['asked']['strategy']}/{record['asked']['seed']}": record for record in found}
