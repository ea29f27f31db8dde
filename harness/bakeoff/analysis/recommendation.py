"""What a comparison recommends, as frozen models, and the sentences that tell it; `choice.py` has the rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from pydantic import Field

from bakeoff.contracts.fields import Part
from bakeoff.contracts.unit import Figures
from bakeoff.statistics.power import MOST_SEEDS, WhyNone
from bakeoff.text.numbers import count, duration, per_cent, with_decimals
from bakeoff.text.values import grouped, listed

Measure = Literal["timed_train_seconds", "train_seconds", "flops"]
"""The cost by which training is called cheaper: seconds that `bakeoff time` measured, the strategies taking turns; train
seconds of the recorded runs; or floating-point operations."""

MEASURES: dict[Measure, str] = {
    "timed_train_seconds": "seconds by `bakeoff time`",
    "train_seconds": "train seconds of these runs",
    "flops": "floating-point operations",
}

Why = Literal["inconclusive", "confounded", "withheld", "few seeds", "not tested", "not compared", "none learned"]
"""Why a strategy is not settled. `inconclusive`: neither shown as good nor ruled out. `not tested`: no test of it against the
best was asked for. `not compared`: made under other conditions, or without predictions or scores."""


class RuledOut(Part):
    """A strategy that is shown worse than the best."""

    strategy: str
    worse_by: float
    """Difference of the mean scores, in the metric's own unit; of the runs that learned, else of all where none of a side
    did."""


class Unsettled(Part):
    """A strategy that is neither shown to be as good as the best nor ruled out, and so may be the better choice."""

    strategy: str
    why: Why
    what: str = ""
    """Where confounded, what else differs; with few seeds, how many runs learned; else empty."""


class Hopeless(Part):
    """A strategy for which no number of new seeds, on these examples, can be given that would decide it."""

    strategy: str
    why: WhyNone
    """Why no number of seeds is given."""
    examples: int
    """How many the reported split has."""
    examples_needed: int | None
    """How many would decide it with the present number of seeds; None where no number would."""


class WouldTell(Part):
    """What would decide the inconclusive strategies: a new experiment, or the next declared look (number of seeds)."""

    strategies: list[str]
    """For a new experiment, those that take part, the best first as the baseline; for a look, those whose runs it waits
    for."""
    look: int | None = None
    """Number of the next look; None for a new experiment."""
    seeds: int
    """For a new experiment, new seeds of each strategy; for a look, the seeds that each will have then."""
    runs: int
    seconds: float | None
    """Duration of all these runs together, by what the recorded ones took; None where no time is recorded."""
    chance_of_worse: float | None
    """The probability that a strategy which is worse than the best by the margin is found worse; the smallest of several. None
    for a look."""
    chance_of_as_good: float | None
    """The probability that a strategy which is equal to the best is shown as good; the smallest of several. None for a
    look."""
    chance_of_decision: float | None = None
    """For a look, the probability of a decision by the last one; the smallest of the strategies that wait."""
    hopeless: list[Hopeless] = Field(default_factory=list)
    """Inconclusive strategies that the new experiment leaves out, since it might not decide them."""


class Recommendation(Part):
    """Which strategy of one comparison group to take, made from verdicts and costs and nothing else."""

    task: str
    model: str
    at: str = ""
    """Where a recipe key varies, the value that this is about: `train_examples all`."""
    take: str | None
    """The strategy to take; None where there is not enough evidence to recommend anything."""
    reason: Literal["cheaper and as good", "best", "none"]
    """`best`: the best mean score, where nothing cheaper is shown to be as good."""
    why_none: str = ""
    """Why nothing is recommended, as the end of a sentence; empty where something is."""
    best: str | None = None
    """The strategy with the best mean score, of at least three runs that learned."""
    best_score: float | None = None
    take_score: float | None = None
    """The mean score of `take`, as `best_score`."""
    margin: float | None = None
    """A strategy is as good as the best where it is shown not worse by more than this, in the metric's own unit."""
    measure: Measure | None = None
    """The cost by which strategies are called cheaper; None where no cost of training can be compared."""
    times_cheaper: float | None = None
    """The cost of training the best over that of `take`, with its 95 % interval; None where the best is taken."""
    times_cheaper_low: float | None = None
    times_cheaper_high: float | None = None
    identical: bool = False
    """Whether `take` is another strategy than the best and made the same predictions throughout."""
    as_good: list[str] = Field(default_factory=list)
    """Other strategies that are shown to be as good as the best, and not shown to be cheaper than `take`."""
    ruled_out: list[RuledOut] = Field(default_factory=list)
    dearer: list[str] = Field(default_factory=list)
    """Strategies that are not shown to differ from the best, and no cheaper than `take`: nothing speaks for them."""
    unsettled: list[Unsettled] = Field(default_factory=list)
    would_tell: WouldTell | None = None
    """What would decide the strategies in `open`; None where there are none, and where too little is recorded to tell."""
    cautions: list[str] = Field(default_factory=list)
    """Sentences on what should make a reader doubt the recommendation."""
    headline: str = ""
    """What to take and why: the beginning of `sentence`."""
    sentence: str = ""
    """The whole recommendation in words."""

    @property
    def rest(self) -> str:
        """The sentence without its headline: what is as good, ruled out or open, what would decide it, and cautions."""
        return self.sentence.removeprefix(self.headline).strip()

    @property
    def open(self) -> list[str]:
        """Strategies that are inconclusive against the best, and cheaper than `take` or of unknown cost."""
        return [one.strategy for one in self.unsettled if one.why == "inconclusive"]


