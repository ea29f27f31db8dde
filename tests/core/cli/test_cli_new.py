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
from core.calling import Call
from messages import tells

from bakeoff.contracts.hookspecs import COMPONENT_KINDS, SPEC_KINDS

NAME = "morning/tea-2"
KINDS = tuple(COMPONENT_KINDS)
CHOSEN_BY_THE_RECIPE = ("optimizer", "loss")


@pytest.fixture
def package(tmp_path: Path, call: Call) -> Path:
    """Where one goes."""
    return tmp_path / "mine"


def install(folder: Path) -> None:
    """What an editable install makes of pyproject.toml, without pip."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{name} = {module}" for name, module in project["entry-points"]["bakeoff"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[bakeoff]", *lines, ""]))


def all_installed(folder: Path, call: Call) -> dict[str, str]:
    """A new package of every kind in a folder `KIND`, and the environment in which they are installed."""
    for kind in KINDS:
        assert call("new", kind, f"morning/{kind}-2", "--folder", folder / kind)[0] == 0
        install(folder / kind)
    return environment(*(folder / kind for kind in KINDS))


def environment(*packages: Path) -> dict[str, str]:
    path = os.pathsep.join([*map(str, packages), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def python(*arguments: str | Path, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *map(str, arguments)]
    return subprocess.run(words, env=env, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_a_package_is_written_into_an_empty_folder_behind_the_link_that_was_named(tmp_path: Path, call: Call) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    assert call("new", "task", "morning/task-3", "--folder", tmp_path / "link")[0] == 0
    assert (tmp_path / "disk" / "pyproject.toml").is_file()
    (tmp_path / "nowhere").symlink_to("missing")
    code, _, err = call("new", "task", "morning/task-3", "--folder", tmp_path / "nowhere")
    assert (code, len(err.splitlines())) == (2, 1)
    assert not (tmp_path / "missing").exists()


def test_a_new_package_keeps_its_contract_when_its_author_does_as_told(tmp_path: Path, call: Call) -> None:
    code, out, _ = call("new", "task", "morning/task-2", "--folder", tmp_path / "task")
    assert code == 0
    assert tells(out.splitlines()[-1], f"next: cd {tmp_path / 'task'} && ", "pip install -e . ")
    install(tmp_path / "task")
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", env=environment(tmp_path / "task"), cwd=tmp_path / "task")
    assert done.returncode == 0, done.stdout


def test_an_estimator_of_scikit_learn_is_a_contestant_in_thirty_lines(tmp_path: Path, call: Call) -> None:
    assert call("new", "trainer", "morning/bayes", "--sklearn", "--folder", tmp_path / "bayes")[0] == 0
    (source,) = (tmp_path / "bayes").glob("bakeoff_*/__init__.py")
    assert len(source.read_text().splitlines()) <= 32
    install(tmp_path / "bayes")
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", env=environment(tmp_path / "bayes"), cwd=tmp_path / "bayes")
    assert done.returncode == 0, done.stdout


def test_only_a_trainer_is_an_estimator(tmp_path: Path, call: Call) -> None:
    code, _, err = call("new", "task", "morning/bayes", "--sklearn", "--folder", tmp_path / "bayes")
    assert code == 2
    assert tells(err, "--sklearn ", "trainer NAME --sklearn")
    assert not (tmp_path / "bayes").exists()


@pytest.mark.slow
def test_new_packages_keep_their_contracts(tmp_path: Path, call: Call) -> None:
    env = all_installed(tmp_path, call)
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-rsp", *KINDS, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    for kind in KINDS:
        assert len(re.findall(rf"^PASSED .*/test_bakeoff_morning_{kind}_2\.py", done.stdout, re.MULTILINE)) >= 8, done.stdout
    skipped = {"it needs no extra", "it does not claim to resume"}
    reasons = {line.rsplit(": ", 1)[1] for line in done.stdout.splitlines() if line.startswith("SKIPPED")}
    assert reasons <= skipped, done.stdout


@pytest.mark.slow
def test_new_components_take_part_in_an_experiment(tmp_path: Path, call: Call) -> None:
    env = all_installed(tmp_path, call)
    (tmp_path / "spec.yaml").write_text(
        "name: tried\ntasks: [morning/task-2, toy]\nmodels: [morning/model-2, tiny-bert]\nseeds: 1\n"
        "recipe: {max_steps: 4, batch_size: 4, learning_rate: 1e-3, max_length: 32, optimizer: morning/optimizer-2, "
        "loss: morning/loss-2}\n"
        "strategies:\n  mine: {trainer: morning/trainer-2, method: morning/method-2}\n"
        "  theirs: {trainer: torch-loop}\n"
    )
    run = "from bakeoff.cli import main; main()"
    done = python("-c", run, "run", "spec.yaml", "--threads", "1", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("record.json")]
    assert [(record["status"], record["cost"]["steps"]) for record in records] == [("ok", 4)] * 8
    for kind in CHOSEN_BY_THE_RECIPE:
        assert {record["requested"]["recipe"][kind]["name"] for record in records} == {f"morning/{kind}-2"}
        assert {bool(record["made_from"]["code"][kind]) for record in records} == {True}
    for kind in {*SPEC_KINDS} - {*CHOSEN_BY_THE_RECIPE}:
        made_by = {record["requested"][kind]["name"]: record["requested"][kind]["distribution"] for record in records}
        assert made_by[f"morning/{kind}-2"] == f"bakeoff-morning-{kind}-2"
        assert len(made_by) == 2, "with a built-in one too"


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
    lines = [line for path in files for line in (package / path).read_text().splitlines()]
    assert not [line for line in lines if re.search(r"\$[{A-Za-z]", line)], "all words were filled in"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Tea", "'Tea' is not a valid name (lower-case letters, digits, '.', '_', '-', one '/')"),
        ("../tea", "'../tea' is not a valid name"),
        ("a/b/c", "'a/b/c' is not a valid name"),
        ("tea\n", r"'tea\n' is not a valid name"),
        ("torch-loop", "trainer 'torch-loop' is already provided by plugin 'torch-loop' of bakeoff "),
        ("glue", "'glue' would become the package bakeoff_glue, which is installed already"),
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
    assert code == 2
    assert tells(err, f"{package} ", "--folder")
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
