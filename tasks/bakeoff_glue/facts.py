"""The facts of each GLUE task: its files, columns, labels and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bakeoff.plugin import DataError

REPOSITORY = "nyu-mll/glue"
REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
LICENCE = "other: each dataset's own, as its owners give it"
"""What the hub's card of GLUE says of the licence."""

Columns = dict[str, list[str] | list[int] | list[float]]
"""A split as columns: the text columns by the hub's names, and `label`, which holds numbers of labels, or for a regression the
labels themselves."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """A split's file in the official folder and on the hub, and its number of rows."""

    rows: int
    file: str
    """File name in the folder of official files."""
    hub_file: str
    """File name in the hub's repository."""
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    """Name of a file that a folder may have instead of `file` -> why it can't be used."""

    @property
    def hub_name(self) -> str:
        """The split's name on the hub: `validation` of `mrpc/validation-00000-of-00001.parquet`."""
        return self.hub_file.rpartition("/")[2].partition("-")[0]

    def check_rows(self, found: int, where: str) -> None:
        """Raises DataError if a file has another number of rows than the official one."""
        if found != self.rows:
            raise DataError(f"{where}: {found} rows, expected {self.rows}: the file is incomplete, or not the official one")


@dataclass(frozen=True, kw_only=True)
class GlueFacts:
    """One GLUE task as it was published."""

    name: str
    summary: str
    folder: str
    text_columns: Mapping[str, str]
    """Column name on the hub and in this task -> column name in the official files."""
    label_column: str
    """Column name in the official files; on the hub it is always `label`."""
    labels: Mapping[str, str]
    """Label in the official files -> the label's name in this task, in the order of the hub's numbers; empty for a
    regression."""
    metrics: tuple[str, ...]
    """The benchmark's own metrics (Wang et al., 2018, table 1); the first is primary."""
    splits: Mapping[str, Split]
    hidden_splits: tuple[str, ...] = ()
    """Splits whose labels only the benchmark's server has."""
    positive: str | None = None
    """The label that the benchmark's F1 is about; None for tasks without F1."""
    range: tuple[float, float] | None = None
    """Smallest and largest label of a regression."""
    header: tuple[str, ...] | None = None
    """The column names, if the files have no header."""
    gaps: bool = False
    """Whether the official files have lines with too few columns, which are left out, as on the hub."""

    @property
    def files(self) -> str:
        return ", ".join(split.file for split in self.splits.values())


def two_splits(name: str, train: int, dev: int) -> dict[str, Split]:
    """The splits of a task that has `train.tsv` and `dev.tsv`, on the hub `train` and `validation`. train, dev: numbers of
    rows."""
    return {
        "train": Split(rows=train, file="train.tsv", hub_file=f"{name}/train-00000-of-00001.parquet"),
        "dev": Split(rows=dev, file="dev.tsv", hub_file=f"{name}/validation-00000-of-00001.parquet"),
    }


PAIR = {"sentence1": "sentence1", "sentence2": "sentence2"}
ENTAILED = {"entailment": "entailment", "not_entailment": "not_entailment"}
HIDDEN = ("test",)

COLA = GlueFacts(
    name="cola",
    summary="GLUE CoLA: is this sentence good English?",
    folder="CoLA",
    text_columns={"sentence": "sentence"},
    label_column="label",
    labels={"0": "unacceptable", "1": "acceptable"},
    metrics=("mcc",),
    splits=two_splits("cola", 8551, 1043),
    hidden_splits=HIDDEN,
    header=("source", "label", "star", "sentence"),
)
SST2 = GlueFacts(
    name="sst2",
    summary="GLUE SST-2: does this sentence from a film review praise or blame?",
    folder="SST-2",
    text_columns={"sentence": "sentence"},
    label_column="label",
    labels={"0": "negative", "1": "positive"},
    metrics=("accuracy",),
    splits=two_splits("sst2", 67349, 872),
    hidden_splits=HIDDEN,
)
MRPC = GlueFacts(
    name="mrpc",
    summary="GLUE MRPC: do two sentences from the news say the same? From the hub or a folder of official files.",
    folder="MRPC",
    text_columns={"sentence1": "#1 String", "sentence2": "#2 String"},
    label_column="Quality",
    labels={"0": "not_equivalent", "1": "equivalent"},
    metrics=("accuracy", "f1"),
    positive="equivalent",
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
STSB = GlueFacts(
    name="stsb",
    summary="GLUE STS-B: how alike are two sentences, from 0 to 5? A regression.",
    folder="STS-B",
    text_columns=PAIR,
    label_column="score",
    labels={},
    metrics=("pearson", "spearman"),
    splits=two_splits("stsb", 5749, 1500),
    hidden_splits=HIDDEN,
    range=(0.0, 5.0),
)
QQP = GlueFacts(
    name="qqp",
    summary="GLUE QQP: do two questions ask the same?",
    folder="QQP",
    text_columns={"question1": "question1", "question2": "question2"},
    label_column="is_duplicate",
    labels={"0": "not_duplicate", "1": "duplicate"},
    metrics=("accuracy", "f1"),
    positive="duplicate",
    splits=two_splits("qqp", 363846, 40430),
    hidden_splits=HIDDEN,
    gaps=True,
)
MNLI = GlueFacts(
    name="mnli",
    summary="GLUE MNLI: does one sentence follow from another? dev is the matched one; mismatched is the other genres'.",
    folder="MNLI",
    text_columns={"premise": "sentence1", "hypothesis": "sentence2"},
    label_column="gold_label",
    labels={"entailment": "entailment", "neutral": "neutral", "contradiction": "contradiction"},
    metrics=("accuracy",),
    splits={
        "train": Split(rows=392702, file="train.tsv", hub_file="mnli/train-00000-of-00001.parquet"),
        "dev": Split(rows=9815, file="dev_matched.tsv", hub_file="mnli/validation_matched-00000-of-00001.parquet"),
        "mismatched": Split(rows=9832, file="dev_mismatched.tsv", hub_file="mnli/validation_mismatched-00000-of-00001.parquet"),
    },
    hidden_splits=HIDDEN,
)
QNLI = GlueFacts(
    name="qnli",
    summary="GLUE QNLI: does a sentence contain the answer to a question?",
    folder="QNLI",
    text_columns={"question": "question", "sentence": "sentence"},
    label_column="label",
    labels=ENTAILED,
    metrics=("accuracy",),
    splits=two_splits("qnli", 104743, 5463),
    hidden_splits=HIDDEN,
)
RTE = GlueFacts(
    name="rte",
    summary="GLUE RTE: does one sentence follow from another?",
    folder="RTE",
    text_columns=PAIR,
    label_column="label",
    labels=ENTAILED,
    metrics=("accuracy",),
    splits=two_splits("rte", 2490, 277),
    hidden_splits=HIDDEN,
)
WNLI = GlueFacts(
    name="wnli",
    summary="GLUE WNLI: does a sentence with a pronoun's meaning filled in follow from the one with the pronoun?",
    folder="WNLI",
    text_columns=PAIR,
    label_column="label",
    labels={"0": "not_entailment", "1": "entailment"},
    metrics=("accuracy",),
    splits=two_splits("wnli", 635, 71),
    hidden_splits=HIDDEN,
)
EVERY = (COLA, SST2, MRPC, STSB, QQP, MNLI, QNLI, RTE, WNLI)
