"""What an experiment file says is read in spec/, in one pass, and its plain data nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

HARNESS = Path(__file__).parents[2] / "harness" / "bakeoff"
READS = re.compile(r"\bdocument\.(data|flaws)\[|\bdocument\.data\b|\b(Spec|Strategy|SearchSpace|Ref)\.model_validate\b")
ALLOWED = {"spec", "cli/show.py"}
"""`bakeoff show` reads options of the command line as an experiment file would be."""


def outside(texts: dict[str, str]) -> list[str]:
    return [place for place, text in texts.items() if not any(place.startswith(own) for own in ALLOWED) and READS.search(text)]


def test_only_the_package_spec_reads_the_data_of_an_experiment_file() -> None:
    files = {path.relative_to(HARNESS).as_posix(): path.read_text(encoding="utf-8") for path in HARNESS.rglob("*.py")}
    assert outside(files) == []


def test_a_second_reading_is_found() -> None:
    assert outside({"planning/a.py": 'x = self.document.data.get("seeds")', "spec/b.py": "Spec.model_validate(data)"}) == [
        "planning/a.py"
    ]
