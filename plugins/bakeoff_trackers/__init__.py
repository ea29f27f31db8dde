"""Trackers that `bakeoff export` writes to: TensorBoard, MLflow, Weights & Biases. Each needs an extra of its name."""

from __future__ import annotations

from bakeoff.plugin import Tracker, hookimpl
from bakeoff_trackers.mlflow_tracker import MLflow
from bakeoff_trackers.tensorboard_tracker import TensorBoard
from bakeoff_trackers.wandb_tracker import WeightsAndBiases


@hookimpl
def bakeoff_trackers() -> list[Tracker]:
    return [TensorBoard(), MLflow(), WeightsAndBiases()]
