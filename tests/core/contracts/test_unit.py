"""Units: what a metric declares, and how figures of very different size and spread are written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.metric import Metric, MetricFacts
from bakeoff.contracts.metric_lookup import facts_of, unit_of
from bakeoff.contracts.metrics import BUILT_IN, Accuracy, MeanAbsoluteError
from bakeoff.contracts.unit import CORRELATION, OWN_UNIT, PERCENT, SHARE, Figures, Unit, figures_of

STARS = Unit(name="stars", low=0.0)


@pytest.mark.parametrize(
    ("unit", "scores", "spreads", "number", "signed"),
    [
        (SHARE, [0.8407, 0.85], [0.001], "84.07", "−0.93"),
        (CORRELATION, [-0.31, 0.2], [0.1], "−31.00", "−51.00"),
        (PERCENT, [31.4, 32.0], [0.2], "31.40", "−0.60"),
        (OWN_UNIT, [2.35, 1.50], [0.21, 0.3], "2.35", "+0.85"),
        (OWN_UNIT, [0.0011, 0.0042], [0.0002], "0.00110", "−0.00310"),
        (OWN_UNIT, [1.234e-7, 2e-7], [4e-9], "1.234e-7", "−7.66e-8"),
        (OWN_UNIT, [1234567.0, 1300000.0], [12000.0], "1,235,000", "−65,000"),
        (OWN_UNIT, [5.0, 5.0], [0.0], "5.000", "0.000"),
        (OWN_UNIT, [0.9885, -9.187], [], "0.99", "+10.18"),
        (OWN_UNIT, [-2.5, -1.5], [0.5], "−2.50", "−1.00"),
    ],
)
def test_digits_follow_the_spread(unit: Unit, scores: list[float], spreads: list[float], number: str, signed: str) -> None:
    figures = figures_of(unit, scores, spreads)
    assert figures.number(scores[0]) == number
    assert figures.signed(scores[0] - scores[1]) == signed


@pytest.mark.parametrize(
    ("unit", "decimals", "margin", "written"),
    [
        (OWN_UNIT, 0, 0.1, "0.1 of it"),
        (OWN_UNIT, 12, 0.1, "0.1 of it"),
        (OWN_UNIT, -7, 50.0, "50 of it"),
        (OWN_UNIT, 2, 1e9, "1,000,000,000 of it"),
        (OWN_UNIT, 4, 5e-8, "5e-8 of it"),
        (STARS, 1, 0.255, "0.255 stars of it"),
        (SHARE, 2, 0.01, "1.00 points of it"),
    ],
)
def test_a_margin_is_written_as_it_was_declared(unit: Unit, decimals: int, margin: float, written: str) -> None:
    assert Figures(unit=unit, decimals=decimals).amount_as_declared(margin, "it") == written


def test_a_difference_that_is_not_zero_never_reads_as_zero() -> None:
    assert Figures(unit=SHARE).amount(0.00001, "accuracy") == "under 0.01 points of accuracy"
    assert Figures(unit=STARS, decimals=2).amount(0.001, "mae") == "under 0.01 stars of mae"
    assert Figures(unit=OWN_UNIT, decimals=-3).alone(12.0) == "under 1,000"
    assert Figures(unit=SHARE).amount(0.0, "accuracy") == "0.00 points of accuracy"


@pytest.mark.parametrize(("unit", "inside", "outside"), [(SHARE, 1.0, 1.001), (CORRELATION, -1.0, -1.1), (PERCENT, 100.0, 101)])
def test_a_unit_knows_its_range(unit: Unit, inside: float, outside: float) -> None:
    assert unit.holds(inside)
    assert not unit.holds(outside)
    assert OWN_UNIT.holds(outside)


def test_a_range_the_wrong_way_round_and_infinite_bounds_are_refused() -> None:
    with pytest.raises(ValidationError, match="must lie below"):
        Unit(low=1.0, high=0.0)
    with pytest.raises(ValidationError):
        Unit(low=float("-inf"))


def test_every_built_in_declares_its_range() -> None:
    points = {name for name, metric in BUILT_IN.items() if metric.unit.in_points}
    assert set(BUILT_IN) - points == {"mae"}
    assert {name for name in points if BUILT_IN[name].unit.low == -1} == {"mcc", "pearson", "spearman"}
    assert BUILT_IN["mae"].unit.low == 0
    assert BUILT_IN["mae"].unit.high is None


@pytest.mark.parametrize(
    ("facts", "unit"),
    [
        (MetricFacts(name="accuracy", higher_is_better=True, version="1"), SHARE),
        (MetricFacts(name="accuracy", higher_is_better=True, version="2"), OWN_UNIT),
        (MetricFacts(name="bleu", higher_is_better=True, version="1"), OWN_UNIT),
        (MetricFacts(name="accuracy", higher_is_better=True, version="1", unit=STARS), STARS),
    ],
)
def test_a_records_unit_is_its_own_else_the_built_ins_of_that_version(facts: MetricFacts, unit: Unit) -> None:
    assert unit_of(facts) == unit


@pytest.mark.parametrize("metric", [Accuracy(), MeanAbsoluteError(), HubMetric("bleu"), HubMetric("bleu", unit=PERCENT)])
def test_a_record_gives_back_the_unit_that_the_metric_declared(metric: Metric) -> None:
    assert unit_of(facts_of(metric)) == metric.unit
