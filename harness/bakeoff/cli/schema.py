"""The command `bakeoff schema`."""

from __future__ import annotations

import json
from typing import Any

import click
from pydantic import BaseModel

from bakeoff.cli.output import print_json
from bakeoff.contracts.registry import load_registry
from bakeoff.spec.json_schema import DRAFT, experiment_schema

OUTPUTS = ("check", "plan", "run", "submit", "status", "table", "gate", "best", "disk", "export")
"""The commands whose `--json` output has a schema."""


@click.command()
@click.argument("of", type=click.Choice(["experiment", *OUTPUTS]), default="experiment")
def schema(of: str) -> None:
    """Print the JSON Schema of experiment files, with the components that are installed here; or, as in `bakeoff schema
    table`, the schema of what that command prints with `--json`.

    Editors complete and check experiment files with it, and show what each key means: save it (bakeoff schema >
    bakeoff.schema.json), and begin the experiment file with the line `# yaml-language-server: $schema=bakeoff.schema.json`.
    """
    if of != "experiment":
        print_json(json.dumps(output_schema(of), indent=2))
        return
    components = [registered.component for registered in load_registry().all()]
    print_json(json.dumps(experiment_schema(components), indent=2))


def output_schema(verb: str) -> dict[str, Any]:
    """The JSON Schema of what `--json` of a command prints."""
    # not for experiment files, whose schema is quick
    from bakeoff.cli.formats import (
        BestOutput,
        CheckOutput,
        DiskOutput,
        ExportOutput,
        PlanOutput,
        RunOutput,
        StatusOutput,
        SubmitOutput,
    )
    from bakeoff.report.formats import GateOutput, TableOutput

    models: dict[str, type[BaseModel]] = {
        "check": CheckOutput,
        "plan": PlanOutput,
        "run": RunOutput,
        "submit": SubmitOutput,
        "status": StatusOutput,
        "table": TableOutput,
        "gate": GateOutput,
        "best": BestOutput,
        "disk": DiskOutput,
        "export": ExportOutput,
    }
    found = models[verb].model_json_schema(mode="serialization")
    declared = found.get("$defs", {}).get("Declared")
    if declared is not None:  # its runs are left out
        declared["properties"].pop("runs")
        declared["required"] = [key for key in declared["required"] if key != "runs"]
    return {"$schema": DRAFT, **found, "title": f"bakeoff {verb} --json"}
