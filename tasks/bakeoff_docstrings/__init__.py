"""The task `docstrings`: pairs of texts from the documentation of installed libraries; a first run needs no download."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from bakeoff.plugin import CLASSIFICATION, F1, Accuracy, DataError, Options, Paths, Task, TaskInfo, cached_table, hookimpl
from bakeoff_docstrings.pairs import SPLITS, Pair, draw, read
from bakeoff_docstrings.sources import DISTRIBUTIONS, Library, installed_libraries

if TYPE_CHECKING:
    from datasets import Dataset

COLUMNS = ("id", "summary", "paragraph", "label", "library", "length")


class DocstringsOptions(Options):
    """The options of `docstrings`: its number of pairs."""

    size: int | None = Field(
        None,
        ge=32,
        description="Pairs in all splits together (about 70 % train, 15 % dev, 15 % test); a smaller size is a part of "
        "a larger one. Left out: all that the installed libraries give.",
    )


class Docstrings(Task):
    """The task: does a paragraph of documentation belong to the same function as a summary?

    find: a function that returns the libraries to read; by default the installed ones.
    """

    name = "docstrings"
    summary = "does a paragraph of documentation belong to a function's summary? From installed libraries, no download"
    version = "1"
    Options = DocstringsOptions
    needs = dict.fromkeys(DISTRIBUTIONS, "docstrings")

    def __init__(self, find: Callable[[], list[Library]] = installed_libraries) -> None:
        self._find = find

    def info(self, options: DocstringsOptions) -> TaskInfo:
        return TaskInfo(
            kind=CLASSIFICATION,
            text_columns=("summary", "paragraph"),
            labels=("elsewhere", "belongs"),
            n_outputs=2,
            metrics=(Accuracy(), F1()),
            primary_metric="accuracy",
            positive="belongs",
            splits=SPLITS,
            labelled_splits=SPLITS,
            slice_columns=("library", "length"),
        )

    def licence(self, options: DocstringsOptions) -> str:
        return "BSD-3-Clause, of each library that is read"

    def files(self, options: DocstringsOptions, places: Paths) -> dict[str, list[Path]]:
        """No files: nobody edits those that are read. `source_versions` gives the libraries' versions instead."""
        return {}

    def source_versions(self) -> dict[str, str]:
        """Distribution -> version, for every library that is read; with the task's version, this decides all rows."""
        return {library.name: library.version for library in self._find()}

    def check_available(self, options: DocstringsOptions, places: Paths) -> None:
        self._find()

    def load(self, options: DocstringsOptions, places: Paths) -> dict[str, Dataset]:
        from datasets import Dataset  # here, so that listing tasks stays fast

        pairs = self.pairs(places)
        if options.size is not None and options.size > len(pairs):
            installed = ", ".join(f"{name} {version}" for name, version in self.source_versions().items())
            raise DataError(
                f"docstrings: size is {options.size}, but {installed} yield only {len(pairs)} pairs: choose a smaller size"
            )
        splits: dict[str, list[Pair]] = {split: [] for split in SPLITS}
        for pair in pairs[: options.size]:
            splits[pair.split].append(pair)
        if empty := [split for split in SPLITS if not splits[split]]:
            raise DataError(f"docstrings: no pairs for {', '.join(empty)}; are the libraries' sources installed?")
        return {
            split: Dataset.from_dict({column: [getattr(pair, column) for pair in rows] for column in COLUMNS})
            for split, rows in splits.items()
        }

    def pairs(self, places: Paths) -> list[Pair]:
        """All pairs, each with the files that its texts come from. The libraries' sources are read only if the cache lacks the
        pairs."""
        import pyarrow as pa

        libraries = self._find()
        versions = {library.name: library.version for library in libraries}
        key = json.dumps({"task": self.name, "version": self.version, "sources": versions}, sort_keys=True)
        path = places.cache / "docstrings" / f"{sha256(key.encode()).hexdigest()[:16]}.arrow"

        @cache
        def batches() -> list[pa.RecordBatch]:
            return [pa.RecordBatch.from_pylist([asdict(pair) for pair in draw(read(libraries))])]

        table = cached_table(path, batches)
        return [Pair(**row) for row in table.to_pylist()] if table is not None else []


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [Docstrings()]
