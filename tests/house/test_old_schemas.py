"""One command reads old schemas: its steps are complete, nothing else uses them, and nothing old is published."""

from __future__ import annotations

import json
from pathlib import Path

from core.records.test_migrate import VERSIONS

from bakeoff.records.schema import SCHEMA_VERSION, Control, Costs, Declared, Record
from bakeoff.records.upgrades import ADDED, CHANGED, FIRST_VERSION, SEALED_SINCE

ROOT = Path(__file__).parents[2]


def test_each_schema_version_has_a_step_to_the_next_and_is_tested() -> None:
    older = range(1, SCHEMA_VERSION)
    assert list(VERSIONS) == list(older)
    assert {version for _, version in (*ADDED, *CHANGED)} == set(older), "a version that changed nothing is none"
    assert {Record: 1, Declared: 1, Control: 2, Costs: 6} == FIRST_VERSION
    assert SEALED_SINCE.keys() == {Record, Declared, Control, Costs}


def test_only_the_migration_knows_old_schemas() -> None:
    sources = (path for shelf in ("harness", "plugins", "tasks") for path in (ROOT / shelf).rglob("*.py"))
    users = {path.name for path in sources if "records.upgrades" in path.read_text(encoding="utf-8")}
    assert users == {"migrate.py"}


def test_what_is_published_has_the_current_schema() -> None:
    files = [*ROOT.glob("results/*/records/*.json"), *ROOT.glob("results/*/records/*/record.json")]
    assert len(files) > 100
    assert {json.loads(path.read_bytes())["schema_version"] for path in files} == {SCHEMA_VERSION}
