"""What a run leaves behind. Reading it needs neither torch nor plugins; every key is always present.

A record's folder has `record.json` (`Record`, at most about 8 KB), `steps.parquet` (step, loss, learning_rate, grad_norm,
seconds) and `predictions.parquet` (split, id, label, logits, tokens, `slice:` columns). A failed run has the same record with
`status: failed` and the reason.

Beside the runs lie `plan.json` (`Declared`), `control-SESSION-before.json` and `-after.json` (`Control`), and `costs.json`
(`Costs`). `bakeoff migrate` converts files of an older schema version to this one; what an older Bakeoff did not record is
None.
"""

from __future__ import annotations

from bakeoff.records.schema.costs import MOST_ROUNDS, Costs, Timed, Timing, timed_digest
from bakeoff.records.schema.inputs import ComponentOrigin, Data, MadeFrom, Requested, Split, Weights
from bakeoff.records.schema.observed import Cost, Environment, LossScale, Observed, ObservedGroup
from bakeoff.records.schema.plan import (
    APART,
    Change,
    Chosen,
    Control,
    Declared,
    DeclaredRun,
    EarlierDeclaration,
    Imported,
    Search,
    Titles,
    TrialRun,
    Vary,
    together,
)
from bakeoff.records.schema.record import Attempt, Failure, KeptModel, Predicted, Record, Selection
from bakeoff.records.schema.shared import (
    FILE_NAME,
    KIND_KEY,
    LONGEST_FILE_NAME,
    MODEL_FOLDER,
    MOST_LABELS,
    MOST_NEW,
    MOST_NOTES,
    OUTPUT_FILE,
    PHASES,
    PREDICTIONS_FILE,
    RECORD_FILE,
    REPORTED_STEPS_FILE,
    RUN_ID,
    SCHEMA_VERSION,
    SCORES_KEPT,
    STEPS_FILE,
    TRACEBACK_FILE,
    UNSEALED,
    Reason,
    RunId,
    capped,
)

__all__ = [
    "APART",
    "FILE_NAME",
    "KIND_KEY",
    "LONGEST_FILE_NAME",
    "MODEL_FOLDER",
    "MOST_LABELS",
    "MOST_NEW",
    "MOST_NOTES",
    "MOST_ROUNDS",
    "OUTPUT_FILE",
    "PHASES",
    "PREDICTIONS_FILE",
    "RECORD_FILE",
    "REPORTED_STEPS_FILE",
    "RUN_ID",
    "SCHEMA_VERSION",
    "SCORES_KEPT",
    "STEPS_FILE",
    "TRACEBACK_FILE",
    "UNSEALED",
    "Attempt",
    "Change",
    "Chosen",
    "ComponentOrigin",
    "Control",
    "Cost",
    "Costs",
    "Data",
    "Declared",
    "DeclaredRun",
    "EarlierDeclaration",
    "Environment",
    "Failure",
    "Imported",
    "KeptModel",
    "LossScale",
    "MadeFrom",
    "Observed",
    "ObservedGroup",
    "Predicted",
    "Reason",
    "Record",
    "Requested",
    "RunId",
    "Search",
    "Selection",
    "Split",
    "Timed",
    "Timing",
    "Titles",
    "TrialRun",
    "Vary",
    "Weights",
    "capped",
    "timed_digest",
    "together",
]
