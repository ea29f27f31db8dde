"""`python -m bakeoff.worker REQUEST.json FOLDER` does what `bakeoff worker` does, for schedulers that start a module.

Python imports from the working directory before any of this is read; `bakeoff worker` does not.
"""

from __future__ import annotations

import sys

from bakeoff.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "worker")
    main()
