"""The command `bakeoff`; and `python -m bakeoff`, where its script is not on the path."""

from __future__ import annotations

import sys


def main() -> None:
    """Ctrl-C while the command is still imported ends it as it does later: by an exit code, without a traceback."""
    try:
        from bakeoff.cli import main as command  # here, so that the import can be interrupted
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # it came while an extension module was initialised
            sys.exit(130)
        raise
    command()


if __name__ == "__main__":
    main()
