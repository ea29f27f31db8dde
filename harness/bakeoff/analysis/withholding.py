"""What may still be said of pairs once seeds, looks or the question were changed with results known.

Of strategies whose seeds or looks were changed, or whose runs are pooled from several experiments, no p-value holds and no
verdict is given. Where the question was changed, say
its margin or baseline, the verdict stands and is marked: the question may have been chosen for its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bakeoff.analysis.findings import SliceScore
from bakeoff.analysis.results import Checks, Pair
from bakeoff.contracts.unit import Figures
from bakeoff.records.experiment import Experiment
from bakeoff.records.history import changed_question, reseeded
from bakeoff.text.values import listed

WITHHELD = "withheld"


def without_p(experiment: Experiment) -> dict[str, str]:
    """Strategy -> why its p-values do not hold; strategies whose p-values hold are left out."""
    found = dict.fromkeys(experiment.by_looks, "seeds were run look by look for a comparison within their own experiment")
    found |= {
        row: f"the runs of {row} are pooled from {listed(names)}, which were declared apart"
        for row, names in experiment.pooled.items()
    }
    return found | dict.fromkeys(reseeded(experiment.declared), "seeds were changed when results were known")


def with_history(pairs: Iterable[Pair], experiment: Experiment, task: str, metric: str, figures: Figures) -> list[Pair]:
    """The pairs of one task, without p-value and verdict where no p-value holds, and marked where their question was
    changed."""
    reasons, changed = without_p(experiment), changed_question(experiment.declared, task)
    found = list[Pair]()
    for pair in pairs:
        why = next((reasons[row] for row in (pair.first, pair.second) if row in reasons), "")
        found.append(_withheld(pair, metric, figures, why) if why else pair)
    return [_marked(pair, changed) for pair in found] if changed else found


def _withheld(pair: Pair, metric: str, figures: Figures, why: str) -> Pair:
    """The pair without p-values and verdict. One with identical predictions stays as it is, and a confounded one stays
    confounded. why: the reason, as the end of a sentence."""
    if pair.finding == "identical":
        return pair
    told = pair.sentence
    if not pair.confounders:
        amount = figures.amount(abs(pair.difference), metric)
        way = f"{amount} {'higher' if pair.difference > 0 else 'lower'}" if pair.difference else f"the same mean {metric}"
        told = f"{pair.first} against {pair.second} is withheld: {way}, and no p-value holds, since {why}."
        if pair.all_runs:
            first, second = pair.all_runs.first.words, pair.all_runs.second.words
            told += f" Collapsed or failed: {first} of {pair.first}, {second} of {pair.second}."
    kept = pair.checks.model_dump(include={"seed_correlation", "probability_of_improvement"})
    return pair.model_copy(
        update={
            "p": None,
            "p_adjusted": None,
            "equivalence_p": None,
            "not_worse_p": None,
            "checks": Checks(**kept),
            "finding": WITHHELD,
            "verdict": "confounded" if pair.confounders else WITHHELD,
            "note": "",
            "advice": "a new experiment with new seeds, to which these records are a pilot only",
            "sentence": told,
            "all_runs": pair.all_runs
            and pair.all_runs.model_copy(
                update={"p_adjusted": None, "not_worse_p": None, "finding": WITHHELD, "sentence": "All runs: withheld."}
            ),
        }
    )


def _marked(pair: Pair, changed: list[str]) -> Pair:
    if pair.finding in ("identical", WITHHELD):
        return pair.model_copy(update={"question_changed": changed})
    return pair.model_copy(update={"question_changed": changed, "sentence": f"{pair.sentence} {mark_of(changed)}"})


def mark_of(changed: Sequence[str]) -> str:
    """The sentence that marks a verdict whose question was changed."""
    return f"This was not the question from the start: {listed(changed)} changed when results were known."


def slices_with_history(slices: Sequence[SliceScore], experiment: Experiment, baseline: str) -> list[SliceScore]:
    """Differences on slices, without p-values where these do not hold. With declared looks they never do, since the number of
    seeds depends on results."""
    if experiment.declared.looks:
        return [one.model_copy(update={"p_adjusted": None}) for one in slices]
    rows = without_p(experiment).keys()
    return [one.model_copy(update={"p_adjusted": None}) if rows & {one.strategy, baseline} else one for one in slices]
