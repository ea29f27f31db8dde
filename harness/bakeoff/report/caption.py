"""How to read a board's table, and what is equal in all its rows."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.analysis.findings import Board
from bakeoff.analysis.summary.compute import legend as work_legend
from bakeoff.analysis.summary.facts import RECIPE
from bakeoff.analysis.summary.searches import cost_sentence
from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.unit import Unit
from bakeoff.kinds import CLASSIFICATION, kind_named
from bakeoff.records.schema import Declared
from bakeoff.report.units import BASELINE, DAGGER, REPORTED
from bakeoff.text.markdown import as_markdown
from bakeoff.text.values import grouped, listed, seeds_spelt, spelt


def legend(board: Board) -> str:
    """How to read the board."""
    parts = []
    if board.metrics:
        units = {metric.name: unit_of(metric) for metric in board.metrics}
        points = _points(units)
        direction = "" if board.metrics[0].higher_is_better else " (less is better)"
        parts.append(f"{points}: mean ± standard deviation over the n seeds that ended with scores.")
        parts.append(
            f"{REPORTED} is what this experiment reports on: {board.metric} on {board.split}{direction}."
            if board.splits
            else ""
        )
        if board.compared:
            parts.append(
                "The interval is for new seeds and new examples (of a single run: for new examples only); a rank is the best "
                "and the worst that the verdicts over all pairs leave open."
            )
        if board.to_baseline:
            parts.append(
                "Detectable: the difference that this design finds in four of five experiments (80 % power). "
                "docs/statistics.md has the methods."
            )
        if board.confounded:
            parts.append(f"{DAGGER} differs from the baseline in something that is not under test.")
        always = (kind_named(board.data.kind) if board.data else CLASSIFICATION).majority_in_words
        parts.append(f"The majority baseline always gives {always}.")
    if any(row.baseline for row in board.rows):
        parts.append(f"{BASELINE} is the baseline.")
    if any(row.train_seconds for row in board.rows):
        parts.append(
            "Train s is all of the trainer's own time, its preparation included; peak MiB is the largest over seeds, the "
            "processes of a run summed."
        )
    if any(row.work.flops is not None for row in board.rows):
        parts.append(work_legend({row.strategy: row.work for row in board.rows}))
    if board.searches:
        parts.append(tuning_cost(board))
    return " ".join(filter(None, (as_markdown(part) for part in parts)))


def tuning_cost(board: Board) -> str:
    """What the searches of the board's configurations cost, and which strategies had none."""
    return cost_sentence(board.searches, [row.strategy for row in board.rows if row.strategy not in board.searches])


def _points(units: dict[str, Unit]) -> str:
    """In which units the table's scores are."""
    if {unit.scale for unit in units.values()} == {100}:
        return "Scores are points (× 100)"
    by_unit = grouped((unit.words or "as they are", metric) for metric, unit in units.items())
    if list(by_unit) == ["as they are"]:
        return "Scores are as they are"
    return "Scores of " + "; ".join(
        f"{listed(metrics)} are {'' if name == 'as they are' or name.startswith('points') else 'in '}{name}"
        for name, metrics in by_unit.items()
    )


def caption(board: Board, declared: Declared) -> list[tuple[str, Sequence[str]]]:
    """What is equal in all rows: for each subject, its parts."""
    equal, surroundings, data = board.equal, board.surroundings, board.data
    found: list[tuple[str, Sequence[str]]] = []
    if data is not None:
        sizes = [
            f"{name} {split.examples:,} examples{'' if split.labelled else ' (no labels)'}"
            for name, split in data.splits.items()
        ]
        found.append(("data", sizes))
        found.append(("made from", [f"{name} {version}" for name, version in data.source_versions.items()]))
    found.append(("task", board.components.get("task", [])))
    parameters = [f"{spelt(equal['parameters'])} parameters"] if equal.get("parameters") is not None else []
    trainable = [f"{spelt(equal['trainable'])} trainable"] if equal.get("trainable") is not None else []
    found.append(("model", [*board.components.get("model", []), *parameters, *trainable]))
    found.append(("trainer", board.components["trainer"]))
    found.append(("method", board.components["method"]))
    recipe = [
        f"{name.removeprefix(RECIPE)} {spelt(value)}"
        for name, value in equal.items()
        if name.startswith(RECIPE) and (value is not None or name.removeprefix(RECIPE) not in ("epochs", "max_steps"))
    ]
    found.append(("recipe", recipe))
    trained = [f"{spelt(equal['steps'])} steps"] if equal.get("steps") is not None else []
    if "select" in equal:
        trained.append(f"scored at the {str(equal['select']).replace('-', ' ')}")
    found.append(("training", trained))
    found.append(("taken for the same", [board.taken_for_same] if board.taken_for_same else []))
    found.append(("seeds", [seeds_spelt([seed for row in board.rows for seed in row.seeds])]))
    if declared.under_test:
        found.append(("under test", declared.under_test))
    if surroundings is not None:
        threads = f"{surroundings.threads} thread{'s' if surroundings.threads > 1 else ''}"
        hardware = [
            surroundings.hardware,
            surroundings.device,
            *([] if threads in surroundings.hardware else [threads]),
            surroundings.system,
        ]
        found.append(("hardware", hardware))
        found.append(("software", [f"{name} {version}" for name, version in surroundings.software.items()]))
    return [(label, parts) for label, parts in found if parts]
