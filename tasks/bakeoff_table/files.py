"""Finds the files of a table, and decides in which format each is read."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bakeoff.plugin import DataError, Paths, did_you_mean, quoted, quoted_whole, read_regular, shown_path
from bakeoff_table.options import FORMATS, FileOptions, TableOptions, name_of

ARCHIVE, COMPRESSED = ".zip", ".gz"
PACKED = {
    ".bz2": "it is compressed by bzip2",
    ".xz": "it is compressed by xz",
    ".zst": "it is compressed by Zstandard",
    ".7z": "it is a 7-Zip archive",
    ".tar": "it is a tar archive",
    ".tgz": "it is a tar archive",
    ".xlsx": "it is a workbook",
    ".xls": "it is a workbook",
    ".ods": "it is a workbook",
}
"""Ending of a file's name -> why such a file can't be read."""


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of rows: its path, its name in messages, and how it is written."""

    path: Path
    shown: str
    format: str
    """`csv`, `tsv`, `jsonl` or `parquet`."""
    member: str = ""
    """Name of the file within the ZIP archive at `path`; empty if it is no archive."""
    delimiter: str = ","
    quoting: str = "minimal"
    quoting_is_given: bool = False
    columns: tuple[str, ...] | None = None
    encoding: str = "utf-8"

    def at(self, line: int) -> str:
        return f"{self.shown}:{line}"

    @property
    def written(self) -> list[object]:
        """Everything on which the file's rows depend, besides its contents."""
        return [self.format, self.member, self.delimiter, self.quoting, self.columns, self.encoding]


def file_of(path: Path, shown: str, entry: str | FileOptions, options: TableOptions, *, member: str = "") -> File:
    """The file at the path. How it is written follows from its own entry, else from the task's options. shown: its name in
    messages. member: its name within a ZIP archive. Raises DataError for an unknown format."""
    own = FileOptions(file=entry) if isinstance(entry, str) else entry
    if path.suffix.lower() == ARCHIVE:
        member = member or only_member(path, shown, name_of(entry))
        shown = shown if shown.endswith(member) else f"{shown}/{member}"
    form = own.format or options.format or format_of(shown)
    if form == "parquet" and (member or path.suffix.lower() == COMPRESSED):
        raise DataError(f"{shown}: a Parquet file is compressed within: unpack it first")
    said = own.quoting or options.quoting
    columns = own.columns or options.columns
    return File(
        path=path,
        shown=shown,
        format=form,
        member=member,
        delimiter=own.delimiter or options.delimiter or ("\t" if form == "tsv" else ","),
        quoting=said or ("none" if form == "tsv" else "minimal"),
        quoting_is_given=said is not None,
        columns=None if columns is None else tuple(columns),
        encoding=own.encoding or options.encoding,
    )


def format_of(name: str) -> str:
    """The format of a file by the ending of its name. Raises DataError for an unknown ending."""
    path = PurePosixPath(name)
    ending = path.suffix.lower()
    if ending == COMPRESSED:
        ending = PurePosixPath(path.stem).suffix.lower()
    if ending in PACKED:
        raise DataError(f"{name}: {PACKED[ending]}: save its rows as CSV, JSON lines or Parquet (.gz and .zip are unpacked)")
    if ending not in FORMATS:
        raise DataError(f"{name}: its name does not show the format: write `format: csv`, or tsv, jsonl or parquet")
    return FORMATS[ending]


# --- where it lies ---------------------------------------------------------------------------------------------------------


