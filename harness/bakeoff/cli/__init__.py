"""The command line: one file for each command, imported only when it is called, so that `--help` answers at once."""

from __future__ import annotations

import importlib
import sys
import traceback

import click

from bakeoff import __version__
from bakeoff.cli.output import print_note
from bakeoff.errors import BakeoffError
from bakeoff.machine.signals import is_interrupt
from bakeoff.machine.streams import complaint_about, prepare_streams
from bakeoff.machine.surroundings import prepare_surroundings

INTERRUPTED = 130
"""Exit code of a command that was interrupted: 128 + SIGINT, as in shells."""
BUG = 70
"""Exit code of a bug in Bakeoff: EX_SOFTWARE of sysexits.h. Not 1, which is a result of some commands, such as a gate that
fails."""

VERBS = {
    "init": "Write an experiment file for your rows: what to compare, what it costs, what it can conclude.",
    "run": "Train all runs of an experiment file; continue where an earlier call stopped.",
    "submit": "Submit the runs of an experiment file to a cluster, as jobs of an engine such as Slurm.",
    "status": "Tell how submitted runs stand: recorded, running, waiting, or ended without a record.",
    "cancel": "Cancel an experiment's jobs that wait or run.",
    "table": "Show an experiment's results as a table of strategies.",
    "report": "Write the leaderboard of one or several experiments: HTML page, tables, hub cards.",
    "export": "Write the recorded runs to TensorBoard, MLflow, Weights & Biases, another tracker, or as files of a standard.",
    "best": "Show the kept model of the recommended strategy, with its card.",
    "explain": "Explain a warning, a verdict or a table column, and what to do about it.",
    "gate": "Compare new results with a baseline's: pass, fail, or not enough evidence.",
    "rescore": "Score stored predictions by another metric, also on slices, without training.",
    "time": "Measure what a run of each strategy takes, also on a machine that others use.",
    "plan": "List every run of an experiment file: its id, its state, its expected time.",
    "check": "Find all errors in an experiment file without training.",
    "parity": "Train two strategies side by side and report the first step that differs.",
    "plugins": "List the installed tasks, models, methods, trainers, optimizers, losses, engines and trackers.",
    "predict": "Answer new rows by the model that a run kept.",
    "log": "Show what a run printed, and why it failed.",
    "show": "Show a task's data: splits, labels, token lengths, majority baseline, examples.",
    "verify": "Check that an experiment's records are complete and undamaged.",
    "merge": "Copy the records of one experiment from several folders or machines into one.",
    "disk": "Show what an experiment and the cache take on disk.",
    "prune": "Remove records that no plan names, and the cache; says sizes first.",
    "migrate": "Convert records of an older Bakeoff to the current format.",
    "doctor": "Check this installation: hardware, versions, hub, data, plugins.",
    "new": "Create a plugin package with a task, model, method, trainer, engine or tracker of your own.",
    "schema": "Print the JSON Schema of experiment files, for editors.",
    "worker": "Perform one run that a request file describes (for cluster schedulers).",
}


class Verbs(click.Group):
    """The group of all commands: knows their names and summaries, and imports `bakeoff.cli.<name>` only when command <name> is
    called."""

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


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="SPEC and DIR are the file or the folder of an experiment; without them, that of the only one in this folder. Exit "
    "codes of all commands: 0 success; 2 an error, explained on standard error; 70 a bug in Bakeoff, with its traceback; 130 "
    "interrupted. The help of a command lists its further exit codes.",
)
@click.version_option(__version__, prog_name="bakeoff")
def bakeoff() -> None:
    """Fine-tune models with several strategies and see which is better, by how much, at what cost, and how certain that is."""


def main() -> None:
    """Runs the command line. Expected errors are printed in a line or a few, any other with its traceback; both set the exit
    code."""
    output = prepare_streams(escaping=True)
    code = call()
    if complaint := complaint_about(output):
        print_note(complaint)
        code = BakeoffError.exit_code
    sys.exit(code)


def call() -> int:
    """Runs the command named on the command line, and returns its exit code."""
    try:
        prepare_surroundings()
        code = bakeoff.main(prog_name="bakeoff", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        print_usage_error(error)
        return error.exit_code
    except BakeoffError as error:
        print_note(*error.lines)
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:  # all that nobody below expected: an interrupt or a bug
        if isinstance(error, click.Abort) or is_interrupt(error):
            print_note("interrupted; run the same command again to continue")
            return INTERRUPTED
        print_note(*traceback.format_exc().removesuffix("\n").split("\n"))
        return BUG


def print_usage_error(error: click.ClickException) -> None:
    """Prints a usage error as click does, but its message always on one line, whatever the user typed."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        print_note(*error.ctx.get_usage().splitlines())
        print_note(f"Try '{error.ctx.command_path} {max(error.ctx.help_option_names, key=len)}' for help.", "")
    print_note(f"Error: {' '.join(error.format_message().split())}")
