"""What tests build records, predictions, control runs, declarations, experiments, folders and comparisons with: nothing is
trained. Tests import from here alone.

`make_record` is a run that succeeded, `make_run` the same with predictions; `make_experiment` puts runs together in memory,
`make_folder` on disk, each from answers; `make_folder_of` writes records without predictions. `clean_experiment` is one without
a warning, and `altered`, `declaring`, `importing` change it. `make_comparison` is what a page is given. `hostile_folder` has
hostile names in every place.
"""

from __future__ import annotations

from builders.comparisons import COURSE, MadeComparison, drawn_slice_scores, falling_loss, make_comparison, not_judged
from builders.declarations import MRPC_ON_HUB, declare, declared_run, make_declaration, published
from builders.experiments import (
    BASELINE,
    LABELS,
    ROW,
    SEEDS,
    altered,
    clean_answers,
    clean_experiment,
    declaring,
    importing,
    make_experiment,
    scored_by,
    sharing_streams,
)
from builders.folders import (
    ROWS,
    Copied,
    fill,
    make_folder,
    make_folder_of,
    make_steps,
    make_whole_run,
    parquet,
    seal_files,
    write_run,
)
from builders.hostile import Renamer, hostile_folder, runs_and_plan
from builders.hostile_names import EVERYTHING, FORMULAS, HOSTILE, MARKDOWN, MARKUP
from builders.many import Many, make_many
from builders.records import (
    SOFTWARE,
    component,
    failed,
    lasting,
    make_attempt,
    make_control,
    make_record,
    make_selection,
    run_id,
    sealed,
    sha256,
)
from builders.runs import drawn_answers, make_run, make_runs, right_by_pattern, task_info
from builders.timings import make_timed, make_timing

__all__ = [
    "BASELINE",
    "COURSE",
    "EVERYTHING",
    "FORMULAS",
    "HOSTILE",
    "LABELS",
    "MARKDOWN",
    "MARKUP",
    "MRPC_ON_HUB",
    "ROW",
    "ROWS",
    "SEEDS",
    "SOFTWARE",
    "Copied",
    "MadeComparison",
    "Many",
    "Renamer",
    "altered",
    "clean_answers",
    "clean_experiment",
    "component",
    "declare",
    "declared_run",
    "declaring",
    "drawn_answers",
    "drawn_slice_scores",
    "failed",
    "falling_loss",
    "fill",
    "hostile_folder",
    "importing",
    "lasting",
    "make_attempt",
    "make_comparison",
    "make_control",
    "make_declaration",
    "make_experiment",
    "make_folder",
    "make_folder_of",
    "make_many",
    "make_record",
    "make_run",
    "make_runs",
    "make_selection",
    "make_steps",
    "make_timed",
    "make_timing",
    "make_whole_run",
    "not_judged",
    "parquet",
    "published",
    "right_by_pattern",
    "run_id",
    "runs_and_plan",
    "scored_by",
    "seal_files",
    "sealed",
    "sha256",
    "sharing_streams",
    "task_info",
    "write_run",
]
