"""The option `--data`: folders of datasets, one without a name and others by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from bakeoff.errors import BakeoffError
from bakeoff.spec.user_configuration import FOLDER_NAME
from bakeoff.text.words import quoted


@dataclass(frozen=True)
class DataFolders:
    """The folders of datasets that the user named by `--data`."""

    unnamed: Path | None = None
    named: Mapping[str, Path] = field(default_factory=dict)

    @property
    def absolute(self) -> DataFolders:
        """The same folders, by absolute paths."""
        unnamed = None if self.unnamed is None else self.unnamed.absolute()
        return DataFolders(unnamed, {name: path.absolute() for name, path in self.named.items()})

    @property
    def words(self) -> Iterator[object]:
        """The words of a command line that name these folders: `--data`, its value, ..."""
        if self.unnamed is not None:
            yield from ("--data", self.unnamed)
        for name, path in self.named.items():
            yield from ("--data", f"{name}={path}")


NOT_TOLD = DataFolders()


def data_folders(given: Sequence[str]) -> DataFolders:
    """Parses the values of `--data`, each PATH or NAME=PATH. Raises BakeoffError if a name, or a PATH without one, is given
    twice, or PATH is empty."""
    found: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not FOLDER_NAME.fullmatch(name):
            name, path = "", text
        if not path:
            raise BakeoffError(f"--data: {quoted(text)} names no folder; write PATH or NAME=PATH")
        if name in found:
            raise BakeoffError(f"--data: {quoted(name) if name else 'a folder without a name'} is given twice")
        found[name] = Path(path)
    return DataFolders(found.pop("", None), found)


def _read(context: click.Context, parameter: click.Parameter, given: Any) -> DataFolders:
    return data_folders(given)


data_option = click.option(
    "--data",
    metavar="[NAME=]DIR",
    multiple=True,
    callback=_read,
    help="Folder of datasets, for example the official GLUE files (default: $BAKEOFF_DATA; without either, tasks that need "
    "files ask the Hugging Face hub). With NAME=DIR, an experiment file finds its files as NAME/... (can be repeated).",
)
