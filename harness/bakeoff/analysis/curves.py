"""Scores over the values of one recipe key: a curve for each strategy, and where two curves cross.

Rows are those of the leaderboard, one for each strategy and value. Whether one is better at a value is decided there; where
curves cross is an estimate (`statistics.crossing`), of the runs that learned; where too few learned at a value, of all runs,
with those that collapsed or failed counted as the majority baseline.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np

from bakeoff.analysis.findings import ComparisonGroup, Curve, CurveCrossing, CurveDifference, CurvePoint, StrategyCurve
from bakeoff.analysis.pairs import Measures
from bakeoff.analysis.prepared_group import PreparedGroup
from bakeoff.analysis.results import Verdict
from bakeoff.analysis.sides import Side
from bakeoff.analysis.verdicts import LEAST_SEEDS
from bakeoff.analysis.withholding import without_p
from bakeoff.contracts.metric import Floats
from bakeoff.statistics.crossing import Crossing, Differences, crossing, differences, differences_resampled
from bakeoff.text.numbers import count, per_cent, rounded, with_decimals
from bakeoff.text.values import listed, spelt

TRAIN_EXAMPLES: Final = "train_examples"
MOST_CURVES: Final = 6
"""Of more strategies, only crossings with the baseline's curve are sought."""


@dataclass(frozen=True)
class Varied:
    """The recipe key that varies, and the rows that came of it."""

    key: str
    rows: Mapping[str, Mapping[float, str]]
    """Strategy -> place -> row, in the order of the places."""
    labels: Mapping[str, str]
    """Row -> its value, as it is shown."""


@dataclass(frozen=True)
class Axis:
    """The values of the key that varies, in words."""

    key: str
    logarithmic: bool

    def place(self, value: float) -> float:
        """Where a value stands: on straight lines between places, curves cross."""
        return math.log(value) if self.logarithmic else value

    def value(self, place: float) -> float:
        return math.exp(place) if self.logarithmic else place

    def at(self, value: float) -> str:
        """`500 rows`, `learning_rate 5e-5`."""
        if self.key != TRAIN_EXAMPLES:
            return f"{self.key} {self.bare(value)}"
        return f"{self.bare(value)} row{'' if value == 1 else 's'}"

    def bare(self, value: float) -> str:
        """`500`, `5e-5`."""
        return with_decimals(value, 0) if self.key == TRAIN_EXAMPLES else spelt(value)

    @property
    def each(self) -> str:
        return "size" if self.key == TRAIN_EXAMPLES else "value"


def curve_of(prepared: PreparedGroup, group: ComparisonGroup) -> Curve | None:
    """group: judged. None where no key varies, its values are no numbers, or the metric says nothing."""
    varied = varied_in(prepared)
    if varied is None or not prepared.judges:
        return None
    places = sorted({place for points in varied.rows.values() for place in points})
    if len(places) < 2:
        return None
    axis = Axis(varied.key, logarithmic=places[0] > 0)
    baseline = next((name for name, points in varied.rows.items() if group.baseline in points.values()), None)
    strategies = sorted(varied.rows, key=lambda name: name != baseline)
    every = [*combinations(strategies, 2)]
    pairs = every if len(strategies) <= MOST_CURVES else every[: len(strategies) - 1]
    curves = [_curve(prepared, group, name, varied) for name in strategies]
    found = [_crossing(prepared, group, axis, (second, first), varied) for first, second in pairs]
    return Curve(
        key=axis.key,
        logarithmic=axis.logarithmic,
        strategies=curves,
        crossings=[one for one in found if isinstance(one, CurveCrossing)],
        notes=[*_searches(prepared, varied), *_left_out(group, varied), *(one for one in found if isinstance(one, str))],
    )


def _curve(prepared: PreparedGroup, group: ComparisonGroup, strategy: str, varied: Varied) -> StrategyCurve:
    rows = {row.strategy: row for row in group.rows}
    points = []
    for place, name in varied.rows[strategy].items():
        score = group.score(rows[name]) if name in rows else None
        points.append(
            CurvePoint(
                row=name,
                value=varied.labels[name],
                place=place,
                score=score.mean if score else None,
                low=score.low if score else None,
                high=score.high if score else None,
                runs=len(score.seeds) if score else 0,
            )
        )
    return StrategyCurve(strategy=strategy, title=prepared.experiment.declared.titles.strategy(strategy), points=points)


