"""What a command needs: a working directory, a home folder, and a folder for temporary files with a short path."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Final

from bakeoff.errors import BakeoffError
from bakeoff.files import make_private
from bakeoff.text.words import shown_path

SOCKET_PATH_BYTES: Final = 107
"""The longest path of a socket, by unix(7): `sun_path` has 108 bytes, the last of them zero."""
SOCKET_NAME_BYTES: Final = 40
"""Bytes for what multiprocessing appends to the temporary folder: `/pymp-XXXXXXXX/listener-XXXXXXXX`."""
SHORT_FOLDERS: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a folder with a random name is made in one of them


def prepare_surroundings() -> None:
    """Prepares this process for a command. Raises BakeoffError if the working directory was deleted (no relative path or child
    process would work), or if no home folder can be found."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise BakeoffError("the working directory was deleted; change to a folder that exists (`cd ~`)") from None
    give_home()


def give_home() -> None:
    """Sets HOME, for this process and its children, if there is none: a user of a container may lack an entry in /etc/passwd,
    and libraries then fail, or write into a folder called `~`.

    The folder is `bakeoff-UID` in the temporary folder, so that the next command finds its cache again. Raises BakeoffError if
    it belongs to somebody else.
    """
    if os.path.expanduser("~") != "~":  # noqa: PTH111 - Path.home() raises instead
        return
    user = os.getuid()
    folder = Path(tempfile.gettempdir()) / f"bakeoff-{user}"
    try:
        make_private(folder)
        found = folder.lstat()
    except OSError as error:
        raise BakeoffError(
            f"there is no home folder, nor can {shown_path(folder)} be made ({error.strerror}); set HOME to a folder of yours"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        raise BakeoffError(
            f"there is no home folder, and {shown_path(folder)} is open to others or not yours; set HOME to a folder of yours"
        )
    os.environ["HOME"] = str(folder)
    os.environ.setdefault("USER", str(user))  # getpass.getuser() asks for it before the password file


def shorten_socket_paths() -> None:
    """Gives multiprocessing a folder with a short path for its sockets, if TMPDIR is too long.

    Raises BakeoffError if no such folder is writable.
    """
    import multiprocessing.util

    chosen = tempfile.gettempdir()
    length = len(os.fsencode(chosen))
    if length + SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES:
        return
    folder = next((folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK)), None)
    if folder is None:
        raise BakeoffError(
            f"TMPDIR: {shown_path(chosen)} has {length} bytes, and a folder for sockets may have at most "
            f"{SOCKET_PATH_BYTES - SOCKET_NAME_BYTES}; choose a shorter one"
        )
    try:
        tempfile.tempdir = folder
        multiprocessing.util.get_temp_dir()  # made once for a process and its children
    finally:
        tempfile.tempdir = chosen


@contextmanager
def same_folder() -> Iterator[None]:
    """A context for code of plugins, which may change the working directory; it is restored afterwards."""
    try:
        before = chdir(Path.cwd())
    except FileNotFoundError:  # deleted: no path is relative to it
        yield
        return
    with before:
        yield
