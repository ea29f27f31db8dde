"""`bakeoff schema`."""

from __future__ import annotations

import click

from bakeoff.cli.saying import say_json


@click.command()
def schema() -> None:
    """Print the JSON Schema of experiment files, with the components that are installed here.

    Save it (bakeoff schema > bakeoff.schema.json) and begin an experiment file with the line
    `# yaml-language-server: $schema=bakeoff.schema.json`: an editor then completes and checks it.
    """
    from bakeoff.registry import load_registry
    from bakeoff.schema import schema_text

    say_json(schema_text(registered.component for registered in load_registry().all()))
