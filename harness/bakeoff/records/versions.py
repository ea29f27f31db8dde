"""Records as files: written with a seal, read back whole, those of older schema versions as if they were new."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from bakeoff.contracts.columns import in_columns
from bakeoff.contracts.each_class import gathered
from bakeoff.contracts.fields import Part, first_flaw
from bakeoff.errors import BakeoffError, DamageError, StoreError
from bakeoff.files import open_regular, read_regular
from bakeoff.machine.json_reader import read_json
from bakeoff.records.schema import MOST_NEW, RECORD_FILE, SCHEMA_VERSION, UNSEALED, Control, Declared, Record
from bakeoff.text.words import escaped, quoted, shown_path

MOST_BYTES: Final = 2**24
"""Of a run's record, which has some thousand, and of a control run's; a file that is larger is none."""
MOST_OF_A_PLAN: Final = 2**28
"""Bytes of `plan.json`: a run takes about 200."""
MOST_OF_A_TEXT: Final = 2**26
"""Bytes of a file of a record that is neither Parquet nor part of a model: what a failed run left."""


def read_record(folder: Path) -> Record:
    """The record in a run's folder; raises StoreError that names the file and what is wrong with it."""
    return read_part(Record, read_inside(folder, RECORD_FILE, at_most=MOST_BYTES), folder / RECORD_FILE)


def read_inside(folder: Path, name: str, *, at_most: int) -> bytes:
    """A file of a record; raises DamageError where it cannot be read, is no plain file or larger than so many bytes, or where a
    symbolic link would lead elsewhere."""
    with _opened(folder, name, at_most) as stream:
        return stream.read()


def read_file(folder: Path, name: str, files: Mapping[str, str], *, at_most: int) -> bytes:
    """One of the record's `files`, name -> sha256; raises DamageError unless it is what the record says.

    The bytes that are hashed are those that are returned.
    """
    content = read_inside(folder, name, at_most=at_most)
    _require_sha256(folder / name, sha256(content).hexdigest(), files[name])
    return content


def check_file(folder: Path, name: str, files: Mapping[str, str], *, at_most: int) -> None:
    """As `read_file`, of a file that may be larger than the memory."""
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


def _require_sha256(path: Path, found: str, told: str) -> None:
    if found != told:
        raise DamageError(f"{shown_path(path)} was altered: it is not what its record says")


LINE: Final = 120
"""Characters of a line of a record that several figures share."""
AS_JSON: Final = json.JSONEncoder(allow_nan=False).encode
Plain = dict[str, Any]


def _with_new(old: Plain, **facts: Any) -> Plain:
    """The part of an older version with what a later one added. Raises ValueError where it has that already: whoever calls a
    file older than it is would be rid of its checksum."""
    if there := sorted(facts.keys() & old.keys()):
        raise ValueError(f"{there[0]}: no file of its schema version has that")
    return {**old, **facts}


def _renamed(old: Plain, **names: str) -> Plain:
    """The part with other names for its keys. Raises ValueError as `_with_new` does."""
    if there := sorted(set(names.values()) & old.keys()):
        raise ValueError(f"{there[0]}: no file of its schema version has that")
    return {names.get(key, key): value for key, value in old.items()}


def _record_of_1(old: Plain) -> Plain:
    data = old.get("data")
    if isinstance(data, dict) and isinstance(data.get("metrics"), list):
        metrics = [_with_new(metric, version="1") if isinstance(metric, dict) else metric for metric in data["metrics"]]
        data = _with_new({**data, "metrics": metrics}, overlap=None)
    return _with_new({**old, "data": data}, selection=None, evaluation_difference=None)


def _declared_of_1(old: Plain) -> Plain:
    return _with_new(old, gate={}, imported=[], trials={}, history=[])


