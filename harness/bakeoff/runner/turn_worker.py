"""The command's side of a process that is timed in turns: starts it, sends it turns, hears what they took. The process's own
side is `training.run_in_turns`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from bakeoff.contracts.fields import Part, first_flaw
from bakeoff.errors import BakeoffError, MachineError
from bakeoff.machine.faults import full_disk
from bakeoff.machine.signals import await_own_signal, was_stopped
from bakeoff.machine.worker_process import WAIT_SECONDS, MessageError, Worker
from bakeoff.records.schema import OUTPUT_FILE
from bakeoff.text.numbers import duration
from bakeoff.text.words import escaped
from bakeoff.training.request import Request
from bakeoff.training.run_in_turns import perform_in_turns
from bakeoff.training.turns import FAILED, FAULT, Ended, Ready, Taken, Turn
from bakeoff.training.worker import places_of

P = TypeVar("P", bound=Part)

PROGRESS_SECONDS: Final = 10.0
"""At most this many seconds between two polls count towards a time limit: more pass only while the command is suspended, and
the process with it."""


class TurnError(BakeoffError):
    """The process of one strategy can't go on; the other strategies' processes can."""


class SilenceError(TurnError):
    """The process has not answered within its time limit."""


class TurnWorker:
    """The process of one strategy: starts it, gives it turns and hears what they took."""

    def __init__(self, request: Request, folder: Path, *, polled: Callable[[], None]) -> None:
        """folder: a new folder for the process's files. polled: called about twice a second while the process is waited
        for."""
        self.request, self.folder, self.polled = request, folder, polled
        self.spent = 0.0
        """Seconds that all turns of the process took together."""
        self.longest = 0.0
        """Seconds of the longest turn of the process."""
        self.fixed_seconds: dict[str, float] = {}
        """Phase -> seconds that a run takes there once, however many its steps; empty before `finish`."""
        self.memory = self.device_memory = 0
        self.device_free: int | None = None
        theirs, self.orders = Pipe(duplex=False)
        try:
            self.worker = Worker(perform_in_turns, request.model_dump_json(), str(folder), theirs, output=folder / OUTPUT_FILE)
        except BaseException:
            self.orders.close()
            raise
        finally:
            theirs.close()

    def ready(self, *, within: float) -> Ready:
        """Waits until the process can take its first turn, and returns what it says of itself. Raises TurnError if it fails or
        takes over `within` seconds."""
        return self._hear(Ready, within)

    def take(self, turn: Turn, *, within: float) -> Taken:
        """Lets the process take a turn, and returns the times. Raises TurnError if it fails or takes over `within` seconds."""
        began = time.monotonic()
        self._order(turn)
        taken = self._hear(Taken, within)
        seconds = time.monotonic() - began
        self.spent, self.longest = self.spent + seconds, max(self.longest, seconds)
        self.memory, self.device_memory = max(self.memory, taken.memory), max(self.device_memory, taken.device_memory)
        self.device_free = taken.device_free
        return taken

    def finish(self, *, within: float) -> None:
        """Lets the process save what a run saves, and end. Raises TurnError if that fails or takes over `within` seconds."""
        self._order(Turn(end=True))
        self.fixed_seconds = self._hear(Ended, within).fixed_seconds

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self.worker.end()
        self.orders.close()

    def _order(self, turn: Turn) -> None:
        with suppress(OSError):  # it is gone: `_hear` says why
            self.orders.send_bytes(turn.model_dump_json().encode())

    def _hear(self, kind: type[P], within: float) -> P:
        waited, polled = 0.0, time.monotonic()
        while True:
            alive = self.worker.alive  # asked first, so that everything is heard that it says before it ends
            try:
                for message in self.worker.messages(WAIT_SECONDS if alive else 0):
                    if (part := self._part_of(message, kind)) is not None:
                        return part
            except MessageError as error:
                raise TurnError(str(error)) from None
            self.polled()
            if not alive:
                raise self._death()
            now = time.monotonic()
            waited, polled = waited + min(now - polled, PROGRESS_SECONDS), now
            if waited > within:
                raise SilenceError(f"its process gave no answer for {duration(waited)}")

    def _part_of(self, message: dict[str, Any], kind: type[P]) -> P | None:
        """The `kind` in a message; None if the message holds something else. Raises TurnError if it says that the run failed,
        and MachineError if the machine did."""
        if FAULT in message:
            raise MachineError(str(message[FAULT]))
        for key in (FAILED, "error"):
            if key in message:
                raise TurnError(escaped(str(message[key])))
        if (plain := message.get(kind.__name__.lower())) is None:
            return None
        try:
            return kind.model_validate(plain)
        except ValidationError as error:
            raise TurnError(f"a message in its pipe is not one of Bakeoff's: {first_flaw(error)}") from None

    def _death(self) -> BaseException:
        """The error that says why the process ended. Raises KeyboardInterrupt if it ended by a signal that the command
        received too, such as Ctrl-C."""
        if was_stopped(self.worker.process.exitcode):
            await_own_signal()
        if (fault := full_disk(places_of(self.request, self.folder))) is not None:
            return fault
        return TurnError(f"its process ended: {self.worker.how_it_ended()}")