def found_in(places: Paths, entry: str | FileOptions, options: TableOptions) -> File:
    """Finds the file of an entry: in a named data folder if its path begins with that name (`--data NAME=DIR` for
    `NAME/rows.csv`), else in the data folder without a name, beside the experiment file, or among rows that a program gave.
    Raises DataError if it is missing.

    In the data folder, which the user named, links are followed anywhere: snapshots of the hub and folders of DVC consist of
    them. The experiment file, and what is beside it, may be a stranger's: links out of that folder are refused.
    """
    name = name_of(entry)
    require_inside(name)
    first, _, rest = name.partition("/")
    if rest and first in places.named:
        folders, within = [(places.named[first], True)], rest
    else:
        given = [] if places.given is None else [(places.given, False)]
        folders, within = [*([] if places.data is None else [(places.data, True)]), (places.beside, False), *given], name
    odd: list[str] = []
    for folder, follows in folders:
        for path, member in candidates(folder, within):
            if not path.is_file():
                if path.is_symlink() and not path.is_dir():
                    raise DataError(
                        f"{quoted(name)} is a symbolic link to {quoted(path.readlink())}, which does not exist: fetch it "
                        "(`dvc pull`, `git annex get`, or download it again)"
                    )
                odd += [why for why in [why_not_regular(path)] if why]
                continue
            if not follows and not path.resolve().is_relative_to(folder.resolve()):
                raise DataError(
                    f"{quoted(name)} is a symbolic link out of {shown_path(folder)}, which is refused beside an experiment "
                    "file: name its target's folder with --data"
                )
            return file_of(path, name, entry, options, member=member)
    if odd:
        raise DataError(f"{quoted(name)} cannot be read: {odd[0]}")
    looked = list(dict.fromkeys(folder for folder, _ in folders))
    near = sorted({path.name for folder in looked for path in (folder / within).parent.glob("*") if path.is_file()})
    told = did_you_mean("file", Path(name).name, near) if near else f"there is no file {quoted(name)}"
    where = " and ".join(map(shown_path, looked))
    raise DataError(f"{told} (looked for {quoted(within)} in {where}; --data names another folder)")


def why_not_regular(path: Path) -> str:
    """Why a path can't be read as a regular file, as a sentence; empty if it does not exist, or is one."""
    try:
        read_regular(path, at_most=0)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return str(error.strerror)
    return ""


def require_inside(name: str) -> None:
    """Raises DataError for a name that points outside its folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise DataError(f"{quoted(name)} points outside its folder: name files inside, and the folder with --data")


def candidates(folder: Path, name: str) -> list[tuple[Path, str]]:
    """(path, name within a ZIP archive or empty) for each thing that a file's name may mean: a file, or a member of an archive
    as in `glue.zip/MRPC/train.tsv`."""
    archive, member = split_archive(name)
    return [(folder / name, ""), *([(folder / archive, member)] if member else [])]


def split_archive(name: str) -> tuple[str, str]:
    """(`a.zip`, `b/c.csv`) for `a.zip/b/c.csv`; (name, empty) if it names no archive."""
    parts = PurePosixPath(name).parts
    for number, part in enumerate(parts[:-1], start=1):
        if part.lower().endswith(ARCHIVE):
            return str(PurePosixPath(*parts[:number])), str(PurePosixPath(*parts[number:]))
    return name, ""


def only_member(path: Path, shown: str, entry: str) -> str:
    """The name of the only file in an archive. Raises DataError if there are several or none, or if the archive can't be
    read."""
    names = members_of(path, shown)
    if len(names) != 1:
        held = (
            f"{len(names)} files ({', '.join(map(quoted, names[:5]))}{', ...' if len(names) > 5 else ''})" if names else "none"
        )
        raise DataError(f"{shown}: an archive of {held}; name one as {quoted_whole('/'.join([entry, *names[:1]]))}")
    return names[0]


def members_of(path: Path, shown: str) -> list[str]:
    """Names of the files in an archive, without those that macOS adds. Raises DataError if the archive can't be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError(f"{shown}: not a readable ZIP archive: {error}") from None
    parts = {name: PurePosixPath(name).parts for name in names}
    return [
        name for name in names if parts[name][:1] != ("__MACOSX",) and not any(part.startswith(".") for part in parts[name])
    ]
