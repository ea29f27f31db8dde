"""The command line: one file a verb, imported only when that verb is called, so that `--help` answers at once."""

from __future__ import annotations

import importlib
import sys
import traceback

import click

from bakeoff import __version__
from bakeoff.cli.output import tell
from bakeoff.errors import BakeoffError
from bakeoff.machine.signals import pass_on_interrupt
from bakeoff.machine.streams import prepare_streams
from bakeoff.machine.surroundings import prepare_surroundings

BUG = 70
"""EX_SOFTWARE of sysexits.h."""

VERBS = {
    "run": "Fine-tune what an experiment file asks for; go on where it stopped.",
    "table": "Show an experiment's records as a table of strategies.",
    "report": "Write the leaderboard: page, tables, cards, from one experiment or several.",
    "explain": "Explain a warning, a verdict or a column: what it means, and what to do.",
    "gate": "Judge a candidate's records against a baseline's: pass, fail, or not enough evidence.",
    "rescore": "Score stored predictions by another metric, on slices too, without training.",
    "plan": "List every run: its id, whether it is recorded, how long it may take.",
    "check": "Find everything wrong in an experiment file, without running it.",
    "parity": "Train two strategies side by side and name the first step that differs.",
    "plugins": "List the installed tasks, models, methods and trainers.",
    "show": "Look at a task's data: splits, labels, lengths, floor, examples.",
    "verify": "Say which records of an experiment are whole.",
    "migrate": "Bring the records that an older Bakeoff wrote to the current schema.",
    "doctor": "Say what is here and what is missing: hardware, versions, hub, data, plugins.",
    "new": "Write a plugin package with a task, model, method or trainer of your own.",
    "schema": "Print the JSON Schema of experiment files, for editors.",
    "worker": "Perform one run by a request file: for schedulers.",
}


class Verbs(click.Group):
    """Knows the verbs' names and sentences; imports `bakeoff.cli.<verb>` when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command = getattr(importlib.import_module(f"bakeoff.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from bakeoff.text.words import did_you_mean

            raise BakeoffError(did_you_mean("command", args[0], VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="bakeoff")
def bakeoff() -> None:
    """Fine-tune models in several ways and see which way is better, by how much, at what cost, and how sure one may be."""


def main() -> None:
    """Expected errors are their lines and an exit code; anything else keeps its traceback."""
    streams = prepare_streams(escaping=True)
    code = _perform()
    if complaint := streams.complaint():
        tell(complaint)
        code = BakeoffError.exit_code
    sys.exit(code)


def _perform() -> int:
    """The exit code of the verb that the command line names."""
    try:
        prepare_surroundings()
        code = _called()
    except click.ClickException as error:
        tell_usage(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        tell("stopped; the same command goes on from here")
        return 130
    except BakeoffError as error:
        tell(*error.lines)
        return error.exit_code
    except Exception:  # a bug: its traceback is wanted, but 1 is a verb's own answer (a gate that fails)
        tell(*traceback.format_exc().removesuffix("\n").split("\n"))
        return BUG
    return code if isinstance(code, int) else 0


def _called() -> object:
    try:
        return bakeoff.main(standalone_mode=False)
    except (click.ClickException, click.Abort, BakeoffError):
        raise
    except Exception as error:
        pass_on_interrupt(error)
        raise


def tell_usage(error: click.ClickException) -> None:
    """Says what is wrong with the command line as click would; what was typed stays on its line."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        tell(*error.ctx.get_usage().splitlines())
        tell(f"Try '{error.ctx.command_path} {max(error.ctx.help_option_names, key=len)}' for help.", "")
    tell(f"Error: {' '.join(error.format_message().split())}")
