"""docs/ci.md: its workflow is YAML, its commands exist, its files are valid, its exit codes and JSON fields the real ones."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML

from bakeoff.cli import Verbs
from bakeoff.cli.gate import EXIT_CODES
from bakeoff.cli.report import WARNED
from bakeoff.cli.schema import output_schema
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError
from bakeoff.runner.job import NOT_SEEN
from bakeoff.spec.document import parse_document
from bakeoff.spec.experiment_file import Gate

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")


def blocks(language: str = "yaml") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def loaded() -> list[Any]:
    return [YAML(typ="safe").load(text) for text in blocks()]


def commands() -> Iterator[list[str]]:
    """The words behind `bakeoff` of every command in the workflow and the scripts."""
    (workflow,) = [block for block in loaded() if "jobs" in block]
    lines = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    for text in [*lines, *blocks("bash"), *blocks("console")]:
        for line in text.splitlines():
            if (found := re.match(r"(?:\$ )?\s*bakeoff (.*?)(?: > | \|\| |$)", line)) is not None:
                yield shlex.split(found[1], comments=True)


def test_the_commands_of_the_workflow_and_the_scripts_exist_with_their_options() -> None:
    assert {verb for verb, *_ in commands()} == {"check", "run", "gate", "plan"}
    for verb, *arguments in commands():
        command = Verbs().get_command(click.Context(Verbs()), verb)
        assert command is not None
        known = {name for parameter in command.params for name in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_the_experiment_is_right_but_for_the_trainer_that_it_stands_for() -> None:
    (text,) = [text for text in blocks() if "strategies:" in text]
    registry = load_registry()
    assert [problem.key for problem in parse_document(text, "spec.yaml").read(registry)[1]] == ["strategies.my-loop.trainer"]
    spec, problems, _ = parse_document(text.replace("trainer: my-loop", "trainer: torch-loop"), "spec.yaml").read(registry)
    assert problems == []
    assert spec is not None
    assert spec.gate.quality


def test_the_rules_are_those_of_experiment_files() -> None:
    (rules,) = [block["gate"] for block in loaded() if list(block) == ["gate"]]
    assert Gate.model_validate(rules).model_dump(exclude_none=True) == {
        "quality": "-1 points",
        "train_seconds": "+10%",
        "peak_memory": "+5%",
    }
    assert set(re.findall(r"`(\w+)(?:: [^`]*)?`", PAGE)) >= set(Gate.model_fields)


def test_the_exit_codes_are_the_real_ones() -> None:
    told = {verdict: int(code) for code, verdict in re.findall(r"^\| (\d) \| ([a-z ]+) \|", PAGE, re.MULTILINE)}
    assert told == {**EXIT_CODES, "error": 2}
    assert int(re.findall(r"ends with (\d+)\.", PAGE)[0]) == NOT_SEEN
    assert BakeoffError.exit_code == 2
    for verb, codes in (("gate", {*EXIT_CODES.values(), 2}), ("report", {0, WARNED, 2})):
        command = Verbs().get_command(click.Context(Verbs()), verb)
        assert command is not None
        assert command.help is not None
        assert {int(code) for code in re.findall(r"\b(\d): ", command.help.partition("Exit code ")[2])} == codes


def test_the_fields_that_are_named_exist() -> None:
    for verb, told in re.findall(r"^\| `bakeoff (\w+) --json` \| (.*) \|$", PAGE, re.MULTILINE):
        known = set(re.findall(r'"(\w+)"', str(output_schema(verb)).replace("'", '"')))
        assert set(re.findall(r"`(\w+)`", told)) <= known, verb
