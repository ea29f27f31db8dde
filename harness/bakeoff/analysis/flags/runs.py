"""Warnings about where and from what runs were made, and how they predicted: machine-changed, software-changed,
different-data, different-checkpoint, unreliable-scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from bakeoff.analysis.flags.wording import Found, Judged, clauses, grouped_by, named
from bakeoff.analysis.machines import DRIFT, drift
from bakeoff.analysis.outputs import Misread
from bakeoff.contracts.metric import Metric
from bakeoff.contracts.model import same_logits
from bakeoff.contracts.recipe_parts import PARTS
from bakeoff.records.provenance import HARDWARE, alike, differing, made_on, together
from bakeoff.records.run_names import run_name, runs_in_words
from bakeoff.records.schema import Control, Record, Requested
from bakeoff.text.numbers import count, per_cent, significant, with_decimals
from bakeoff.text.values import grouped, shell_word, yaml_value

SAME_SCORE = 1e-9


# --- who ran it ------------------------------------------------------------------------------------------------------------


def made_elsewhere(judged: Judged) -> Iterator[Found]:
    """made-elsewhere: rows with runs that were imported."""
    imported = {row: sum(one.timed == "nothing" for one in own) for row, own in judged.succeeded.items()}
    if rows := [row for row, number in imported.items() if number]:
        told = clauses(f"{row} ({count(imported[row], 'run')})" for row in rows)
        yield Found(
            rows,
            f"Made elsewhere, and imported as predictions: {told}. On which rows they were trained and how they were chosen is "
            "not known here.",
            "Let the script take part itself: `bakeoff new command SCRIPT` makes it a strategy.",
        )


# --- where it ran ----------------------------------------------------------------------------------------------------------


def mixed_hardware(judged: Judged) -> Iterator[Found]:
    """machine-changed: more than one hardware class, or instruction set, in a group, unless rows differ in it by design."""
    records = list(chain.from_iterable(judged.succeeded.values()))
    machines = _machines(records)
    classes = {row: list(dict.fromkeys(machines[one.id] for one in own)) for row, own in judged.succeeded.items()}
    distinct = dict.fromkeys(chain.from_iterable(classes.values()))
    if len(distinct) < 2 or (judged.studies("hardware") and all(len(names) == 1 for names in classes.values())):
        return
    where, names = _where(judged, machines, distinct), list(dict.fromkeys(one.environment.hardware for one in records))
    if made_on(records, judged.experiment.declared.hardware):
        what = f"Mixed hardware, as declared: {where}. No time is compared across it. Scores are, and may differ in rounding."
        to_do = (
            "Where a difference is no larger than what a rerun on another machine moves (`bakeoff merge` tells it of runs that "
            "were made twice), run all rows on one machine,"
        )
    else:
        what = f"Mixed hardware: {where}. Times cannot be compared across it, and scores may differ in rounding."
        mix = f" or, to compare scores across it, write `hardware: {yaml_value(names)}`," if len(names) > 1 else ""
        to_do = f"Run all rows on one machine, or, if hardware is what you study, {judged.declare('hardware')},{mix}"
    yield Found(_apart(classes), what, f"{to_do} {judged.in_new_folder}.")


def mixed_software(judged: Judged) -> Iterator[Found]:
    """software-changed: a distribution in more than one version; one that only some rows use is no difference."""
    rows = list(judged.succeeded.values())
    together = rows if judged.studies("software") else [list(chain.from_iterable(rows))]
    found: dict[str, dict[str, list[str]]] = {}
    for name in dict.fromkeys(one.name for records in together for one in differing(records, records, {"software"})):
        versions = {
            row: dict.fromkeys(one.environment.software.get(name) for one in own) for row, own in judged.succeeded.items()
        }
        found[name] = {row: known for row, own in versions.items() if (known := [one for one in own if one is not None])}
    if found:
        yield Found(
            dict.fromkeys(row for versions in found.values() for row in _apart(versions)),
            f"Mixed software: {clauses(_versions(name, of) for name, of in found.items())}. An upgrade may change scores and "
            "times, and would pass for the strategy's doing.",
            f"Run all rows in one environment, or, if software is what you study, {judged.declare('software')}, "
            f"{judged.in_new_folder}.",
        )


def _versions(name: str, of: Mapping[str, Sequence[str]]) -> str:
    """A distribution's versions, each with the rows that had it: `torch 2.12.0 (loop) and 2.13.0 (trainer-api)`."""
    rows_of = grouped_by({row: " and ".join(found) for row, found in of.items()})
    return f"{name} {named(f'{version} ({named(rows)})' for version, rows in rows_of.items())}"


