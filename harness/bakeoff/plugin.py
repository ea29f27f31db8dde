"""The one door for authors of plugins: everything that a task, model, method or trainer needs.

    from bakeoff.plugin import hookimpl, Task, TaskInfo, Options

Nothing here imports torch, transformers, datasets or evaluate; import those inside the methods that use them.
"""

from __future__ import annotations

from bakeoff.components import (
    Adaptation,
    Batch,
    Built,
    Encoding,
    Method,
    Metric,
    MicroBatch,
    Model,
    ParameterGroup,
    Places,
    Prepared,
    Row,
    Signal,
    Supports,
    Task,
    TaskInfo,
    Trainer,
    TrainingJob,
)
from bakeoff.encoders import TextEncoder, load_classifier, load_tokenizer
from bakeoff.errors import BakeoffError, DataError, ModelError, PluginError, quoted, shown_path
from bakeoff.hookspecs import hookimpl
from bakeoff.hub import hub_is_reachable, in_hub_cache
from bakeoff.metrics import F1, Accuracy, metric_named
from bakeoff.optimization import make_optimizer, make_scheduler
from bakeoff.parameters import decay_groups
from bakeoff.spec import Options, Recipe

__all__ = [
    "F1",
    "Accuracy",
    "Adaptation",
    "BakeoffError",
    "Batch",
    "Built",
    "DataError",
    "Encoding",
    "Method",
    "Metric",
    "MicroBatch",
    "Model",
    "ModelError",
    "Options",
    "ParameterGroup",
    "Places",
    "PluginError",
    "Prepared",
    "Recipe",
    "Row",
    "Signal",
    "Supports",
    "Task",
    "TaskInfo",
    "TextEncoder",
    "Trainer",
    "TrainingJob",
    "decay_groups",
    "hookimpl",
    "hub_is_reachable",
    "in_hub_cache",
    "load_classifier",
    "load_tokenizer",
    "make_optimizer",
    "make_scheduler",
    "metric_named",
    "quoted",
    "shown_path",
]
