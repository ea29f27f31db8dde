"""The command `bakeoff new`."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from bakeoff.cli.adapter import adapter_of, read_script, write_beside
from bakeoff.cli.options import PATH
from bakeoff.cli.output import print_result, write_files
from bakeoff.contracts.hookspecs import COMPONENT_KINDS
from bakeoff.contracts.recipe import COMPONENT_NAME
from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError
from bakeoff.machine.installing import install_folder_command
from bakeoff.text.values import command, shell_word
from bakeoff.text.words import quoted, shown_path

USAGES = {
    "task": "tasks: [{name}]",
    "model": "models: [{name}]",
    "method": "strategies: {{mine: {{trainer: torch-loop, method: {name}}}}}",
    "trainer": "strategies: {{mine: {{trainer: {name}}}}}",
    "optimizer": "recipe: {{optimizer: {name}}}",
    "loss": "recipe: {{loss: {name}}}",
}
"""Kind of component -> how an experiment file names it."""
CALLED = {"engine": "bakeoff submit spec.yaml --to {name}", "tracker": "bakeoff export --to {name}"}
"""Kind of component that no experiment file names -> the command that names it."""
LOOKS = (
    "For what is being compared for the first time, `seeds: {looks: [3, 5, 8, 12, 20]}`\nruns seeds only while they can still "
    "decide; without it there are three."
)

SKLEARN = {"template": "sklearn.py", "dependencies": '"bakeoff[sklearn]"', "contract": "OwnModel"}
"""The words of `template_words` that differ if the trainer is an estimator of scikit-learn."""


@click.command()
@click.argument("kind", type=click.Choice([*COMPONENT_KINDS, "command"]))
@click.argument("name")
@click.option("--sklearn", is_flag=True, help="A trainer that is an estimator of scikit-learn, in place of a PyTorch loop.")
@click.option("--folder", metavar="DIR", type=PATH, help="Folder to create; must be new or empty (default: ./bakeoff-NAME).")
def new(kind: str, name: str, sklearn: bool, folder: Path | None) -> None:
    """Create a plugin package with one working task, model, method, trainer, optimizer, loss, engine or tracker, called NAME,
    and a test of it.

    Install it, run its test, then replace the example by your own code.

    With `command`, NAME is your own training script, such as train.py: writes an experiment file beside it in which the script
    is a strategy, and, if the script has no options for files of rows and answers, a second script that has them, to call your
    training from. No file is overwritten, and no script is run.
    """
    if sklearn and kind != "trainer":
        raise BakeoffError(
            f"--sklearn is for trainers, not for a {kind}: leave it out, or write `bakeoff new trainer NAME --sklearn`"
        )
    if kind == "command":
        if folder is not None:
            raise click.UsageError("--folder is for packages: an adapter is written beside its script")
        adapt(Path(name))
        return
    words = template_words(kind, name) | (SKLEARN if sklearn else {})
    place = folder or Path(words["distribution"])
    write(package(words), place)
    print_result(f"wrote {shown_path(place)}: the {kind} '{name}' in {words['module']}/__init__.py")
    print_result(f"next: cd {shell_word(place)} && {install_folder_command()} pytest && python -m pytest")


def adapt(path: Path) -> None:
    """Writes an experiment file for a training script beside it, and a bridge script where it is needed."""
    script = read_script(path)
    written = write_beside(script, adapter_of(script))
    print_result(*(f"wrote {shown_path(one)}" for one in written))
    if not script.is_ready:
        print_result(f"{shown_path(path)} has no options for rows and answers: call its training in {shown_path(written[1])}")
    print_result(f"next: {command('check', written[0], '--build', '--trust')}")


def template_words(kind: str, name: str) -> dict[str, str]:
    """Placeholder -> text, for the templates. Raises BakeoffError for a name that is invalid or already in use."""
    if not COMPONENT_NAME.fullmatch(name):
        raise BakeoffError(f"{quoted(name)} is not a valid name (lower-case letters, digits, '.', '_', '-', one '/')")
    registry = load_registry()
    if name in registry.names(kind):
        raise BakeoffError(f"{kind} '{name}' is already provided by {registry.get(kind, name).origin}: choose another name")
    entry = "-".join(re.findall("[a-z0-9]+", name)).removeprefix("bakeoff-")
    distribution = f"bakeoff-{entry}"
    module = distribution.replace("-", "_")
    if importlib.util.find_spec(module) is not None:
        raise BakeoffError(f"'{name}' would become the package {module}, which is installed already: choose another name")
    title = "".join(part.capitalize() for part in entry.split("-"))
    return {
        "kind": kind,
        "name": name,
        "entry": entry,
        "distribution": distribution,
        "module": module,
        "Class": f"{title}{kind.capitalize()}" if title[0].isalpha() else f"{kind.capitalize()}{title}",
        "template": f"{kind}.py",
        "dependencies": '"bakeoff"',
        "contract": kind.capitalize(),
        "usage": usage(kind, name),
    }


def usage(kind: str, name: str) -> str:
    """How a component is used, for its README."""
    if kind in CALLED:
        return f"On the command line: `{CALLED[kind].format(name=name)}`."
    return f"In an experiment file: `{USAGES[kind].format(name=name)}`. {LOOKS}"


def package(words: Mapping[str, str]) -> dict[str, str]:
    """Path within the package -> content, of each file."""
    templates = files("bakeoff.cli") / "templates"
    template_of = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{words['module']}/__init__.py": words["template"],
        f"tests/test_{words['module']}.py": "test.py",
    }
    return {
        path: Template((templates / f"{template}.txt").read_text(encoding="utf-8")).substitute(words)
        for path, template in template_of.items()
    }


def write(contents: Mapping[str, str], folder: Path) -> None:
    """Writes the files into a folder that is new or empty; overwrites nothing. Raises BakeoffError if that is impossible."""
    try:
        taken = (folder.exists() or folder.is_symlink()) and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise BakeoffError(f"{shown_path(folder)} cannot be read: {error.strerror}") from None
    if taken:
        raise BakeoffError(f"{shown_path(folder)} exists and is not an empty folder: choose another with --folder")
    write_files(folder, contents)
