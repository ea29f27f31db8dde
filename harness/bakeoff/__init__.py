"""Bakeoff fine-tunes models in several ways and reports which way is better, by how much, at what cost, and how sure that is.

From Python: `bakeoff.run` trains an experiment, `bakeoff.load` reads records, `bakeoff.compare` compares them. Authors of
plugins import from `bakeoff.plugin`.
"""

from __future__ import annotations

from bakeoff.api import compare as compare
from bakeoff.api import load as load
from bakeoff.api import run as run
from bakeoff.version import __version__ as __version__
