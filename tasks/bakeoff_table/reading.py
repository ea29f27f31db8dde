"""Reads the splits of a table: each file is converted to an Arrow file in the cache, then labels become numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.plugin import DataError, NewRows, cached_table, quoted, sha256_of, shown_path
from bakeoff_table.conversion import CHECKS, PLACE, Conversion, settings_of
from bakeoff_table.files import COMPRESSED, File, file_of
from bakeoff_table.labels import Labels, numbered, place_of
from bakeoff_table.options import FORMATS, TableOptions
from bakeoff_table.values import Odd

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

FOLDER = "tables"
"""The folder of the Arrow files, in the cache."""
FAR = 0.1
"""A data check reports rows over several lines if there are more lines that start no row than this share of the rows."""


def read_splits(files: dict[str, list[File]], options: TableOptions, *, cache: Path, version: str) -> dict[str, Dataset]:
    """Split -> its rows. files: split -> its files. version: of the task. Raises DataError that names file and line."""
    tables, checks = {}, {}
    for split, parts in files.items():
        tables[split], checks[split] = read_split(split, parts, options, cache / FOLDER, version)
    names = None
    if options.task_kind.has_labels:
        labels = Labels(tables["train"], files["train"], options)
        names = labels.names()
        checks["train"] += labels.checks()
        tables |= {
            split: numbered(table, names, files[split], options, split)
            for split, table in tables.items()
            if split not in options.unlabelled
        }
    return {
        split: dataset(table.drop_columns([PLACE, *(["label"] if split in options.unlabelled else [])]), names, checks[split])
        for split, table in tables.items()
    }


NEW = "new"
"""The name that stands in place of a split's for new rows, which a trained model is to answer."""


def read_new_rows(path: Path, options: TableOptions, *, cache: Path, version: str) -> NewRows:
    """The texts and ids of the rows in a file of new rows, without labels; ids are those of the option `id`'s column, or
    numbers from 0."""
    known = any(path.name.lower().endswith((ending, ending + COMPRESSED)) for ending in FORMATS)
    wanted: TableOptions = options.model_copy(
        update={"unlabelled": [NEW], "slices": [], "format": None if known else options.format}
    )
    file = file_of(path, shown_path(path), path.name, wanted)
    table, checks = read_split(NEW, [file], wanted, cache / FOLDER, version)
    ids = [name.removeprefix(f"{NEW}-") for name in table["id"].to_pylist()]
    return NewRows(ids, {name: table[name].to_pylist() for name in options.text_columns}, tuple(checks))


def read_split(
    split: str, files: Sequence[File], options: TableOptions, cache: Path, version: str
) -> tuple[pa.Table, list[str]]:
    """The split's rows without gaps, and its data checks. Columns: id, the texts, label, slices, PLACE."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts, checks = [], list[str]()
    for position, file in enumerate(files):
        part = read_file(split, file, position, options, cache, version)
        checks += [*json.loads(part.schema.metadata[CHECKS]), *oddities(part, file)]
        parts.append(part)
    table = pa.concat_tables(parts).replace_schema_metadata(parts[0].schema.metadata)
    headers = pc.bit_wise_and(pc.struct_field(table[PLACE], "odd"), int(Odd.HEADER))
    if pc.any(pc.not_equal(headers, 0)).as_py():
        table = table.filter(pc.equal(headers, 0))
    whole = pc.is_null(pc.struct_field(table[PLACE], "gap"))
    dropped = len(table) - (pc.sum(whole).as_py() or 0)
    if dropped:
        refuse_gaps(table, whole, dropped, files, options, split)
        table = table.filter(whole)
        checks.append(f"{dropped:,} row{'s' if dropped > 1 else ''} without text or label left out")
    if options.gaps == "empty" and (empty := rows_without_a_text(table, options)):
        checks.append(f"{empty:,} row{'s' if empty > 1 else ''} with a missing text, read as an empty one")
    if not len(table):
        why = "each lacks its text or its label" if dropped else "it has only a header"
        raise DataError(f"{files[0].shown}: no rows are left: {why}")
    if options.id is not None:
        refuse_duplicate_ids(table, files, options.id)
    return table, checks


def read_file(split: str, file: File, position: int, options: TableOptions, cache: Path, version: str) -> pa.Table:
    """The file's rows, missing values as null; from the cache if the same contents were read before."""
    try:
        contents = sha256_of(file.path)
    except OSError as error:
        raise DataError(f"{file.shown}: {error.strerror or error}") from None
    key = json.dumps([contents, split, position, settings_of(file, split, options), version], sort_keys=True)
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.arrow"
    conversion = Conversion(file, split, position, options, sha256=contents, cache=cache)
    table = cached_table(path, conversion.batches)
    if table is None:
        raise DataError(f"{file.shown} has no rows")
    return table


