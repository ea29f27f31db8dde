"""The legend of a table, which says how to read it, and its caption, which says what is equal in all rows."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.analysis.findings import ComparisonGroup
from bakeoff.analysis.recipes import COMPONENTS, OWNED
from bakeoff.analysis.summary.compute import legend as work_legend
from bakeoff.analysis.summary.searches import cost_sentence
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.kinds import CLASSIFICATION, kind_named
from bakeoff.records.schema import Environment
from bakeoff.report.cells import BASELINE, DAGGER, REPORTED
from bakeoff.text.markdown import as_markdown
from bakeoff.text.values import grouped, listed, seeds_spelt
from bakeoff.version import DOCUMENTATION


def legend(group: ComparisonGroup) -> str:
    """How to read the table of a comparison group, in one paragraph."""
    rows = group.rows
    parts = [
        *(_of_scores(group) if group.metrics else []),
        f"{BASELINE} is the baseline." if any(row.baseline for row in rows) else "",
        "Train s is all of the trainer's own time, its preparation included; peak MiB is the largest over seeds, the processes "
        "of a run summed."
        if any(row.train_seconds for row in rows)
        else "",
        f"Run s, with its training and evaluation: of one run, measured in turns by bakeoff time ({group.timed_on}), with "
        "95 % intervals of the ratios to the baseline's."
        if group.timed_on
        else "",
        work_legend({row.strategy: row.work for row in rows}) if any(row.work.flops is not None for row in rows) else "",
        tuning_cost(group) if group.searches else "",
    ]
    return as_markdown(" ".join(filter(None, parts)))


def _of_scores(group: ComparisonGroup) -> list[str]:
    direction = "" if group.metrics[0].higher_is_better else " (less is better)"
    fell = any(row.collapsed for row in group.rows)
    always = (kind_named(group.data.kind) if group.data else CLASSIFICATION).majority_in_words
    return [
        f"{_points(group)}: mean ± standard deviation over the n seeds that ended with scores{' and learned' if fell else ''}.",
        f"{REPORTED} is what this experiment reports on: {group.metric} on {group.split}{direction}." if group.splits else "",
        "The interval is for new seeds and new examples (of a single run: for new examples only); a rank is the best and the "
        "worst that the verdicts over all pairs leave open."
        if group.compared
        else "",
        "Of differences, the interval has the level of the look that judged the pair last, and p is scaled so that 0.05 is "
        "what that look asks for."
        if group.looks
        else "",
        "Detectable: the difference that this design would find in four of five experiments, at the level of the verdicts; an "
        f"estimate from these runs, with its 10 to 90 % range. The methods: {DOCUMENTATION}/statistics.md"
        if group.to_baseline
        else "",
        f"The margin of equivalence is {group.figures.as_declared(group.margin)}"
        f"{f' ({group.margin_note})' if group.margin_note else ''}."
        if group.to_baseline and group.margin is not None
        else "",
        "Verdicts are of the runs that learned. Of all runs, better or worse is said where it holds with those that collapsed "
        "or failed counted as the majority baseline and also without them."
        if any(pair.all_runs for pair in group.to_baseline)
        else "",
        f"{DAGGER} differs from the baseline in something that is not under test." if group.confounded else "",
        f"The majority baseline always gives {always}.",
    ]


def tuning_cost(group: ComparisonGroup) -> str:
    """A sentence on what the group's hyper-parameter searches cost, and which strategies had none."""
    return cost_sentence(group.searches, [row.strategy for row in group.rows if row.strategy not in group.searches])


def _points(group: ComparisonGroup) -> str:
    """The beginning of a sentence on the units of the scores in the table."""
    by_unit = grouped((unit_of(metric).words or "as they are", metric.name) for metric in group.metrics)
    if list(by_unit) in (["points (× 100)"], ["as they are"]):
        return f"Scores are {next(iter(by_unit))}"
    return "Scores of " + "; ".join(
        f"{listed(metrics)} are {'' if name == 'as they are' or name.startswith('points') else 'in '}{name}"
        for name, metrics in by_unit.items()
    )


def caption(group: ComparisonGroup) -> list[tuple[str, Sequence[str]]]:
    """What is equal in all rows of the group: (subject, what is said of it) for each subject of which something is known."""
    equal, components = group.equal, group.components
    splits = group.data.splits if group.data else {}
    sources = group.data.source_versions if group.data else {}
    numbers = {name: [f"{equal[name]} {name}"] if name in equal else [] for name in SIZES}
    selected = [f"scored at the {equal['selection']}"] if "selection" in equal else []
    elsewhere = {*COMPONENTS, *SIZES, OWNED, "selection", *(["replicate"] if equal.get("replicate") == "0" else [])}
    found: list[tuple[str, Sequence[str]]] = [
        ("data", [f"{name} {one.examples:,} examples{'' if one.labelled else ' (no labels)'}" for name, one in splits.items()]),
        ("made from", [f"{name} {version}" for name, version in sources.items()]),
        ("task", components.get("task", [])),
        ("model", [*components.get("model", []), *numbers["parameters"], *numbers["trainable parameters"]]),
        ("trainer", components["trainer"]),
        ("method", components["method"]),
        ("recipe", [f"{subject} {value}" for subject, value in equal.items() if subject not in elsewhere]),
        ("training", [*numbers["steps"], *selected]),
        ("taken for the same", [group.taken_for_same] if group.taken_for_same else []),
        ("seeds", [seeds_spelt([seed for row in group.rows for seed in row.needed])]),
        ("under test", group.under_test),
        *(_machine(group.surroundings) if group.surroundings else []),
    ]
    return [(label, parts) for label, parts in found if parts]


SIZES = ("parameters", "trainable parameters", "steps")


def _machine(found: Environment) -> list[tuple[str, Sequence[str]]]:
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    hardware = [found.hardware, found.device, *([] if threads in found.hardware else [threads]), found.system]
    return [("hardware", hardware), ("software", [f"{name} {version}" for name, version in found.software.items()])]
