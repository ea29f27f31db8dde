"""Pages of what results say: warnings, verdicts and columns, metrics."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

from bakeoff.analysis.flags.catalogue import CATALOGUE, SEVERITIES
from bakeoff.cli.explain import TERMS
from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metrics import BUILT_IN, OF_ONE_LABEL
from bakeoff.kinds import KINDS
from bakeoff.text.values import listed
from pages.markdown import cell, code, table

WARNINGS: Final = """\
# Warnings

What should make a reader doubt a comparison, in the order of every output. `bakeoff explain NAME` prints an entry; the
[reference of the statistics](../statistics-reference.md#warnings) says how each is found in the records. With `--strict`,
`bakeoff report` ends with exit code 4 where one is raised that no `--allow NAME` names.
"""
TERMS_OF_TABLES: Final = """\
# Verdicts and columns

What tables and pages say, in the words of `bakeoff explain NAME`. The [glossary](../glossary.md) has the words of all other
pages.
"""
METRICS: Final = """\
# Metrics

A task names its metrics, and the first is the primary one, by which strategies are judged: `metrics: [macro_f1, accuracy]`, or
`[accuracy, {name: f1, positive: spam}]`. These are built in, and computed by numpy alone:
"""
OTHER_METRICS: Final = """
Any other name is that of a metric of the Hugging Face hub, `evaluate-metric/NAME`, whose code the evaluate library runs. Say
`better: lower` where lower scores are better, and its `unit` (`share`, `percent` or `correlation`); without one, an experiment
that is judged by it must name its `margin`. A metric of your own is a class: [writing a plugin](../writing-a-plugin.md).
`bakeoff rescore DIR --metric NAME` scores recorded predictions by another metric, without training.
"""


def warnings() -> Iterator[str]:
    yield WARNINGS.rstrip()
    for severity, meaning in SEVERITIES.items():
        yield f"\n## {severity.capitalize()}: {meaning}"
        for name, entry in CATALOGUE.items():
            if entry.severity == severity:
                yield from (f"\n### {name}", f"\n{entry.means} {entry.why}", f"\n*What to do.* {entry.what_to_do}")


def terms() -> Iterator[str]:
    yield TERMS_OF_TABLES
    rows = ([code(name), cell(text.replace("<", "&lt;"))] for name, text in TERMS.items())
    yield from table(["term", "what it means"], rows)


def metrics() -> Iterator[str]:
    yield METRICS
    yield from table(
        ["name", "what it is", "kinds of task", "range, and how it is shown", "better"],
        (
            [
                code(name),
                cell((inspect.getdoc(metric) or "").partition("\n\n")[0]),
                listed(kind for kind in KINDS if metric.kinds is None or kind in metric.kinds),
                _unit(metric),
                "higher" if metric.higher_is_better else "lower",
            ]
            for name, metric in BUILT_IN.items()
        ),
    )
    of_one = listed(map(code, OF_ONE_LABEL))
    yield f"\n{of_one} are about one class, `positive: CLASS`, or `of: each` for a score of every class."
    yield "\nWhere rows of your own name no metrics, they have:\n"
    rows = ([kind.name, ", ".join(map(code, kind.default_metrics))] for kind in KINDS.values())
    yield from table(["kind of task", "metrics"], rows)
    yield OTHER_METRICS


def _unit(metric: type[Metric]) -> str:
    unit = metric.unit
    ends = (f"{word} {end:g}" for word, end in (("from", unit.low), ("to", unit.high)) if end is not None)
    return ", ".join(filter(None, (" ".join(ends), f"in {unit.words or 'its own unit'}")))
