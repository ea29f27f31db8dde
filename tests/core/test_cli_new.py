"""`bakeoff new`: what it writes is installed as a package would be, keeps its contract, and runs."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from core.made_up import Call

NAME = "morning/tea-2"
KINDS = ("task", "model", "method", "trainer")


@pytest.fixture
def package(tmp_path: Path, call: Call) -> Path:
    """Where one goes."""
    return tmp_path / "mine"


def installed(folder: Path) -> dict[str, str]:
    """The environment in which the package is installed: what an editable install makes of pyproject.toml, without pip."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{name} = {module}" for name, module in project["entry-points"]["bakeoff"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[bakeoff]", *lines, ""]))
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def python(*arguments: str | Path, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *map(str, arguments)]
    return subprocess.run(words, env=env, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_keeps_its_contract(kind: str, package: Path, call: Call) -> None:
    code, out, _ = call("new", kind, NAME, "--folder", package)
    assert code == 0
    assert f"cd {package} && pip install -e . && pytest" in out
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", env=installed(package), cwd=package)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) >= 10
    skipped = {"it needs no extra", "it does not claim to resume"}
    assert all(line.endswith(tuple(skipped)) for line in done.stdout.splitlines() if line.startswith("SKIPPED"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_component_takes_part_in_an_experiment(kind: str, package: Path, tmp_path: Path, call: Call) -> None:
    assert call("new", kind, NAME, "--folder", package)[0] == 0
    parts = {"task": "toy", "model": "tiny-bert", "method": "full", "trainer": "torch-loop", kind: NAME}
    (tmp_path / "spec.yaml").write_text(
        f"name: tried\ntasks: [{parts['task']}]\nmodels: [{parts['model']}]\nseeds: 1\n"
        "recipe: {max_steps: 4, batch_size: 4, learning_rate: 1e-3, max_length: 32}\n"
        f"strategies: {{mine: {{trainer: {parts['trainer']}, method: {parts['method']}}}}}\n"
    )
    run = "from bakeoff.cli import main; main()"
    done = python("-c", run, "run", "spec.yaml", "--threads", "1", env=installed(package), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = (json.loads(path.read_text()) for path in tmp_path.rglob("record.json"))
    assert record["status"] == "ok"
    assert (record["asked"][kind]["name"], record["asked"][kind]["distribution"]) == (NAME, "bakeoff-morning-tea-2")
    assert record["cost"]["steps"] == 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_holds_nothing_superfluous(kind: str, package: Path, call: Call) -> None:
    assert call("new", kind, NAME, "--folder", package)[0] == 0
    module = "bakeoff_morning_tea_2"
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == {"pyproject.toml", "README.md", f"{module}/__init__.py", f"tests/test_{module}.py"}
    tree = ast.parse((package / module / "__init__.py").read_text())
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names} - {
        "annotations"
    }
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert imported - used <= {"Dataset"}, "imported and never used"
    assert not [line for path in files for line in (package / path).read_text().splitlines() if "$" in line]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Tea", "'Tea' cannot be a name (lower-case letters, digits, '.', '_', '-', one '/')"),
        ("../tea", "'../tea' cannot be a name"),
        ("a/b/c", "'a/b/c' cannot be a name"),
        ("tea\n", r"'tea\n' cannot be a name"),
        ("torch-loop", "trainer 'torch-loop' is already offered by plugin 'torch-loop' of bakeoff "),
        ("glue", "a package bakeoff_glue is already installed, and 'glue' would need that name"),
    ],
)
def test_names_that_cannot_be_are_told_and_nothing_is_written(name: str, sentence: str, package: Path, call: Call) -> None:
    code, _, err = call("new", "trainer", name, "--folder", package)
    assert code == 2
    assert sentence in err
    assert not package.exists()


def test_names_of_every_shape_give_a_package_that_python_reads(tmp_path: Path, call: Call) -> None:
    for number, name in enumerate(("20news", "class", "a.b_c-d", "bakeoff-tea", "x/y")):
        assert call("new", "task", name, "--folder", tmp_path / str(number))[0] == 0
        (source,) = (tmp_path / str(number)).glob("bakeoff_*/__init__.py")
        assert source.parent.name.isidentifier()
        ast.parse(source.read_text())


def test_nothing_is_overwritten(package: Path, tmp_path: Path, call: Call) -> None:
    package.mkdir()
    assert call("new", "task", NAME, "--folder", package)[0] == 0, "an empty folder will do"
    source = package / "bakeoff_morning_tea_2" / "__init__.py"
    source.write_text("# mine\n")
    code, _, err = call("new", "task", NAME, "--folder", package)
    assert (code, err) == (2, f"{package} is there already and not an empty folder: nothing is overwritten; see --folder\n")
    assert source.read_text() == "# mine\n"
    (tmp_path / "file").write_text("mine")
    assert call("new", "task", NAME, "--folder", tmp_path / "file")[0] == 2
    assert (tmp_path / "file").read_text() == "mine"


def test_without_a_folder_it_is_named_after_the_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("new", "method", "tea")[0] == 0
    assert (tmp_path / "bakeoff-tea" / "pyproject.toml").is_file()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="pip would have to download hatchling")
def test_pip_installs_it_and_bakeoff_lists_it(package: Path, tmp_path: Path, call: Call) -> None:
    assert call("new", "method", NAME, "--folder", package)[0] == 0
    venv.create(tmp_path / "venv", system_site_packages=True, with_pip=True)
    own = tmp_path / "venv" / "bin" / "python"
    path = os.pathsep.join(entry for entry in sys.path if entry)
    env = {**os.environ, "PYTHONPATH": path}
    words = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", str(package)]
    subprocess.run([own, *words], env=env, check=True, capture_output=True)
    listed = subprocess.run(
        [own, "-c", "from bakeoff.cli import main; main()", "plugins"], env=env, check=True, capture_output=True, text=True
    )
    assert re.search(rf"^method +{NAME} +1 +bakeoff-morning-tea-2 0\.1\.0 ", listed.stdout, re.MULTILINE)
