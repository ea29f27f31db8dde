"""What tests share: the package of planted components on the path, here and in child processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PLANTED = str(Path(__file__).parent / "thirdparty" / "planted")

sys.path.insert(0, PLANTED)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PLANTED, os.environ.get("PYTHONPATH")]))
