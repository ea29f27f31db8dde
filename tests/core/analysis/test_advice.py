"""The advice of each warning is followed on made records: it ends the warning, and leads to nothing that another reproaches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from builders import (
    BASELINE,
    LABELS,
    ROW,
    SOFTWARE,
    altered,
    clean_answers,
    clean_experiment,
    declaring,
    drawn_answers,
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
from bakeoff.contracts.metric import MetricFacts
from bakeoff.errors import BakeoffError
from bakeoff.records.experiment import Experiment
from bakeoff.records.history import continued
from bakeoff.records.schema import Change, Declared, EarlierDeclaration

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
    r"declare their strategies": more_seeds,
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


def studying(made: Experiment, *parts: str) -> Experiment:
    """With these under test too, in a new folder."""
    return declaring(made, under_test=[*made.declared.under_test, *parts])


def on_examples(number: int, *, margin: float, right: Sequence[float] = (0.9, 0.9)) -> Experiment:
    """Two rows on so many examples, with these shares of right answers."""
    labels = (np.arange(number) % 3 > 0).astype(np.int64)
    rows = {
        name: drawn_answers(labels, seeds=8, accuracy=share, seed=seed)
        for seed, (name, share) in enumerate(zip((BASELINE, ROW), right, strict=True))
    }
    return clean_experiment(rows, labels=labels, margin=margin)


@dataclass(frozen=True)
class Case:
    """An experiment that raises a warning, and what it is once the warning's advice is followed."""

    name: str
    made: Experiment
    advised: str
    """What the advice says of it, as a regular expression; its group, if any, is what `followed` is given."""
    followed: Callable[[str], Experiment]
    stays: bool = False
    """Whether the advice is how to read the result, so that the warning stays."""


