"""`bakeoff schema`."""

from __future__ import annotations

import json

import click

from bakeoff.cli.output import print_json
from bakeoff.contracts.registry import load_registry
from bakeoff.spec.json_schema import experiment_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of experiment files, with the components that are installed here.

    Editors can complete and check experiment files with it: save it (bakeoff schema > bakeoff.spec.json_schema.json), and
    begin the experiment file with the line `# yaml-language-server: $schema=bakeoff.spec.json_schema.json`.
    """
    components = [registered.component for registered in load_registry().all()]
    print_json(json.dumps(experiment_schema(components), indent=2))
