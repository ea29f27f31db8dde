"""The leaderboard of the page: strategies in groups that are ranked separately, and other figures below them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bakeoff.analysis.findings import ComparisonGroup, NamedWarning
from bakeoff.analysis.results import Row
from bakeoff.report.cells import MAJORITY
from bakeoff.report.page.drawing import Axis, axis_over
from bakeoff.text.numbers import DASH

Place = tuple[str, str]
"""(split, metric): a column of scores."""


@dataclass(frozen=True)
class Unranked:
    """Scores that are of no strategy of the experiment, but of the majority baseline, or published elsewhere."""

    kind: str
    """`majority` (the majority baseline) or `imported` (published elsewhere)."""
    name: str
    scores: Mapping[Place, float | None]
    runs: str
    note: str


@dataclass(frozen=True)
class Leaderboard:
    """All strategies, in parts of a table that are ranked separately."""

    axis: Axis
    primary: Place
    others: list[Place]
    """The columns of other metrics and splits."""
    device: bool
    """Whether device memory was measured."""
    experiments: bool
    """Whether rows come from several experiments."""
    baseline: float | None
    """The baseline's mean score."""
    bodies: list[tuple[str, list[Row], list[Unranked]]]
    """The table's parts: (why it is ranked separately, empty for the first; its rows; figures below them)."""
    tie_groups: dict[str, str]
    """Strategy -> the letter of its tie group, which are the strategies with the same rank interval."""


def leaderboard(group: ComparisonGroup) -> Leaderboard:
    """The group's leaderboard: rows by rank; the majority baseline follows the first ranking, published figures come last."""
    rows, primary = group.ranked, (group.split, group.metric)
    found = dict.fromkeys((split, metric) for row in group.rows for split, scores in row.scores.items() for metric in scores)
    others = [place for place in found if place != primary]
    others.sort(key=lambda place: (place[0] != group.split, place[0], place[1] != group.metric))
    rankings = sorted({row.ranking for row in rows})
    bodies = []
    for ranking in rankings:
        reason = (group.rankings[ranking] if ranking < len(group.rankings) else "") or "made under other conditions"
        majority = _majority_baseline(group, [primary, *others]) if ranking == rankings[0] else []
        apart = f"Not ranked with the rows above: {reason}" if ranking else ""
        bodies.append((apart, [row for row in rows if row.ranking == ranking], majority))
    if group.imported:
        bodies.append(("Published elsewhere: shown, never tested", [], _imported(group, {primary, *others})))
    return Leaderboard(
        axis=_axis(group),
        primary=primary,
        others=others,
        device=any(row.peak_device_memory_bytes for row in rows),
        experiments=len({row.experiment for row in rows}) > 1,
        baseline=next((score.mean for row in group.rows if row.baseline and (score := group.score(row))), None),
        bodies=bodies,
        tie_groups=_tie_groups(group),
    )


def _axis(group: ComparisonGroup) -> Axis:
    """An axis over all intervals, and over the majority baseline unless that more than doubles its range."""
    scores = [score for row in group.rows if (score := group.score(row))]
    values = [value for score in scores for value in (score.mean, score.low, score.high)]
    ends = (group.unit.low, group.unit.high)
    axis, wide = axis_over(values, ends=ends), axis_over([group.majority_baseline, *values], ends=ends)
    return wide if wide.high - wide.low <= 2 * (axis.high - axis.low) or not scores else axis


def _tie_groups(group: ComparisonGroup) -> dict[str, str]:
    """Strategy -> a letter for its rank interval, for each interval that several strategies of one ranking share; every
    ranking begins at A, and has numbers after Z."""
    letters = {}
    for row in group.rows:
        shared = [other.tie_group for other in group.rows if other.ranking == row.ranking and other.tie_group is not None]
        ties = sorted({tie for tie in shared if shared.count(tie) > 1})
        if row.tie_group in ties:
            number = ties.index(row.tie_group)
            letters[row.strategy] = chr(65 + number) if number < 26 else str(number + 1)
    return letters


def _majority_baseline(group: ComparisonGroup, places: list[Place]) -> list[Unranked]:
    scores = {place: group.majority_baseline_of(*place) for place in places} | {places[0]: group.majority_baseline}
    note = "always gives the most frequent answer"
    return [] if group.majority_baseline is None else [Unranked("majority", MAJORITY, scores, DASH, note)]


def _imported(group: ComparisonGroup, places: set[Place]) -> list[Unranked]:
    found = []
    for row in group.imported:
        scores = {(row.split, metric): score for metric, score in row.scores.items()}
        left = [f"{row.split} {place[1]} {group.written(place[1], scores[place])}" for place in scores if place not in places]
        left += [f"{row.split} {metric} is withheld, since it can't be" for metric in row.impossible]
        found.append(Unranked("imported", row.name, scores, str(row.seeds), "; ".join([row.source, *left])))
    return found


def unlearned_note(row: Row) -> str:
    """How many of a row's runs collapsed or failed, in words; empty where all learned."""
    found = row.unlearned
    if found is None or not found.number:
        return ""
    what = "collapsed or failed" if found.collapsed and found.failed else "collapsed" if found.collapsed else "failed"
    return f"{what}: {found.words}"


def warning_of(name: str, strategy: str, warnings: Mapping[str, NamedWarning]) -> tuple[str, str]:
    """(id on the page, what was found) of the warning with this name that mentions the strategy, else of any with this name;
    empty strings where there is none. warnings: by their ids."""
    same = [(place, warning) for place, warning in warnings.items() if warning.name == name]
    same.sort(key=lambda found: strategy not in found[1].rows)
    return next(((place, warning.what) for place, warning in same), ("", ""))
