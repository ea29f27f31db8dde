"""The command `bakeoff parity`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.cli.data_folders import DataFolders, data_option
from bakeoff.cli.inputs import Called, find_paths, open_experiment
from bakeoff.cli.options import device_option, json_option, spec_argument, threads_option, trust_option
from bakeoff.cli.output import aligned, print_json, print_note, print_result
from bakeoff.cli.trust import agreed
from bakeoff.contracts.fields import LARGEST_SEED
from bakeoff.errors import BakeoffError
from bakeoff.files import temporary_folder
from bakeoff.machine.hardware import prepare_environment, usable_threads
from bakeoff.machine.worker_process import ask_worker
from bakeoff.parity.causes import END
from bakeoff.parity.trace import Trace, read_trace, trace_into
from bakeoff.parity.verdict import Verdict, compare
from bakeoff.planning.runs import Plan, Run
from bakeoff.runner.availability import require_available
from bakeoff.runner.settings import Settings, request_of
from bakeoff.text.markdown import WIDTH, wrap
from bakeoff.text.numbers import count
from bakeoff.text.words import did_you_mean


@click.command()
@spec_argument
@click.option("--strategies", metavar="A,B", help="The two strategies (default: the baseline and the first other one).")
@click.option("--steps", metavar="N", type=click.IntRange(1), default=20, show_default=True, help="Steps to compare.")
@click.option(
    "--seed", metavar="N", type=click.IntRange(0, LARGEST_SEED), help="Seed of both (default: the first in the file)."
)
@data_option
@device_option
@threads_option
@trust_option
@json_option
def parity(
    spec: Path,
    strategies: str | None,
    steps: int,
    seed: int | None,
    data: DataFolders,
    device: str,
    threads: int | None,
    trust: bool,
    as_json: bool,
) -> int:
    """Train two strategies of the experiment file SPEC side by side, on its first task and model, and compare each step bit
    by bit.

    Reports "identical for N steps", or the first step that differs, in which quantity, and the likely cause. The steps are
    those of a full run: --steps stops early, but does not change the learning rate schedule. Nothing is recorded.

    Exit code 0: identical, 1: different, 2: an error.
    """
    document, plan = open_experiment(spec)
    trusted = agreed(document, plan, trust=trust, remedy=f"`{Called(spec, None, data).again('parity', '--trust')}`")
    settings = Settings(paths=find_paths(data, spec), device=device, threads=threads or usable_threads(), trusted=trusted)
    pair = choose_pair(plan, strategies, seed)
    require_available(document, plan, settings.paths, pair)
    verdict = compare(*(trace(run, steps, settings) for run in pair))
    if as_json:
        print_json(verdict.model_dump_json(indent=1, ensure_ascii=True))
    else:
        print_result(*in_words(verdict))
    return 0 if verdict.identical else 1


def choose_pair(plan: Plan, names: str | None, seed: int | None) -> tuple[Run, Run]:
    """The two runs to compare. names: `A,B`; None for the baseline and the first other strategy. Raises BakeoffError unless
    these are two different strategies that take optimizer steps."""
    known = {strategy.name: strategy for strategy in plan.strategies}
    wanted = (
        [name.strip() for name in names.split(",")]
        if names
        else [plan.baseline, *(name for name, of in plan.baseline_of.items() if name != plan.baseline == of)][:2]
    )
    for name in wanted:
        if name not in known:
            raise BakeoffError(f"--strategies: {did_you_mean('strategy', name, known)}")
        if known[name].owns_model:
            others = [other for other, one in known.items() if not one.owns_model]
            instead = f"name two of {', '.join(others)}" if len(others) > 1 else "two strategies that take steps are needed"
            raise BakeoffError(f"--strategies: the trainer of '{name}' owns its model and takes no steps: {instead}")
    if len(set(wanted)) != 2 or len(wanted) != 2:
        raise BakeoffError(f"--strategies: name two different strategies, as A,B; the file has {', '.join(known)}")
    spec = plan.spec
    chosen = spec.seeds.numbers[0] if seed is None else seed
    first, second = (
        Run(spec.name, plan.tasks[0], plan.model_of(known[name]), known[name], chosen, spec.select) for name in wanted
    )
    return first, second


def trace(run: Run, steps: int, settings: Settings) -> Trace:
    """Trains a run for so many steps in a process of its own, and returns the trace of its steps. Raises BakeoffError if the
    process leaves none."""
    print_note(f"tracing {run.strategy.name} ...")
    prepare_environment(settings.threads)
    with temporary_folder() as folder:
        file, request = folder / "trace.json", request_of(run, settings).model_dump_json()
        ask_worker(trace_into, request, steps, str(file), key="traced", named=f"the process that traced {run.strategy.name}")
        return read_trace(file)


def in_words(verdict: Verdict) -> list[str]:
    """The verdict as lines of text."""
    first, second = verdict.strategies
    steps = count(verdict.identical_steps, "step")
    if verdict.identical:
        what = "batches, losses, learning rates, gradient norms, weights, to the bit"
        lines = [f"{first} and {second}: identical for {steps} ({what})"]
    elif verdict.differs_at == 0:
        lines = [f"{first} and {second} differ before the first step, in the {verdict.differs_in}"]
    elif verdict.differs_in == END:
        lines = [f"{first} and {second}: identical for {steps}, but they do not end in the same way"]
    else:
        lines = [f"{first} and {second}: identical for {steps}; step {verdict.differs_at} differs in the {verdict.differs_in}"]
    lines.append(f"{verdict.title}; {verdict.compared_steps} of {verdict.total_steps} steps compared")
    if verdict.likely_causes or verdict.also_different or verdict.notes:
        lines.append("")
    other = "note" if verdict.identical else "also different"
    for title, texts in (("likely cause", verdict.likely_causes), (other, verdict.also_different), ("note", verdict.notes)):
        for text in texts:
            lines += wrap(f"{title}: {text}", WIDTH, indent="  ")
    if verdict.around:
        lines += ["", *table(verdict)]
    return lines


def table(verdict: Verdict) -> list[str]:
    """The steps around the first difference as a table; `=` where both strategies have the same value."""
    header = ["step", "strategy", "batch", "loss", "learning rate", "gradient norm", "weights"]
    fields = ("batch", "loss", "learning_rate", "gradient_norm", "weights")
    cells = [header]
    shown: dict[int, Any] = {}
    for row in verdict.around:
        other = shown.setdefault(row.step, row)
        values = [getattr(row, name) for name in fields]
        if other is not row:
            values = ["=" if getattr(other, name) == value else value for name, value in zip(fields, values, strict=True)]
        mark = "> " if row.step == verdict.differs_at and other is row else "  "
        cells.append([f"{mark}{row.step}" if other is row else "", row.strategy, *values])
    return aligned(cells, "rl")
