"""Arguments and options that several commands share, each with its one help text."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.machine.hardware import DEVICES

PATH = click.Path(path_type=Path)

spec_argument = click.argument("spec", type=PATH)
folder_argument = click.argument("folder", metavar="DIR", type=PATH)
into_option = click.option("--into", metavar="DIR", type=PATH, help="Folder of the records (default: the folder of SPEC).")
data_option = click.option(
    "--data",
    metavar="DIR",
    type=PATH,
    help="Folder of datasets, for example the official GLUE files (default: $BAKEOFF_DATA; without either, tasks that need "
    "files ask the Hugging Face hub).",
)
device_option = click.option(
    "--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Device to train on; auto prefers a GPU."
)
threads_option = click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1, 1024),
    help="CPU threads of each run (default: all usable cores, shared by the runs that train at the same time).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, with numbers in full precision.")