def _record_of_2(old: Plain) -> Plain:
    new = dict(old)
    if isinstance(weights := old.get("weights"), dict):
        new["weights"] = _with_new(weights, trained_bytes=None)
    if isinstance(cost := old.get("cost"), dict):
        new["cost"] = _with_new(cost, flops=None, flops_note="not counted (schema version 2)")
    observed = old.get("observed")
    if isinstance(observed, dict) and isinstance(observed.get("groups"), list):
        groups = [_with_new(group, lr_scale=None) if isinstance(group, dict) else group for group in observed["groups"]]
        new["observed"] = {**observed, "groups": groups}
    return new


def _record_of_3(old: Plain) -> Plain:
    new = _with_new(old, attempts=[], resumed_at=[], seal="")
    if isinstance(environment := old.get("environment"), dict):
        new["environment"] = _with_new(environment, jobs=None)
    return new


def _record_of_4(old: Plain) -> Plain:
    """F1, precision and recall were of the second label, whatever it was called: from now on they say so. Of newly initialised
    parameters 20 had names, where fewer have now."""
    weights = old.get("weights")
    names = weights.get("newly_initialised") if isinstance(weights, dict) else None
    if isinstance(weights, dict) and isinstance(names, list) and len(names) > MOST_NEW:
        unnamed = re.fullmatch(r"and ([0-9]+) more", str(names[-1]))
        more = len(names) - MOST_NEW + (int(unnamed[1]) - 1 if unnamed else 0)
        old = {**old, "weights": {**weights, "newly_initialised": [*names[:MOST_NEW], f"and {more} more"]}}
    data = old.get("data")
    labels = data.get("labels") if isinstance(data, dict) else None
    if not (isinstance(data, dict) and data.get("kind") == "classification" and isinstance(labels, list) and len(labels) > 1):
        return old
    names = {name: f"{name} ({labels[1]})" for name in ("f1", "precision", "recall")}

    def renamed(scores: Any) -> Any:
        return {names.get(name, name): score for name, score in scores.items()} if isinstance(scores, dict) else scores

    def by_split(splits: Any) -> Any:
        return {split: renamed(scores) for split, scores in splits.items()} if isinstance(splits, dict) else splits

    metrics, primary = data.get("metrics"), data.get("primary_metric")
    if isinstance(metrics, list):
        metrics = [
            {**facts, "name": names[facts["name"]], "label": 1}
            if isinstance(facts, dict) and facts.get("name") in names
            else facts
            for facts in metrics
        ]
    primary = names.get(primary, primary) if isinstance(primary, str) else primary
    data = {**data, "metrics": metrics, "primary_metric": primary, "floor": by_split(data.get("floor"))}
    return {**old, "data": data, "scores": by_split(old.get("scores"))}


def _record_of_5(old: Plain) -> Plain:
    new = _renamed(old, asked="requested", remarks="process_notes")
    if isinstance(data := new.get("data"), dict):
        new["data"] = _renamed(data, sources="source_versions", floor="majority_baseline")
    return new


def _declared_of_2(old: Plain) -> Plain:
    return _with_new(old, searches={})


def _control_of_2(old: Plain) -> Plain:
    return _with_new(old, peak_flops={})


def _same(old: Plain) -> Plain:
    return old


def _unsealed(old: Plain) -> Plain:
    return _with_new(old, seal="")


UPGRADES: Final[Mapping[tuple[type[Part], int], Callable[[Plain], Plain]]] = {
    (Record, 1): _record_of_1,
    (Record, 2): _record_of_2,
    (Record, 3): _record_of_3,
    (Record, 4): _record_of_4,
    (Record, 5): _record_of_5,
    (Declared, 1): _declared_of_1,
    (Declared, 2): _declared_of_2,
    (Declared, 3): _same,
    (Declared, 4): _unsealed,
    (Declared, 5): _same,
    (Control, 2): _control_of_2,
    (Control, 3): _same,
    (Control, 4): _unsealed,
    (Control, 5): _same,
}
"""From each older schema version to the next. They pass on what is damaged: the model then says where. What version 5 added has
a default that says that nobody looked."""

