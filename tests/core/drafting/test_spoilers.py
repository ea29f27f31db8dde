"""What would spoil an answer is pointed out, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def found(splits: list[str] | None = None, texts: list[str] = PROSE, **columns: list[Any]) -> list[str]:
    table = Table(path=Path("a.csv"), written=Written(format="csv"), columns={"text": texts, "label": LABELS, **columns})
    known = describe(table)
    labels = describe_labels(table, known, ["label"])
    data = Data(table=table, columns=known, texts=("text",), label=("label",), labels=labels, splits=splits)
    return list(spoilers(data))


def test_clean_rows_have_nothing_pointed_out() -> None:
    assert found(price=[str(number / 7) for number in range(N)], id=[str(number) for number in range(N)]) == []


def test_near_copies_are_counted_where_a_split_is_to_come() -> None:
    texts = [*PROSE[:-20], *(f"{text} once more!" if len(text) > 400 else f"{text}!?" for text in PROSE[:20])]
    (only,) = [line for line in found(texts=texts) if "nearly the same" in line]
    assert all(part in only for part in ("40 rows (13.3 %)",))


def test_equal_texts_are_no_matter_of_an_own_split_but_of_given_ones() -> None:
    texts, labels = [*PROSE[:-20], *PROSE[:20]], LABELS[:]
    assert not [line for line in found(texts=texts) if "nearly" in line]
    LABELS[-20:] = LABELS[:20]
    try:
        assert found(texts=texts) == []
        given = ["train"] * (N - 100) + ["test"] * 100
        (only,) = found(given, texts=texts)
        assert "20 rows of test" in only
    finally:
        LABELS[:] = labels


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


def test_groups_are_named_where_a_split_tears_them_apart() -> None:
    customers = [str(number % 60) for number in range(N)]
    (only,) = found(customer=customers)
    assert all(
        part in only
        for part in (
            "'customer'",
            "60 values, 5.0 rows each",
        )
    )
    given = ["train" if int(customer) < 45 else "test" for customer in customers]
    assert found(given, customer=customers) == []
    torn = ["train" if number < 200 else "test" for number in range(N)]
    assert "100 % of those" in found(torn, customer=customers)[0]


def test_dates_are_named_with_their_first_and_last() -> None:
    (only,) = found(created=[f"2024-{1 + number % 12:02d}-03" for number in range(N)])
    assert all(
        part in only
        for part in (
            "'created'",
            "2024-01-03 to 2024-12-03",
        )
    )
