"""The detectors of each warning, and the warnings of a comparison group in the order of their importance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from bakeoff.analysis.findings import NamedWarning
from bakeoff.analysis.flags import claims, copies, figures, recipes, runs, seeds
from bakeoff.analysis.flags.catalogue import CATALOGUE, RANK
from bakeoff.analysis.flags.wording import Found, Judged
from bakeoff.text.values import grouped

Detector = Callable[[Judged], Iterable[Found]]

DETECTORS: Final[Mapping[str, Sequence[Detector]]] = {
    "unreliable-scores": (runs.misread_predictions, runs.random_evaluations, runs.contradicted_scores),
    "different-data": (figures.mixed_splits, partial(runs.separated, data=True)),
    "different-metrics": (figures.mixed_metrics, figures.mistaken_figures, figures.impossible_figures),
    "different-checkpoint": (recipes.other_checkpoints, partial(runs.separated, data=False)),
    "recipe-not-followed": (recipes.recipe_not_followed,),
    "confounded": (recipes.confounded,),
    "data-leakage": (copies.leaked_examples,),
    "selection-bias": (figures.selection_bias, figures.used_for_choosing, figures.searched_split),
    "changed-after-looking": (seeds.seeds_changed, seeds.terms_changed),
    "failed-runs": (seeds.failed_runs,),
    "missing-runs": (seeds.missing_runs, seeds.damaged_records),
    "undeclared-runs": (seeds.undeclared_records,),
    "collapsed-runs": (seeds.collapsed, figures.published_majority_baselines),
    "not-above-majority": (seeds.not_above_majority,),
    "hardly-learned": (seeds.little_learned,),
    "made-elsewhere": (runs.made_elsewhere,),
    "unequal-budgets": (recipes.unequal_budgets,),
    "identical-runs": (copies.ignored_seeds, copies.copied_rows),
    "unpaired-seeds": (recipes.unpaired_streams,),
    "machine-changed": (runs.mixed_hardware, runs.moved_machine),
    "software-changed": (runs.mixed_software, runs.edited_plugins),
    "few-seeds": (seeds.few_seeds,),
    "skewed-seeds": (seeds.skewed_seeds,),
    "multiple-comparisons": (claims.multiple_comparisons,),
    "few-examples": (claims.few_examples, partial(claims.published_differences, inside=False)),
    "small-margin": (claims.small_margins,),
    "negligible-difference": (claims.negligible_differences, partial(claims.published_differences, inside=True)),
    "inconclusive": (claims.inconclusive,),
    "published-figures": (figures.published_figures,),
}


def find_warnings(judged: Judged) -> list[NamedWarning]:
    """All warnings about one group, most important first; those of one name that advise the same are made one. A warning about
    the whole report names no group and is raised again with every group: `in_order` keeps it once."""
    return [
        NamedWarning(
            name=name,
            severity=CATALOGUE[name].severity,
            group="" if everywhere else judged.group.title,
            rows=list(dict.fromkeys(row for found in alike for row in found.rows)),
            what=" ".join(found.what for found in alike),
            what_to_do=what_to_do,
        )
        for name, detectors in DETECTORS.items()
        for (what_to_do, everywhere), alike in grouped(
            ((found.what_to_do, found.everywhere), found) for detect in detectors for found in detect(judged)
        ).items()
    ]


def in_order(warnings: Iterable[NamedWarning]) -> list[NamedWarning]:
    """Warnings of several groups as one list: most important first, then by group as they came; each once."""
    unlike: list[NamedWarning] = []
    for warning in warnings:
        if warning not in unlike:
            unlike.append(warning)
    return sorted(unlike, key=lambda warning: RANK[warning.name])


def names_of(row: str, warnings: Iterable[NamedWarning]) -> list[str]:
    """The names of the warnings about this row, each once, most important first."""
    return sorted({warning.name for warning in warnings if row in warning.rows}, key=RANK.__getitem__)
