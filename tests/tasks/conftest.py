"""What the tests of one's own rows share: a folder of files, and the task `table` that reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakeoff.contracts.task import Paths, TaskInfo
from bakeoff.errors import BakeoffError
from bakeoff.training.assembly import load as load_checked
from bakeoff.training.data import Columns
from bakeoff.training.data_checks import data_checks
from bakeoff_table import Table

TABLE = Table()
PAIR = {"text": ["q1", "q2"], "label": "same"}
Load = Callable[..., tuple[TaskInfo, dict[str, Columns]]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads files of the folder by options."""

    def loaded(**options: Any) -> tuple[TaskInfo, dict[str, Columns]]:
        chosen = TABLE.Options.model_validate({"train": "a.csv", **PAIR, **options})
        task = load_checked(TABLE, chosen, Paths(tmp_path, tmp_path / "cache"))
        return task.info, task.splits

    return loaded


@pytest.fixture
def refusal(load: Load) -> Callable[..., str]:
    """What loading says against these options and files."""

    def refused(**options: Any) -> str:
        with pytest.raises(BakeoffError) as error:
            load(**options)
        assert "\n" not in str(error.value)
        return str(error.value)

    return refused


@pytest.fixture
def said(load: Load) -> Callable[..., list[str]]:
    """What is told of files that can be loaded."""
    return lambda **options: data_checks(*load(**options))