def _apart(values: Mapping[str, Sequence[str]]) -> list[str]:
    """The rows that have more than one value themselves, or another than the first row: the baseline, where that is known."""
    usual = next(iter(values.values()))
    return [row for row, found in values.items() if len(found) > 1 or found != usual]


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


def _where(judged: Judged, machines: Mapping[str, str], distinct: Iterable[str]) -> str:
    parts = []
    for name in distinct:
        seeds = {row: [one.requested.seed for one in own if machines[one.id] == name] for row, own in judged.succeeded.items()}
        rows = [row if len(own) == len(judged.succeeded[row]) else runs_in_words(row, own) for row, own in seeds.items() if own]
        parts.append(f"{name} ({named(rows)})")
    return named(parts)


def moved_machine(judged: Judged) -> Iterator[Found]:
    """machine-changed: the control run, a fixed piece of work, took longer or shorter than on the same machine before."""
    ordered = sorted(judged.experiment.controls, key=lambda control: control.started)
    controls = grouped((control.hardware, control) for control in ordered)
    for hardware, own in controls.items():
        moved = drift(own, hardware=hardware)
        if moved is not None and moved > DRIFT:
            fast, slow = (one(own, key=lambda control: control.milliseconds) for one in (min, max))
            first, then = sorted((fast, slow), key=lambda control: control.started)
            yield Found(
                (),
                f"The machine's speed changed: a fixed piece of work took {with_decimals(first.milliseconds, 1)} ms "
                f"{_moment(first)} and {with_decimals(then.milliseconds, 1)} ms {_moment(then)} on {hardware}; the longer took "
                f"{per_cent(moved)} more. Times of these runs cannot be compared; scores are not affected.",
                f"Make the runs again on a quiet machine, in one call, {judged.in_new_folder}.",
                everywhere=True,
            )


def _moment(control: Control) -> str:
    return f"{control.moment} the runs of {control.started[:16].replace('T', ' ')}"


# --- evaluations that went wrong -------------------------------------------------------------------------------------------


def misread_predictions(judged: Judged) -> Iterator[Found]:
    """unreliable-scores: predictions that are missing, damaged, or not those of the split."""
    wrong = judged.outputs.misread
    by = grouped_by({run_name(one.strategy, one.seed): one.sentence for one in wrong})
    if wrong:
        yield Found(
            dict.fromkeys(one.strategy for one in wrong),
            f"Predictions of {count(len({(one.strategy, one.seed) for one in wrong}), 'run')} cannot be used: "
            f"{clauses(f'{named(runs)}: {sentence}' for sentence, runs in by.items())}. They are in no comparison.",
            _without_predictions(judged, wrong),
        )


MOST_REMOVED = 12
"""The most records that the advice removes by one command line; of more, it only raises the plugin's version."""


def _without_predictions(judged: Judged, wrong: Sequence[Misread]) -> str:
    """What to do about runs whose predictions cannot be used: `bakeoff run` sets aside damaged files by itself, but not files
    that are as they were written."""
    whole = [str(judged.experiment.record_folder(one.run)) for one in wrong if not one.damaged]
    steps = []
    if len(whole) < len(wrong):
        steps.append(f"{judged.run_again()} sets damaged records aside and makes these runs again.")
    if whole:
        cause = "These files are as they were written: correct the trainer or the model that predicted so"
        remove = (
            f", then `{' '.join(map(shell_word, ['rm', '-r', '--', *whole]))}` and {judged.run_again()} make the runs again"
        )
        steps.append(
            f"{cause}{remove if len(whole) <= MOST_REMOVED else ''}; or raise its 'version', and run all "
            f"{judged.in_new_folder}."
        )
    return " ".join(steps)


