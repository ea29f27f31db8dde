"""The command `bakeoff plugins`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from bakeoff.cli.options import json_option
from bakeoff.cli.output import NARROWEST, aligned, print_json, print_result, terminal_width
from bakeoff.contracts.hookspecs import COMPONENT_KINDS
from bakeoff.contracts.registry import Registered, Registry, load_registry
from bakeoff.contracts.versions import CONTRACT_VERSION
from bakeoff.text.markdown import wrap


@click.command()
@click.option("--kind", type=click.Choice(list(COMPONENT_KINDS)), help="List only components of this kind.")
@json_option
def plugins(kind: str | None, as_json: bool) -> None:
    """List the installed tasks, models, methods, trainers, optimizers, losses, engines and trackers, and the plugins that
    cannot be used, with their errors."""
    registry = load_registry()
    if as_json:
        print_json(json.dumps(as_data(registry, kind), indent=2))
        return
    width = terminal_width() if sys.stdout.isatty() else sys.maxsize  # a file never wraps
    header, *lines = component_lines(registry, kind, width)
    print_result(header, style="bold")
    print_result(*lines)
    if troubles := trouble_lines(registry, kind, width):
        print_result("")
        print_result("CANNOT BE USED", style="bold")
        print_result(*troubles)


def as_data(registry: Registry, kind: str | None) -> dict[str, Any]:
    """The registry for JSON; every key is always present."""
    return {
        "contract": CONTRACT_VERSION,
        "components": [
            {
                "kind": found.component.kind,
                "name": found.component.name,
                "version": found.component.version,
                "summary": found.component.summary,
                "plugin": found.origin.plugin,
                "distribution": found.origin.distribution,
                "distribution_version": found.origin.version,
                "needs": found.needs,
            }
            for found in chosen(registry, kind)
        ],
        "broken": [
            {
                "plugin": plugin.origin.plugin,
                "distribution": plugin.origin.distribution,
                "distribution_version": plugin.origin.version,
                "error": plugin.error,
            }
            for plugin in registry.broken
        ],
        "clashes": [
            {"kind": clash.kind, "name": clash.name, "offered_by": [str(origin) for origin in clash.origins]}
            for clash in registry.clashes
            if kind in (None, clash.kind)
        ],
    }


def chosen(registry: Registry, kind: str | None) -> list[Registered]:
    return [found for found in registry.all() if kind in (None, found.component.kind)]


def component_lines(registry: Registry, kind: str | None, width: int) -> list[str]:
    """The components as a table: name, version, origin, summary."""
    rows = [
        (
            found.component.kind,
            found.component.name,
            found.component.version,
            f"{found.origin.distribution} {found.origin.version}",
            f"needs {found.needs}: {found.component.summary}" if found.needs else found.component.summary,
        )
        for found in chosen(registry, kind)
    ]
    header = ("KIND", "NAME", "VERSION", "FROM", "WHAT IT IS")
    return aligned([header, *rows], width=width)


def trouble_lines(registry: Registry, kind: str | None, width: int) -> list[str]:
    """Broken plugins with their errors, and components that several plugins offer; empty if there are none."""
    troubles = [f"{plugin.origin} is broken: {plugin.error}" for plugin in registry.broken]
    troubles += [str(clash) for clash in registry.clashes if kind in (None, clash.kind)]
    return [line for trouble in troubles for line in wrap(trouble, max(width, NARROWEST), indent="  ")]
