"""Made-up plugins, and the real command run over them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakeoff.records.schema import Record

Call = Callable[..., tuple[int, str, str]]
"""What the fixture `call` gives: the command's words -> (exit code, stdout, stderr)."""

Install = Callable[..., Path]
"""What the fixture `install` gives: (name, source of its module) -> the folder of a distribution that is on the path."""

TASK = '''
from bakeoff.plugin import CLASSIFICATION, Accuracy, Options, Task, TaskInfo, hookimpl


class Colours(Task):
    """A task that is told but never loaded."""

    name = "colours"
    summary = "Is it red?"
    version = "1"

    def info(self, options):
        return TaskInfo(
            kind=CLASSIFICATION, text_columns=("text",), labels=("no", "yes"), n_outputs=2, metrics=(Accuracy(),),
            primary_metric="accuracy", splits=("train", "test"), labelled_splits=("train", "test"),
        )

    def load(self, options, places):
        raise NotImplementedError
'''
HOOK = """

@hookimpl
def bakeoff_tasks():
    return [Colours()]
"""


def counted_parses(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts from now on how often this process parses each record, by its id."""
    found: Counter[str] = Counter()
    parse = Record.model_validate

    def counting(plain: Any, **keywords: Any) -> Record:
        found[plain["id"]] += 1
        return parse(plain, **keywords)

    patch.setattr(Record, "model_validate", counting)
    return found


def bakeoff(*arguments: str, path: list[Path]) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own, with these folders on its path."""
    return subprocess.run(
        [sys.executable, "-c", "from bakeoff.cli import main; main()", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def everything(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that a change would show in: kinds, contents, times of modification and inodes of all that is in the folder."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        facts = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
        found[str(path)] = (stat.S_IFMT(facts.st_mode), content, facts.st_mtime_ns, facts.st_ino)
    return found
