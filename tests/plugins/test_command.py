"""The trainer `command`: rows out, a real process, answers back."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bakeoff.kinds import CLASSIFICATION
from bakeoff.machine.processes import descendants
from bakeoff.plugin import BakeoffError, Example, Kind, Paths, PluginError, Recipe
from bakeoff_command import Command, CommandOptions, Outcome

TEXTS = ("a fine film", "näive \u2028 text", "poor")
START = """
import argparse, json, os, sys, time
parser = argparse.ArgumentParser()
for name in ("train", "dev", "predict", "out", "seed", "lr", "work", "steps", "recipe"):
    parser.add_argument(f"--{name}")
given = parser.parse_args()
rows = [json.loads(line) for line in open(given.predict, encoding="ascii")]
answers = [{"id": row["id"], "answer": "good"} for row in rows]
def write(lines=None):
    with open(given.out, "w") as stream:
        stream.writelines(json.dumps(line) + "\\n" for line in (answers if lines is None else lines))
"""
"""The beginning of each test's script."""
RUN = ["python", "train.py", "--train", "{train}", "--predict", "{predict}", "--out", "{predictions}", "--seed", "{seed}"]


@dataclass
class Job:
    """Six rows: three to train on, two splits to predict."""

    folder: Path
    recipe: Recipe = field(default_factory=Recipe)
    kind: Kind = CLASSIFICATION
    labels: tuple[str, ...] = ("bad", "good")
    text_columns: tuple[str, ...] = ("text",)
    seed: int = 7
    device: str = "cpu"
    threads: int = 1
    used_dev: bool = False

    @property
    def train(self) -> Sequence[Example]:
        return [Example(number, {"text": text}, "good") for number, text in enumerate(TEXTS, 10)]

    @property
    def splits(self) -> Mapping[str, Sequence[Example]]:
        return {"dev": [Example(5, {"text": "x"}), Example(3, {"text": "y"})], "test": [Example(4, {"text": "z"})]}

    def dev(self) -> Sequence[Example] | None:
        self.used_dev = True
        return [replace(one, label="bad") for one in self.splits["dev"]]


def outcome(
    tmp_path: Path, script: str, *, run: Sequence[str] = RUN, job: Job | None = None, begin: str = START, **options: Any
) -> Outcome:
    """What a script leaves."""
    (tmp_path / "beside").mkdir(exist_ok=True)
    (tmp_path / "beside" / "train.py").write_text(begin + script)
    places = Paths(None, tmp_path / "cache", tmp_path / "beside")
    given = CommandOptions.model_validate({"run": list(run), "code": ["train.py"], **options})
    trainer = Command()
    hashed = given.model_copy(update={"code_sha256": trainer.code_digest(given, places)})
    return trainer.fit_own(job or Job(tmp_path / "job"), trainer.resolved(hashed, places))


def test_a_script_gets_rows_without_labels_of_what_it_predicts_and_its_answers_come_back(tmp_path: Path) -> None:
    found = outcome(
        tmp_path,
        """
train = [json.loads(line) for line in open(given.train, encoding="ascii")]
assert [row["label"] for row in train] == ["good"] * 3 and train[1]["texts"]["text"] == "n\\xe4ive \\u2028 text"
assert [row["id"] for row in rows] == [3, 4, 5] and not any("label" in row for row in rows)
assert given.seed == "7" and given.lr == "5e-05", given
answers[0]["scores"] = {"good": 0.75, "bad": 0.25}
write()
""",
        run=[*RUN, "--lr", "{learning_rate}"],
    )
    assert {number: one.answer for number, one in found.answers.items()} == {3: "good", 4: "good", 5: "good"}
    assert found.answers[3].scores == {"good": 0.75, "bad": 0.25}
    assert found.answers[5].place == "line 3 of predictions.jsonl"
    job = Job(tmp_path)
    assert [one.id for one in Command().predict_own(found, job.splits["dev"], job, None)] == [5, 3]


def test_dev_is_handed_out_with_labels_only_where_the_command_asks(tmp_path: Path) -> None:
    job = Job(tmp_path / "job")
    outcome(tmp_path, "write()", job=job)
    assert not job.used_dev
    outcome(tmp_path, 'assert "bad" in open(given.dev).read()\nwrite()', run=[*RUN, "--dev", "{dev}"], job=job)
    assert job.used_dev


def test_rows_are_written_once_for_each_content_and_only_to_be_read(tmp_path: Path) -> None:
    for _ in range(2):
        outcome(tmp_path, "write()")
    files = list((tmp_path / "cache" / "rows").iterdir())
    assert len(files) == 2
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o222 == 0 for path in files)
    with pytest.raises(BakeoffError, match=r"the file of \{train\}"):
        outcome(tmp_path, 'os.chmod(given.train, 0o600)\nopen(given.train, "a").write("more")\nwrite()')
    outcome(tmp_path, "write()")  # the file is made again


