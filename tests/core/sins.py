"""A clean experiment, and ways to sin in it: what the tests of warnings are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from core.made_records import drawn_answers, make_experiment_in_memory
from core.table_records import sha256

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.boards import judged
from bakeoff.analysis.findings import NamedWarning
from bakeoff.analysis.flags.detectors import find_warnings, in_order
from bakeoff.analysis.prepared_board import prepared
from bakeoff.analysis.summary.rows import describe, layouts
from bakeoff.records.experiment import Experiment
from bakeoff.records.schema import Control, Imported, Observed, ObservedGroup, Record

BASELINE, ROW = "trainer-api", "manual-loop"
LABELS = (np.arange(400) % 3 > 0).astype(np.int64)  # 266 of 400 have label 1
SEEDS = 8


def answers(*, accuracy: float = 0.9, seeds: int = SEEDS, seed: int = 2) -> Any:
    """(K, 400)"""
    return drawn_answers(LABELS, seeds=seeds, accuracy=accuracy, seed=seed)


def experiment(rows: Mapping[str, Any] | None = None, **keywords: Any) -> Experiment:
    """Clean unless the keywords (make_experiment_in_memory's) make it otherwise: two rows that differ for sure, eight seeds
    each, with everything observed as it was asked, and a quiet machine.
    """
    given = {BASELINE: answers(accuracy=0.8, seed=1), ROW: answers()} if rows is None else rows
    made = make_experiment_in_memory(given, LABELS, **keywords)
    return replace(made, records=tuple(map(_observed, made.records)), controls=(control(), control(10.4, moment="after")))


def control(milliseconds: float = 10.0, **changes: Any) -> Control:
    facts = {
        "session": "one",
        "moment": "before",
        "started": "2026-11-23T08:00:00+00:00",
        "hardware": "AMD EPYC, 2 threads",
        "threads": 2,
        "milliseconds": milliseconds,
        "spread": 0.01,
        "repetitions": 40,
        "peak_flops": {},
    }
    return Control(**facts | changes)


def _observed(record: Record) -> Record:
    """As the recipe of `make_record` asks it, with streams that hang on the seed alone."""
    if record.weights is None:
        return record
    rate, seed = record.requested.recipe["learning_rate"], record.requested.seed
    group = ObservedGroup(tensors=41, elements=2_000, weight_decay=0.0, betas=[0.9, 0.999], eps=1e-8, fused=True, lr_scale=1.0)
    observed = Observed(
        optimizer="AdamW",
        optimizer_steps=1377,
        groups=[group],
        learning_rate_first=rate,
        learning_rate_peak=rate,
        learning_rate_last=rate / 1377,
        warmup_steps=0,
        gradient_norms_measured=100,
        gradient_norm_median=0.8,
        gradient_norm_max=1.0,
        clipped_at=1.0,
        examples_seen=11_004,
        tokens_seen=500_000,
        padded_tokens_seen=600_000,
        data_order_sha256=sha256(f"order {seed}"),
    )
    weights = record.weights.model_copy(
        update={"head_init_sha256": sha256(f"head {seed}"), "initial_sha256": sha256(f"whole {seed}")}
    )
    return record.model_copy(update={"observed": observed, "weights": weights})


def sinning(
    clean: Experiment, part: str, *, row: str | None = ROW, seeds: Iterable[int] | None = None, **changes: Any
) -> Experiment:
    """With a part of some records changed: `observed`, `weights`, `environment`, ...; `""` is the record itself."""

    def change(record: Record) -> Record:
        if (row is not None and record.requested.strategy != row) or (seeds is not None and record.requested.seed not in seeds):
            return record
        if not part:
            return record.model_copy(update=changes)
        return record.model_copy(update={part: getattr(record, part).model_copy(update=changes)})

    return replace(clean, records=tuple(map(change, clean.records)))


def declaring(clean: Experiment, **changes: Any) -> Experiment:
    return replace(clean, declared=clean.declared.model_copy(update=changes))


def published(
    name: str = "theirs", *, source: str = "a model card", split: str = "test", seeds: int = 1, **scores: float
) -> Imported:
    return Imported(name=name, source=source, split=split, scores=scores, seeds=seeds, task=None)


def importing(clean: Experiment, *rows: Imported) -> Experiment:
    return declaring(clean, imported=list(rows))


def grounds_of(made: Experiment) -> list[Ground]:
    """Of all boards that have scores."""
    benches = [prepared(made, layout, describe(made, layout)) for layout in layouts(made)]
    return [judged(bench) for bench in benches if bench is not None]


def warnings_of(made: Experiment) -> list[NamedWarning]:
    """Of all boards, in their order."""
    return in_order(warning for ground in grounds_of(made) for warning in find_warnings(ground))


def only_warning(made: Experiment, code: str) -> NamedWarning:
    """The one warning of the code; no warning of another may be there."""
    warnings = warnings_of(made)
    assert [warning.name for warning in warnings] == [code], [f"{warning.name}: {warning.what}" for warning in warnings]
    return warnings[0]


def the_warning(made: Experiment, code: str, *, where: Callable[[NamedWarning], bool] = lambda warning: True) -> NamedWarning:
    """The one warning of the code, whatever others there are."""
    found = [warning for warning in warnings_of(made) if warning.name == code and where(warning)]
    assert len(found) == 1, [f"{warning.name}: {warning.what}" for warning in warnings_of(made)]
    return found[0]


def codes(made: Experiment) -> list[str]:
    return [warning.name for warning in warnings_of(made)]
