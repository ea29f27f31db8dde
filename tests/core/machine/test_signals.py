"""Signals that stop a command: all mean the same, once; those that are ignored stay ignored."""

from __future__ import annotations

import signal

import pytest

from bakeoff import cli
from bakeoff.machine import signals
from bakeoff.machine.signals import STOPPING, ending, held_back, is_interrupt, stopped_by_signals, was_stopped


@pytest.mark.parametrize("number", STOPPING)
def test_each_of_them_stops_once(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(one) for one in STOPPING]
    caught = []
    with stopped_by_signals():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        for again in STOPPING:  # while records are written
            signal.raise_signal(again)
        monkeypatch.setattr(signals, "SAME_WISH_SECONDS", 0.0)
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            caught.append(number)
    assert caught == [number], "who asks again later means it"
    assert [signal.getsignal(one) for one in STOPPING] == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As of `nohup`, and of `trap '' TERM`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            signal.raise_signal(signal.SIGHUP)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_held_back(number: signal.Signals) -> None:
    done = []

    def begin() -> None:
        with held_back():
            signal.raise_signal(number)
            done.append("all")
        done.append("never")

    with stopped_by_signals(), pytest.raises(KeyboardInterrupt):
        begin()
    assert done == ["all"]


@pytest.mark.parametrize(
    ("code", "words", "stopped"),
    [
        (0, "exit code 0", False),
        (None, "exit code None", False),
        (-15, "killed by SIGTERM", True),
        (-1, "killed by SIGHUP", True),
        (-2, "killed by SIGINT", True),
        (-9, "killed by SIGKILL (by the system for lack of memory, or by somebody)", False),
        (-40, "killed by signal 40", False),
        (15, "exit code 15", False),
    ],
)
def test_how_a_process_ended(code: int | None, words: str, stopped: bool) -> None:
    assert (ending(code), was_stopped(code)) == (words, stopped)


def failing_import(*, interrupted: bool) -> ImportError:
    """As an extension module fails whose initialisation is interrupted: the signal is the cause of an ImportError."""
    cause = KeyboardInterrupt() if interrupted else OSError("no such library")
    try:
        try:
            raise cause
        except BaseException as error:
            raise ImportError("initialization failed") from error
    except ImportError as error:
        return error


class Stopped(KeyboardInterrupt):
    """A signal with a name."""


def test_an_interrupt_is_known_behind_what_it_became() -> None:
    assert is_interrupt(Stopped())
    assert is_interrupt(failing_import(interrupted=True))
    assert not is_interrupt(failing_import(interrupted=False))
    endless = ValueError()
    endless.__context__ = TypeError()
    endless.__context__.__context__ = endless
    assert not is_interrupt(endless)


@pytest.mark.parametrize(("interrupted", "code"), [(True, 130), (False, 70)])
def test_a_command_that_is_interrupted_in_an_import_is_stopped(
    interrupted: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def called(**_: object) -> None:
        raise failing_import(interrupted=interrupted)

    monkeypatch.setattr(cli.bakeoff, "main", called)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert ("Traceback" in capsys.readouterr().err) == (not interrupted)