def _left_out(group: ComparisonGroup, varied: Varied) -> Iterator[str]:
    """Rows whose runs collapsed, failed or are missing."""
    for name in (name for points in varied.rows.values() for name in points.values()):
        row = next((row for row in group.rows if row.strategy == name), None)
        if row is None:
            continue
        counts = {"collapsed": len(row.collapsed), "failed": len(row.failed)}
        lost = [f"{number} {what}" for what, number in counts.items() if number]
        lost += [f"{len(row.missing)} {'is' if len(row.missing) == 1 else 'are'} missing"] if row.missing else []
        if lost:
            kept = (
                "all collapsed and are shown as they are" if row.collapsed and not row.learned else "are left out of the curve"
            )
            yield f"{name}: of {count(len(row.needed), 'run')} {listed(lost)}; they {kept}."


def varied_in(prepared: PreparedGroup) -> Varied | None:
    """None where no key varies, and where its values are no numbers."""
    declared, data = prepared.experiment.declared.vary, prepared.data
    if declared is None:
        return None
    whole = data.splits["train"].examples if declared.key == TRAIN_EXAMPLES and "train" in data.splits else None
    values: list[Any] = [whole if value is None else value for value in declared.values]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    words = ["all" if value is None else spelt(value) for value in declared.values]
    rows = {
        strategy: dict(sorted((float(value), row) for value, row in zip(values, own, strict=True)))
        for strategy, own in declared.rows.items()
    }
    labels = {row: word for own in declared.rows.values() for row, word in zip(own, words, strict=True)}
    return Varied(declared.key, rows, labels)


def _searches(prepared: PreparedGroup, varied: Varied) -> Iterator[str]:
    """A sentence for each strategy with a search: whether it was made at each value of the key, or at one for all."""
    each = Axis(varied.key, logarithmic=False).each
    for strategy, rows in varied.rows.items():
        at = {search.at for row in rows.values() if (search := prepared.experiment.declared.searches.get(row)) is not None}
        if at == {""}:
            yield f"{strategy}: at each {each} a search of its own chose the configuration."
        elif at:
            yield f"{strategy}: one search, at {varied.key} {listed(sorted(at))}, chose the configuration for every {each}."


# --- crossings -----------------------------------------------------------------------------------------------------------


def _crossing(
    prepared: PreparedGroup, group: ComparisonGroup, axis: Axis, pair: tuple[str, str], varied: Varied
) -> CurveCrossing | str:
    """Of the curves of two strategies, the first against the second; or why there is none to tell."""
    first, second = pair
    both = {place: (varied.rows[first][place], varied.rows[second][place]) for place in varied.rows[first]}
    runs = Measures(prepared.sides, prepared.replicates)
    reasons = _reasons(prepared, runs, both)
    counted = []
    if reasons and prepared.measures_of_all is not None:
        still = _reasons(prepared, prepared.measures_of_all, both)
        counted = [why for place, why in reasons.items() if place not in still]
        if counted:
            runs, reasons = prepared.measures_of_all, still
    usable = {place: rows for place, rows in both.items() if place not in reasons}
    left_out = [f"{axis.bare(place)} is left out of it, since {why}" for place, why in reasons.items()]
    if len(usable) < 2:
        told = "; ".join(f"at {axis.bare(place)} {why}" for place, why in reasons.items())
        return f"No crossing of {first} and {second} is sought: {told or f'they have one {axis.each} in common'}."
    apart = _differences(prepared, runs, [*usable.values()])
    if apart is None:
        return f"No crossing of {first} and {second} is sought: {group.metric} of resampled examples can't be computed here."
    found = crossing(apart, [axis.place(place) for place in usable])
    at, low, high = (None if end is None else axis.value(end) for end in (found.at, found.low, found.high))
    undeclared = {fact.subject: None for rows in usable.values() for fact in prepared.facts(*rows) if not fact.declared}
    sentence = sentence_of(found, axis, first, second, [*usable], apart.means.tolist())
    notes = [f"They also differ in {listed(undeclared)}, which is not under test."] if undeclared else []
    if counted:
        notes.append(f"All runs count in it, those that collapsed or failed as the majority baseline, since {listed(counted)}.")
    notes += [f"{'; '.join(left_out)}."] if left_out else []
    return CurveCrossing(
        first=first,
        second=second,
        found=found.found,
        at=at,
        low=low,
        high=high,
        single=found.single,
        all_runs=bool(counted),
        places=[*usable],
        sentence=" ".join([sentence, *notes]),
        differences=[one for place, rows in both.items() for one in _judged(group, place, *rows)],
    )


