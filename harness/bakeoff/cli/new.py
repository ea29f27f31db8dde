"""`bakeoff new`."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from bakeoff.cli.output import say
from bakeoff.contracts.hookspecs import COMPONENT_KINDS
from bakeoff.contracts.recipe import COMPONENT_NAME
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError
from bakeoff.files import Tree
from bakeoff.text.values import shell_word
from bakeoff.text.words import quoted, shown_path

USAGES = {
    "task": "tasks: [{name}]",
    "model": "models: [{name}]",
    "method": "strategies: {{mine: {{trainer: torch-loop, method: {name}}}}}",
    "trainer": "strategies: {{mine: {{trainer: {name}}}}}",
}


@click.command()
@click.argument("kind", type=click.Choice(list(COMPONENT_KINDS)))
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where it goes; must be new or empty (default: ./bakeoff-NAME)."
)
def new(kind: str, name: str, folder: Path | None) -> None:
    """Write a plugin package with one task, model, method or trainer that works: install it, test it, then make it yours."""
    words = described(kind, name)
    place = folder or Path(words["distribution"])
    write(package(words), place)
    say(f"wrote {shown_path(place)}: the {kind} '{name}' in {words['module']}/__init__.py")
    say(f"next: cd {shell_word(place)} && pip install -e . && pytest")


def described(kind: str, name: str) -> dict[str, str]:
    """The words that the templates want. Raises BakeoffError for a name that cannot be one, or that is taken here."""
    if not COMPONENT_NAME.fullmatch(name):
        raise BakeoffError(f"{quoted(name)} cannot be a name (lower-case letters, digits, '.', '_', '-', one '/')")
    registry = load_registry()
    if name in registry.names(kind):
        raise BakeoffError(f"{kind} '{name}' is already offered by {registry.get(kind, name).origin}: take another name")
    entry = "-".join(re.findall("[a-z0-9]+", name)).removeprefix("bakeoff-")
    distribution = f"bakeoff-{entry}"
    module = distribution.replace("-", "_")
    if importlib.util.find_spec(module) is not None:
        raise BakeoffError(f"a package {module} is already installed, and '{name}' would need that name: take another name")
    title = "".join(part.capitalize() for part in entry.split("-"))
    return {
        "kind": kind,
        "Kind": kind.capitalize(),
        "name": name,
        "entry": entry,
        "distribution": distribution,
        "module": module,
        "Class": f"{title}{kind.capitalize()}" if title[0].isalpha() else f"{kind.capitalize()}{title}",
        "usage": USAGES[kind].format(name=name),
    }


def package(words: Mapping[str, str]) -> dict[str, str]:
    """Path within the package -> content."""
    templates = files("bakeoff.cli") / "templates"
    wanted = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{words['module']}/__init__.py": f"{words['kind']}.py",
        f"tests/test_{words['module']}.py": "test.py",
    }
    return {
        path: Template((templates / f"{template}.txt").read_text(encoding="utf-8")).substitute(words)
        for path, template in wanted.items()
    }


def write(contents: Mapping[str, str], folder: Path) -> None:
    """Into a folder that is new or empty; nothing is ever overwritten. Raises BakeoffError where that can't be done."""
    try:
        if (folder.exists() or folder.is_symlink()) and (not folder.is_dir() or any(folder.iterdir())):
            raise BakeoffError(
                f"{shown_path(folder)} is there already and not an empty folder: nothing is overwritten; see --folder"
            )
        tree = Tree(folder)
        for path, content in contents.items():
            tree.make((folder / path).parent)
            tree.create(folder / path, content.encode())
    except OSError as error:
        raise BakeoffError(f"{shown_path(folder)} cannot be written: {error.strerror}") from None
