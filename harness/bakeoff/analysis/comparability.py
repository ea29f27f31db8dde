"""The comparability key: rows are ranked against each other only where all of it is equal, or under test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bakeoff.records.provenance import BAKEOFF
from bakeoff.records.schema import Record
from bakeoff.text.values import spelt

UNDER_TEST = {
    "model": ("model",),
    "weights": ("model",),
    "tokenizer": ("model",),
    "software": ("software",),
    "hardware": ("hardware",),
    "instruction set": ("hardware",),
    "budget": ("recipe", "recipe.epochs", "recipe.max_steps", "recipe.batch_size", "recipe.train_examples"),
}
"""Part of the key -> what `under_test` says to let rows differ in it; the other parts must always be equal."""


SHORT = 12
"""Digits of a fingerprint that are shown."""


@dataclass(frozen=True)
class Key:
    """What must be equal, part by part, in words."""

    parts: Mapping[str, str]
    software: Mapping[str, str]
    """Distribution -> version, or `varies`; a distribution that only one of two rows uses is no difference."""

    def differences(self, other: Key, under_test: Sequence[str]) -> list[str]:
        """In what this row differs from the other though it is not under test, in words."""
        found = [
            f"{part} {value} instead of {other.parts[part]}"
            for part, value in self.parts.items()
            if part in other.parts and value != other.parts[part] and not _is_studied(part, under_test)
        ]
        if not _is_studied("software", under_test):
            found += [
                f"{name} {version} instead of {other.software[name]}"
                for name, version in self.software.items()
                if name in self.other_software(other)
            ]
        return found

    def other_software(self, other: Key) -> list[str]:
        """Distributions of another version; Bakeoff's own is none, for the versions of components decide."""
        return [
            name
            for name, version in self.software.items()
            if name != BAKEOFF and name in other.software and version != other.software[name]
        ]

    def shown(self) -> dict[str, str]:
        return {**self.parts, "software": ", ".join(f"{name} {version}" for name, version in self.software.items())}


def _is_studied(part: str, under_test: Sequence[str]) -> bool:
    return any(word in under_test for word in UNDER_TEST.get(part, ()))


def key_of(records: Sequence[Record], split: str, metric: str) -> Key:
    """The key of a row with these records, at least one; what a failed run did not get to know is left out."""
    parts: dict[str, str] = {}

    def put(part: str, values: Sequence[str]) -> None:
        different = list(dict.fromkeys(values))
        if different:
            parts[part] = different[0] if len(different) == 1 else f"varies ({', '.join(different)})"

    put("task", [_named(record.requested.task.name, record.requested.task.version) for record in records])
    data = [record.data for record in records if record.data is not None]
    put("data", [_fingerprint(found.splits[name].fingerprint for name in sorted(found.splits)) for found in data])
    put("labels", [" / ".join(found.labels) for found in data if found.labels])
    put("split", [f"{split} of {spelt(found.splits[split].examples)} examples" for found in data if split in found.splits])
    put("metric", [_named(facts.name, facts.version) for found in data for facts in found.metrics if facts.name == metric])
    put("model", [_named(record.requested.model_label, record.requested.model.version) for record in records])
    made_from = [record.made_from for record in records]
    put("weights", [found.weights[:SHORT] for found in made_from if found.weights])
    put("tokenizer", [found.tokenizer[:SHORT] for found in made_from if found.tokenizer])
    put("start", [" and ".join(record.weights.lineage) or "the model's own" for record in records if record.weights])
    put("hardware", [record.environment.hardware for record in records])
    on_cpu = [record.environment for record in records if record.environment.device == "cpu"]
    put("instruction set", [found.instructions for found in on_cpu if found.instructions])
    put("budget", [f"{spelt(budget)} examples" for record in records if (budget := _budget(record)) is not None])
    software: dict[str, str] = {}
    for name in dict.fromkeys(name for record in records for name in record.environment.software):
        versions = {record.environment.software[name] for record in records if name in record.environment.software}
        software[name] = versions.pop() if len(versions) == 1 else f"varies ({', '.join(sorted(versions))})"
    return Key(parts, software)


def grouped(keys: Mapping[str, Key], baseline: str, under_test: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Row -> number of its group, the baseline's 0; and for each group in what it differs from the baseline's, in words."""
    leaders: list[str] = [baseline] if baseline in keys else list(keys)[:1]
    groups: dict[str, int] = {}
    for row, key in keys.items():
        for number, leader in enumerate(leaders):
            if not key.differences(keys[leader], under_test):
                groups[row] = number
                break
        else:
            groups[row] = len(leaders)
            leaders.append(row)
    return groups, ["; ".join(keys[leader].differences(keys[leaders[0]], under_test)) for leader in leaders]


def _named(name: str, version: str) -> str:
    return f"{name} {version}"


def _fingerprint(words: Iterable[str]) -> str:
    return hashlib.sha256("|".join(words).encode()).hexdigest()[:SHORT]


def _budget(record: Record) -> int | None:
    """Examples that training may see: epochs times the split, or steps times the batch."""
    recipe = record.requested.recipe
    if "steps" in record.trainer_owns:
        return None
    if recipe.get("max_steps") is not None:
        return int(recipe["max_steps"]) * int(recipe.get("batch_size", 1))
    if record.data is None or recipe.get("epochs") is None:
        return None
    return int(recipe["epochs"]) * int(recipe.get("train_examples") or record.data.splits["train"].examples)
