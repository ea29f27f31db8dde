"""The manual training loop, to be read like a tutorial: what transformers' Trainer does, written out.

A step: take a batch, run the model forward, compute the loss, run backward for the gradients, clip them, let the optimizer
update the weights and the scheduler the learning rate. Everything else in this file prepares these steps.
"""

from __future__ import annotations

from typing import Any

from bakeoff.plugin import Options, Signal, Supports, Trainer, TrainingJob, hookimpl, make_optimizer, make_scheduler


class TorchLoop(Trainer):
    """A plain PyTorch loop."""

    name = "torch-loop"
    summary = "The manual PyTorch loop: dynamic padding, AdamW, scheduler, clipping."
    version = "1"
    supports = Supports(
        kinds=None,
        precisions=frozenset({"fp32", "bf16", "fp16"}),
        processes=1024,
        resume=True,
    )

    def fit(self, job: TrainingJob, options: Options) -> None:
        from torch.nn.utils import clip_grad_norm_

        model, recipe = over_processes(job), job.recipe
        optimizer = make_optimizer(job)
        scheduler = make_scheduler(job, optimizer)
        job.resume(optimizer, scheduler)
        scaler = job.scaler  # for fp16; with any other precision it does nothing
        model.train()  # dropout on

        step, epoch = job.first_step, job.first_epoch
        while step < job.total_steps:
            for batch in job.batches(epoch):
                job.begin_step(step)

                losses = []
                for part in job.micro_batches(batch):  # one, unless gradients are accumulated over several
                    examples = job.collate([job.examples[row] for row in part.rows])  # padded to the longest of them
                    inputs = {name: tensor.to(job.device) for name, tensor in examples.items()}
                    labels = inputs.pop("labels")  # (batch,)
                    with job.autocast():
                        logits = model(**inputs).logits  # (batch, n_outputs)
                    loss = job.loss(logits, labels) * part.weight
                    loss_of_all = loss * job.world_size  # several processes average their gradients; they are to be added
                    scaler.scale(loss_of_all).backward()
                    losses.append(loss.detach())

                scaler.unscale_(optimizer)
                if recipe.max_grad_norm is not None:
                    clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
                scale = scaler.get_scale()
                scaler.step(optimizer)
                scaler.update()
                if scaler.get_scale() >= scale:  # else gradients had overflowed, and the step was skipped
                    scheduler.step()
                optimizer.zero_grad()

                signal = job.end_step(step, sum(losses))
                step += 1
                if signal is Signal.STOP or step == job.total_steps:
                    return
            if job.end_epoch() is Signal.STOP:
                return
            epoch += 1


def over_processes(job: TrainingJob) -> Any:
    """The model; if several processes train it, it is wrapped so that each backward pass averages the gradients over them."""
    if job.world_size == 1:
        return job.model
    from accelerate import Accelerator, DistributedDataParallelKwargs

    unused = DistributedDataParallelKwargs(find_unused_parameters=True)  # a method may train what a model does not use
    return Accelerator(cpu=job.device.type == "cpu", mixed_precision="no", kwargs_handlers=[unused]).prepare_model(job.model)


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [TorchLoop()]
