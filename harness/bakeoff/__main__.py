"""The command `bakeoff`; and `python -m bakeoff`, where its script is not on the path."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line. Ctrl-C during its imports ends the process with exit code 130 and without a traceback."""
    try:
        from bakeoff.cli import main as command  # here, so that the import can be interrupted
    except (KeyboardInterrupt, ImportError) as error:
        from bakeoff.machine.signals import is_interrupt

        if is_interrupt(error):
            sys.exit(130)
        raise
    command()


if __name__ == "__main__":
    main()
