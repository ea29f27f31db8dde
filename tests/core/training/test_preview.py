"""`bakeoff report --with-texts`: texts of hard examples, read from the data that is here, on the page and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from core.calling import Call

from bakeoff.analysis.comparison import compare
from bakeoff.cli.data_folders import DataFolders
from bakeoff.cli.report import example_texts
from bakeoff.cli.table import Reading
from bakeoff.errors import DataError
from bakeoff.records.load import load_experiment

PUBLISHED = Path(__file__).parents[3] / "results" / "quickstart"


@pytest.mark.slow
def test_texts_are_on_the_page_and_other_rows_than_those_predicted_are_refused(tmp_path: Path, call: Call) -> None:
    folder = tmp_path / "quickstart"
    shutil.copytree(PUBLISHED, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".html"}
    assert call("report", folder, "--with-texts")[0] == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    experiment = load_experiment([folder])
    reading = Reading(experiment, compare(experiment))
    (group,) = reading.comparison.groups
    assert group.hard_examples is not None
    (texts,) = example_texts(reading, DataFolders()).values()
    assert set(texts) >= {one.id for one in group.hard_examples.examples}
    assert page.count('class="sub text"') == 2 * len(group.hard_examples.examples)
    assert "sub text" not in "".join((folder / name).read_text() for name in ("table.md", "table.csv"))
    assert {path: path.read_bytes() for path in before if "records" in path.parts} == {
        path: content for path, content in before.items() if "records" in path.parts
    }
    assert group.data is not None
    other = group.data.splits["test"].model_copy(update={"fingerprint": "0" * 64})
    data = group.data.model_copy(update={"splits": {**group.data.splits, "test": other}})
    groups = [group.model_copy(update={"data": data})]
    with pytest.raises(DataError, match="test here"):
        example_texts(Reading(experiment, reading.comparison.model_copy(update={"groups": groups})), DataFolders())
