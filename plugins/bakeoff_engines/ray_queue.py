"""The queue of the engine `ray`, `python -m bakeoff_engines.ray_queue FOLDER`: stays connected until all tasks have ended."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bakeoff.plugin import first_line
from bakeoff_engines.background import Queue, mark, start
from bakeoff_engines.ray_engine import resources_of

POLL_SECONDS: Final = 0.5


def perform(job: Mapping[str, Any], plan: Mapping[str, Any], folder: Path) -> int:
    """A task: starts the job's process on its node, waits for its end, and returns its exit code."""
    import os

    from bakeoff.plugin import Tree

    Tree(folder).write(mark(folder, "begun", job["number"]), f"on {socket.gethostname()}".encode(), synced=False)
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "") if plan["gpus"] else ""  # a task that asks for none would see all
    return start(job["words"], folder, job["log"], gpus, plan["directory"], plan["environment"]).wait()


class RayQueue(Queue):
    """Submits the tasks and waits for them."""

    def perform(self) -> None:
        """Performs all jobs, then the command that follows them."""
        import ray

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the cluster ends the tasks of a queue that is gone
        needs = resources_of(self.plan["threads"], self.plan["gpus"], self.plan["memory"])
        ray.init(self.plan["address"], logging_level="error", log_to_driver=False)
        task = ray.remote(max_retries=0, max_calls=1)(perform).options(
            num_cpus=needs["CPU"], num_gpus=needs.get("GPU", 0), memory=needs.get("memory")
        )
        active: dict[Any, int] = {}
        while self.waiting or active:
            while self.waiting and self.has_room(len(active)):
                job = self.waiting.popleft()
                active[task.remote(job, self.plan, self.folder)] = job["number"]
            for reference, number in active.items():
                if self.is_cancelled(number):
                    ray.cancel(reference, force=True)
            ready, _ = ray.wait([*active], num_returns=len(active), timeout=POLL_SECONDS)
            for reference in ready:
                self.tell("ended", active.pop(reference), how_ended(reference))
        ray.shutdown()
        if self.plan["then"]:
            self.start(self.plan["then"], "then.log", None).wait()


def how_ended(reference: Any) -> str:
    """How a task ended, in a few words; empty if it returned."""
    import ray

    try:
        ray.get(reference)
    except Exception as error:  # Ray raises something else for each way in which a task ends
        return f"{type(error).__name__}: {first_line(error)}"
    return ""


if __name__ == "__main__":
    RayQueue(Path(sys.argv[1])).perform()
