"""Warnings about runs and examples that are copies of others: identical-runs, data-leakage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from bakeoff.analysis.flags.wording import Found, Judged, grouped_by, named
from bakeoff.analysis.recipes import OWNED, differences, side_by_side
from bakeoff.spec.strategy import NAME
from bakeoff.text.numbers import count, per_cent
from bakeoff.text.values import command, grouped, seeds_spelt

SAME_AIM = {"trainer", OWNED, "selection", "padding", "fused optimizer", "input length", "precision"}
"""Subjects in which rows may differ and still aim at the same numbers: rows that differ in nothing else may well answer
alike."""


FEW_WRONG = 5
"""Two runs that each give fewer wrong answers than this on a split may well give the same answers there by chance."""


def ignored_seeds(judged: Judged) -> Iterator[Found]:
    """identical-runs: two seeds of one row end with the same weights, or give the same answers throughout."""
    for row, records in judged.succeeded.items():
        weights = grouped((one.weights.final_sha256, one.requested.seed) for one in records if one.weights)
        ends = [set(seeds) for seeds in weights.values()]
        found = {"end with the same weights to the bit": [seeds for seeds in ends if len(seeds) > 1]}
        alike = [set(seeds) for seeds in grouped_by(_fingerprints(judged, row)).values() if len(seeds) > 1]
        found["give the same answer to every example"] = [seeds for seeds in alike if not any(seeds <= same for same in ends)]
        pairs = [f"seeds {seeds_spelt(sorted(seeds))} {what}" for what, several in found.items() for seeds in several]
        if pairs:
            seeds = {one.requested.seed for one in records}
            ignored = any(len(alike) == len(seeds) for several in found.values() for alike in several)
            whole = "ignores its seed, or nearly" if ignored else "does not differ at some of its seeds"
            yield Found(
                [row],
                f"{row} {whole}: {named(pairs)}. Such runs are one run, counted more than once; intervals over seeds are too "
                "narrow.",
                "Let whatever the trainer draws come from the seed that it is given, and run it "
                f"{judged.in_new_folder}; where it draws nothing, report that these seeds are one run.",
            )


def _parity(judged: Judged, first: str, second: str) -> str:
    """The command that compares these two rows step by step; it names them where both are strategies of one experiment
    file."""
    paths = judged.experiment.spec_paths
    if len(paths) > 1 or not all(NAME.fullmatch(row) for row in (first, second)):
        return "`bakeoff parity`"
    return f"`{command('parity', *paths, '--strategies', f'{first},{second}')}`"


def copied_rows(judged: Judged) -> Iterator[Found]:
    """identical-runs: two rows that were to differ in more than `SAME_AIM` give the same answers throughout.

    Two trainers that end alike on one recipe are what a comparison of trainers hopes for, and no fault.
    """
    answers = {row: _fingerprints(judged, row) for row in judged.succeeded}
    for first, second in _pairs_with_equal_answers(answers):
        common = answers[first].keys() & answers[second].keys()
        same = [seed for seed in common if answers[first][seed] == answers[second][seed]]
        if same and len(same) == len(common) and (requested := _requested_apart(judged, first, second)):
            yield Found(
                (first, second),
                f"{first} and {second} give the same answer to every example at {'seed' if len(common) == 1 else 'seeds'} "
                f"{seeds_spelt(sorted(common))}, though they differ in {named(requested)}: that was ignored, or has no "
                "effect here.",
                f"See whether the trainer follows these keys: {_parity(judged, first, second)} compares two step by step.",
            )


def _pairs_with_equal_answers(answers: Mapping[str, Mapping[int, str]]) -> list[tuple[str, str]]:
    """The pairs of rows that gave equal answers at some seed, in the order of the rows. answers: row -> seed -> hash."""
    rows = grouped(((seed, digest), row) for row, own in answers.items() for seed, digest in own.items())
    place = {row: number for number, row in enumerate(answers)}
    pairs = {pair for alike in rows.values() for pair in combinations(alike, 2)}
    return sorted(pairs, key=lambda pair: (place[pair[0]], place[pair[1]]))


def _requested_apart(judged: Judged, first: str, second: str) -> list[str]:
    """The requested differences between two rows, in words, without those of `SAME_AIM`."""
    requested = {row: [judged.succeeded[row][0].model_copy(update={"observed": None})] for row in (first, second)}
    recipes = side_by_side(requested)
    apart = [fact.sentence() for fact in differences(recipes[first], recipes[second], ()) if fact.subject not in SAME_AIM]
    one, other = (recipe["replicate"] for recipe in recipes.values())
    return apart if one == other else [*apart, f"replicate ({one} against {other})"]


def _fingerprints(judged: Judged, row: str) -> dict[int, str]:
    """Seed -> hash of the predictions that the row's run with this seed made on all splits. Left out are runs whose predictions
    may be equal by themselves: correct but for fewer than FEW_WRONG, or all of one class."""
    found: dict[int, Any] = {}
    telling: set[int] = set()
    for name, split in sorted(judged.outputs.splits.items()):
        for seed, answers in zip(split.seeds.get(row, ()), split.answers.get(row, ()), strict=True):
            found.setdefault(seed, hashlib.sha256()).update(name.encode() + np.ascontiguousarray(answers).tobytes())
            if (answers != answers[:1]).any() and int((answers != split.labels).sum()) >= FEW_WRONG:
                telling.add(seed)
    return {seed: digest.hexdigest() for seed, digest in found.items() if seed in telling}


def leaked_examples(judged: Judged) -> Iterator[Found]:
    """data-leakage: examples to be predicted that stand in the training split too."""
    data = [record.data for records in judged.succeeded.values() for record in records if record.data]
    leaks = {
        split: max((one.overlap or {}).get(split, 0) for one in data)
        for split in sorted({split for one in data for split in one.overlap or {} if split in judged.data.splits})
    }
    sizes = {split: judged.data.splits[split].examples for split, n in leaks.items() if n}
    if sizes:
        which = named(
            f"{leaks[split]:,} of {count(examples, 'example')} of {split} ({per_cent(leaks[split] / max(examples, 1), 1)})"
            for split, examples in sizes.items()
        )
        yield Found(
            (),
            f"{which} {'reads' if sum(leaks.values()) == 1 else 'read'} like one of train, but for case and spaces. On "
            "these a score rewards memory, for all rows alike.",
            f"Report their number beside the scores; or drop them from train, and run all rows {judged.in_new_folder}.",
        )
