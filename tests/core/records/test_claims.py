"""Claims on runs: one process has a run; the dead, the suspended and clocks that differ keep nobody from it for long."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import StoreError
from bakeoff.files import HOST, Tree
from bakeoff.machine.processes import start_of
from bakeoff.records.claims import FOREIGN_STALE_SECONDS, STALE_SECONDS, Claims

RUN = "r1-a"
DAY = 86_400.0
TEN_MINUTES = 600.0
server_time = time.time
"""The clock of the file system, which here is the kernel's; `time.time`, which tests set wrong, stands for this machine's."""


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(Tree(tmp_path), tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Claims:
    """Of another process, as far as tokens go."""
    return Claims(Tree(tmp_path), tmp_path)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock that measures intervals on, by seconds."""
    real, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


@pytest.fixture
def living() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.wait()


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write_claim(folder: Path, *, host: str, process: int, start: int | None = None, age_seconds: float = 0.0) -> Path:
    path = folder / f".claim-{RUN}"
    path.write_text(json.dumps({"host": host, "process": process, "start": start, "token": "theirs"}))
    then = server_time() - age_seconds
    os.utime(path, (then, then))
    return path


def test_only_one_process_holds_a_claim(claims: Claims, other: Claims) -> None:
    assert not claims.is_held(RUN)
    assert claims.take(RUN)
    assert claims.is_held(RUN)
    assert other.is_held(RUN)
    assert not other.take(RUN)
    claims.release(RUN)
    assert not claims.is_held(RUN)
    assert other.take(RUN)


def test_a_dead_process_of_this_machine_loses_its_claim_at_once(claims: Claims, tmp_path: Path) -> None:
    write_claim(tmp_path, host=HOST, process=dead_process())
    assert not claims.is_held(RUN)
    assert claims.take(RUN)


def test_a_process_that_nobody_has_waited_for_is_dead(claims: Claims, tmp_path: Path) -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not waited for
    os.kill(zombie.pid, 0)  # its number is taken still
    write_claim(tmp_path, host=HOST, process=zombie.pid)
    assert claims.take(RUN)
    zombie.wait()


def test_a_number_that_another_process_has_now_is_no_sign_of_life(claims: Claims, tmp_path: Path, living: int) -> None:
    start = start_of(living)
    assert start is not None
    write_claim(tmp_path, host=HOST, process=living, start=start)
    assert not claims.take(RUN)
    write_claim(tmp_path, host=HOST, process=living, start=start - 100)
    assert not claims.is_held(RUN)
    assert claims.take(RUN)


@pytest.mark.parametrize("age_seconds", [-DAY, 0.0, DAY], ids=["dated in the future", "now", "dated a day ago"])
def test_a_suspended_process_of_this_machine_loses_its_claim_after_a_minute_whatever_its_date(
    claims: Claims, tmp_path: Path, living: int, later: Callable[[float], None], age_seconds: float
) -> None:
    write_claim(tmp_path, host=HOST, process=living, age_seconds=age_seconds)
    assert not claims.take(RUN), "seen for the first time"
    later(STALE_SECONDS - 1)
    assert not claims.take(RUN)
    later(2)
    assert claims.take(RUN)


@pytest.mark.parametrize("ahead", [-TEN_MINUTES, 0.0, TEN_MINUTES], ids=["a clock behind", "the same clock", "a clock ahead"])
def test_another_machines_claim_is_judged_by_the_clock_of_the_file_system(
    claims: Claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: server_time() + ahead)
    for age_seconds in (-FOREIGN_STALE_SECONDS + 20, 0.0, FOREIGN_STALE_SECONDS - 20):
        write_claim(tmp_path, host="elsewhere", process=1, age_seconds=age_seconds)
        assert claims.is_held(RUN)
        assert not claims.take(RUN)
    for age_seconds in (FOREIGN_STALE_SECONDS + 20, -FOREIGN_STALE_SECONDS - 20):
        write_claim(tmp_path, host="elsewhere", process=1, age_seconds=age_seconds)
        assert not claims.is_held(RUN)
        assert claims.take(RUN)
        claims.release(RUN)
    assert list(tmp_path.iterdir()) == [], "what the clock was read from is gone"


