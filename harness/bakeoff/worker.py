"""`python -m bakeoff.worker REQUEST.json FOLDER` does what `bakeoff worker` does, for schedulers that start a module.

`python -m` puts the working directory on the import path before this module is read; `bakeoff worker` does not.
"""

from __future__ import annotations

import sys

from bakeoff.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "worker")
    main()
