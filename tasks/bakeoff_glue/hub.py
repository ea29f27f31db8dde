"""Reads the splits of GLUE tasks from the Hugging Face hub, at a pinned commit.

The Parquet files are fetched by name, not through `load_dataset`: so a cached file of a pinned commit is used without any
network, and the needed files are known before anything heavy is imported.
"""

from __future__ import annotations

from pathlib import Path

from bakeoff.plugin import DataError, hub_file, hub_is_reachable, hub_snapshot, quoted, read_regular
from bakeoff_glue.facts import REPOSITORY, REVISION, Columns, GlueFacts, Split
from bakeoff_glue.folder import ALWAYS_READ, LARGEST_ROW


def find_on_hub(facts: GlueFacts) -> None:
    """Raises DataError, which names both ways to get the data, if the task's files are not cached and the hub is not
    reachable."""
    if snapshot(facts) is None and not hub_is_reachable():
        raise DataError(
            f"glue/{facts.name} is not in the local cache, and the Hugging Face hub is not reachable; "
            f"either make the hub reachable ({REPOSITORY}), or give a folder of official GLUE files "
            f"({facts.folder} with {facts.files}) through --data DIR or BAKEOFF_DATA=DIR"
        )


def cached_files(facts: GlueFacts) -> dict[str, list[Path]]:
    """Split -> its file in the hub's cache. Raises DataError unless all files are cached."""
    folder = snapshot(facts)
    if folder is None:
        raise DataError(f"glue/{facts.name} is not in the local cache")
    return {name: [folder / split.hub_file] for name, split in facts.splits.items()}


def snapshot(facts: GlueFacts) -> Path | None:
    """The cached folder that has all files of the task; None if there is none."""
    files = [split.hub_file for split in facts.splits.values()]
    return hub_snapshot(REPOSITORY, repo_type="dataset", revision=REVISION, files=files)


def read_hub_split(facts: GlueFacts, split: Split) -> Columns:
    """The rows of a split, by column, from its Parquet file on the hub, which is downloaded if it is not cached. Raises
    DataError."""
    import pyarrow
    import pyarrow.parquet

    try:
        path = hub_file(REPOSITORY, split.hub_file, repo_type="dataset", revision=REVISION)
    except DataError as error:
        raise DataError(
            f"{error}; try again, or give a folder of official GLUE files through --data DIR or BAKEOFF_DATA=DIR"
        ) from None
    try:
        content = read_regular(path, at_most=ALWAYS_READ + split.rows * LARGEST_ROW)
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
        split.check_rows(file.metadata.num_rows, str(path))
        # without Arrow's threads, which now and then abort the process when it ends: apache/arrow#34314
        table = file.read(columns=[*facts.text_columns, "label"], use_threads=False)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: damaged ({quoted(error)}); delete it to download it again") from None
    split.check_rows(table.num_rows, str(path))
    labels = table["label"].to_pylist()
    if facts.range is not None:
        low, high = facts.range
        labels = [float(label) for label in labels]
        if strange := [label for label in labels if not low <= label <= high]:
            raise DataError(f"{path}: label {strange[0]} is not a number from {low:g} to {high:g}")
    elif foreign := set(labels) - set(range(len(facts.labels))):
        raise DataError(f"{path}: labels {quoted(sorted(map(str, foreign)))} are not one of 0 to {len(facts.labels) - 1}")
    return {**{name: table[name].to_pylist() for name in facts.text_columns}, "label": labels}
