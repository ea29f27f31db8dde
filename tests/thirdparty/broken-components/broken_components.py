"""Components that break one promise each: the contract suite must say which. `WRONG` pairs each with the test that fails."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import ConfigDict

from bakeoff.plugin import (
    CLASSIFICATION,
    Accuracy,
    Adaptation,
    Answer,
    BakeoffError,
    Built,
    Encoding,
    Example,
    JobBatch,
    Loss,
    Method,
    Model,
    Needs,
    Optimizer,
    Options,
    OwnModelJob,
    OwnModelTrainer,
    ParameterGroup,
    Paths,
    Prepared,
    Recipe,
    Signal,
    Supports,
    Task,
    TaskInfo,
    TextEncoder,
    TrackedExperiment,
    TrackedRun,
    Tracker,
    Trainer,
    TrainingJob,
    Tree,
    make_optimizer,
    make_scheduler,
    read_json,
    read_regular,
    weight_decay_groups,
)
from bakeoff.testing.contract import place_of
from bakeoff_engines.local import Local

# --- tasks ---------------------------------------------------------------------------------------------------------------

RIGHT_SPLITS = ("train", "dev")


class Greetings(Task):
    """A right one: is a made-up line a greeting?"""

    name = "greetings"
    summary = "Made-up lines: a greeting or not."
    version = "1"
    metric: ClassVar[Any] = Accuracy

    def info(self, options: Any) -> TaskInfo:
        return TaskInfo(
            kind=CLASSIFICATION,
            text_columns=("line",),
            labels=("other", "greeting"),
            n_outputs=2,
            metrics=(self.metric(),),
            primary_metric="accuracy",
            splits=RIGHT_SPLITS,
            labelled_splits=RIGHT_SPLITS,
        )

    def load(self, options: Any, places: Paths) -> dict[str, Any]:
        from datasets import Dataset

        return {name: Dataset.from_list([self.row(name, number) for number in range(8)]) for name in RIGHT_SPLITS}

    def row(self, split: str, number: int) -> dict[str, Any]:
        line = f"hello, number {number} of {split}" if number % 2 else f"number {number} of {split} went home"
        return {"id": f"{split}-{number}", "line": line, "label": number % 2}


class Nameless(Greetings):
    summary = "Two lines\nof summary."


class LooseOptions(Options):
    model_config = ConfigDict(extra="ignore")


class Loose(Greetings):
    Options = LooseOptions


class TupleOptions(Options):
    splits: tuple[str, ...] = RIGHT_SPLITS


class TupleOption(Greetings):
    """A tuple is a list once it has been JSON."""

    Options = TupleOptions


class Unpicklable(Greetings):
    def __init__(self) -> None:
        self.rule = lambda line: "hello" in line


class EarlyImport(Greetings):
    def info(self, options: Any) -> TaskInfo:
        import datasets  # noqa: F401

        return super().info(options)


class WrongExtra(Greetings):
    """It looks for one module and needs another."""

    needs: ClassVar[dict[str, str]] = {"json": "data"}

    def missing_extras(self) -> list[str]:
        return []


class Fickle(Greetings):
    def __init__(self) -> None:
        self.asked = 0

    def info(self, options: Any) -> TaskInfo:
        from dataclasses import replace

        self.asked += 1
        return replace(super().info(options), labels=("other", f"greeting{self.asked}"))


class OnlyTrace(Greetings):
    def check_available(self, options: Any, places: Paths) -> None:
        if places.data is not None:
            raise FileNotFoundError("lines.csv")


class LackingColumn(Greetings):
    def info(self, options: Any) -> TaskInfo:
        from dataclasses import replace

        return replace(super().info(options), slice_columns=("length",))


class TwiceTheId(Greetings):
    def row(self, split: str, number: int) -> dict[str, Any]:
        return {**super().row(split, number), "id": f"row-{number}"}


class Unseeded(Greetings):
    def row(self, split: str, number: int) -> dict[str, Any]:
        return {**super().row(split, number), "line": f"hello {random.random()}"}  # noqa: S311


class OneLabelMore(Greetings):
    def row(self, split: str, number: int) -> dict[str, Any]:
        return {**super().row(split, number), "label": number % 3}

    def majority_baseline(self, info: TaskInfo, train_labels: Any, references: Any) -> dict[str, float]:
        return {"accuracy": 0.5}


class HalfParts(Accuracy):
    def score(self, predictions: Any, references: Any) -> float:
        return super().score(predictions, references) / 2


class OtherParts(Greetings):
    metric = HalfParts


class ErrorRate(Accuracy):
    higher_is_better = False


class Upside(Greetings):
    metric = ErrorRate


class Percent(Accuracy):
    """Declares what it inherits, 0 to 1, and scores up to 100."""

    def ratio_terms(self, predictions: Any, references: Any) -> Any:
        numerator, denominator = super().ratio_terms(predictions, references)
        return 100 * numerator, denominator


class OutOfRange(Greetings):
    metric = Percent


class NoFloor(Greetings):
    def majority_baseline(self, info: TaskInfo, train_labels: Any, references: Any) -> dict[str, float]:
        return {"f1": 0.5}


# --- models --------------------------------------------------------------------------------------------------------------


class Wrapped(Model):
    """A right one: the tiny BERT under another name."""

    name = "wrapped"
    summary = "A tiny BERT."
    version = "1"
    encoder: ClassVar[Any] = TextEncoder

    def prepare(self, task: TaskInfo, options: Any, encoding: Encoding) -> Prepared:
        from bakeoff_tiny_models import TinyBert, TinyOptions

        right = TinyBert().prepare(task, TinyOptions(), encoding)
        return self.encoder(right.tokenizer, task, encoding)  # type: ignore[no-any-return]

    def build(self, task: TaskInfo, options: Any) -> Built:
        from bakeoff_tiny_models import TinyBert, TinyOptions

        return TinyBert().build(task, TinyOptions(dropout=0.0))


class Counting(TextEncoder):
    def encode(self, columns: Any) -> list[Any]:
        return [{**row, "place": place} for place, row in enumerate(super().encode(columns))]


class LooksAtNeighbours(Wrapped):
    encoder = Counting


class Uncut(TextEncoder):
    def __init__(self, tokenizer: Any, task: TaskInfo, encoding: Encoding) -> None:
        super().__init__(tokenizer, task, Encoding(512, encoding.padding) if encoding.padding == "longest" else encoding)


class NeverCuts(Wrapped):
    encoder = Uncut


class Unpadded(TextEncoder):
    def __init__(self, tokenizer: Any, task: TaskInfo, encoding: Encoding) -> None:
        super().__init__(tokenizer, task, Encoding(encoding.max_length, "longest"))


class IgnoresPadding(Wrapped):
    encoder = Unpadded


class Popping(TextEncoder):
    def collate(self, examples: Any) -> dict[str, Any]:
        batch = super().collate(examples)
        for example in examples:
            example.pop("token_type_ids", None)
        return batch


class ChangesExamples(Wrapped):
    encoder = Popping


class Shuffling(TextEncoder):
    def collate(self, examples: Any) -> dict[str, Any]:
        batch = super().collate(examples)
        return {**batch, "labels": batch["labels"].flip(0)} if "labels" in batch else batch


class MixesLabels(Wrapped):
    encoder = Shuffling


class OneLogit(TextEncoder):
    def predict(self, model: Any, batch: Any) -> Any:
        return super().predict(model, batch)[:, :2]

    def collate(self, examples: Any) -> dict[str, Any]:
        batch = super().collate(examples)
        return {**batch, "labels": batch["labels"]} if "labels" in batch else batch


class TooFewLogits(Wrapped):
    """Two logits, whatever the number of labels."""

    encoder = OneLogit


class Unmasked(TextEncoder):
    def predict(self, model: Any, batch: Any) -> Any:
        logits = super().predict(model, batch)
        return logits + batch["input_ids"].shape[1]


class SeesPadding(Wrapped):
    encoder = Unmasked


class OwnSeed(Wrapped):
    def build(self, task: TaskInfo, options: Any) -> Built:
        import torch

        torch.manual_seed(7)
        return super().build(task, options)


class InventsNames(Wrapped):
    def build(self, task: TaskInfo, options: Any) -> Built:
        right = super().build(task, options)
        return Built(right.model, (*right.newly_initialised, "head.weight"))


class ForgetsTheHead(Wrapped):
    """Says that all of it is pretrained."""

    def build(self, task: TaskInfo, options: Any) -> Built:
        return Built(super().build(task, options).model, ())


class ForgetsOne(Wrapped):
    def build(self, task: TaskInfo, options: Any) -> Built:
        right = super().build(task, options)
        return Built(right.model, tuple(name for name in right.newly_initialised if name != "bert.pooler.dense.weight"))


class NamesTheBody(Wrapped):
    """Its body is the same with every seed, as from a checkpoint; it says that all of it is new."""

    def build(self, task: TaskInfo, options: Any) -> Built:
        import torch

        new = super().build(task, options)
        with torch.random.fork_rng():
            torch.manual_seed(7)
            new.model.bert = super().build(task, options).model.bert
        return new


class Detached(TextEncoder):
    def predict(self, model: Any, batch: Any) -> Any:
        return super().predict(model, batch).detach().requires_grad_()


class NoGradient(Wrapped):
    encoder = Detached


class Pickling(TextEncoder):
    def save(self, model: Any, folder: Any, labels: Any) -> None:
        import torch

        torch.save(model.state_dict(), folder / "pytorch_model.bin")


class SavesPickle(Wrapped):
    encoder = Pickling


# --- methods -------------------------------------------------------------------------------------------------------------


class Everything(Method):
    """A right one: every parameter trains."""

    name = "everything"
    summary = "Every parameter trains."
    version = "1"

    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        return Adaptation(built.model, weight_decay_groups(built.model, recipe))


class FrozenHead(Everything):
    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        for name, parameter in built.model.named_parameters():
            parameter.requires_grad_("classifier" not in name)
        return super().adapt(built, options, recipe)


class LeavesOneOut(Everything):
    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        first, *others = super().adapt(built, options, recipe).groups
        return Adaptation(built.model, (ParameterGroup(first.names[1:], 1.0, 0.0), *others))


class NegativeRate(Everything):
    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        first, *others = super().adapt(built, options, recipe).groups
        return Adaptation(built.model, (ParameterGroup(first.names, -1.0, 0.0), *others))


class ByTheClock(Everything):
    """New weights from a generator that nobody seeds."""

    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        with built_head(built) as head:
            head.fill_(random.SystemRandom().random())
        return super().adapt(built, options, recipe)


class SeedsItself(Everything):
    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        import torch

        torch.manual_seed(42)
        return super().adapt(built, options, recipe)


class Beside(Everything):
    """The groups name a copy that the model does not use."""

    def adapt(self, built: Built, options: Any, recipe: Recipe) -> Adaptation:
        model = built.model
        right = model.forward
        model.forward = lambda **inputs: type("Output", (), {"logits": right(**inputs).logits.detach().requires_grad_()})()
        return super().adapt(built, options, recipe)


@contextlib.contextmanager
def built_head(built: Built) -> Any:
    import torch

    with torch.no_grad():
        yield built.model.classifier.bias


# --- trainers ------------------------------------------------------------------------------------------------------------


class Loop(Trainer):
    """A right one: the steps of the manual loop. A wrong one changes one of its parts."""

    name = "loop"
    summary = "The manual loop, once more."
    version = "1"

    def fit(self, job: TrainingJob, options: Any) -> None:
        self.train(job, job.model)

    def train(self, job: TrainingJob, model: Any) -> None:
        optimizer = self.optimizer(job)
        scheduler = make_scheduler(job, optimizer)
        model.train()
        step = 0
        for epoch in itertools.count():
            for batch in self.batches(job, epoch):
                job.begin_step(step)
                losses = [self.backward(job, model, part) for part in job.micro_batches(batch)]
                self.clip(job, model)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                step += 1
                if self.ends(job.end_step(step - 1, sum(losses)), step, job):
                    return
            self.between(job)

    def optimizer(self, job: TrainingJob) -> Any:
        return make_optimizer(job)

    def batches(self, job: TrainingJob, epoch: int) -> Any:
        return job.batches(epoch)

    def backward(self, job: TrainingJob, model: Any, part: Any) -> Any:
        inputs = job.collate([job.examples[row] for row in part.rows])
        labels = inputs.pop("labels")
        loss = job.loss(model(**inputs).logits, labels) * self.weight(part)
        loss.backward()
        return loss.detach()

    def weight(self, part: Any) -> float:
        return float(part.weight)

    def clip(self, job: TrainingJob, model: Any) -> None:
        from torch.nn.utils import clip_grad_norm_

        if job.recipe.max_grad_norm is not None:
            clip_grad_norm_(model.parameters(), job.recipe.max_grad_norm)

    def ends(self, signal: Signal, step: int, job: TrainingJob) -> bool:
        return signal is Signal.STOP or step == job.total_steps

    def between(self, job: TrainingJob) -> None:
        job.end_epoch()


class OneFewer(Loop):
    def ends(self, signal: Signal, step: int, job: TrainingJob) -> bool:
        return signal is Signal.STOP or step == job.total_steps - 1


class NeverEndsEpoch(Loop):
    def between(self, job: TrainingJob) -> None:
        pass


class DoesNotListen(Loop):
    def ends(self, signal: Signal, step: int, job: TrainingJob) -> bool:
        return step == job.total_steps


class Backwards(Loop):
    def batches(self, job: TrainingJob, epoch: int) -> Any:
        return list(job.batches(epoch))[::-1]


class Peeks(Loop):
    """It looks at a text that it was not given."""

    def between(self, job: TrainingJob) -> None:
        import torch

        job.end_epoch()
        state = torch.get_rng_state()
        with torch.no_grad():
            ids = torch.full((1, 5), 7)
            job.model(input_ids=ids, attention_mask=torch.ones_like(ids))
        torch.set_rng_state(state)


class Swallows(Loop):
    def fit(self, job: TrainingJob, options: Any) -> None:
        with contextlib.suppress(Exception):
            super().fit(job, options)


class TrainsACopy(Loop):
    def fit(self, job: TrainingJob, options: Any) -> None:
        kept = copy.deepcopy(job.model.state_dict())
        super().fit(job, options)
        job.model.load_state_dict(kept)


class Thaws(Loop):
    """It trains what the method has frozen."""

    def fit(self, job: TrainingJob, options: Any) -> None:
        super().fit(job, options)
        import torch

        with torch.no_grad():
            for parameter in job.model.parameters():
                if not parameter.requires_grad:
                    parameter.mul_(0.5)


class Remembers(Loop):
    """State that is kept from run to run."""

    def __init__(self) -> None:
        self.runs = 0

    def fit(self, job: TrainingJob, options: Any) -> None:
        import torch

        super().fit(job, options)
        self.runs += 1
        with torch.no_grad():
            job.model.classifier.bias.add_(self.runs)


class FixedSeed(Loop):
    """Dropout of its own seed."""

    def backward(self, job: TrainingJob, model: Any, part: Any) -> Any:
        import torch

        torch.manual_seed(42)
        return super().backward(job, model, part)


class Unweighted(Loop):
    def weight(self, part: Any) -> float:
        return 1.0


class NoClipping(Loop):
    def clip(self, job: TrainingJob, model: Any) -> None:
        pass


class OneRate(Loop):
    """It passes over the rates of the groups."""

    def optimizer(self, job: TrainingJob) -> Any:
        groups = [{**group, "lr": job.recipe.learning_rate} for group in job.parameter_groups()]
        return make_optimizer(job, groups)


class ClaimsToResume(Loop):
    """It says that it can, and begins at step 0."""

    supports = Supports(resume=True)


# --- trainers that own their model ----------------------------------------------------------------------------------------


class Guesses(OwnModelTrainer):
    """A right one: a label for each row, by the checksum of its texts and the seed."""

    name = "guesses"
    summary = "A label for each row, by the checksum of its texts."
    version = "1"
    supports = Supports(recipe_keys=frozenset({"train_examples"}))

    def fit_own(self, job: OwnModelJob, options: Any) -> Any:
        return job.seed

    def predict_own(self, model: Any, examples: Sequence[Example], job: OwnModelJob, options: Any) -> list[Answer]:
        return [Answer(one.id, self.guess(model, one, number, job.labels)) for number, one in enumerate(examples)]

    def guess(self, model: Any, example: Example, number: int, labels: Sequence[str]) -> str:
        return labels[zlib.crc32(repr((model, example.texts)).encode()) % len(labels)]


class LeavesRowsOut(Guesses):
    def predict_own(self, model: Any, examples: Sequence[Example], job: OwnModelJob, options: Any) -> list[Answer]:
        return super().predict_own(model, examples, job, options)[1:]


class OwnModelRemembers(Guesses):
    """State that is kept from run to run."""

    def __init__(self) -> None:
        self.runs = 0

    def fit_own(self, job: OwnModelJob, options: Any) -> Any:
        self.runs += 1
        return self.runs


class DeniesTheSeed(Guesses):
    def depends_on_seed(self, recipe: Recipe, options: Any) -> bool:
        return False


class ByPlace(Guesses):
    """It looks at the place of a row among those that it is asked with."""

    def guess(self, model: Any, example: Example, number: int, labels: Sequence[str]) -> str:
        return labels[number // 5 % len(labels)]


class NeedsDev(Guesses):
    def fit_own(self, job: OwnModelJob, options: Any) -> Any:
        return sum(example.label == job.labels[0] for example in job.dev())


class NeedsTwoLabels(Guesses):
    def fit_own(self, job: OwnModelJob, options: Any) -> Any:
        first = {example.label: example.texts for example in job.train}
        return repr([first[label] for label in job.labels])


# --- losses --------------------------------------------------------------------------------------------------------------


class Entropy(Loss):
    """Keeps every promise."""

    name, summary, version = "entropy", "Cross-entropy.", "1"

    def losses(self, logits: Any, targets: Any, options: Any) -> Any:
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits, targets, reduction="none")


class MeanAtOnce(Entropy):
    def losses(self, logits: Any, targets: Any, options: Any) -> Any:
        return super().losses(logits, targets, options).mean()


class ByTheBatch(Entropy):
    def losses(self, logits: Any, targets: Any, options: Any) -> Any:
        found = super().losses(logits, targets, options)
        return found + found.detach().mean()


class Uphill(Entropy):
    def losses(self, logits: Any, targets: Any, options: Any) -> Any:
        found = super().losses(logits, targets, options)
        return 2 * found.detach() - found


class Detached(Entropy):
    def losses(self, logits: Any, targets: Any, options: Any) -> Any:
        return super().losses(logits, targets, options).detach()


class Noisy(Entropy):
    def losses(self, logits: Any, targets: Any, options: Any) -> Any:
        import torch

        found = super().losses(logits, targets, options)
        return found + 1e-9 * torch.rand(len(found))


# --- optimizers ----------------------------------------------------------------------------------------------------------


class Momentum(Optimizer):
    """Keeps every promise."""

    name, summary, version = "momentum", "SGD with momentum.", "1"

    def make(self, groups: list[dict[str, Any]], recipe: Any, options: Any) -> Any:
        from torch.optim import SGD

        return SGD(groups, lr=recipe.learning_rate, momentum=0.9)


class OwnRate(Momentum):
    def make(self, groups: list[dict[str, Any]], recipe: Any, options: Any) -> Any:
        from torch.optim import SGD

        class Fixed(SGD):
            def step(self, closure: Any = None) -> Any:
                for group in self.param_groups:
                    group["lr"] = max(group["lr"], 1e-3)
                return super().step(closure)

        return Fixed(groups, lr=recipe.learning_rate, momentum=0.9)


class NoDecay(Momentum):
    def make(self, groups: list[dict[str, Any]], recipe: Any, options: Any) -> Any:
        return super().make([{**group, "weight_decay": 0.0} for group in groups], recipe, options)


class ByTheTensor(Momentum):
    def make(self, groups: list[dict[str, Any]], recipe: Any, options: Any) -> Any:
        from torch.optim import SGD

        class Normed(SGD):
            def step(self, closure: Any = None) -> Any:
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter.grad = parameter.grad / parameter.grad.norm()
                return super().step(closure)

        return Normed(groups, lr=recipe.learning_rate)


class Forgetful(Momentum):
    def make(self, groups: list[dict[str, Any]], recipe: Any, options: Any) -> Any:
        from torch.optim import SGD

        class Counting(SGD):
            steps = 0

            def step(self, closure: Any = None) -> Any:
                self.steps += 1
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter.grad = parameter.grad / self.steps
                return super().step(closure)

        return Counting(groups, lr=recipe.learning_rate)


RIGHT = (Greetings(), Wrapped(), Everything(), Loop(), Guesses(), Entropy(), Momentum())

# --- engines -------------------------------------------------------------------------------------------------------------


class RightEngine(Local):
    """The engine `local` by another name."""

    name = "background"


class NeverRefuses(RightEngine):
    def check(self, needs: Needs, options: Any) -> None:
        pass


class OwnDirectory(RightEngine):
    def submit(self, batch: JobBatch, options: Any) -> Iterator[Mapping[int, str]]:
        return super().submit(replace(batch, directory=batch.folder), options)


class ComplainsOfTheGone(RightEngine):
    def cancel(self, handles: Sequence[str], options: Any) -> None:
        if any(one.state == "gone" for one in self.status(handles, options).values()):
            raise BakeoffError(f"{place_of(self)}: this job is gone")
        super().cancel(handles, options)


# --- trackers ------------------------------------------------------------------------------------------------------------


class RightTracker(Tracker):
    """Writes a JSON file for each run."""

    name = "notes"
    summary = "A JSON file for each run."
    version = "1"

    def check(self, experiment: TrackedExperiment, options: Any) -> None:
        experiment.made_folder()

    def written(self, experiment: TrackedExperiment, options: Any) -> dict[str, str]:
        found = [read_json(read_regular(path)) for path in experiment.folder.glob("*.json")]
        return {run["key"]: run["digest"] for run in found if run["experiment"] == experiment.name}

    def write(self, run: TrackedRun, experiment: TrackedExperiment, options: Any) -> None:
        series = {name: [*map(str, one.values)] for name, one in run.series.items()}
        self.note(run, experiment, self.file_of(run, experiment), series)

    def file_of(self, run: TrackedRun, experiment: TrackedExperiment) -> str:
        return sha256(f"{experiment.name}|{run.key}".encode()).hexdigest()

    def note(self, run: TrackedRun, experiment: TrackedExperiment, name: str, series: Any) -> None:
        folder, found = experiment.made_folder(), {"key": run.key, "digest": run.digest, "experiment": experiment.name}
        Tree(folder).write(folder / f"{name}.json", json.dumps({**found, "series": series}).encode())


class HalfIsWhole(RightTracker):
    def write(self, run: TrackedRun, experiment: TrackedExperiment, options: Any) -> None:
        self.note(run, experiment, self.file_of(run, experiment), {})
        super().write(run, experiment, options)


class KeepsTheFirst(RightTracker):
    def write(self, run: TrackedRun, experiment: TrackedExperiment, options: Any) -> None:
        if run.key not in self.written(experiment, options):
            super().write(run, experiment, options)


class OneForAll(RightTracker):
    def file_of(self, run: TrackedRun, experiment: TrackedExperiment) -> str:
        return run.key


class ByItsName(RightTracker):
    def file_of(self, run: TrackedRun, experiment: TrackedExperiment) -> str:
        return f"{len(experiment.name)}-{run.name}"


class RefusesLate(RightTracker):
    def check(self, experiment: TrackedExperiment, options: Any) -> None:
        pass


WRONG = (
    (Nameless(), "test_name_summary_and_version_are_lines_of_text"),
    (Loose(), "test_options_are_strict"),
    (TupleOption(), "test_options_come_back_from_a_record"),
    (Unpicklable(), "test_it_can_be_pickled"),
    (EarlyImport(), "test_it_is_listed_without_loading_torch"),
    (WrongExtra(), "test_a_missing_extra_is_told"),
    (Fickle(), "test_info_is_the_same_each_time"),
    (OnlyTrace(), "test_missing_data_is_a_sentence"),
    (LackingColumn(), "test_every_promised_split_and_column_is_there"),
    (TwiceTheId(), "test_ids_are_text_and_unique_over_all_splits"),
    (Unseeded(), "test_the_rows_are_the_same_in_another_process"),
    (OneLabelMore(), "test_labels_are_those_that_it_declares"),
    (OtherParts(), "test_metrics_agree_with_their_parts"),
    (Upside(), "test_right_answers_score_best"),
    (OutOfRange(), "test_scores_stay_within_the_range_that_their_metric_declares"),
    (NoFloor(), "test_the_majority_baseline_has_every_metric"),
    (LooksAtNeighbours(), "test_encoding_a_text_does_not_depend_on_its_neighbours"),
    (NeverCuts(), "test_long_texts_are_cut_at_max_length"),
    (IgnoresPadding(), "test_padding_to_max_length_gives_that_width"),
    (ChangesExamples(), "test_collate_is_pure"),
    (MixesLabels(), "test_collate_passes_labels_on_in_order"),
    (TooFewLogits(), "test_there_is_one_logit_for_each_label"),
    (SeesPadding(), "test_a_prediction_does_not_depend_on_the_batch"),
    (OwnSeed(), "test_a_seed_reproduces_and_another_changes"),
    (InventsNames(), "test_new_parameters_exist"),
    (ForgetsTheHead(), "test_new_parameters_are_named"),
    (ForgetsOne(), "test_new_parameters_are_named"),
    (NamesTheBody(), "test_new_parameters_are_named"),
    (NoGradient(), "test_the_head_can_learn"),
    (SavesPickle(), "test_a_saved_model_holds_no_pickle"),
    (FrozenHead(), "test_the_head_always_trains"),
    (LeavesOneOut(), "test_groups_name_exactly_what_trains"),
    (NegativeRate(), "test_scales_and_weight_decays_are_numbers_that_an_optimizer_takes"),
    (ByTheClock(), "test_a_seed_reproduces"),
    (SeedsItself(), "test_the_seed_stays_the_harness_s"),
    (Beside(), "test_the_model_still_predicts_and_learns"),
    (OneFewer(), "test_it_takes_exactly_the_steps_of_the_job"),
    (NeverEndsEpoch(), "test_it_says_when_an_epoch_ends"),
    (DoesNotListen(), "test_it_stops_when_told"),
    (Backwards(), "test_it_trains_on_the_job_s_batches_in_their_order"),
    (Peeks(), "test_it_sees_no_text_but_the_training_split_s"),
    (Swallows(), "test_it_lets_errors_through"),
    (TrainsACopy(), "test_it_trains_the_job_s_model_in_place"),
    (Thaws(), "test_it_trains_only_what_the_method_trains"),
    (Remembers(), "test_a_seed_reproduces_and_another_changes"),
    (FixedSeed(), "test_dropout_follows_the_job_s_random_streams"),
    (Unweighted(), "test_micro_batches_add_up_to_the_batch"),
    (NoClipping(), "test_it_follows_the_recipe_keys_that_it_claims"),
    (OneRate(), "test_it_uses_the_learning_rates_of_the_groups"),
    (ClaimsToResume(), "test_it_goes_on_from_a_checkpoint"),
    (LeavesRowsOut(), "test_it_answers_every_row_as_its_kind_of_task_asks"),
    (OwnModelRemembers(), "test_the_same_job_gives_the_same_answers"),
    (DeniesTheSeed(), "test_it_depends_on_the_seed_only_if_it_says_so"),
    (ByPlace(), "test_an_answer_depends_on_its_own_row_alone"),
    (NeedsDev(), "test_it_trains_without_a_labelled_dev"),
    (MeanAtOnce(), "test_it_gives_one_number_for_each_row"),
    (ByTheBatch(), "test_the_loss_of_a_row_is_its_own"),
    (Uphill(), "test_it_can_be_learnt_from"),
    (Detached(), "test_it_can_be_learnt_from"),
    (Noisy(), "test_it_uses_no_random_number"),
    (OwnRate(), "test_a_step_goes_against_the_gradient_and_a_rate_of_zero_changes_nothing"),
    (NoDecay(), "test_it_follows_learning_rate_and_weight_decay_of_each_group"),
    (ByTheTensor(), "test_elementwise_is_elementwise"),
    (Forgetful(), "test_it_goes_on_from_its_state"),
    (HalfIsWhole(), "test_a_run_that_was_cut_short_is_not_there_and_is_written_by_the_next_call"),
    (KeepsTheFirst(), "test_a_run_that_is_written_again_replaces_the_earlier_one"),
    (OneForAll(), "test_experiments_are_apart"),
    (ByItsName(), "test_any_names_and_numbers_are_taken"),
    (RefusesLate(), "test_a_place_that_cannot_be_written_to_is_refused"),
    (NeedsTwoLabels(), "test_it_trains_where_all_rows_have_one_label"),
    (NeverRefuses(), "test_it_answers_soon_what_it_cannot_give"),
    (OwnDirectory(), "test_it_performs_all_jobs_and_then_goes_on"),
    (ComplainsOfTheGone(), "test_a_cancelled_job_ends_and_a_waiting_one_never_begins"),
)