def test_a_time_stamp_that_is_cached_for_a_path_makes_no_claim_old(
    claims: Claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS answers `stat` of a path from its cache for up to a minute; what is opened is asked of the server."""
    write_claim(tmp_path, host="elsewhere", process=1)
    real = os.stat

    def cached(path: Any, **more: Any) -> os.stat_result:
        found = real(path, **more)
        times = [moment - TEN_MINUTES for moment in found[7:10]] if str(path).endswith(RUN) else found[7:10]
        return os.stat_result([*found[:7], *times])

    monkeypatch.setattr(os, "stat", cached)
    assert claims.is_held(RUN)
    assert not claims.take(RUN)


def test_where_nothing_can_be_written_another_machines_claim_counts(
    claims: Claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(tree: Tree, folder: Path) -> float:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))

    monkeypatch.setattr(Tree, "clock", refuse)
    write_claim(tmp_path, host="elsewhere", process=1, age_seconds=DAY)
    assert claims.is_held(RUN)


def test_a_claim_that_is_made_and_reported_as_anothers_is_ours(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a request is sent twice, since the answer to the first was lost."""
    create = Tree.create

    def twice(tree: Tree, path: Path, content: bytes) -> None:
        create(tree, path, content)
        create(tree, path, content)

    monkeypatch.setattr(Tree, "create", twice)
    assert claims.take(RUN)
    assert claims.renew(RUN)
    assert not claims.take(RUN), "the next one is another's"


def test_a_file_that_is_made_and_reported_as_anothers_keeps_nobody_for_long(
    claims: Claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wrote into it, so that it is nobody's."""
    real = os.open

    def twice(path: Any, flags: int, *more: Any, **folder: int) -> int:
        descriptor = real(path, flags, *more, **folder)
        if flags & os.O_EXCL and str(path).endswith(RUN):
            os.close(descriptor)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", twice)
        assert not claims.take(RUN)
    then = server_time() - STALE_SECONDS - 1
    os.utime(tmp_path / f".claim-{RUN}", (then, then))
    assert claims.take(RUN)


def test_what_is_done_under_a_claim_is_done_by_one_and_nobody_waits_for_long(
    claims: Claims, other: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.records.claims.PATIENCE_SECONDS", 0.1)
    with claims.alone(RUN, "busy"):
        with pytest.raises(StoreError, match="busy"), other.alone(RUN, "busy"):
            pass
        assert claims.renew(RUN)
    with other.alone(RUN, "busy"):
        assert other.renew(RUN)


@pytest.mark.parametrize("ahead", [-DAY, 0.0, DAY], ids=["a clock behind ours", "our clock", "a clock ahead of ours"])
def test_an_owner_that_touches_its_claim_keeps_it_whatever_its_clock_says(
    claims: Claims, tmp_path: Path, living: int, later: Callable[[float], None], ahead: float
) -> None:
    path = write_claim(tmp_path, host=HOST, process=living)
    for number in range(5):
        then = time.time() + ahead + number
        os.utime(path, (then, then))
        assert not claims.take(RUN)
        later(STALE_SECONDS - 1)


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_our_own_clock_may_jump(claims: Claims, other: Claims, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    assert claims.take(RUN)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    assert not other.take(RUN)
    assert other.is_held(RUN), "its owner, this process, lives"
    assert claims.renew(RUN)


def test_who_lost_a_claim_neither_touches_nor_releases_that_of_another(
    claims: Claims, other: Claims, later: Callable[[float], None], tmp_path: Path
) -> None:
    assert claims.take(RUN)
    assert claims.renew(RUN)
    assert not other.take(RUN)
    later(STALE_SECONDS + 1)
    assert other.take(RUN)
    path = tmp_path / f".claim-{RUN}"
    os.utime(path, (1, 1))
    assert not claims.renew(RUN)
    assert path.stat().st_mtime == 1
    claims.release(RUN)
    assert path.stat().st_mtime == 1
    assert other.renew(RUN)
    assert path.stat().st_mtime > 1
    other.release(RUN)
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_is_gone_is_not_kept_and_not_made_again(claims: Claims, tmp_path: Path) -> None:
    assert claims.take(RUN)
    (tmp_path / f".claim-{RUN}").unlink()
    assert not claims.renew(RUN)
    claims.release(RUN)
    assert list(tmp_path.iterdir()) == []
    assert not claims.renew("r1-never")


def test_of_many_that_take_over_a_dead_claim_at_once_one_has_it(tmp_path: Path) -> None:
    dead = dead_process()
    for _ in range(8):
        write_claim(tmp_path, host=HOST, process=dead)
        ready, taken = threading.Barrier(8), []

        def attempt(ready: threading.Barrier = ready, taken: list[bool] = taken) -> None:
            claims = Claims(Tree(tmp_path), tmp_path)
            ready.wait()
            taken.append(claims.take(RUN))

        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [False] * 7 + [True]


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00\x80", "[" * 9000])
def test_a_torn_claim_holds_for_a_minute_and_no_longer(claims: Claims, tmp_path: Path, content: str) -> None:
    path = tmp_path / f".claim-{RUN}"
    path.write_text(content)
    assert not claims.take(RUN)
    then = server_time() - STALE_SECONDS - 1
    os.utime(path, (then, then))
    assert not claims.is_held(RUN)
    assert claims.take(RUN)


@pytest.mark.parametrize("process", [0, -1, 10**30, True, None, "1"])
def test_a_claim_of_no_process_holds_for_a_minute_at_most(
    claims: Claims, tmp_path: Path, later: Callable[[float], None], process: Any
) -> None:
    write_claim(tmp_path, host=HOST, process=process)
    if not claims.take(RUN):
        later(STALE_SECONDS + 1)
        assert claims.take(RUN)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_claim_is_named_and_waited_for_by_nobody(
    claims: Claims, tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    make(tmp_path / f".claim-{RUN}")
    for ask in (claims.take, claims.is_held, claims.renew):
        with pytest.raises(StoreError, match=rf"\.claim-{RUN}"):
            ask(RUN)


def test_a_sweep_removes_claims_of_the_dead_and_no_others(claims: Claims, tmp_path: Path, living: int) -> None:
    for name, host, process in (("dead", HOST, dead_process()), ("alive", HOST, living), ("elsewhere", "0", dead_process())):
        write_claim(tmp_path, host=host, process=process).rename(tmp_path / f".claim-r1-{name}")
    (tmp_path / ".claim-r1-torn").write_text("")
    os.mkfifo(tmp_path / ".claim-r1-fifo")
    claims.sweep()
    assert sorted(path.name[10:] for path in tmp_path.iterdir()) == ["alive", "elsewhere", "fifo", "torn"]
