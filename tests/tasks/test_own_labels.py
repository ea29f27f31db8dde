"""What would be wrong in silence about quotation marks, headers and labels is told before training, with its lines."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from messages import tells
from tasks.conftest import Load

ONE = {"text": "q1", "label": "same"}
Said = Callable[..., list[str]]
Refusal = Callable[..., str]


def write(path: Path, labels: list[Any], *, header: str = "q1,same\n") -> None:
    delimiter = "\t" if path.suffix == ".tsv" else ","
    lines = [f"text {number}{delimiter}{label}\n" for number, label in enumerate(labels)]
    path.write_text(header.replace(",", delimiter) + "".join(lines))


# --- quotation marks ------------------------------------------------------------------------------------------------------


def marked(texts: int, *pairs: tuple[int, int], end: str = "\n") -> str:
    """A file of labels and texts in which quotation marks open and close at these rows."""
    mark = '"'
    opening, closing = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    rows = [
        f"{'no' if row % 2 else 'yes'},{mark * (row in opening)}text {row}{mark * (row in closing)}" for row in range(texts)
    ]
    return end.join(["same,q1", *rows, ""])


def test_a_tsv_has_every_row_whatever_its_quotation_marks(tmp_path: Path, load: Load, said: Said) -> None:
    (tmp_path / "a.tsv").write_text(marked(24, (4, 9), (17, 20), (22, 22)).replace(",", "\t"))
    _, splits = load(train="a.tsv", **ONE)
    assert len(splits["train"]["q1"]) == 24
    assert [splits["train"]["q1"][row] for row in (4, 9, 22)] == ['"text 4', 'text 9"', '"text 22"']
    assert said(train="a.tsv", **ONE) == []
    assert len(load(train="a.tsv", quoting="minimal", **ONE)[1]["train"]["q1"]) == 16, "as it was read by default"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quotation_marks_that_take_in_rows_are_told_with_their_lines(end: str, tmp_path: Path, load: Load, said: Said) -> None:
    (tmp_path / "a.csv").write_bytes(marked(24, (4, 9), (17, 20), end=end).encode())
    (sentence,) = said(**ONE)
    assert tells(sentence, "train: a.csv: 16 rows ", "24 lines, ", "2 with ", "a.csv:6 over 6: ")
    assert len(load(quoting="none", **ONE)[1]["train"]["q1"]) == 24
    assert said(quoting="none", **ONE) == []
    assert said(quoting="minimal", **ONE) == [], "whoever says it has looked"


def test_a_cell_that_spans_lines_without_a_delimiter_is_told_where_there_are_many(tmp_path: Path, said: Said) -> None:
    rows = [f'{"yes" if row % 2 else "no"},"line\nof {row}"' if row < 3 else f"no,text {row}" for row in range(10)]
    (tmp_path / "a.csv").write_text("same,q1\n" + "\n".join(rows))
    (sentence,) = said(**ONE)
    assert "a.csv:2 over 2" in sentence
    (tmp_path / "b.csv").write_text("same,q1\n" + "\n".join(rows[2:] + [f"no,more {row}" for row in range(10)]))
    assert said(train="b.csv", labels=["no", "yes"], **ONE) == [], "a text of two lines is a text"


def test_what_is_quoted_where_it_is_read_unquoted_is_told(tmp_path: Path, said: Said, load: Load, refusal: Refusal) -> None:
    import pandas as pd

    frame = pd.DataFrame({"q1": ['he said "hi"', "b", '"c"'], "same": ["no", "yes", "no"]})
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    (sentence,) = said(train="a.tsv", **ONE)
    assert tells(sentence, "train: a.tsv:2: ", "1 other row", "quotation marks")
    assert list(load(train="a.tsv", quoting="minimal", **ONE)[1]["train"]["q1"]) == list(frame["q1"])
    frame.to_csv(tmp_path / "b.tsv", sep="\t", index=False, quoting=1)
    assert refusal(train="b.tsv", **ONE).endswith("if cells are in quotation marks, write `quoting: minimal`")
    (tmp_path / "c.csv").write_text('same,q1\nno, "hello"\nyes,b\n')
    assert "before its quotation" in said(train="c.csv", **ONE)[0]


# --- headers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_header_in_the_middle_is_no_row_and_told_with_its_line(name: str, tmp_path: Path, load: Load, said: Said) -> None:
    path = tmp_path / name
    write(path, ["no", "yes"] * 3)
    path.write_text(path.read_text() * 3)
    info, splits = load(train=name, **ONE)
    assert info.labels == ("no", "yes")
    assert list(splits["train"]["id"]) == [f"train-{row}" for row in range(18)]
    assert tells(said(train=name, **ONE)[0], f"train: {name}:8: ", "header", "1 other row", "left out")


def test_a_header_in_another_order_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    write(tmp_path / "a.csv", ["no", "yes"])
    (tmp_path / "a.csv").write_text((tmp_path / "a.csv").read_text() + "same,q1\nno,x\n")
    assert tells(refusal(**ONE), "a.csv:4: ", "header", "another order")


def test_a_header_where_columns_are_named_is_no_row(tmp_path: Path, load: Load, said: Said) -> None:
    write(tmp_path / "a.csv", ["no", "yes"])
    assert load(columns=["q1", "same"], **ONE)[0].labels == ("no", "yes")
    assert tells(said(columns=["q1", "same"], **ONE)[0], "train: a.csv:1: ", "header", "again")
    write(tmp_path / "a.csv", ["no", "yes"] * 3, header="text,class\n")
    (sentence,) = said(columns=["q1", "same"], **ONE)
    assert tells(sentence, "train: a.csv:1: ", "'class': ", "header", "`columns`")


# --- labels ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Spam", "spam"),
        ("not spam", "not  spam"),
        ("not spam", "not\u00a0spam"),
        ("notspam", "not spam"),
        ("not_spam", "not spam"),
        ("not-spam", "not_spam"),
        ("café", unicodedata.normalize("NFD", "café")),
        ("ＡＢ", "AB"),
        ("spam\u200b", "spam"),
        ("straße", "STRASSE"),
        ("01", "1"),
        ("1e1", "10"),
    ],
)
def test_labels_that_only_look_different_are_told_with_their_lines(
    one: str, other: str, tmp_path: Path, load: Load, said: Said
) -> None:
    write(tmp_path / "a.csv", [one, one, "third", other])
    (sentence,) = said(**ONE)
    assert sentence.startswith("train: labels ")
    assert "(2 rows, first a.csv:2)" in sentence
    assert "(1 row, first a.csv:5)" in sentence
    assert len(load(**ONE)[0].labels) == 3
    assert said(labels=[one, other, "third"], **ONE) == [], "named, they are meant"


@pytest.mark.parametrize("values", [["1.0", "0.0", 1, 0], [1.0, 0, "1", "0.00"], ["-1.0", "2", -1, 2.0]])
def test_a_number_is_one_label_however_it_is_written(values: list[Any], tmp_path: Path, load: Load, said: Said) -> None:
    write(tmp_path / "a.csv", values[:2])
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"q1": f"dev {value}", "same": value}) + "\n" for value in values[2:]))
    info, splits = load(dev="b.jsonl", **ONE)
    assert len(info.labels) == 2
    assert list(splits["train"]["label"]) == list(splits["dev"]["label"])
    assert said(dev="b.jsonl", **ONE) == []
    assert load(dev="b.jsonl", labels=[values[0], values[1]], **ONE)[0].labels == (
        info.labels if splits["train"]["label"][0] == 0 else info.labels[::-1]
    )


@pytest.mark.parametrize("words", [["True", "false"], ["TRUE", "FALSE"], ["true", "False"]])
def test_truth_is_one_label_however_it_is_written(words: list[str], tmp_path: Path, load: Load) -> None:
    write(tmp_path / "a.csv", words)
    (tmp_path / "b.jsonl").write_text('{"q1": "x", "same": true}\n{"q1": "y", "same": false}\n')
    info, splits = load(dev="b.jsonl", **ONE)
    assert info.labels == ("false", "true")
    assert list(splits["train"]["label"]) == list(splits["dev"]["label"]) == [1, 0]


def test_codes_keep_their_zeros(tmp_path: Path, load: Load) -> None:
    write(tmp_path / "a.csv", ["007", "7.50", "1.10"])
    assert load(kind="classification", **ONE)[0].labels == ("1.10", "007", "7.50")


@pytest.mark.parametrize("scores", [[0.0, 2.6, 5.0], ["1", "2", "2,5"], ["3.25", "4", "NA"]])
def test_a_column_of_decimals_asks_for_its_kind(scores: list[Any], tmp_path: Path, load: Load, refusal: Refusal) -> None:
    write(tmp_path / "a.tsv", scores * 8)
    line = 2 + next(place for place, score in enumerate(scores) if not float(str(score).replace(",", ".")).is_integer())
    told = refusal(train="a.tsv", **ONE)
    assert told.startswith(f"a.tsv:{line}: column 'same' has numbers with decimals, such as ")
    assert "`kind: regression`" in told
    assert len(load(train="a.tsv", kind="classification", **ONE)[0].labels) == 3
    if "NA" not in scores and "2,5" not in scores:
        assert load(train="a.tsv", kind="regression", **ONE)[0].kind.name == "regression"


@pytest.mark.parametrize("score", ["2.6", "6"])
def test_a_number_that_only_dev_has_asks_for_the_kind(score: str, tmp_path: Path, refusal: Refusal) -> None:
    write(tmp_path / "a.csv", ["1", "2", "3"] * 3)
    write(tmp_path / "b.csv", ["1", score])
    told = refusal(dev="b.csv", **ONE)
    assert told.startswith(f"b.csv:3: no label '{score}'; ")
    assert told.endswith("(those are the labels of train); for measured numbers write `kind: regression`")
    assert "kind" not in refusal(dev="b.csv", kind="classification", **ONE)


def test_a_label_column_with_nearly_a_value_a_row_is_told(tmp_path: Path, load: Load, said: Said, refusal: Refusal) -> None:
    write(tmp_path / "a.csv", [f"user-{number}" for number in range(60)] + ["user-1"] * 20)
    assert tells(said(**ONE)[0], "train: column 'same' ", "60 different labels", "80 rows")
    write(tmp_path / "a.csv", [f"user-{number}" for number in range(1001)])
    assert "'user-0' and 'user-999'" in refusal(**ONE)
    assert len(load(kind="classification", **ONE)[0].labels) == 1001, "who says so means it"


def test_many_whole_numbers_ask_for_their_kind(tmp_path: Path, load: Load, said: Said) -> None:
    write(tmp_path / "a.csv", [number % 31 for number in range(310)])
    assert said(**ONE) == [
        "train: column 'same' holds 31 different whole numbers: write `kind: regression` if they were counted or measured, "
        "and `kind: classification` where each is a class of its own"
    ]
    assert load(**ONE)[0].n_outputs == 31
    assert said(kind="classification", **ONE) == []
    write(tmp_path / "a.csv", [number % 5 for number in range(310)])
    assert said(**ONE) == []


def test_a_label_of_one_row_is_told_where_others_have_more(tmp_path: Path, said: Said) -> None:
    write(tmp_path / "a.csv", ["no", "yes"] * 15 + ["maybe", "yess"])
    (line,) = said(**ONE)
    assert tells(line, "train: 2 of 4 labels ", "'maybe' (a.csv:32), 'yess' (a.csv:33)")


def test_more_than_a_thousand_classes(tmp_path: Path, load: Load, said: Said) -> None:
    draw = random.Random(0)  # noqa: S311 - no secret
    labels = [f"class {number % 1500}" for number in range(6000)]
    draw.shuffle(labels)
    write(tmp_path / "a.csv", labels)
    info, splits = load(**ONE)
    assert info.n_outputs == 1500
    assert [info.labels[label] for label in splits["train"]["label"]] == labels
    assert said(**ONE) == []


# --- what is missing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "written"), [("NA", "NA"), ("null", "'null'"), ("None", "None"), ("nan", "nan"), ("#N/A", "'#N/A'")]
)
def test_words_for_nothing_are_told_and_may_be_named(
    word: str, written: str, tmp_path: Path, load: Load, said: Said, refusal: Refusal
) -> None:
    write(tmp_path / "a.csv", ["no", "yes", word, word])
    told = f"train: label '{word}' (2 rows, first a.csv:4) reads as if it were missing: then say `missing: [{written}]`"
    assert said(**ONE)[0].startswith(told)
    assert tells(refusal(missing=[word], **ONE), "a.csv:4: column 'same' ", "1 other row")
    assert load(missing=[word], gaps="drop", **ONE)[0].labels == ("no", "yes")
    (tmp_path / "a.csv").write_text(f"q1,same\na,no\n{word},yes\n")
    (line,) = said(**ONE)
    assert tells(line, "train: a.csv:3: ", "missing, ", "`missing`")
    assert refusal(missing=[word], **ONE).startswith("a.csv:3: column 'q1' is empty")


@pytest.mark.parametrize("text", ["\u200b", "\ufeff \u200b", "\u00a0\u2060", "\u00ad"])
def test_a_text_of_invisible_characters_is_none(text: str, tmp_path: Path, load: Load, refusal: Refusal) -> None:
    (tmp_path / "a.csv").write_text(f"q1,same\na,no\n{text},yes\nb,yes\n", encoding="utf-8")
    assert refusal(**ONE).startswith("a.csv:3: column 'q1' is empty")
    assert list(load(gaps="drop", **ONE)[1]["train"]["q1"]) == ["a", "b"]


def test_rows_of_nothing_but_delimiters_are_no_rows(tmp_path: Path, load: Load) -> None:
    (tmp_path / "a.csv").write_text("q1,x,same\na,1,no\n,,\nb,2,yes\n , ,\n   \n,,\n")
    assert list(load(**ONE)[1]["train"]["id"]) == ["train-0", "train-1"]


def test_a_set_that_is_left_out_may_be_empty(tmp_path: Path, load: Load, refusal: Refusal) -> None:
    (tmp_path / "a.jsonl").write_text('{"q1": "a", "same": ["x"]}\n{"q1": "b"}\n{"q1": "c", "same": null}\n')
    options = {"train": "a.jsonl", "kind": "multilabel", **ONE}
    assert tells(refusal(**options), "", "`gaps: drop` ", "`gaps: none` ")
    assert list(load(gaps="none", **options)[1]["train"]["label"]) == [1, 0, 0]
    assert list(load(gaps="drop", **options)[1]["train"]["label"]) == [1]
    (tmp_path / "b.csv").write_text("q1,x,z\na,1,\nb,,0\n,1,1\n")
    several = {"train": "b.csv", "kind": "multilabel", "text": "q1", "label": ["x", "z"]}
    assert refusal(gaps="none", **several).startswith("b.csv:4: column 'q1' is empty; "), "a text that is missing is no text"
    (tmp_path / "b.csv").write_text("q1,x,z\na,1,\nb,,0\n")
    assert list(load(gaps="none", **several)[1]["train"]["label"]) == [1, 0]


# --- splits without labels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["q1\nx\ny\n", "q1,same\nx,\ny,\n", "q1,same\nx,-1\ny,no\n"])
@pytest.mark.parametrize("kind", ["classification", "regression", "multilabel"])
def test_rows_without_labels_are_read_where_that_is_said(
    content: str, kind: str, tmp_path: Path, load: Load, refusal: Refusal
) -> None:
    write(tmp_path / "a.csv", ["0", "1"] * 2)
    (tmp_path / "t.csv").write_text(content)
    info, splits = load(test="t.csv", unlabelled=["test"], kind=kind, **ONE)
    assert (info.predicted_splits, info.scored_splits) == (("test",), ())
    assert (list(splits["test"]["q1"]), list(splits["test"]["label"])) == (["x", "y"], [None, None])
    if "same" not in content:
        assert tells(refusal(test="t.csv", kind=kind, **ONE), "", "`unlabelled: [test]`")
    elif "x,\n" in content and kind != "multilabel":
        assert tells(refusal(test="t.csv", kind=kind, **ONE), "", "`unlabelled: [test]` ", "no row of test")
    (tmp_path / "t.csv").write_text('q1\nx\n"\n')
    assert "a quoted cell begins" in refusal(test="t.csv", unlabelled=["test"], **ONE)


# --- characters -----------------------------------------------------------------------------------------------------------


def test_utf8_that_is_read_as_another_code_is_told(tmp_path: Path, said: Said) -> None:
    (tmp_path / "a.csv").write_text("q1,same\nKäse,no\nb,yes\n")
    for code in ("cp1252", "latin-1"):
        told = f"train: a.csv is UTF-8, but is read as {'iso8859-1' if code == 'latin-1' else code}: check `encoding`"
        assert said(encoding=code, **ONE) == [told]
    (tmp_path / "a.csv").write_bytes("q1,same\nKäse,no\nb,yes\n".encode("cp1252"))
    assert said(encoding="cp1252", **ONE) == []


@pytest.mark.parametrize("code", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_and_nul_bytes_are_told(code: str, tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "a.csv").write_bytes("q1,same\na,no\n".encode(code))
    assert "UTF-16 without" in refusal(**ONE)
    (tmp_path / "a.csv").write_text("q1,same\na\0b,no\nb,yes\n")
    assert refusal(**ONE).startswith("a.csv:2: column 'q1' has a NUL byte")


def test_truth_and_numbers_for_one_label_are_told(tmp_path: Path, said: Callable[..., list[str]]) -> None:
    (tmp_path / "a.jsonl").write_text('{"q1": "a", "same": true}\n{"q1": "b", "same": false}\n')
    (tmp_path / "b.jsonl").write_text('{"q1": "c", "same": 1}\n{"q1": "d", "same": 0}\n')
    told = [line for line in said(train=["a.jsonl", "b.jsonl"], text="q1") if "are they one?" in line]
    assert [line.split(" differ ")[0] for line in told] == [
        "train: labels 'true' (1 row, first a.jsonl:1) and '1' (1 row, first b.jsonl:1)",
        "train: labels 'false' (1 row, first a.jsonl:2) and '0' (1 row, first b.jsonl:2)",
    ]


@pytest.mark.parametrize(("cell", "mark"), [("x;z", ";"), ("x, z", ","), ("z/x", "/"), ("x z", " ")])
def test_labels_that_are_made_of_others_are_told_with_their_separator(
    cell: str, mark: str, tmp_path: Path, said: Callable[..., list[str]]
) -> None:
    (tmp_path / "a.csv").write_text(f'q1,same\na,"{cell}"\nb,x\nc,z\n')
    (told,) = [line for line in said(text="q1", kind="multilabel") if "made of other labels" in line]
    assert tells(told, f"train: label '{cell}' (1 row, first a.csv:2) ", f"'{mark}' ")
    assert not [line for line in said(text="q1", kind="multilabel", separator=mark) if "made of other labels" in line]


@pytest.mark.parametrize("word", ["-1", "unknown"])
def test_one_label_that_train_lacks_in_all_of_a_split_may_be_none(
    word: str, tmp_path: Path, load: Load, refusal: Callable[..., str]
) -> None:
    (tmp_path / "a.csv").write_text("q1,same\na,0\nb,1\n")
    (tmp_path / "t.csv").write_text(f"q1,same\nc,{word}\nd,{word}\n")
    assert tells(refusal(text="q1", test="t.csv"), "", "each row of test ", "`unlabelled: [test]`")
    info, splits = load(text="q1", test="t.csv", unlabelled=["test"])
    assert (info.labelled_splits, len(splits["test"]["q1"])) == (("train",), 2)


def test_the_hubs_word_for_no_label_is_told_with_the_way_out(tmp_path: Path, refusal: Callable[..., str]) -> None:
    feature = {"info": {"features": {"same": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}
    for name, labels in (("a", [0, 1]), ("t", [-1, -1])):
        table = pa.table({"q1": ["a", "b"], "same": labels}).replace_schema_metadata({"huggingface": json.dumps(feature)})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    assert refusal(train="a.parquet", text="q1", test="t.parquet") == (
        "t.parquet:1: column 'same' holds '-1', which is not one of its labels, 0 to 1; where it means that no row of "
        "test has a label, say `unlabelled: [test]`"
    )


def test_a_list_for_a_label_is_told_with_the_kind_that_has_lists(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "a.jsonl").write_text('{"q1": "a", "same": ["x"]}\n{"q1": "b", "same": ["z"]}\n')
    assert refusal(train="a.jsonl", text="q1").endswith("which is not a label; for sets of labels write `kind: multilabel`")