def _reasons(prepared: PreparedGroup, runs: Measures, both: Mapping[float, tuple[str, str]]) -> dict[float, str]:
    """Place -> why its two rows can't take part in a crossing of these runs; without the places whose rows can."""
    return {place: why for place, rows in both.items() if (why := _why_not(prepared, runs, *rows))}


def _why_not(prepared: PreparedGroup, runs: Measures, first: str, second: str) -> str:
    """Why two rows of one place can't take part in a crossing; empty where they can."""
    withheld = without_p(prepared.experiment)
    for name in (first, second):
        if name not in runs.sides:
            return f"{name} has no scored run"
        if name in withheld:
            return withheld[name]
        number = len(runs.sides[name].seeds)
        if number < LEAST_SEEDS and name not in prepared.experiment.declared.seed_free:
            counts = prepared.unlearned[name]
            learned = " that learned" if counts.number and number == counts.learned else ""
            return f"{name} has {count(number, 'run')}{learned}, fewer than {LEAST_SEEDS}"
    if not prepared.ranked_together(first, second):
        return f"{first} and {second} were made under other conditions"
    return ""


def _differences(prepared: PreparedGroup, runs: Measures, pairs: Sequence[tuple[str, str]]) -> Differences | None:
    """The first rows minus the second, higher is better; None where the metric gives resampled examples no score."""
    sides, sign = runs.sides, 1 if prepared.terms.higher_is_better else -1
    free = prepared.experiment.declared.seed_free
    seeds = sorted({seed for rows in pairs for name in rows if name not in free for seed in sides[name].seeds}) or [0, 1]
    values = {name: sides[name].values for rows in pairs for name in rows}
    if all(own is not None for own in values.values()):
        return differences(*(sign * np.stack(_of_seeds(sides, side, values, seeds, free)) for side in zip(*pairs, strict=True)))
    drawn = runs.replicates
    if drawn is None or drawn.resampled is None:
        return None
    observed = {name: drawn.runs[drawn.spans[sides[name].number]] for name in values}
    resampled = {name: drawn.resampled[:, drawn.spans[sides[name].number]].T for name in values}  # (K, R)
    once = [sign * np.stack(_of_seeds(sides, side, observed, seeds, free)) for side in zip(*pairs, strict=True)]
    again = [sign * np.stack(_of_seeds(sides, side, resampled, seeds, free)) for side in zip(*pairs, strict=True)]
    return differences_resampled(*once, *(np.moveaxis(one, 2, 0) for one in again))


def _of_seeds(
    sides: Mapping[str, Side],
    rows: Sequence[str],
    values: Mapping[str, Floats | None],
    seeds: Sequence[int],
    free: Collection[str],
) -> list[Floats]:
    """Each row's (K, ...) values with a line for every seed: NaN where it has no run; of a row that does not depend on the seed
    (`free`) its only run."""
    found = []
    for name in rows:
        own, given = sides[name].seeds, values[name]
        assert given is not None
        if name in free:
            found.append(np.repeat(given[:1], len(seeds), axis=0))
            continue
        lines = np.full((len(seeds), *given.shape[1:]), math.nan)
        lines[[seeds.index(seed) for seed in own]] = given
        found.append(lines)
    return found


