"""Which experiment a folder belongs to, and the experiment file that lies beside its records."""

from __future__ import annotations

from pathlib import Path

from bakeoff.errors import DamageError, StoreError
from bakeoff.files import read_regular
from bakeoff.machine.file_hashes import sha256_of
from bakeoff.records.publishing import REPLACED
from bakeoff.records.schema import Declared
from bakeoff.records.store import Store
from bakeoff.text.words import shown_path

LONGEST_ENDING = 60
"""Characters of a file's name that are repeated in the name under which it is archived."""


def require_owner(store: Store, declared: Declared, spec: Path, content: bytes) -> None:
    """Raises StoreError where the folder belongs to another experiment: another name and file, and no run in common.

    `content` is that of the file `spec` when it was read.
    """
    store.refuse_links()
    own = store.folder / spec.name
    if not store.plan_file.is_file():
        if own.is_file() and own.resolve() != spec.resolve() and not _holds(own, content):
            raise StoreError(
                f"{shown_path(own)} is another experiment file, never run; give a folder of its own with --into DIR"
            )
        return
    try:
        there = store.declared()
    except DamageError:
        return  # written anew
    shared = {run.id for run in there.runs} & {run.id for run in declared.runs}
    if (there.name, there.spec_file) != (declared.name, declared.spec_file) and not shared:
        raise StoreError(
            f"{shown_path(store.folder)} holds the records of experiment '{there.name}' ({there.spec_file}); "
            "give this one a folder of its own with --into DIR"
        )


def keep_spec(store: Store, spec: Path, content: bytes) -> str:
    """Writes the experiment file, as it was read, beside its records, so that the folder says what it holds.

    Where that file is the experiment file itself and was edited meanwhile, it stays; another file of its name is archived. The
    sentence that is returned says so; it is empty otherwise.
    """
    own = store.folder / spec.name
    if _holds(own, content):
        return ""
    if own.is_file() and own.resolve() == spec.resolve():
        return f"{shown_path(spec)} was edited meanwhile; what runs is the file as it was read at the start"
    note = ""
    if own.is_file() and not own.is_symlink():
        archived = f"{REPLACED}{own.name[-LONGEST_ENDING:]}-{sha256_of(own)[:8]}"
        store.tree.move(own, store.folder / archived)
        note = f"{shown_path(own)} was another file; it is called {shown_path(archived)} now"
    store.tree.write(own, content)
    return note


def _holds(path: Path, content: bytes) -> bool:
    """Whether a plain file with this content lies there."""
    try:
        return read_regular(path, at_most=len(content)) == content
    except OSError:
        return False
