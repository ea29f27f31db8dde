"""Scores on parts of a split: what is cut, what is scored, what is tested and what is only shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import drawn_answers, right_by_pattern
from numpy.typing import NDArray

from bakeoff.analysis.findings import SliceScore
from bakeoff.analysis.outputs import SplitOutputs
from bakeoff.analysis.pairing import Streams
from bakeoff.analysis.slices import BY_LABEL, BY_LENGTH, cuts, slice_scores
from bakeoff.contracts.metric import Floats, Ints, Metric
from bakeoff.contracts.metrics import F1, Accuracy
from bakeoff.kinds import REGRESSION
from bakeoff.statistics.intervals import pseudo_values
from bakeoff.statistics.multiplicity import holm
from bakeoff.statistics.shrinkage import shrunk_upwards
from bakeoff.statistics.twoway import run_table, two_way_paired, two_way_unpaired

LABELS = np.arange(400) % 3 // 2  # two thirds 0, one third 1


class Halved(Metric):
    """Half the share of right answers, of which nobody knows parts."""

    name = "halved"

    def load(self) -> object:  # type: ignore[override]
        raise NotImplementedError

    def score(self, predictions: Ints | Floats, references: Ints | Floats) -> float:
        return float(np.mean(predictions == references)) / 2


def outputs(
    answers: dict[str, NDArray[np.int64]],
    *,
    labels: NDArray[np.int64] = LABELS,
    tokens: NDArray[np.int64] | None = None,
    seeds: dict[str, tuple[int, ...]] | None = None,
    paired: bool = False,
    **slices: list[str],
) -> SplitOutputs:
    seeds = seeds or {name: tuple(range(len(rows))) for name, rows in answers.items()}
    return SplitOutputs(
        ids=tuple(f"e{number}" for number in range(len(labels))),
        labels=labels,
        tokens=np.full(len(labels), 8) if tokens is None else tokens,
        slices={name: tuple(values) for name, values in slices.items()},
        answers=answers,
        seeds=seeds,
        streams={
            name: {seed: Streams(0, {}, "order", "head", "" if paired else name, "cpu") for seed in own}
            for name, own in seeds.items()
        },
        calibration={},
    )


def three(seeds: int = 4) -> dict[str, NDArray[np.int64]]:
    return {
        name: drawn_answers(LABELS, seeds=seeds, accuracy=accuracy, seed=number)
        for number, (name, accuracy) in enumerate({"base": 0.7, "same": 0.7, "good": 0.85}.items())
    }


def named(found: list[SliceScore], column: str, value: str, strategy: str) -> SliceScore:
    (row,) = [row for row in found if (row.column, row.value, row.strategy) == (column, value, strategy)]
    return row


LIBRARY = ["sympy" if number < 120 else "scipy" for number in range(400)]


def test_a_slice_has_the_two_way_difference_on_its_own_examples() -> None:
    made = outputs(three(), library=LIBRARY)
    row = named(slice_scores(made, Accuracy(), baseline="base", strategies=list(three())), "library", "sympy", "good")
    right = {name: (made.answers[name] == LABELS).astype(float)[:, :120] for name in made.answers}
    expected = two_way_unpaired(right["good"], right["base"])
    assert row.examples == 120
    assert row.score == pytest.approx(right["good"].mean(), abs=1e-12)
    assert row.difference == pytest.approx(expected.difference, abs=1e-12)
    assert (row.low, row.high) == pytest.approx(expected.interval())


def test_holm_counts_all_slices_and_rows_of_a_column_and_no_other_columns() -> None:
    made = outputs(three(), library=LIBRARY)
    found = slice_scores(made, Accuracy(), baseline="base", strategies=["base", "same", "good"])
    right = {name: (made.answers[name] == LABELS).astype(float) for name in made.answers}
    masks = {value: np.asarray(LIBRARY) == value for value in ("sympy", "scipy")}
    cells = [(value, name) for value in ("scipy", "sympy") for name in ("same", "good")]
    raw = [two_way_unpaired(*(right[one][:, masks[value]] for one in (name, "base"))).p for value, name in cells]
    told = [named(found, "library", value, name).p_adjusted for value, name in cells]
    assert told == pytest.approx(list(holm(raw)))
    assert len({round(p, 6) for p in raw}) == 4


def test_twins_are_one_row_in_the_family_of_a_column() -> None:
    made = three()
    alone = slice_scores(outputs(made, library=LIBRARY), Accuracy(), baseline="base", strategies=["base", "same", "good"])
    twins = slice_scores(
        outputs({**made, "twin": made["good"]}, library=LIBRARY),
        Accuracy(),
        baseline="base",
        strategies=["base", "same", "good", "twin"],
    )
    for value in ("sympy", "scipy"):
        expected = named(alone, "library", value, "good").p_adjusted
        assert expected is not None
        assert [named(twins, "library", value, name).p_adjusted for name in ("good", "twin")] == [expected, expected]


def test_small_variances_are_lifted_on_a_slice_too() -> None:
    made = {name: drawn_answers(LABELS, seeds=3, accuracy=0.7, seed=number) for number, name in enumerate("abcd")}
    row = named(
        slice_scores(outputs(made, library=LIBRARY), Accuracy(), baseline="a", strategies=list("abcd")), "library", "sympy", "b"
    )
    right = {name: (own == LABELS).astype(float)[:, :120] for name, own in made.items()}
    lifted = shrunk_upwards([run_table(one).s2 for one in right.values()], [3] * 4)
    expected = two_way_unpaired(right["b"], right["a"], variances=(lifted[1], lifted[0]))
    assert (row.low, row.high) == pytest.approx(expected.interval())
    assert (row.low, row.high) != pytest.approx(two_way_unpaired(right["b"], right["a"]).interval())


def test_where_nothing_varied_a_lifted_variance_is_no_certainty() -> None:
    """25 examples, three runs each of equal scores: a variance is lifted to next to nothing, two more examples give more."""
    labels = np.zeros(50, dtype=np.int64)
    wrong = {"a": [[0], [1], [2]], "b": [[3, 4], [5, 6], [7, 8]]}
    wrong |= {f"c{number}": [[10 + number], [12, 13 + number], [14, 15, 16 + number, 20]] for number in range(3)}
    made = {name: np.zeros((3, 50), dtype=np.int64) for name in wrong}
    for name, own in wrong.items():
        for seed, places in enumerate(own):
            made[name][seed, places] = 1
    half = ["one" if number < 25 else "two" for number in range(50)]
    found = slice_scores(outputs(made, labels=labels, part=half), Accuracy(), baseline="a", strategies=list(made))
    made = {name: own[:, :25] for name, own in made.items()}
    lifted = shrunk_upwards([run_table(1.0 - own).s2 for own in made.values()], [3] * 5)
    plain = two_way_unpaired(1.0 - made["b"], 1.0 - made["a"], variances=(lifted[1], lifted[0]))
    row = named(found, "part", "one", "b")
    assert plain.p < 0.01
    assert row.p_adjusted is not None
    assert row.p_adjusted > 0.5


def test_a_ratio_is_linearised_within_the_slice() -> None:
    made = outputs(three(), library=LIBRARY)
    row = named(slice_scores(made, F1(1), baseline="base", strategies=["base", "good"]), "library", "sympy", "good")
    inside = np.asarray(LIBRARY) == "sympy"
    parts = {name: made.measured(F1(1), name).terms for name in ("base", "good")}
    values = {name: pseudo_values(*(part[:, inside] for part in found)) for name, found in parts.items() if found}
    assert row.difference == pytest.approx(values["good"].mean() - values["base"].mean())
    assert (row.low, row.high) == pytest.approx(two_way_unpaired(values["good"], values["base"]).interval())


def test_within_a_label_the_score_is_its_recall_whatever_the_metric() -> None:
    made = outputs(three())
    found = slice_scores(made, F1(1), baseline="base", strategies=["base", "good"], label_names=["differs", "equal"])
    row = named(found, BY_LABEL, "differs", "good")
    assert BY_LABEL == "label (accuracy)"
    assert row.score == pytest.approx((made.answers["good"][:, LABELS == 0] == 0).mean())
    assert {row.value for row in found} == {"differs", "equal"}


def test_the_baseline_has_scores_and_no_differences() -> None:
    found = slice_scores(outputs(three()), Accuracy(), baseline="base", strategies=["base", "good"])
    rows = [row for row in found if row.strategy == "base"]
    assert len(rows) == 2
    assert all((row.difference, row.low, row.p_adjusted) == (None, None, None) for row in rows)


def test_a_slice_of_fewer_than_twenty_examples_is_shown_without_a_test() -> None:
    few = ["small" if number < 19 else "just enough" if number < 39 else "large" for number in range(400)]
    found = slice_scores(outputs(three(), library=few), Accuracy(), baseline="base", strategies=["base", "good"])
    small, enough = (named(found, "library", value, "good") for value in ("small", "just enough"))
    assert small.examples == 19
    assert small.difference is not None
    assert (small.low, small.high, small.p_adjusted) == (None, None, None)
    assert enough.p_adjusted is not None


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_runs_are_shown_without_a_test(seeds: int) -> None:
    found = slice_scores(outputs(three(seeds=seeds)), Accuracy(), baseline="base", strategies=["base", "good"])
    assert [row.low for row in found] == [None] * 4
    assert any(row.difference for row in found)


def test_a_metric_without_parts_is_shown_without_a_test() -> None:
    made = outputs(three(), library=LIBRARY)
    row = named(slice_scores(made, Halved(), baseline="base", strategies=["base", "good"]), "library", "sympy", "good")
    assert row.score == pytest.approx((made.answers["good"] == LABELS)[:, :120].mean() / 2)
    assert (row.low, row.p_adjusted) == (None, None)


def test_runs_are_paired_by_their_seeds_not_by_their_order() -> None:
    answers = three()
    turned = {**answers, "good": answers["good"][::-1]}
    one = slice_scores(outputs(answers, paired=True), Accuracy(), baseline="base", strategies=["base", "good"])
    seeds = {"base": (0, 1, 2, 3), "same": (0, 1, 2, 3), "good": (3, 2, 1, 0)}
    other = slice_scores(outputs(turned, seeds=seeds, paired=True), Accuracy(), baseline="base", strategies=["base", "good"])
    bounds = [[(row.low, row.high) for row in found if row.low is not None] for found in (one, other)]
    assert bounds[0] == [pytest.approx(bound) for bound in bounds[1]]
    right = {name: (answers[name] == LABELS).astype(float)[:, LABELS == 0] for name in answers}
    assert bounds[0][0] == pytest.approx(two_way_paired(right["good"], right["base"]).interval())


def test_other_seeds_on_the_other_side_are_not_paired() -> None:
    answers = three()
    seeds = {"base": (0, 1, 2, 3), "same": (0, 1, 2, 3), "good": (4, 5, 6, 7)}
    found = slice_scores(
        outputs(answers, seeds=seeds, library=LIBRARY), Accuracy(), baseline="base", strategies=["base", "good"]
    )
    right = {name: (answers[name] == LABELS).astype(float)[:, :120] for name in answers}
    row = named(found, "library", "sympy", "good")
    assert (row.low, row.high) == pytest.approx(two_way_unpaired(right["good"], right["base"]).interval())


def test_a_strategy_without_predictions_is_left_out_and_without_a_baseline_nothing_is_compared() -> None:
    found = slice_scores(outputs(three()), Accuracy(), baseline="gone", strategies=["gone", "base", "good"])
    assert {row.strategy for row in found} == {"base", "good"}
    assert {row.difference for row in found} == {None}


def test_identical_answers_differ_by_nothing_in_every_slice() -> None:
    answers = three()
    found = slice_scores(
        outputs({**answers, "twin": answers["base"]}), Accuracy(), baseline="base", strategies=["base", "twin"]
    )
    for row in found:
        if row.strategy == "twin":
            assert (row.difference, row.low, row.high, row.p_adjusted) == (0, None, None, None)


# --- what is cut ---------------------------------------------------------------------------------------------------------


def columns(made: SplitOutputs) -> dict[str, dict[str, int]]:
    return {cut.column: {value: int(inside.sum()) for value, inside in cut.members.items()} for cut in cuts(made)}


def test_lengths_are_cut_at_their_quartiles() -> None:
    made = outputs(three(), tokens=np.arange(400) + 10)
    assert columns(made)[BY_LENGTH] == {
        "10-109 tokens": 100,
        "110-209 tokens": 100,
        "210-309 tokens": 100,
        "310-409 tokens": 100,
    }


def test_examples_of_the_greatest_length_stay_together() -> None:
    tokens = np.minimum(np.arange(400) // 4 + 10, 32)
    assert columns(outputs(three(), tokens=tokens))[BY_LENGTH] == {"10-31 tokens": 88, "32 tokens": 312}


def test_of_many_values_the_eleven_most_frequent_and_the_rest_are_shown() -> None:
    values = [f"v{number}" for number in range(14) for _ in range(number + 1)]
    values += ["other"] * (400 - len(values))
    shown = columns(outputs(three(), topic=values))["topic"]
    assert list(shown) == [f"v{number}" for number in range(13, 2, -1)] + ["other"]
    assert shown["other"] == (400 - 105) + 1 + 2 + 3
    assert sum(shown.values()) == 400


def test_twelve_values_are_all_shown() -> None:
    values = [f"v{number % 12}" for number in range(400)]
    assert len(columns(outputs(three(), topic=values))["topic"]) == 12
    assert "other" not in columns(outputs(three(), topic=values))["topic"]


def test_a_label_beyond_those_that_a_record_names_goes_by_its_number() -> None:
    labels = np.where(np.arange(400) % 2 == 0, 3, 20)
    made = outputs({"base": labels[None]}, labels=labels)
    names = [*(f"label {number}" for number in range(20)), "and 5 more"]
    assert [list(cut.members) for cut in cuts(made, names)] == [["label 3", "label number 20"]]


def test_a_column_of_one_value_cuts_nothing() -> None:
    assert list(columns(outputs(three(), topic=["all"] * 400))) == [BY_LABEL]


def test_numbers_to_be_predicted_are_no_labels() -> None:
    numbers = np.linspace(0, 5, 400)
    made = outputs({"base": numbers[None] + 1}, labels=numbers, tokens=np.arange(400))  # type: ignore[arg-type]
    assert list(columns(replace(made, kind=REGRESSION))) == [BY_LENGTH]


@pytest.mark.timeout(60)  # 0.1 s on an idle machine
def test_twenty_strategies_of_twenty_seeds_get_all_their_slices() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 1725)
    answers = {f"s{n}": right_by_pattern(labels, generator.random((20, 1725)) < 0.8) for n in range(20)}
    library = [f"library {number}" for number in generator.integers(0, 6, 1725)]
    made = outputs(answers, labels=labels, tokens=generator.integers(8, 60, 1725), library=library)
    found = slice_scores(made, F1(1), baseline="s0", strategies=list(answers))
    assert len(found) == 20 * (2 + 4 + 6)


def test_a_label_named_other_goes_with_the_rest_and_none_is_taken_for_another() -> None:
    labels = np.repeat(np.arange(14), [100, *[10] * 13])
    named = ["other", *(f"l{number}" for number in range(13))]
    members = next(cuts(outputs({"base": labels[None]}, labels=labels), named)).members
    assert sum(int(inside.sum()) for inside in members.values()) == len(labels)
    assert members["other"][:100].all()
    numbered = np.repeat(np.arange(30), 5)
    members = next(cuts(outputs({"base": numbered[None]}, labels=numbered), [str(number + 1) for number in range(30)])).members
    assert sum(int(inside.sum()) for inside in members.values()) == len(numbered)
    assert all((numbered[members[name]] == int(name) - 1).all() for name in members if name.isdigit())
