"""An experiment file with commands is run only after the user has agreed to them; an edit of file or code asks again."""

from __future__ import annotations

import hashlib
import os
import pty
import stat
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from core.calling import Call, Install
from messages import tells

import bakeoff
from bakeoff.cli.inputs import find_paths, open_experiment
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.runner.settings import Settings, request_of
from bakeoff.runner.trust import FOLDER, Commands, is_trusted, remember
from bakeoff.spec.user_configuration import configuration_folder

TRAINER = """
from bakeoff.plugin import Options, PluginError, hookimpl, sha256_of
from bakeoff_torch_loop import TorchLoop


class Outside(TorchLoop):
    name = "outside"
    runs_commands = True

    class Options(Options):
        run: list[str] = ["python", "job.py"]
        code_sha256: str | None = None

    def commands(self, options):
        return [options.run]

    def code_files(self, options):
        return ["job.py"]

    def code_digest(self, options, places):
        if not (places.beside / "job.py").exists():
            raise PluginError("`code`: no file job.py")
        return sha256_of(places.beside / "job.py")

    def fit(self, job, options):
        open("executed", "w").close()
        super().fit(job, options)


@hookimpl
def bakeoff_trainers():
    return [Outside()]
"""
SPEC = """\
name: toy
tasks: [{name: docstrings, size: 100}]
models: [{name: hub, path: ./nowhere}]
recipe: {epochs: 1, batch_size: 8, learning_rate: 1e-3, max_length: 16}
strategies: {theirs: {trainer: outside}, mine: {trainer: torch-loop}}
seeds: 1
"""
EXECUTING = (("run",), ("time",), ("check", "--build"), ("parity",))
MISSING = "./nowhere"


@pytest.fixture
def spec(tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a command. Its model is missing, so that whatever is allowed ends soon."""
    install("outside", TRAINER)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "job.py").write_text("print('hello')\n")
    (folder / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(folder)
    return folder / "spec.yaml"


def refused(done: tuple[int, str, str]) -> bool:
    """Whether a command ended for want of trust, rather than of the model."""
    assert done[0] == 2
    assert MISSING.removeprefix("./") in done[2] or "not trusted" in done[2]
    return "not trusted" in done[2]


@pytest.mark.parametrize("words", EXECUTING)
def test_without_trust_and_terminal_nothing_runs_and_one_line_says_what_to_do(spec: Path, call: Call, words: list[str]) -> None:
    before = sorted(spec.parent.iterdir())
    code, out, err = call(words[0], spec, *words[1:])
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert tells(err, f"{spec}: ", "theirs", "job.py", f"`bakeoff {words[0]} {spec}", "--trust`")
    assert sorted(spec.parent.iterdir()) == before
    assert not configuration_folder().exists()


@pytest.mark.parametrize("edited", ["job.py", "spec.yaml"])
def test_trust_is_remembered_until_the_file_or_its_code_is_edited(spec: Path, call: Call, edited: str) -> None:
    def told() -> str:
        return next(line for line in call("plan", spec)[1].splitlines() if "runs commands" in line)

    assert tells(
        told(), "the file runs commands: ", "`python job.py`", "(theirs)", "not trusted", f"`bakeoff run {spec}", "--trust`"
    )
    assert not refused(call("check", spec, "--build", "--trust"))
    assert tells(told(), "the file runs commands: ", "`python job.py`", "(theirs); trusted")
    assert not any(refused(call(words[0], spec, *words[1:])) for words in EXECUTING if words != ("time",))
    with (spec.parent / edited).open("a") as stream:
        stream.write("# one more line\n")
    assert tells(told(), "the file runs commands: ", "not trusted")
    assert refused(call("check", spec, "--build"))


def test_code_that_is_missing_is_named_at_its_place(spec: Path, call: Call) -> None:
    (spec.parent / "job.py").unlink()
    code, _, err = call("check", spec, "--build", "--trust")
    assert (code, len(err.splitlines())) == (2, 1)
    assert tells(err, f"{spec}:5:", "strategies.theirs.trainer", "job.py")


def test_from_python_trust_is_an_argument_and_nobody_is_asked(spec: Path) -> None:
    for function in (partial(bakeoff.run, progress=False), partial(bakeoff.check, build=True)):
        with pytest.raises(BakeoffError, match="not trusted") as caught:
            function(spec)
        assert "trust=True" in str(caught.value)
    with pytest.raises(SpecError, match="nowhere"):
        bakeoff.check(spec, build=True, trust=True)
    with pytest.raises(SpecError, match="nowhere"):
        bakeoff.run(spec, progress=False)


def answered(spec: Path, typed: str) -> tuple[int, str]:
    """`check --build` on a terminal of its own, at which somebody types: its exit code and what it showed."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-c", "from bakeoff.cli import main; main()", "check", str(spec), "--build"]
    path = os.pathsep.join([str(spec.parents[1] / "outside"), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "PYTHONPATH": path})
    os.close(theirs)
    os.write(ours, typed.encode())
    shown = b""
    with suppress(OSError):  # Linux says so at the end
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    return process.wait(60), shown.decode()


