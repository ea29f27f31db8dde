"""The subclass of `transformers.Trainer` that takes data, loss and step boundaries from a job. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bakeoff.plugin import Batch, Signal, TrainingJob

SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def training_arguments(job: TrainingJob, folder: str) -> TrainingArguments:
    """The recipe in the Trainer's words. It neither logs, saves nor evaluates: the harness does."""
    recipe = job.recipe
    return TrainingArguments(
        output_dir=folder,
        max_steps=job.total_steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        optim="adamw_torch_fused" if recipe.fused else "adamw_torch",
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        adam_epsilon=recipe.eps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm or 0.0,  # 0 is its word for no clipping
        lr_scheduler_type=SCHEDULERS[recipe.scheduler],
        warmup_steps=job.warmup_steps,
        use_cpu=job.device.type == "cpu",
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it would replace a diverged loss by an average
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=job.device.type == "cuda",
    )


class JobTrainer(Trainer):
    """Public overrides only: where batches come from, what the loss is, what the optimizer's groups are."""

    def __init__(self, job: TrainingJob, arguments: TrainingArguments) -> None:
        self.job = job
        self.step_loss: torch.Tensor | None = None
        super().__init__(
            model=job.model,
            args=arguments,
            train_dataset=job.examples,
            data_collator=job.collate,
            compute_loss_func=lambda outputs, labels, num_items_in_batch: job.loss(outputs.logits, labels),
            callbacks=[StepEnds(self)],
        )
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> Any:
        # accelerate replaces a RandomSampler by its own; a batch_sampler it leaves alone.
        loader = DataLoader(
            self.job.examples,
            batch_sampler=EpochBatches(self.job),
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = kind(self.job.parameter_groups(), **settings)
        return self.optimizer

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.job.begin_step(self.state.global_step)
        self.step_loss = super().training_step(*args, **kwargs)
        return self.step_loss


class EpochBatches:
    """A batch sampler that gives the job's batches, one epoch after the other."""

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.job.batches(0))

    def __iter__(self) -> Iterator[Batch]:
        yield from self.job.batches(self.epoch)
        self.epoch += 1


class StepEnds(TrainerCallback):  # type: ignore[misc]  # transformers' classes are untyped here
    """Tells the job of ended steps and epochs, and the Trainer when to stop."""

    def __init__(self, trainer: JobTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        signal = self.trainer.job.end_step(state.global_step - 1, self.trainer.step_loss)
        control.should_training_stop |= signal is Signal.STOP

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_training_stop |= self.trainer.job.end_epoch() is Signal.STOP
