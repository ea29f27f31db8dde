"""What may stand where a file of a record should be."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has at most 107 bytes
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(60 * 2**30)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "FIFO": (fifo, "it is a named pipe (FIFO), not a plain file"),
    "socket": (listening, "it is a socket, not a plain file"),
    "folder": (Path.mkdir, "it is a folder, not a file"),
    "sparse": (sparse, "it has 64,424,509,440 bytes; at most"),
    "device": (device, "is a symbolic link"),
    "link that leads nowhere": (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
}
