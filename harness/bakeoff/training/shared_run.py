"""A run that several processes (ranks) share: each has a folder of its own, and one of them becomes the run's folder."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
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
from bakeoff.text.values import utc_now
from bakeoff.training.clock import Clock
from bakeoff.training.distributed import NO_MACHINE, RankError, World, launch
from bakeoff.training.record_writer import bare_record, failure_of, write_record, write_traceback
from bakeoff.training.request import Request
from bakeoff.training.run_folder import clear, require_plain


class Report(Protocol):
    """A function that receives the progress of a run."""

    def __call__(self, phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
        """step: how many steps were taken; 0 where a phase begins. total: the number of all steps. loss: of the last step.
        note: a sentence for the user."""


def print_notes(phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
    """A Report that prints only the notes."""
    if note:
        write_line(sys.stdout, note)


RANKS = "ranks"
"""The name of the folder, inside the run's own, that has a folder for each rank while the ranks work."""
FAULT_FILE = "fault"
"""The name of a file beside the ranks' folders: the message of a rank that was ended by a fault of the machine."""


def share(
    request: Request,
    folder: Path,
    report: Report,
    attempt: Callable[[Request, Path, Report, World, Clock], Record],
    *,
    before_forking: Callable[[Request], object],
) -> Record:
    """Performs a run in several processes, each of which calls `attempt`, and writes its record into `folder`. Returns the
    record: that of rank 0, or of the first rank that failed.

    before_forking: called before the ranks are forked from this process. Raises MachineError for a fault of the machine.
    """
    started, clock, ranks_folder = utc_now(), Clock(), folder / RANKS
    processes, tree = request.requested.processes, Tree(folder)

    def attempt_as_rank(world: World) -> bool:
        def report_phase(phase: str, step: int, total: int, loss: float | None, note: str = "") -> None:
            if step == 0:
                tree.write(ranks_folder / f"phase-{world.rank}", phase.encode(), synced=False)
            if world.rank == 0:
                report(phase, step, total, loss, note)

        try:
            return attempt(request, ranks_folder / str(world.rank), report_phase, world, clock).failure is None
        except MachineError as error:
            with suppress(OSError):  # the disk may be full
                tree.write(ranks_folder / FAULT_FILE, str(error).encode(), synced=False)
            raise

    try:
        before_forking(request)
        device = hardware.pick_device(request.device).type
        hardware.require_processes(processes, device)
        for rank in range(processes):
            tree.make_fresh(ranks_folder / str(rank))
        if device == "cuda":
            hardware.show_all_devices()
        launch(attempt_as_rank, processes, device=device, threads=request.threads, logs=ranks_folder / "logs")
        record = move_in(ranks_folder / "0", folder)
    except RankError as error:
        if error.code == NO_MACHINE:
            raise fault_of_rank(ranks_folder, [folder, request.cache]) from None
        record = (
            record_that_stands(error, ranks_folder, folder)
            or record_of_first_failure(error, ranks_folder, folder)
            or bare_record(request, started, failure_of_rank(error, ranks_folder))
        )
    except Exception as error:  # the run is recorded as failed, as with one process
        raise_machine_error(error, [folder, request.cache])
        record = bare_record(request, started, failure_of(error, clock.phase))
        if not isinstance(error, BakeoffError):
            write_traceback(folder)
    finally:
        tree.remove_folder(ranks_folder)
    try:
        require_plain(folder, request.requested)  # a plugin may leave files here too, not only in its rank's folder
    except PluginError as error:
        if record.failure is None:
            record = bare_record(request, started, failure_of(error, "save"))
        clear(folder)
    write_record(folder, record)
    return record


def fault_of_rank(ranks_folder: Path, places: Sequence[Path]) -> MachineError:
    """The fault of the machine that ended a rank, from the message that the rank left; a full disk if it could leave none.
    places: the folders that the run writes to."""
    with suppress(OSError):
        return MachineError(read_regular(ranks_folder / FAULT_FILE).decode(errors="replace"))
    fault = machine_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), places)
    assert fault is not None
    return fault


def move_in(rank_folder: Path, folder: Path) -> Record:
    """Moves the files of a rank, without its record, to the run's folder. Returns the record."""
    for path in rank_folder.iterdir():
        if path.name != RECORD_FILE:
            Tree(folder).move(path, folder / path.name)
    return Record.model_validate_json(read_regular(rank_folder / RECORD_FILE))


def record_that_stands(error: RankError, ranks_folder: Path, folder: Path) -> Record | None:
    """The record of rank 0 if it was complete and successful before a rank crashed, at its exit or while keeping the model;
    else None."""
    path = ranks_folder / "0" / RECORD_FILE
    if not path.is_file() or Record.model_validate_json(read_regular(path)).status == "failed":
        return None
    record = without_model(move_in(ranks_folder / "0", folder), folder, str(error))
    remark = f"the run's process: it did not exit cleanly after its record was complete: {error}"
    return record if record.why_not_kept else record.model_copy(update={"process_notes": [*record.process_notes, remark]})


def record_of_first_failure(error: RankError, ranks_folder: Path, folder: Path) -> Record | None:
    """The record of the rank that failed first; None where a rank died without one, or by a signal to stop.

    Other ranks may have failed because of it. The message names the rank, unless all ranks failed alike.
    """
    if was_stopped(error.code) or not (ranks_folder / str(error.rank) / RECORD_FILE).is_file():
        return None
    ranks = [int(path.name) for path in ranks_folder.iterdir() if path.name.isdigit()]
    left = {rank: path for rank in ranks if (path := ranks_folder / str(rank) / RECORD_FILE).is_file()}
    failures = {rank: Record.model_validate_json(read_regular(path)).failure for rank, path in left.items()}
    first = min((rank for rank in left if failures[rank]), key=lambda rank: left[rank].stat().st_mtime_ns)
    record = move_in(ranks_folder / str(first), folder)
    if record.failure is None or (len(left) == len(ranks) and len(set(failures.values())) == 1):
        return record
    named = record.failure.model_copy(update={"message": f"rank {first}: {record.failure.message}"})
    return record.model_copy(update={"failure": named})


def failure_of_rank(error: RankError, ranks_folder: Path) -> Failure:
    """The failure of a run whose rank died without a record, in the last phase that the rank reported."""
    reason: Reason = "interrupted" if was_stopped(error.code) else "crashed"
    file = ranks_folder / f"phase-{error.rank}"
    phase = read_regular(file).decode() if file.is_file() else ""
    return Failure(reason=reason, message=str(error), phase=phase or "import")
