"""No advice leads to what another warning reproaches: each is followed to the letter on made records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from builders import (
    BASELINE,
    ROW,
    altered,
    clean_answers,
    clean_experiment,
    declaring,
    importing,
    make_control,
    make_selection,
    published,
    sha256,
)
from core.analysis.found_warnings import codes, judged_groups

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.flags.catalogue import CATALOGUE
from bakeoff.analysis.gate.gate import rules_of
from bakeoff.errors import BakeoffError
from bakeoff.records.experiment import Experiment
from bakeoff.records.history import continued
from bakeoff.records.schema import Declared, EarlierDeclaration

Edit = Callable[[Declared], Declared]


def more_seeds(declared: Declared) -> Declared:
    more = [run.model_copy(update={"seed": 90 + run.seed, "id": f"r1-{sha256(run.id)[:16]}"}) for run in declared.runs]
    return declared.model_copy(update={"runs": [*declared.runs, *more]})


def fewer_strategies(declared: Declared) -> Declared:
    return declared.model_copy(update={"runs": [run for run in declared.runs if run.strategy == BASELINE]})


def term(**changes: object) -> Edit:
    return lambda declared: declared.model_copy(update=changes)


EDITS: dict[str, Edit] = {
    r"seeds: \[|\bseeds of each|more seeds|add (some|seeds)|new seeds|\d seeds|last seeds": more_seeds,
    r"under_test|under test": term(under_test=["trainer", "software"]),
    r"margin (?!takes)of|`margin:|declared before its runs": term(margin={"points": 7.0}),
    r"report_on|another split": term(report_on="dev"),
    r"as many tries": term(trials={ROW: 5}),
    r"rule": term(gate={"quality": "-1 points"}),
    r"[Ff]ewer strategies": fewer_strategies,
    r"declare what they are of": more_seeds,
}
"""Words of an advice -> what whoever follows it changes in the experiment file, so that it is noted when results are there."""

NEW_RUNS = re.compile(
    r"[Mm]ake them equal|'epochs'|select:|'version'|in the recipe|recipe\.|one checkpoint|Correct|[Rr]un (all|it) |"
    r"from train|of the data|from the job"
)
"""Words of an advice that changes what runs are made of."""

FRESH = re.compile(r"--into FOLDER|in a new folder|new experiment|new seeds of each|folder beside")


def followed(made: Experiment, advice: str) -> Experiment:
    """The experiment after its file was changed as the advice says, where the advice says."""
    declared = made.declared
    for words, edit in EDITS.items():
        if re.search(words, advice):
            declared = edit(declared)
    if FRESH.search(advice):
        return declaring(replace(made, foreign=0, damaged=()), **(dict(declared) | {"history": []}))
    history = continued(made.declared, declared, recorded=len(made.records))
    orphaned = len(made.records) if NEW_RUNS.search(advice) else 0
    return declaring(replace(made, foreign=made.foreign + orphaned), **(dict(declared) | {"history": history}))


def reproaches(before: Experiment, after: Experiment) -> set[str]:
    """What the change itself is reproached with; warnings about runs that are still to be made are none."""
    return (set(codes(after)) - set(codes(before))) & {"changed-after-looking", "undeclared-runs"}


def sinners() -> Iterator[tuple[str, Experiment]]:
    """(the warning that is to be raised, a made experiment)"""
    clean = clean_experiment()
    look = EarlierDeclaration(when="2026-11-20T10:00:00+00:00", seeds={BASELINE: [0], ROW: [0]}, recorded=2)
    fallen = clean_answers()
    fallen[[2, 5]] = 1
    always = np.flatnonzero((clean_answers(seed=0) == clean_answers(seed=0)[0]).all(axis=0))[:7]
    worse = clean_answers(seed=0)
    worse[:, always] = 1 - worse[:, always]
    many = {BASELINE: clean_answers(seed=0), ROW: worse} | {f"row-{n}": clean_answers(seed=n) for n in range(1, 8)}
    clipping = {BASELINE: {"recipe": {"max_grad_norm": 1.0}}, ROW: {"recipe": {"max_grad_norm": None}}}
    unclipped = {"clipped_at": None, "gradient_norm_max": 6.0}
    clipped = {row: {"recipe": {"max_grad_norm": 1.0}} for row in (BASELINE, ROW)}
    yield "few-seeds", clean_experiment({BASELINE: clean_answers(seeds=2, seed=1), ROW: clean_answers(seeds=2)})
    yield "few-seeds", clean_experiment({BASELINE: clean_answers(accuracy=0.8, seeds=4, seed=1), ROW: clean_answers(seeds=4)})
    yield "changed-after-looking", declaring(clean, history=[look])
    yield "undeclared-runs", replace(clean, foreign=2)
    yield "missing-runs", replace(clean, damaged=("r1-abc/record.json is damaged: scores",))
    yield "failed-runs", clean_experiment(failing={ROW: [3]})
    yield "confounded", altered(clean_experiment(records=clipping), "observed", **unclipped)
    yield "recipe-not-followed", altered(clean_experiment(records=clipped), "observed", **unclipped)
    yield "different-checkpoint", altered(clean, "weights", lineage=["minilm", "tuned on another task"])
    yield "unequal-budgets", declaring(clean, trials={ROW: 12})
    yield "unequal-budgets", altered(clean, "observed", examples_seen=22_008)
    yield "unpaired-seeds", altered(clean, "observed", data_order_sha256=sha256("mine"))
    yield "machine-changed", altered(clean, "environment", hardware="another, 2 threads")
    yield "machine-changed", replace(clean, controls=(make_control(10), make_control(12)))
    yield "software-changed", altered(clean, "environment", software={"python": "3.11.7", "torch": "2.12.0"})
    yield "selection-bias", altered(clean, "", selection=make_selection("test"))
    yield "collapsed-runs", clean_experiment({BASELINE: clean_answers(accuracy=0.8, seed=1), ROW: fallen})
    yield "data-leakage", altered(clean, "data", row=None, overlap={"test": 12})
    yield "unreliable-scores", altered(clean, "", evaluation_difference=0.5)
    yield "different-data", importing(clean, published(split="dev", accuracy=0.8579))
    yield "multiple-comparisons", clean_experiment(many)
    yield "inconclusive", clean_experiment({BASELINE: clean_answers(seed=1), ROW: clean_answers(seed=3)}, margin=0.5)
    yield "few-examples", clean_experiment({BASELINE: clean_answers(seed=1), ROW: clean_answers(seed=3)}, margin=0.01)
    yield "published-figures", importing(clean, published(accuracy=0.5))


SINNERS = list(sinners())


@pytest.mark.parametrize(("name", "made"), SINNERS, ids=[f"{number} {name}" for number, (name, _) in enumerate(SINNERS)])
def test_following_a_warning_raises_no_other(name: str, made: Experiment) -> None:
    found = [warning for warning in compare(made).warnings if warning.name == name]
    assert found
    for warning in found:
        assert reproaches(made, followed(made, warning.what_to_do)) == set(), warning.what_to_do


@pytest.mark.parametrize("seeds", [2, 4, 8])
@pytest.mark.parametrize("margin", [None, 0.5, 8.0])
def test_following_what_a_verdict_or_a_note_says_raises_no_warning(seeds: int, margin: float | None) -> None:
    made = clean_experiment({BASELINE: clean_answers(seeds=seeds, seed=1), ROW: clean_answers(seeds=seeds, seed=3)})
    made = declaring(made, margin={} if margin is None else {"points": margin})
    for judged in judged_groups(made):
        for advice in (*(pair.advice for pair in judged.group.to_baseline), *judged.group.notes):
            assert reproaches(made, followed(made, advice)) == set(), advice


@pytest.mark.parametrize("name", CATALOGUE)
def test_following_what_explain_says_raises_no_warning(name: str) -> None:
    made = clean_experiment()
    if name not in ("changed-after-looking", "undeclared-runs"):
        assert reproaches(made, followed(made, CATALOGUE[name].what_to_do)) == set(), CATALOGUE[name].what_to_do


def test_following_a_gate_without_rules_raises_no_warning() -> None:
    made = clean_experiment()
    with pytest.raises(BakeoffError) as caught:
        rules_of(made.declared, made.declared)
    assert reproaches(made, followed(made, str(caught.value))) == set()


@pytest.mark.parametrize(
    ("advice", "name"),
    [
        ("add seeds", "changed-after-looking"),
        ("name it in 'under_test'", "changed-after-looking"),
        ("give every row as many tries", "changed-after-looking"),
        ("write a rule into the file", "changed-after-looking"),
        ("Make them equal in spec.yaml", "undeclared-runs"),
        ("raise its 'version'", "undeclared-runs"),
    ],
)
def test_what_the_advice_was_is_reproached_in_the_same_folder_and_not_in_a_new_one(advice: str, name: str) -> None:
    made = declaring(clean_experiment(), trials={BASELINE: 2, ROW: 2})
    assert name in reproaches(made, followed(made, advice))
    assert reproaches(made, followed(made, f"{advice}, in a new folder")) == set()
