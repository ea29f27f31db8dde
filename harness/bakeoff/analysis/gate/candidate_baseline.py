"""The runs of one strategy in two experiments, side by side: what a gate judges, and why it may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bakeoff.analysis.comparability import row_facts, unlike
from bakeoff.analysis.outputs import Outputs, gather
from bakeoff.records.experiment import Experiment
from bakeoff.records.predictions import Predictions
from bakeoff.records.provenance import DATA, differences, differing
from bakeoff.records.schema import Declared, Record

CANDIDATE, BASELINE = "candidate", "baseline"


@dataclass(frozen=True)
class Side:
    """One strategy's runs in one experiment."""

    ended: Mapping[int, Record]
    """Seed -> the run that ended well, in the order of seeds."""
    failed: Mapping[int, Record]
    missing: tuple[int, ...]
    """Seeds that are declared and not (or not readably) recorded."""

    @property
    def declared(self) -> int:
        return len(self.ended) + len(self.failed) + len(self.missing)

    @property
    def records(self) -> list[Record]:
        return list(self.ended.values())


@dataclass(frozen=True)
class Arm:
    """One strategy on one task with one model, on both sides."""

    task: str
    model: str
    strategy: str
    candidate: Side
    baseline: Side

    @property
    def board(self) -> str:
        return f"{self.task} · {self.model}"

    @property
    def paired(self) -> bool:
        """The same seeds stand on both sides."""
        return list(self.candidate.ended) == list(self.baseline.ended)

    @property
    def copied(self) -> bool:
        """The candidate's records are the baseline's own: a run made again starts at another moment."""
        return bool(self.candidate.ended) and self.candidate.records == self.baseline.records


def arms_of(candidate: Experiment, baseline: Experiment) -> list[Arm]:
    """Every strategy of the baseline, in its order, beside the candidate's of the same name, task and model."""
    here, there = _sides(candidate), _sides(baseline)
    absent = Side({}, {}, ())
    return [Arm(*place, candidate=here.get(place, absent), baseline=side) for place, side in there.items()]


def only_in_candidate(candidate: Experiment, baseline: Experiment) -> list[str]:
    """Strategies that the baseline does not have."""
    known = {run.strategy for run in baseline.declared.runs}
    return list(dict.fromkeys(run.strategy for run in candidate.declared.runs if run.strategy not in known))


def _sides(experiment: Experiment) -> dict[tuple[str, str, str], Side]:
    by_id = {record.id: record for record in experiment.records}
    seeds: dict[tuple[str, str, str], dict[int, Record | None]] = {}
    for run in experiment.declared.runs:
        seeds.setdefault((run.task, run.model, run.strategy), {})[run.seed] = by_id.get(run.id)
    return {place: _side(found) for place, found in seeds.items()}


def _side(runs: Mapping[int, Record | None]) -> Side:
    there = {seed: record for seed, record in sorted(runs.items()) if record is not None}
    return Side(
        ended={seed: record for seed, record in there.items() if record.status == "ok"},
        failed={seed: record for seed, record in there.items() if record.status != "ok"},
        missing=tuple(sorted(runs.keys() - there.keys())),
    )


def outputs_of(arm: Arm, candidate: Experiment, baseline: Experiment) -> Outputs:
    """Both sides' predictions, aligned by the examples' ids, under the names of the sides."""
    sources = {f"{name}:": experiment for name, experiment in ((CANDIDATE, candidate), (BASELINE, baseline))}

    def read(run_id: str) -> Mapping[str, Predictions]:
        side, _, own = run_id.partition(":")
        return sources[f"{side}:"].predictions(own)

    both = Experiment(declared=baseline.declared, records=(), predictions=read, steps=baseline.steps)
    sides = {BASELINE: arm.baseline, CANDIDATE: arm.candidate}
    return gather(both, {name: _renamed(name, side.records) for name, side in sides.items()})


def _renamed(side: str, records: Iterable[Record]) -> list[Record]:
    return [record.model_copy(update={"id": f"{side}:{record.id}"}) for record in records]


# --- why an arm may not be judged ----------------------------------------------------------------------------------------


def what_differs(arm: Arm, metric: str) -> list[str]:
    """In what the sides differ beside what was trained: software, hardware, data, in words."""
    if not arm.candidate.ended or not arm.baseline.ended:
        return []
    return unlike(row_facts(arm.candidate.records, metric), row_facts(arm.baseline.records, metric), ())


def why_nothing_compares(arm: Arm, declared: Declared) -> str:
    """Empty where the two sides answer the same question."""
    here, there = arm.candidate, arm.baseline
    if not here.declared:
        return f"the candidate has no strategy '{arm.strategy}' on {arm.board}"
    if not there.ended:
        return f"no run of the baseline ended well ({_counted(there)})"
    if not here.ended:
        return f"no run of the candidate has ended well ({_counted(here)})"
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
        reasons = ", ".join(dict.fromkeys(record.failure.reason for record in side.failed.values() if record.failure))
        found.append(f"{len(side.failed)} of {side.declared} candidate runs failed ({reasons})")
    if side.missing:
        found.append(f"{len(side.missing)} of {side.declared} candidate runs are not recorded")
    return "; ".join(found)


def _counted(side: Side) -> str:
    return f"{side.declared} declared, {len(side.failed)} failed, {len(side.missing)} not recorded"
