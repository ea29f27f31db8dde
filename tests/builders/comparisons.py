"""A comparison of runs that nobody made, for the tests of the page: scores are drawn, intervals follow from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bakeoff.analysis.findings import (
    Calibration,
    Comparison,
    ComparisonGroup,
    CostAxis,
    ImportedRow,
    NamedWarning,
    Ratio,
    SliceScore,
)
from bakeoff.analysis.results import Budget, Checks, Fact, Pair, Row, Score
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Declared, Record
from bakeoff.report.page.html import write_html
from bakeoff.statistics.best_of_n import expected_bests, probability_of_improvement
from builders.declarations import make_declaration
from builders.records import (
    failed,
    make_record,
)

QUESTION = "Does a hand-written loop match the Trainer API on MRPC?"
CLIPPING = Fact(subject="gradient clipping", first="none", second="1", parts=["recipe.max_grad_norm"], declared=False)


@dataclass(frozen=True)
class MadeComparison:
    """What `write_html` is given."""

    comparison: Comparison
    records: list[Record]
    steps: Callable[[str], tuple[NDArray[Any], NDArray[Any]] | None]

    def html(self) -> str:
        return write_html(self.comparison, self.records, self.steps)


def score(values: Sequence[float], seeds: Sequence[int]) -> Score:
    mean = float(np.mean(values))
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    half = math.hypot(0.008, 2 * (sd or 0) / math.sqrt(len(values)))
    return Score(
        mean=mean,
        sd=sd,
        low=mean - half,
        high=mean + half,
        method="seeds and examples" if sd is not None else "examples only (one run)",
        seeds=list(seeds),
        values=list(values),
    )


def pair(first: Row, second: Row, *, confounders: Sequence[Fact] = (), comparisons: int = 1) -> Pair:
    one, other = first.scores["test"]["accuracy"], second.scores["test"]["accuracy"]
    difference, half = one.mean - other.mean, 0.008
    finding: Any = "identical" if one.values == other.values else "inconclusive"
    if finding == "inconclusive" and abs(difference) > half:
        finding = "better" if difference > 0 else "worse"
    if finding == "inconclusive" and abs(difference) + half < 0.011:
        finding = "equivalent"
    verdict: Any = "confounded" if confounders and finding in ("better", "worse") else finding
    advice = "Twice as many seeds would bring the detectable difference to 0.7 points." if verdict == "inconclusive" else ""
    return Pair(
        first=first.strategy,
        second=second.strategy,
        seeds=(len(one.seeds), len(other.seeds)),
        paired=True,
        examples=1725,
        method="two-way",
        difference=difference,
        low=difference - half,
        high=difference + half,
        wide_low=difference - 1.4 * half,
        wide_high=difference + 1.4 * half,
        p=min(1.0, math.exp(-abs(difference) / half * 2)),
        p_adjusted=min(1.0, 2 * math.exp(-abs(difference) / half * 2)),
        comparisons=comparisons,
        margin=0.01,
        equivalence_p=0.2,
        detectable=0.0112,
        detectable_with_all_seeds=0.0071,
        budget=Budget(seed=1e-5, example=2e-5, residual=0.1, largest="seeds"),
        checks=Checks(
            randomisation_p=0.0625,
            randomisation_smallest_p=0.0625,
            bootstrap_low=difference - 0.9 * half,
            bootstrap_high=difference + 0.9 * half,
            bootstrap_p=0.03,
            seeds_t_p=0.02,
            mcnemar_p=None,
            seed_correlation=0.12,
            probability_of_improvement=probability_of_improvement(one.values, other.values),
        ),
        studied=[],
        confounders=list(confounders),
        finding=finding,
        verdict=verdict,
        advice=advice,
        sentence=f"{first.strategy} against {second.strategy}: {verdict} at {100 * difference:+.2f} points.",
    )


def judged(row: Row, records: Sequence[Record], *, recipe: dict[str, str], warnings: list[str]) -> Row:
    """The row with what a comparison would add; `records` are those of its runs that ended well."""
    seeds = [record.requested.seed for record in records]
    scores = {
        split: {metric: score([record.scores[split][metric] for record in records], seeds) for metric in ("accuracy", "f1")}
        for split in ("test", "dev")
        if records
    }
    about: dict[str, Any] = {"key": {"hardware": "AMD EPYC, 2 threads"}, "recipe": recipe, "warnings": warnings}
    added = {"scores": scores, **about}
    if records:
        best = expected_bests(scores["test"]["accuracy"].values, higher_is_better=True)
        added |= {"rank": (1, 4), "tie_group": 1, "front_probability": 0.7, "expected_best": best}
    return row.model_copy(update=added)


def not_judged(comparison: Comparison, records: Sequence[Record]) -> Comparison:
    """The comparison with what these records tell of its rows, and no more."""
    groups = described_groups(comparison.declared, records)
    return comparison.model_copy(update={"groups": [group.model_copy(update={"examples": 1725}) for group in groups]})


def described_groups(declared: Declared, records: Sequence[Record]) -> list[ComparisonGroup]:
    """The comparison groups of these records, not judged."""
    made = Experiment(declared, tuple(records), lambda _: {}, lambda _: None)
    return [describe(made, layout) for layout in layouts(made)]


def make_comparison(
    skill: dict[str, float],
    *,
    seeds: int = 5,
    seconds: dict[str, float] | None = None,
    broken: Sequence[str] = (),
    recipes: dict[str, dict[str, str]] | None = None,
    confounded: Sequence[str] = (),
    all_pairs: bool = True,
    message: str = "it is gone",
    **changes: Any,
) -> MadeComparison:
    """Strategies with the accuracy that they have in the long run; the first is the baseline, `broken` ones fail at seed 0."""
    draw = np.random.default_rng(7)
    names, records = list(skill), []
    for seed in range(seeds):
        shared = draw.normal(0, 0.004)
        for name in names:
            accuracy = round((skill[name] + shared + draw.normal(0, 0.006)) * 1725) / 1725
            took = (seconds or {}).get(name, 500.0) * math.exp(draw.normal(0, 0.05))
            record = make_record(name, seed, test_accuracy=accuracy, train_seconds=took)
            lost = seed == 0 and name in broken
            records.append(failed(record, "out of memory", message) if lost else record)
    declared = make_declaration(records, baseline=names[0], question=QUESTION, name="mrpc")
    (group,) = described_groups(declared, records)
    rows = []
    for row in group.rows:
        ended = [record for record in records if record.requested.strategy == row.strategy and record.status == "ok"]
        recipe = {"gradient clipping": "1", "optimizer": "AdamW", "eps": "1e-8"} | (recipes or {}).get(row.strategy, {})
        rows.append(judged(row, ended, recipe=recipe, warnings=["few-seeds"]))
    scored = [row for row in rows if row.scores]
    to_baseline = [
        pair(row, scored[0], confounders=[CLIPPING] if row.strategy in confounded else [], comparisons=len(scored) - 1)
        for row in scored[1:]
    ]
    every = (
        [
            pair(one, other, comparisons=len(scored) * (len(scored) - 1) // 2)
            for number, one in enumerate(scored)
            for other in scored[:number]
        ]
        if all_pairs
        else []
    )
    calibration = [
        Calibration(strategy=row.strategy, split="test", ece=0.0812, brier=0.2931, agreement=0.914) for row in scored
    ]
    group = group.model_copy(
        update={
            "examples": 1725,
            "majority_baseline": 0.6649275,
            "margin": 0.01,
            "rows": rows,
            "to_baseline": to_baseline,
            "all_pairs": every,
            "costs": [ratio(row.strategy, names[0], records) for row in scored[1:]],
            "cost_axis": CostAxis(
                quantity="train_seconds",
                title="train seconds of a run, timed in turns",
                amounts={
                    row.strategy: (spread.mean, 0.95 * spread.mean, 1.06 * spread.mean)
                    for row in scored
                    if (spread := row.train_seconds)
                },
            ),
            "calibration": calibration,
            **changes,
        }
    )
    warning = NamedWarning(
        name="few-seeds",
        severity="caution",
        group=group.title,
        rows=names,
        what=f"{seeds} seeds: the exact test over seeds cannot give p below {2 / 2**seeds:.3g}.",
        what_to_do="Six seeds are the fewest with which it can reach 0.05.",
    )
    comparison = Comparison(
        declared=declared,
        answer="No strategy is shown to be better than trainer-api; a difference of 1.1 points would have been seen.",
        groups=[group],
        warnings=[warning],
        facts={"folder": "results/mrpc", "commands": ["bakeoff run spec.yaml", "bakeoff report results/mrpc"]},
    )
    return MadeComparison(comparison, records, falling_loss)


def ratio(first: str, second: str, records: Sequence[Record]) -> Ratio:
    def mean(name: str) -> float:
        taken = [record.cost.train_seconds for record in records if record.requested.strategy == name and record.cost]
        return float(np.mean(taken))

    found = mean(first) / mean(second)
    return Ratio(
        first=first,
        second=second,
        quantity="train_seconds",
        ratio=found,
        low=found * 0.95,
        high=found * 1.06,
        rounds=40,
        comparable=True,
        reason="",
    )


def falling_loss(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """A loss that falls, another for each run."""
    draw = np.random.default_rng(int(name[-6:], 16))
    steps = np.arange(1377)
    return steps, 0.15 + 0.55 * np.exp(-steps / 400) + np.abs(draw.normal(0, 0.1, len(steps)))


def drawn_slice_scores(names: Sequence[str]) -> list[SliceScore]:
    draw = np.random.default_rng(3)
    found = []
    for column, values in {"label": ["equivalent", "not_equivalent"], "length": ["to 40", "41 to 64", "65 and more"]}.items():
        for value in values:
            for number, name in enumerate(names):
                difference = None if number == 0 else float(draw.normal(0, 0.015))
                found.append(
                    SliceScore(
                        column=column,
                        value=value,
                        strategy=name,
                        examples=412,
                        score=0.8 + (difference or 0),
                        difference=difference,
                        low=None if difference is None else difference - 0.02,
                        high=None if difference is None else difference + 0.02,
                        p_adjusted=None if difference is None else 0.03 if abs(difference) > 0.02 else 0.6,
                    )
                )
    return found


COURSE = ImportedRow(
    name="course Trainer", source="course chapter 3", split="dev", scores={"accuracy": 0.857843, "f1": 0.899654}, seeds=1
)
