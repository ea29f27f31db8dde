"""A worker's process: started from a preloaded fork server, heard through a pipe, ended with its parent."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError
from bakeoff.record import OUTPUT_FILE

Message = dict[str, Any]


def context() -> Any:
    """Linux: a fork server, so that only the first worker pays for imports; elsewhere a fresh interpreter each time."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["bakeoff.preload"])
    return server


def prepare_environment(threads: int) -> None:
    """Settings that libraries read when imported; the fork server freezes them, so they are made before it starts."""
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"  # else a repository without safetensors asks a conversion service
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asking for CUDA through cuInit would poison the forks


class Worker:
    """A child process that calls `target(say, *arguments)`, where `say` sends a message to this process."""

    def __init__(self, target: Callable[..., None], *arguments: Any, output: Path) -> None:
        """`output` is a folder; the child's stdout and stderr go to a file in it."""
        self.output = output / OUTPUT_FILE
        multiprocess = context()
        self.connection, theirs = multiprocess.Pipe()
        self.process = multiprocess.Process(target=_child, args=(theirs, str(self.output), target, arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.started = time.monotonic()

    def messages(self, seconds: float) -> list[Message]:
        """What it said, after waiting up to that long for the first word."""
        heard: list[Message] = []
        wait([self.connection, self.process.sentinel], timeout=seconds)
        try:
            while self.connection.poll():
                heard.append(json.loads(self.connection.recv_bytes()))
        except (EOFError, ConnectionResetError):
            self.process.join(seconds)
        return heard

    @property
    def alive(self) -> bool:
        return bool(self.process.is_alive())

    def end(self) -> None:
        """Kills it if it still runs, and lets go of the pipe."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()

    def last_words(self) -> str:
        """How it ended, for a record: the signal or exit code, and the last line that it printed."""
        code = self.process.exitcode
        how = f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            how += " (the system's answer to a lack of memory, or somebody's)"
        try:
            lines = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"{how}: {lines[-1][:200]}" if lines else how


def _child(connection: Connection, output: str, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: the parent decides
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    lock = threading.Lock()

    def say(message: Message) -> None:
        with lock:
            connection.send_bytes(json.dumps(message).encode())

    try:
        target(say, *arguments)
    except BakeoffError as error:
        say({"error": str(error)})
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _end_with_parent(connection: Connection) -> None:
    """The parent never writes: a word from the pipe can only be its end."""
    try:
        connection.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
