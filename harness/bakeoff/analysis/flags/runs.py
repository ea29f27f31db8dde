"""Warnings about how runs were made: machine-changed, software-changed, unreliable-scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from numpy.typing import NDArray

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.flags.wording import (
    Found,
    and_seeds,
    ended_well,
    grouped_by,
    in_new_folder,
    listed,
    rescore_all,
    run_again,
    studied,
    told,
)
from bakeoff.analysis.machine_drift import DRIFT, drift
from bakeoff.analysis.outputs import Misread
from bakeoff.contracts.metric import Metric
from bakeoff.contracts.model import same_logits
from bakeoff.records.provenance import HARDWARE, alike, differing, software_of, together
from bakeoff.records.schema import Control, Record
from bakeoff.statistics.bootstrap import or_nan
from bakeoff.text.numbers import count, per_cent, significant, with_decimals
from bakeoff.text.values import shell_word

SAME_SCORE = 1e-9


# --- where it ran ----------------------------------------------------------------------------------------------------------


def mixed_hardware(ground: Ground) -> Iterator[Found]:
    """machine-changed: more than one hardware class, or instruction set, on a board, unless rows differ in it by design."""
    well = ended_well(ground)
    machines = _machines(chain.from_iterable(well.values()))
    classes = {row: list(dict.fromkeys(machines[record.id] for record in records)) for row, records in well.items()}
    distinct = dict.fromkeys(name for names in classes.values() for name in names)
    if len(distinct) > 1 and not (studied(ground, "hardware") and all(len(names) == 1 for names in classes.values())):
        yield Found(
            _apart(classes, ground.board.baseline),
            f"Mixed hardware: {_where(ground, machines, list(distinct))}. Times cannot be compared across it, and "
            "scores may differ in rounding.",
            f"Run all rows on one machine, or where hardware is what you study add 'hardware' to 'under_test', "
            f"{in_new_folder(ground)}.",
        )


def mixed_software(ground: Ground) -> Iterator[Found]:
    """software-changed: a distribution in more than one version; one that only some rows use is no difference."""
    well = ended_well(ground)
    together = list(well.values()) if studied(ground, "software") else [list(chain.from_iterable(well.values()))]
    names = {one.name for records in together for one in differing(records, records, {"software"})}
    mixed: dict[str, dict[str, list[str]]] = {}
    for row, records in well.items():
        for record in records:
            for name, version in software_of(record.environment).items():
                if name in names and version not in (of := mixed.setdefault(name, {}).setdefault(row, [])):
                    of.append(version)
    if mixed:
        rows = dict.fromkeys(row for of in mixed.values() for row in _apart(of, ground.board.baseline))
        yield Found(
            tuple(rows),
            f"Mixed software: {told(_versions_told(name, of) for name, of in mixed.items())}. An upgrade may change "
            "scores and times, "
            "and would pass for the strategy's doing.",
            "Run all rows in one environment, or where software is what you study add 'software' to 'under_test', "
            f"{in_new_folder(ground)}.",
        )


def _versions_told(name: str, of: Mapping[str, Sequence[str]]) -> str:
    by = grouped_by({row: " and ".join(found) for row, found in of.items()})
    return f"{name} " + listed(f"{version} ({listed(rows)})" for version, rows in by.items())


def _apart(values: Mapping[str, Sequence[str]], baseline: str) -> tuple[str, ...]:
    """The rows that are mixed themselves, or not as the baseline is."""
    usual = values.get(baseline) or next(iter(values.values()))
    return tuple(row for row, found in values.items() if len(found) > 1 or list(found) != list(usual))


def _machines(records: Iterable[Record]) -> dict[str, str]:
    """Run id -> the hardware class that it had, with the instruction set where that tells two apart."""
    groups = alike(records, HARDWARE)
    names = dict[str, str]()
    for group in groups:
        facts = together(group, HARDWARE)
        twins = any(other is not group and not differing(group, other, {"hardware"}) for other in groups)
        name = " with ".join(filter(None, (*facts["hardware", ""], *(facts["instruction set", ""] if twins else ()))))
        names |= {record.id: name for record in group}
    return names


def _where(ground: Ground, machines: Mapping[str, str], distinct: Sequence[str]) -> str:
    parts = []
    for name in distinct:
        rows = []
        for row, records in ended_well(ground).items():
            seeds = [record.requested.seed for record in records if machines[record.id] == name]
            if seeds:
                rows.append(row if len(seeds) == len(records) else and_seeds(row, seeds))
        parts.append(f"{name} ({listed(rows)})")
    return listed(parts)


def moved_machine(ground: Ground) -> Iterator[Found]:
    """machine-changed: the control run, a fixed piece of work, took longer or shorter than on the same machine before."""
    machines: dict[str, list[Control]] = {}
    for control in sorted(ground.experiment.controls, key=lambda control: control.started):
        machines.setdefault(control.hardware, []).append(control)
    for hardware, controls in machines.items():
        moved = drift(controls, hardware=hardware)
        if moved is not None and moved > DRIFT:
            fast = min(controls, key=lambda control: control.milliseconds)
            slow = max(controls, key=lambda control: control.milliseconds)
            yield Found(
                (),
                f"The machine moved: a fixed piece of work took {with_decimals(fast.milliseconds, 1)} ms {_moment(fast)} and "
                f"{with_decimals(slow.milliseconds, 1)} ms {_moment(slow)} on {hardware}, "
                f"{per_cent(moved)} longer. Times of these runs cannot be compared.",
                f"Make the runs again on a quiet machine, in one call, {in_new_folder(ground)}.",
                everywhere=True,
            )


def _moment(control: Control) -> str:
    return f"{control.moment} the runs of {control.started[:16].replace('T', ' ')}"


# --- evaluations that went wrong -------------------------------------------------------------------------------------------


def misread_predictions(ground: Ground) -> Iterator[Found]:
    """unreliable-scores: predictions that are missing, damaged, or not those of the split."""
    wrong = ground.outputs.misread
    if wrong:
        by = grouped_by({f"{one.strategy} seed {one.seed}": one.sentence for one in wrong})
        yield Found(
            tuple(dict.fromkeys(one.strategy for one in wrong)),
            f"Predictions of {count(len({(one.strategy, one.seed) for one in wrong}), 'run')} cannot be used: "
            f"{told(f'{listed(runs)}: {sentence}' for sentence, runs in by.items())}. They are in no comparison.",
            _without_predictions(ground, wrong),
        )


MOST_REMOVED = 12
"""Records that one command line removes; of more, the plugin's version is raised."""