def in_words(found: Recommendation, *, metric: str, figures: Figures, higher_is_better: bool) -> Recommendation:
    """The recommendation with the sentences that tell it."""
    headline = _head(found, metric, figures, "highest" if higher_is_better else "lowest")
    headline = f"At {found.at}: {headline[0].lower()}{headline[1:]}" if found.at else headline
    parts = [
        headline,
        *(
            [f"As good{', and not shown to be cheaper' * (found.measure is not None)}: {listed(found.as_good)}."]
            if found.as_good
            else []
        ),
        *_ruled_out(found, figures),
        *_open(found, figures),
        *_unsettled(found),
        *found.cautions,
    ]
    return found.model_copy(update={"headline": headline, "sentence": " ".join(parts)})


def _head(found: Recommendation, metric: str, figures: Figures, way: str) -> str:
    if found.take is None or found.best is None:
        return f"Nothing is recommended: {found.why_none}."
    score = figures.number(found.best_score)
    if found.take == found.best:
        return f"Take {found.best}: the {way} mean {metric} ({score}){_why_no_cheaper(found, figures)}."
    assert found.measure is not None
    margin = "" if found.margin is None else figures.as_declared(found.margin)
    good = (
        f"its predictions are all those of the best ({found.best}, {score})"
        if found.identical
        else f"shown not worse than the best ({found.best}, {score}) by more than the margin of {margin}"
    )
    own = "" if found.identical else f" ({figures.number(found.take_score)})"
    return f"Take {found.take}{own}: {good}, and {_times(found)} cheaper to train ({MEASURES[found.measure]})."


def _times(found: Recommendation) -> str:
    assert found.times_cheaper is not None
    return f"{with_decimals(found.times_cheaper, 1 if found.times_cheaper >= 1.95 else 2)} times"


def _why_no_cheaper(found: Recommendation, figures: Figures) -> str:
    """Why no cheaper strategy is taken in place of the best, as the end of the headline."""
    if found.measure is None:
        return "; which one is cheaper to train is not known"
    if any(one.why not in ("none learned", "not compared") for one in found.unsettled):
        if found.margin is None:
            return "; without a margin, nothing cheaper can be shown to be as good"
        return f"; nothing cheaper is shown to be as good yet, within the margin of {figures.as_declared(found.margin)}"
    return f"; nothing that is as good is cheaper to train ({MEASURES[found.measure]})"


def _ruled_out(found: Recommendation, figures: Figures) -> Iterator[str]:
    if found.ruled_out:
        by = sorted(one.worse_by for one in found.ruled_out)
        least, most = figures.alone(by[0]), figures.with_unit(by[-1])
        amount = most if len(by) == 1 or figures.alone(by[-1]) == least else f"{least} to {most}"
        yield f"Ruled out: {listed([one.strategy for one in found.ruled_out])} (worse by {amount} than {found.best})."