SEALED_SINCE: Final[Mapping[type[Part], int]] = {Record: 4, Declared: 5, Control: 5}
"""The first schema version of a file whose own checksum stands in it."""

PartKind = TypeVar("PartKind", bound=Part)
ModelKind = TypeVar("ModelKind", bound=BaseModel)


def read_model(kind: type[ModelKind], path: Path, what: str, *, at_most: int) -> ModelKind:
    """What a file without a checksum holds, of at most so many bytes; `what` says what it should be: `request`. Raises
    BakeoffError that names the file and the first thing that is wrong with it."""
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
    raise BakeoffError(f"{shown_path(path)} is no {what}: {why}")


def read_part(kind: type[PartKind], content: bytes, path: Path) -> PartKind:
    """What the file holds, checked here once: its JSON, its schema, types and ranges, what its facts say of each other, and its
    checksum. Raises DamageError that says where it is wrong, StoreError for a schema version not known."""
    shown = shown_path(path)
    if len(content) > (most := MOST_OF_A_PLAN if kind is Declared else MOST_BYTES):
        raise DamageError(f"{shown} is damaged: it has {len(content):,} bytes where {most:,} are the most")
    try:
        plain = read_json(content)
        version = plain.get("schema_version") if isinstance(plain, dict) else None
        has_seal = type(version) is int and version >= SEALED_SINCE[kind]
        part = kind.model_validate(_upgraded(kind, plain), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("schema_version",):
            raise StoreError(
                f"{shown} has schema version {quoted(first['input'])}; this bakeoff reads 1 to {SCHEMA_VERSION}"
            ) from None
        raise DamageError(f"{shown} is damaged: {first_flaw(error)}") from None
    except ValueError as error:
        raise DamageError(f"{shown} is damaged: {escaped(error)}") from None
    if has_seal and not (seal := plain.get("seal")):
        raise DamageError(f"{shown} was altered: its own checksum is gone")
    if has_seal and sealed(content, seal) != content:
        raise DamageError(f"{shown} was altered: it is not what its own checksum says")
    return part


def _upgraded(kind: type[Part], plain: Any) -> Any:
    """The content of an older version as that of this one; anything else as it is."""
    version = plain.get("schema_version") if isinstance(plain, dict) else None
    if type(version) is not int or (kind, version) not in UPGRADES:
        return plain
    while (step := UPGRADES.get((kind, version))) is not None:
        plain, version = step(plain), version + 1
    return {**plain, "schema_version": version}


def sealed(content: bytes, seal: str) -> bytes:
    """A file whose checksum is `seal`, with the checksum that is right for the rest of it: it stands at the end."""
    before, _, after = content.rpartition(f'"{seal}"'.encode())
    digest = sha256(b'%b"%b"%b' % (before, UNSEALED.encode(), after)).hexdigest()
    return b'%b"%b"%b' % (before, digest.encode(), after)


def dump(part: Record | Declared | Control) -> bytes:
    """A file's bytes, sealed: JSON for people; that of a run is short. Raises StoreError for what could not be read again."""
    plain = part.model_copy(update={"seal": UNSEALED}).model_dump(mode="json")
    try:
        if isinstance(part, Record):
            plain = gathered(plain)
            if plain["observed"]:
                plain["observed"]["groups"] = in_columns(plain["observed"]["groups"])
            text = laid_out(plain)
        else:
            text = json.dumps(plain, indent=1, allow_nan=False)
        content = sealed(f"{text}\n".encode(), UNSEALED)
        read_part(type(part), content, Path("what was to be written"))
    except (ValueError, DamageError) as error:
        raise StoreError(str(error)) from None
    return content


def laid_out(value: Any, depth: int = 0) -> str:
    """JSON with as many members on a line as fit; an object or list that is longer than a line has lines of its own.

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
