"""What several commands share is defined once, help speaks the field's words, and each broad `except` says why."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import click
import pytest

from bakeoff.cli import VERBS, bakeoff

CORE = Path(__file__).parents[2] / "harness" / "bakeoff"
OWN_MEANING = {
    ("report", "--into"),
    ("doctor", "--control"),
    ("merge", "--into"),
    ("init", "--model"),
    ("init", "--kind"),
    ("init", "--output"),
    ("worker", "--trust"),
    ("submit", "--threads"),
    ("submit", "--retry"),
    ("export", "--to"),
}
"""Where an option is not the one that other commands have under its name."""
HOUSE_WORDS = (
    r"\b(floor|boards?|crew|rehears\w+|set aside|made again|makes? \w+ again|goes on where|can be had|hangs? on|carved|"
    r"remarks?|told|ended well|sins?|contests?|looks? at|asked for|asks for|under way|whole)\b"
)


def every_command() -> dict[str, click.Command]:
    context = click.Context(bakeoff)
    assert isinstance(bakeoff, click.Group)
    found = {name: bakeoff.get_command(context, name) for name in VERBS}
    show = found.pop("show")
    assert isinstance(show, click.Group)
    return {**found, **{f"show {name}": command for name, command in show.commands.items()}}  # type: ignore[dict-item]


COMMANDS = every_command()


def test_an_option_of_several_commands_has_one_help_text() -> None:
    texts: dict[str, set[str | None]] = defaultdict(set)
    for verb, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option) and (verb, option.opts[0]) not in OWN_MEANING:
                texts[option.opts[0]].add(option.help)
    assert {name: found for name, found in texts.items() if len(found) > 1} == {}


@pytest.mark.parametrize("verb", ["", *COMMANDS])
def test_help_is_in_the_fields_words_and_fits_a_terminal(verb: str) -> None:
    command = COMMANDS[verb] if verb else bakeoff
    context = click.Context(command, info_name=f"bakeoff {verb}", terminal_width=100, max_content_width=100)
    text = command.get_help(context)
    assert re.findall(HOUSE_WORDS, text) == []
    assert max(map(len, text.splitlines())) <= 100
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_a_broad_except_says_why_or_raises_again() -> None:
    silent = []
    for path in CORE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = set(re.findall(r"\w+", ast.unparse(node.type))) if node.type else {"BaseException"}
            if caught & {"Exception", "BaseException"} and not isinstance(node.body[-1], ast.Raise):
                silent += [f"{path.relative_to(CORE)}:{node.lineno}"] * ("  # " not in lines[node.lineno - 1])
    assert silent == []
