"""Warnings about what else differed: unequal-budgets, unpaired-seeds, confounded, recipe-not-followed, different-checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.flags.wording import (
    Found,
    and_seeds,
    ended_well,
    grouped_by,
    in_new_folder,
    listed,
    ranked_together,
    spec,
    studied,
    told,
)
from bakeoff.analysis.recipes import contradictions
from bakeoff.records.schema import Record
from bakeoff.text.numbers import count, with_decimals

MOST_BUDGET = 1.25
"""A row may have had so many times the budget of another before it is said."""
TOLD_ELSEWHERE = {"hardware", "software"}
"""Confounders that machine-changed and software-changed report."""


def unequal_budgets(ground: Ground) -> Iterator[Found]:
    """unequal-budgets: one row was tuned, or trained, for longer than another that it is ranked against.

    A length of training that is under test is no sin; tries are, whatever is under test.
    """
    declared = ground.experiment.declared
    seen = {row: found for row, records in ended_well(ground).items() if (found := _examples_seen(records)) is not None}
    length_is_studied = studied(ground, "recipe.epochs", "recipe.max_steps", "recipe.batch_size")
    for group in ranked_together(ground):
        tries = {row: declared.trials.get(row, 1) for row in group}
        trained = {row: seen[row] * tries[row] for row in group if row in seen}
        tuned, longer = _outspending(tries), () if length_is_studied else _outspending(trained)
        if not tuned and not longer:
            continue
        spent = {
            row: f"{count(tries[row], 'configuration')} tried"
            + (f" and {with_decimals(trained[row], 0)} examples trained on in all" if row in trained else "")
            for row in group
        }
        yield Found(
            tuple(dict.fromkeys((*tuned, *longer))),
            f"Unequal budgets: {told(f'{amount} for {listed(rows)}' for amount, rows in grouped_by(spent).items())}. "
            + (
                "The best of more tries is better by luck alone."
                if tuned
                else "What trains for longer may be better for that alone."
            ),
            ("Give every row as many tries" if tuned else "Make 'epochs' or 'max_steps' equal, or name them in 'under_test'")
            + f" in {spec(ground)}, and run it {in_new_folder(ground)}.",
        )


def _outspending(budgets: Mapping[str, float]) -> tuple[str, ...]:
    """The rows that had far more than the one that had least."""
    least = min(budgets.values(), default=0.0)
    return tuple(row for row, budget in budgets.items() if budget > MOST_BUDGET * least)


def _examples_seen(records: list[Record]) -> float | None:
    """Per run, in the mean."""
    seen = [record.observed.examples_seen for record in records if record.observed]
    return sum(seen) / len(seen) if seen and sum(seen) else None


def unpaired_streams(ground: Ground) -> Iterator[Found]:
    """unpaired-seeds: at one seed and replicate, another data order or another start of the head than the baseline's."""
    well, board = ended_well(ground), ground.board
    ours = next((group for group in ranked_together(ground) if board.baseline in group), [])
    pairs = {(record.requested.seed, record.requested.replicate): record for record in well.get(board.baseline, ())}
    for what, differs in (("data order", _other_order), ("start of the new parameters", _other_start)):
        seeds = {
            row: [
                record.requested.seed
                for record in well.get(row, ())
                if (twin := pairs.get((record.requested.seed, record.requested.replicate))) and differs(record, twin)
            ]
            for row in ours
        }
        seeds = {row: found for row, found in seeds.items() if found}
        if seeds:
            yield Found(
                tuple(seeds),
                f"Another {what} than {board.baseline}'s at the same seed: "
                f"{listed(and_seeds(row, found) for row, found in seeds.items())}. Pairing by seed then gains "
                "nothing, and the start "
                "may favour one side.",
                "Let the trainer take its batches from the job and leave the weights alone before the first step, and run it "
                f"{in_new_folder(ground)}.",
            )


def _other_order(record: Record, twin: Record) -> bool:
    if record.observed is None or twin.observed is None:
        return False
    same = ("batch_size", "epochs", "max_steps")
    if any(record.requested.recipe.get(key) != twin.requested.recipe.get(key) for key in same):
        return False
    orders = record.observed.data_order_sha256, twin.observed.data_order_sha256
    return all(orders) and orders[0] != orders[1]


