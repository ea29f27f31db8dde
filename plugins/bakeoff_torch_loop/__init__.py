"""The manual training loop, to be read like a tutorial: what the Trainer API does, written out.

A step: take a batch, run the model forward, measure the loss, run backward for the gradients, clip them, let the optimizer
move the weights, let the scheduler move the learning rate. Everything else on this page prepares that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.plugin import Options, Signal, Trainer, TrainingJob, hookimpl

if TYPE_CHECKING:
    from torch.optim import AdamW


class TorchLoop(Trainer):
    """A plain PyTorch loop."""

    name = "torch-loop"
    summary = "The manual PyTorch loop: DataLoader with dynamic padding, AdamW, scheduler, clipping."
    version = "1"

    def fit(self, job: TrainingJob, options: Options) -> None:
        from torch.nn.utils import clip_grad_norm_

        model, recipe = job.model, job.recipe
        optimizer = make_optimizer(job)
        scheduler = make_scheduler(job, optimizer)
        model.train()  # dropout on

        step, epoch = job.first_step, 0
        while step < job.total_steps:
            for batch in epoch_loader(job, epoch):
                job.begin_step(step)

                inputs = {name: tensor.to(job.device) for name, tensor in batch.items()}
                labels = inputs.pop("labels")  # (batch,)
                logits = model(**inputs).logits  # (batch, n_outputs)
                loss = job.loss(logits, labels)
                loss.backward()

                if recipe.max_grad_norm is not None:
                    clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()

                signal = job.end_step(step, loss.detach())
                step += 1
                if signal is Signal.STOP or step == job.total_steps:
                    return
            if job.end_epoch() is Signal.STOP:
                return
            epoch += 1


def epoch_loader(job: TrainingJob, epoch: int) -> Any:
    """One epoch's batches as tensors, padded to the longest example of each batch."""
    from torch.utils.data import DataLoader

    return DataLoader(job.examples, batch_sampler=job.batches(epoch), collate_fn=job.collate)


def make_optimizer(job: TrainingJob) -> AdamW:
    """AdamW: Adam with weight decay applied to the weights and not to the gradient (Loshchilov and Hutter, 2019)."""
    from torch.optim import AdamW

    recipe = job.recipe
    beta1, beta2 = recipe.betas
    return AdamW(
        job.parameter_groups(),
        lr=recipe.learning_rate,
        betas=(beta1, beta2),
        eps=recipe.eps,
        fused=recipe.fused or None,  # None leaves the choice to torch: False would rule out its fast plain kernel too
    )


def make_scheduler(job: TrainingJob, optimizer: AdamW) -> Any:
    """The learning rate goes up over the warm-up, then down to 0 (linear, cosine), or stays (constant)."""
    from transformers import get_scheduler

    name = "constant_with_warmup" if job.recipe.scheduler == "constant" else job.recipe.scheduler
    return get_scheduler(name, optimizer, num_warmup_steps=job.warmup_steps, num_training_steps=job.total_steps)


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [TorchLoop()]
