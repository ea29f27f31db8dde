"""Which experiment a folder belongs to, and the copy of the experiment file beside its records."""

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
"""How many characters of a file's name are kept in the name under which it is archived."""


def require_owner(store: Store, declared: Declared, spec: Path, content: bytes) -> None:
    """Raises StoreError if the store's folder belongs to another experiment than `declared`: one with another name or file
    name, and no run in common.

    spec: the experiment file. content: its bytes, as they were read at the start.
    """
    store.refuse_links()
    own = store.folder / spec.name
    if not store.plan_file.is_file():
        if own.is_file() and own.resolve() != spec.resolve() and not _holds(own, content):
            raise StoreError(
                f"{shown_path(own)} is another experiment's file, not run yet; choose another folder with --into DIR"
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
    """Writes a copy of the experiment file, as it was read at the start, into the folder of its records.

    If the experiment file itself lies there and was edited meanwhile, it stays as it is; any other file of that name with
    another content is archived. Returns a sentence for the user in these two cases, and an empty text otherwise.
    """
    own = store.folder / spec.name
    if _holds(own, content):
        return ""
    if own.is_file() and own.resolve() == spec.resolve():
        return f"{shown_path(spec)} was edited meanwhile; the runs follow the file as it was read at the start"
    note = ""
    if own.is_file() and not own.is_symlink():
        archived = f"{REPLACED}{own.name[-LONGEST_ENDING:]}-{sha256_of(own)[:8]}"
        store.tree.move(own, store.folder / archived)
        note = f"{shown_path(own)} was another file; it has been renamed to {shown_path(archived)}"
    store.tree.write(own, content)
    return note


def _holds(path: Path, content: bytes) -> bool:
    """Whether the path is a regular file with this content."""
    try:
        return read_regular(path, at_most=len(content)) == content
    except OSError:
        return False