def _open(found: Recommendation, figures: Figures) -> Iterator[str]:
    if not found.open:
        return
    told = f"Open: {listed(found.open)} against {found.best}"
    tell = found.would_tell
    if tell is None:
        yield f"{told}."
        return
    for one in tell.hopeless:
        told += f"; {_hopeless(one, several=len(found.open) > 1)}"
    if tell.strategies:
        told += f"; {_would_tell(found, tell, figures)}"
    yield f"{told}."


def _hopeless(one: Hopeless, *, several: bool) -> str:
    for_it = f" for {one.strategy}" if several else ""
    more = f"; about {one.examples_needed:,} examples would" if one.examples_needed else ""
    if one.why == "too many":
        return f"it would take more than {MOST_SEEDS:,} seeds to tell{for_it}"
    if one.why == "unknown":
        return f"whether any number of seeds would tell{for_it} on these {one.examples:,} examples is not known{more}"
    return f"no number of seeds would tell{for_it} on these {one.examples:,} examples{more}"


def _would_tell(found: Recommendation, tell: WouldTell, figures: Figures) -> str:
    long = f", about {duration(tell.seconds)}" if tell.seconds is not None else ""
    if tell.look is not None:
        chance = (
            "" if tell.chance_of_decision is None else f", with a chance of {per_cent(tell.chance_of_decision)} by the last"
        )
        return f"look {tell.look}, at {tell.seeds} seeds ({count(tell.runs, 'more run')}{long}), goes on with them{chance}"
    assert found.margin is not None
    assert tell.chance_of_worse is not None
    assert tell.chance_of_as_good is not None
    return (
        f"a new experiment of {listed(tell.strategies)}, the first as the baseline, with {tell.seeds:,} fresh seeds each "
        f"({count(tell.runs, 'run')}{long}) would find one that is {figures.as_declared(found.margin)} worse with a "
        f"chance of {per_cent(tell.chance_of_worse)}, and show one that is equal to be as good with "
        f"{per_cent(tell.chance_of_as_good)}"
    )


def _unsettled(found: Recommendation) -> Iterator[str]:
    """Sentences on the strategies that are not settled for another reason than an inconclusive test, one for each reason."""
    reasons = grouped((one.why, one) for one in found.unsettled if one.why != "inconclusive")
    against = f" with {found.best}" if found.best else ""
    for why, those in reasons.items():
        names = listed([one.strategy for one in those])
        with_what = listed([f"{one.strategy} ({one.what})" if one.what else one.strategy for one in those])
        yield {
            "confounded": f"Confounded{against}, so that nothing can be said of the cause: {with_what}.",
            "withheld": f"Withheld, since seeds or looks changed, or experiments were pooled, with results known: {names}.",
            "few seeds": f"Too few runs that learned to judge: {with_what}.",
            "not tested": f"Not tested against {found.best}: {names}; a new experiment with {found.best} as the baseline does.",
            "not compared": f"Not compared: {names}.",
            "none learned": f"No run learned: {names}.",
        }[why]


def across_groups(found: Sequence[Recommendation], titles: Iterable[str]) -> str:
    """One line on several comparison groups: which strategy is recommended where. For a single group, its whole sentence."""
    if len(found) == 1:
        return found[0].sentence
    takes = grouped((one.take, title) for one, title in zip(found, titles, strict=True))
    if not takes:
        return ""
    if len(takes) == 1 and None not in takes:
        where = "both" if len(found) == 2 else f"all {len(found)}"
        return f"Take {next(iter(takes))}, in {where} comparison groups."
    named = {take: where for take, where in takes.items() if take is not None}
    parts = [f"{take} on {listed(where)}" for take, where in sorted(named.items(), key=lambda one: -len(one[1]))]
    told = [f"Take {'; '.join(parts)}."] if parts else []
    if None in takes:
        told.append(f"Nothing is recommended on {listed(takes[None])}.")
    return " ".join(told)
