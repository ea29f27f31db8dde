"""`bakeoff gate` as a user calls it: exit codes, the page, JSON, the summary file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import drawn_answers, make_folder
from core.calling import Call

LABELS = np.random.default_rng(0).integers(0, 2, 1000)
SECONDS = (100.0, 101.0, 99.5, 100.5, 100.2)


def folder(
    path: Path, *, accuracy: float = 0.85, seed: int = 1, wobble: float = 0.05, factor: float = 1.0, **keywords: Any
) -> Path:
    rows = drawn_answers(LABELS, seeds=5, accuracy=accuracy, wobble=wobble, seed=seed)
    return make_folder(
        path,
        {"loop": rows},
        LABELS,
        train_seconds={"loop": [factor * second for second in SECONDS]},
        **{"gate": {"quality": "-1 points", "train_seconds": "+10%"}, **keywords},
    )


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return folder(tmp_path / "main")


@pytest.mark.parametrize(
    ("candidate", "code", "headline"),
    [
        ({"factor": 0.97}, 0, "## ✅ Gate passed: all of 2 checks within the limits"),
        ({"accuracy": 0.78}, 1, "## ❌ Gate failed: 1 of 2 checks failed"),
        ({"factor": 1.5}, 1, "## ❌ Gate failed: 1 of 2 checks failed"),
        ({"wobble": 0.8}, 3, "## ❔ Gate open: 1 of 2 checks open"),
    ],
)
def test_each_verdict_has_its_exit_code_and_headline(
    call: Call, tmp_path: Path, baseline: Path, candidate: dict[str, Any], code: int, headline: str
) -> None:
    found, out, err = call("gate", folder(tmp_path / "pr", seed=2, **candidate), "--against", baseline)
    assert (found, err) == (code, "")
    assert out.startswith(headline)


def test_the_summary_is_appended_and_json_holds_every_check(call: Call, tmp_path: Path, baseline: Path) -> None:
    candidate, summary = folder(tmp_path / "pr", seed=2, factor=0.97), tmp_path / "summary.md"
    summary.write_text("# Before\n\n", encoding="utf-8")
    code, out, _ = call("gate", candidate, "--against", baseline, "--json", "--summary", summary)
    data = json.loads(out)
    assert (code, data["result"], [check["rule"] for check in data["checks"]]) == (0, "pass", ["quality", "train_seconds"])
    assert data["checks"][1]["change"] == pytest.approx(-3.0)
    written = summary.read_text(encoding="utf-8")
    assert written.startswith("# Before\n\n## ✅ Gate passed")
    assert "| loop" in written


def test_a_reason_that_holds_for_several_checks_is_told_once(call: Call, tmp_path: Path, baseline: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(baseline, copied)
    code, out, _ = call("gate", copied, "--against", baseline)
    assert code == 3
    assert [line for line in out.splitlines() if line.startswith("- ❔")] == [
        "- ❔ all checks: the candidate's records are the baseline's own: nothing was trained anew"
    ]


def test_errors_are_one_line_and_code_2(call: Call, tmp_path: Path, baseline: Path) -> None:
    assert call("gate", baseline, "--against", baseline)[0] == 2
    code, out, err = call("gate", tmp_path / "nothing", "--against", baseline)
    assert (code, out) == (2, "")
    assert "not the folder of" in err
    no_rule = folder(tmp_path / "a", gate={}), folder(tmp_path / "b", gate={})
    code, _, err = call("gate", no_rule[0], "--against", no_rule[1])
    assert code == 2
    assert "points, train_seconds: +10%}" in err
    assert len(err.splitlines()) == 1
    code, _, err = call("gate", folder(tmp_path / "pr", seed=2), "--against", baseline, "--summary", tmp_path / "no" / "s.md")
    assert (code, err.startswith("--summary: ")) == (2, True)


def test_a_damaged_predictions_file_keeps_the_gate_open(call: Call, tmp_path: Path, baseline: Path) -> None:
    candidate = folder(tmp_path / "pr", seed=2, factor=0.97)
    next(candidate.glob("records/*/predictions.parquet")).write_bytes(b"PAR1")
    code, out, _ = call("gate", candidate, "--against", baseline)
    assert code == 3
    assert "predictions.parquet was altered" in " ".join(out.split())


def test_judging_loads_nothing_that_trains(tmp_path: Path, baseline: Path) -> None:
    candidate = folder(tmp_path / "pr", seed=2, factor=0.97)
    code = (
        "import sys; sys.argv = ['bakeoff', 'gate', *sys.argv[1:]]\nfrom bakeoff.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "assert not {'torch', 'transformers', 'datasets', 'evaluate'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(candidate), "--against", str(baseline)], check=True, capture_output=True)
