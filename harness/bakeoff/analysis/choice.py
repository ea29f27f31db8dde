"""Which strategy of a comparison group to take: the cheapest of those that are shown to be as good as the best.

*The best* is the strategy with the best mean score, of those with at least three runs that learned. A strategy is *as good* if
it is shown not worse than the best by more than the margin: one-sided, at 5 % over all pairs, since the data pick the best;
over the comparisons with the baseline where the best is the baseline. Where a run of either collapsed or failed, this must be
shown twice: with such runs counted as the majority baseline, and with them left out. A strategy is *cheaper* if the whole
interval of the costs' ratio says so (`training_costs.py`). Where nothing cheaper is shown to be as good, the best is taken. A
comparison that is confounded, withheld or not tested shows nothing, and so recommends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.hardly_learned import hardly_learned
from bakeoff.analysis.prepared_group import PreparedGroup
from bakeoff.analysis.recommendation import Hopeless, Recommendation, RuledOut, Unsettled, WouldTell, in_words
from bakeoff.analysis.results import Pair, Row
from bakeoff.analysis.training_costs import TrainingCosts, training_costs
from bakeoff.analysis.verdicts import LEAST_SEEDS
from bakeoff.analysis.withholding import mark_of, without_p
from bakeoff.contracts.configured import canonical
from bakeoff.records.history import changed_question
from bakeoff.statistics.intervals import ALPHA
from bakeoff.statistics.power import chances
from bakeoff.statistics.sample_size import Question, from_pilot
from bakeoff.statistics.twoway import TwoWay
from bakeoff.text.numbers import count
from bakeoff.text.values import listed

NEAR_MARGINS = 2
"""A best score within so many margins of the end of the metric's range is near it. There, the strategy taken in place of the
best is worse by the margin in up to 20 % of simulated experiments (99 % accuracy, a margin of 1 point)."""


def recommend(prepared: PreparedGroup, group: ComparisonGroup) -> Recommendation:
    """The recommendation for a judged group; where a recipe key varies, for the value that its baseline has."""
    baseline_of = prepared.layout.baseline_of
    rows = [row for row in group.rows if baseline_of[row.strategy] == group.baseline]
    choice = Choice(prepared, group.model_copy(update={"rows": rows}))
    found = choice.recommendation() if choice.best is not None else choice.nothing()
    at = f"{group.vary.key} {group.vary.word(place)}" if group.vary and (place := _place(group)) is not None else ""
    found = found.model_copy(update={"at": at})
    return in_words(found, metric=group.metric, figures=group.figures, higher_is_better=group.higher_is_better)


def _place(group: ComparisonGroup) -> int | None:
    """Where a key varies, the place of the baseline's value among its values; else None."""
    return group.vary.place_of.get(group.baseline) if group.vary else None


def unscored(group: ComparisonGroup) -> Recommendation:
    """The recommendation for a group in which no run is scored on the reported split: nothing."""
    found = _nothing(group, f"no run is scored on {group.split}")
    return in_words(found, metric=group.metric, figures=group.figures, higher_is_better=group.higher_is_better)


def _nothing(group: ComparisonGroup, why: str) -> Recommendation:
    return Recommendation(task=group.task, model=group.model, take=None, reason="none", why_none=why, margin=group.margin)