def cases() -> Iterator[Case]:
    clean, base, row = clean_experiment(), clean_answers(accuracy=0.8, seed=1), clean_answers()

    def same(made: Experiment) -> Callable[[str], Experiment]:
        return lambda _: made

    two = clean_experiment({BASELINE: clean_answers(seeds=2, seed=1), ROW: clean_answers(seeds=2)})
    four = clean_experiment({BASELINE: clean_answers(accuracy=0.8, seeds=4, seed=1), ROW: clean_answers(seeds=4)})
    for few in (two, four):
        yield Case(
            "few-seeds",
            few,
            r"many new seeds, or (\d+) \(.*--into",
            lambda n: clean_experiment(
                {BASELINE: clean_answers(accuracy=0.8, seeds=int(n), seed=1), ROW: clean_answers(seeds=int(n))}
            ),
        )

    look = EarlierDeclaration(when="2026-11-20T10:00:00+00:00", seeds={BASELINE: [0], ROW: [0]}, recorded=2)
    margin = [Change(what="margin", before="1 points", after="7 points")]
    for earlier in (look, look.model_copy(update={"seeds": clean.declared.seeds, "changes": margin})):
        looked = declaring(clean, history=[earlier], margin={"points": 7.0})
        yield Case("changed-after-looking", looked, r"new seeds\b.* in a new folder", same(declaring(looked, history=[])))

    yield Case("undeclared-runs", replace(clean, foreign=2), "Move them away", same(clean))
    damaged = replace(clean, damaged=("r1-abc/record.json is damaged: scores",))
    yield Case("missing-runs", damaged, "makes these runs again", same(clean))
    gone = replace(clean, records=clean.records[1:])
    yield Case("missing-runs", gone, "goes on with them", same(clean))
    yield Case("failed-runs", clean_experiment(failing={ROW: [3]}), "--retry failed", same(clean))

    clipping = {BASELINE: {"recipe": {"max_grad_norm": 1.0}}, ROW: {"recipe": {"max_grad_norm": None}}}
    unclipped: dict[str, Any] = {"clipped_at": None, "gradient_norm_max": 6.0}
    clipped = {name: {"recipe": {"max_grad_norm": 1.0}} for name in (BASELINE, ROW)}
    apart = altered(clean_experiment(records=clipping), "observed", **unclipped)
    yield Case("confounded", apart, "Make them equal", same(clean_experiment(records=clipped)))
    yield Case("confounded", apart, "add '(.*)' to 'under_test'", lambda part: studying(apart, part))
    disobeyed = altered(clean_experiment(records=clipped), "observed", **unclipped)
    yield Case("recipe-not-followed", disobeyed, "Correct the trainer", same(clean_experiment(records=clipped)))
    unasked = {name: {"recipe": {"max_grad_norm": None}} for name in (BASELINE, ROW)}
    asked = altered(clean_experiment(records=unasked), "observed", row=None, **unclipped)
    yield Case("recipe-not-followed", disobeyed, "ask in the recipe for what is done", same(asked))

    elsewhere = altered(clean, "weights", lineage=["minilm", "tuned on another task"])
    yield Case("different-checkpoint", elsewhere, "from one checkpoint", same(clean))
    yield Case("different-checkpoint", elsewhere, "add '(.*)' to", lambda part: studying(elsewhere, part))
    tuned, longer = declaring(clean, trials={ROW: 12}), altered(clean, "observed", examples_seen=22_008)
    yield Case("unequal-budgets", tuned, "as many tries", same(declaring(clean, trials={ROW: 12, BASELINE: 12})))
    yield Case("unequal-budgets", longer, "Make 'epochs' or 'max_steps' equal", same(clean))
    yield Case("unequal-budgets", longer, "'(epochs)'.*'under_test'", lambda part: studying(longer, f"recipe.{part}"))
    yield Case("unpaired-seeds", altered(clean, "observed", data_order_sha256=sha256("mine")), "from the job", same(clean))

    other = altered(clean, "environment", hardware="another, 2 threads")
    yield Case("machine-changed", other, "on one machine", same(clean))
    yield Case("machine-changed", other, "add '(.*)' to", lambda part: studying(other, part))
    moved = replace(clean, controls=(make_control(10), make_control(12)))
    yield Case("machine-changed", moved, "quiet machine", same(clean))
    newer = altered(clean, "environment", software=SOFTWARE | {"torch": "2.12.0"})
    yield Case("software-changed", newer, "in one environment", same(clean))
    yield Case("software-changed", newer, "add '(.*)' to", lambda part: studying(newer, part))

    picked = altered(clean, "", selection=make_selection("test"))
    yield Case("selection-bias", picked, "select: last-epoch", same(clean))
    fallen = clean_answers()
    fallen[[2, 5]] = 1
    yield Case("collapsed-runs", clean_experiment({BASELINE: base, ROW: fallen}), "lower learning rate", same(clean))
    weak = clean_experiment({BASELINE: base, ROW: clean_answers(accuracy=0.67)})
    yield Case("not-above-majority", weak, "Longer training", same(clean))
    methods = {name: {"method": name} for name in (BASELINE, ROW)}
    best, weaker = clean_answers(accuracy=0.95, seed=1), clean_answers(accuracy=0.74, seed=7)
    little = clean_experiment({BASELINE: best, ROW: weaker}, records=methods, under_test=["method"])
    enough = clean_experiment(records=methods, under_test=["method"])
    yield Case("hardly-learned", little, "search its learning rate", same(enough))
    stuck = importing(clean, published(accuracy=0.665))
    learned = importing(clean, published(accuracy=0.8579))
    yield Case("collapsed-runs", stuck, "figure of runs that learned", same(learned))
    leaked = altered(clean, "data", row=None, overlap={"test": 12})
    yield Case("data-leakage", leaked, "drop them from train", same(clean))
    yield Case("unreliable-scores", altered(clean, "", evaluation_difference=0.5), "evaluation mode", same(clean))
    yield Case(
        "different-data", importing(clean, published(split="dev", accuracy=0.8579)), "only for that split", same(learned)
    )
    versions = [MetricFacts(name=name, higher_is_better=True, version="2") for name in ("accuracy", "f1")]
    yield Case("different-metrics", altered(clean, "data", metrics=versions), "bakeoff rescore", same(clean))
    points = importing(clean, published(accuracy=85.79))
    yield Case("different-metrics", points, "which metric was computed", same(learned))
    impossible = importing(clean, published(accuracy=0.8579, f1=0.7))
    yield Case("different-metrics", impossible, "do not quote them side by side", same(learned))

    imported = tuple(one.model_copy(update={"timed": "nothing"}) for one in clean.records if one.requested.strategy == ROW)
    here = tuple(one for one in clean.records if one.requested.strategy != ROW)
    yield Case("made-elsewhere", replace(clean, records=(*here, *imported)), "bakeoff new command", same(clean))

    twice = altered(clean, "weights", seeds=[1, 4], final_sha256="0" * 64)
    yield Case("identical-runs", twice, "from the seed", same(clean))
    yield Case("identical-runs", twice, "report that these seeds are one run", same(twice), stays=True)
    rates = {ROW: {"recipe": {"learning_rate": 1e-4}}}
    ignored = declaring(clean_experiment({BASELINE: base, ROW: base}, records=rates), under_test=["recipe.learning_rate"])
    heeded = declaring(clean_experiment(records=rates), under_test=["recipe.learning_rate"])
    yield Case("identical-runs", ignored, "bakeoff parity", same(heeded))

    always = np.flatnonzero((clean_answers(seed=0) == clean_answers(seed=0)[0]).all(axis=0))[:7]
    worse = clean_answers(seed=0)
    worse[:, always] = 1 - worse[:, always]
    many = {BASELINE: clean_answers(seed=0), ROW: worse} | {f"row-{n}": clean_answers(seed=n) for n in range(1, 8)}
    fewer = clean_experiment({name: many[name] for name in (BASELINE, ROW)})
    yield Case("multiple-comparisons", clean_experiment(many), "fewer strategies", same(fewer))
    near = {BASELINE: clean_answers(seed=1), ROW: clean_answers(seed=3)}
    open_pair = clean_experiment(near, margin=0.5)
    yield Case("inconclusive", open_pair, "--resolve 0.5", same(on_examples(10_000, margin=0.5)))
    easy, hard = (np.flatnonzero(right.all(axis=0)) for right in (row == LABELS, row != LABELS))
    swapped = row.copy()
    swapped[:, [*easy[:20], *hard[:12]]] = 1 - swapped[:, [*easy[:20], *hard[:12]]]
    few = clean_experiment({BASELINE: row, ROW: swapped})
    yield Case("few-examples", few, "--resolve 1`", same(on_examples(4_000, margin=1.0, right=(0.9, 0.88))))
    tiny = clean_experiment(margin=0.1)
    yield Case("small-margin", tiny, "larger split", same(on_examples(2_000, margin=0.1, right=(0.9, 0.88))))
    yield Case(
        "small-margin", tiny, r"at least ([\d.]+) points", lambda points: declaring(tiny, margin={"points": float(points)})
    )
    steady, skewed = (
        np.array(
            [np.where((np.arange(400) * 7 + 31 * run) % 400 < wrong, 1 - LABELS, LABELS) for run, wrong in enumerate(errors)]
        )
        for errors in ([20, 22, 18, 21, 19, 20, 22, 20], [0, 14, 1, 5, 0, 2, 15, 0])
    )
    unlike = {name: {"method": method} for name, method in ((BASELINE, "full"), (ROW, "lora"))}
    unpaired = clean_experiment({BASELINE: steady, ROW: skewed}, records=unlike, under_test=["method"])
    yield Case("skewed-seeds", unpaired, "Ten new seeds of each", same(clean))
    sure = row.copy()
    sure[:, easy[:12]] = 1 - sure[:, easy[:12]]
    negligible = clean_experiment({BASELINE: row, ROW: sure}, margin=8.0)
    yield Case("negligible-difference", negligible, "choose by cost", same(negligible), stays=True)
    close = importing(clean, published("a", accuracy=0.8578), published("b", accuracy=0.8531))
    yield Case("negligible-difference", close, "Run both here", same(clean))
    yield Case("published-figures", importing(clean, published(accuracy=0.5)), "Run their recipe here", same(clean))


CASES = list(cases())


def test_every_warning_has_a_case() -> None:
    assert {case.name for case in CASES} == set(CATALOGUE)


@pytest.mark.parametrize("case", CASES, ids=[f"{number} {case.name}" for number, case in enumerate(CASES)])
def test_following_a_warnings_advice_ends_it_and_raises_no_other(case: Case) -> None:
    before = compare(case.made).warnings
    advices = [warning.what_to_do for warning in before if warning.name == case.name]
    (said,) = [found for advice in advices if (found := re.search(case.advised, advice))]
    after = {warning.name for warning in compare(case.followed(said[said.re.groups])).warnings}
    assert (case.name in after) == case.stays
    assert after <= {warning.name for warning in before}


@pytest.mark.parametrize("case", CASES, ids=[f"{number} {case.name}" for number, case in enumerate(CASES)])
def test_following_a_warning_to_the_letter_raises_no_other(case: Case) -> None:
    found = [warning for warning in compare(case.made).warnings if warning.name == case.name]
    assert found
    for warning in found:
        assert reproaches(case.made, followed(case.made, warning.what_to_do)) == set(), warning.what_to_do


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
