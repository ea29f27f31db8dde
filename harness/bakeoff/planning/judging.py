"""By what differences an experiment is judged: its margin and its gate, in the units of its tasks' primary metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bakeoff.contracts.metric import Metric
from bakeoff.contracts.unit import DEFAULT_MARGIN
from bakeoff.spec.experiment_file import PLAIN_MARGIN
from bakeoff.spec.yaml_reader import KeyPath
from bakeoff.text.allowance import POINTS, Loss, loss_of, losses, with_loss
from bakeoff.text.values import spelt, yaml_value
from bakeoff.text.words import did_you_mean

Problem = tuple[KeyPath, str]
"""Where in the experiment file, and what is wrong there."""


@dataclass(frozen=True)
class Primary:
    """The metric by which a task's rows are judged."""

    task: str
    index: int
    """Of the task in the experiment file."""
    metric: Metric

    @property
    def unit(self) -> str:
        """What a margin or a gate of this metric is named by: `points`, or the metric itself."""
        return POINTS if self.metric.unit.in_points else self.metric.name

    @property
    def called(self) -> str:
        """The metric without the class that it looks at: `f1`."""
        return self.metric.name.partition(" (")[0]


def margins(given: Mapping[str, float], primaries: Sequence[Primary]) -> dict[str, float]:
    """Unit (`points`, or a metric's name) -> the margin as it is shown; a plain number is of the one unit that there is.

    Metrics that are shown in points have a default.
    """
    units = list(dict.fromkeys(primary.unit for primary in primaries))
    if PLAIN_MARGIN in given:
        return {units[0] if len(units) == 1 else POINTS: given[PLAIN_MARGIN]}
    names = {primary.called: primary.metric.name for primary in primaries}
    found = {names.get(name, name): margin for name, margin in given.items()}
    if any(primary.unit == POINTS and primary.metric.name not in found for primary in primaries):
        found.setdefault(POINTS, DEFAULT_MARGIN)
    return found


def wrong_margins(given: Mapping[str, float], primaries: Sequence[Primary]) -> Iterator[Problem]:
    """What `margin` says wrongly, or does not say: there is no default for a metric that is not shown in points."""
    own = list(dict.fromkeys(primary.unit for primary in primaries if primary.unit != POINTS))
    if PLAIN_MARGIN in given and own and len({primary.unit for primary in primaries}) > 1:
        called = {primary.unit: POINTS if primary.unit == POINTS else primary.called for primary in primaries}
        parts = yaml_value(dict.fromkeys(called.values(), given[PLAIN_MARGIN]))
        told = ", ".join(f"{primary.metric.name} ({primary.task})" for primary in primaries)
        yield (
            ("margin",),
            f"one number can't hold for {told}, which have different units: write one each, `margin: {parts}`",
        )
        return
    known = {POINTS, *(name for primary in primaries for name in (primary.called, primary.metric.name))}
    for name in given:
        if name not in known | {PLAIN_MARGIN}:
            yield ("margin", name), did_you_mean("primary metric", name, sorted(known))
    found = margins(given, primaries)
    own_unit = [primary for primary in primaries if primary.unit != POINTS]
    lacking = {one.called: 0.05 for one in own_unit if found.get(one.metric.name, found.get(one.unit)) is None}
    for primary in primaries:
        unit, name = primary.metric.unit, primary.metric.name
        margin = found.get(name, found.get(primary.unit))
        if margin is None and primary.unit != POINTS:
            example = f"`margin: {yaml_value({**given, **lacking})}`"
            yield (
                ("tasks", primary.index),
                f"task '{primary.task}' is judged by {name}, which is not shown in points, so that no difference is small by "
                f"itself: say which one does not matter, like {example}, in {unit.name or f'the unit of {name}'}",
            )
        if margin is not None and unit.low is not None and unit.high is not None:
            width = (unit.high - unit.low) * unit.scale
            if margin >= width:
                yield (
                    ("margin",),
                    f"{spelt(margin)} {unit.name} is all that {name} can range over ({spelt(width)}): name a smaller one",
                )


def wrong_gate(rule: str, primaries: Sequence[Primary]) -> Iterator[Problem]:
    """What the gate's rule of quality says wrongly of these metrics, or does not say."""
    where: KeyPath = ("gate", "quality")
    known = {name for primary in primaries for name in (primary.called, primary.metric.name)}
    for loss in losses(rule):
        if loss.of not in known | {POINTS}:
            yield where, did_you_mean("primary metric", loss.of, sorted(known | {POINTS}))
    wrong, whole = [], rule
    for primary in primaries:
        metric = primary.metric
        sign, way = ("-", "falls") if metric.higher_is_better else ("+", "grows")
        own = loss_of(rule, metric.name, in_points=metric.unit.in_points)
        if own is not None and own.sign == sign:
            continue
        word = primary.called if primary.unit != POINTS or not metric.higher_is_better else POINTS
        whole = with_loss(whole, Loss(sign, own.amount if own else 0.05, word), metric.name)
        wrong.append(
            f"says nothing of {metric.name}, by which task '{primary.task}' is judged"
            if own is None
            else f"{metric.name} (task '{primary.task}') gets worse where it {way}"
        )
    for sentence in wrong:
        yield where, f"{sentence}: write `quality: {whole}`"
