"""What the columns of a table mean is found out from names and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakeoff.drafting.columns import as_date, describe
from bakeoff.drafting.labels import describe_labels
from bakeoff.drafting.roles import find_labels, find_texts
from bakeoff.drafting.tables import Table, Written
from bakeoff.errors import DataError
from bakeoff.kinds import CLASSIFICATION, MULTILABEL, REGRESSION

N = 60
PROSE = [
    f"the {word} came number {number} times this week" for number in range(N) for word in [("box", "car", "cat")[number % 3]]
]
OTHER = [f"what about {number} more of them" for number in range(N)]


def table(**columns: list[Any]) -> Table:
    return Table(path=Path("rows.csv"), written=Written(format="csv"), columns=columns)


def texts(**columns: list[Any]) -> tuple[tuple[str, ...], bool]:
    rows = table(**columns)
    found = find_texts(rows, describe(rows))
    return found.best, found.certain


def labels(text: str = "text", **columns: list[Any]) -> tuple[tuple[str, ...], bool]:
    rows = table(text=PROSE, **columns)
    found = find_labels(rows, describe(rows), [text])
    return found.best, found.certain


def cycled(*values: Any) -> list[Any]:
    return [values[number % len(values)] for number in range(N)]


def test_prose_is_the_text_and_not_dates_ids_or_numbers() -> None:
    days = [f"2024-03-{1 + number % 28:02d} 10:00:00" for number in range(N)]
    ids = [f"{number:032x}" for number in range(N)]
    assert texts(created=days, price=[str(number / 3) for number in range(N)], x=PROSE, y=cycled("a", "b")) == (("x",), True)
    assert texts(message=PROSE, guid=ids)[0] == ("message",)


def test_scripts_without_blanks_are_prose_too() -> None:
    assert texts(a=[f"这个包裹来得很晚没有人知道它在哪里{number}" for number in range(N)], b=cycled("x", "y")) == (("a",), True)


def test_a_decimal_comma_is_named_where_no_label_is_found() -> None:
    with pytest.raises(DataError, match="decimal comma"):
        labels(score=[f"{number},5" for number in range(N)])


@pytest.mark.parametrize(
    "names", [("premise", "hypothesis"), ("question1", "question2"), ("Text_A", "Text_B"), ("title", "body")]
)
def test_columns_that_are_read_together_are_a_pair(names: tuple[str, str]) -> None:
    assert texts(**{names[1]: PROSE, names[0]: OTHER, "label": cycled("a", "b")}) == (names, True)


def test_two_texts_without_telling_names_are_a_question() -> None:
    best, certain = texts(alpha=PROSE, omega=OTHER)
    assert (best, certain) == (("alpha",), False)


def test_the_label_has_few_values_or_a_telling_name() -> None:
    assert labels(colour=cycled("red", "blue")) == (("colour",), True)
    assert labels(colour=cycled("red", "blue"), intent=cycled("a", "b", "c")) == (("intent",), True)
    assert labels(colour=cycled("red", "blue"), shape=cycled("round", "long"))[1] is False
    assert labels(user_id=cycled("7", "8", "9"), topic=cycled("a", "b")) == (("topic",), True)


def test_columns_of_0_and_1_are_labels_together() -> None:
    assert labels(toxic=cycled("0", "1"), rude=cycled("1", "0", "0"), spam=cycled("0", "0", "1")) == (
        ("toxic", "rude", "spam"),
        True,
    )


def described(*values: Any, **more: Any) -> Any:
    rows = table(text=PROSE, y=cycled(*values))
    return describe_labels(rows, describe(rows), ["y"], **more)


def test_labels_as_floats_are_labels_and_measured_numbers_are_not() -> None:
    found = described("1.0", "0.0", "1.0")
    assert (found.kind, dict(found.counts)) == (CLASSIFICATION, {"1": 40, "0": 20})
    assert described(*[str(number / 7) for number in range(N)]).kind == REGRESSION
    assert described(*map(str, range(N))).kind == REGRESSION
    assert described("1", "2", "3", "4", "5").kind == CLASSIFICATION
    assert described("1", "2", "3", "4", "5", kind=REGRESSION).kind == REGRESSION


def test_several_labels_in_a_cell_are_found_by_their_parts() -> None:
    found = described("a|b", "a", "b", "c|a", "c")
    assert (found.kind, found.separator, dict(found.counts)) == (MULTILABEL, "|", {"a": 36, "b": 24, "c": 24})
    assert described("Rome, Italy", "Bonn, Germany").kind == CLASSIFICATION
    assert described(["a", "b"], ["a"]).kind == MULTILABEL


def test_one_label_and_a_label_for_each_row_are_refused() -> None:
    with pytest.raises(DataError, match="only the label 'a'"):
        described("a")
    with pytest.raises(DataError, match="60 different labels"):
        described(*[f"x{number}" for number in range(N)])
    with pytest.raises(DataError, match="'y' has one value"):
        labels(y=cycled("a"))


def test_no_text_is_an_error_that_names_the_columns() -> None:
    with pytest.raises(DataError, match=r"'a' and 'b'.*--text"):
        texts(a=cycled("1", "2"), b=cycled("x", "y"))


@pytest.mark.parametrize("text", ["2024-02-29", "2024-02-29T10:00:00Z", "29.02.2024", "02/29/2024 10:00", "29 Feb 2024"])
def test_days_are_read_as_people_write_them(text: str) -> None:
    day = as_date(text)
    assert day is not None
    assert (day.year, day.month, day.day) == (2024, 2, 29)


@pytest.mark.parametrize("text", ["12345678", "1.5", "order 20240229 came", "3/4"])
def test_numbers_and_prose_are_no_days(text: str) -> None:
    assert as_date(text) is None
