"""Records as files, written with a checksum of themselves. Only the current schema is read; `bakeoff migrate`
(`records.migrate`) converts older files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from bakeoff.contracts.columns import in_columns
from bakeoff.contracts.each_class import gathered
from bakeoff.contracts.fields import first_flaw
from bakeoff.errors import BakeoffError, DamageError, StoreError
from bakeoff.files import Tree, open_regular, read_regular
from bakeoff.machine.json_reader import read_json
from bakeoff.records.schema import (
    MODEL_FOLDER,
    RECORD_FILE,
    SCHEMA_VERSION,
    UNSEALED,
    Control,
    Costs,
    Declared,
    KeptModel,
    Record,
)
from bakeoff.text.values import command
from bakeoff.text.words import escaped, quoted, shown_path

MOST_BYTES: Final = 2**24
"""The largest size of the record of a run, which has some thousand bytes, or of a control run."""
MOST_OF_A_PLAN: Final = 2**28
"""The largest size of `plan.json` in bytes; a run takes about 200."""
MOST_OF_A_TEXT: Final = 2**26
"""The largest size in bytes of a record's file that is neither Parquet nor part of a model, such as a traceback."""


def read_record(folder: Path) -> Record:
    """The record in a run's folder. Raises StoreError that names the file and what is wrong with it."""
    return read_part(Record, read_inside(folder, RECORD_FILE, at_most=MOST_BYTES), folder / RECORD_FILE)


def read_inside(folder: Path, name: str, *, at_most: int) -> bytes:
    """Reads a file of a record. Raises DamageError if it can't be read, is too large, is not a regular file, or is reached
    by a symbolic link."""
    with _opened(folder, name, at_most) as stream:
        return stream.read()


def read_file(folder: Path, name: str, files: Mapping[str, str], *, at_most: int) -> bytes:
    """Reads one of the record's `files` (name -> SHA-256). Raises DamageError if the checksum does not match.

    The returned bytes are those that were hashed.
    """
    content = read_inside(folder, name, at_most=at_most)
    _require_sha256(folder / name, sha256(content).hexdigest(), files[name])
    return content


def check_file(folder: Path, name: str, files: Mapping[str, str], *, at_most: int) -> None:
    """Like `read_file`, for a file that may be larger than memory: returns nothing."""
    with _opened(folder, name, at_most) as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    _require_sha256(folder / name, digest, files[name])


@contextmanager
def _opened(folder: Path, name: str, at_most: int) -> Iterator[BufferedReader]:
    path = folder / name
    try:
        for place in (folder, *(folder / part for part in Path(name).parents if part.name), path):
            if place.is_symlink():
                raise DamageError(f"{shown_path(place)} is a symbolic link: a record is a folder of plain files")
        with open_regular(path, at_most=at_most) as stream:
            yield stream
    except FileNotFoundError:
        raise DamageError(f"{shown_path(path)} is missing") from None
    except OSError as error:
        raise DamageError(f"{shown_path(path)} cannot be read: {error.strerror}") from None


def _require_sha256(path: Path, found: str, recorded: str) -> None:
    if found != recorded:
        raise DamageError(f"{shown_path(path)} was altered: it does not match the checksum in its record")


LINE: Final = 120
"""The longest line of a record that several values share, in characters."""
AS_JSON: Final = json.JSONEncoder(allow_nan=False).encode
Kind = TypeVar("Kind", bound=BaseModel)
Upgrade = Callable[[Any, dict[str, Any]], dict[str, Any]]


def read_model(kind: type[Kind], path: Path, what: str, *, at_most: int) -> Kind:
    """Reads a JSON file without a checksum. what: what messages call it, such as `request`. Raises BakeoffError that names
    the file and its first error."""
    try:
        content = read_regular(path, at_most=at_most)
        read_json(content)
        return kind.model_validate_json(content)
    except ValidationError as error:
        why = first_flaw(error)
    except ValueError as error:
        why = escaped(error)
    except OSError as error:
        raise BakeoffError(f"{shown_path(path)}: {error.strerror}") from None
    raise BakeoffError(f"{shown_path(path)} is not a {what}: {why}")


