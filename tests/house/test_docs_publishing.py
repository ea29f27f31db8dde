"""How to publish and to write a paper: the commands exist with their options, those of the hub too, and the code is right."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
from messages import tells

from bakeoff.cli import Verbs
from bakeoff.cli.every_eval_ever import EeeOptions
from bakeoff.contracts.hub_dataset import HubDataset

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGE = "\n".join((HOW_TO / name).read_text(encoding="utf-8") for name in ("publish.md", "paper.md"))


def commands(program: str) -> list[list[str]]:
    """The words behind `program` of every command on the page."""
    lines = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ "))[1:] for line in lines if line.startswith(f"$ {program} ")]


def test_the_commands_of_bakeoff_exist_with_their_options() -> None:
    found = commands("bakeoff")
    assert {verb for verb, *_ in found} == {"export", "report"}
    for verb, *arguments in found:
        command = Verbs().get_command(click.Context(Verbs()), verb)
        assert command is not None
        known = {name for parameter in command.params for name in parameter.opts}
        known |= {f"--{name}" for name in EeeOptions.model_fields} if verb == "export" else set()
        assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_the_hubs_own_command_takes_what_the_page_gives_it() -> None:
    hub = Path(sys.executable).with_name("hf")
    told = subprocess.run([hub, "upload", "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert tells(told, "", "REPO_ID", "[LOCAL_PATH]", "[PATH_IN_REPO]", "--private")
    uploads = [arguments for verb, *arguments in commands("hf") if verb == "upload"]
    assert [len(arguments) for arguments in uploads] == [3, 3]


def test_the_dataset_that_the_page_declares_is_one() -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (call,) = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
    assert HubDataset(**given).splits == {"dev": "validation"}
