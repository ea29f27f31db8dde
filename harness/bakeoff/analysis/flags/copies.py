"""Warnings about copies: identical-runs, data-leakage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.flags.wording import Found, ended_well, in_new_folder, listed
from bakeoff.records.schema import Record
from bakeoff.spec.strategy import NAME
from bakeoff.text.numbers import count, per_cent
from bakeoff.text.values import command, seeds_spelt, spelt

SAME_AIM = {"padding", "fused", "max_length", "precision"}
"""Recipe keys that aim at the same numbers: rows that differ in nothing else may well answer alike."""


def ignored_seeds(ground: Ground) -> Iterator[Found]:
    """identical-runs: two seeds of one row end with the same weights, or give the same answers throughout."""
    for row, records in ended_well(ground).items():
        ends: dict[str, list[int]] = {}
        for record in records:
            if record.weights:
                ends.setdefault(record.weights.final_sha256, []).append(record.requested.seed)
        given: dict[str, list[int]] = {}
        for seed, answers in _fingerprints(ground, row).items():
            given.setdefault(answers, []).append(seed)
        same_ends = [seeds for seeds in ends.values() if len(set(seeds)) > 1]
        covered = [set(seeds) for seeds in same_ends]
        same_answers = [seeds for seeds in given.values() if len(seeds) > 1 and not any(set(seeds) <= ends for ends in covered)]
        told_of = [f"seeds {seeds_spelt(seeds)} end with the same weights to the bit" for seeds in same_ends]
        told_of += [f"seeds {seeds_spelt(seeds)} give the same answer to every example" for seeds in same_answers]
        if told_of:
            yield Found(
                (row,),
                f"{row} ignores its seed, or nearly: {listed(told_of)}. Such runs are one run, counted more than "
                "once; intervals over "
                "seeds are too narrow.",
                "Let whatever the trainer draws come from the seed that it is given; where it draws nothing, one seed "
                "says it all.",
            )


def _parity(ground: Ground, first: str, second: str) -> str:
    """The command that compares these two rows, where both are strategies of one experiment file."""
    paths = ground.experiment.spec_paths
    if len(paths) > 1 or not all(NAME.fullmatch(row) for row in (first, second)):
        return "`bakeoff parity`"
    return f"`{command('parity', *paths, '--strategies', f'{first},{second}')}`"


def copied_rows(ground: Ground) -> Iterator[Found]:
    """identical-runs: two rows that were to differ in more than the trainer give the same answers throughout.

    Two trainers that end alike on one recipe are what a comparison of trainers hopes for, and no sin.
    """
    well = ended_well(ground)
    answers = {row: _fingerprints(ground, row) for row in well}
    places: dict[tuple[int, str], list[str]] = {}
    for row, found in answers.items():
        for seed, fingerprint in found.items():
            places.setdefault((seed, fingerprint), []).append(row)
    for first, second in dict.fromkeys(pair for rows in places.values() for pair in combinations(rows, 2)):
        common = answers[first].keys() & answers[second].keys()
        if any(answers[first][seed] != answers[second][seed] for seed in common):
            continue
        if asked := _asked_apart(well[first][0], well[second][0]):
            yield Found(
                (first, second),
                f"{first} and {second} give the same answer to every example at {'seed' if len(common) == 1 else 'seeds'} "
                f"{seeds_spelt(sorted(common))}, though they differ in {listed(asked)}: that was ignored, or has no "
                "effect here.",
                f"Look whether the trainer follows these keys: {_parity(ground, first, second)} compares two step by step.",
            )


def _asked_apart(first: Record, second: Record) -> list[str]:
    """What was to differ, in words; what aims at the same numbers and the trainer left out."""
    one, other = first.requested, second.requested
    keys = [key for key in one.recipe.keys() | other.recipe.keys() if one.recipe.get(key) != other.recipe.get(key)]
    apart = [
        f"{key} ({spelt(one.recipe.get(key))} against {spelt(other.recipe.get(key))})" for key in sorted(set(keys) - SAME_AIM)
    ]
    for kind in ("method", "model"):
        mine, its = getattr(one, kind), getattr(other, kind)
        if (mine.name, mine.options) != (its.name, its.options):
            apart.append(
                f"{kind} ({mine.name} against {its.name})" if mine.name != its.name else f"options of {kind} {mine.name}"
            )
    if one.replicate != other.replicate:
        apart.append(f"replicate ({one.replicate} against {other.replicate})")
    return apart


def _fingerprints(ground: Ground, row: str) -> dict[int, str]:
    """Seed -> hash of its answers on all splits. Runs that answer alike for a reason (all right, or collapsed) are left out."""
    found: dict[int, Any] = {}
    telling: set[int] = set()
    for name, split in sorted(ground.outputs.splits.items()):
        for seed, answers in zip(split.seeds.get(row, ()), split.answers.get(row, ()), strict=True):
            found.setdefault(seed, hashlib.sha256()).update(name.encode() + np.ascontiguousarray(answers).tobytes())
            if (answers != answers[:1]).any() and (answers != split.labels).any():
                telling.add(seed)
    return {seed: digest.hexdigest() for seed, digest in found.items() if seed in telling}


def leaked_examples(ground: Ground) -> Iterator[Found]:
    """data-leakage: examples to be predicted that stand in the training split too."""
    leaks: dict[str, tuple[int, int]] = {}
    for records in ended_well(ground).values():
        for record in records:
            for split, n in ((record.data.overlap or {}) if record.data else {}).items():
                if n and record.data and split in record.data.splits:
                    leaks[split] = max(leaks.get(split, (0, 0)), (n, record.data.splits[split].examples))
    if leaks:
        which = listed(
            f"{n:,} of {count(examples, 'example')} of {split} ({per_cent(n / max(examples, 1), 1)})"
            for split, (n, examples) in sorted(leaks.items())
        )
        yield Found(
            (),
            f"{which} {'reads' if sum(n for n, _ in leaks.values()) == 1 else 'read'} like one of train, case and "
            "spaces apart. There a "
            "score rewards memory, for all rows alike.",
            f"Report their number beside the scores; or drop them from train, and run all {in_new_folder(ground)}.",
        )
