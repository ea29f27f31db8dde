"""Bakeoff's random streams imposed on somebody else's training, which is not changed: the new head, the order of the rows,
and dropout.

    python -m peers.imposer OUT SCRIPT ARGUMENT...

runs a script so, as its author's `python SCRIPT ARGUMENT...` would, and writes the losses of its steps into OUT.RANK;

    python -m peers.imposer JOBS

runs several, one after the other (`run_each`). Whatever draws rows at
random asks torch's RandomSampler, whatever loads a model transformers' `from_pretrained`, and whatever trains with accelerate
calls `Accelerator.backward`: these three are replaced, and torch's own hooks tell where a step begins and ends.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SEED = 0
"""Of the experiment that the training is to be like; the replicate is 0."""


@dataclass
class Seen:
    """What the training did."""

    losses: list[float] = field(default_factory=list)
    """Of each step, all that was run backward of it added up."""


@contextmanager
def imposed(seed: int = SEED) -> Iterator[Seen]:
    """While it is entered, one training in this process has the streams of a run with this seed."""
    import torch
    from accelerate import Accelerator
    from torch.nn.modules.module import register_module_forward_pre_hook
    from torch.optim.optimizer import register_optimizer_step_post_hook
    from torch.utils.data import RandomSampler
    from transformers import PreTrainedModel

    from bakeoff.machine.random_streams import restart_random, stream_seed
    from bakeoff.training.data import epoch_batches

    seen, rank = Seen(), int(os.environ.get("RANK", "0"))
    parts: list[Any] = []
    begun, epochs = [False], [0]
    backward, iterate, load = Accelerator.backward, RandomSampler.__iter__, PreTrainedModel.__dict__["from_pretrained"]

    def keep_loss(self: Any, loss: Any, **more: Any) -> None:
        parts.append(loss.detach())
        backward(self, loss, **more)

    def in_our_order(self: Any) -> Iterator[int]:
        epoch, epochs[0] = epochs[0], epochs[0] + 1
        for batch in epoch_batches(len(self.data_source), 1, seed=seed, replicate=0, epoch=epoch):
            yield from batch

    def with_our_head(cls: Any, *arguments: Any, **more: Any) -> Any:
        restart_random(stream_seed(seed, 0, "init"))
        return load.__func__(cls, *arguments, **more)

    def begin_step(module: Any, inputs: Any) -> None:
        if not begun[0] and isinstance(module, PreTrainedModel) and module.training:
            begun[0] = True
            restart_random(stream_seed(seed, 0, "dropout", len(seen.losses), rank))

    def end_step(optimizer: Any, args: Any, kwargs: Any) -> None:
        seen.losses.append(float(torch.stack(parts).sum()))
        parts.clear()
        begun[0] = False

    Accelerator.backward, RandomSampler.__iter__ = keep_loss, in_our_order
    PreTrainedModel.from_pretrained = classmethod(with_our_head)
    handles = [register_module_forward_pre_hook(begin_step), register_optimizer_step_post_hook(end_step)]
    try:
        yield seen
    finally:
        Accelerator.backward, RandomSampler.__iter__ = backward, iterate
        PreTrainedModel.from_pretrained = load
        for handle in handles:
            handle.remove()


def run(out: str, script: str, *arguments: str) -> None:
    """The script from its first line to its last, in this process."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sys.argv = [script, *arguments]
    with imposed() as seen:
        runpy.run_path(script, run_name="__main__")
    Path(f"{out}.{os.environ.get('RANK', '0')}").write_text(json.dumps(seen.losses), encoding="utf-8")


def run_each(jobs: str) -> None:
    """Each script in a fork of this process, which makes the imports once; `jobs` is a file, a line of JSON for each script:
    its folder to work in, and the arguments of `run`. What it prints goes to `output.txt` there."""
    import accelerate
    import datasets
    import evaluate
    import transformers

    needed = (accelerate.Accelerator, datasets.load_dataset, evaluate.load, transformers.Trainer)  # imported lazily by name
    assert all(needed)
    for line in Path(jobs).read_text(encoding="utf-8").splitlines():
        job = json.loads(line)
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        os.chdir(job["folder"])
        output = os.open("output.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        try:
            run(*job["arguments"])
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    run_each(sys.argv[1]) if len(sys.argv) == 2 else run(*sys.argv[1:])
