"""Strangers' experiment files: text mutated by hypothesis, and how it ends. Files of all kinds: `every_file`."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bakeoff.contracts.registry import load_registry
from bakeoff.errors import BakeoffError

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
    from bakeoff.planning.resolver import resolve
    from bakeoff.spec.document import read_document

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
