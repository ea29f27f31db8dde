"""The shell command that installs an optional part (extra) of a distribution into this environment, in the way in which the
distribution was installed."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from bakeoff.machine.distributions import imported_build


def install_command(requirement: str) -> str:
    """A shell command that installs `requirement` (`bakeoff[peft]`) here: from the same checkout, wheel, repository or index as
    the distribution that is installed, by uv where uv made the environment.

    A distribution that isn't installed is installed from the index.
    """
    name, _, rest = requirement.partition("[")
    extras = f"[{rest}" if rest else ""
    try:
        build = imported_build(name)
        origin, installer = json.loads(build.read_text("direct_url.json") or "{}"), build.read_text("INSTALLER") or ""
    except (importlib.metadata.PackageNotFoundError, ValueError, OSError):
        origin, installer = {}, ""
    return shlex.join([*_start(installer.strip()), *_what(name, extras, origin if isinstance(origin, dict) else {})])


def install_folder_command() -> str:
    """A shell command that installs the working directory here, editable, as Bakeoff itself was installed."""
    return shlex.join([*_start((imported_build("bakeoff").read_text("INSTALLER") or "").strip()), "-e", "."])


def _start(recorded: str) -> list[str]:
    """The first words of the command, up to what is installed. recorded: the content of the distribution's INSTALLER file
    (`pip`, `uv`)."""
    if recorded == "uv" or find_spec("pip") is None:
        return ["uv", "pip", "install", *([] if _is_active("python") else ["--python", sys.executable])]
    return ["pip", "install"] if _is_active("pip") else [sys.executable, "-m", "pip", "install"]


def _is_active(command: str) -> bool:
    """Whether this command, typed into a shell, belongs to the environment that this process runs in."""
    found = shutil.which(command)
    return found is not None and Path(found).parent == Path(sys.prefix) / "bin"


def _what(name: str, extras: str, origin: dict[str, Any]) -> list[str]:
    """The last words of the command, which name the distribution with these extras. origin: its direct_url.json (PEP 610)."""
    url = str(origin.get("url", ""))
    folder = Path(unquote(urlparse(url).path)) if url.startswith("file:") else None
    if origin.get("dir_info", {}).get("editable") and folder is not None:
        constraints = folder / "constraints.txt"
        return [*(["-c", str(constraints)] if constraints.is_file() else []), "-e", f"{folder}{extras}"]
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return [f"{name}{extras} @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', 'HEAD')}"]
    if url and (folder is None or folder.exists()):
        return [f"{name}{extras} @ {url}"]
    return [f"{name}{extras}"]
