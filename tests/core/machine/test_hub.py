"""Whether the hub can be had, told within 2 s whatever the network does, and what lies in its cache."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bakeoff.machine.hub import hub_cache, hub_is_reachable, hub_snapshot

HF_VARIABLES = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")


@pytest.fixture(autouse=True)
def _fresh_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The probe remembers its answer and sets HF_HUB_OFFLINE: both must end with the test."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # noted by monkeypatch, so that what the probe sets is undone
    for name in [name for name in os.environ if name in HF_VARIABLES or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    hub_is_reachable.cache_clear()
    yield
    hub_is_reachable.cache_clear()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def nobody_asked(listener: socket.socket) -> bool:
    """No connection waits to be taken."""
    listener.setblocking(False)
    try:
        listener.accept()
    except BlockingIOError:
        return True
    return False


def serve_once(answer: bytes) -> int:
    """The port of a server that says this to the first who asks."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)

    def speak() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(answer)

    threading.Thread(target=speak, daemon=True).start()
    return listener.getsockname()[1]


@pytest.mark.timeout(20)
def test_an_endpoint_that_never_answers_is_asked_once_and_given_up(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address(silent))
    assert not hub_is_reachable()
    silent.accept()[0].close()
    assert nobody_asked(silent)
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_DATASETS_OFFLINE"] == "1"


def test_any_answer_in_http_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class NotFound(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # the name is the library's
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), NotFound)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    try:
        assert hub_is_reachable()
    finally:
        server.shutdown()
        server.server_close()
    assert os.environ["HF_HUB_OFFLINE"] == ""


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9", "http://no-such-host.invalid", "no-scheme", "http://[broken", "http://a b", ""]
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_endpoint_that_is_none_is_unreachable(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert not hub_is_reachable()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_port_that_speaks_something_else_is_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{serve_once(b'SSH-2.0-OpenSSH')}")
    assert not hub_is_reachable()


@pytest.mark.parametrize("word", ["1", "true", "ON", "yes"])
def test_who_asks_for_offline_gets_offline(word: str, silent: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", word)
    monkeypatch.setenv("HF_ENDPOINT", address(silent))
    assert not hub_is_reachable()
    assert nobody_asked(silent)


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"HF_HUB_CACHE": "/a/hub", "HF_HOME": "/b"}, "/a/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/c", "HF_HOME": "/b"}, "/c"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"HF_HOME": "~/b"}, "/home/someone/b/hub"),
        ({"HF_HOME": "$SCRATCH/b", "SCRATCH": "/scratch"}, "/scratch/b/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({}, "/home/someone/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_the_hubs_library_puts_it(
    variables: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": "/home/someone", **variables}.items():
        monkeypatch.setenv(name, value)
    assert hub_cache() == Path(place)


def test_a_snapshot_counts_only_with_the_files_that_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert hub_snapshot("a/b", repo_type="dataset", revision=None) is None
    (tmp_path / "datasets--a--b/snapshots/0123/one").mkdir(parents=True)
    (tmp_path / "datasets--a--b/snapshots/0123/one/file").touch()
    assert hub_snapshot("a/b", repo_type="dataset", revision=None) is not None
    assert hub_snapshot("a/b", repo_type="dataset", revision="0123", files=["one/file"]) is not None
    assert hub_snapshot("a/b", repo_type="dataset", revision="0123", files=["one/file", "other"]) is None
    assert hub_snapshot("a/b", repo_type="dataset", revision="4567") is None
    assert hub_snapshot("a/b", repo_type="model", revision="0123") is None


@pytest.mark.parametrize(("given", "told"), [(None, True), ("0", False)])
def test_the_hub_s_libraries_are_told_to_send_no_telemetry_unless_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch, given: str | None, told: bool
) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    if given is not None:
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", given)
    ask = "from bakeoff.machine.hub import hub_is_reachable; hub_is_reachable()"
    code = f"{ask}; from transformers.utils.hub import http_user_agent; print(http_user_agent())"
    agent = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert ("telemetry/off" in agent) == told