def refuse_gaps(table: pa.Table, whole: Any, gaps: int, files: Sequence[File], options: TableOptions, split: str) -> None:
    """Raises DataError for the first row whose text or label is missing, unless the option `gaps` says to drop such rows.
    whole: for each row whether it has both; gaps: how many rows don't."""
    if options.gaps == "drop":
        return
    import pyarrow.compute as pc

    place = table[PLACE][pc.index(whole, False).as_py()].as_py()
    column = place["gap"]
    more = f", as in {gaps - 1:,} other row{'s' if gaps > 2 else ''}" if gaps > 1 else ""
    may_be_none = options.gaps == "refuse" and (
        (options.task_kind.several_labels and column in options.label) or (options.join is not None and column in options.text)
    )
    none = ", or `gaps: none` where that means that there is none" if may_be_none else ""
    if options.gaps != "empty" and column in options.text:
        none += ", or `gaps: empty` to read it as an empty text"
    if gaps == len(table) and column in options.label and split != "train":
        none += f", or `unlabelled: {options.unlabelled_too(split)}` where no row of {split} has a label"
    raise DataError(
        f"{place_of(place, files)}: column {quoted(column)} is empty{more}; fill it in, or write `gaps: drop` to leave such "
        f"rows out{none}"
    )


def rows_without_a_text(table: pa.Table, options: TableOptions) -> int:
    """How many rows have an empty text; with `join`, one for which all its columns are empty."""
    import pyarrow.compute as pc

    lengths = [pc.equal(pc.utf8_length(table[column]), 0) for column in options.text_columns]
    lacking = lengths[0] if len(lengths) == 1 else pc.or_(*lengths)
    return int(pc.sum(lacking).as_py() or 0)


def refuse_duplicate_ids(table: pa.Table, files: Sequence[File], column: str) -> None:
    """Raises DataError if two rows have the same id."""
    import pyarrow.compute as pc

    if len(pc.unique(table["id"])) == len(table):
        return
    counts = pc.value_counts(table["id"])
    twice = counts.filter(pc.greater(counts.field("counts"), 1))[0].as_py()["values"]
    places = table.filter(pc.equal(table["id"], twice))[PLACE].to_pylist()
    first, second = (place_of(place, files) for place in places[:2])
    name = twice.split("-", 1)[1]
    raise DataError(f"{second}: column {quoted(column)} has {quoted(name)}, like {first}: ids must be unique")


# --- data checks ---------------------------------------------------------------------------------------------------------


ODD = {
    Odd.HEADER: "the header appears again{more}, as in joined files: left out",
    Odd.NUMBER: "a text is a number{more}, and read as it is written",
    Odd.LOST: "a text has U+FFFD{more}, in place of characters that were lost: take the original file, and write its "
    "`encoding`",
    Odd.MISSING_WORD: "a text reads as if it were missing, NA or null{more}: if so, name it by `missing`",
}
QUOTED = {
    "none": "a cell{more} stands in quotation marks and doubles those inside: say `quoting: minimal` if the file quotes cells, "
    "else `none`",
    "minimal": "a cell{more} has a blank before its quotation mark, which therefore quotes nothing: is the file written right?",
}
"""How the file is read (`quoting`) -> the sentence about odd quotation marks (`Odd.QUOTED`)."""


def oddities(part: pa.Table, file: File) -> list[str]:
    """A data check for each kind of oddity in a file: how many rows have it, and the first one's line."""
    import pyarrow.compute as pc

    odd, lines = (pc.struct_field(part[PLACE], field) for field in ("odd", "lines"))

    def count_and_first(mask: Any) -> tuple[int, dict[str, Any]]:
        """(number of rows, place of the first)."""
        count = pc.sum(mask).as_py() or 0
        return count, part[PLACE][pc.index(mask, True).as_py()].as_py() if count else {}

    def with_flag(flag: Odd) -> Any:
        return pc.not_equal(pc.bit_wise_and(odd, int(flag)), 0)

    found = []
    spanning, first = count_and_first(with_flag(Odd.SPANS))
    beyond = (pc.sum(lines).as_py() or 0) - len(part)
    if not spanning and beyond > FAR * len(part):
        spanning, first = count_and_first(pc.greater(lines, 1))
    if spanning and not file.quoting_is_given:
        found.append(
            f"{file.shown}: {len(part):,} rows in {len(part) + beyond:,} lines, {spanning:,} with a cell over several, the "
            f"first {file.at(first['line'])} over {first['lines']:,}: if quotation marks took in rows, say `quoting: none`; if "
            "not, `quoting: minimal`"
        )
    for flag, sentence in (ODD if file.quoting_is_given else {Odd.QUOTED: QUOTED[file.quoting]} | ODD).items():
        count, first = count_and_first(with_flag(flag))
        if count:
            found.append(f"{file.at(first['line'])}: {sentence.format(more=and_more(count))}")
    return found


def and_more(count: int) -> str:
    return f" (and in {count - 1:,} other row{'s' if count > 2 else ''})" if count > 1 else ""


def dataset(table: pa.Table, names: Sequence[str] | None, checks: Sequence[str]) -> Dataset:
    """The table as a Dataset, without copying it: memory-mapped columns stay in their file. names: the label names; None for a
    regression. checks: data checks."""
    from datasets import ClassLabel, Dataset, DatasetInfo, Features, List, Value
    from datasets.table import InMemoryTable

    features = Features({name: Value("string") for name in table.column_names})
    if "label" not in features:
        pass
    elif names is None:
        features["label"] = Value("float64")
    else:
        one = ClassLabel(names=list(names))
        features["label"] = List(one) if str(table.schema.field("label").type).startswith("list") else one
    table = table.cast(features.arrow_schema)
    info = DatasetInfo(features=features, description="\n".join(checks))
    return Dataset(InMemoryTable(table), info=info, fingerprint="bakeoff")  # else all of it would be hashed, for a cache unused
