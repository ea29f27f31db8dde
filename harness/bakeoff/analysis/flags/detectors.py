"""The table of flags: code -> detectors; from a board's ground to its flags.

The gravest come first: figures that may be wrong; then comparisons that are not of what they are said to be; then evidence that
is thin. This is the order of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.findings import Flag
from bakeoff.analysis.flags import claims, copies, figures, recipes, runs, seeds, sources
from bakeoff.analysis.flags.wording import Found

Detector = Callable[[Ground], Iterable[Found]]

DETECTORS: Final[Mapping[str, Sequence[Detector]]] = {
    # the figures may be wrong
    "S17": (runs.misread_predictions, runs.random_evaluations, runs.contradicted_scores),
    "S15": (copies.ignored_seeds, copies.copied_rows, copies.leaked_examples),
    "S3": (figures.mixed_splits, sources.data_set_apart),
    "S9": (figures.mixed_metrics, figures.impossible_figures),
    # the comparison is not of what it is said to be
    "S7": (recipes.other_checkpoints, sources.model_set_apart),
    "S6": (recipes.hidden_drift, recipes.broken_recipes),
    "S2": (figures.picked_states,),
    "S11": (seeds.seeds_changed, seeds.terms_changed, seeds.undeclared_records, seeds.missing_runs, seeds.failed_runs),
    "S10": (seeds.collapsed, figures.imported_floors),
    "S4": (recipes.unequal_budgets,),
    "S5": (recipes.unpaired_streams,),
    "S8": (runs.mixed_hardware, runs.mixed_software, runs.moved_machine, sources.edited_plugins),
    # the evidence is thin
    "S1": (seeds.few_seeds,),
    "S13": (claims.among_many,),
    "S16": (claims.below_resolution, claims.imported_below_resolution),
    "S12": (claims.weightless, claims.no_equality, claims.imported_claims),
    "S14": (figures.copied_figures,),
}
"""Gravest first."""

_GRAVITY = {code: place for place, code in enumerate(DETECTORS)}


def raise_flags(ground: Ground) -> list[Flag]:
    """All flags of one board, gravest first. What concerns the whole report has no board, and comes again with every board:
    `in_order` says it once.
    """
    return [
        Flag(
            code=code,
            board="" if found.everywhere else ground.board.title,
            rows=list(found.rows),
            sentence=found.sentence,
            next_step=found.next_step,
        )
        for code, detectors in DETECTORS.items()
        for detect in detectors
        for found in detect(ground)
    ]


def in_order(flags: Iterable[Flag]) -> list[Flag]:
    """Flags of several boards as one list: gravest first, then by board as they came; each said once."""
    unlike: list[Flag] = []
    for flag in flags:
        if flag not in unlike:
            unlike.append(flag)
    return sorted(unlike, key=lambda flag: _GRAVITY[flag.code])


def codes_of(row: str, flags: Iterable[Flag]) -> list[str]:
    """The codes of the flags that name this row, each once, gravest first."""
    return sorted({flag.code for flag in flags if row in flag.rows}, key=lambda code: _GRAVITY[code])