def read_part(kind: type[Kind], content: bytes, path: Path, *, upgrade: Upgrade | None = None) -> Kind:
    """Parses and validates one file: JSON, types and ranges, consistency of its fields, and its checksum.

    upgrade: converts plain data of an older schema version; only `bakeoff migrate` passes it. Raises DamageError that says
    where the file is wrong, and StoreError for another schema version, which for an older one names the command to run.
    """
    shown = shown_path(path)
    if len(content) > (most := MOST_OF_A_PLAN if kind is Declared else MOST_BYTES):
        raise DamageError(
            f"{shown} is damaged: it has {len(content):,} bytes, and {most:,} is the most that such a file may have"
        )
    try:
        plain = read_json(content)
        version = plain.get("schema_version") if isinstance(plain, dict) else None
        is_old = type(version) is int and 1 <= version < SCHEMA_VERSION
        if is_old and upgrade is None:
            _require_checksum(plain.get("seal") or "", content, shown)
            old = next((above.parent for above in path.parents if above.name == "records"), path.parent)
            raise StoreError(
                f"{shown} has schema {version}; convert its folder to schema {SCHEMA_VERSION}: {command('migrate', old)}"
            )
        part = kind.model_validate(upgrade(kind, plain) if is_old and upgrade else plain, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("schema_version",):
            raise StoreError(
                f"{shown} has schema version {quoted(first['input'])}; this bakeoff reads {SCHEMA_VERSION}"
            ) from None
        raise DamageError(f"{shown} is damaged: {first_flaw(error)}") from None
    except ValueError as error:
        raise DamageError(f"{shown} is damaged: {escaped(error)}") from None
    if not is_old and not plain.get("seal"):
        raise DamageError(f"{shown} was altered: it lacks its own checksum")
    _require_checksum(plain.get("seal") or "", content, shown)
    return part


def _require_checksum(seal: Any, content: bytes, shown: str) -> None:
    """Raises DamageError if the file's checksum of itself, `seal`, does not match; "" stands for a file without one."""
    if seal and sealed(content, str(seal)) != content:
        raise DamageError(f"{shown} was altered: it does not match its own checksum")


def sealed(content: bytes, seal: str) -> bytes:
    """Replaces the checksum `seal` at the end of a file by the one that matches the rest."""
    before, _, after = content.rpartition(f'"{seal}"'.encode())
    digest = sha256(b'%b"%b"%b' % (before, UNSEALED.encode(), after)).hexdigest()
    return b'%b"%b"%b' % (before, digest.encode(), after)


def dump(part: Record | Declared | Control | Costs) -> bytes:
    """The bytes of a file with its checksum, as readable JSON. Raises StoreError for content that could not be read again."""
    plain = part.model_copy(update={"seal": UNSEALED}).model_dump(mode="json")
    try:
        if isinstance(part, Record):
            plain = gathered(plain)
            if plain["observed"]:
                plain["observed"]["groups"] = in_columns(plain["observed"]["groups"])
            text = laid_out(plain)
        elif isinstance(part, Costs):
            text = laid_out(plain)
        else:
            text = json.dumps(plain, indent=1, allow_nan=False)
        content = sealed(f"{text}\n".encode(), UNSEALED)
        read_part(type(part), content, Path("what was to be written"))
    except (ValueError, DamageError) as error:
        raise StoreError(str(error)) from None
    return content


UNFINISHED: Final = KeptModel(reason="the run's process ended while its model was being written", difference=None)
"""What a record says of its model until the model is written; it remains if the process ends before."""


def without_model(record: Record, folder: Path, reason: str) -> Record:
    """The record, changed if the run's process ended while it was writing the model: what there is of the model is removed, and
    the record's file then gives `reason` for that."""
    if record.kept != UNFINISHED:
        return record
    tree = Tree(folder)
    tree.remove_folder(folder / MODEL_FOLDER)
    record = record.model_copy(update={"kept": KeptModel(reason=reason, difference=None)})
    tree.write(folder / RECORD_FILE, dump(record))
    return record


def laid_out(value: Any, depth: int = 0) -> str:
    """JSON with as many members per line as fit; an object or list that is longer than a line is spread over several.

    Raises ValueError for a number that is not finite.
    """
    if not isinstance(value, dict | list) or not value:
        return AS_JSON(value)
    depth += 1
    members = (
        [f"{AS_JSON(key)}: {laid_out(member, depth)}" for key, member in value.items()]
        if isinstance(value, dict)
        else [laid_out(member, depth) for member in value]
    )
    first, last = "{}" if isinstance(value, dict) else "[]"
    flat = f"{first}{', '.join(members)}{last}"
    if depth - 1 + len(flat) <= LINE and "\n" not in flat:
        return flat
    lines = [members[0]]
    for member in members[1:]:
        joined = f"{lines[-1]}, {member}"
        if "\n" in joined or depth + len(joined) > LINE:
            lines.append(member)
        else:
            lines[-1] = joined
    inside = (",\n" + " " * depth).join(lines)
    return f"{first}\n{' ' * depth}{inside}\n{' ' * (depth - 1)}{last}"
