"""Variances that are shrunk upwards: known figures, and what is never made of nothing."""

from __future__ import annotations

import pytest

from bakeoff.statistics.shrinkage import shrunk_upwards


@pytest.mark.parametrize(
    ("smallest", "expected", "df"),
    [
        (0.05, (0.298568798, 1, 4, 0.526342186), (3.95129567, 2, 2, 3.95129567)),
        (0.2, (1.425, 1.425, 4, 1.425), (8, 8, 2, 8)),  # they differ by no more than chance: one variance for all
    ],
)
def test_small_variances_are_lifted_to_the_known_figures(
    smallest: float, expected: tuple[float, ...], df: tuple[float, ...]
) -> None:
    found = shrunk_upwards([smallest * 1e-4, 1e-4, 4e-4, 0.5e-4], [3] * 4)
    assert [1e4 * one.value for one in found] == pytest.approx(expected)
    assert [one.df for one in found] == pytest.approx(df)


def test_a_variance_of_nothing_is_not_lifted_to_nothing() -> None:
    for variances in ([0.0] * 5, [0.0, 0.0, 0.0, 0.5e-4]):
        assert all(one.value == 0 or one.value > 1e-9 for one in shrunk_upwards(variances, [3] * len(variances)))


def test_an_outlier_among_variances_is_left_as_it_is_and_no_variance_falls() -> None:
    variances = [0.2, 0.9, 1.1, 1.0, 50.0]
    found = shrunk_upwards(variances, [3] * 5)
    assert found[-1] == (50.0, 2.0)
    assert all(one.value >= own for one, own in zip(found, variances, strict=True))
    assert all((one.df > 2) == (one.value > own) for one, own in zip(found, variances, strict=True))


def test_the_unit_of_the_scores_means_nothing() -> None:
    plain = shrunk_upwards([0.01, 1, 2, 0.5, 0], [3, 4, 3, 4, 3])
    scaled = shrunk_upwards([100, 1e4, 2e4, 5e3, 0], [3, 4, 3, 4, 3], scale=100)
    assert [1e4 * one.value for one in plain] == pytest.approx([one.value for one in scaled])
    assert [one.df for one in plain] == pytest.approx([one.df for one in scaled])
