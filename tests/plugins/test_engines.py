"""What the engines ask their schedulers for: scripts, options, and the reading of what Slurm says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bakeoff.contracts.engine import NUMBER, EngineJob, JobBatch, Needs
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError
from bakeoff.runner.submitting import engine_named
from bakeoff_engines.slurm import SlurmOptions, arrays_of, script, then_script


def batch(folder: Path, jobs: int, needs: Needs) -> JobBatch:
    return JobBatch(
        name="bakeoff-tried",
        folder=folder / "a folder" / "1",
        directory=folder,
        words=("python", "job.py", NUMBER, "it's"),
        jobs=tuple(EngineJob(number, (f"full:{number}",), folder / f"job-{number}.log") for number in range(jobs)),
        needs=needs,
        environment={"BAKEOFF_DATA": "/data of/mine"},
        then=("python", "then.py"),
    )


NEEDS = Needs(threads=3, gpus=2, memory=5 * 2**30, seconds=5430, at_once=2)


def directives(text: str) -> list[str]:
    return [word for line in text.splitlines() if line.startswith("#SBATCH ") for word in line.split()[1:]]


def test_an_array_asks_for_what_each_job_needs(tmp_path: Path) -> None:
    text = script(batch(tmp_path, 12, NEEDS), range(12), SlurmOptions(partition="main", sbatch=["--exclusive"]))
    asked = directives(text)
    wanted = {"--array=0-11%2", "--cpus-per-task=3", "--gpus=2", "--mem=5120M", "--time=91", "--signal=B:TERM@120", "--requeue"}
    assert {*asked} >= wanted | {"--partition=main", "--exclusive", "--job-name=bakeoff-tried"}
    assert "#   9: full:9" in text
    assert "full:11" not in text


@pytest.mark.parametrize("start", [0, 1001])
def test_a_script_performs_the_job_of_its_element(tmp_path: Path, start: int) -> None:
    made = batch(tmp_path, 1200, NEEDS)
    made.folder.mkdir(parents=True)
    text = script(made, range(start, 1200), SlurmOptions(setup=["export FIRST=1"]))
    shown = text.replace("exec python job.py", 'printf "%s|" "$FIRST" "$BAKEOFF_DATA" "$PWD"')
    done = subprocess.run(["bash", "-c", shown], env={"SLURM_ARRAY_TASK_ID": "7"}, cwd="/", check=False)  # noqa: S607
    assert done.returncode == 0
    assert (made.folder / f"job-{start + 7}.log").read_text() == f"1|/data of/mine|{tmp_path}|{start + 7}|it's|"


def test_a_node_without_the_folder_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    for text in (
        script(batch(tmp_path, 1, NEEDS), range(1), SlurmOptions()),
        then_script(batch(tmp_path, 1, NEEDS), SlurmOptions()),
    ):
        done = subprocess.run(["bash", "-c", text], stderr=subprocess.DEVNULL, check=False)  # noqa: S607
        assert done.returncode == 78


def test_a_batch_is_split_where_the_site_allows_no_longer_array(tmp_path: Path) -> None:
    parts = arrays_of(batch(tmp_path, 2500, NEEDS), 1001)
    assert [(part.start, part.stop) for part in parts] == [(0, 1001), (1001, 2002), (2002, 2500)]


def test_options_of_an_engine_are_read_from_words() -> None:
    registry = load_registry()
    _, options = engine_named(registry, "slurm", {"partition": ["main"], "setup": ["module load a", "module load b"]})
    assert options == SlurmOptions(partition="main", setup=["module load a", "module load b"])
    with pytest.raises(BakeoffError, match="did you mean 'partition'"):
        engine_named(registry, "slurm", {"partitions": ["main"]})


@pytest.mark.parametrize(("engine", "handle"), [("slurm", "12"), ("slurm", "12_1; rm"), ("local", "1"), ("local", "a.b:0:/x")])
def test_a_handle_of_another_engine_is_refused(engine: str, handle: str) -> None:
    component, options = engine_named(load_registry(), engine, {})
    with pytest.raises(BakeoffError):
        component.status([handle], options)
    with pytest.raises(BakeoffError):
        component.cancel([handle], options)
