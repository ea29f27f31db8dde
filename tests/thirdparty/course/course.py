"""What the benchmarks hold our loops against: the manual loop of the Hugging Face course as a trainer, and an encoder of 12
layers with random weights."""

from __future__ import annotations

from typing import Any

from bakeoff.plugin import Built, Encoding, Model, Options, Signal, TaskInfo, TextEncoder, Trainer, hookimpl
from bakeoff_minilm import MiniLM


class CourseLoop(Trainer):
    """Chapter 3 of the course, its parts and defaults: AdamW not fused, the model's own loss, a plain loader, no clipping."""

    name = "course-loop"
    summary = "The manual loop of the Hugging Face course, as written."
    version = "1"
    owns = frozenset({"order", "loss"})

    def fit(self, job: Any, options: Options) -> None:
        """Takes the tokenizer from the harness's own job, which no trainer but this one has to know."""
        from torch.optim import AdamW
        from torch.utils.data import DataLoader
        from transformers import DataCollatorWithPadding, get_scheduler

        model = job.model
        dataset = [{name: value for name, value in row.items() if name != "row"} for row in job.examples]
        collate = DataCollatorWithPadding(job.prepared.tokenizer)
        optimizer = AdamW(model.parameters(), lr=job.recipe.learning_rate)
        scheduler = get_scheduler("linear", optimizer=optimizer, num_warmup_steps=0, num_training_steps=job.total_steps)
        model.train()
        step, epoch = 0, 0
        while step < job.total_steps:
            for batch in DataLoader(dataset, batch_sampler=job.batches(epoch), collate_fn=collate):
                job.begin_step(step)
                outputs = model(**{name: tensor.to(job.device) for name, tensor in batch.items()})
                outputs.loss.backward()
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                if job.end_step(step, outputs.loss.detach()) is Signal.STOP or step + 1 == job.total_steps:
                    return
                step += 1
            job.end_epoch()
            epoch += 1


class Base(Model):
    """The shape of BERT base: 12 layers, hidden size 768; weights are random, the tokenizer is MiniLM's."""

    name = "base"
    summary = "An untrained encoder of 12 layers of 768."
    version = "1"

    def prepare(self, task: TaskInfo, options: Options, encoding: Encoding) -> TextEncoder:
        return MiniLM().prepare(task, options, encoding)

    def build(self, task: TaskInfo, options: Options) -> Built:
        from transformers import BertConfig, BertForSequenceClassification

        model = BertForSequenceClassification(BertConfig(num_labels=task.n_outputs))
        return Built(model, tuple(sorted(name for name, _ in model.named_parameters())))


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [CourseLoop()]


@hookimpl
def bakeoff_models() -> list[Model]:
    return [Base()]
