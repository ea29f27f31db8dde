"""Damaged Parquet files whose checksums fit, as a stranger makes them: each is one sentence, and the other records stand."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import ROWS, Copied, make_record, make_steps, parquet, seal_files
from core.calling import Call

from bakeoff.errors import DamageError
from bakeoff.kinds import kind_named
from bakeoff.records import steps
from bakeoff.records.load import load_experiment
from bakeoff.records.load.folders import RunFiles, read_folder
from bakeoff.records.predictions import Predictions, PredictionsReader
from bakeoff.records.schema import KIND_KEY, PREDICTIONS_FILE, STEPS_FILE, Failure, Record, Split, capped
from bakeoff.records.store import Store
from bakeoff.training.record_writer import write_predictions

Damage = Callable[[pa.Table], "pa.Table | bytes"]


def damaged(place: Path, record: Record, name: str, damage: Damage) -> None:
    found = damage(pq.read_table(place / name))
    (place / name).write_bytes(found if isinstance(found, bytes) else parquet(found))
    seal_files(place, record)


def sentence_of(action: Callable[[], object]) -> str:
    """That of the DamageError that the action raises; empty where it raises none."""
    try:
        action()
    except DamageError as error:
        return str(error)
    return ""


# --- kinds of damage -----------------------------------------------------------------------------------------------------


def column(name: str, values: Callable[[list[Any]], Any], kind: pa.DataType | None = None) -> Damage:
    """The column with other values, or of another type."""

    def damage(table: pa.Table) -> pa.Table:
        place = table.column_names.index(name)
        given = values(table[name].to_pylist())
        made = given if isinstance(given, pa.Array) else pa.array(given, kind or table.schema.field(name).type)
        return table.set_column(place, name, made)

    return damage


def value(name: str, other: Any, *, row: int = 5) -> Damage:
    return column(name, lambda values: [*values[:row], other, *values[row + 1 :]])


def each(name: str, function: Callable[[Any], Any], kind: pa.DataType) -> Damage:
    return column(name, lambda values: [None if one is None else function(one) for one in values], kind)


def rows_moved(table: pa.Table) -> pa.Table:
    """One row of dev becomes one of test."""
    return column("split", lambda values: [*values[:29], "test", *values[30:]], pa.string())(table)


def many_columns(table: pa.Table) -> pa.Table:
    for number in range(1100):
        table = table.append_column(f"slice:{number}", table["id"])
    return table


def kind_told(kind: bytes) -> Damage:
    return lambda table: table.replace_schema_metadata({KIND_KEY: kind})


def of_type(name: str, kind: pa.DataType) -> Damage:
    return lambda table: table.set_column(table.column_names.index(name), name, table[name].combine_chunks().cast(kind))


LIST = pa.list_(pa.float32())
PREDICTIONS: dict[str, tuple[Damage, str]] = {
    "label above all": (value("label", 2), "column 'label', row 6: 2 is not one of 0 to 1"),
    "label below all": (value("label", -1), "column 'label', row 6: -1 is not one of 0 to 1"),
    "label of 2^62": (value("label", 2**62), "column 'label', row 6"),
    "label missing": (value("label", None), "column 'label', row 6: None is no label"),
    "all labels missing": (column("label", lambda values: [None] * len(values)), "column 'label', row 1"),
    "label where there is none": (
        value("label", 1, row=55),
        "row 56: 1 is a label, but split 'blind' has none",
    ),
    "labels are texts": (each("label", str, pa.string()), "column 'label' is of type 'text', not int64"),
    "labels are doubles": (each("label", float, pa.float64()), "column 'label' is of type 'double'"),
    "labels are NaN": (each("label", lambda _: float("nan"), pa.float64()), "column 'label' is of type"),
    "labels are of 32 bits": (each("label", int, pa.int32()), "column 'label' is of type 'int32'"),
    "labels are booleans": (each("label", bool, pa.bool_()), "column 'label' is of type 'bool'"),
    "labels are lists": (each("label", lambda one: [one], pa.list_(pa.int64())), "column 'label' is of type"),
    "labels are structs": (each("label", lambda one: {"a": one}, pa.struct({"a": pa.int64()})), "column 'label' is of type"),
    "labels are times": (each("label", int, pa.timestamp("s")), "column 'label' is of type 'timestamp"),
    "labels are decimals": (each("label", int, pa.decimal128(5)), "column 'label' is of type 'decimal"),
    "labels are nothing": (column("label", lambda values: pa.nulls(len(values))), "column 'label' is of type 'null'"),
    "no labels": (lambda table: table.drop_columns(["label"]), "column 'label' is missing"),
    "logits are numbers": (each("logits", lambda one: one[0], pa.float32()), "column 'logits' is of type 'float'"),
    "logits are one too few": (value("logits", [1.0]), "column 'logits' has 119 values, not 120"),
    "logits are one too many": (value("logits", [1.0, 2.0, 3.0]), "column 'logits' has 121 values"),
    "logits are ragged": (
        column("logits", lambda values: [values[0][:1], [*values[1], 1.0], *values[2:]]),
        "column 'logits', row 1: 1 is not the number of the model's outputs, 2",
    ),
    "logits are empty": (value("logits", []), "column 'logits' has 119 values"),
    "logits are missing": (value("logits", None), "column 'logits' has 119 values"),
    "all logits are empty": (column("logits", lambda values: [[] for _ in values]), "column 'logits' has 60 values"),
    "logits are null and longer": (
        column("logits", lambda values: [None, [1.0, 2.0, 3.0], *values[2:]]),
        "column 'logits', row 1: 0 is not the number of the model's outputs",
    ),
    "a logit is missing": (value("logits", [None, 1.0]), "column 'logits', row 6: [nan 1.] is not finite"),
    "a logit is NaN": (value("logits", [float("nan"), 1.0]), "column 'logits', row 6"),
    "a logit is infinite": (value("logits", [float("inf"), 1.0]), "column 'logits', row 6"),
    "a logit is minus infinity": (value("logits", [0.0, float("-inf")]), "column 'logits', row 6"),
    "logits of three outputs": (each("logits", lambda one: [*one, 0.0], LIST), "column 'logits' has 180 values"),
    "logits of one output": (each("logits", lambda one: one[:1], LIST), "column 'logits' has 60 values"),
    "logits are doubles": (each("logits", list, pa.list_(pa.float64())), "column 'logits' is of type"),
    "logits are integers": (each("logits", lambda one: [1, 2], pa.list_(pa.int64())), "column 'logits' is of type"),
    "logits are lists of lists": (each("logits", lambda one: [one], pa.list_(LIST)), "column 'logits' is of type"),
    "logits are large lists": (of_type("logits", pa.large_list(pa.float32())), "column 'logits' is of type"),
    "logits are lists of fixed size": (each("logits", list, pa.list_(pa.float32(), 2)), "column 'logits' is of type"),
    "logits are texts": (each("logits", str, pa.string()), "column 'logits' is of type 'text'"),
    "logits are maps": (
        each("logits", lambda one: [("a", one[0])], pa.map_(pa.string(), pa.float32())),
        "column 'logits' is of type",
    ),
    "no logits": (lambda table: table.drop_columns(["logits"]), "column 'logits' is missing"),
    "an id is missing": (value("id", None), "column 'id', row 6: the value is missing"),
    "an id stands twice": (value("id", "dev-2"), "column 'id', row 6: dev-2 is in split 'dev' twice"),
    "ids are numbers": (column("id", lambda values: list(range(len(values))), pa.int64()), "column 'id' is of type 'int64'"),
    "ids are structs": (each("id", lambda one: {"a": one}, pa.struct({"a": pa.string()})), "column 'id' is of type"),
    "ids are lists": (each("id", lambda one: [one], pa.list_(pa.string())), "column 'id' is of type"),
    "ids are bytes": (each("id", str.encode, pa.binary()), "column 'id' is of type 'binary'"),
    "ids are no UTF-8": (
        column("id", lambda values: pa.array([b"\xff%d" % number for number in range(len(values))]).view(pa.string())),
        "UTF8",
    ),
    "no ids": (lambda table: table.drop_columns(["id"]), "column 'id' is missing"),
    "a split that nobody knows": (value("split", "tset"), "column 'split', row 6: tset is no split that its record predicts"),
    "the split to train on": (value("split", "train"), "column 'split', row 6: train is no split"),
    "a split with control characters": (value("split", "\x1b[2J"), "column 'split', row 6: \\x1b[2J is no split"),
    "a split is missing": (value("split", None), "column 'split', row 6: the value is missing"),
    "rows of another split": (rows_moved, "it has 29 rows of split 'dev', which has 30 examples"),
    "splits are numbers": (column("split", lambda values: [1] * len(values), pa.int64()), "column 'split' is of type"),
    "no splits": (lambda table: table.drop_columns(["split"]), "column 'split' is missing"),
    "tokens below none": (value("tokens", -1), "column 'tokens', row 6: -1 is not a number of tokens"),
    "tokens are missing": (value("tokens", None), "column 'tokens', row 6: the value is missing"),
    "tokens are NaN": (each("tokens", lambda _: float("nan"), pa.float64()), "column 'tokens' is of type 'double'"),
    "tokens are texts": (each("tokens", str, pa.string()), "column 'tokens' is of type 'text'"),
    "tokens are of 64 bits": (each("tokens", int, pa.int64()), "column 'tokens' is of type 'int64'"),
    "no tokens": (lambda table: table.drop_columns(["tokens"]), "column 'tokens' is missing"),
    "a slice is missing": (value("slice:part", None), "column 'slice:part', row 6: the value is missing"),
    "slices are numbers": (each("slice:part", len, pa.int64()), "column 'slice:part' is of type 'int64'"),
    "slices are structs": (
        each("slice:part", lambda one: {"a": one}, pa.struct({"a": pa.string()})),
        "column 'slice:part' is of type",
    ),
    "a column that nobody knows": (
        lambda table: table.append_column("more", table["id"]),
        "'more' is unknown; valid: split, id",
    ),
    "a column that stands twice": (lambda table: table.append_column("id", table["id"]), "column 'id' occurs twice"),
    "too many columns": (many_columns, "it has 1,106 columns"),
    "no columns": (lambda table: table.select([]), "column 'split' is missing"),
    "one row less": (lambda table: table.slice(1), "it has 59 rows instead of the 60 of its record"),
    "one row more": (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "it has 61 rows"),
    "no rows": (lambda table: table.slice(0, 0), "it has 0 rows"),
    "every row twice": (lambda table: pa.concat_tables([table, table]), "it has 120 rows"),
    "millions of rows": (lambda table: table.take(pa.array(np.zeros(500_000, np.int64))), "it has 500,000 rows"),
    "a group for every row": (lambda table: parquet(table, row_group_size=1), "its 60 rows are split into 60 row groups"),
    "ids of many megabytes": (
        column("id", lambda values: pa.array([f"{one[0]}{'x' * 2**21}" for one in values])),
        "column 'id' has 125,829,180 bytes of text, more than 4,096 a row",
    ),
    "answers another kind": (
        kind_told(b"regression"),
        "it is for a task of kind 'regression'",
    ),
    "answers a kind that nobody knows": (kind_told(b"\xff\x00"), "it is for a task of kind"),
    "empty": (lambda table: b"", "is damaged: "),
    "nothing but its mark": (lambda table: b"PAR1", "is damaged: "),
    "two marks": (lambda table: b"PAR1\xff\xff\xff\x7fPAR1", "is damaged: "),
    "a text": (lambda table: b"split,id,label\n" * 100, "is damaged: "),
    "cut in half": (lambda table: parquet(table)[: len(parquet(table)) // 2], "is damaged: "),
    "without its beginning": (lambda table: parquet(table)[500:], "is damaged: "),
    "a footer of zeros": (lambda table: parquet(table)[:-300] + bytes(292) + parquet(table)[-8:], "is damaged: "),
    "pages of zeros": (lambda table: parquet(table)[:4] + bytes(600) + parquet(table)[604:], "is damaged: "),
}

OF_STEPS: dict[str, tuple[Damage, str]] = {
    "a step stands twice": (value("step", 4), "column 'step', row 6: 4 is out of order"),
    "a step is missing": (value("step", None), "column 'step', row 6: the value is missing"),
    "steps from the end": (column("step", lambda values: values[::-1]), "column 'step', row 1: 11 is out of order"),
    "steps are texts": (each("step", str, pa.string()), "column 'step' is of type 'text', not int32"),
    "a loss is NaN": (value("loss", float("nan")), "column 'loss', row 6: nan is not finite"),
    "a loss is infinite": (value("loss", float("inf")), "column 'loss', row 6: inf is not finite"),
    "a loss is missing": (value("loss", None), "column 'loss', row 6: the value is missing"),
    "losses are doubles": (each("loss", float, pa.float64()), "column 'loss' is of type 'double'"),
    "losses are lists": (each("loss", lambda one: [one], LIST), "column 'loss' is of type 'list of float'"),
    "a learning rate is NaN": (value("learning_rate", float("nan")), "column 'learning_rate', row 6"),
    "a norm below none": (value("grad_norm", -1.0), "column 'grad_norm', row 6: -1.0 is not the norm"),
    "seconds go back": (value("seconds", 0.5), "column 'seconds', row 6: 0.5 is less than before"),
    "seconds below none": (value("seconds", -1.0, row=0), "column 'seconds', row 1: -1.0 is not a possible time"),
    "seconds are NaN": (value("seconds", float("nan")), "column 'seconds', row 6"),
    "no seconds": (lambda table: table.drop_columns(["seconds"]), "column 'seconds' is missing"),
    "another column": (lambda table: table.append_column("slice:a", table["step"]), "column 'slice:a' is unknown; valid: step"),
    "one step less": (lambda table: table.slice(0, 11), "it has 11 rows instead of the 12 of its record"),
    "millions of steps": (lambda table: table.take(pa.array(np.zeros(500_000, np.int64))), "it has 500,000 rows"),
    "empty": (lambda table: b"", "is damaged: "),
    "cut in half": (lambda table: parquet(table)[: len(parquet(table)) // 2], "is damaged: "),
}


def test_what_is_whole_is_read_as_it_was_written(copied: Copied) -> None:
    folder, place, record = copied
    made = load_experiment([folder])
    assert made.damaged == ()
    found = made.predictions(record.id)
    assert {name: len(part.ids) for name, part in found.items()} == {"dev": 30, "test": 20, "blind": 10}
    assert [found[name].labelled for name in found] == [True, True, False]
    table = pq.read_table(place / PREDICTIONS_FILE)
    for part in found.values():
        start = table["id"].to_pylist().index(part.ids[0])
        assert part.logits.tolist() == table["logits"].to_pylist()[start : start + len(part.ids)]
        assert part.slices["part"] == tuple(table["slice:part"].to_pylist()[start : start + len(part.ids)])
    assert made.steps(record.id).equals(make_steps())


def test_the_order_of_rows_and_columns_is_free(copied: Copied) -> None:
    """As long as each row is whole: runs are aligned by the ids of their examples."""
    folder, place, record = copied
    before = load_experiment([folder]).predictions(record.id)["test"]
    turned = pa.array(range(ROWS - 1, -1, -1))
    damaged(place, record, PREDICTIONS_FILE, lambda table: table.take(turned).select(table.column_names[::-1]))
    made = load_experiment([folder])
    assert made.damaged == ()
    after = made.predictions(record.id)["test"]
    assert after.ids == before.ids[::-1]
    assert after.labels.tolist() == before.labels.tolist()[::-1]
    assert (after.logits == before.logits[::-1]).all()


@pytest.mark.parametrize("damage", PREDICTIONS)
def test_damaged_predictions_are_one_sentence_and_the_rest_stands(copied: Copied, damage: str) -> None:
    folder, place, record = copied
    damaged(place, record, PREDICTIONS_FILE, PREDICTIONS[damage][0])
    made = read_folder(Store(folder), RunFiles())
    (sentence,) = made.damaged
    assert sentence.startswith(f"{place / PREDICTIONS_FILE} is damaged: ")
    assert PREDICTIONS[damage][1] in sentence
    assert sentence.isprintable()
    assert [len(made.records), record.id in {one.id for one in made.records}] == [3, False]
    with pytest.raises(DamageError) as told:
        Store(folder).check(record.id)
    assert str(told.value) == sentence


@pytest.mark.parametrize("damage", OF_STEPS)
def test_damaged_steps_are_one_sentence_and_the_run_stands(copied: Copied, damage: str) -> None:
    folder, place, record = copied
    damaged(place, record, STEPS_FILE, OF_STEPS[damage][0])
    store, files = Store(folder), RunFiles()
    made = read_folder(store, files)
    assert (len(made.records), made.damaged) == (4, ())
    with pytest.raises(DamageError) as told:
        store.steps(store.read(record.id))
    assert str(told.value).startswith(f"{place / STEPS_FILE} is damaged: ")
    assert OF_STEPS[damage][1] in str(told.value)
    files.add(record.id, store, store.read(record.id))
    assert sentence_of(lambda: files.steps(record.id)) == str(told.value)
    assert files.damaged == [str(told.value)]
    with pytest.raises(DamageError, match=r"steps\.parquet is damaged"):
        Store(folder).check(record.id)


def test_losses_of_a_run_that_diverged_may_be_nan(copied: Copied) -> None:
    _, place, record = copied
    content = parquet(value("loss", float("nan"))(make_steps()))
    failure = Failure(reason="diverged", message="loss is nan", phase="train")
    diverged = record.model_copy(update={"status": "failed", "failure": failure})
    assert np.isnan(steps.read_steps(content, diverged, place)["loss"].to_numpy()[5])
    with pytest.raises(DamageError, match="nan is not finite"):
        steps.read_steps(content, record, place)


@pytest.mark.parametrize("rows", [10**7, 2 * 10**8])
def test_more_rows_than_a_file_of_its_size_can_hold_are_not_read(rows: int, copied: Copied) -> None:
    """6 MB may hold 200 million rows of one value, and the record may say so too."""
    _, place, record = copied
    assert record.data is not None
    sizes = {**record.data.splits, "blind": record.data.splits["blind"].model_copy(update={"examples": rows})}
    content = (place / PREDICTIONS_FILE).read_bytes()
    with pytest.raises(DamageError) as told:
        PredictionsReader().read(content, record.data.model_copy(update={"splits": sizes}), place)
    assert ("100 times" in str(told.value)) == (rows > 10**7)


# --- other kinds of tasks ------------------------------------------------------------------------------------------------


def read_as(kind: str, names: int, labels: list[Any], logits: Any, folder: Path) -> dict[str, Predictions]:
    """What is read of a split with these labels and logits, as a run on a task of this kind and so many labels wrote them."""
    logits, ids = np.asarray(logits, np.float32), [str(number) for number in range(len(labels))]
    splits = {"test": {"id": ids, "label": labels}, "blind": {"id": ids, "label": [None] * len(ids)}}
    encoded = {name: [{"input_ids": [1]} for _ in ids] for name in splits}
    write_predictions(folder / PREDICTIONS_FILE, dict.fromkeys(splits, logits), splits, encoded, (), kind_named(kind))
    data = make_record().data
    assert data is not None
    sizes = {name: Split(examples=len(ids), labelled=name == "test", fingerprint="0" * 64) for name in splits}
    shown = capped([f"label {number}" for number in range(names)])
    data = data.model_copy(update={"kind": kind, "labels": shown, "splits": sizes})
    return PredictionsReader().read((folder / PREDICTIONS_FILE).read_bytes(), data, folder)


@pytest.mark.parametrize(
    ("kind", "names", "labels"),
    [
        ("regression", 0, [1.5, -2.0, 1e30]),
        ("multilabel", 1, [0, 1, 0]),
        ("multilabel", 62, [2**61 + 1, 2**62 - 1, 0]),
        ("classification", 20, [0, 19, 3]),
        ("classification", 21, [0, 20, 3]),
        ("classification", 1500, [0, 1499, 3]),
    ],
)
def test_labels_of_every_kind_are_read_as_they_were_written(kind: str, names: int, labels: list[Any], tmp_path: Path) -> None:
    found = read_as(kind, names, labels, np.zeros((3, names or 1)), tmp_path)
    assert found["test"].labels.tolist() == labels
    assert (found["test"].kind.name, found["test"].labelled, found["blind"].labelled) == (kind, True, False)


@pytest.mark.parametrize(
    ("kind", "names", "labels", "width", "said"),
    [
        ("regression", 0, [1.5, float("nan")], 1, "row 2: nan is not a finite number"),
        ("regression", 0, [float("inf"), 1.0], 1, "row 1: inf is not a finite number"),
        ("regression", 0, [1.5, None], 1, "row 2: None is no label"),
        ("regression", 0, [1.5, 2.5], 2, "column 'logits' has 8 values, not 4"),
        ("multilabel", 3, [7, 8], 3, "row 2: 8 is not one of 0 to 7"),
        ("multilabel", 3, [-1, 0], 3, "row 1: -1 is not one of 0 to 7"),
        ("multilabel", 63, [1, 0], 63, "its record describes a multilabel task with 63 labels"),
        ("classification", 21, [0, 21], 21, "row 2: 21 is not one of 0 to 20"),
        ("classification", 21, [0, 1], 20, "column 'logits' has 80 values, not 84"),
        ("classification", 0, [0, 1], 2, "its record describes a classification task with 0 labels"),
    ],
)
def test_what_no_task_of_the_kind_has_is_refused(
    kind: str, names: int, labels: list[Any], width: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DamageError) as told:
        read_as(kind, names, labels, np.zeros((2, width)), tmp_path)
    assert said in str(told.value)


# --- by chance, and by every verb ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [PREDICTIONS_FILE, STEPS_FILE])
def test_any_altered_bytes_are_read_or_refused(copied: Copied, name: str) -> None:
    """With a checksum that fits: what a stranger changes is read as what it says, or is one sentence."""
    folder, place, record = copied
    content, draw = (place / name).read_bytes(), random.Random(15)  # noqa: S311 - bytes to alter, no secrets
    refused = 0
    for _ in range(60):
        altered = bytearray(content)
        for _ in range(draw.choice([1, 1, 2, 8])):
            altered[draw.randrange(len(altered))] = draw.randrange(256)
        (place / name).write_bytes(altered)
        seal_files(place, record)
        sentence = sentence_of(lambda: Store(folder).check(record.id))
        assert sentence == "" or sentence.startswith(f"{place / name} is damaged: ")
        assert sentence.isprintable()
        refused += bool(sentence)
    assert refused >= 10


@pytest.mark.parametrize(
    "words", [("table",), ("table", "--json"), ("report",), ("rescore",), ("rescore", "--json"), ("verify",)], ids=" ".join
)
def test_verbs_leave_a_damaged_record_out(copied: Copied, call: Call, words: tuple[str, ...]) -> None:
    folder, place, record = copied
    damaged(place, record, PREDICTIONS_FILE, PREDICTIONS["label above all"][0])
    code, out, err = call(words[0], folder, *words[1:])
    assert code == (1 if words[0] == "verify" else 0)
    assert f"{place / PREDICTIONS_FILE} is damaged: " in " ".join(f"{out} {err}".split())