def test_work_survives_a_retry_and_steps_are_kept(tmp_path: Path) -> None:
    script = """
place = os.path.join(given.work, "state")
if not os.path.exists(place):
    open(place, "w").write("x")
    sys.exit("halfway")
with open(given.steps, "w") as stream:
    for step in range(3):
        stream.write(json.dumps({"step": step, "loss": 1.5 - step}) + "\\n")
write()
"""
    run = [*RUN, "--work", "{work}", "--steps", "{steps}"]
    with pytest.raises(PluginError, match=r"exit code 1; .* halfway"):
        outcome(tmp_path, script, run=run)
    assert [step.loss for step in outcome(tmp_path, script, run=run).steps] == [1.5, 0.5, -0.5]


def test_recipe_json_tells_recipe_and_task(tmp_path: Path) -> None:
    script = """
told = json.load(open(given.recipe))
assert told["recipe"]["batch_size"] == 16 and told["labels"] == ["bad", "good"] and told["seed"] == 7, told
write()
"""
    run = ["python", "train.py", "--predict", "{predict}", "--out", "{predictions}", "--recipe", "{recipe}"]
    outcome(tmp_path, script, run=run, job=Job(tmp_path / "job", Recipe(batch_size=16)))


# --- the code ---------------------------------------------------------------------------------------------------------------


def test_an_edit_is_another_contestant_and_does_not_reach_a_plan_that_began(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (library / "answer.py").write_text("ANSWER = 'good'")
    script = "from lib.answer import ANSWER\nimport json, sys\nout = open(sys.argv[2], 'w')\n"
    script += "[out.write(json.dumps({'id': json.loads(line)['id'], 'answer': ANSWER}) + '\\n') for line in open(sys.argv[1])]"
    (tmp_path / "train.py").write_text(script)
    places = Paths(None, tmp_path / "cache", tmp_path)
    options = CommandOptions(run=["python", "train.py", "{predict}", "{predictions}"], code=["./lib/", "train.py"])
    trainer = Command()
    digest = trainer.code_digest(options, places)
    begun = options.model_copy(update={"code_sha256": digest})
    trainer.resolved(begun, places)
    (library / "answer.py").write_text("ANSWER = 'bad'")
    assert trainer.code_digest(options, places) != digest
    found = trainer.fit_own(Job(tmp_path / "job"), trainer.resolved(begun, places))
    assert found.answers[3].answer == "good"
    elsewhere = replace(places, cache=tmp_path / "other")
    with pytest.raises(BakeoffError, match=r"changed since the experiment"):
        trainer.resolved(begun, elsewhere)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"run": [*RUN, "{learning_rat}"]}, "did you mean 'learning_rate'"),
        ({"run": ["python", "train.py", "{predict}"]}, r"\{predictions\}"),
        ({"run": []}, "the first word must be a program"),
        ({"run": RUN, "claims": ["epoch"]}, "did you mean 'epochs'"),
        ({"run": RUN, "code": ["../train.py"]}, "below the folder of the experiment file"),
        ({"run": RUN, "env": ["A=1"]}, "name of an environment variable"),
    ],
)
def test_wrong_options_are_told_when_the_file_is_checked(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CommandOptions.model_validate(options)


def test_code_that_is_missing_or_not_named_is_told(tmp_path: Path) -> None:
    places = Paths(None, tmp_path / "cache", tmp_path)
    with pytest.raises(PluginError, match="there is no train"):
        Command().code_digest(CommandOptions(run=RUN, code=["train.py"]), places)
    (tmp_path / "train.py").touch()
    with pytest.raises(PluginError, match=r"and not in `code`"):
        Command().code_digest(CommandOptions(run=RUN), places)


def test_only_keys_that_the_command_gets_or_claims_are_part_of_its_recipe() -> None:
    def keys(*words: str, claims: Sequence[str] = ()) -> frozenset[str]:
        return Command().recipe_keys(CommandOptions(run=[*RUN, *words], claims=list(claims)))

    assert keys() == {"train_examples"}
    assert keys("{learning_rate}", claims=["epochs"]) == {"train_examples", "learning_rate", "epochs"}
    assert keys("{recipe}") == set(Recipe.model_fields)


# --- what goes wrong ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("answers[1] = answers[0]\nwrite()", "line 2: id 3 is answered twice, first in line 1"),
        ('answers[1]["id"] = 99\nwrite()', "line 2: id 99 is none of the 3 rows to predict"),
        ('answers[1]["id"] = "3"\nwrite()', "line 2: the id is"),
        ('answers[1]["scores"] = {"good": float("nan"), "bad": 1}\nwrite()', "line 2: NaN is not a number in JSON"),
        ('answers[0]["score"] = 1\nwrite()', "line 1: .*did you mean 'scores'"),
        ("write([[1]])", "line 1: .* is no JSON object"),
        ('open(given.out, "w").write("{" + " " * 3_000_000)', "line 1: longer than 1,048,576 bytes"),
        ("os.mkfifo(given.out)", "named pipe"),
        ("print('all is well')", "exit code 0; it printed last: all is well: the file predictions.jsonl was not written"),
        ("print('one')\nraise SystemExit(3)", "the command ended with exit code 3; it printed last: one"),
        ("os.kill(os.getpid(), 9)", "the command was ended by SIGKILL, and printed nothing"),
    ],
)
def test_what_a_script_does_wrong_is_one_sentence_with_its_place(tmp_path: Path, script: str, told: str) -> None:
    with pytest.raises(BakeoffError, match=told) as raised:
        outcome(tmp_path, script)
    assert "\n" not in str(raised.value)


