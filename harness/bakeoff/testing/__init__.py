"""The contract suite: what the contracts of `bakeoff.plugin` promise, as tests that authors run on their own components.

    from bakeoff.testing import TaskContract, installed

    class TestQuestions(TaskContract):
        component = installed("task", "questions")

pytest collects one test per promise. All run offline, in seconds, on made-up texts and tiny models. Nothing here needs pytest.
"""

from __future__ import annotations

from bakeoff.testing.contract import BrokenPromiseError, Contract, installed
from bakeoff.testing.engines import EngineContract
from bakeoff.testing.methods import MethodContract
from bakeoff.testing.models import ModelContract
from bakeoff.testing.own_models import OwnModelContract
from bakeoff.testing.recipe_parts import LossContract, OptimizerContract
from bakeoff.testing.tasks import TaskContract
from bakeoff.testing.trackers import TrackerContract
from bakeoff.testing.trainers import TrainerContract

__all__ = [
    "BrokenPromiseError",
    "Contract",
    "EngineContract",
    "LossContract",
    "MethodContract",
    "ModelContract",
    "OptimizerContract",
    "OwnModelContract",
    "TaskContract",
    "TrackerContract",
    "TrainerContract",
    "installed",
]
