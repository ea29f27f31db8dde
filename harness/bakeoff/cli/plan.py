"""`bakeoff plan`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakeoff.cli.columns import aligned
from bakeoff.text.numbers import count, duration

if TYPE_CHECKING:
    from bakeoff.planning.estimate import Left, Outlook
    from bakeoff.planning.runs import Plan


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), help="Folder of the records (default: the spec's own).")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of datasets, to see whether they changed (default: BAKEOFF_DATA)."
)
@click.option(
    "--resolve",
    "difference",
    metavar="DIFFERENCE",
    type=click.FloatRange(0, min_open=True),
    help="Say instead how many seeds find such a difference to the baseline: in points, or in the primary metric's own unit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(spec: Path, into: Path | None, data: Path | None, difference: float | None, as_json: bool) -> None:
    """List the runs of the experiment file SPEC: id, what is recorded already, how long the rest may take.

    Times come from recorded runs that differ in the seed only, on such a machine: of this folder, else of those beside it.
    With --resolve, the spread over seeds and examples comes from there too, or from planning values where nothing like it is
    recorded.
    """
    from bakeoff.cli.inputs import again, look_for_changes, open_experiment
    from bakeoff.cli.output import say, say_json, tell
    from bakeoff.planning.estimate import left, survey
    from bakeoff.planning.search import settled
    from bakeoff.records.store import Store

    _, resolved = open_experiment(spec)
    store = Store(into or spec.parent)
    resolved = settled(resolved, store.find)
    changes, told = look_for_changes(resolved, store, spec, data, into)
    outlooks = survey(resolved, store, changes.files)
    if difference is not None:
        if not math.isfinite(difference):  # NaN lies in every range
            raise click.BadParameter("must be a number", param_hint="--resolve")
        from bakeoff.cli.sample_size import in_words, resolve

        if resolved.waiting:
            makes = again("run", spec, into, data)
            raise click.ClickException(f"the search has not chosen yet; `{makes}` makes its trials first")
        tell(*told)
        resolution = resolve(resolved, store, outlooks, difference)
        if as_json:
            say_json(resolution.model_dump_json(indent=1, ensure_ascii=True))
        else:
            say(*in_words(resolution))
        return
    if as_json:
        say_json(json.dumps(as_data(resolved, outlooks, left(outlooks)) | {"notes": told}, indent=1))
        return
    retry = again("run", spec, into, data, "--retry", "failed")
    lines = [*summary(outlooks, left(outlooks), retry), *search_lines(resolved), *note_lines(resolved)]
    say(*table(outlooks), "", *told, *lines)


def as_data(plan: Plan, outlooks: list[Outlook], left: Left) -> dict[str, object]:
    runs = [
        {
            "id": outlook.run.id,
            "task": outlook.run.task.label,
            "model": outlook.run.model.label,
            "strategy": outlook.run.strategy.name,
            "seed": outlook.run.seed,
            "trial": dict(outlook.run.tried) or None,
            "state": outlook.state,
            "seconds": outlook.seconds,
            "note": outlook.note,
        }
        for outlook in outlooks
    ]
    return {
        "experiment": plan.spec.name,
        "runs": runs,
        "left": {"runs": left.runs, "seconds": left.seconds, "unknown": left.unknown},
        "waiting": plan.waiting,
        "notes": [{"strategies": names, "note": note} for note, names in plan.notes.items()],
    }


def note_lines(plan: Plan) -> list[str]:
    """What trainers have to say of their recipes."""
    return [f"note: {', '.join(names)}: {note}" for note, names in plan.notes.items()]


def search_lines(plan: Plan) -> list[str]:
    """What the searches have chosen, and how many runs wait for them."""
    tuned = {strategy.name: strategy.tuning for strategy in plan.strategies if strategy.tuning}
    lines = []
    for (name, task, model), number in plan.chosen.items():
        if (tuning := tuned.get(name)) is not None:
            values = ", ".join(f"{key} {value}" for key, value in tuning.configurations[number].values)
            lines.append(f"{name}: {values}, chosen on dev ({task}, {model})")
    if plan.waiting:
        lines.append(f"{count(plan.waiting, 'more run')} to report, of configurations that the trials will choose")
    return lines


def table(outlooks: list[Outlook]) -> list[str]:
    """The runs in aligned columns; the time is what a run took, or, with `about`, what it may take."""
    from bakeoff.text.words import escaped

    rows = [["id", "task", "model", "strategy", "seed", "state", "time"]]
    if any(outlook.run.tried for outlook in outlooks):
        rows[0].insert(5, "trial")
    for outlook in outlooks:
        run, seconds = outlook.run, outlook.seconds
        time = (
            "unknown"
            if seconds is None
            else f"about {duration(seconds)}"
            if outlook.state in ("to do", "running")
            else duration(seconds)
        )
        labels = (escaped(run.task.label), escaped(run.model.label), run.strategy.name)
        tried = [", ".join(f"{key} {value}" for key, value in run.tried)] if "trial" in rows[0] else []
        rows.append([run.id, *labels, str(run.seed), *map(escaped, tried), outlook.state, time])
    return aligned(rows)


def summary(outlooks: list[Outlook], left: Left, retry: str) -> list[str]:
    """What is left, and what went wrong; `retry` is the command that tries failed runs again."""
    lines = [f"{outlook.run.id}: {outlook.state}: {outlook.note}" for outlook in outlooks if outlook.note]
    if failed := sum(outlook.state == "failed" for outlook in outlooks):
        lines.append(f"{count(failed, 'failed run')} kept as recorded; `{retry}` tries again")
    if not left.runs:
        return [*lines, f"{count(len(outlooks), 'run')}; nothing left to do"]
    known = [f"about {duration(left.seconds)}"] if left.runs > left.unknown else []
    rest = [f"{count(left.unknown, 'run')} of unknown length" if known else "of unknown length"] if left.unknown else []
    return [*lines, f"{count(len(outlooks), 'run')}; {left.runs} left to do, {' and '.join([*known, *rest])}"]
