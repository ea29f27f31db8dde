"""Bakeoff fine-tunes models in several ways and reports which way is better, by how much, at what cost, and how sure that is.

From Python: `bakeoff.check` and `bakeoff.plan` look at an experiment, `bakeoff.run` trains it, `bakeoff.load` reads records and
`bakeoff.compare` compares them. Authors of plugins import from `bakeoff.plugin`.
"""

from __future__ import annotations

from bakeoff.api import check as check
from bakeoff.api import compare as compare
from bakeoff.api import load as load
from bakeoff.api import plan as plan
from bakeoff.api import run as run
from bakeoff.version import __version__ as __version__
