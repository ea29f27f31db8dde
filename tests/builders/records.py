"""Records, observations and control runs of trainings that nobody made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from bakeoff.contracts.metric import MetricFacts
from bakeoff.records.schema import (
    PHASES,
    UNSEALED,
    Attempt,
    ComponentOrigin,
    Control,
    Cost,
    Data,
    Environment,
    Failure,
    Observed,
    ObservedGroup,
    Record,
    Requested,
    Selection,
    Split,
    Weights,
)

STARTED = "2026-11-23T08:51:39+00:00"
RECIPE = {"epochs": 3, "max_steps": None, "batch_size": 8, "learning_rate": 5e-5, "fused": True, "betas": [0.9, 0.999]}
MAJORITY = {"dev": {"accuracy": 0.6838235, "f1": 0.8122271}, "test": {"accuracy": 0.6649275, "f1": 0.7987465}}
SOFTWARE = {"python": "3.11.7", "torch": "2.13.0"}


def sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def component(name: str, *, version: str = "1", **options: Any) -> ComponentOrigin:
    return ComponentOrigin(name=name, version=version, distribution="bakeoff", distribution_version="0.1.0", options=options)


def run_id(strategy: str, seed: int, *, task: str = "glue/mrpc", model: str = "minilm") -> str:
    return f"r1-{sha256(f'{task} {model} {strategy} {seed}')[:16]}"


def make_record(
    strategy: str = "trainer-api",
    seed: int = 0,
    *,
    task: str = "glue/mrpc",
    task_version: str = "1",
    model: str = "minilm",
    trainer: ComponentOrigin | str = "hf-trainer",
    method: ComponentOrigin | str = "full",
    recipe: dict[str, Any] | None = None,
    test_accuracy: float = 0.85,
    test_data: str = "test",
    splits: Sequence[str] = ("dev", "test"),
    train_seconds: float = 690.0,
    peak_memory_mib: int = 1000,
    final: str | None = None,
    torch: str = "2.13.0",
    hardware: str = "AMD EPYC, 2 threads",
    owns: Sequence[str] = (),
) -> Record:
    """A run that ended well, with dev scores of 0.8 and 0.86, and F1 0.05 above the accuracy on test."""
    scores = {"dev": {"accuracy": 0.8, "f1": 0.86}, "test": {"accuracy": test_accuracy, "f1": test_accuracy + 0.05}}
    return Record(
        id=run_id(strategy, seed, task=task, model=model),
        status="ok",
        failure=None,
        started=STARTED,
        requested=Requested(
            experiment="mrpc",
            strategy=strategy,
            task_label=task,
            model_label=model,
            task=component(task, version=task_version),
            model=component(model) if model else None,
            method=component(method) if isinstance(method, str) else method,
            trainer=component(trainer) if isinstance(trainer, str) else trainer,
            recipe=RECIPE | (recipe or {}),
            seed=seed,
            replicate=0,
            select="last-epoch",
        ),
        environment=Environment(
            software=SOFTWARE | {"torch": torch},
            hardware=hardware,
            threads=2,
            device="cpu",
            processor="AMD EPYC",
            memory_bytes=2**34,
            system="Linux x86_64",
            jobs=1,
        ),
        data=_data({"train": "train", "dev": "dev", "test": test_data}, labelled=("train", *splits)),
        weights=None
        if "model" in owns
        else Weights(
            parameters_total=22_713_986,
            parameters_trainable=22_713_986,
            newly_initialised=["classifier.bias", "classifier.weight"],
            head_init_sha256=sha256("head"),
            initial_sha256=sha256("initial"),
            final_sha256=sha256(final or f"{strategy} {seed}"),
            lineage=[],
            trained_bytes=None,
        ),
        observed=None,
        scores={split: scores[split] for split in splits},
        selection=None,
        evaluation_difference=0.0,
        cost=Cost(
            phase_seconds=dict.fromkeys(PHASES, 1.0) | {"warm-up": 0.0, "train": train_seconds, "evaluate": 12.0, "save": 2.0},
            total_seconds=train_seconds + 18,
            steps=1377,
            train_samples_per_second=11_004 / train_seconds,
            evaluate_samples_per_second=177.75,
            peak_memory_bytes=peak_memory_mib * 2**20,
            peak_device_memory_bytes=None,
            energy_joules=None,
            energy_note="unmeasured: this machine has no RAPL counter",
            flops=None,
            flops_note="not counted",
            harness_seconds=0.5,
        ),
        attempts=[],
        resumed_at=[],
        trainer_owns=list(owns),
        randomness="trainer" if "randomness" in owns else "harness",
        files={},
    )


def _data(texts: dict[str, str], labelled: Sequence[str]) -> Data:
    sizes = {"train": 3668, "dev": 408, "test": 1725}
    return Data(
        kind="classification",
        labels=["not_equivalent", "equivalent"],
        splits={
            name: Split(examples=sizes[name], labelled=name in labelled, fingerprint=sha256(text))
            for name, text in texts.items()
        },
        metrics=[MetricFacts(name=name, higher_is_better=True, version="1") for name in ("accuracy", "f1")],
        primary_metric="accuracy",
        source_versions={},
        majority_baseline=MAJORITY,
        overlap=dict.fromkeys(MAJORITY, 0),
    )


def failed(record: Record, reason: Any = "crashed", message: str = "it is gone") -> Record:
    """The same run, had it failed before its data were read."""
    return record.model_copy(
        update={
            "status": "failed",
            "failure": Failure(reason=reason, message=message, phase="train"),
            "data": None,
            "weights": None,
            "scores": {},
            "cost": None,
            "files": {},
        }
    )


def lasting(cost: Cost, seconds: float) -> Cost:
    """The cost of a run that took so long, all of it in training."""
    return cost.model_copy(update={"phase_seconds": dict.fromkeys(PHASES, 0.0) | {"train": seconds}, "total_seconds": seconds})


def make_control(milliseconds: float = 10.0, **changes: Any) -> Control:
    """A control run before the runs of a session."""
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


def make_observed(**changes: Any) -> Observed:
    """What `make_record`'s recipe comes to, as it was observed."""
    group = ObservedGroup(tensors=41, elements=2_000, weight_decay=0.0, betas=[0.9, 0.999], eps=1e-8, fused=True, lr_scale=1.0)
    facts: dict[str, Any] = {
        "optimizer": "AdamW",
        "optimizer_steps": 1377,
        "groups": [group],
        "learning_rate_first": RECIPE["learning_rate"],
        "learning_rate_peak": RECIPE["learning_rate"],
        "learning_rate_last": RECIPE["learning_rate"] / 1377,
        "warmup_steps": 0,
        "gradient_norms_measured": 100,
        "gradient_norm_median": 0.8,
        "gradient_norm_max": 1.0,
        "clipped_at": 1.0,
        "examples_seen": 11_004,
        "tokens_seen": 500_000,
        "padded_tokens_seen": 600_000,
        "data_order_sha256": sha256("order"),
    }
    return Observed(**facts | changes)


def sealed(plain: dict[str, Any]) -> bytes:
    """A record, plan or control run as a file with the checksum that is right for it, where it has one."""
    if "seal" not in plain:
        return json.dumps(plain).encode()
    content = json.dumps(plain | {"seal": UNSEALED}).encode()
    return content.replace(UNSEALED.encode(), sha256(content).encode())


def make_attempt(reason: Any = "crashed", seconds: float = 1.0, *, steps: int = 1) -> Attempt:
    """An attempt that failed while it trained."""
    return Attempt(started=STARTED, reason=reason, phase="train", total_seconds=seconds, train_seconds=seconds, steps=steps)


def make_selection(split: str = "dev", *, evaluations: int = 5, discordance: float | None = 0.1) -> Selection:
    """The second of several evaluations was the best."""
    return Selection(
        split=split,
        evaluations=evaluations,
        chosen_epoch=min(2, evaluations),
        scores=[0.8] * evaluations,
        discordance=discordance,
    )
