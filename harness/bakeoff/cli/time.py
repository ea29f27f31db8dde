"""The command `bakeoff time`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from bakeoff.analysis.timings import Amount, baseline_of, paired, run_time
from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.inputs import Called, find_paths, open_experiment, require_text
from bakeoff.cli.options import device_option, into_option, spec_argument, threads_option, trust_option
from bakeoff.cli.output import aligned, print_result
from bakeoff.cli.progress import make_timing_progress
from bakeoff.cli.trust import agreed
from bakeoff.machine.hardware import usable_threads
from bakeoff.machine.signals import stopped_by_signals
from bakeoff.records.schema import Timed, Timing, Titles
from bakeoff.records.store import Store
from bakeoff.runner.rounds import TimingGoal
from bakeoff.runner.settings import Settings
from bakeoff.runner.timing import time_experiment
from bakeoff.statistics.median_ratio import MedianRatio
from bakeoff.text.numbers import DASH, duration, per_cent, ratio, with_decimals
from bakeoff.text.words import escaped, shown_path


@click.command()
@spec_argument
@into_option
@data_option
@device_option
@threads_option
@click.option(
    "--within",
    metavar="PERCENT",
    type=click.FloatRange(0.1, 100),
    default=2.0,
    show_default=True,
    help="Measure until the 95 % interval of each strategy's time ratio to the baseline reaches at most this percentage of the "
    "ratio to either side.",
)
@click.option(
    "--budget",
    metavar="MINUTES",
    type=click.FloatRange(0.1, 10_000),
    default=10.0,
    show_default=True,
    help="Stop after so many minutes, however certain the ratios are.",
)
@trust_option
def time(
    spec: Path,
    into: Path | None,
    data: DataFolders,
    device: str,
    threads: int | None,
    within: float,
    budget: float,
    trust: bool,
) -> int:
    """Measure what a run of each strategy of the experiment file SPEC takes: seconds of training and evaluation, and their
    ratios to the baseline's. Tables and pages use these in place of the seconds of recorded runs.

    No run is trained to its end. A process of each strategy is kept ready, and all get short turns of training steps and
    evaluation batches in random order, the same batches for all: so the ratios hold on a machine that others use, too. The
    result is written beside the records (records/costs.json), and replaces an earlier one; if interrupted, the command writes
    nothing.

    Exit code 0: every strategy was timed, 1: one could not be, 2: an error.
    """
    if into is not None:
        require_text(into)
    document, plan = open_experiment(spec)
    trusted = agreed(document, plan, trust=trust, remedy=f"`{Called(spec, into, data).again('time', '--trust')}`")
    settings = Settings(paths=find_paths(data, spec), device=device, threads=threads or usable_threads(), trusted=trusted)
    store, goal = Store(into or spec.parent), TimingGoal(within=within / 100, budget=60 * budget)
    with stopped_by_signals(), make_timing_progress() as progress:
        outcome = time_experiment(document, plan, spec, store, settings=settings, goal=goal, progress=progress)
    for timing in outcome.timings:
        print_result(*lines_of(timing, goal, plan.titles), "")
    if patient := [escaped(one.name) for one in plan.strategies if one.recipe.early_stopping is not None]:
        print_result(f"may stop early, while the time of `a run` assumes their full length: {', '.join(patient)}")
    for (title, name), reason in outcome.failed.items():
        print_result(f"not timed: {escaped(title)}: {escaped(name)}: {reason}")
    print_result(f"written: {shown_path(store.costs_file)}")
    return 1 if outcome.failed else 0


# --- what is printed -----------------------------------------------------------------------------------------------------


def lines_of(timing: Timing, goal: TimingGoal, titles: Titles) -> list[str]:
    """A table of the strategies' times, and notes on how to read it."""
    baseline = baseline_of(timing)
    rows = [["strategy", "a step", "times baseline", "a batch", "times baseline", "a run", "turns"]]
    rows += [cells for one in timing.timed for cells in cells_of(timing, one, baseline)]
    whole = [name for one in timing.timed if one.whole for name in one.strategies]
    notes = [
        "`a step` is an optimizer step in training, `a batch` one in evaluation; ratios are of all steps, or all batches, of a "
        f"run, with 95 % intervals; `a run` is all that one takes. Measured in {duration(timing.seconds)} on "
        f"{timing.environment.hardware}; load before: {with_decimals(timing.load, 1)}."
    ]
    if whole:
        notes.append(f"timed whole, from the beginning of the training to its end: {', '.join(map(escaped, whole))}")
    if wide := uncertain(timing, goal):
        notes.append(
            f"less certain than ± {per_cent(goal.within, 1)}: {', '.join(map(escaped, wide))}; a larger --budget tells more"
        )
    return [escaped(titles.group(timing.task, [timing.model])), *aligned(rows, "lr"), *notes]


def cells_of(timing: Timing, one: Timed, baseline: Timed) -> Iterator[list[str]]:
    taken = run_time(timing, one)
    known = [(_median(seconds)) for seconds in (baseline.step_seconds, baseline.batch_seconds)]
    ratios = [paired("train", one, baseline), paired("evaluate", one, baseline)]
    scales = baseline.steps / one.steps, baseline.batches / one.batches if one.batches else 0.0
    each = [
        DASH if seconds is None or found is None else in_milliseconds(seconds * found.ratio * scale)
        for seconds, found, scale in zip(known, ratios, scales, strict=True)
    ]
    against = [DASH if one is baseline else ratio_of(found) for found in ratios]
    for name in one.strategies:
        yield [
            escaped(name),
            each[0],
            against[0],
            each[1],
            against[1],
            total_of(taken.total) if taken else DASH,
            str(taken.rounds if taken else 0),
        ]


def _median(rounds: list[float | None]) -> float | None:
    known = sorted(seconds for seconds in rounds if seconds is not None)
    return known[len(known) // 2] if known else None


def ratio_of(found: MedianRatio | None) -> str:
    return DASH if found is None else ratio(found.ratio, *(found.interval() or (None, None)))


def in_milliseconds(seconds: float) -> str:
    if seconds >= 10:
        return duration(seconds)
    return f"{with_decimals(1000 * seconds, 0 if seconds >= 0.1 else 2)} ms"


def total_of(amount: Amount) -> str:
    return duration(amount.seconds)


def uncertain(timing: Timing, goal: TimingGoal) -> list[str]:
    """The strategies with a time ratio that is less certain than the goal."""
    baseline = baseline_of(timing)
    found = []
    for one in timing.timed:
        ratios = [] if one is baseline else filter(None, (paired("train", one, baseline), paired("evaluate", one, baseline)))
        if any(each.half_width > goal.within for each in ratios):
            found += one.strategies
    return found
