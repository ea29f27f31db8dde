"""docs/trackers.md: the tracker that it shows keeps the contract, with trackio or with what stands for its functions."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from bakeoff.contracts.plugin_components import components_of
from bakeoff.testing import TrackerContract

PAGE = (Path(__file__).parents[2] / "docs" / "trackers.md").read_text(encoding="utf-8")
FUNCTIONS = """
def init(project, name=None, group=None, config=None, embed=True, auto_log_gpu=None): ...
def log(metrics, step=None): ...
def finish(): ...
"""


@pytest.mark.slow
def test_the_tracker_on_the_page_keeps_its_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "tracker_of_the_page.py").write_text(code)
    if importlib.util.find_spec("trackio") is None:
        (tmp_path / "trackio.py").write_text(FUNCTIONS)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "data"))
    monkeypatch.syspath_prepend(tmp_path)
    import tracker_of_the_page  # type: ignore[import-not-found]

    ((kind, name), component), *_ = components_of("page", tracker_of_the_page).items()
    assert (kind, name) == ("tracker", "trackio")
    assert type("Tried", (TrackerContract,), {"component": component}).broken_promises() == {}
    sys.modules.pop("tracker_of_the_page")