def test_on_a_terminal_the_commands_and_files_are_shown_and_asked_for_and_the_default_is_no(spec: Path, call: Call) -> None:
    code, shown = answered(spec, "\n")
    assert code == 2
    assert all(part in shown for part in ("theirs: python job.py", "code: job.py", "1  no", "not trusted"))
    assert refused(call("check", spec, "--build"))
    code, shown = answered(spec, "yes\n")
    assert "nowhere" in shown
    assert not refused(call("check", spec, "--build"))


def commands(name: str) -> Commands:
    return Commands(name, (("theirs", ("python", name)),), (), hashlib.sha256(name.encode()).hexdigest())


def remember_many(start: int) -> None:
    for number in range(start, 40, 2):
        remember(commands(f"{number}.py"))


def test_two_commands_at_once_lose_nothing_and_all_is_private(spec: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(remember_many, [0, 1]))
    folder = configuration_folder() / FOLDER
    assert sorted(path.name for path in folder.iterdir()) == sorted(commands(f"{n}.py").digest for n in range(40))
    assert all(is_trusted(commands(f"{n}.py").digest) for n in range(40))
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_others_could_have_written_and_links_count_for_nothing(spec: Path, tmp_path: Path) -> None:
    mine = commands("mine.py")
    remember(mine)
    path = configuration_folder() / FOLDER / mine.digest
    assert is_trusted(mine.digest)
    path.chmod(0o666)
    assert not is_trusted(mine.digest)
    remember(mine)
    path.parent.chmod(0o777)
    assert not is_trusted(mine.digest)
    path.parent.chmod(0o700)
    assert is_trusted(mine.digest)
    path.rename(kept := tmp_path / "elsewhere")
    path.symlink_to(kept)
    assert not is_trusted(mine.digest)
    path.unlink()
    path.write_text("something else\n")
    path.chmod(0o600)
    assert not is_trusted(mine.digest)


def test_where_it_cannot_be_remembered_it_holds_for_this_call(spec: Path, call: Call) -> None:
    configuration_folder().parent.mkdir()
    configuration_folder().write_text("a file")
    done = call("check", spec, "--build", "--trust")
    assert not refused(done)
    assert tells(done[2], "caution: ", str(configuration_folder()))
    assert refused(call("check", spec, "--build"))


def test_a_request_with_commands_is_performed_only_with_trust(spec: Path, call: Call, tmp_path: Path) -> None:
    _, plan = open_experiment(spec)
    request = request_of(plan.runs[0], Settings(paths=find_paths(spec=spec)))
    (tmp_path / "request.json").write_text(request.model_dump_json())
    code, out, err = call("worker", tmp_path / "request.json", tmp_path / "run")
    assert (code, out) == (2, "")
    assert tells(err, str(tmp_path / "request.json"), "'outside'", "--trust")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_with_trust_the_command_runs(spec: Path, call: Call) -> None:
    spec.write_text(SPEC.replace("{name: hub, path: ./nowhere}", "tiny-bert"))
    assert refused(call("check", spec, "--build"))
    assert not (spec.parent / "executed").exists()
    code, _, err = call("check", spec, "--build", "--trust")
    assert (code, (spec.parent / "executed").exists()) == (0, True), err
