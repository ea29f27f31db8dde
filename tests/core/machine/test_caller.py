"""What the program that calls Bakeoff keeps: its main module, environment variables and signal handlers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import pytest

from bakeoff.machine import fork_server
from bakeoff.machine.caller import as_a_guest, without_main
from bakeoff.machine.signals import stopped_by_signals


def test_a_child_is_started_without_the_main_module_and_it_is_back_afterwards() -> None:
    from multiprocessing.spawn import get_preparation_data

    main = sys.modules["__main__"]
    with without_main():
        told = get_preparation_data("child")
    assert not {"init_main_from_name", "init_main_from_path"} & told.keys()
    with pytest.raises(OSError, match="no process"), without_main():
        raise OSError("no process")
    assert sys.modules["__main__"] is main


def test_variables_are_as_before_and_a_server_that_was_started_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    numbers = iter([None, 4711])
    monkeypatch.setattr(fork_server, "number", lambda: next(numbers))
    monkeypatch.setattr(fork_server, "stop", lambda: ended.append(True))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("BAKEOFF_NEW", raising=False)
    with as_a_guest():
        os.environ.update(OMP_NUM_THREADS="1", BAKEOFF_NEW="1")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "BAKEOFF_NEW" not in os.environ
    assert ended == [True]


def test_a_server_of_the_program_itself_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "number", lambda: 4711)
    monkeypatch.setattr(fork_server, "stop", lambda: pytest.fail("it was stopped"))
    with as_a_guest():
        pass


def test_a_handler_of_the_program_stays_and_the_usual_ones_stop_the_command() -> None:
    heard: list[int] = []

    def own(number: int, frame: Any) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGTERM, own)
    try:
        with stopped_by_signals():
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGHUP)
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_no_handler_is_set() -> None:
    found: list[object] = []

    def work() -> None:
        with stopped_by_signals():
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
