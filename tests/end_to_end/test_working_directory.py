"""A stranger's folder as the working directory: nothing in it is run, whatever its name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from operator import methodcaller
from pathlib import Path

import pytest
from end_to_end.experiments import COMMAND, environment, records, write_spec

MODULES = (
    *("sitecustomize", "usercustomize", "conftest", "setup"),
    *("bakeoff", "bakeoff_toybox", "bakeoff_methods", "evil", "plugin"),
    *("json", "random", "typing", "multiprocessing", "subprocess", "platform", "readline"),
    *("click", "numpy", "pandas", "pluggy", "psutil", "pyarrow", "pydantic", "rich", "ruamel", "scipy", "yaml"),
    *("accelerate", "datasets", "evaluate", "huggingface_hub", "kernels", "peft", "safetensors", "tokenizers", "torch"),
    *("transformers", "triton", "evaluate_modules", "transformers_modules", "tensorflow", "jax", "torchvision", "wandb"),
)
"""What Python, Bakeoff or a library of its would import by these names."""
NAMES = ("accuracy", "f1", "f1_weighted", "toy", "tiny-bert", "torch-loop", "right")
"""What an experiment file names: components and metrics."""
PROGRAMS = ("git", "nvidia-smi", "uname", "lscpu", "ldconfig", "cc", "gcc", "python", "python3", "sh")


def plant(folder: Path) -> Path:
    """Fills the folder with code under all these names; the file to which whatever is run adds its own name."""
    marker = folder / "executed"
    code = f"import io\nio.open({str(marker)!r}, 'a').write(__file__ + '\\n')\n"
    for name in (*MODULES, *NAMES):
        (folder / f"{name}.py").write_text(code)
        (folder / name).mkdir()
        for file in ("__init__.py", "__main__.py", f"{name}.py"):
            (folder / name / file).write_text(code)
    for info in ("evil-1.0.dist-info", "evil.egg-info"):
        (folder / info).mkdir()
        for file in ("METADATA", "PKG-INFO"):
            (folder / info / file).write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
        (folder / info / "entry_points.txt").write_text("[bakeoff]\nevil = evil\n[datasets.config]\nevil = evil\n")
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\necho $0 >> {marker}\n")
        (folder / name).chmod(0o755)
    (folder / "evil.pth").write_text(f"import io; io.open({str(marker)!r}, 'a').write('pth')\n")
    (folder / "pyvenv.cfg").write_text("include-system-site-packages = true\n")
    (folder / ".env").write_text(f"PYTHONPATH={folder}\nBAKEOFF_DATA={folder}\n")
    return marker


def perform(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The installed command with the stranger's folder as the working directory."""
    (cache := folder.parent / "elsewhere").mkdir(exist_ok=True)
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment(cache), capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, in which a run has ended well."""
    folder = tmp_path_factory.mktemp("stranger") / "folder"
    (folder.parent / "copy").mkdir()
    strategies = {"right": {"trainer": "right"}, "other": {"trainer": "torch-loop"}}
    write_spec(folder, strategies, gate={"quality": "-50.0 points"})
    plant(folder)
    done = perform("run", "spec.yaml", "--threads", "1", "--no-control", folder=folder)
    assert done.returncode == 0, done.stderr
    for name in ("records", "spec.yaml"):
        copy = shutil.copytree if (folder / name).is_dir() else shutil.copy
        copy(folder / name, (folder.parent / "copy").joinpath(name))
    return folder


QUICK = (
    ("check", "spec.yaml"),
    ("table", "."),
    ("verify", "."),
)
SLOW = (
    ("check", "spec.yaml", "--build"),
    ("parity", "spec.yaml", "--steps", "2"),
    ("plugins",),
    ("report", "."),
)
LONG = (
    ("gate", ".", "--against", "../copy"),
    ("plan", "spec.yaml"),
    ("schema",),
    ("doctor",),
    ("new", "trainer", "my-loop"),
    ("rescore", ".", "--metric", "mcc"),
    ("show", "task", "toy", "--option", "size=20", "--model", "tiny-bert"),
)


def test_a_run_executes_nothing_of_the_folder_that_it_is_started_in(trap: Path) -> None:
    assert not (trap / "executed").exists(), (trap / "executed").read_text()
    assert records(trap)["right/0"]["status"] == "ok"


@pytest.mark.parametrize(
    "words",
    [
        *QUICK,
        *(pytest.param(verb, marks=pytest.mark.slow) for verb in SLOW),
        *(pytest.param(verb, marks=pytest.mark.long) for verb in LONG),
    ],
    ids=" ".join,
)
def test_no_command_executes_anything_of_the_folder_that_it_is_started_in(words: tuple[str, ...], trap: Path) -> None:
    done = perform(*words, folder=trap)
    assert not (trap / "executed").exists(), (trap / "executed").read_text()
    assert done.returncode in (0, 1, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert "evil" not in done.stdout


@pytest.mark.slow
def test_the_schedulers_door_executes_nothing_of_the_folder_that_it_is_started_in(trap: Path, tmp_path: Path) -> None:
    record = records(trap)["right/0"]
    request = {"id": record["id"], "requested": record["requested"], "data": None, "device": "cpu", "threads": 1}
    (tmp_path / "request.json").write_text(json.dumps({**request, "cache": str(tmp_path)}))
    done = perform("worker", tmp_path / "request.json", tmp_path / "out", folder=trap)
    assert done.returncode == 0, done.stderr
    assert not (trap / "executed").exists(), (trap / "executed").read_text()
    assert json.loads((tmp_path / "out" / "record.json").read_text())["weights"] == record["weights"]


def test_the_contract_suite_executes_nothing_of_the_folder_that_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bakeoff.testing.contract import ask
    from bakeoff_tiny_models import TinyBert

    marker = plant(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert ask(TinyBert(), methodcaller("missing_extras")) == []
    assert not marker.exists(), marker.read_text()


def test_what_is_planted_would_run_where_python_is_told_to(tmp_path: Path) -> None:
    """The trap springs: `python -m` and PYTHONPATH trust the working directory, as docs/security.md says."""
    folder = tmp_path / "folder"
    folder.mkdir()
    marker = plant(folder)
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    subprocess.run([sys.executable, "-m", "bakeoff.worker"], cwd=folder, env=bare, check=False, capture_output=True, timeout=60)
    assert "bakeoff/__init__.py" in marker.read_text()
