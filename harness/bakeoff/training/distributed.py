"""Several processes (ranks) for one run: started by torchrun's agent, connected, and ended together.

`launch` forks them on this machine, each with its rank in the environment variables that torchrun sets.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from bakeoff.errors import BakeoffError, MachineError
from bakeoff.machine.processes import end_with
from bakeoff.machine.signals import EXIT_SECONDS, ending
from bakeoff.machine.streams import write_line

GRACE_SECONDS = 1.0
"""How long a failed rank waits before it ends. The other ranks fail when it no longer answers them, and by then the agent must
know which rank failed first. A rank that crashes is noticed at once."""

LONGEST_WAIT = timedelta(days=7)
"""How long a rank waits for another, which may be predicting. It does not limit the run."""

FAILED = 1
NO_MACHINE = os.EX_IOERR
"""Exit code of a rank that was ended by a fault of the machine."""


@dataclass(frozen=True)
class World:
    """The processes of a run, as process number `rank` of `size` sees them. device: the type of device that they train on.

    Its methods are collective: every rank must call them, in the same order.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in the order of ranks; each must be picklable."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def sum(self, tensor: Any) -> Any:
        """The sum over all ranks, with the same bits in each."""
        if self.size == 1:
            return tensor
        import torch.distributed as dist

        total = tensor.detach().clone()
        dist.all_reduce(total)
        return total


ALONE = World()


class RankError(BakeoffError):
    """A rank failed or crashed. code: its exit code, negative for a signal."""

    def __init__(self, rank: int, code: int) -> None:
        super().__init__(f"rank {rank}: {ending(code)}")
        self.rank = rank
        self.code = code


def launch(work: Callable[[World], bool], processes: int, *, device: str, threads: int, logs: Path) -> None:
    """Calls `work` in `processes` forks of this process, under torchrun's own agent, and returns when all have ended.

    This process must not have computed anything with torch yet. work: returns whether it succeeded; a rank that fails or
    crashes ends all others, and RankError is raised. threads: the sum over all ranks. logs: a new folder for the agent.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="fork",  # a fresh interpreter would take ten seconds to import
        local_addr="localhost",
        signals_to_handle="SIGTERM",
        shutdown_timeout=5,
        logs_specs=DefaultLogsSpecs(log_dir=str(logs)),
    )
    try:
        elastic_launch(config, _rank)(work, device, max(1, threads // processes), os.getpid())
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise RankError(rank, failure.exitcode) from None
    except SignalException as stopped:  # the agent has ended the ranks; a run that is stopped leaves no record
        signal.signal(stopped.sigval, signal.SIG_DFL)
        os.kill(os.getpid(), stopped.sigval)


def _rank(work: Callable[[World], bool], device: str, threads: int, launcher: int) -> None:
    """All that one rank does: it joins the others, calls `work`, and ends. launcher: id of the process that started it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the agent's own handler came with the fork
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group: the launcher decides
    end_with(launcher)  # no rank outlives the launcher
    try:
        code = 0 if work(_join(device, threads)) else FAILED
    except MachineError as error:
        write_line(sys.stderr, str(error))
        code = NO_MACHINE
    # When the agent lets it go, before all else of its exit; by a thread that no lock of the interpreter holds up.
    Finalize(None, faulthandler.dump_traceback_later, (EXIT_SECONDS,), {"exit": True}, exitpriority=sys.maxsize)
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        time.sleep(GRACE_SECONDS)
        os._exit(code)


def _join(device: str, threads: int) -> World:
    """Connects this process with the other ranks. threads: of this rank."""
    import torch
    import torch.distributed as dist

    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        del os.environ[name]  # accelerate would read them as settings of this run
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # else it looks up the host's name, which may not resolve
    world = World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), device)
    if device == "cuda":
        torch.cuda.set_device(world.rank)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo", timeout=LONGEST_WAIT)
    return world
