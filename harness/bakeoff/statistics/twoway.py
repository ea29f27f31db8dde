"""The primary test: a difference over seeds and examples, both treated as random samples.

Each side's seeds have a variance of their own, and the examples, which both sides share, a third:

    variance = s2_a / K_a + s2_b / K_b + example,    example = max(0, var(delta) / N - r_a / (K_a N) - r_b / (K_b N))

with s2 the variance of a side's K run scores, delta the N differences of the two sides' means at each example, and r the
residual mean square of a side's own (K, N) table; degrees of freedom by Satterthwaite (1946) over these three terms, as in
Welch's test (1947). Where runs of equal seeds share their random streams, the table of their differences stands in for both
sides, with the K - 1 degrees of freedom of its one variance over seeds. Tests over seeds alone ignore the sampling of examples,
McNemar's test ignores the randomness of training; this test covers both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import special

from bakeoff.contracts.metric import Floats
from bakeoff.statistics.intervals import Estimate

ALIKE, ALIKE_SEEDS = 0.05, 3
"""`RunTable.alike_by_luck`: the quantile below which a variance over seeds counts as luck, at this number of seeds."""


class Variance(NamedTuple):
    """A variance over seeds, in squared score units, and the degrees of freedom with which it is known."""

    value: float
    df: float


@dataclass(frozen=True)
class RunTable:
    """One side of a comparison: its (K, N) table of K runs on N examples, summarised."""

    mean: float
    s2: float
    """Sample variance (divisor K - 1) of the K run scores; it includes the residual's part, r / N."""
    residual: float
    """The residual's mean square r: of what seeds and examples do not explain, with (K - 1)(N - 1) degrees of freedom."""
    seeds: int
    examples: int
    profile: Floats
    """(N,) mean over seeds at each example; or (R,) mean score in each resample of the examples, where `resampled`."""
    noise: Floats | None
    """(N,) what the residual adds to the squared deviation of each example's mean; None where `resampled`."""

    @property
    def resampled(self) -> bool:
        return self.noise is None

    @property
    def own(self) -> float:
        """The seeds' variance component: the part of `s2` that would remain with unlimited examples."""
        return max(0.0, self.s2 - self.residual / self.examples)

    @property
    def variance(self) -> Variance:
        return Variance(self.s2, self.seeds - 1)

    def alike_by_luck(self, variance: Variance) -> bool:
        """Whether three runs differ, by this variance over seeds, less than chance in the examples alone lets expect: below the
        lower 5 % point of (r / N) chi-squared / 2, which is their variance where seeds make no difference at all.

        The test's error rate is none the higher for it: its degrees of freedom allow for such small variances of three runs.
        """
        chance = self.residual / self.examples * float(special.chdtri(variance.df, 1 - ALIKE)) / variance.df
        return self.seeds == ALIKE_SEEDS and variance.value < chance


@dataclass(frozen=True)
class Budget:
    """Variance components of a difference, in squared score units: what its uncertainty is made of.

    `seeds` and `residuals` have one entry for each side, and one for both where seeds are paired.
    """

    seeds: tuple[float, ...]
    """The seeds' components; their part of the variance shrinks with more seeds."""
    example: float
    """The examples' component; its part shrinks with more examples."""
    residuals: tuple[float, ...]
    """The residual's components; their part shrinks with both."""
    example_range: tuple[float, float] | None = None
    """90 % interval of `example`; None where it is not estimated."""

    @property
    def seed(self) -> float:
        return sum(self.seeds)

    @property
    def residual(self) -> float:
        return sum(self.residuals)

    def variance(self, seeds: float, examples: float) -> float:
        """Variance of the mean difference over so many seeds a side and so many examples; either number may be infinite."""
        return self.seed / seeds + self.example / examples + self.residual / (seeds * examples)

    def parts(self, seeds: float, examples: float) -> Floats:
        """(2,) what each side's seeds add to the variance of the mean difference; (1,) where seeds are paired."""
        return (np.array(self.seeds) + np.array(self.residuals) / examples) / seeds


@dataclass(frozen=True)
class TwoWay(Estimate):
    """A mean difference, or a mean score, over seeds and examples, with its variance from both."""

    seeds: tuple[int, int]
    """The number of seeds of each side; both are equal where seeds are paired, and for the score of a single strategy."""
    examples: int
    paired: bool
    budget: Budget


E = TypeVar("E", bound=Estimate)


