"""A metric by its name is one of the hub's: what lies under that name in the working directory is never run."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import evaluate
import pytest
from core.calling import Call

from bakeoff.contracts.hub_metrics import HubMetric, _from_hub
from bakeoff.errors import DataError

SCRIPT = """
import datasets
import evaluate


class Constant(evaluate.{base}):
    def _info(self):
        number = datasets.Value("int64")
        return evaluate.{base}Info(
            description="", citation="", inputs_description="",
            features=datasets.Features({{"predictions": number, "references": number}}),
        )

    def _compute(self, predictions, references):
        return {{"found": {score}}}
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A hub on this machine, as address -> script, asked by the evaluate library; its caches are new."""
    files: dict[str, str] = {}

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name is the library's
            script = files.get(self.path, "").encode()
            self.send_response(200 if script else 404)
            self.send_header("Content-Length", str(len(script)))
            self.send_header("ETag", f'"{hash(script)}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(script)

        do_HEAD = do_GET  # noqa: N815 - as above

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(evaluate.config, "HUB_EVALUATE_URL", address + "/{path}/{revision}/{name}")
    monkeypatch.setattr(evaluate.config, "HF_UPDATE_DOWNLOAD_COUNTS", False)
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", tmp_path / "modules")
    monkeypatch.setattr(evaluate.config, "DOWNLOADED_EVALUATE_PATH", tmp_path / "downloads")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("bakeoff.contracts.hub_metrics.hub_is_reachable", lambda: True)
    monkeypatch.chdir(tmp_path)
    _from_hub.cache_clear()
    yield files
    _from_hub.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "evaluate_modules"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    server.shutdown()
    server.server_close()


def plant(folder: Path, name: str) -> Path:
    """Scripts where evaluate looks for that name on this machine; the file that they would leave."""
    marker = folder / "executed"
    for place in (folder / name / f"{name}.py", folder / "evaluate-metric" / name / f"{name}.py", folder / f"{name}.py"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"open({str(marker)!r}, 'w')\n{SCRIPT.format(base='Metric', score=0.0)}")
    return marker


def test_the_hubs_metric_is_taken_and_not_the_script_beside_the_command(hub: dict[str, str], tmp_path: Path) -> None:
    marker = plant(tmp_path, "f1_weighted")
    hub["/evaluate-metric/f1_weighted/main/f1_weighted.py"] = SCRIPT.format(base="Metric", score=0.25)
    assert HubMetric("f1_weighted").load().compute(predictions=[0, 1], references=[0, 1]) == {"found": 0.25}
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["comparison", "measurement", None])
def test_only_a_metric_of_the_hub_is_taken(kind: str | None, hub: dict[str, str], tmp_path: Path) -> None:
    marker = plant(tmp_path, "regard")
    if kind:
        hub[f"/evaluate-{kind}/regard/main/regard.py"] = SCRIPT.format(base=kind.title(), score=0.5)
    with pytest.raises(DataError, match="metric 'regard'"):
        HubMetric("regard").load()
    assert not marker.exists()


def test_a_metrics_place_on_the_hub_may_hold_nothing_but_a_metric(hub: dict[str, str]) -> None:
    hub["/evaluate-metric/other/main/other.py"] = SCRIPT.format(base="Comparison", score=0.5)
    with pytest.raises(DataError, match="'other'"):
        HubMetric("other").load()


def test_a_look_at_a_task_runs_no_script_of_its_metrics_name(hub: dict[str, str], tmp_path: Path, call: Call) -> None:
    marker = plant(tmp_path, "f1_weighted")
    (tmp_path / "train.csv").write_text("text,label\na,yes\nb,no\n")
    options = [f"--option={pair}" for pair in ("train=train.csv", "dev=train.csv", "text=text", "label=label")]
    code, _, err = call("show", "task", "table", "--data", tmp_path, *options, "--option=metrics=[f1_weighted]")
    assert (code, "'f1_weighted'" in err) == (2, True), err
    assert not marker.exists()