@dataclass(frozen=True)
class Choice:
    """The choice within one judged group."""

    prepared: PreparedGroup
    group: ComparisonGroup

    # --- who takes part --------------------------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Strategy -> row, of the rows that are compared with each other: those in the baseline's ranking, with a score and
        predictions, without A/A arms."""
        sides = self.prepared.sides if self.prepared.judges else {}
        return {
            row.strategy: row
            for row in self.candidates
            if row.ranking == 0 and row.strategy in sides and self.group.score(row) is not None
        }

    @cached_property
    def candidates(self) -> list[Row]:
        """All rows but A/A arms, which only repeat another strategy and are no choice of their own."""
        return [row for row in self.group.rows if row.strategy not in self.arms]

    @cached_property
    def arms(self) -> dict[str, str]:
        """A/A arm -> the strategy that it repeats with other random numbers, to see what chance alone does."""
        succeeded, known, arms = self.prepared.layout.succeeded, dict[str, str](), dict[str, str]()
        asked = {row.strategy: [record.requested for record in succeeded[row.strategy]][:1] for row in self.group.rows}
        for name in sorted(asked, key=lambda name: [one.replicate for one in asked[name]]):
            for one in asked[name]:
                trained = canonical(one.model_dump(include={"model", "method", "trainer", "recipe", "select"}))
                if known.setdefault(trained, name) != name and one.replicate:
                    arms[name] = known[trained]
        return arms

    @cached_property
    def judged(self) -> dict[str, float]:
        """Strategy -> mean score, of those with at least three runs that learned; one is enough of a strategy that
        does not depend on the seed."""
        rows = {
            name: row for name, row in self.rows.items() if len(row.learned) >= LEAST_SEEDS or (row.seed_free and row.learned)
        }
        return {name: score.mean for name, row in rows.items() if (score := self.group.score(row)) is not None}

    @cached_property
    def withheld(self) -> dict[str, str]:
        """Strategy -> why its p-values do not hold, as a clause."""
        return {name: why for name, why in without_p(self.prepared.experiment).items() if name in self.rows}

    @cached_property
    def highest(self) -> str | None:
        """The strategy with the best mean score, of equal ones the baseline, else the first; None where none has enough
        runs."""
        sign = 1 if self.group.higher_is_better else -1
        return max(self.judged, key=lambda name: (sign * self.judged[name], name == self.group.baseline), default=None)

    @cached_property
    def best(self) -> str | None:
        """The strategy with the best mean score; None where it may not be called the best: it has nothing to be compared with,
        no look was taken, or its p-values are withheld."""
        alone = len(self.rows) < 2
        return None if alone or self._untested or self.highest in self.withheld else self.highest

    @property
    def _untested(self) -> bool:
        """Whether looks, numbers of seeds at which pairs are judged, are declared and none was taken."""
        return self.group.looks is not None and not self.group.looks.taken

    def nothing(self) -> Recommendation:
        """A recommendation of nothing, with the reason."""
        group, few = self.group, [Unsettled(strategy=name, why="few seeds", what=what) for name, what in self.few.items()]
        if not self.prepared.judges:
            why = f"{group.metric} says nothing on {group.split}"
        elif len(self.candidates) < 2:
            why = f"there is only {self.candidates[0].strategy}, and nothing to choose from"
        elif len(self.rows) < 2:
            why = "there are no two strategies to compare"
        elif self._untested:
            why = "no look has been taken yet, so that nothing is tested"
        elif self.highest is None:
            why, few = f"no strategy has {LEAST_SEEDS} runs that learned, and fewer are an anecdote", []
        else:
            why = f"{self.highest} has the best mean, and {self.withheld[self.highest]}"
        return _nothing(group, why).model_copy(update={"unsettled": few, "cautions": list(self._missing())})

    @cached_property
    def few(self) -> dict[str, str]:
        """Strategy -> how many of its runs learned, in words, of strategies with too few such runs but some."""
        rows = {name: row.learned for name, row in self.rows.items() if name not in self.judged and row.learned}
        return {name: count(len(seeds), "run") for name, seeds in rows.items()}

    # --- what is shown of them -------------------------------------------------------------------------------------------

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        """Strategy -> its pair with the best, from the family of comparisons that holds: those with the baseline, where the
        best is a baseline that was declared before the runs; else all pairs, since the data picked what is compared."""
        changed = changed_question(self.prepared.experiment.declared, self.group.task)
        declared = self.best == self.group.baseline and not any(what.startswith("baseline") for what in changed)
        family = self.group.to_baseline if declared else self.group.all_pairs
        found = {(pair.second if pair.first == self.best else pair.first): pair for pair in family if self.best in _names(pair)}
        if not declared and self.prepared.experiment.declared.looks:  # pairs of ranks are judged from five seeds on
            return {name: pair for name, pair in found.items() if pair.look is not None}
        return found

    def is_as_good(self, name: str) -> bool:
        """Whether a strategy is shown not worse than the best by more than the margin, both with and without the runs that
        collapsed or failed."""
        pair = self.pairs.get(name)
        if pair is None or self._margin_moved or pair.verdict in ("confounded", "withheld"):
            return False
        if pair.finding == "identical":
            return True
        side = _names(pair).index(name)
        ways = [pair.not_worse_p, *([pair.all_runs.not_worse_p] if pair.all_runs else [])]
        enough = min(pair.seeds) >= LEAST_SEEDS or pair.over_examples_alone
        return enough and all(p is not None and p[side] < ALPHA for p in ways)

    @cached_property
    def _margin_moved(self) -> bool:
        """Whether the margin was changed when results were known: it may have been chosen for the conclusion that it
        allows."""
        changed = changed_question(self.prepared.experiment.declared, self.group.task)
        return any(what.startswith("margin") for what in changed)

    def is_worse(self, name: str) -> bool:
        """Whether a strategy is shown worse than the best, both with and without the runs that collapsed or failed."""
        pair = self.pairs.get(name)
        if pair is None:
            return False
        shown = pair.all_runs.finding if pair.all_runs else pair.verdict
        return shown == ("worse" if pair.first == name else "better")

    def loss(self, name: str) -> float:
        """By how much a strategy's mean is worse than that of the best, in the metric's own unit; above 0 where it is
        worse."""
        pair, sign = self.pairs[name], 1 if self.group.higher_is_better else -1
        difference = pair.difference
        if not pair.tested and pair.all_runs and pair.all_runs.difference is not None:
            difference = pair.all_runs.difference
        return -sign * difference if pair.first == name else sign * difference

    @cached_property
    def costs(self) -> TrainingCosts | None:
        assert self.best is not None
        others = [name for name in self.judged if name != self.best]
        layout, controls = self.prepared.layout, self.prepared.experiment.controls
        return training_costs(layout.succeeded, self.best, others, self.prepared.timings, controls)

    def is_cheaper(self, name: str, than: str) -> bool:
        return self.costs is not None and self.costs.is_cheaper(name, than)

    # --- the choice ------------------------------------------------------------------------------------------------------

    @cached_property
    def take(self) -> str:
        """The strategy to take: the cheapest of those that are as good as the best and cheaper, of equally cheap ones that
        with the best mean; the best where there are none."""
        assert self.best is not None
        good = [
            name for name in self.judged if name != self.best and self.is_as_good(name) and self.is_cheaper(name, self.best)
        ]
        if not good or self.costs is None:
            return self.best
        sign = 1 if self.group.higher_is_better else -1
        return max(self.costs.cheapest(good), key=lambda name: sign * self.judged[name])

    def recommendation(self) -> Recommendation:
        assert self.best is not None
        others = [row.strategy for row in self.candidates if row.strategy not in (self.best, self.take)]
        worse = [name for name in others if self._is_ruled_out(name)]
        good = [name for name in others if name in self.judged and self.is_as_good(name)]
        unsettled = [self._unsettled(name) for name in others if name not in {*worse, *good}]
        dearer = [one.strategy for one in unsettled if one.why == "inconclusive" and not self._may_be_cheaper(one.strategy)]
        left = [one for one in unsettled if one.strategy not in dearer]
        cheaper = self.take != self.best and self.costs is not None
        times = self.costs.times_cheaper(self.take, self.best) if cheaper and self.costs else (None, None, None)
        found = Recommendation(
            task=self.group.task,
            model=self.group.model,
            take=self.take,
            reason="cheaper and as good" if cheaper else "best",
            best=self.best,
            best_score=self.judged[self.best],
            take_score=self.judged[self.take],
            margin=self.group.margin,
            measure=self.costs.measure if self.costs else None,
            times_cheaper=times[0],
            times_cheaper_low=times[1],
            times_cheaper_high=times[2],
            identical=cheaper and self.pairs[self.take].finding == "identical",
            as_good=good,
            ruled_out=[RuledOut(strategy=name, worse_by=self.loss(name)) for name in worse],
            dearer=dearer,
            unsettled=left,
            cautions=[*self._little_learned(worse), *self._cautions()],
        )
        return found.model_copy(update={"would_tell": self._would_tell(found.open)})

    def _is_ruled_out(self, name: str) -> bool:
        """Whether a strategy is shown worse than the best. Not where it is worse by less than the margin and may be cheaper:
        it may still be as good."""
        if not self.is_worse(name):
            return False
        margin = self.group.margin
        return margin is None or self.loss(name) >= margin or not self._may_be_cheaper(name)

    def _may_be_cheaper(self, name: str) -> bool:
        """Whether a strategy is cheaper than the one that is taken, or its cost is not known."""
        known = self.costs is not None and name in self.costs.amounts
        return not known or self.is_cheaper(name, self.take)

    def _unsettled(self, name: str) -> Unsettled:
        pair, row = self.pairs.get(name), self.rows.get(name)
        if row is None:
            return Unsettled(strategy=name, why="not compared")
        if name in self.withheld or (pair is not None and pair.verdict == "withheld"):
            return Unsettled(strategy=name, why="withheld")
        if not row.learned:
            return Unsettled(strategy=name, why="none learned")
        if name in self.few:
            return Unsettled(strategy=name, why="few seeds", what=self.few[name])
        if pair is None:
            return Unsettled(strategy=name, why="not tested")
        if pair.verdict == "confounded":
            return Unsettled(strategy=name, why="confounded", what=listed([fact.subject for fact in pair.confounders]))
        return Unsettled(strategy=name, why="inconclusive")

    def _little_learned(self, worse: Sequence[str]) -> Iterator[str]:
        """A caution about those of the strategies that were ruled out which have hardly learned."""
        tries = self.prepared.experiment.declared.trials
        little = hardly_learned(self.group, self.prepared.layout.succeeded, tries)
        if names := [name for name in worse if name in little]:
            have, them = ("has", "it") if len(names) == 1 else ("have", "them")
            yield (
                f"{listed(names)} {have} hardly learned: another learning rate, or more steps, may do far better, so this "
                f"does not rule {them} out as a method."
            )

    def _cautions(self) -> Iterator[str]:
        changed = changed_question(self.prepared.experiment.declared, self.group.task)
        if self._margin_moved:
            yield "The margin was changed when results were known, so that nothing is called as good by it."
        elif changed:
            yield mark_of(changed)
        if self.take != self.best and self._near_the_end:
            yield (
                f"So near the end of the range of {self.group.metric}, seeds are skewed: what is shown as good may be worse by "
                "the margin after all, in up to 20 % of simulated experiments."
            )
        for arm, repeated in self.arms.items():
            yield f"{arm} repeats {repeated} with other random numbers, so that it is no choice of its own."
        if once := [name for name in (self.take, self.best) if name in self.prepared.terms.chosen_once]:
            names = list(dict.fromkeys(once))
            yield f"This is about the configuration{'s' * (len(names) > 1)} that one search chose for {listed(names)}."
        for name in dict.fromkeys((self.take, self.best)):
            share = self.rows[name or ""].unlearned
            if share is not None and share.number:
                yield f"Runs of {name} that collapsed or failed: {share.words}."
        if self.costs is not None and (unknown := [name for name in self.judged if name not in self.costs.amounts]):
            yield f"What {listed(unknown)} cost{'s' * (len(unknown) == 1)} to train cannot be compared."
        yield from self._missing()

    @property
    def _near_the_end(self) -> bool:
        """Whether the best strategy's mean score is within two margins of the best possible score (100 %, say)."""
        unit, margin = self.group.unit, self.group.margin
        end = unit.high if self.group.higher_is_better else unit.low
        return end is not None and margin is not None and abs(end - self.judged[self.best or ""]) <= NEAR_MARGINS * margin

    def _missing(self) -> Iterator[str]:
        if self.group.looks is not None:
            return
        missing = sum(len(row.missing) for row in self.group.rows)
        if missing:
            needed = sum(len(row.needed) for row in self.group.rows)
            yield f"{missing:,} of {count(needed, 'declared run')} are not recorded, so that this may change."

    # --- what would tell -------------------------------------------------------------------------------------------------

    def _would_tell(self, names: Sequence[str]) -> WouldTell | None:
        """What would decide these inconclusive strategies: the next declared look, else a new experiment with them and the
        best. None where there are none, or too little is known."""
        if not names:
            return None
        looks = self.group.looks
        if looks is not None and looks.waiting:
            chance = [pair.look.chance for name in names if (pair := self.pairs[name]).look and pair.look.chance is not None]
            runs = [name for name, seeds in looks.waiting.items() for _ in seeds]
            return WouldTell(
                strategies=list(looks.waiting),
                look=len(looks.taken) + 1,
                seeds=looks.declared[len(looks.taken)],
                runs=len(runs),
                seconds=self._seconds(runs),
                chance_of_worse=None,
                chance_of_as_good=None,
                chance_of_decision=min(chance, default=None),
            )
        return self._new_experiment(names)

    def _new_experiment(self, names: Sequence[str]) -> WouldTell | None:
        """The new experiment that would decide these strategies against the best, sized by the variance components of the
        recorded runs as `bakeoff plan --resolve` does. None without a margin, or without such components."""
        assert self.best is not None
        margin, prepared = self.group.margin, self.prepared
        if margin is None:
            return None
        found = {name: prepared.measures.compare(name, self.best) for name in names}
        known = {name: one.estimate for name, one in found.items() if isinstance(one.estimate, TwoWay)}
        if not known:
            return None
        comparisons = len({found[name].family_key for name in known})
        needs = [
            from_pilot(
                Question(
                    difference=margin * self.group.unit.scale,
                    metric=self.group.metric,
                    unit=self.group.unit,
                    seeds=found[name].least_seeds,
                    comparisons=comparisons,
                    rows=found[name].rows,
                ),
                (self.group.task, self.group.model, name),
                estimate,
                where="",
            )
            for name, estimate in known.items()
        ]
        numbers = {need.strategy: need.seeds for need in needs if need.seeds is not None}
        hopeless = [
            Hopeless(
                strategy=need.strategy,
                why=need.why_none,
                examples=known[need.strategy].examples,
                examples_needed=need.examples_needed,
            )
            for need in needs
            if need.seeds is None
        ]
        seeds = max([LEAST_SEEDS, *numbers.values()])
        strategies = [self.best, *numbers] if numbers else []
        expected = [
            chances(
                known[name].budget,
                seeds,
                margin,
                examples=known[name].examples,
                comparisons=comparisons,
                rows=found[name].rows,
            )
            for name in numbers
        ]
        runs = [name for name in strategies for _ in range(seeds)]
        return WouldTell(
            strategies=strategies,
            seeds=seeds if numbers else 0,
            runs=len(runs),
            seconds=self._seconds(runs),
            chance_of_worse=min((one.better for one in expected), default=None),
            chance_of_as_good=min((one.equivalent for one in expected), default=None),
            hopeless=hopeless,
        )

    def _seconds(self, runs: Sequence[str]) -> float | None:
        """The seconds that new runs would take, by the median of each strategy's recorded runs; None where one has no times.
        runs: the strategy of each run."""
        succeeded = self.prepared.layout.succeeded
        times = {name: [record.cost.total_seconds for record in succeeded[name] if record.cost] for name in dict.fromkeys(runs)}
        return sum(median(times[name]) for name in runs) if runs and all(times.values()) else None


def _names(pair: Pair) -> tuple[str, str]:
    return pair.first, pair.second
