"""Pages of the command line: every command with its options, and the exit codes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

import click

from bakeoff.cli import BUG, INTERRUPTED, VERBS, Verbs
from bakeoff.cli.every_eval_ever import EeeOptions
from bakeoff.errors import BakeoffError
from pages.markdown import cell, code, flags, table

COMMANDS: Final = """\
# Commands

Every command with its options, as `bakeoff COMMAND --help` has them. SPEC and DIR are the file or the folder of an experiment;
without them, that of the only one in this folder. [Bakeoff in CI](../ci.md) says what scripts can rely on, and
[Exit codes](exit-codes.md) what each code means.
"""
EXIT_CODES: Final = """\
# Exit codes

Codes are stable: a code keeps its meaning, and a command gets no new one without a note in the
[changelog](../../CHANGELOG.md). [Bakeoff in CI](../ci.md#exit-codes) has what to do with them in a script.
"""
FURTHER: Final = {
    "submit": "Further options are [those of the engine](components.md#engines).",
    "export": "Further options are [those of the tracker](components.md#trackers).",
    "run": "With `--export-to`, further options are [those of the tracker](components.md#trackers).",
}
"""Command -> where the options of a component stand that it takes as well."""
OF_ALL: Final = (
    ("0", "success, or what is said of the command below"),
    (str(BakeoffError.exit_code), "an error, explained on standard error"),
    (str(BUG), "a bug in Bakeoff, with its traceback"),
    (str(INTERRUPTED), "interrupted; the same command again goes on"),
)


def all_commands() -> dict[str, click.Command]:
    """Name -> command; those of a group under both names: `show task`."""
    group, found = Verbs(), dict[str, click.Command]()
    for verb in VERBS:
        command = group.get_command(click.Context(group), verb)
        assert command is not None
        inner = command.commands if isinstance(command, click.Group) else {}
        found |= {f"{verb} {name}": one for name, one in inner.items()} or {verb: command}
    return found


def commands() -> Iterator[str]:
    found = all_commands()
    yield COMMANDS
    yield from table(["command", "what it does"], ([_link(verb), cell(VERBS[verb.split()[0]])] for verb in found))
    for verb, command in found.items():
        usage = " ".join([f"bakeoff {verb}", *command.collect_usage_pieces(click.Context(command))])
        yield from ("", f"## bakeoff {verb}", "", "```text", usage, "```")
        yield from (f"\n{_safe(text)}" for text in _paragraphs(command))
        rows = [_option(option) for option in command.params if isinstance(option, click.Option) and not option.hidden]
        yield from ("", *table(["option", "what it does"], rows)) if rows else ()
        yield from (f"\n{FURTHER[verb]}",) if verb in FURTHER else ()
        yield from ("\nWith `--to eee`:\n", *flags(EeeOptions.model_json_schema())) if verb == "export" else ()


def exit_codes() -> Iterator[str]:
    yield EXIT_CODES
    yield from table(["code", "of every command"], OF_ALL)
    yield "\nCommands that say more by theirs:\n"
    yield from table(
        ["command", "exit codes"],
        (
            [_link(verb, "commands.md"), cell(_marked(_safe(text.removeprefix("Exit code "))))]
            for verb, command in all_commands().items()
            for text in _paragraphs(command)
            if text.startswith("Exit code ")
        ),
    )


def _link(verb: str, page: str = "") -> str:
    return f"[`bakeoff {verb}`]({page}#bakeoff-{verb.replace(' ', '-')})"


def _paragraphs(command: click.Command) -> list[str]:
    """The paragraphs of a command's help, each on one line."""
    return [" ".join(text.split()) for text in inspect.cleandoc(command.help or "").split("\n\n")]


def _safe(text: str) -> str:
    """Help as Markdown, in which what looks like HTML stays text."""
    return text.replace("<", "&lt;")


def _marked(text: str) -> str:
    """The codes of a sentence in bold."""
    return re.sub(r"(?<![\w:])(\d+): ", r"**\1**: ", text)


def _option(option: click.Option) -> list[str]:
    kind = option.type
    choices = [str(choice) for choice in kind.choices] if isinstance(kind, click.Choice) else []
    value = "" if option.is_flag or choices else f" {option.metavar or kind.name.upper()}"
    told = [_safe(option.help or "")]
    if choices:
        told.append(f"One of {', '.join(map(code, choices))}.")
    elif isinstance(kind, click.IntRange | click.FloatRange):
        told.append(_range(kind))
    if option.required:
        told.append("Required.")
    elif option.show_default and option.default not in (None, False, ()):
        told.append(f"Default: {code(_default(option))}.")
    return [", ".join(code(name + value) for name in (*option.opts, *option.secondary_opts)), cell(" ".join(told))]


def _default(option: click.Option) -> str:
    if option.is_flag and option.secondary_opts:
        return (option.opts if option.default else option.secondary_opts)[0]
    return str(option.default)


def _range(kind: click.IntRange | click.FloatRange) -> str:
    low = "" if kind.min is None else f"{'above' if kind.min_open else 'from'} {kind.min:,}"
    high = "" if kind.max is None else f"to {kind.max:,}"
    told = " ".join(filter(None, (low, high)))
    return f"{told.capitalize()}." if told else ""
