"""The user's own configuration file, `bakeoff/config.yaml` in $XDG_CONFIG_HOME or ~/.config: where data are on this machine.

Experiment files and records name no data folder by its path, so that they can be shared; this file does, and is not shared.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema

from bakeoff.contracts.recipe import Options
from bakeoff.errors import SpecError
from bakeoff.files import read_regular
from bakeoff.spec.document import MAX_BYTES, read_document

FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def checked_folder_name(name: str) -> str:
    """Returns the name of a data folder unchanged. Raises ValueError unless it can begin a path in experiment files."""
    if not FOLDER_NAME.fullmatch(name):
        raise ValueError(
            "a data folder's name is up to 64 letters, digits, '.', '_' and '-', and starts with a letter or digit"
        )
    return name


def _folder(text: str) -> str:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ValueError("must be an absolute path, or begin with ~")
    return str(path)


class UserConfiguration(Options):
    """The keys of the user's configuration file."""

    data: dict[
        Annotated[str, AfterValidator(checked_folder_name), WithJsonSchema({"type": "string"})],
        Annotated[str, Field(min_length=1), AfterValidator(_folder)],
    ] = Field(default_factory=dict, description="Name -> folder of datasets, as by `--data NAME=PATH`.")


def configuration_folder() -> Path:
    """The folder of the configuration file: `bakeoff` in $XDG_CONFIG_HOME, else in ~/.config."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "bakeoff"


def configuration_path() -> Path:
    """The path of the configuration file: `config.yaml` in `configuration_folder()`."""
    return configuration_folder() / "config.yaml"


def _says_nothing(path: Path) -> bool:
    try:
        lines = read_regular(path, at_most=MAX_BYTES).splitlines()
    except OSError:
        return False  # what reads it as a document says why it cannot be read
    return all(not line.strip() or line.lstrip().startswith(b"#") for line in lines)


def read_configuration() -> UserConfiguration:
    """The user's configuration; an empty one if there is no file, or only comments in it. Raises SpecError with file, line and
    key."""
    path = configuration_path()
    if not os.path.lexists(path) or _says_nothing(path):
        return UserConfiguration()
    document = read_document(path)
    if document.flaws:
        raise SpecError(document.flaws.values())
    try:
        return UserConfiguration.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(document.problems_of(error, model=UserConfiguration)) from None
