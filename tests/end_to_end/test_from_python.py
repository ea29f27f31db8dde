"""`bakeoff.run` in a script without a main guard and in a notebook: killed, interrupted, called again, with other rows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from messages import tells

from bakeoff import load
from bakeoff.records.store import Store

pytestmark = pytest.mark.slow

WAIT_SECONDS = 120.0
SPEC = """
import bakeoff, pandas as pd, sys

def rows(n, first=0):
    return pd.DataFrame({"body": [f"text {i} " + ("good" if i % 3 else "bad") for i in range(first, first + n)],
                         "team": ["a" if i % 3 else "b" for i in range(first, first + n)]})

spec = {
    "name": "toy",
    "tasks": [{"name": "table", "text": "body", "label": "team"}],
    "models": [{"name": "tiny-bert", "layers": 1}],
    "recipe": {"max_steps": STEPS, "batch_size": 4},
    "strategies": {"full": {"trainer": "torch-loop"}, "head": {"trainer": "torch-loop", "method": "head-only"}},
    "seeds": 2,
}
"""
SCRIPT = f"""{SPEC}
other = "other" in sys.argv
done = bakeoff.run(spec, data={{"train": rows(60), "test": rows(30, 90 if other else 60)}}, into="out", control=False,
                   only=["full:0"] if other else [])
print(done.summary, done.folder, len(done.leaderboard), sep="\\n")
"""


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def recorded(folder: Path) -> list[str]:
    return [name for name in Store(folder).recorded_ids() if Store(folder).find(name)]


def workers_of(process: int) -> list[psutil.Process]:
    """The fork server and all that it started. Beside it lives multiprocessing's resource tracker, as long as the program."""
    children = psutil.Process(process).children()
    servers = [child for child in children if "multiprocessing.forkserver" in " ".join(child.cmdline())]
    return [*servers, *(one for server in servers for one in server.children(recursive=True))]


def gone(processes: list[psutil.Process]) -> bool:
    return not [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.long
def test_a_killed_script_goes_on_when_it_is_called_again_and_other_rows_are_other_runs(tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT.replace("STEPS", "40"))
    first = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        until(lambda: recorded(out))
        workers = workers_of(first.pid)
        assert workers
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    until(lambda: gone(workers))
    before = recorded(out)
    assert 0 < len(before) < 4

    done = call(tmp_path, str(script))
    assert tells(done.stdout, "4 runs: ", f"{4 - len(before)} done now, {len(before)} already")
    assert len(recorded(out)) == 4
    assert "__main__" not in done.stderr
    again = call(tmp_path, "-m", "bakeoff", "run", "out/experiment.yaml", "--no-control")
    assert tells(again.stdout, "all 4 runs")
    assert {"full", "head"} <= set(re.findall(r"\w+", again.stdout))

    other = call(tmp_path, str(script), "other")
    assert tells(other.stderr, "caution: ", "test", "4 runs", "out")
    assert len(recorded(out)) == 5
    assert list(load(out).runs["status"]) == ["ok", "missing", "missing", "missing"]
    assert len(list(out.glob("rows/*.parquet"))) == 3


@pytest.mark.long
def test_an_interrupted_cell_leaves_no_worker_and_no_half_record_and_the_next_one_goes_on(tmp_path: Path) -> None:
    manager = pytest.importorskip("jupyter_client.manager").KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    out = tmp_path / "out"
    try:
        client.wait_for_ready(timeout=WAIT_SECONDS)
        messages: list[Any] = []
        answer = client.execute_interactive(SPEC.replace("STEPS", "4000"), timeout=WAIT_SECONDS)
        assert answer["content"]["status"] == "ok", answer["content"]
        run = 'done = bakeoff.run(spec, data={"train": rows(60), "test": rows(30, 60)}, into="out", control=False)\ndone'
        client.execute(run, stop_on_error=False)  # or the kernel may abort the cell after the interrupted one
        until(lambda: list(out.glob("records/.tmp-*")))
        kernel = manager.provisioner.process.pid
        workers = workers_of(kernel)
        assert workers
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=WAIT_SECONDS)
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        until(lambda: gone(workers))
        assert not list(out.glob("records/.tmp-*"))
        assert not recorded(out)

        shorter = f'spec["recipe"]["max_steps"] = 3\n{run}'
        answer = client.execute_interactive(shorter, timeout=WAIT_SECONDS, output_hook=messages.append)
        assert answer["content"]["status"] == "ok", answer["content"]
        assert len(recorded(out)) == 4
        kinds = [message["msg_type"] for message in messages]
        assert kinds.count("display_data") == 1, "one output for all progress"
        assert "update_display_data" in kinds
        results = [message["content"]["data"] for message in messages if message["msg_type"] == "execute_result"]
        assert tells(results[0]["text/html"], "<p>4 runs: 4 done now")
        assert tells(results[0]["text/plain"], "4 runs: 4 done now")
        streams = [message["content"]["text"] for message in messages if message["msg_type"] == "stream"]
        assert streams == []
        assert not workers_of(kernel)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