def _other_start(record: Record, twin: Record) -> bool:
    """Only where the same parameters are new: an adapter has others than a whole model."""
    first, second = record.weights, twin.weights
    if first is None or second is None or record.requested.model != twin.requested.model:
        return False
    return first.newly_initialised == second.newly_initialised and first.head_init_sha256 != second.head_init_sha256


def hidden_drift(ground: Ground) -> Iterator[Found]:
    """confounded: recipes that differ beyond what is under test."""
    board = ground.board
    facts = {
        pair.first: [fact for fact in pair.confounders if fact.subject not in TOLD_ELSEWHERE] for pair in board.to_baseline
    }
    sentences = {row: listed(fact.sentence() for fact in found) for row, found in facts.items() if found}
    for sentence, rows in grouped_by(sentences).items():
        parts = list(dict.fromkeys(part for fact in facts[rows[0]] for part in fact.parts[:1]))
        named = listed([repr(part) for part in parts])
        declare = f", or where that is what you study add {named} to 'under_test'" if parts else ""
        yield Found(
            tuple(rows),
            f"{listed(rows)} against {board.baseline}: {sentence} differ too, and are not under test, so a difference in score "
            "may come from them.",
            f"Make them equal in {spec(ground)}{declare}, and run it {in_new_folder(ground)}.",
        )


def broken_recipes(ground: Ground) -> Iterator[Found]:
    """recipe-not-followed: the optimizer was seen to do otherwise than the recipe asks."""
    seen: dict[str, str] = {}
    for row, records in ended_well(ground).items():
        found = list(dict.fromkeys(sentence for record in records for sentence in contradictions(record)))
        if found:
            seen[row] = listed(found)
    for sentence, rows in grouped_by(seen).items():
        yield Found(
            tuple(rows),
            f"{listed(rows)} did not follow the recipe: {sentence}. The row is not what its name says.",
            "Correct the trainer or the method and raise its 'version', or ask in the recipe for what is done; then run it "
            f"{in_new_folder(ground)}.",
        )


def other_checkpoints(ground: Ground) -> Iterator[Found]:
    """different-checkpoint: training that did not start from the baseline's checkpoint, though the model is not under test."""
    well, board = ended_well(ground), ground.board
    starts = {row: start for row, records in well.items() if (start := _lineage(records)) is not None}
    pairs = {(record.requested.seed, record.requested.replicate): record for record in well.get(board.baseline, ())}
    if studied(ground, "model") or board.baseline not in starts:
        return
    own = starts[board.baseline]
    other = {row: start for row, start in starts.items() if start != own}
    for row, records in well.items():
        twins = [(record, pairs.get((record.requested.seed, record.requested.replicate))) for record in records]
        if row not in other and any(twin is not None and _other_weights(record, twin) for record, twin in twins):
            other[row] = "other weights under the same name"
    if other:
        yield Found(
            tuple(other),
            f"Other checkpoints: {board.baseline} starts from {own}; "
            f"{told(f'{listed(rows)} from {start}' for start, rows in grouped_by(other).items())}. What an earlier "
            "training gave is no "
            "merit of the strategy.",
            f"Start all rows from one checkpoint in {spec(ground)}, or where that is what you study add 'model' to "
            "'under_test', "
            f"and run it {in_new_folder(ground)}.",
        )


def _lineage(records: list[Record]) -> str | None:
    found = dict.fromkeys(
        " and ".join(record.weights.lineage) or "the model as published" for record in records if record.weights
    )
    return " or ".join(found) or None


def _other_weights(record: Record, twin: Record) -> bool:
    """Equal new parameters in equal models, and yet another whole: what was pretrained differs."""
    first, second = record.weights, twin.weights
    if first is None or second is None or record.requested.method != twin.requested.method:
        return False
    same = first.newly_initialised == second.newly_initialised and first.parameters_total == second.parameters_total
    return same and first.head_init_sha256 == second.head_init_sha256 and first.initial_sha256 != second.initial_sha256