def with_two_examples(estimate: E, examples: int) -> E:
    """The estimate; one with variance 0 gets the variance that it would have with two more examples.

    At every seed, one more example is right on the first side only and one on the second only (Agresti and Min, 2005): n
    examples without any difference are compatible with a true difference of about 3 / n. Metrics without a range are left as
    they are.
    """
    if estimate.variance > 0 or estimate.span is None:
        return estimate
    n, span, d = examples, estimate.span, estimate.difference
    mean = n * d / (n + 2)
    squares = n * (d - mean) ** 2 + (span - mean) ** 2 + (span + mean) ** 2
    found = replace(estimate, variance=squares / ((n + 1) * (n + 2)), df=min(estimate.df, n + 1.0))
    if not isinstance(found, TwoWay):
        return found
    example = found.variance * found.examples
    return replace(found, budget=replace(found.budget, example=example, example_range=(0.0, example)))


# --- one side ------------------------------------------------------------------------------------------------------------


def run_table(values: Floats) -> RunTable:
    """The summary of values (K, N) of K runs on N examples, whose mean over examples is each run's score.

    Raises ValueError unless K >= 2 and N >= 2.
    """
    values = np.asarray(values, dtype=np.float64)
    k, n = _shape(values)
    by_seed, by_example = values.mean(axis=1), values.mean(axis=0)
    mean = float(by_seed.mean())
    residual = values - by_example
    by_seed -= mean
    residual -= by_seed[:, None]
    scale = float(np.abs(values).max())
    return RunTable(
        mean=mean,
        s2=_mean_square(by_seed, k - 1, scale),
        residual=_mean_square(residual, (k - 1) * (n - 1), scale),
        seeds=k,
        examples=n,
        profile=by_example,
        noise=np.einsum("ki,ki->i", residual, residual) / (k * (k - 1)),
    )


def run_table_resampled(observed: Floats, resampled: Floats, examples: int) -> RunTable:
    """The summary of scores that are no means over examples: (K,) observed, and (R, K) in R resamples of the examples.

    All runs share each resample. examples: the number of examples. The variance of a run's deviation from the mean of all
    runs, over resamples, gives the residual's mean square. For a mean over examples the result is that of `run_table` up to
    sampling error. Raises ValueError below two seeds or two resamples.
    """
    resamples, k = _shape(resampled)
    scale = max(float(np.abs(observed).max()), float(np.abs(resampled).max()))
    together = resampled.mean(axis=1)
    deviations = resampled - together[:, None]
    return RunTable(
        mean=float(observed.mean()),
        s2=_mean_square(observed - observed.mean(), k - 1, scale),
        residual=_mean_square(deviations - deviations.mean(axis=0), (k - 1) * (resamples - 1), scale) * examples,
        seeds=k,
        examples=examples,
        profile=together,
        noise=None,
    )


# --- one table, and two --------------------------------------------------------------------------------------------------


def two_way(values: Floats) -> TwoWay:
    """One strategy's mean score from values (K, N), with its uncertainty over new seeds and new examples.

    Raises ValueError unless K >= 2 and N >= 2.
    """
    return of_one_table(run_table(values))


def two_way_paired(a: Floats, b: Floats) -> TwoWay:
    """The difference of two means, a minus b, from values (K, N) each of the same examples and seeds, where runs of equal
    seeds share their random streams.

    Raises ValueError unless K >= 2 and N >= 2.
    """
    return of_differences(run_table(np.asarray(a, dtype=np.float64) - b))


def two_way_unpaired(a: Floats, b: Floats, *, variances: tuple[Variance, Variance] | None = None) -> TwoWay:
    """The difference of two means, a minus b, from values (Ka, N) and (Kb, N) of the same examples, where seeds aren't paired.

    variances: over the seeds of each side, in place of those of the values (`shrunk_upwards`). Raises ValueError unless Ka, Kb
    and N are 2 or more and both sides have the same number of examples.
    """
    return of_two_tables(run_table(a), run_table(b), variances=variances)


def of_one_table(table: RunTable) -> TwoWay:
    """One strategy's mean score, from the summary of its runs."""
    return _estimate([table], table.profile, [table.variance])


def of_differences(table: RunTable) -> TwoWay:
    """The mean difference of paired seeds, from the summary of their differences.

    The examples' part widens the interval but adds no degrees of freedom: two sides' variances over seeds are seldom both
    small by luck, a single one from few seeds often is, and the examples' many degrees of freedom would make it look certain.
    With Satterthwaite's degrees of freedom, ten equal strategies at three seeds have a winner in 19 % of experiments, and one
    pair errs in up to 8.3 % in place of 5; with these, there is a winner in at most 3.3 % (n = 400 to 600, standard errors 1.6
    and 0.8).
    """
    return replace(_estimate([table], table.profile, [table.variance]), df=table.seeds - 1.0, paired=True)


