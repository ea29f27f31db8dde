"""Warnings about what else differed: unequal-budgets, unpaired-seeds, confounded, recipe-not-followed, different-checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import Any

from bakeoff.analysis.flags.wording import Found, Judged, clauses, grouped_by, named
from bakeoff.analysis.recipes import NEUTRAL, is_built_in, loss_in_words
from bakeoff.records.run_names import runs_in_words
from bakeoff.records.schema import Record
from bakeoff.text.numbers import count, rounded, with_decimals
from bakeoff.text.values import spelt

MOST_BUDGET = 1.25
"""A row may have had up to so many times the budget of another without a warning."""
REPORTED_ELSEWHERE = {"hardware", "software"}
"""Confounders that machine-changed and software-changed report."""
CLIPPED_TO = 1.01
"""Clipping may leave a norm of up to so many times its limit, where it takes the norm of one large tensor in float32 (0.06 %
too small at 110 million elements by a dot product, 1.2 % by torch's norm)."""


DECIDE_THE_ORDER = (
    *("batch_size", "epochs", "max_steps", "min_steps", "train_examples", "subset", "sampling", "data_seed"),
    "group_by_length",
)
"""Recipe keys by which the rows of the steps are drawn; runs that differ in them have another data order by right."""


def unequal_budgets(judged: Judged) -> Iterator[Found]:
    """unequal-budgets: one row was tuned, or trained, for longer than another that it is ranked against.

    A length of training that is under test is no fault; the number of tries is, whatever is under test.
    """
    declared = judged.experiment.declared
    observed = {row: [one.observed.examples_seen for one in own if one.observed] for row, own in judged.succeeded.items()}
    seen = {row: fmean(examples) for row, examples in observed.items() if any(examples)}
    stop = {row for row, own in judged.succeeded.items() if any(one.requested.recipe.get("early_stopping") for one in own)}
    length_is_studied = judged.studies("recipe.epochs", "recipe.max_steps", "recipe.min_steps", "recipe.batch_size")
    for ranking in judged.rankings:
        tries = {row: declared.trials.get(row, 1) for row in ranking}
        trained = {row: seen[row] * tries[row] for row in ranking if row in seen and row not in stop}
        tuned, longer = _outspending(tries), [] if length_is_studied else _outspending(trained)
        if not tuned and not longer:
            continue
        spent = {
            row: f"{count(tries[row], 'configuration')} tried"
            + (f" and {with_decimals(trained[row], 0)} examples trained on in all" if row in trained else "")
            for row in ranking
        }
        why, equal = (
            "What trains for longer may be better for that alone.",
            "Make 'epochs' or 'max_steps' equal, or name them in 'under_test'",
        )
        if tuned:
            why, equal = "The best of more tries is better by luck alone.", "Give every row as many tries"
        yield Found(
            dict.fromkeys((*tuned, *longer)),
            f"Unequal budgets: {clauses(f'{amount} for {named(rows)}' for amount, rows in grouped_by(spent).items())}. {why}",
            f"{equal} in {judged.experiment.spec}, and run it {judged.in_new_folder}.",
        )


def _outspending(budgets: Mapping[str, float]) -> list[str]:
    """The rows whose budget is over `MOST_BUDGET` times the smallest one. budgets: row -> configurations tried, or examples
    trained on."""
    return [row for row, budget in budgets.items() if budget > MOST_BUDGET * min(budgets.values())]


def unpaired_streams(judged: Judged) -> Iterator[Found]:
    """unpaired-seeds: rows whose data order, or start of the new parameters, is not the baseline's at the same seed and
    replicate."""
    ours = next((ranking for ranking in judged.rankings if judged.group.baseline in ranking), [])
    twins = {row: own for row, own in _with_baseline(judged).items() if row in ours}
    for what, differs in (("data order", _other_order), ("start of the new parameters", _other_start)):
        apart = {row: [one.requested.seed for one, twin in own if differs(one, twin)] for row, own in twins.items()}
        apart = {row: seeds for row, seeds in apart.items() if seeds}
        if apart:
            yield Found(
                apart,
                f"Another {what} than {judged.group.baseline}'s at the same seed: "
                f"{named(runs_in_words(row, seeds) for row, seeds in apart.items())}. Their runs cannot be compared seed by "
                "seed, and the start may favour one side.",
                "Let the trainer take its batches from the job and leave the weights alone before the first step, and run it "
                f"{judged.in_new_folder}.",
            )


def _with_baseline(judged: Judged) -> dict[str, list[tuple[Record, Record]]]:
    """Row -> its runs, each with the baseline's of the same seed and replicate."""
    pairs = {(one.requested.seed, one.requested.replicate): one for one in judged.succeeded.get(judged.group.baseline, ())}
    return {
        row: [(one, twin) for one in own if (twin := pairs.get((one.requested.seed, one.requested.replicate)))]
        for row, own in judged.succeeded.items()
    }


def _other_order(record: Record, twin: Record) -> bool:
    first, second = record.observed, twin.observed
    recipes = [[one.requested.recipe.get(key) for key in DECIDE_THE_ORDER] for one in (record, twin)]
    if first is None or second is None or recipes[0] != recipes[1]:
        return False
    if record.requested.recipe.get("early_stopping") and first.optimizer_steps != second.optimizer_steps:
        return False
    return bool(first.data_order_sha256 and second.data_order_sha256) and first.data_order_sha256 != second.data_order_sha256


def _other_start(record: Record, twin: Record) -> bool:
    """Whether the new parameters of the two runs started from other values. Only compared if both have the same new
    parameters, unlike a whole model and an adapter."""
    first, second = record.weights, twin.weights
    if first is None or second is None or record.requested.model != twin.requested.model:
        return False
    return first.newly_initialised == second.newly_initialised and first.head_init_sha256 != second.head_init_sha256


def confounded(judged: Judged) -> Iterator[Found]:
    """confounded: recipes that differ beyond what is under test."""
    facts = {
        pair.first: [fact for fact in pair.confounders if fact.subject not in REPORTED_ELSEWHERE]
        for pair in judged.group.to_baseline
    }
    sentences = {row: named(fact.sentence() for fact in found) for row, found in facts.items() if found}
    for sentence, rows in grouped_by(sentences).items():
        parts = list(dict.fromkeys(part for fact in facts[rows[0]] for part in fact.parts[:1]))
        declare = f", or where that is what you study {judged.declare(*parts)}" if parts else ""
        yield Found(
            rows,
            f"{named(rows)} against {judged.group.against}: {sentence} differ too, and are not under test, so a difference in "
            "score may come from them.",
            f"Make them equal in {judged.experiment.spec}{declare}, and run it {judged.in_new_folder}.",
        )


def recipe_not_followed(judged: Judged) -> Iterator[Found]:
    """recipe-not-followed: the optimizer was seen to do otherwise than the recipe asks."""
    found = {row: dict.fromkeys(chain.from_iterable(map(contradictions, own))) for row, own in judged.succeeded.items()}
    for sentence, rows in grouped_by({row: named(sentences) for row, sentences in found.items() if sentences}).items():
        yield Found(
            rows,
            f"{named(rows)} did not follow the recipe: {sentence}. The row is not what its name says.",
            "Correct the trainer or the method and raise its 'version', or ask in the recipe for what is done; then run it "
            f"{judged.in_new_folder}.",
        )


def contradictions(record: Record) -> list[str]:
    """Where the optimizer was seen to do otherwise than the recipe says, in words."""
    recipe, observed = record.requested.recipe, record.observed
    if observed is None:
        return []
    apart: list[tuple[str, Any, Any]] = []
    """(subject, seen, requested)"""
    for name in ("eps", "betas", "fused", "momentum", "bias_correction") if is_built_in(record, "optimizer") else ():
        requested = recipe.get(name, NEUTRAL.get(name))
        seen = [getattr(group, name) for group in observed.groups]
        other = [value for value in seen if value is not None and requested is not None and value != requested]
        apart += [(name, value, requested) for value in other[:1]]
    peak = recipe.get("learning_rate")
    if peak is not None and observed.learning_rate_peak > peak * 1.0001:
        apart.append(("learning rate", observed.learning_rate_peak, peak))
    decays = {group.weight_decay for group in observed.groups if group.weight_decay is not None}
    decay = recipe.get("weight_decay")
    if decay is not None and decays - {0.0, float(decay)}:
        apart.append(("weight decay", max(decays), decay))
    found = [f"{subject} {spelt(seen)} was seen, {spelt(requested)} requested" for subject, seen, requested in apart]
    if "loss" not in record.trainer_owns and (scaled := loss_in_words(record)):
        found.append(f"{scaled} were seen")
    limit, top = recipe.get("max_grad_norm"), observed.gradient_norm_max
    if limit is not None and top is not None and top > limit * CLIPPED_TO:
        norm = spelt(rounded(top, 3))
        found.append(f"a gradient norm of {norm} reached the optimizer, though clipping at {spelt(limit)} was requested")
    if "max_grad_norm" in recipe and limit is None and observed.clipped_at is not None:
        found.append(f"gradient norms pile up at {spelt(observed.clipped_at)}, though no clipping was requested")
    return found


def other_checkpoints(judged: Judged) -> Iterator[Found]:
    """different-checkpoint: training that did not start from the baseline's checkpoint, though the model is not under test."""
    baseline = judged.group.baseline
    starts = {row: start for row, records in judged.succeeded.items() if (start := _start(records))}
    if judged.studies("model") or baseline not in starts:
        return
    other = {row: start for row, start in starts.items() if start != starts[baseline]}
    for row, twins in _with_baseline(judged).items():
        if row not in other and any(_other_weights(one, twin) for one, twin in twins):
            other[row] = "other weights under the same name"
    if other:
        yield Found(
            other,
            f"Other checkpoints: {baseline} starts from {starts[baseline]}; "
            f"{clauses(f'{named(rows)} from {start}' for start, rows in grouped_by(other).items())}. A difference in score "
            "may come from earlier training and not from the strategy.",
            f"Start all rows from one checkpoint in {judged.experiment.spec}, or, if the checkpoint is what you study, "
            f"{judged.declare('model')}; and run it {judged.in_new_folder}.",
        )


def _start(records: Sequence[Record]) -> str:
    """Where training started from, in words; empty where no record says."""
    weights = [record.weights for record in records if record.weights]
    return " or ".join(dict.fromkeys(" and ".join(one.lineage) or "the model as published" for one in weights))


def _other_weights(record: Record, twin: Record) -> bool:
    """Whether two runs of one method started from other pretrained weights: the new parameters are equal, and yet the weights
    as a whole are not."""
    first, second = record.weights, twin.weights
    if first is None or second is None or record.requested.method != twin.requested.method:
        return False
    same = first.newly_initialised == second.newly_initialised and first.parameters_total == second.parameters_total
    return same and first.head_init_sha256 == second.head_init_sha256 and first.initial_sha256 != second.initial_sha256
