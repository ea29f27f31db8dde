"""Trust: an experiment file that names commands is run only after the user has agreed to them.

Bakeoff remembers that on this machine by a hash over the file, its commands and their code, in one private file for each hash:
after an edit of any of them the hash is another, and the user is asked again. Only what this user has agreed to counts: a
remembering file that belongs to another user, or behind a link, is ignored.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bakeoff.contracts.configured import canonical
from bakeoff.contracts.registry import load_registry
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.files import Tree, make_private
from bakeoff.planning.runs import Plan
from bakeoff.runner.settings import Settings
from bakeoff.spec.document import Document
from bakeoff.spec.user_configuration import configuration_folder
from bakeoff.text.values import shell_word
from bakeoff.text.words import escaped, shown_path
from bakeoff.training.request import read_request

FOLDER: Final = "trusted"
"""The folder of these files, in the folder of the user's configuration."""
LARGEST: Final = 4096
"""The largest size of a file that remembers an agreement, in bytes."""


@dataclass(frozen=True)
class Commands:
    """The commands that an experiment file names."""

    file: str
    """The experiment file, as messages name it."""
    by_strategy: tuple[tuple[str, Sequence[str]], ...]
    """(strategy, words of a command)."""
    code: tuple[str, ...]
    """The files and folders of their code."""
    digest: str
    """SHA-256 over the experiment file, the commands, and the trainers' options, which hold a hash of the commands' code."""

    @property
    def lines(self) -> list[str]:
        """The commands and the files of their code, one a line, for a user who is to decide whether to trust them."""
        shown = [f"  {name}: {in_a_shell(words)}" for name, words in self.by_strategy]
        return [*shown, *(f"  code: {shown_path(path)}" for path in self.code)]

    def note(self, remedy: str) -> str:
        """One sentence for `check` and `plan`: the commands, and whether the user trusts them. remedy: how to trust them."""
        shown = "; ".join(f"`{in_a_shell(words)}` ({escaped(name)})" for name, words in self.by_strategy)
        told = "trusted on this machine" if is_trusted(self.digest) else f"not trusted on this machine yet: {remedy}"
        return f"the file runs commands: {shown}; {told}"

    def refusal(self, remedy: str) -> BakeoffError:
        """The error of a Bakeoff command that would have to run untrusted commands. remedy: how to trust them."""
        names = ", ".join(dict.fromkeys(escaped(name) for name, _ in self.by_strategy))
        files = f" and their code ({', '.join(map(shown_path, self.code))})" if self.code else ""
        return BakeoffError(
            f"{self.file}: strategies run commands ({names}), and this file is not trusted on this machine, or it or the code "
            f"was edited since; read the commands{files}, then {remedy}"
        )


def in_a_shell(words: Sequence[str]) -> str:
    """A command as it would be typed into a shell."""
    return " ".join(map(shell_word, words))


def commands_of(document: Document, plan: Plan) -> Commands | None:
    """The commands of all strategies; None if the experiment file names no command."""
    parts = {
        (strategy.name, canonical(variant.trainer.identity)): variant.trainer
        for strategy in plan.strategies
        for variant in strategy.variants
        if variant.trainer.registered.component.runs_commands
    }
    if not parts:
        return None
    asked: dict[tuple[str, Sequence[str]], None] = {}
    code: dict[str, None] = {}
    for (name, _), part in parts.items():
        trainer: Trainer = part.registered.component
        asked |= dict.fromkeys((name, tuple(words)) for words in trainer.commands(part.options))
        code |= dict.fromkeys(trainer.code_files(part.options))
    hashed = [hashlib.sha256(document.content).hexdigest(), *map(list, asked), *(identity for _, identity in parts)]
    return Commands(document.file, tuple(asked), tuple(code), hashlib.sha256(canonical(hashed).encode()).hexdigest())


def require_trust(document: Document, plan: Plan, settings: Settings) -> None:
    """Raises BakeoffError if the experiment file names commands that the user has not agreed to. Whatever makes the runs of a
    plan calls this first."""
    found = commands_of(document, plan)
    if found and found.digest != settings.trusted and not is_trusted(found.digest):
        raise found.refusal("trust it by --trust (from Python: trust=True)")


def refuse_commands(path: Path) -> None:
    """Raises BakeoffError if the run that the request file at `path` asks for has a trainer that runs commands."""
    trainer, registry = read_request(path).requested.trainer.name, load_registry()
    if trainer in registry.names("trainer") and registry.get("trainer", trainer).component.runs_commands:
        raise BakeoffError(f"{shown_path(path)}: trainer '{trainer}' runs commands; read them and their code, then add --trust")


def is_trusted(digest: str) -> bool:
    """Whether the user has agreed, on this machine, to the commands with this hash (`Commands.digest`)."""
    folder = configuration_folder()
    path = folder / FOLDER / digest
    try:
        whose = [path.parent.lstat(), path.lstat()]
        said = Tree(folder).read(path, at_most=LARGEST)
    except (OSError, BakeoffError):
        return False  # not there, or not as Bakeoff writes it: the user is asked again
    private = all(found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o022 for found in whose)
    return private and said.split(maxsplit=1)[:1] == [digest.encode()]


def remember(commands: Commands) -> None:
    """Remembers that the user has agreed to these commands. Raises StoreError if that can't be written."""
    tree = Tree(configuration_folder())
    path = tree.root / FOLDER / commands.digest
    content = f"{commands.digest} {commands.file}\n".encode(errors="backslashreplace")
    try:
        tree.make(tree.root)
        make_private(path.parent)
        tree.write(path, content[:LARGEST], mode=0o600)
    except OSError as error:
        raise StoreError(f"{shown_path(error.filename or path)} cannot be written: {error.strerror}") from None
