"""Words for what does not exist: the nearest name where there is one, and no guess where it would be silly."""

from __future__ import annotations

import pickle

import pytest
from messages import tells

from bakeoff.errors import BakeoffError, Problem, SpecError, StoreError
from bakeoff.text.words import did_you_mean


@pytest.mark.parametrize(
    ("name", "valid", "nearest"),
    [
        ("tset", ["dev", "test"], "test"),
        ("dv", ["dev", "test"], "dev"),
        ("toi", ["toy", "rows"], "toy"),
        ("MRPC", ["cola", "mrpc"], "mrpc"),
        ("Yes", ["no", "yes"], "yes"),
        ("batch size", ["batch_size", "epochs"], "batch_size"),
        ("BALANCED-ACCURACY", ["accuracy", "balanced_accuracy"], "balanced_accuracy"),
        ("tiny-brt2", ["tiny-bert2", "tiny-bert1"], "tiny-bert2"),
        ("entailmnt", ["entailment", "not_entailment"], "entailment"),
    ],
)
def test_a_slip_of_the_hand_finds_the_name(name: str, valid: list[str], nearest: str) -> None:
    assert did_you_mean("name", name, valid) == f"no name {name!r}; did you mean '{nearest}'?"


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("-1", ["0", "1"]),
        ("11", ["1", "2"]),
        ("2.5", ["2.4", "2.6"]),
        ("1e-5", ["1e-4"]),
        ("10 %", ["1 %"]),
        ("b", ["ab", "c"]),
        ("S18", ["S1", "S17", "S8"]),
        ("bert3", ["bert1", "bert2"]),
        ("not_entailment", ["entailment", "neutral"]),
        ("unacceptable", ["acceptable"]),
        ("toxic", ["clean", "non-toxic"]),
        (">50K", ["<=50K"]),
        ("grade A-", ["grade A", "grade B"]),
        ("change > 0", ["change < 0"]),
        ("-rising", ["rising"]),
        ("C++ code", ["C code"]),
        ("", ["a"]),
    ],
)
def test_another_number_a_short_word_and_the_opposite_are_no_slips(name: str, valid: list[str]) -> None:
    assert did_you_mean("name", name, valid) == f"no name {name!r}; there is {', '.join(valid)}"


def test_of_many_names_the_first_are_listed_and_the_rest_counted() -> None:
    said = did_you_mean("label", "zzz", [f"intent {number:03}" for number in range(77)])
    assert tells(said, "no label 'zzz'; ", "intent 000, intent 001, ", ", intent 029 ", "47 more")


def test_without_names_there_is_none() -> None:
    assert did_you_mean("method", "full", []) == "no method 'full'; there is none"


def test_an_error_is_safe_to_print_in_a_notebook_too() -> None:
    error = StoreError("no \x1b[31mred\u202e here\x9b")
    assert str(error) == "no \\x1b[31mred\\u202e here\\x9b"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
    assert SpecError([Problem("a\nb", 1, 2, "", "x"), Problem("a", 1, 1, "", "y")]).lines == ["a:1:1: y", "a\nb:1:2: x"]
    assert BakeoffError("one\n  two").lines == ["one two"]
