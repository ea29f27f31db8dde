"""Progress that nobody can see any more ends nothing: a closed terminal, a reader that has left, a full disk."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from builders import make_record
from bakeoff.cli.progress import LiveProgress, PlainProgress, make_progress
from bakeoff.machine.streams import complaint_about, prepare_streams

place = Path(sys.argv[1])
output = prepare_streams()
run = SimpleNamespace(id="r1-0", title="a:0")
with make_progress() as progress:
    progress.start(total=2, done=0)
    progress.begin(run)
    (place / "begun").write_text(type(progress).__name__)
    while not (place / "gone").exists():
        time.sleep(0.01)
    PlainProgress.EVERY_SECONDS = 0.0
    for step in range(300):
        progress.update(run, "train", step, 300, 0.5)
    progress.note("é · a note")
    if hasattr(progress, "bars"):
        progress.bars.refresh()
    progress.end(run, make_record("a", 0))
print("the table", flush=True)
(place / "ended").write_text(complaint_about(output))
"""


def test_what_no_terminal_shows_any_more_is_drawn_all_the_same(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(slave)
        wait_for(tmp_path / "begun", process)
        os.close(master)
        (tmp_path / "gone").touch()
        assert process.wait(timeout=60) == 0
    assert (tmp_path / "begun").read_text() == "LiveProgress"
    assert (tmp_path / "ended").read_text() == "standard output cannot be written: Input/output error"


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


@pytest.mark.parametrize("stream", ["left", pytest.param("/dev/full", marks=needs_full)])
def test_lines_that_nobody_reads_are_dropped(stream: str, tmp_path: Path) -> None:
    """`2>&1 | head -1`, a `tee` that has died; a disk that is full."""
    reading, writing = os.pipe()
    target = writing if stream == "left" else os.open(stream, os.O_WRONLY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path], stdout=subprocess.DEVNULL, stderr=target, env=environment
    ) as process:
        os.close(target)
        wait_for(tmp_path / "begun", process)
        os.close(reading)
        (tmp_path / "gone").touch()
        assert process.wait(timeout=60) == 0
    assert (tmp_path / "begun").read_text() == "PlainProgress"
    assert (tmp_path / "ended").read_text() == ""


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while not path.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert path.exists()
