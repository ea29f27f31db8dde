"""A small disk that is filled at random moments and emptied again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from stress.disturbance import Disturbance
from stress.scene import Scene

MEBIBYTES = 12
FULL = 6.0
"""Seconds until it is emptied at most."""


class FullDisks(Disturbance):
    """The experiment lies on a tmpfs; sometimes nothing fits any more, sometimes a few KiB."""

    name = "full disks"

    def lacks(self) -> str:
        return why_nothing_can_be_mounted()

    def prepare(self, scene: Scene) -> None:
        scene.experiment.mkdir(parents=True)
        mount(scene.experiment)
        scene.closing.callback(unmount, scene.experiment)

    def disturb(self, scene: Scene) -> str:
        filling = scene.folder / "e" / "filling"
        spare = scene.draw.choice([0, 0, 4096, 65536])
        fill(filling)
        os.truncate(filling, max(0, filling.stat().st_size - spare))
        scene.undo_later(scene.draw.uniform(1, FULL), lambda: filling.unlink(missing_ok=True))
        return "nothing more fits" if spare == 0 else f"only {spare // 1024} KiB fit"


def fill(path: Path) -> None:
    """Writes until nothing more fits."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (65536, 4096):
            with contextlib.suppress(OSError):
                while True:
                    os.write(descriptor, b"\0" * size)
    finally:
        os.close(descriptor)


def mount(folder: Path) -> None:
    """Raises OSError with what `mount` says."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip())


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S607


@cache
def why_nothing_can_be_mounted() -> str:
    with TemporaryDirectory() as name:
        try:
            mount(Path(name))
        except OSError as error:  # no root, no `mount`, a container
            return f"no tmpfs can be mounted: {error}"
        unmount(Path(name))
    return ""
