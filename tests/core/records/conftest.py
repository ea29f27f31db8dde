"""An experiment whose records have all their files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builders import Copied, declare, make_whole_run, seal_files

from bakeoff.records.store import Store


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "whole"
    store = Store(folder)
    store.records.mkdir(parents=True)
    records = []
    for strategy in ("trainer-api", "manual-loop"):
        for seed in (0, 1):
            fresh = store.begin(f"{strategy}{seed}")
            records.append(make_whole_run(fresh, strategy, seed))
            seal_files(fresh, records[-1])
            assert store.publish(fresh, records[-1].id)
    declare(folder, records, gate={"quality": "-1 points"}, under_test=["trainer"])
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Copied:
    """The experiment, one record's folder in it, and that record."""
    folder = Path(shutil.copytree(whole, tmp_path / "made"))
    record = Store(folder).read_all()[0][0]
    return folder, folder / "records" / record.id, record
