"""One job of a submission, on the node where an engine starts it: makes its runs by `bakeoff run`, and notes how that ended.

`python -m bakeoff.runner.job FOLDER NUMBER COMMAND...`: FOLDER is the submission's, and the ids of the job's runs are added to
the words of COMMAND. A signal to end is passed on to the command, which then records its run as interrupted. With `then` in
place of NUMBER it performs the command that follows all jobs, as it stands.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import IO, Final

from bakeoff.errors import BakeoffError
from bakeoff.files import write_all
from bakeoff.machine.processes import end_with
from bakeoff.machine.streams import write_line
from bakeoff.records.submissions import THEN, JobNote, cancelled_in, read_submission, write_note
from bakeoff.text.values import utc_now
from bakeoff.text.words import escaped, shown_path

NOT_SEEN: Final = 78
"""Exit code where the node does not see the submission's folder: EX_CONFIG of sysexits.h."""
TAIL_LINES: Final = 3
OUTPUT_SECONDS: Final = 5.0
"""How long to wait for the rest of what the command printed when it has ended."""
LONGEST_LINE: Final = 300
"""How many characters of a line are kept."""


def main(arguments: Sequence[str]) -> int:
    """Performs the job. Returns the command's exit code, or 128 and the number of the signal that ended it."""
    place, words = Path(arguments[0]), [*arguments[2:]]
    number = None if arguments[1] == THEN else int(arguments[1])
    host = socket.gethostname()
    try:
        submission = read_submission(place)
    except (OSError, BakeoffError) as error:
        write_line(sys.stderr, f"{host} does not see the submission's folder: {error}")
        return NOT_SEEN
    cancelled = cancelled_in(place)
    if cancelled is not None and number in cancelled.jobs:
        write_line(sys.stdout, f"cancelled {cancelled.when}: nothing is done here")
        return 0
    if number is not None:
        job = next((one for one in submission.jobs if one.number == number), None)
        if job is None:
            write_line(sys.stderr, f"{shown_path(place)} has no job {number}")
            return NOT_SEEN
        words += [word for run in job.runs for word in ("--only", run)]
    begun = JobNote(host=host, begun=utc_now())
    note(place, number, begun)
    code, tail = perform(words)
    reason = "" if code == 0 else " | ".join(tail)
    note(place, number, begun.model_copy(update={"ended": utc_now(), "code": code, "reason": reason}))
    return code if code >= 0 else 128 - code


def note(place: Path, number: int | None, content: JobNote) -> None:
    """Writes what is known of the job, or says why not: no run depends on it."""
    try:
        write_note(place, number, content)
    except (OSError, BakeoffError) as error:
        write_line(sys.stderr, f"not noted in {shown_path(place)}: {error}")


def perform(words: Sequence[str]) -> tuple[int, list[str]]:
    """Runs the command until it ends, and passes on what it prints and the signals SIGTERM and SIGINT. Returns its exit code
    and the last lines that it printed."""
    parent = os.getpid()
    child = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=(lambda: end_with(parent, signal.SIGTERM)) if sys.platform == "linux" else None,
    )

    def pass_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    assert child.stdout is not None
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def copy(output: IO[bytes]) -> None:
        for line in output:
            with suppress(OSError):  # the disk of the log is full; the runs go on
                write_all(1, line)
            if text := line.decode(errors="replace").strip():
                tail.append(escaped(text[:LONGEST_LINE]))

    reader = Thread(target=copy, args=(child.stdout,), daemon=True)
    reader.start()
    code = child.wait()
    reader.join(OUTPUT_SECONDS)  # a process that it left may have its output open
    return code, [*tail]


if __name__ == "__main__":
    if sys.platform == "linux":
        end_with(os.getppid(), signal.SIGTERM)
    sys.exit(main(sys.argv[1:]))
