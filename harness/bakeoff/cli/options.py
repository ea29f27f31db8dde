"""Arguments and options that several commands share, each with its one help text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from bakeoff.machine.hardware import DEVICES
from bakeoff.planning.shards import Shard, shard_named
from bakeoff.runner.settings import Policy
from bakeoff.spec.location import experiment_file, experiment_folder
from bakeoff.text.words import quoted

PATH = click.Path(path_type=Path)
WORD = re.compile(r"--([a-z][a-z0-9-]*)(?:=(.*))?", re.DOTALL)
"""An option as it stands on the command line."""


class WithFurtherOptions(click.Command):
    """A command that takes the options of an engine or tracker beside its own: those that it does not know, each with its
    value, as a mapping from options to their values in `ctx.obj`."""

    def __init__(self, *args: Any, chosen_by: str, **keywords: Any) -> None:
        """chosen_by: the option that names the engine or tracker. Without it, unknown options are errors, as elsewhere."""
        super().__init__(*args, **keywords)
        self.chosen_by = chosen_by

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given, rest, words = defaultdict[str, list[str]](list), list[str](), iter(args)
        own = {word for parameter in self.get_params(ctx) for word in (*parameter.opts, *parameter.secondary_opts)}
        if not any(word.partition("=")[0] == self.chosen_by for word in args):
            own |= {word.partition("=")[0] for word in args}
        for word in words:
            found = WORD.fullmatch(word)
            if word == "--":
                rest += [word, *words]
            elif found is None or f"--{found[1]}" in own:
                rest.append(word)
            else:
                value = found[2] if found[2] is not None else next(words, None)
                if value is None:
                    raise click.UsageError(f"{word} needs a value", ctx)
                given[found[1]].append(value)
        ctx.obj = dict(given)
        return super().parse_args(ctx, rest)


class Place(click.ParamType[Path]):
    """The type of an argument that names an experiment by its file or its folder: gives the one of the two that the command
    needs."""

    name = "path"

    def __init__(self, find: Callable[[Path], Path]) -> None:
        """find: from the path that the user gave to the path that the command needs. Raises BakeoffError if there is no
        experiment."""
        self.find = find

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return self.find(Path(value))


EXPERIMENT_FILE, EXPERIMENT_FOLDER = Place(experiment_file), Place(experiment_folder)

spec_argument = click.argument("spec", type=EXPERIMENT_FILE, default=".", required=False)
folder_argument = click.argument("folder", metavar="DIR", type=EXPERIMENT_FOLDER, default=".", required=False)
into_option = click.option("--into", metavar="DIR", type=PATH, help="Folder of the records (default: the folder of SPEC).")
device_option = click.option(
    "--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Device to train on; auto prefers a GPU."
)
threads_option = click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, 1024),
    help="CPU threads of each run (default: all usable cores, shared by the runs that train at the same time).",
)
only_option = click.option(
    "--only",
    metavar="RUNS",
    multiple=True,
    help="Only these of the declared runs: a run's id, STRATEGY, STRATEGY:SEED or :SEED, each perhaps with @TASK, @MODEL or "
    "@TASK,MODEL (can be repeated). What a search must try first for them is made too; of declared looks only what they "
    "need next.",
)


changed_option = click.option(
    "--changed",
    type=click.Choice(get_args(Policy)),
    default="stop",
    show_default=True,
    help="If data, model, software or hardware changed since runs were recorded: stop with an error; rerun these runs; or mix, "
    "that is keep them (runs on other data or another model then get tables of their own).",
)


class ShardName(click.ParamType[Shard]):
    """The type of an option that names a shard, `I/N`."""

    name = "shard"

    def convert(self, value: str | Shard, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        if isinstance(value, Shard):
            return value
        try:
            return shard_named(value)
        except ValueError as error:
            self.fail(f"{quoted(value)} {error}", param, ctx)


shard_option = click.option(
    "--shard",
    metavar="I/N",
    type=ShardName(),
    help="Only the runs of shard I of N, for N workers that share a folder: dealt out by their ids alone. A shard waits for "
    "nobody and writes no tables; with a search or looks it makes its runs of the first phase that lacks records.",
)
trust_option = click.option(
    "--trust",
    is_flag=True,
    help="Run the commands that the experiment file names, now and later, until the file or their code is edited. Read both "
    "first.",
)
trusted_option = click.option(
    "--trusted", metavar="HASH", default="", hidden=True, help="As --trust, for the commands with this hash and no others."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, with numbers in full precision.")