def test_what_a_script_prints_is_told_by_its_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PluginError, match=r"last: x{200}[.]{3} [|] the end"):
        outcome(tmp_path, 'print("x" * 5_000_000)\nprint("the end")\nsys.exit(1)')
    assert len(capfd.readouterr().out) > 5_000_000


def test_the_environment_is_an_allow_list_and_named_values_are_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_TOKEN", "hunter2-secret")
    monkeypatch.setenv("OTHER_TOKEN", "never")
    script = """
assert "OTHER_TOKEN" not in os.environ and os.environ["OMP_NUM_THREADS"] == "1"
print("token", end="")
for letter in os.environ["API_TOKEN"]:
    print(letter, end="", flush=True)
sys.exit(1)
"""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(PluginError, match=r"printed last: token\*\*\*$"):
        outcome(tmp_path, script, env=["API_TOKEN"])
    assert "hunter2" not in capfd.readouterr().out
    monkeypatch.delenv("API_TOKEN")
    with pytest.raises(PluginError, match="API_TOKEN is not set"):
        outcome(tmp_path, script, env=["API_TOKEN"])


@pytest.mark.skipif(sys.platform != "linux", reason="descendants are found in /proc")
def test_no_descendant_outlives_the_command_in_whatever_session(tmp_path: Path) -> None:
    before = set(descendants(os.getpid()))
    script = """
import subprocess
sleep = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(0)); print('up', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
write()
"""
    begin = time.monotonic()
    outcome(tmp_path, script)
    assert time.monotonic() - begin < 4  # the child ends on SIGTERM, within the grace
    assert set(descendants(os.getpid())) <= before


def test_a_missing_program_is_told_before_any_run(tmp_path: Path) -> None:
    options = CommandOptions(run=["no-such-program", "{predict}", "{predictions}"])
    with pytest.raises(PluginError, match="'no-such-program' is not installed"):
        Command().resolved(options, Paths(None, tmp_path, tmp_path))


def test_rows_are_ascii_json(tmp_path: Path) -> None:
    outcome(tmp_path, "write()")
    for path in (tmp_path / "cache" / "rows").iterdir():
        assert all(json.loads(line) for line in path.read_text("ascii").splitlines())


# --- launchers, as they are installed ---------------------------------------------------------------------------------------

RANKS = """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor(1.0)
dist.all_reduce(total)
assert dist.get_world_size() == total.item() == 2
if dist.get_rank() == 0:
    write()
dist.destroy_process_group()  # without it a rank that ends while gloo's threads run may be aborted
"""
ACCELERATED = """
from accelerate import Accelerator
assert Accelerator().num_processes == 1
write()
"""
TORCHRUN = ["torchrun", "--nproc-per-node", "{processes}", "--master-port", "{port}", "train.py", *RUN[2:]]
ACCELERATE = ["accelerate", "launch", "--cpu", "--num_processes", "1", "--main_process_port", "{port}", "train.py", *RUN[2:]]
"""On CPUs, accelerate starts one process unless MPI is installed."""


@pytest.mark.slow
@pytest.mark.parametrize(("run", "script"), [(TORCHRUN, RANKS), (ACCELERATE, ACCELERATED)], ids=["torchrun", "accelerate"])
def test_a_script_is_started_by_a_launcher(run: Sequence[str], script: str, tmp_path: Path) -> None:
    before = set(descendants(os.getpid()))
    found = outcome(tmp_path, script, run=run, job=Job(tmp_path / "job", Recipe(processes=2)))
    assert len(found.answers) == 3
    assert set(descendants(os.getpid())) <= before


@pytest.mark.slow
def test_ranks_do_not_outlive_their_launcher(tmp_path: Path) -> None:
    """The launcher is killed, and leaves a rank that ignores SIGTERM in a session of its own."""
    before = set(descendants(os.getpid()))
    script = """
import pathlib, signal
ready = pathlib.Path(given.work) / "ready"
if os.environ["RANK"] == "1":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.touch()
    time.sleep(600)
while not ready.exists():
    time.sleep(0.05)
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(600)
"""
    with pytest.raises(PluginError, match="was ended by SIGKILL"):
        outcome(tmp_path, script, run=[*TORCHRUN, "--work", "{work}"], job=Job(tmp_path / "job", Recipe(processes=2)))
    assert set(descendants(os.getpid())) <= before