def _judged(group: ComparisonGroup, place: float, first: str, second: str) -> Iterator[CurveDifference]:
    """What the leaderboard says of the pair at one place, of all its runs where none of a side learned; nothing where it does
    not compare it."""
    for pair in (*group.to_baseline, *group.all_pairs):
        if {pair.first, pair.second} != {first, second}:
            continue
        verdict = pair.verdict if pair.tested or pair.all_runs is None else pair.all_runs.finding
        difference, low, high = pair.difference, pair.low, pair.high
        if pair.first == second:
            verdict = TURNED.get(verdict, verdict)
            difference, low, high = -difference, None if high is None else -high, None if low is None else -low
        yield CurveDifference(
            place=place,
            difference=difference,
            low=low,
            high=high,
            verdict=verdict,
            question_changed=pair.marked_verdict != pair.verdict,
        )
        return


TURNED: Final[Mapping[str, Verdict]] = {"better": "worse", "worse": "better"}


# --- words ---------------------------------------------------------------------------------------------------------------


def sentence_of(found: Crossing, axis: Axis, first: str, second: str, places: Sequence[float], means: Sequence[float]) -> str:
    """`From about 500 rows on, full beats tfidf (95 % between 300 and 900): an estimate, not a verdict.`

    places: those that both strategies have; means: the first minus the second there, above 0 where the first is better.
    """
    at, low, high = (None if end is None else _rounded(axis.value(end), places) for end in (found.at, found.low, found.high))
    least, most, each = axis.at(places[0]), axis.at(places[-1]), axis.each
    told = {
        "overtakes": f"From about {'' if at is None else axis.at(at)} on, {first} beats {second}",
        "falls behind": f"From about {'' if at is None else axis.at(at)} on, {second} beats {first}",
        "ahead": f"{first} is already ahead of {second} at {least}, the smallest {each} measured",
        "behind": f"{first} is not ahead of {second} by {most}, the largest {each} measured",
    }
    if found.found in ("overtakes", "falls behind"):
        return f"{told[found.found]} ({_between(axis, low, high, places)}): an estimate, not a verdict."
    if found.found == "ahead" and low is not None:
        told["ahead"] = f"{first} is ahead of {second} at every {each} measured, up to {most}"
    if found.found in ("ahead", "behind"):
        return f"{told[found.found]}{_doubt(found, axis, low, high)}: an estimate, not a verdict."
    if found.found == "open":
        return (
            f"Where the curves of {first} and {second} cross, if they do, these runs can't tell: the 95 % interval has every "
            f"{each} from {axis.bare(places[0])} to {most}."
        )
    ahead = [axis.bare(place) for place, mean in zip(places, means, strict=True) if mean > 0]
    behind = [axis.bare(place) for place, mean in zip(places, means, strict=True) if mean <= 0]
    where = " and ".join(
        filter(None, (f"ahead at {listed(ahead)}" * bool(ahead), f"behind at {listed(behind)}" * bool(behind)))
    )
    return (
        f"The curves of {first} and {second} have no single crossing: by its means {first} is {where}, and "
        f"{per_cent(1 - found.single)} of the bootstrap's draws cross more than once."
    )


def _between(axis: Axis, low: float | None, high: float | None, places: Sequence[float]) -> str:
    """`95 % between 300 and 900`; an end beyond the measured places is not named."""
    if low is not None and high is not None:
        return f"95 % between {axis.bare(low)} and {axis.bare(high)}"
    if low is not None:
        return f"95 % from {axis.bare(low)} to beyond {axis.bare(places[-1])}, the largest {axis.each} measured"
    assert high is not None  # without both ends it would be open
    return f"95 % from below {axis.bare(places[0])}, the smallest {axis.each} measured, to {axis.bare(high)}"


def _doubt(found: Crossing, axis: Axis, low: float | None, high: float | None) -> str:
    """The remark in brackets that the 95 % interval (low, high; None: beyond the measured values) adds to a sentence on curves
    whose means never cross; empty where it adds nothing."""
    if low is not None:
        held = "up to" if found.found == "ahead" else "not before"
        return f" (95 %: {held} {axis.bare(low)}{' at least' if found.found == 'ahead' else ''})"
    if high is not None:
        return f" (95 %: {found.found} from {axis.bare(high)} on at the latest)"
    return ""


def _rounded(value: float, places: Sequence[float]) -> float:
    """With two digits, and never beyond the measured places."""
    return min(max(rounded(value, 2), places[0]), places[-1])
