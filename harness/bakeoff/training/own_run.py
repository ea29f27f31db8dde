"""The main line of a run whose trainer owns its model. Read `train_and_answer` from top to bottom.

It is `worker.fine_tune` without steps: the trainer gets rows as texts, and its answers are checked, scored and written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.returned import required
from bakeoff.files import Tree, temporary_folder
from bakeoff.machine import hardware, random_streams
from bakeoff.machine.file_hashes import digest_of
from bakeoff.machine.memory_energy import memory_peaks
from bakeoff.machine.tree_memory import TreeMemory
from bakeoff.records.provenance import as_plain, facts_of_data, facts_of_environment, facts_of_model
from bakeoff.records.schema import PREDICTIONS_FILE, REPORTED_STEPS_FILE, Predicted
from bakeoff.training.answers import Answered, read_answers
from bakeoff.training.assembly import Findings, assemble_for_own_model
from bakeoff.training.clock import Clock
from bakeoff.training.data import LoadedTask
from bakeoff.training.evaluation import score
from bakeoff.training.input_length import with_length
from bakeoff.training.own_job import SEEDS, OwnJob
from bakeoff.training.record_writer import environment_of, write_predictions, write_reported_steps
from bakeoff.training.request import Request

WHY_NOT_KEPT: Final = "its trainer owns the model, and nothing else can save or load it"


def train_and_answer(
    request: Request, parts: Mapping[str, Configured], folder: Path, clock: Clock, found: Findings, report: Callable[..., None]
) -> None:
    """Performs a run and writes its predictions into `folder`. found: receives what becomes known of the run, for its record.
    clock: attributes the time to phases. report: receives the progress."""
    clock.synchronize = lambda: hardware.synchronize(found.device)

    def begin(phase: str) -> None:
        clock.enter(phase)
        report(phase, 0, 0, None)

    with own_job(request, parts, found, begin) as job:
        task = job.start.task
        trainer, options = job.start.trainer, job.start.options["trainer"]
        found.claims = claimed(request, trainer.claims(options))
        model = trained_by(job, found, begin)
        answered = answers_of(job, model, begin)
        found.used_dev, found.predicted = job.used_dev, predicted_by(answered)
        found.evaluated = sum(len(one.logits) for one in answered.values())
        silent = found.data.silent if found.data else {}
        logits = {name: one.logits for name, one in answered.items()}
        found.scores = {
            name: score(task.info, logits[name], task.splits[name]["label"], silent.get(name, ()))
            for name in task.info.scored_splits
        }

        begin("save")
        found.memory = found.memory or memory_peaks(found.device)
        encoded = job.frozen.encoded if job.frozen else {name: [{}] * len(rows) for name, rows in logits.items()}
        write_predictions(folder / PREDICTIONS_FILE, logits, task.splits, encoded, task.info.slice_columns, task.info.kind)
        write_reported_steps(folder / REPORTED_STEPS_FILE, trainer.reported_steps(model))


def claimed(request: Request, keys: Iterable[str] | None) -> dict[str, Any] | None:
    """Recipe key -> its value in this run's recipe, of the `keys` that its trainer is said to follow (`Trainer.claims`); None
    if `keys` is."""
    if keys is None:
        return None
    recipe = request.recipe.model_dump(mode="json")
    return {key: recipe[key] for key in keys if key in recipe}


def trained_by(job: OwnJob, found: Findings, begin: Callable[[str], None] = lambda phase: None) -> Any:
    """Lets the trainer make its model, and returns it. Before, the global random generators are seeded, for libraries that draw
    from them. If the trainer starts commands, their peak memory is taken as the run's."""
    trainer, options = job.start.trainer, job.start.options["trainer"]
    begin("train")
    random_streams.restart_random(job.seed)
    if not trainer.runs_commands:
        return trainer.fit_own(job, options)
    with TreeMemory() as memory:
        model = trainer.fit_own(job, options)
    found.memory = None if memory.peak_bytes is None else (memory.peak_bytes, None)
    return model


def answers_of(job: OwnJob, model: Any, begin: Callable[[str], None] = lambda phase: None) -> dict[str, Answered]:
    """Lets the trainer answer each predicted split. Returns split -> its checked answers."""
    trainer, options = job.start.trainer, job.start.options["trainer"]
    begin("evaluate")
    return {
        split: checked(job, split, trainer.predict_own(model, examples, job, options)) for split, examples in job.splits.items()
    }


# --- its details, in their order -----------------------------------------------------------------------------------------


@contextmanager
def own_job(
    request: Request,
    parts: Mapping[str, Configured],
    found: Findings,
    begin: Callable[[str], None] = lambda phase: None,
    task: LoadedTask | None = None,
) -> Iterator[OwnJob]:
    """Yields the job of a run whose trainer owns its model: with the data loaded, and with the strategy's model built if the
    trainer uses it. The arguments are those of `assemble`."""
    start, frozen = assemble_for_own_model(request, parts, found=found, begin=begin, task=task)
    seed = random_streams.stream_seed(request.requested.seed, request.requested.replicate, "own model") % SEEDS
    with work_folder(request, found) as work:
        recipe = request.recipe if found.max_length is None else with_length(request.recipe, found.max_length)
        yield OwnJob(start=start, recipe=recipe, seed=seed, threads=request.threads, folder=work, frozen=frozen)


@contextmanager
def work_folder(request: Request, found: Findings) -> Iterator[Path]:
    """Yields the folder for a trainer's files: the one of an earlier attempt at the run, if checkpoints are kept and data,
    model, code, software and hardware are the same; else an empty one."""
    if request.checkpoints is None:
        with temporary_folder(".work-", below=request.cache) as folder:
            yield folder
        return
    facts = {**facts_of_data(found.data, found.made_from), **facts_of_model(found.made_from)}
    facts |= facts_of_environment(environment_of(request, found.device))
    folder = request.checkpoints / f"work-{digest_of([as_plain(facts), found.made_from.code])}"
    tree = Tree(request.checkpoints.parent)
    for other in tree.names(request.checkpoints) if request.checkpoints.exists() else ():
        if other != folder.name:
            tree.remove_folder(request.checkpoints / other)
    tree.make(folder)
    yield folder


def checked(job: OwnJob, split: str, given: Any) -> Answered:
    """The checked answers to a split. given: what the trainer returned. Raises DataError or PluginError if that is wrong."""
    of = f"{job.start.title}: `predict_own`, split '{split}'"
    if isinstance(given, str | bytes | Mapping) or not hasattr(given, "__iter__"):
        required(given, list, of=of, must="a list of bakeoff.plugin.Answer, one for each example")

    def row(number: Any) -> str:
        return f"row {number}" + (f" (the task's {job.task_id(number)!r})" if number in job.places else "")

    ids = job.numbers[split]
    return read_answers(given, ids, job.kind, job.labels, of=of, row=row)


def predicted_by(answered: Mapping[str, Answered]) -> Predicted:
    """What the predictions of a run were made from (`Record.predicted`): `scores`, that is probabilities, only if every split
    has them, else `answers`."""
    return "scores" if answered and all(one.scored for one in answered.values()) else "answers"
