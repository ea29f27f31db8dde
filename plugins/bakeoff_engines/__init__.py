"""Engines that start the jobs of `bakeoff submit`: on this machine, on Slurm, and on Ray."""

from __future__ import annotations

from bakeoff.plugin import Engine, hookimpl
from bakeoff_engines.local import Local
from bakeoff_engines.ray_engine import Ray
from bakeoff_engines.slurm import Slurm


@hookimpl
def bakeoff_engines() -> list[Engine]:
    return [Local(), Slurm(), Ray()]