def _without_predictions(ground: Ground, wrong: Sequence[Misread]) -> str:
    """What to do about runs whose predictions cannot be used: `bakeoff run` sets aside damaged files by itself, and not files
    that are as they were written."""
    whole = [str(ground.experiment.record_folder(one.run)) for one in wrong if not one.damaged]
    steps = []
    if len(whole) < len(wrong):
        steps.append(f"{run_again(ground)} sets damaged records aside and makes these runs again.")
    if whole:
        cause = "These files are as they were written: correct the trainer or the model that predicted so"
        remove = f", then `{' '.join(map(shell_word, ['rm', '-r', '--', *whole]))}` and {run_again(ground)} make the runs again"
        steps.append(
            f"{cause}{remove if len(whole) <= MOST_REMOVED else ''}; or raise its 'version', and run all "
            f"{in_new_folder(ground)}."
        )
    return " ".join(steps)


def random_evaluations(ground: Ground) -> Iterator[Found]:
    """unreliable-scores: the same batch predicted twice gives two answers, as with dropout left on."""
    moved: dict[str, list[int]] = {}
    most = 0.0
    for row, records in ended_well(ground).items():
        for record in records:
            apart = record.evaluation_difference
            if apart is not None and not same_logits(apart, record.largest_logit or 0.0):
                moved.setdefault(row, []).append(record.requested.seed)
                most = apart if math.isnan(apart) else max(most, apart)
    if moved:
        yield Found(
            tuple(moved),
            f"Predicting is random: the same batch predicted twice differs by up to {significant(most, 2)} in its logits: "
            f"{listed(and_seeds(row, seeds) for row, seeds in moved.items())}. Another look would give another score.",
            "Put the model into evaluation mode in 'predict' (no dropout, no batch statistics), raise its 'version', and run "
            f"it {in_new_folder(ground)}.",
        )


def contradicted_scores(ground: Ground) -> Iterator[Found]:
    """unreliable-scores: a recorded score is not what the recorded predictions give."""
    metrics = ground.experiment.metrics.get(ground.board.task, {})
    wrong: dict[str, str] = {}
    for row, records in ended_well(ground).items():
        for name, split in ground.outputs.splits.items():
            rows = dict(zip(split.seeds.get(row, ()), split.answers.get(row, ()), strict=True))
            for record in records:
                for metric, recorded in record.scores.get(name, {}).items():
                    if record.requested.seed not in rows or metric not in metrics:
                        continue
                    again = rescored(metrics[metric], rows[record.requested.seed], split.labels)
                    if again is not None and not abs(again - recorded) <= SAME_SCORE:
                        wrong.setdefault(
                            row,
                            f"{row} seed {record.requested.seed}, {metric} on {name}: {significant(recorded, 6)} is recorded, "
                            f"{significant(again, 6)} is right",
                        )
    if wrong:
        yield Found(
            tuple(wrong),
            f"Recorded scores that the predictions contradict: {told(wrong.values())}. The comparison goes by the predictions.",
            "Find out whether the record was edited or the metric changed (raise its 'version' then); "
            f"{rescore_all(ground)} shows all.",
        )


def rescored(metric: Metric, answers: NDArray[Any], labels: NDArray[Any]) -> float | None:
    """The metric from predictions in numpy alone; None where it would have to be loaded from elsewhere."""
    parts = metric.ratio_terms(answers, labels)
    if parts is not None:
        total = parts[1].sum()
        return float(parts[0].sum() / total) if total else 0.0
    return or_nan(metric.score)(answers, labels) if type(metric).score is not Metric.score else None
