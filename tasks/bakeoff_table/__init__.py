"""Tasks without code: files of one's own, and files of any dataset on the hub."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.plugin import (
    DataError,
    Places,
    Task,
    TaskInfo,
    hookimpl,
    hub_file,
    hub_is_reachable,
    hub_snapshot,
    in_hub_cache,
    metric_named,
    quoted,
    shown_path,
    unknown,
)
from bakeoff_table.options import METRICS, HubOptions, TableOptions
from bakeoff_table.reading import read_splits
from bakeoff_table.rows import File, format_of

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "dev", "test")


class RowsTask(Task):
    """What files of rows have in common, wherever they come from."""

    version = "1"

    def info(self, options: TableOptions) -> TaskInfo:
        splits = tuple(split for split in SPLITS if getattr(options, split))
        named = options.label if len(options.label) > 1 else options.labels or []
        metrics = options.metrics or METRICS[options.kind]
        return TaskInfo(
            kind=options.kind,
            text_columns=tuple(options.text),
            labels=tuple(named),
            n_outputs=len(named) if options.kind != "regression" else 1,
            metrics=tuple(metric_named(name) for name in metrics),
            primary_metric=metrics[0],
            splits=splits,
            labelled_splits=splits,
            slice_columns=tuple(options.slices),
        )

    def load(self, options: Any, places: Places) -> dict[str, Dataset]:
        files = {
            split: [self.file(name, options, places) for name in getattr(options, split)]
            for split in SPLITS
            if getattr(options, split)
        }
        return read_splits(files, options, cache=places.cache, version=self.version)

    @abstractmethod
    def file(self, name: str, options: Any, places: Places) -> File:
        """Raises DataError where it can't be had."""


class Table(RowsTask):
    """Files in the data folder, or beside the experiment file."""

    name = "table"
    summary = "Your own rows: CSV, TSV, JSON lines or Parquet."
    Options = TableOptions

    def locate(self, options: TableOptions, places: Places) -> None:
        for split in SPLITS:
            for name in getattr(options, split) or ():
                self.file(name, options, places)
        for metric in self.info(options).metrics:
            metric.locate()

    def files(self, options: TableOptions, places: Places) -> dict[str, list[Path]]:
        named = {split: getattr(options, split) for split in SPLITS}
        return {split: [self.file(name, options, places).path for name in names] for split, names in named.items() if names}

    def file(self, name: str, options: TableOptions, places: Places) -> File:
        folders = [folder for folder in (places.data, places.beside) if folder is not None]
        for folder in folders:
            if (path := inside(folder, name)).is_file():
                return File(path, name, format_of(name, options))
        looked = " and ".join(shown_path(folder) for folder in folders)
        near = sorted({path.name for folder in folders for path in inside(folder, name).parent.glob("*") if path.is_file()})
        told = unknown("file", Path(name).name, near) if near else f"there is no file {quoted(name)}"
        raise DataError(f"{told} (looked for {quoted(name)} in {looked}; --data names another folder)")


class HubDataset(RowsTask):
    """Files of a dataset's repository on the hub, at a commit."""

    name = "hub-dataset"
    summary = "Rows of any dataset on the Hugging Face hub, at a pinned commit."
    Options = HubOptions

    def locate(self, options: HubOptions, places: Places) -> None:
        files = [name for split in SPLITS for name in getattr(options, split) or ()]
        for name in files:
            format_of(name, options)
        cached = in_hub_cache(options.path, repo_type="dataset", revision=options.revision, files=files)
        if not cached and not hub_is_reachable():
            raise DataError(
                f"dataset {options.path} at {options.revision[:12]} is not in the local cache with {', '.join(files)}, and the "
                "Hugging Face hub is not reachable; make it reachable, or fetch the files elsewhere and use the task `table`"
            )
        for metric in self.info(options).metrics:
            metric.locate()

    def files(self, options: HubOptions, places: Places) -> dict[str, list[Path]]:
        named = {split: getattr(options, split) or () for split in SPLITS}
        needed = [name for names in named.values() for name in names]
        folder = hub_snapshot(options.path, repo_type="dataset", revision=options.revision, files=needed)
        if folder is None:
            raise DataError(f"dataset {options.path} at {options.revision[:12]} is not in the local cache")
        return {split: [folder / name for name in names] for split, names in named.items() if names}

    def file(self, name: str, options: HubOptions, places: Places) -> File:
        path = hub_file(options.path, name, repo_type="dataset", revision=options.revision)
        return File(path, f"{options.path}/{name}", format_of(name, options))


def inside(folder: Path, name: str) -> Path:
    """A file's place in a folder. Raises DataError for a name that leads out of it, by itself or by a link."""
    path = Path(name)
    if (
        path.is_absolute()
        or ".." in path.parts
        or "\0" in name
        or not (folder / path).resolve().is_relative_to(folder.resolve())
    ):
        raise DataError(f"{quoted(name)} leads out of its folder: name files inside, and the folder by --data")
    return folder / path


@hookimpl
def bakeoff_tasks() -> list[Task]:
    return [Table(), HubDataset()]
