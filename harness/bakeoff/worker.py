"""The old door of schedulers: `python -m bakeoff.worker REQUEST.json FOLDER` does what `bakeoff worker` does.

Python imports from the working directory before any of this is read; `bakeoff worker` does not.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bakeoff.errors import BakeoffError
from bakeoff.machine.streams import prepare_streams, write_line
from bakeoff.training.worker import perform_requested


def main(arguments: list[str]) -> int:
    """The command line of `python -m bakeoff.worker`, which is that of `bakeoff worker`."""
    prepare_streams()
    if len(arguments) != 2:
        write_line(sys.stderr, "usage: python -m bakeoff.worker REQUEST.json FOLDER")
        return BakeoffError.exit_code
    try:
        return perform_requested(Path(arguments[0]), Path(arguments[1]))
    except BakeoffError as error:
        write_line(sys.stderr, str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
