"""The subclass of `transformers.Trainer` that takes data, loss and step boundaries from a job. Imports torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bakeoff.plugin import Batch, Signal, TrainingJob, scheduler_name, scheduler_settings, skip_bias_correction


def training_arguments(job: TrainingJob, folder: str) -> TrainingArguments:
    """The recipe in the Trainer's words. It neither logs, saves nor evaluates: the harness does."""
    recipe = job.recipe
    micro_batch_size = recipe.micro_batch_size or recipe.batch_size
    return TrainingArguments(
        output_dir=folder,
        max_steps=job.total_steps - job.first_step,
        per_device_train_batch_size=micro_batch_size,
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
        lr_scheduler_kwargs=scheduler_settings(recipe.scheduler, recipe.power),
        warmup_steps=job.warmup_steps,
        use_cpu=job.device.type == "cpu",
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it would replace a diverged loss by an average
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=job.device.type == "cuda",
        average_tokens_across_devices=False,  # it would multiply the loss by the number of processes
        ddp_find_unused_parameters=True,
    )


class JobTrainer(Trainer):
    """Where batches come from, what the loss is, what the optimizer's groups are, and where a run goes on."""

    def __init__(self, job: TrainingJob, arguments: TrainingArguments) -> None:
        self.job = job
        self.batches = EpochBatches(job)
        self.step_loss: Any = 0
        super().__init__(
            model=job.model,
            args=arguments,
            train_dataset=job.examples,
            data_collator=job.collate,
            compute_loss_func=self.weighted_loss,
            callbacks=[Steps(self)],
        )
        self.remove_callback(PrinterCallback)

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
            recipe = self.job.recipe
            kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            if recipe.optimizer == "sgd":
                settings["fused"] = recipe.fused or None  # it has a name for the fused AdamW only
            self.optimizer = kind(self.job.parameter_groups(), **settings)
            if not recipe.bias_correction:
                skip_bias_correction(self.optimizer)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        scheduler = super().create_scheduler(self.job.total_steps, optimizer)  # of all steps, those done before included
        self.job.resume(self.optimizer, scheduler)
        return scheduler

    def _run_epoch(self, **given: Any) -> Any:
        """The epoch that a run goes on in is shorter than the others; the Trainer counts on equal ones."""
        epoch = self.batches.epoch
        left = len(self.job.batches(epoch))
        return super()._run_epoch(**given | {"steps_in_epoch": self.batches.count(epoch), "num_update_steps_per_epoch": left})

    def compute_loss_context_manager(self) -> Any:
        # bf16=True comes to the same bits, but leaves its autocast on the model: the harness would evaluate in it.
        return self.job.autocast()

    def weighted_loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any) -> torch.Tensor:
        """A micro-batch's part of the mean over the whole batch: the Trainer neither scales nor divides what comes from here.

        Its own loss would be wrong: it adds up a BERT's mean losses over the micro-batches (transformers 5.23, issue 47688).
        """
        loss = self.job.loss(outputs.logits, labels) * self.batches.weights.popleft()
        self.step_loss = self.step_loss + loss.detach()
        return loss * self.job.world_size  # several processes average their gradients; they are to be added


class EpochBatches:
    """A batch sampler that gives the job's micro-batches, one epoch after the other.

    All batches but an epoch's last have `gradient_accumulation_steps` of them, and after the last the Trainer ends its group.
    """

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.epoch = job.first_epoch
        self.length = self.count(job.first_epoch + 1)  # a whole one's
        self.weights: deque[float] = deque()
        """Of the micro-batches that were given out and not trained on yet: accelerate fetches ahead."""

    def count(self, epoch: int) -> int:
        return sum(len(self.job.micro_batches(batch)) for batch in self.job.batches(epoch))

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        epoch, self.epoch = self.epoch, self.epoch + 1  # at once: the Trainer need not exhaust a plain loader
        for batch in self.job.batches(epoch):
            for part in self.job.micro_batches(batch):
                self.weights.append(part.weight)
                yield part.rows


class Steps(TrainerCallback):  # type: ignore[misc]  # transformers' classes are untyped here
    """Tells the job of steps and epochs, and the Trainer when to stop."""

    def __init__(self, trainer: JobTrainer) -> None:
        self.trainer = trainer

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.trainer.job.begin_step(self.trainer.job.first_step + state.global_step)
        self.trainer.step_loss = 0

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        signal = self.trainer.job.end_step(self.trainer.job.first_step + state.global_step - 1, self.trainer.step_loss)
        control.should_training_stop |= signal is Signal.STOP

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_training_stop |= self.trainer.job.end_epoch() is Signal.STOP
