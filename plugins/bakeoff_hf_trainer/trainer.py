"""Two subclasses of `transformers.Trainer`: one with the job's exact loss, one as transformers ships it. Imports torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bakeoff.plugin import Batch, Signal, TrainingJob, scheduler_name, scheduler_settings, skip_bias_correction


def training_arguments(job: TrainingJob, folder: str, **more: Any) -> TrainingArguments:
    """The recipe as the Trainer's arguments. The Trainer does not log, save or evaluate: the harness does."""
    recipe = job.recipe
    micro_batch_size = recipe.micro_batch_size or recipe.batch_size
    return TrainingArguments(
        output_dir=folder,
        max_steps=job.total_steps - job.first_step,
        gradient_accumulation_steps=recipe.batch_size // micro_batch_size,
        learning_rate=recipe.learning_rate,
        optim="sgd" if recipe.optimizer == "sgd" else "adamw_torch_fused" if recipe.fused else "adamw_torch",
        optim_args=f"momentum={recipe.momentum!r}" if recipe.optimizer == "sgd" else None,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        adam_epsilon=recipe.eps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm or 0.0,  # 0 is its word for no clipping
        lr_scheduler_type=scheduler_name(recipe.scheduler),
        lr_scheduler_kwargs=scheduler_settings(recipe, job.total_steps),
        warmup_steps=job.warmup_steps,
        use_cpu=job.device.type == "cpu",
        fp16=recipe.precision == "fp16",
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it would replace a diverged loss by an average
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=job.device.type == "cuda",
        **more,
    )


class JobTrainer(Trainer):
    """The base of both Trainers: takes examples from the job, reports steps and epochs to it, and can resume a run."""

    def __init__(self, job: TrainingJob, arguments: TrainingArguments, **more: Any) -> None:
        self.job = job
        self.epoch = job.first_epoch
        """The epoch that the data loader yields next."""
        self.step_loss: Any = 0
        super().__init__(
            model=job.model,
            args=arguments,
            train_dataset=job.examples,
            data_collator=job.collate,
            callbacks=[Steps(self)],
            **more,
        )
        if job.recipe.precision == "fp16":
            self.accelerator.scaler = job.scaler  # whose state a checkpoint keeps
        self.remove_callback(PrinterCallback)

    def next_epoch(self) -> int:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return epoch

    def passes(self, epoch: int) -> int:
        """Number of forward passes of this process in an epoch."""
        return sum(len(self.job.micro_batches(batch)) for batch in self.job.batches(epoch))

    def optimizer_of_the_job(self) -> torch.optim.Optimizer:
        """The kind of optimizer that the Trainer would make, with the parameter groups of the method."""
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        if self.job.recipe.optimizer == "sgd":
            settings["fused"] = self.job.recipe.fused or None  # it has a name for the fused AdamW only
        return kind(self.job.parameter_groups(), **settings)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        scheduler = super().create_scheduler(self.job.total_steps, optimizer)  # of all steps, those done before included
        self.job.resume(self.optimizer, scheduler)
        return scheduler

    def _run_epoch(self, **given: Any) -> Any:
        """Runs an epoch. The epoch in which a run resumes is shorter than the others, whereas the Trainer assumes equal
        epochs."""
        if self.job.first_step and self.epoch == self.job.first_epoch:
            left = len(self.job.batches(self.epoch))
            given |= {"steps_in_epoch": self.passes(self.epoch), "num_update_steps_per_epoch": left}
        return super()._run_epoch(**given)

    def compute_loss_context_manager(self) -> Any:
        # bf16=True comes to the same bits, but leaves its autocast on the model: the harness would evaluate in it. With fp16,
        # whose loss accelerate scales, `Steps.on_train_begin` takes it off.
        return self.job.autocast()


