"""What each comparison of a plan will be able to conclude, before any run: for `bakeoff check`, `plan` and `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bakeoff.analysis.planned_pairs import PlannedPair, PlannedRun, PlannedStrategy, planned_pairs
from bakeoff.contracts.trainer import Trainer
from bakeoff.planning.runs import Plan, ResolvedStrategy, Run
from bakeoff.text.values import grouped, listed, yaml_value

MOST_LINES = 6
"""About so many lines on comparisons are printed, one for all that are about the same; the rest are counted."""


def pairs_of(plan: Plan) -> list[PlannedPair]:
    """Every pair of strategies of the plan, those with the baseline first."""
    return planned_pairs(
        {strategy.name: _planned(plan, strategy) for strategy in plan.strategies},
        plan.baseline,
        plan.spec.under_test or [],
        plan.spelt_out or {},
        plan.vary,
    )


def _planned(plan: Plan, strategy: ResolvedStrategy) -> PlannedStrategy:
    runs = []
    for variant in strategy.variants:
        run = Run(plan.spec.name, plan.tasks[0], plan.model_of(variant), variant, plan.spec.seeds.numbers[0], plan.spec.select)
        trainer: Trainer = variant.trainer.registered.component
        options, keys = variant.trainer.options, trainer.claims(variant.trainer.options)
        claims = None if keys is None else {key: getattr(variant.recipe, key) for key in keys}
        runs.append(PlannedRun(run.requested, sorted(trainer.owned(variant.recipe, options)), claims))
    if strategy.tuning is None:
        return PlannedStrategy(runs)
    return PlannedStrategy(runs, strategy.tuning.space.parts, strategy.tuning.owner)


def comparison_lines(plan: Plan) -> list[str]:
    """Sentences on what each comparison with the baseline is about, one for all that are about the same; then which pairs will
    end without a verdict, and the remedy."""
    if len({strategy.written for strategy in plan.strategies}) < 2:
        return [_nothing_compared(plan)]
    pairs = pairs_of(plan)
    to_baseline = [pair for pair in pairs if pair.second in plan.baselines]
    lines = [f"{named}: {what}" for named, what in _together(plan, to_baseline, _conclusion)]
    if any(len(pair.studied) > 1 and not _trouble(pair) for pair in to_baseline):
        lines.append(f"a strategy that differs from {plan.baseline_alone} in only one of them would tell which")
    if troubled := [pair for pair in pairs if _trouble(pair)]:
        others = [pair for pair in troubled if pair.second not in plan.baselines]
        if others:
            named = listed([f"{pair.first} against {pair.second}" for pair in others], most=5)
            lines.append(f"other pairs that will end without a verdict: {named}")
        lines.append(_remedy(plan, troubled))
    return lines


def confounded_lines(plan: Plan) -> list[str]:
    """Cautions on comparisons with the baseline that will end without a verdict, and the remedy; empty where there are none."""
    troubled = [pair for pair in pairs_of(plan) if pair.second in plan.baselines and _trouble(pair)]
    if not troubled:
        return []
    return [*(f"caution: {named}: {what}" for named, what in _together(plan, troubled, _trouble)), _remedy(plan, troubled)]


def comparisons(plan: Plan) -> list[dict[str, object]]:
    """Each pair for `plan --json`: what it is about, and what will or may confound it."""
    return [
        {
            "first": pair.first,
            "second": pair.second,
            "about": list(pair.studied),
            "confounded_by": [fact.sentence() for fact in pair.confounders],
            "may_be_confounded_by": [fact.subject for fact in pair.maybe],
            "not_ranked": pair.apart,
        }
        for pair in pairs_of(plan)
    ]


def _together(plan: Plan, pairs: Iterable[PlannedPair], told: Callable[[PlannedPair], str]) -> list[tuple[str, str]]:
    """Pairs of which the same is told, in one entry: (`lora and bitfit against full`, that text). told: pair -> its text."""
    strategy_of = plan.vary.strategy_of if plan.vary else {}
    alike = grouped(((strategy_of.get(pair.second, pair.second), told(pair)), pair) for pair in pairs)
    found = []
    for (second, what), own in alike.items():
        names = dict.fromkeys(strategy_of.get(pair.first, pair.first) for pair in own)
        found.append((f"{listed(names, most=5)} against {second}{_where(plan, own)}", what))
    if len(found) <= MOST_LINES + 1:
        return found
    return [*found[:MOST_LINES], (f"{len(found) - MOST_LINES} more kinds of pair", "`bakeoff plan --json` lists them")]


def _where(plan: Plan, pairs: Sequence[PlannedPair]) -> str:
    """The end of a phrase: at which values of the recipe key that varies the pairs are; empty where no key varies."""
    if plan.vary is None:
        return ""
    places = sorted({plan.vary.place_of[pair.second] for pair in pairs})
    if len(places) == len(plan.vary.values):
        return f", at each value of {plan.vary.key}"
    return f", at {plan.vary.key} {listed(map(plan.vary.word, places), most=5)}"


def _conclusion(pair: PlannedPair) -> str:
    if trouble := _trouble(pair):
        return trouble
    if not pair.studied:
        return "the same strategy twice, so that it shows what chance alone does"
    if len(pair.studied) == 1:
        return f"about {pair.studied[0]} alone"
    return f"about {listed(pair.studied)} as a whole; which of them did it can't be told"


def _trouble(pair: PlannedPair) -> str:
    """Why the pair will end without a verdict; empty where nothing is known against one."""
    if pair.confounders:
        return f"will end confounded by {listed(fact.sentence() for fact in pair.confounders)}"
    if pair.apart:
        return f"will not be ranked together: they train on {pair.apart}"
    if pair.maybe:
        return f"will end confounded by {listed(fact.subject for fact in pair.maybe)} if the search chooses differently"
    return ""


def _remedy(plan: Plan, troubled: Sequence[PlannedPair]) -> str:
    """What to write in the file so that these pairs can be judged."""
    parts = list(dict.fromkeys(part for pair in troubled for part in pair.to_declare))
    whole = yaml_value(list(dict.fromkeys([*(plan.spec.under_test or []), *parts])))
    return (
        f"make equal what confounds them; or, if you study that too, write `under_test: {whole}`, or leave `under_test` out: "
        "then all that strategies spell out is under test"
    )


def _nothing_compared(plan: Plan) -> str:
    if len(plan.models) > 1:
        whole = yaml_value([*(plan.spec.under_test or []), "model"])
        return f"nothing is compared: each model has a table of its own; `under_test: {whole}` puts them into one"
    return "nothing is compared: there is one strategy"
