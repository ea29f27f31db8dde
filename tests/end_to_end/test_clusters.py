"""docs/clusters.md: each recipe's lines make an experiment whole, with the variables that its engine sets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from end_to_end.experiments import call, environment, records, write_spec
from end_to_end.test_sharding import HEAD, STRATEGIES
from ruamel.yaml import YAML

PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
SHARDS = 2
RUNS = {"full/0", "full/1", "head/0", "head/1"}


def script_with(word: str) -> str:
    """The page's one shell script in which the word stands, for two shards instead of eight."""
    (found,) = [text for text in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) if word in text]
    return found.replace("--array=1-8", f"--array=1-{SHARDS}").replace("--cpus-per-task=4", "--cpus-per-task=1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With an experiment file, and a `bakeoff` on its path."""
    write_spec(tmp_path / "work", STRATEGIES, head=HEAD, seeds=2)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bakeoff").write_text(f'#!/bin/sh\nexec {sys.executable} -m bakeoff "$@"\n')
    (tmp_path / "bin" / "bakeoff").chmod(0o755)
    return tmp_path / "work"


def shell(command: list[str], folder: Path, **variables: str) -> None:
    path = f"{folder.parent / 'bin'}:{os.environ['PATH']}"
    own = environment(folder.parent) | {"PATH": path, "THREADS": "1"} | variables
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_scripts_are_shell_and_the_job_is_yaml() -> None:
    for script in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0  # noqa: S607
    (job,) = [YAML(typ="safe").load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert (job["kind"], job["spec"]["completionMode"]) == ("Job", "Indexed")
    assert f'/{job["spec"]["completions"]}"' in job["spec"]["template"]["spec"]["containers"][0]["command"][2]


@pytest.mark.long
def test_the_array_and_the_pods_make_all_runs_in_one_folder(folder: Path) -> None:
    (folder / "shards.sbatch").write_text(script_with("#SBATCH --array"))
    of_array = {"SLURM_ARRAY_TASK_COUNT": str(SHARDS), "SLURM_CPUS_PER_TASK": "1"}
    shell(["bash", "shards.sbatch"], folder, SLURM_ARRAY_TASK_ID="1", **of_array)
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    pod = YAML(typ="safe").load(text)["spec"]["template"]["spec"]["containers"][0]
    command = [word.replace("/8", f"/{SHARDS}").replace("--threads 4", "--threads 1") for word in pod["command"]]
    shell(command, folder, JOB_COMPLETION_INDEX="1")
    assert {*records(folder)} == RUNS


@pytest.mark.long
def test_workers_without_a_common_disk_are_merged_and_go_on_where_they_stopped(folder: Path, tmp_path: Path) -> None:
    (folder / "worker.sh").write_text(script_with("# worker.sh"))
    for number in (1, 2):
        shell(["bash", "worker.sh", str(number), "2", str(tmp_path / "shared")], folder)
    parts = sorted((tmp_path / "shared").glob("part-*"))
    assert [part.name for part in parts] == ["part-1-of-2", "part-2-of-2"]
    assert call("merge", *parts, "--into", tmp_path / "all", folder=tmp_path).returncode == 0
    assert {*records(tmp_path / "all")} == RUNS
    before = {name: record["started"] for name, record in records(parts[0]).items()}
    shutil.rmtree(folder / "local-1")  # another machine takes the worker's place
    shell(["bash", "worker.sh", "1", "2", str(tmp_path / "shared")], folder)
    assert {name: record["started"] for name, record in records(parts[0]).items()} == before


@pytest.mark.long
def test_a_real_slurm_runs_the_array_and_then_writes_the_tables(folder: Path) -> None:
    if shutil.which("sbatch") is None or "SLURM_CONF" not in os.environ:
        pytest.skip("no Slurm here: no sbatch on PATH, or SLURM_CONF is not set")
    (folder / "shards.sbatch").write_text(script_with("#SBATCH --array"))
    (folder / "submit.sh").write_text(script_with("afterany"))
    shell(["bash", "submit.sh"], folder)
    deadline = time.monotonic() + 300
    while not (folder / "table.md").is_file() and time.monotonic() < deadline:
        time.sleep(1)
    assert {*records(folder)} == RUNS
    assert (folder / "table.md").is_file()
    logs = sorted(path.name for path in folder.glob("shard-*.log"))
    assert logs == ["shard-1.log", "shard-2.log"]
    done = call("run", folder / "spec.yaml", "--json", folder=folder.parent)
    assert json.loads(done.stdout)["done_now"] == 0
