"""docs/ci.md: its workflow is YAML, its commands exist, its rules are those of spec files, its exit codes the real ones."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML

from bakeoff.cli import VERBS, Verbs
from bakeoff.cli.gate import EXIT_CODES
from bakeoff.spec.experiment_file import Gate

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")


def blocks() -> list[Any]:
    return [YAML(typ="safe").load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def test_the_commands_of_the_workflow_exist_with_their_options() -> None:
    (workflow,) = [block for block in blocks() if "jobs" in block]
    lines = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    commands = [shlex.split(line)[1:] for text in lines for line in text.splitlines() if line.startswith("bakeoff ")]
    assert [command[0] for command in commands] == ["run", "run", "gate"]
    for verb, *arguments in commands:
        assert verb in VERBS
        command = Verbs().get_command(click.Context(Verbs()), verb)
        assert command is not None
        known = {name for parameter in command.params for name in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_the_rules_are_those_of_experiment_files() -> None:
    (rules,) = [block["gate"] for block in blocks() if "gate" in block]
    assert Gate.model_validate(rules).model_dump(exclude_none=True) == {
        "quality": "-1 points",
        "train_seconds": "+10%",
        "peak_memory": "+5%",
    }
    assert set(re.findall(r"`(\w+)(?:: [^`]*)?`", PAGE)) >= set(Gate.model_fields)


def test_the_exit_codes_are_the_real_ones() -> None:
    told = {verdict: int(code) for code, verdict in re.findall(r"^\| (\d) \| ([a-z ]+) \|", PAGE, re.MULTILINE)}
    assert told == {**EXIT_CODES, "error": 2}
