"""The one door for authors of plugins: everything that a task, model, method or trainer needs.

    from bakeoff.plugin import hookimpl, Task, TaskInfo, Options

Nothing here imports torch, transformers, datasets or evaluate; import those inside the methods that use them.
"""

from __future__ import annotations

from bakeoff.anatomy import body_of, head_names, layer_depths, layers_of, top_layers
from bakeoff.arrows import kept_table
from bakeoff.components import (
    MOST_LABELS_AT_ONCE,
    Adaptation,
    Batch,
    Built,
    Encoding,
    Method,
    Metric,
    MicroBatch,
    Model,
    Owned,
    ParameterGroup,
    Places,
    Prepared,
    Row,
    Signal,
    Supports,
    Task,
    TaskInfo,
    TaskKind,
    Trainer,
    TrainingJob,
)
from bakeoff.contracts.unit import CORRELATION, PERCENT, SHARE, Unit
from bakeoff.encoders import TextEncoder, load_classifier, load_tokenizer, refuse_adapter
from bakeoff.errors import BakeoffError, DataError, ModelError, PluginError, quoted, quoted_whole, shown_path, unknown
from bakeoff.files import Tree, read_regular, temporary_folder
from bakeoff.hookspecs import hookimpl
from bakeoff.hub import hub_file, hub_is_reachable, hub_snapshot, in_hub_cache
from bakeoff.machine.distributions import installed_version
from bakeoff.machine.file_hashes import NOT_FETCHED, copy_of, is_git_pointer, sha256_of
from bakeoff.metrics import F1, Accuracy, metric_named
from bakeoff.optimization import make_optimizer, make_scheduler, scheduler_name, scheduler_settings, skip_bias_correction
from bakeoff.parameters import decay_groups
from bakeoff.spec import MetricNames, Options, Recipe, different
from bakeoff.spelling import yaml_value
from bakeoff.toolkit.hub_model import cached_model, local_folder, model_folder
from bakeoff.toolkit.model_folder import check_folder, model_files, of_unread_weights
from bakeoff.toolkit.trained_head import start_anew

__all__ = [
    "CORRELATION",
    "F1",
    "MOST_LABELS_AT_ONCE",
    "NOT_FETCHED",
    "PERCENT",
    "SHARE",
    "Accuracy",
    "Adaptation",
    "BakeoffError",
    "Batch",
    "Built",
    "DataError",
    "Encoding",
    "Method",
    "Metric",
    "MetricNames",
    "MicroBatch",
    "Model",
    "ModelError",
    "Options",
    "Owned",
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
    "TaskKind",
    "TextEncoder",
    "Trainer",
    "TrainingJob",
    "Tree",
    "Unit",
    "body_of",
    "cached_model",
    "check_folder",
    "copy_of",
    "decay_groups",
    "different",
    "head_names",
    "hookimpl",
    "hub_file",
    "hub_is_reachable",
    "hub_snapshot",
    "in_hub_cache",
    "installed_version",
    "is_git_pointer",
    "kept_table",
    "layer_depths",
    "layers_of",
    "load_classifier",
    "load_tokenizer",
    "local_folder",
    "make_optimizer",
    "make_scheduler",
    "metric_named",
    "model_files",
    "model_folder",
    "of_unread_weights",
    "quoted",
    "quoted_whole",
    "read_regular",
    "refuse_adapter",
    "scheduler_name",
    "scheduler_settings",
    "sha256_of",
    "shown_path",
    "skip_bias_correction",
    "start_anew",
    "temporary_folder",
    "top_layers",
    "unknown",
    "yaml_value",
]
