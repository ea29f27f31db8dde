"""The runs of one strategy in two experiments, side by side: what a gate judges, and why it may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bakeoff.analysis.comparability import row_facts, unlike
from bakeoff.analysis.outputs import Outputs, gather
from bakeoff.analysis.summary.rows import asked_for, layouts
from bakeoff.records.experiment import Experiment
from bakeoff.records.history import reseeded
from bakeoff.records.provenance import DATA, differences, differing
from bakeoff.records.schema import Record

CANDIDATE, BASELINE = "candidate", "baseline"


@dataclass(frozen=True)
class Side:
    """One strategy's runs in one experiment."""

    seeds: Sequence[int] = ()
    """Declared."""
    recorded: Sequence[Record] = ()
    """By seed."""
    reseeded: bool = False
    """Whether its seeds or looks were changed when results were known."""

    @cached_property
    def records(self) -> list[Record]:
        """Of the runs that succeeded."""
        return [record for record in self.recorded if record.status == "ok"]

    @property
    def failed(self) -> list[Record]:
        return [record for record in self.recorded if record.status != "ok"]

    @property
    def missing(self) -> int:
        """How many declared runs are not (or not readably) recorded."""
        return len(self.seeds) - len(self.recorded)


@dataclass(frozen=True)
class Arm:
    """One strategy on one task with one model, on both sides."""

    task: str
    model: str
    strategy: str
    candidate: Side
    baseline: Side

    @property
    def group(self) -> str:
        return " · ".join(filter(None, (self.task, self.model)))

    @property
    def paired(self) -> bool:
        """The same seeds stand on both sides."""
        here, there = ([record.requested.seed for record in side.records] for side in (self.candidate, self.baseline))
        return here == there

    @property
    def copied(self) -> bool:
        """The candidate's records are the baseline's own: a run made again starts at another moment."""
        return bool(self.candidate.records) and self.candidate.records == self.baseline.records


def arms_of(candidate: Experiment, baseline: Experiment) -> list[Arm]:
    """Every strategy of the baseline, in its order, beside the candidate's of the same name, task and model."""
    here, there = (
        {
            (layout.task, layout.model, name): Side(
                asked_for(layout.seeds[name], {record.requested.seed for record in records}, experiment.declared.looks),
                records,
                reseeded=name in changed,
            )
            for changed in [reseeded(experiment.declared)]
            for layout in layouts(experiment)
            for name, records in layout.rows.items()
        }
        for experiment in (candidate, baseline)
    )
    return [Arm(*place, candidate=here.get(place, Side()), baseline=side) for place, side in there.items()]


def only_in_candidate(candidate: Experiment, baseline: Experiment) -> list[str]:
    """Strategies that the baseline does not have."""
    known = {run.strategy for run in baseline.declared.runs}
    return list(dict.fromkeys(run.strategy for run in candidate.declared.runs if run.strategy not in known))


def outputs_of(arm: Arm, candidate: Experiment, baseline: Experiment) -> Outputs:
    """Both sides' predictions, aligned by the examples' ids, under the names of the sides."""
    runs = {BASELINE: arm.baseline.records, CANDIDATE: arm.candidate.records}
    sides = {BASELINE: baseline, CANDIDATE: candidate}
    seed_free = [side for side, own in sides.items() if arm.strategy in own.declared.seed_free]
    return gather(baseline, runs, others={CANDIDATE: candidate}, seed_free=seed_free)


# --- why an arm may not be judged ----------------------------------------------------------------------------------------


def what_differs(arm: Arm, metric: str) -> list[str]:
    """In what the sides differ beside what was trained: software, hardware, data, in words."""
    if not arm.candidate.records or not arm.baseline.records:
        return []
    return unlike(row_facts(arm.candidate.records, metric), row_facts(arm.baseline.records, metric), ())


def why_nothing_compares(arm: Arm) -> str:
    """Empty where the two sides answer the same question."""
    here, there = arm.candidate, arm.baseline
    if not here.seeds:
        return f"the candidate has no strategy '{arm.strategy}' on {arm.group}"
    if not there.records:
        return f"no run of the baseline succeeded ({_counted(there)})"
    if not here.records:
        return f"no run of the candidate has succeeded ({_counted(here)})"
    if arm.copied:
        return "the candidate's records are the baseline's own: nothing was trained anew"
    for other in differing(here.records, there.records, {"task version"}):
        return f"the task is of version {other.here}, the baseline's of version {other.there}"
    return ""


def why_no_quality(arm: Arm, split: str, metric: str) -> str:
    """Empty where both sides were scored on the same examples by the same metric."""
    labels = []
    for name, side in ((CANDIDATE, arm.candidate), (BASELINE, arm.baseline)):
        data = [record.data for record in side.records if record.data is not None]
        if not any(split in found.splits for found in data):
            return f"the {name} has no split '{split}'"
        if not any(facts.name == metric for found in data for facts in found.metrics):
            return f"the {name} has no metric '{metric}'"
        labels.append(", ".join(data[0].labels))
    here, there = (row_facts(side.records, metric) for side in (arm.candidate, arm.baseline))
    other = {(one.subject, one.name): one for one in differences(here, there, DATA | {"metric"})}
    if ("rows", split) in other:
        return f"the examples of {split} are not the same on both sides (their fingerprints differ)"
    if ("labels", "") in other:
        several = f"the labels are {labels[0]}, the baseline's {labels[1]}"
        return several if len(set(labels)) > 1 else "the names of labels are not the same on both sides"
    if metrics := other.get(("metric", "")):
        return f"the metric is {metrics.here}, the baseline's {metrics.there}"
    return ""


def why_no_pass(arm: Arm) -> str:
    """What keeps a candidate from passing whatever its figures say; empty where nothing does."""
    side, found = arm.candidate, []
    if side.failed:
        reasons = ", ".join(dict.fromkeys(record.failure.reason for record in side.failed if record.failure))
        found.append(f"{len(side.failed)} of {len(side.seeds)} candidate runs failed ({reasons})")
    if side.missing:
        found.append(f"{side.missing} of {len(side.seeds)} candidate runs are not recorded")
    found += [
        f"the {whose}'s seeds were changed when results were known: run new ones in a new folder"
        for whose, own in ((CANDIDATE, side), (BASELINE, arm.baseline))
        if own.reseeded
    ]
    return "; ".join(found)


def _counted(side: Side) -> str:
    return f"{len(side.seeds)} declared, {len(side.failed)} failed, {side.missing} not recorded"
