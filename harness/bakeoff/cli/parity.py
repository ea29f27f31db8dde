"""`bakeoff parity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.cli.columns import aligned
from bakeoff.cli.output import say, say_json, tell
from bakeoff.contracts.fields import LARGEST_SEED
from bakeoff.machine.hardware import DEVICES
from bakeoff.text.markdown import WIDTH, wrap

if TYPE_CHECKING:
    from bakeoff.parity.trace import Trace
    from bakeoff.parity.verdict import Verdict
    from bakeoff.planning.runs import Plan, Run
    from bakeoff.runner.settings import Settings

DEFAULT_STEPS = 20


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--strategies", metavar="A,B", help="Which two (default: the baseline and the first other).")
@click.option("--steps", type=click.IntRange(1), default=DEFAULT_STEPS, show_default=True, help="How many to compare.")
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), help="Default: the spec's first.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of datasets (default: BAKEOFF_DATA).")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where to train.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads (default: all usable cores).")
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON.")
def parity(
    spec: Path,
    strategies: str | None,
    steps: int,
    seed: int | None,
    data: Path | None,
    device: str,
    threads: int | None,
    as_json: bool,
) -> int:
    """Train two strategies of SPEC side by side, on its first task and model, and compare every step to the bit.

    Says "identical for N steps", or the first step that differs, in what, and the likely cause. The steps are those of a
    real run: --steps only stops early, the learning rates stay what they are. Nothing is recorded.
    Exit code 0: identical, 1: different, 2: an error.
    """
    from bakeoff.cli.inputs import find_places, open_experiment
    from bakeoff.machine.hardware import usable_threads
    from bakeoff.parity.verdict import compare
    from bakeoff.runner.preflight import check_available
    from bakeoff.runner.settings import Settings

    document, plan = open_experiment(spec)
    settings = Settings(places=find_places(data, spec), device=device, threads=threads or usable_threads())
    pair = choose_pair(plan, strategies, seed)
    check_available(document, plan, settings.places)
    verdict = compare(*(trace(run, steps, settings) for run in pair))
    if as_json:
        say_json(verdict.model_dump_json(indent=1, ensure_ascii=True))
    else:
        say(*in_words(verdict))
    return 0 if verdict.identical else 1


def choose_pair(plan: Plan, names: str | None, seed: int | None) -> tuple[Run, Run]:
    """The two runs to compare; raises BakeoffError where the names are not two strategies."""
    from bakeoff.errors import BakeoffError
    from bakeoff.planning.runs import Run
    from bakeoff.text.words import did_you_mean

    known = {strategy.name: strategy for strategy in plan.strategies}
    wanted = (
        [name.strip() for name in names.split(",")]
        if names
        else [plan.baseline, *(name for name in known if name != plan.baseline)][:2]
    )
    for name in wanted:
        if name not in known:
            raise BakeoffError(f"--strategies: {did_you_mean('strategy', name, known)}")
    if len(set(wanted)) != 2 or len(wanted) != 2:
        raise BakeoffError(f"parity compares two strategies (--strategies A,B); there is {', '.join(known)}")
    spec = plan.spec
    chosen = spec.seeds[0] if seed is None else seed
    first, second = (Run(spec.name, plan.tasks[0], plan.models[0], known[name], chosen, spec.select) for name in wanted)
    return first, second


def trace(run: Run, steps: int, settings: Settings) -> Trace:
    """One strategy's trace, made in a process of its own; raises BakeoffError where there is none."""
    from bakeoff.errors import BakeoffError
    from bakeoff.files import temporary_folder
    from bakeoff.machine.hardware import prepare_environment
    from bakeoff.machine.worker_process import Worker
    from bakeoff.parity.trace import read_trace, trace_into
    from bakeoff.records.schema import OUTPUT_FILE
    from bakeoff.runner.settings import request_of

    tell(f"tracing {run.strategy.name} ...")
    prepare_environment(settings.threads)
    with temporary_folder() as folder:
        file, request = folder / "trace.json", request_of(run, settings).model_dump_json()
        worker = Worker(trace_into, request, steps, str(file), output=folder / OUTPUT_FILE)
        try:
            worker.listen()
            if worker.process.exitcode != 0 or not file.is_file():
                raise BakeoffError(f"{run.strategy.name} left no trace: {worker.last_words()}")
        finally:
            worker.end()
        return read_trace(file)


def in_words(verdict: Verdict) -> list[str]:
    """The verdict as lines for a person."""
    from bakeoff.parity.causes import END

    first, second = verdict.strategies
    steps = f"{verdict.identical_steps} step{'s' if verdict.identical_steps != 1 else ''}"
    if verdict.identical:
        what = "batches, losses, learning rates, gradient norms, weights, to the bit"
        lines = [f"{first} and {second}: identical for {steps} ({what})"]
    elif verdict.differs_at == 0:
        lines = [f"{first} and {second} differ before the first step, in the {verdict.differs_in}"]
    elif verdict.differs_in == END:
        lines = [f"{first} and {second}: identical for {steps}, and then one ends otherwise than the other"]
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
    """The steps around the first difference; what the second strategy has in common with the first is an equals sign."""
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
