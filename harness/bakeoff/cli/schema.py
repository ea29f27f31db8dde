"""`bakeoff schema`."""

from __future__ import annotations

import click

from bakeoff.cli.output import say_json


@click.command()
def schema() -> None:
    """Print the JSON Schema of experiment files, with the components that are installed here.

    Save it (bakeoff schema > bakeoff.spec.json_schema.json) and begin an experiment file with the line
    `# yaml-language-server: $schema=bakeoff.spec.json_schema.json`: an editor then completes and checks it.
    """
    from bakeoff.contracts.registry import load_registry
    from bakeoff.spec.json_schema import schema_text

    say_json(schema_text(registered.component for registered in load_registry().all()))
