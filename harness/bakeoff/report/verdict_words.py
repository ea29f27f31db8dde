"""What each verdict means, for a reader who has never read a p-value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bakeoff.analysis.findings import ComparisonGroup, CostAxis, Quantity
from bakeoff.analysis.recommendation import Recommendation
from bakeoff.report.cells import all_runs
from bakeoff.text.values import grouped, listed

ORDER = ("better", "worse", "equivalent", "identical", "inconclusive", "futile", "open", "confounded", "withheld")

NOT_LUCK = "shown: luck with seeds and test examples would seldom make such a difference"


def verdict_words(groups: Iterable[ComparisonGroup]) -> dict[str, str]:
    """Each verdict on a difference to a baseline that these groups have -> what it means, in words."""
    found = {
        verdict: group
        for group in groups
        for pair in group.to_baseline
        for verdict in {pair.verdict if pair.tested else all_runs(pair), all_runs(pair)}
    }
    return {verdict: _words(verdict, found[verdict]) for verdict in ORDER if verdict in found}


def _words(verdict: str, group: ComparisonGroup) -> str:
    margin = "the margin" if group.margin is None else f"the margin of {group.figures.as_declared(group.margin)}"
    return {
        "better": NOT_LUCK,
        "worse": NOT_LUCK,
        "equivalent": f"as good: shown to differ by less than {margin}",
        "identical": "every prediction is the same",
        "inconclusive": "not known: these runs can't tell which is better, nor that the two are as good as each other",
        "futile": "not known, and the seeds that are still planned would hardly tell",
        "open": "not known yet: more seeds are planned",
        "confounded": "not known why: something that is not under test differs too, so the difference has no clear cause",
        "withheld": "no claim: seeds or looks were changed, or experiments pooled, when results were known",
    }[verdict]


COSTS: Final[dict[Quantity, str]] = {
    "train_seconds": "what the training of one run takes",
    "flops": "how much the training of one run computes, in millions of millions of operations",
    "peak_memory": "the most memory that a run needed",
    "trainable": "how many parameters the training changes",
}


def figures_in_words(group: ComparisonGroup, cost: CostAxis | None) -> dict[str, str]:
    """Title of a column of the results -> what it shows, in words. cost: the one that is shown beside each score."""
    found = {}
    if any(score.low is not None for row in group.rows if (score := group.score(row))):
        found["95 % interval"] = "where the mean score lies, given the luck of seeds and test examples; single runs vary more"
    if cost and cost.quantity in COSTS:
        found[cost.title] = f"{COSTS[cost.quantity]}; (× 2.00) is twice what {group.baseline} takes"
    return found


def why_not_subtract(group: ComparisonGroup) -> str:
    """A sentence on why a difference is not that of the two scores beside it: it is on the seeds of the look that judged it,
    and scores are of all seeds; empty where all are on the same."""
    rows = {row.strategy: score for row in group.rows if (score := group.score(row)) is not None}
    looks = {
        pair.first: pair.look.seeds
        for pair in group.to_baseline
        if pair.look and any(len(rows[name].seeds) > pair.look.seeds for name in (pair.first, pair.second) if name in rows)
    }
    if not looks:
        return ""
    by_seeds = grouped((seeds, name) for name, seeds in looks.items())
    which = listed([f"{seeds} ({listed(names, most=4)})" for seeds, names in by_seeds.items()])
    return f"difference: on the seeds of the look that judged it, the first {which}; scores are of all seeds that a row has."


def why_stricter(group: ComparisonGroup, recommended: Recommendation | None) -> str:
    """A sentence on why the recommendation leaves a strategy open that is equivalent to the best; empty where it leaves
    none."""
    if recommended is None or recommended.best is None:
        return ""
    sides = [{pair.first, pair.second} for pair in group.to_baseline if pair.verdict == "equivalent"]
    if not any({recommended.best, name} in sides for name in recommended.open):
        return ""
    return (
        f"The recommendation asks for more than these verdicts: {recommended.best} was picked as the best by these very "
        "results, so that others must be shown as good over all pairs."
    )
