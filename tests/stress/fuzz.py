"""Strangers' files: experiment files and records mutated by hypothesis, and how they end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bakeoff.errors import BakeoffError
from bakeoff.registry import load_registry

PUBLISHED = Path(__file__).parents[2] / "results" / "quickstart"

SPEC = """\
name: mrpc-trainers
question: Does a hand-written loop match the Trainer API?
tasks: [{name: docstrings, size: 200}]
models: [minilm, {name: tiny-bert, dropout: 0.1}]
recipe: {epochs: 3, batch_size: 8, learning_rate: 5e-5, weight_decay: 0.0, scheduler: linear, warmup: 0.1}
strategies:
  trainer-api: {trainer: hf-trainer}
  manual-loop: {trainer: torch-loop, search: {learning_rate: [1e-5, 2e-5], seeds: 2}}
  manual-again: {same_as: manual-loop, replicate: 1}
  some-layers: {trainer: torch-loop, method: {name: last-layers, k: 2}, recipe: {batch_size: 4}}
baseline: trainer-api
under_test: [trainer, method, recipe.learning_rate]
gate: {quality: -1 points, train_seconds: +10%}
seeds: 3
report_on: test
margin: 1.0
"""
PIECES = [
    "!!python/object/apply:os.system ['touch pwned']", "!!binary |\n  aGk=", "&a [*a]", "*unknown", "<<: {a: 1}",
    "---\n", "...\n", "{", "[", "}", "]", ":", "- ", "? ",
    "\t", "\x1b[31m", "\u202e", "\x00", "\ud7ff", "\ufeff", "\u2028", "9" * 400, "-.inf", ".nan", "1e999", "0x1F",
    "1_000", "~", "null", "true", "2026-11-25", "12:30:00", "'", '"', "%TAG ! x\n",
    "../../../etc/passwd", "/dev/zero", "glue/mrpc", "hub", "path: ../..", "seeds: [1, 1]", "seeds: -1",
    "seeds: 10000000", "a" * 5000, "[" * 300, "{a: " * 200, "replicate: 1", "same_as: trainer-api",
]  # fmt: skip
HOSTILE: list[Any] = [
    None, True, -1, 2**70, 1e308, "", "x" * 9000, "\x1b[2J", "../../x", "/etc/passwd", [], {}, [[]], {"a": {"b": []}},
    float("1e-320"), "r1-0", "failed", ["\x00"],
]  # fmt: skip
QUICKLY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


@st.composite
def mutated(draw: st.DrawFn, text: str, pieces: list[str], most: int = 4) -> str:
    """The text after a few cuts, doublings and insertions."""
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, len(text)))
        kind = draw(st.sampled_from(["cut", "double", "insert", "character", "swap"]))
        length = draw(st.integers(1, 40))
        if kind == "cut":
            text = text[:at] + text[at + length :]
        elif kind == "double":
            text = text[:at] + text[at : at + length] * 2 + text[at + length :]
        elif kind == "insert":
            text = text[:at] + draw(st.sampled_from(pieces)) + text[at:]
        elif kind == "character":
            text = text[:at] + draw(st.characters(exclude_categories=["Cs"])) + text[at + 1 :]
        else:
            text = text[:at] + draw(st.sampled_from(pieces)) + text[at + length :]
    return text


def fuzz_specs(folder: Path, examples: int) -> dict[str, int]:
    """How so many mutated experiment files end; raises what none of them may raise."""
    from bakeoff.document import read_document
    from bakeoff.resolution import resolve

    registry, path, ends = load_registry(), folder / "spec.yaml", {"planned": 0, "refused": 0}

    @settings(QUICKLY, max_examples=examples)
    @given(mutated(SPEC, PIECES))
    def attempt(text: str) -> None:
        path.write_text(text, encoding="utf-8")
        try:
            resolve(read_document(path), registry)
        except BakeoffError as error:
            said = str(error)
            ends["refused"] += 1
        else:
            said = "planned"
            ends["planned"] += 1
        assert said
        assert "\x1b" not in said, "a terminal obeys what is not escaped"

    attempt()
    return ends


@st.composite
def hostile(draw: st.DrawFn, value: Any, depth: int = 0) -> Any:
    """The value with one of its parts replaced, removed or renamed."""
    if isinstance(value, dict) and value and (depth == 0 or draw(st.booleans())):
        key = draw(st.sampled_from(sorted(value)))
        kind = draw(st.sampled_from(["into", "into", "into", "drop", "rename", "replace"]))
        rest = {name: inner for name, inner in value.items() if name != key}
        if kind == "drop":
            return rest
        if kind == "rename":
            return rest | {draw(st.sampled_from(["\x1b[1m", "../x", "", key + "s"])): value[key]}
        return rest | {key: draw(hostile(value[key], depth + 1)) if kind == "into" else draw(st.sampled_from(HOSTILE))}
    if isinstance(value, list) and value and draw(st.booleans()):
        number = draw(st.integers(0, len(value) - 1))
        return [*value[:number], draw(hostile(value[number], depth + 1)), *value[number + 1 :]]
    return draw(st.sampled_from(HOSTILE))


def fuzz_records(folder: Path, examples: int) -> dict[str, int]:
    """How tables end of which a file was altered so many times, by value or by byte; raises what none of them may raise."""
    from bakeoff.cli.table import read
    from bakeoff.report.page import write_page

    whole, altered_folder = folder / "whole", folder / "altered"
    plan = json.loads((PUBLISHED / "records" / "plan.json").read_bytes())
    plan["runs"] = [run for run in plan["runs"] if run["seed"] == 0]
    for run in plan["runs"]:
        shutil.copytree(PUBLISHED / "records" / run["id"], whole / "records" / run["id"])
    (whole / "records" / "plan.json").write_text(json.dumps(plan))
    shutil.copytree(whole, altered_folder)
    files = sorted(path.relative_to(whole) for path in (whole / "records").rglob("*") if path.is_file())
    ends = {"table": 0, "refused": 0}

    @settings(QUICKLY, max_examples=examples)
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(files))
        content = (whole / name).read_bytes()
        if name.suffix == ".json" and data.draw(st.booleans()):
            altered = json.dumps(data.draw(hostile(json.loads(content)))).encode()
        else:
            at, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 60))
            altered = content[:at] + data.draw(st.binary(max_size=20)) + content[at + length :]
        (altered_folder / name).write_bytes(altered)
        try:
            reading = read([altered_folder])
            said, end = write_page(reading.report, reading.comparison), "table"
        except BakeoffError as error:
            said, end = str(error), "refused"
        finally:
            (altered_folder / name).write_bytes(content)
        assert "\x1b" not in said
        ends[end] += 1

    attempt()
    return ends
