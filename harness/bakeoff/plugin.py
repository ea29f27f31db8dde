"""Everything that an author of a task, model, method, trainer, optimizer, loss, engine or tracker imports; plugins import
nothing else of Bakeoff.

    from bakeoff.plugin import hookimpl, Task, TaskInfo, Options

Nothing here imports torch, transformers, datasets or evaluate; import those inside the methods that use them.
"""

from __future__ import annotations

from typing import Any

from bakeoff.contracts.engine import NUMBER, Engine, EngineJob, JobBatch, JobState, Needs
from bakeoff.contracts.hookspecs import hookimpl
from bakeoff.contracts.hub_dataset import HubDataset
from bakeoff.contracts.kind import Kind
from bakeoff.contracts.method import Adaptation, Method, ParameterGroup
from bakeoff.contracts.metric import Metric, MetricNames
from bakeoff.contracts.metric_lookup import metric_named
from bakeoff.contracts.metrics import F1, Accuracy
from bakeoff.contracts.model import Batch, Built, Encoding, Model, Prepared
from bakeoff.contracts.own_model import Answer, Example, OwnModelJob, OwnModelTrainer, ReportedStep
from bakeoff.contracts.recipe import SET, Options, Recipe, no_duplicates
from bakeoff.contracts.recipe_parts import Loss, Optimizer
from bakeoff.contracts.task import NewRows, Paths, Row, Task, TaskInfo
from bakeoff.contracts.tracker import SUMMARY, Series, TrackedExperiment, TrackedRun, Tracker
from bakeoff.contracts.trainer import MicroBatch, Owned, Signal, Supports, Trainer, TrainingJob
from bakeoff.contracts.unit import CORRELATION, PERCENT, SHARE, Unit
from bakeoff.contracts.versions import CONTRACT_VERSION, RENAMED
from bakeoff.errors import BakeoffError, DataError, ModelError, PluginError
from bakeoff.files import Tree, open_regular, read_regular, temporary_folder
from bakeoff.kinds import CLASSIFICATION, MULTILABEL, REGRESSION, KindName, kind_named
from bakeoff.machine.distributions import installed_version
from bakeoff.machine.file_hashes import NOT_FETCHED, copy_of, is_git_pointer, sha256_of
from bakeoff.machine.hub import hub_file, hub_is_reachable, hub_snapshot
from bakeoff.machine.json_reader import read_json
from bakeoff.machine.processes import lives as process_lives
from bakeoff.machine.processes import start_of as process_start
from bakeoff.text.values import yaml_value
from bakeoff.text.words import did_you_mean, first_line, quoted, quoted_whole, shown_path
from bakeoff.toolkit.arrow_cache import cached_table
from bakeoff.toolkit.attention_choice import require_attention
from bakeoff.toolkit.child_command import Ended, free_port, run_command
from bakeoff.toolkit.estimators import EstimatorTrainer
from bakeoff.toolkit.head_inputs import head_inputs, head_modules
from bakeoff.toolkit.hub_model import cached_model, local_folder, model_folder
from bakeoff.toolkit.model_folder import check_folder, model_files, of_unread_weights
from bakeoff.toolkit.model_settings import nested_values
from bakeoff.toolkit.model_structure import body_of, head_names, layer_depths, layers_of, top_layers
from bakeoff.toolkit.optimizers import (
    make_optimizer,
    make_scheduler,
    scheduler_name,
    scheduler_settings,
    skip_bias_correction,
    weight_decay_groups,
)
from bakeoff.toolkit.prompts import Template, checked_template
from bakeoff.toolkit.row_files import rows_in
from bakeoff.toolkit.text_encoder import TextEncoder, load_classifier, load_tokenizer, refuse_adapter, saved_tokenizer
from bakeoff.toolkit.trained_head import start_anew

__all__ = [
    "CLASSIFICATION",
    "CONTRACT_VERSION",
    "CORRELATION",
    "F1",
    "MULTILABEL",
    "NOT_FETCHED",
    "NUMBER",
    "PERCENT",
    "REGRESSION",
    "SET",
    "SHARE",
    "SUMMARY",
    "Accuracy",
    "Adaptation",
    "Answer",
    "BakeoffError",
    "Batch",
    "Built",
    "DataError",
    "Encoding",
    "Ended",
    "Engine",
    "EngineJob",
    "EstimatorTrainer",
    "Example",
    "HubDataset",
    "JobBatch",
    "JobState",
    "Kind",
    "KindName",
    "Loss",
    "Method",
    "Metric",
    "MetricNames",
    "MicroBatch",
    "Model",
    "ModelError",
    "Needs",
    "NewRows",
    "Optimizer",
    "Options",
    "OwnModelJob",
    "OwnModelTrainer",
    "Owned",
    "ParameterGroup",
    "Paths",
    "PluginError",
    "Prepared",
    "Recipe",
    "ReportedStep",
    "Row",
    "Series",
    "Signal",
    "Supports",
    "Task",
    "TaskInfo",
    "Template",
    "TextEncoder",
    "TrackedExperiment",
    "TrackedRun",
    "Tracker",
    "Trainer",
    "TrainingJob",
    "Tree",
    "Unit",
    "body_of",
    "cached_model",
    "cached_table",
    "check_folder",
    "checked_template",
    "copy_of",
    "did_you_mean",
    "first_line",
    "free_port",
    "head_inputs",
    "head_modules",
    "head_names",
    "hookimpl",
    "hub_file",
    "hub_is_reachable",
    "hub_snapshot",
    "installed_version",
    "is_git_pointer",
    "kind_named",
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
    "nested_values",
    "no_duplicates",
    "of_unread_weights",
    "open_regular",
    "process_lives",
    "process_start",
    "quoted",
    "quoted_whole",
    "read_json",
    "read_regular",
    "refuse_adapter",
    "require_attention",
    "rows_in",
    "run_command",
    "saved_tokenizer",
    "scheduler_name",
    "scheduler_settings",
    "sha256_of",
    "shown_path",
    "skip_bias_correction",
    "start_anew",
    "temporary_folder",
    "top_layers",
    "weight_decay_groups",
    "yaml_value",
]


def __getattr__(name: str) -> Any:
    """Raises PluginError with the new name, for a name of an earlier contract."""
    if (new := RENAMED.get(name)) is not None:
        raise PluginError(f"bakeoff.plugin.{name} is now {new} (contract {CONTRACT_VERSION}, see CHANGELOG.md)")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
