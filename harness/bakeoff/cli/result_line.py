"""How a run ended, in one line."""

from __future__ import annotations

from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.planning.runs import Run
from bakeoff.records.schema import Record
from bakeoff.text.numbers import in_seconds


def result_line(run: Run, record: Record) -> str:
    """How a run ended, in one line."""
    if record.failure:
        return f"failed: {record.failure.reason}: {record.failure.message}"
    data = record.data
    assert data is not None
    unit = unit_of(data.primary)
    scores = {split: found.get(data.primary_metric) for split, found in record.scores.items()}
    splits = " · ".join(f"{split} {'no score' if score is None else unit.written(score)}" for split, score in scores.items())
    unkept = f" · model not kept: {record.why_not_kept}" if record.why_not_kept else ""
    notes = "".join(f" · {note}" for note in record.process_notes)
    trained = f"trained {in_seconds(record.train_seconds)}, " if record.train_seconds is not None else ""
    seconds = f" · {trained}{in_seconds(record.total_seconds)} in total" if record.total_seconds is not None else ""
    return f"{data.primary_metric} {splits}{seconds}{unkept}{notes}"
