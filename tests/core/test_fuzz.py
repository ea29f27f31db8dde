"""Strangers' files: mutated experiment files and records end in an answer or in one line, never in a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from stress.fuzz import fuzz_records, fuzz_specs


@pytest.mark.timeout(300)
def test_1000_mutated_experiment_files_end_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ends = fuzz_specs(tmp_path, 1000)
    assert not (tmp_path / "pwned").exists()
    assert min(ends.values()) > 5, f"both ends are met: {ends}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("examples", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_mutated_records_leave_the_rest_of_the_table(tmp_path: Path, examples: int) -> None:
    ends = fuzz_records(tmp_path, examples)
    assert ends["table"] > examples / 6, ends
