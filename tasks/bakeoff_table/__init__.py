"""The tasks `table`, for a user's own files, and `hub-dataset`, for files of a dataset on the hub."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from bakeoff.plugin import (
    DataError,
    HubDataset,
    NewRows,
    Paths,
    Task,
    TaskInfo,
    hookimpl,
    hub_file,
    hub_is_reachable,
    hub_snapshot,
    metric_named,
)
from bakeoff_table.conversion import columns_of
from bakeoff_table.files import File, file_of, found_in, split_archive
from bakeoff_table.options import FileOptions, HubOptions, TableOptions, name_of
from bakeoff_table.reading import read_new_rows, read_splits

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "dev", "test")
OF_SPLITS = {"train", "training", "data", "rows", "all", "full"}
"""File names, in lower case and without ending, that say nothing about the rows."""


class RowsTask(Task):
    """The base of both tasks: rows from files. Subclasses decide where the files are found."""

    version = "3"

    def title(self, options: TableOptions) -> str:
        """A title for the rows: the name of their first file, or of its folder if the file is named for its split. `tickets`
        for tickets.csv and for tickets/train.csv."""
        parts = [part.partition(".")[0] for part in PurePosixPath(name_of(options.train[0])).parts]
        return next((part for part in reversed(parts) if part and part.lower() not in OF_SPLITS), self.name)

    def info(self, options: TableOptions) -> TaskInfo:
        splits = tuple(self.entries(options))
        named = options.label if len(options.label) > 1 else options.labels or []
        metrics = tuple(metric_named(choice) for choice in options.metrics or options.task_kind.default_metrics)
        return TaskInfo(
            kind=options.task_kind,
            text_columns=tuple(options.text_columns),
            labels=tuple(named),
            n_outputs=options.task_kind.n_outputs(len(named)),
            metrics=metrics,
            primary_metric=metrics[0].name,
            splits=splits,
            labelled_splits=tuple(split for split in splits if split not in options.unlabelled),
            slice_columns=tuple(options.slices),
        )

    def load(self, options: Any, places: Paths) -> dict[str, Dataset]:
        files = {
            split: [self.file(entry, options, places) for entry in entries] for split, entries in self.entries(options).items()
        }
        return read_splits(files, options, cache=places.cache, version=self.version)

    def read_rows(self, options: Any, path: Path, places: Paths) -> NewRows:
        """Reads new rows as a file of the task without labels; the format follows from the end of its name, or else from the
        task's options."""
        return read_new_rows(path, options, cache=places.cache, version=self.version)

    @staticmethod
    def entries(options: TableOptions) -> dict[str, list[str | FileOptions]]:
        """Split -> its files, as the experiment file names them."""
        return {split: getattr(options, split) for split in SPLITS if getattr(options, split)}

    @abstractmethod
    def file(self, entry: str | FileOptions, options: Any, places: Paths) -> File:
        """The file that an entry of the options names. Raises DataError if it is not available."""


class Table(RowsTask):
    """Rows from files in the data folder, or beside the experiment file."""

    name = "table"
    summary = "Your own rows: CSV, TSV, JSON or Parquet."
    Options = TableOptions
    takes_rows = True

    def check_available(self, options: TableOptions, places: Paths) -> None:
        self.files(options, places)

    def files(self, options: TableOptions, places: Paths) -> dict[str, list[Path]]:
        return {
            split: [self.file(entry, options, places).path for entry in entries]
            for split, entries in self.entries(options).items()
        }

    def file(self, entry: str | FileOptions, options: TableOptions, places: Paths) -> File:
        return found_in(places, entry, options)

    def row_columns(self, options: TableOptions) -> list[str]:
        return columns_of(options)


class HubDatasetTask(RowsTask):
    """Rows from files of a dataset on the hub, at a pinned commit."""

    name = "hub-dataset"
    summary = "Rows of any dataset on the Hugging Face hub, at a pinned commit."
    Options = HubOptions

    def title(self, options: HubOptions) -> str:
        return options.path.rpartition("/")[2]

    def hub_dataset(self, options: HubOptions) -> HubDataset:
        """Dataset and commit; the names of files don't tell the hub's configuration and splits."""
        return HubDataset(id=options.path, revision=options.revision)

    def check_available(self, options: HubOptions, places: Paths) -> None:
        folder, named = self.snapshot(options)
        if folder is None and not hub_is_reachable():
            files = ", ".join(name for names in named.values() for name in names)
            raise DataError(
                f"dataset {options.path} at {options.revision[:12]} is not in the local cache with {files}, and the "
                "Hugging Face hub is not reachable; make it reachable, or fetch the files elsewhere and use the task `table`"
            )

    def files(self, options: HubOptions, places: Paths) -> dict[str, list[Path]]:
        folder, named = self.snapshot(options)
        if folder is None:
            raise DataError(f"dataset {options.path} at {options.revision[:12]} is not in the local cache")
        return {split: [folder / name for name in names] for split, names in named.items()}

    def snapshot(self, options: HubOptions) -> tuple[Path | None, dict[str, list[str]]]:
        """(the cached folder that has all files, or None; split -> its files, by name in the repository)."""
        entries = self.entries(options).items()
        named = {split: [split_archive(name_of(entry))[0] for entry in of_split] for split, of_split in entries}
        needed = [name for names in named.values() for name in names]
        return hub_snapshot(options.path, repo_type="dataset", revision=options.revision, files=needed), named

    def file(self, entry: str | FileOptions, options: HubOptions, places: Paths) -> File:
        name, member = split_archive(name_of(entry))
        path = hub_file(options.path, name, repo_type="dataset", revision=options.revision)
        return file_of(path, f"{options.path}/{name_of(entry)}", entry, options, member=member)


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [Table(), HubDatasetTask()]
