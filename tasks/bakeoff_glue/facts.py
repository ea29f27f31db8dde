"""What is known of each GLUE task before a file is opened: one row a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakeoff.plugin import DataError

REPOSITORY = "nyu-mll/glue"
REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"

Columns = dict[str, list[str] | list[int]]
"""A split column by column: the text columns under the hub's names, and `label` with indices into the label names."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Where a split lies, and how many rows it has."""

    rows: int
    file: str
    """In the folder of official files."""
    hub_file: str
    """In the hub's repository."""
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    """Files that folders hold in place of `file`, and why they will not do."""

    def check_rows(self, found: int, where: str) -> None:
        """Raises DataError for a split that was cut short, or is of another edition."""
        if found != self.rows:
            raise DataError(f"{where}: {found} rows, expected {self.rows}: the file is cut off or no official one")


@dataclass(frozen=True, kw_only=True)
class GlueFacts:
    """One GLUE task as it was published."""

    name: str
    summary: str
    folder: str
    text_columns: Mapping[str, str]
    """Column on the hub, and here -> column in the official files."""
    label_column: str
    """In the official files; on the hub it is always `label`."""
    labels: Mapping[str, str]
    """Label in the official files -> label name, in the order of the hub's indices."""
    splits: Mapping[str, Split]

    @property
    def files(self) -> str:
        return ", ".join(split.file for split in self.splits.values())


MRPC = GlueFacts(
    name="mrpc",
    summary="GLUE MRPC: do two sentences from the news say the same? From the hub or a folder of official files.",
    folder="MRPC",
    text_columns={"sentence1": "#1 String", "sentence2": "#2 String"},
    label_column="Quality",
    labels={"0": "not_equivalent", "1": "equivalent"},
    splits={
        "train": Split(
            rows=3668,
            file="train.tsv",
            hub_file="mrpc/train-00000-of-00001.parquet",
            stand_ins={
                "msr_paraphrase_train.txt": ("Microsoft's file mixes train and dev: GLUE's train.tsv and dev.tsv are needed"),
            },
        ),
        "dev": Split(rows=408, file="dev.tsv", hub_file="mrpc/validation-00000-of-00001.parquet"),
        "test": Split(
            rows=1725,
            file="msr_paraphrase_test.txt",
            hub_file="mrpc/test-00000-of-00001.parquet",
            stand_ins={
                "test.tsv": ("GLUE ships it without labels: the public msr_paraphrase_test.txt, which has them, is needed"),
            },
        ),
    },
)
