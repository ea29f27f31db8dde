"""What tests share: the package of toy components on the path, here and in child processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TOYBOX = str(Path(__file__).parent / "thirdparty" / "toybox")

sys.path.insert(0, TOYBOX)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # here: models are small, and two tests may be under way
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [TOYBOX, os.environ.get("PYTHONPATH")]))
