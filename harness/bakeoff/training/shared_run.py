"""A run that several processes share: each works in a room of its own, and one room becomes the run's folder."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bakeoff.errors import BakeoffError, MachineError, PluginError
from bakeoff.files import Tree, read_regular
from bakeoff.machine import hardware
from bakeoff.machine.faults import machine_error, raise_machine_error
from bakeoff.machine.signals import was_stopped
from bakeoff.machine.streams import write_line
from bakeoff.records.record_files import without_model
from bakeoff.records.schema import RECORD_FILE, Failure, Reason, Record
from bakeoff.training.clock import Clock
from bakeoff.training.distributed import NO_MACHINE, RankError, World, launch
from bakeoff.training.record_writer import bare_record, clear, failure_of, require_plain, write_record, write_traceback
from bakeoff.training.request import Request


class Report(Protocol):
    """Where a run's progress goes."""

    def __call__(self, phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
        """`total` is the number of steps; a `note` is a sentence for the user."""


def print_notes(phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
    """Progress without anybody who watches: only notes are printed."""
    if note:
        write_line(sys.stdout, note)


ROOMS = "ranks"
"""The folder of the rooms, in the run's own, while they work."""
FAULT_FILE = "fault"
"""In the rooms: the words of a rank that the machine let down."""


def share(
    request: Request,
    folder: Path,
    report: Report,
    attempt: Callable[[Request, Path, Report, World, Clock], Record],
    *,
    before_forking: Callable[[Request], object],
) -> Record:
    """Lets every process `attempt` the run; the record is rank 0's, or that of the first that failed.

    `before_forking` is called before the others are forked from this process. Raises MachineError.
    """
    started, clock, rooms = datetime.now(UTC).isoformat(timespec="seconds"), Clock(), folder / ROOMS
    processes, tree = request.requested.processes, Tree(folder)

    def attempt_in_room(world: World) -> bool:
        def tell(phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
            if step == 0:
                tree.write(rooms / f"phase-{world.rank}", phase.encode(), synced=False)
            if world.rank == 0:
                report(phase, step, total, loss, note)

        try:
            return attempt(request, rooms / str(world.rank), tell, world, clock).failure is None
        except MachineError as error:
            with suppress(OSError):  # there may be no room for it
                tree.write(rooms / FAULT_FILE, str(error).encode(), synced=False)
            raise

    try:
        before_forking(request)
        device = hardware.pick_device(request.device).type
        hardware.require_processes(processes, device)
        for rank in range(processes):
            tree.make_fresh(rooms / str(rank))
        if device == "cuda":
            hardware.show_all_devices()
        launch(attempt_in_room, processes, device=device, threads=request.threads, logs=rooms / "logs")
        record = move_in(rooms / "0", folder)
    except RankError as error:
        if error.code == NO_MACHINE:
            raise fault_of_rank(rooms, [folder, request.cache]) from None
        record = (
            record_that_stands(error, rooms, folder)
            or record_of_first_failure(error, rooms, folder)
            or bare_record(request, started, failure_of_rank(error, rooms))
        )
    except Exception as error:  # a run that raises is a record with its reason, as in one process
        raise_machine_error(error, [folder, request.cache])
        record = bare_record(request, started, failure_of(error, clock.phase))
        if not isinstance(error, BakeoffError):
            write_traceback(folder)
    finally:
        tree.remove_folder(rooms)
    try:
        require_plain(folder, request.requested)  # a plugin may leave something here too, and not in its room
    except PluginError as error:
        if record.failure is None:
            record = bare_record(request, started, failure_of(error, "save"))
        clear(folder)
    write_record(folder, record)
    return record


def fault_of_rank(rooms: Path, places: Sequence[Path]) -> MachineError:
    """What kept a rank from going on: in its own words, unless there was no room for them either."""
    with suppress(OSError):
        return MachineError(read_regular(rooms / FAULT_FILE).decode(errors="replace"))
    fault = machine_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), places)
    assert fault is not None
    return fault


def move_in(room: Path, folder: Path) -> Record:
    """Moves what a rank left to the run's folder; its record, which is not moved."""
    for path in room.iterdir():
        if path.name != RECORD_FILE:
            Tree(folder).move(path, folder / path.name)
    return Record.model_validate_json(read_regular(room / RECORD_FILE))


def record_that_stands(error: RankError, rooms: Path, folder: Path) -> Record | None:
    """Rank 0's record, where that was whole and well before a rank ended as it should not: at its exit, or over the model that
    it was to keep. None where it had not come so far."""
    path = rooms / "0" / RECORD_FILE
    if not path.is_file() or Record.model_validate_json(read_regular(path)).status == "failed":
        return None
    record = without_model(move_in(rooms / "0", folder), folder, str(error))
    remark = f"the run's process: it did not end well after its record was whole: {error}"
    return (
        record
        if record.kept and record.kept.reason
        else record.model_copy(update={"process_notes": [*record.process_notes, remark]})
    )


def record_of_first_failure(error: RankError, rooms: Path, folder: Path) -> Record | None:
    """The record that the first rank to fail has left; None where one died without a word, or by a signal to stop.

    Others may have failed after it for its sake. Where all say the same, it is no matter of one rank.
    """
    if was_stopped(error.code) or not (rooms / str(error.rank) / RECORD_FILE).is_file():
        return None
    ranks = [int(room.name) for room in rooms.iterdir() if room.name.isdigit()]
    left = {rank: path for rank in ranks if (path := rooms / str(rank) / RECORD_FILE).is_file()}
    failures = {rank: Record.model_validate_json(read_regular(path)).failure for rank, path in left.items()}
    first = min((rank for rank in left if failures[rank]), key=lambda rank: left[rank].stat().st_mtime_ns)
    record = move_in(rooms / str(first), folder)
    if record.failure is None or (len(left) == len(ranks) and len(set(failures.values())) == 1):
        return record
    said = record.failure.model_copy(update={"message": f"rank {first}: {record.failure.message}"})
    return record.model_copy(update={"failure": said})


def failure_of_rank(error: RankError, rooms: Path) -> Failure:
    """Of a run of which a rank died without a word."""
    reason: Reason = "interrupted" if was_stopped(error.code) else "crashed"
    return Failure(reason=reason, message=str(error), phase=phase_of(error.rank, rooms))


def phase_of(rank: int, rooms: Path) -> str:
    """The last phase that a rank told of."""
    try:
        return read_regular(rooms / f"phase-{rank}").decode() or "import"
    except FileNotFoundError:
        return "import"