class ExactTrainer(JobTrainer):
    """A Trainer that uses the job's batches, and the exact mean loss over each whole batch."""

    def __init__(self, job: TrainingJob, folder: str) -> None:
        self.batches = EpochBatches(job, self)
        super().__init__(
            job,
            training_arguments(
                job,
                folder,
                per_device_train_batch_size=job.recipe.micro_batch_size or job.recipe.batch_size,
                average_tokens_across_devices=False,  # it would multiply the loss by the number of processes
                ddp_find_unused_parameters=True,
            ),
            compute_loss_func=self.weighted_loss,
        )

    def get_train_dataloader(self) -> Any:
        # accelerate replaces a RandomSampler by its own; a batch_sampler it leaves alone.
        loader = DataLoader(
            self.job.examples,
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # Over several processes accelerate would deal out again what the job has dealt out already.
        return loader if self.job.world_size > 1 else self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = self.job.plugin_optimizer(self.job.parameter_groups()) or self.optimizer_of_the_job()
            if not self.job.recipe.bias_correction:
                skip_bias_correction(self.optimizer)
        return self.optimizer

    def weighted_loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any) -> torch.Tensor:
        """A micro-batch's part of the mean loss over the whole batch; the Trainer uses it unscaled.

        The Trainer's own loss would be wrong: it sums a BERT's mean losses over the micro-batches (transformers 5.23, issue
        47688).
        """
        loss = self.job.loss(outputs.logits, labels) * self.batches.weights.popleft()
        self.step_loss = self.step_loss + loss.detach()
        return loss * self.job.world_size  # several processes average their gradients; they are to be added


class ShippedTrainer(JobTrainer):
    """The Trainer as a user would call it: the job decides the order of rows and when to stop; batches, loss and optimizer are
    the Trainer's."""

    def __init__(self, job: TrainingJob, folder: str) -> None:
        recipe = job.recipe
        size = (recipe.micro_batch_size or recipe.batch_size) // job.world_size
        smoothing = recipe.label_smoothing
        own = {"label_smoothing_factor": smoothing, "remove_unused_columns": False}  # the job's collate has removed them
        super().__init__(job, training_arguments(job, folder, per_device_train_batch_size=size, **own))

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return EpochRows(self.job, self)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Makes the Trainer's own optimizer; if the method has several learning rates, one with the method's parameter groups,
        as users make it."""
        if self.optimizer is None and len({group["lr"] for group in self.job.parameter_groups()}) > 1:
            self.optimizer = self.optimizer_of_the_job()
        return super().create_optimizer(model)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.step_loss = self.step_loss + loss / self.job.world_size  # it would log the mean over the processes
        return loss


class EpochBatches:
    """A batch sampler that yields the job's micro-batches, one epoch after the other.

    Each batch has `gradient_accumulation_steps` micro-batches; the last batch of an epoch may have fewer, since the Trainer
    takes a step at an epoch's end anyway.
    """

    def __init__(self, job: TrainingJob, trainer: JobTrainer) -> None:
        self.job, self.trainer = job, trainer
        self.weights: deque[float] = deque()
        """Weights of micro-batches that were yielded but not trained on yet, because accelerate fetches ahead."""

    def __len__(self) -> int:
        return self.trainer.passes(self.job.first_epoch + 1)  # a whole one's

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.trainer.next_epoch()  # at once: the Trainer need not exhaust a plain loader
        for batch in self.job.batches(epoch):
            for part in self.job.micro_batches(batch):
                self.weights.append(part.weight)
                yield part.rows


class EpochRows(Sampler[int]):
    """A sampler that yields the rows of the job's batches, in their order, one epoch after the other."""

    def __init__(self, job: TrainingJob, trainer: JobTrainer) -> None:
        self.job, self.trainer = job, trainer

    def __len__(self) -> int:
        return len(self.job.examples)

    def __iter__(self) -> Iterator[int]:
        epoch = self.trainer.next_epoch()
        for batch in self.job.batches(epoch):
            yield from batch


class Steps(TrainerCallback):  # type: ignore[misc]  # transformers' classes are untyped here
    """Reports steps and epochs to the job, and stops the Trainer when the job says so."""

    def __init__(self, trainer: JobTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if args.fp16:
            self.trainer.accelerator.unwrap_model(self.trainer.model, keep_fp32_wrapper=False)

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.trainer.job.begin_step(self.trainer.job.first_step + state.global_step)
        self.trainer.step_loss = 0

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        signal = self.trainer.job.end_step(self.trainer.job.first_step + state.global_step - 1, self.trainer.step_loss)
        control.should_training_stop |= signal is Signal.STOP

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_training_stop |= self.trainer.job.end_epoch() is Signal.STOP