def random_evaluations(judged: Judged) -> Iterator[Found]:
    """unreliable-scores: the same batch predicted twice gives two answers, as with dropout left on."""
    moved = [
        (row, record.requested.seed, record.evaluation_difference)
        for row, records in judged.succeeded.items()
        for record in records
        if record.evaluation_difference is not None
        and not same_logits(record.evaluation_difference, record.largest_logit or 0.0)
    ]
    rows = grouped((row, seed) for row, seed, _ in moved)
    most = significant(float(np.max([apart for _, _, apart in moved], initial=0.0)), 2)
    if moved:
        yield Found(
            rows,
            f"Predicting is random: the same batch predicted twice differs by up to {most} in its logits: "
            f"{named(runs_in_words(row, seeds) for row, seeds in rows.items())}. Another evaluation would give another score.",
            "Put the model into evaluation mode in 'predict' (no dropout, no batch statistics), raise its 'version', and run "
            f"it {judged.in_new_folder}.",
        )


def contradicted_scores(judged: Judged) -> Iterator[Found]:
    """unreliable-scores: a recorded score is not what the recorded predictions give."""
    wrong: dict[str, str] = {}
    for row, records in judged.succeeded.items():
        recorded = {(split, metric): None for record in records for split, scores in record.scores.items() for metric in scores}
        for split, name in recorded:
            computed = _computed(judged, row, split, name)
            for record in records:
                score, again = record.scores.get(split, {}).get(name), computed.get(record.requested.seed)
                if score is not None and again is not None and not abs(again - score) <= SAME_SCORE:
                    wrong.setdefault(
                        row,
                        f"{run_name(row, record.requested.seed)}, {name} on {split}: {significant(score, 6)} is recorded, "
                        f"{significant(again, 6)} is right",
                    )
    if wrong:
        yield Found(
            wrong,
            f"Recorded scores that the predictions contradict: {clauses(wrong.values())}. The comparison goes "
            "by the predictions.",
            "Find out whether the record was edited or the metric changed (then raise the metric's 'version'); "
            f"{judged.rescore_all} computes all scores anew.",
        )


def _computed(judged: Judged, row: str, split: str, name: str) -> Mapping[int, float]:
    """Seed -> the score that the predictions give; empty where it takes more than numpy to compute, as of a metric of the
    hub."""
    own, metric = judged.outputs.splits.get(split), judged.experiment.metrics.get(judged.group.task, {}).get(name)
    if own is None or metric is None or row not in own.answers:
        return {}
    measured = own.measured(metric, row)
    if (measured.terms is None and type(metric).score is Metric.score) or measured.scores is None:
        return {}
    return dict(zip(own.seeds[row], measured.scores.tolist(), strict=True))


def separated(judged: Judged, *, data: bool) -> Iterator[Found]:
    """different-data, different-checkpoint: runs that were made from other data, or started from another model, than the
    experiment's other runs, and so stand in a comparison group of their own."""
    for one in judged.experiment.separated:
        rows = {row: sum(record.id in one.runs for record in records) for row, records in judged.records.items()}
        if one.data is data and any(rows.values()):
            yield Found(
                [row for row, number in rows.items() if number],
                f"{'Other data' if data else 'Another model'}: {count(sum(rows.values()), 'run')} differ from the other runs "
                f"of {one.was} in {one.what}. They stand here, apart from those, in a comparison group of their own.",
                f"To make all runs from the same {'data' if data else 'model'}: {judged.run_again('--changed', 'rerun')}.",
            )


def edited_plugins(judged: Judged) -> Iterator[Found]:
    """software-changed: a plugin whose source changed between runs though its version did not."""
    sources = grouped(
        (_plugin_in_words(record.requested, kind), (digest, row))
        for row, records in judged.succeeded.items()
        for record in records
        for kind, digest in record.made_from.code.items()
    )
    edited = {plugin: found for plugin, found in sources.items() if len({digest for digest, _ in found}) > 1}
    if edited:
        states = (
            f"the source of {plugin}, in {len({digest for digest, _ in found})} states under "
            f"{named(dict.fromkeys(row for _, row in found))}"
            for plugin, found in edited.items()
        )
        yield Found(
            dict.fromkeys(row for found in edited.values() for _, row in found),
            f"Edited between runs: {clauses(states)}. Whether it gives other results now is not known, as its "
            "version is the same.",
            f"If it does, raise its 'version' and run all rows {judged.in_new_folder}.",
        )


def _plugin_in_words(requested: Requested, kind: str) -> str:
    """The run's component of this kind with its version; `optimizer` and `loss` stand in the recipe."""
    if kind in PARTS:
        return f"{kind} {requested.recipe[kind]['name']} (version {requested.recipe[kind]['version']})"
    origin = getattr(requested, kind)
    return f"{kind} {origin.name} (version {origin.version}, {origin.distribution} {origin.distribution_version})"