def of_two_tables(a: RunTable, b: RunTable, *, variances: tuple[Variance, Variance] | None = None) -> TwoWay:
    """`two_way_unpaired` from the summaries of both sides' runs on the same examples: a minus b."""
    if a.examples != b.examples:
        raise ValueError(
            f"the two sides of a comparison must have the same examples; they have {a.examples} and {b.examples} examples"
        )
    return _estimate([a, b], a.profile - b.profile, variances or (a.variance, b.variance))


def _estimate(tables: Sequence[RunTable], delta: Floats, variances: Sequence[Variance]) -> TwoWay:
    """The estimate from one summary, or the difference of two. delta: (N,) the means at each example, or their differences;
    (R,) in each resample; variances: over the seeds of each side."""
    first, last, n = tables[0], tables[-1], tables[0].examples
    scale = max(float(np.abs(table.profile).max()) for table in tables)
    deviations = delta - delta.mean()
    between = _mean_square(deviations, len(delta) - 1, scale)
    between = between * n if first.resampled else between  # mean square over examples
    parts = [table.residual / table.seeds for table in tables]
    example = between - sum(parts)
    example = example if example > 1e-12 * max(between, *parts) else 0.0  # what cancels leaves a rounding error
    terms = [(variance.value / table.seeds, variance.df) for table, variance in zip(tables, variances, strict=True)]
    return TwoWay(
        difference=first.mean - (last.mean if len(tables) > 1 else 0.0),
        variance=sum(value for value, _ in terms) + example / n,
        df=_satterthwaite(terms, example / n, n),
        seeds=(first.seeds, last.seeds),
        examples=n,
        paired=False,
        budget=Budget(
            seeds=tuple(
                max(0.0, variance.value - table.residual / n) for table, variance in zip(tables, variances, strict=True)
            ),
            example=example,
            residuals=tuple(table.residual for table in tables),
            example_range=_range(example, _error(tables, deviations, between)),
        ),
    )


def _satterthwaite(seeds: Sequence[tuple[float, float]], example: float, examples: int) -> float:
    """Degrees of freedom of a sum of variances: of each side's seeds, as (value, degrees of freedom), and of the examples.

    Where all variances are 0, the sum of the seeds' degrees of freedom.
    """
    total = sum(value for value, _ in seeds) + example
    weight = sum(value * value / df for value, df in seeds) + example * example / (examples - 1)
    return total * total / weight if weight > 0 else float(sum(df for _, df in seeds))


def _error(tables: Sequence[RunTable], deviations: Floats, between: float) -> float:
    """Standard error of the examples' variance component, from the contribution of each example.

    No distribution is assumed: most differences are 0, so a normal one would be far off. Where only resampled scores are
    known, it is that of a mean square of normal values, estimated from so many resamples.
    """
    n = tables[0].examples
    parts = deviations**2
    for table in tables:
        if table.noise is None:
            return between * math.sqrt(2 / (n - 1) + 2 / (len(deviations) - 1))
        parts = parts - table.noise
    return float(parts.std(ddof=1)) * n / (n - 1) / math.sqrt(n)


def _range(example: float, error: float) -> tuple[float, float]:
    """90 % interval of a variance component, at least 0.

    The error of a component grows with the component, like that of a count; where few differing examples happened to be drawn,
    its estimate is too small. So the upper end is computed like Wilson's for a count.
    """
    z = float(special.ndtri(0.95))
    skew = z * z * error * error / max(example, error) / 2 if error else 0.0
    return max(0.0, example - z * error), max(0.0, example + skew + math.hypot(z * error, skew))


def _shape(d: Floats) -> tuple[int, int]:
    if d.ndim != 2 or min(d.shape) < 2:
        raise ValueError(f"at least two seeds and two examples are needed, (seeds, examples), not shape {d.shape}")
    return d.shape[0], d.shape[1]


def _mean_square(deviations: Floats, df: int, scale: float) -> float:
    """Sum of squared deviations over df; exactly 0 where they are rounding errors of values of size `scale`."""
    flat = deviations.ravel()
    square = float(np.einsum("i,i->", flat, flat))  # BLAS would wake threads for it, which costs more on a busy machine
    return square / df if square > flat.size * (1e-13 * scale) ** 2 else 0.0
