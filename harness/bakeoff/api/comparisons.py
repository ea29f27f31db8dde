"""Comparisons of strategies as DataFrames: what `bakeoff.compare` returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from bakeoff.analysis import comparison
from bakeoff.analysis.findings import AcrossTasks, Comparison, ComparisonGroup
from bakeoff.api.building import NUMBER, TEXT, TRUTH, WHOLE, frame, safe, table
from bakeoff.api.results import Results
from bakeoff.errors import BakeoffError
from bakeoff.report.text.brief import write_brief
from bakeoff.text.words import quoted

WIDTH = 120
"""The width of the printed text, in characters."""
BASELINE_FAMILY, ALL_FAMILY = "to baseline", "all pairs"

LEADERBOARD_COLUMNS = {
    "group": TEXT,
    "strategy": TEXT,
    "experiment": TEXT,
    "baseline": TRUTH,
    "ranking": WHOLE,
    "rank_best": WHOLE,
    "rank_worst": WHOLE,
    "tie_group": WHOLE,
    "split": TEXT,
    "metric": TEXT,
    "score": NUMBER,
    "sd": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
    "interval": TEXT,
    "seeds": WHOLE,
    "seed_free": TRUTH,
    "collapsed": WHOLE,
    "failed": WHOLE,
    "unlearned_low": NUMBER,
    "unlearned_high": NUMBER,
    "front_probability": NUMBER,
    "warnings": TEXT,
}
PAIR_COLUMNS = {
    "group": TEXT,
    "family": TEXT,
    "first": TEXT,
    "second": TEXT,
    "seeds_first": WHOLE,
    "seeds_second": WHOLE,
    "paired": TRUTH,
    "why_not_paired": TEXT,
    "examples": WHOLE,
    "method": TEXT,
    "difference": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
    "level": NUMBER,
    "p": NUMBER,
    "p_adjusted": NUMBER,
    "comparisons": WHOLE,
    "margin": NUMBER,
    "equivalence_p": NUMBER,
    "detectable": NUMBER,
    "detectable_low": NUMBER,
    "detectable_high": NUMBER,
    "finding": TEXT,
    "verdict": TEXT,
    "look": WHOLE,
    "question_changed": TEXT,
    "confounders": TEXT,
    "advice": TEXT,
    "note": TEXT,
    "sentence": TEXT,
    "all_runs_difference": NUMBER,
    "all_runs_low": NUMBER,
    "all_runs_high": NUMBER,
    "all_runs_p_adjusted": NUMBER,
    "all_runs_verdict": TEXT,
    "all_runs_sentence": TEXT,
}
WARNING_COLUMNS = {"name": TEXT, "severity": TEXT, "group": TEXT, "rows": TEXT, "what": TEXT, "what_to_do": TEXT}
SLICE_COLUMNS = {
    "group": TEXT,
    "column": TEXT,
    "value": TEXT,
    "strategy": TEXT,
    "examples": WHOLE,
    "score": NUMBER,
    "difference": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
    "p_adjusted": NUMBER,
}
CURVE_COLUMNS = {
    "group": TEXT,
    "strategy": TEXT,
    "key": TEXT,
    "value": TEXT,
    "place": NUMBER,
    "row": TEXT,
    "score": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
    "runs": WHOLE,
}
CROSSING_COLUMNS = {
    "group": TEXT,
    "first": TEXT,
    "second": TEXT,
    "key": TEXT,
    "found": TEXT,
    "at": NUMBER,
    "low": NUMBER,
    "high": NUMBER,
    "single": NUMBER,
    "sentence": TEXT,
}
ACROSS_COLUMNS = {
    "strategy": TEXT,
    "mean_rank": NUMBER,
    "groups": WHOLE,
    "confounded": TRUTH,
    "critical_difference": NUMBER,
    "p": NUMBER,
    "chi2_p": NUMBER,
    "f_p": NUMBER,
}


def of_results(results: Results) -> Comparisons:
    """As `bakeoff.compare`."""
    if not isinstance(results, Results):
        raise BakeoffError(
            f"compare takes what load returned, as in compare(load('results/quickstart')); got {quoted(results)}"
        )
    return Comparisons(comparison.compare(results.experiment))


@dataclass(frozen=True, repr=False)
class Comparisons:
    """The results of a comparison as tables. `comparison` is the object that they are made from, and has more than the
    tables."""

    comparison: Comparison

    @property
    def answer(self) -> str:
        """The result of the comparison in one sentence, made from the verdicts."""
        return self.comparison.answer

    @property
    def recommendation(self) -> str:
        """Which strategy to take and why, in words; empty where there is nothing to recommend from."""
        return self.comparison.recommendation

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """One row for each strategy of each group, by the primary metric on the reported split.

        | column | dtype | unit, meaning |
        |---|---|---|
        | group | string | task and model |
        | strategy | string | |
        | experiment | string | the row's experiment, if several were loaded |
        | baseline | bool | whether it is the baseline |
        | ranking | Int64 | rows of one ranking are ranked against each other; 0 is the baseline's |
        | rank_best | Int64 | best rank that the verdicts leave open; missing where the row is not ranked |
        | rank_worst | Int64 | worst rank that they leave open |
        | tie_group | Int64 | number from 1 that rows with the same rank interval share |
        | split | string | |
        | metric | string | |
        | score | float64 | the metric's own unit; mean over the runs that learned |
        | sd | float64 | the metric's own unit; standard deviation over seeds |
        | low | float64 | the metric's own unit; end of the 95 % interval |
        | high | float64 | the metric's own unit |
        | interval | string | what the interval covers |
        | seeds | Int64 | number of runs that the score is the mean of: those that learned, or all where none did |
        | seed_free | bool | whether the row does not depend on the seed: its one run stands for every seed |
        | collapsed | Int64 | runs that ended with scores and learned nothing |
        | failed | Int64 | runs that ended without scores |
        | unlearned_low | float64 | 0 to 1; end of the 95 % interval of the share of runs that collapsed or failed |
        | unlearned_high | float64 | 0 to 1 |
        | front_probability | float64 | 0 to 1; share of bootstrap draws in which no row beats it on both quality and cost |
        | warnings | string | names of the warnings on the row |
        """
        return frame((row for group in self.comparison.groups for row in _rows(group)), LEADERBOARD_COLUMNS)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """One row for each comparison of two strategies, `first` minus `second`.

        | column | dtype | unit, meaning |
        |---|---|---|
        | group | string | task and model |
        | family | string | to baseline, or all pairs: the comparisons that Holm adjusts over |
        | first | string | |
        | second | string | |
        | seeds_first | Int64 | number of seeds of `first` |
        | seeds_second | Int64 | number of seeds of `second` |
        | paired | bool | runs of one seed share their random streams, as recorded, and are compared seed by seed |
        | why_not_paired | string | the first reason why runs are not paired; empty where they are |
        | examples | Int64 | number of examples in the reported split |
        | method | string | how the interval is computed |
        | difference | float64 | the metric's own unit |
        | low | float64 | the metric's own unit; end of the interval, not adjusted |
        | high | float64 | the metric's own unit |
        | level | float64 | of the interval: 0.95; with declared looks 1 - (the look's share of the error rate) / comparisons |
        | p | float64 | 0 to 1; two-sided, not adjusted |
        | p_adjusted | float64 | 0 to 1; by Holm over the family, with declared looks scaled so that 0.05 is the look's level |
        | comparisons | Int64 | tests in the family: rows with identical predictions count once |
        | margin | float64 | the metric's own unit; differences inside it count as equivalent |
        | equivalence_p | float64 | 0 to 1; of the two one-sided tests (TOST), adjusted like p_adjusted |
        | detectable | float64 | the metric's own unit; estimated difference that has 80 % power at the verdict's level |
        | detectable_low | float64 | the metric's own unit; lower end of that estimate's 10 to 90 % range |
        | detectable_high | float64 | upper end of that range |
        | finding | string | the verdict without regard to confounders |
        | verdict | string | the finding, or `confounded` |
        | look | Int64 | number of the declared look that judged the pair last; missing where the number of seeds is fixed |
        | question_changed | string | parts of the question that were changed when results were known, separated by commas |
        | confounders | string | differences that are not under test |
        | advice | string | what it would take to decide the pair; empty where the verdict settles it |
        | note | string | why the verdict may be luck; empty otherwise |
        | sentence | string | the result in words |
        | all_runs_difference | float64 | of all runs, those that collapsed or failed scored as the majority baseline |
        | all_runs_low | float64 | the metric's own unit; end of the 95 % interval, not adjusted |
        | all_runs_high | float64 | the metric's own unit |
        | all_runs_p_adjusted | float64 | 0 to 1; by Holm over the family |
        | all_runs_verdict | string | better, worse or inconclusive |
        | all_runs_sentence | string | this result in words |
        """
        return frame((row for group in self.comparison.groups for row in _pairs(group)), PAIR_COLUMNS)

    @cached_property
    def warnings(self) -> pd.DataFrame:
        """One row for each warning.

        | column | dtype | unit, meaning |
        |---|---|---|
        | name | string | as `bakeoff explain` lists them |
        | severity | string | invalid, caution or note |
        | group | string | task and model; empty where the warning concerns all |
        | rows | string | names of the rows concerned |
        | what | string | what was found |
        | what_to_do | string | |
        """
        return frame(
            (warning.model_dump() | {"rows": ", ".join(warning.rows)} for warning in self.comparison.warnings), WARNING_COLUMNS
        )

    @cached_property
    def slices(self) -> pd.DataFrame:
        """One row for each strategy on each slice of the reported split: the examples with one value of a column.

        | column | dtype | unit, meaning |
        |---|---|---|
        | group | string | task and model |
        | column | string | the column that the split is divided by |
        | value | string | |
        | strategy | string | |
        | examples | Int64 | |
        | score | float64 | the metric's own unit; within a label, the share of right answers |
        | difference | float64 | the metric's own unit; to the baseline |
        | low | float64 | the metric's own unit; end of the 95 % interval |
        | high | float64 | the metric's own unit |
        | p_adjusted | float64 | 0 to 1; by Holm over the comparisons of a column |
        """
        return frame(
            ({"group": group.title} | row.model_dump() for group in self.comparison.groups for row in group.slices),
            SLICE_COLUMNS,
        )

    @cached_property
    def curve(self) -> pd.DataFrame:
        """One row for each strategy at each value of the recipe key that varies; none where no key does.

        | column | dtype | unit, meaning |
        |---|---|---|
        | group | string | task and model |
        | strategy | string | as the experiment file names it |
        | key | string | the recipe key that varies |
        | value | string | as it is shown: 64, all |
        | place | float64 | the value as a number; for `all`, the number of training examples |
        | row | string | the strategy at this value, as the leaderboard names it |
        | score | float64 | the metric's own unit; missing where the row has none |
        | low | float64 | the metric's own unit; end of the 95 % interval |
        | high | float64 | the metric's own unit |
        | runs | Int64 | number of runs that the score is the mean of |
        """
        return frame((row for group in self.comparison.groups for row in _points(group)), CURVE_COLUMNS)

    @cached_property
    def crossings(self) -> pd.DataFrame:
        """One row for each pair of curves: where they cross, as an estimate and not a verdict.

        | column | dtype | unit, meaning |
        |---|---|---|
        | group | string | task and model |
        | first | string | |
        | second | string | |
        | key | string | the recipe key that varies |
        | found | string | the first curve overtakes, falls behind, is ahead or behind everywhere; several crossings; or open |
        | at | float64 | the unit of the key; missing unless there is one crossing within the measured values |
        | low | float64 | the unit of the key; end of the 95 % interval, missing where it lies beyond the measured values |
        | high | float64 | the unit of the key |
        | single | float64 | 0 to 1; share of bootstrap draws with at most one crossing, in that direction |
        | sentence | string | |
        """
        return frame((row for group in self.comparison.groups for row in _crossings(group)), CROSSING_COLUMNS)

    @cached_property
    def across(self) -> pd.DataFrame:
        """One row for each strategy that is ranked over several groups; none where fewer than five groups share two strategies.

        | column | dtype | unit, meaning |
        |---|---|---|
        | strategy | string | |
        | mean_rank | float64 | 1 is the best, ties share |
        | groups | Int64 | number of groups that the ranks are over |
        | confounded | bool | whether it differs from the first strategy in something that is not under test |
        | critical_difference | float64 | smallest difference of mean ranks that is significant at 5 %, by Nemenyi |
        | p | float64 | 0 to 1; of Friedman's statistic, by permutation of each group's ranks |
        | chi2_p | float64 | 0 to 1; of Friedman's statistic, by the chi-squared distribution |
        | f_p | float64 | 0 to 1; by the F statistic of Iman and Davenport |
        """
        return frame(_across(self.comparison.across), ACROSS_COLUMNS)

    def __repr__(self) -> str:
        return "\n".join(write_brief(self.comparison, WIDTH))

    def _repr_html_(self) -> str:
        found = self.comparison
        parts = [f"<p><b>{safe(found.title)}</b>: {safe(found.question)}</p>"]
        parts += [f"<p><b>{safe(found.recommendation)}</b></p>"] if found.recommendation else []
        parts.append(f"<p>{safe(found.answer)}</p>")
        parts += [table(self.leaderboard), table(self.pairs[self.pairs["family"] == BASELINE_FAMILY])]
        if found.warnings:
            parts.append(table(self.warnings))
        return "\n".join(parts)


def _rows(group: ComparisonGroup) -> Iterator[dict[str, Any]]:
    for row in group.rows:
        score = group.score(row)
        yield {
            "group": group.title,
            "strategy": row.strategy,
            "experiment": row.experiment,
            "baseline": row.baseline,
            "ranking": row.ranking,
            "rank_best": row.rank[0] if row.rank else None,
            "rank_worst": row.rank[1] if row.rank else None,
            "tie_group": row.tie_group,
            "split": group.split,
            "metric": group.metric,
            "score": score.mean if score else None,
            "sd": score.sd if score else None,
            "low": score.low if score else None,
            "high": score.high if score else None,
            "interval": score.method if score else None,
            "seeds": len(score.seeds) if score else 0,
            "seed_free": row.seed_free,
            "collapsed": len(row.collapsed),
            "failed": row.unlearned.failed if row.unlearned else 0,
            "unlearned_low": row.unlearned.low if row.unlearned else None,
            "unlearned_high": row.unlearned.high if row.unlearned else None,
            "front_probability": row.front_probability,
            "warnings": ", ".join(row.warnings),
        }


def _points(group: ComparisonGroup) -> Iterator[dict[str, Any]]:
    if group.curve is None:
        return
    for curve in group.curve.strategies:
        for point in curve.points:
            yield point.model_dump() | {"group": group.title, "strategy": curve.strategy, "key": group.curve.key}


def _crossings(group: ComparisonGroup) -> Iterator[dict[str, Any]]:
    if group.curve is None:
        return
    for crossing in group.curve.crossings:
        yield crossing.model_dump() | {"group": group.title, "key": group.curve.key}


def _across(found: AcrossTasks | None) -> Iterator[dict[str, Any]]:
    if found is None:
        return
    shared = found.model_dump(include={"critical_difference", "p", "chi2_p", "f_p"}) | {"groups": len(found.groups)}
    for name, rank in found.mean_ranks.items():
        yield {"strategy": name, "mean_rank": rank, "confounded": name in found.confounded} | shared


def _pairs(group: ComparisonGroup) -> Iterator[dict[str, Any]]:
    for family, pairs in ((BASELINE_FAMILY, group.to_baseline), (ALL_FAMILY, group.all_pairs)):
        for pair in pairs:
            every = pair.all_runs
            yield pair.model_dump(
                exclude={"budget", "checks", "studied", "seeds", "all_runs", "detectable_range", "not_worse_p"}
            ) | {
                "group": group.title,
                "family": family,
                "detectable_low": pair.detectable_range[0] if pair.detectable_range else None,
                "detectable_high": pair.detectable_range[1] if pair.detectable_range else None,
                "seeds_first": pair.seeds[0],
                "seeds_second": pair.seeds[1],
                "level": None if pair.low is None else pair.level,
                "look": pair.look.number if pair.look else None,
                "question_changed": ", ".join(pair.question_changed),
                "confounders": ", ".join(fact.sentence() for fact in pair.confounders),
                **{f"all_runs_{name}": getattr(every, name, None) for name in ("difference", "low", "high", "p_adjusted")},
                "all_runs_verdict": every.finding if every else None,
                "all_runs_sentence": every.sentence if every else None,
            }
