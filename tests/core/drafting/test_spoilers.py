"""What would spoil an answer is pointed out, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from messages import tells

from bakeoff.contracts.held_out import split_of
from bakeoff.drafting.columns import describe
from bakeoff.drafting.labels import describe_labels
from bakeoff.drafting.spoilers import Data, spoilers
from bakeoff.drafting.tables import Table, Written

N = 300
WORDS = [chr(97 + one) + chr(97 + other) * 2 for one in range(26) for other in range(26)]
PROSE = [
    " ".join(WORDS[(number * number * 7 + place * place * (number + 3)) % 676] for place in range(12)) for number in range(N)
]
LABELS = ["yes" if (number * 7919) % 13 < 6 else "no" for number in range(N)]


def found(
    splits: list[str] | None = None, texts: list[str] = PROSE, labels: list[str] = LABELS, **columns: list[Any]
) -> list[str]:
    """What is pointed out. splits: given; without, those that an own split makes."""
    table = Table(path=Path("a.csv"), written=Written(format="csv"), columns={"text": texts, "label": labels, **columns})
    known = describe(table)
    made = splits or [split_of([text], {"dev": 0.1, "test": 0.2}) for text in texts]
    told = describe_labels(table, known, ["label"])
    data = Data(
        table=table, columns=known, texts=("text",), label=("label",), labels=told, splits=made, given=splits is not None
    )
    return list(spoilers(data))


def test_clean_rows_have_nothing_pointed_out() -> None:
    assert found(price=[str(number / 7) for number in range(N)], id=[str(number) for number in range(N)]) == []


def test_near_copies_that_a_split_parts_are_counted() -> None:
    texts, labels = [*PROSE[:100], *(f"{text}!?" for text in PROSE[:100])], [*LABELS[:100], *LABELS[:100]]
    split = [split_of([text], {"dev": 0.1, "test": 0.2}) for text in texts]
    torn = sum(one == "test" and split[(row + 100) % 200] == "train" for row, one in enumerate(split))
    (only,) = [line for line in found(texts=texts, labels=labels) if "of test" in line]
    assert torn > 10
    assert only.startswith(f"{torn} rows of test")


def test_equal_texts_are_no_matter_of_an_own_split_but_of_given_ones() -> None:
    texts, labels = [*PROSE[:-20], *PROSE[:20]], [*LABELS[:-20], *LABELS[:20]]
    assert found(texts=texts, labels=labels) == []
    (only,) = found(["train"] * (N - 100) + ["test"] * 100, texts=texts, labels=labels)
    assert tells(only, "20 rows of test ", "(20 %)")


def test_equal_texts_with_other_labels_are_pointed_out() -> None:
    texts = [*PROSE[: N // 2], *PROSE[: N // 2]]
    assert any("several labels" in line for line in found(texts=texts))


def test_a_word_that_gives_the_label_away_is_named() -> None:
    texts = [f"{text} {'agreed' if label == 'yes' else ''}" for text, label in zip(PROSE, LABELS, strict=True)]
    (only,) = found(texts=texts)
    for part in ("'agreed'", "'yes'"):
        assert part in only


def test_a_column_that_tells_the_label_is_named() -> None:
    (only,) = found(code=[{"yes": "Y1", "no": "N1"}[label] for label in LABELS])
    assert all(
        part in only
        for part in (
            "'code'",
            "100 %",
        )
    )


def test_a_column_that_tells_a_split_is_named() -> None:
    (only,) = found(split=["train" if number % 3 else "Test" for number in range(N)])
    assert "('Test' and 'train')" in only
    assert found(subset=["a" if number % 3 else "b" for number in range(N)]) == []


def test_groups_are_named_where_a_split_tears_them_apart() -> None:
    customers = [str(number % 60) for number in range(N)]
    (only,) = found(customer=customers)
    assert tells(only, "", "'customer'", "60 values, ", "5.0 rows each")
    given = ["train" if int(customer) < 45 else "test" for customer in customers]
    assert found(given, customer=customers) == []
    torn = ["train" if number < 200 else "test" for number in range(N)]
    assert "100 % of" in found(torn, customer=customers)[0]


def test_dates_are_named_with_their_first_and_last() -> None:
    (only,) = found(created=[f"2024-{1 + number % 12:02d}-03" for number in range(N)])
    assert all(
        part in only
        for part in (
            "'created'",
            "2024-01-03 to 2024-12-03",
        )
    )
