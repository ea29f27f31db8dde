"""Performs two steps of a run, for `bakeoff check --build`, so that what a trainer or a kept model does wrong is found before
the first run.

It trains on as many rows as one step takes, for two epochs, so that an epoch ends between the two steps, and predicts a few
rows of each split. Scores are not computed, since so few rows may leave a metric undefined. A run of several processes is
rehearsed in one, which takes all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bakeoff.contracts.configured import Configured
from bakeoff.contracts.held_out import selection_split
from bakeoff.errors import PluginError, RunError
from bakeoff.files import temporary_folder
from bakeoff.records.schema import MODEL_FOLDER
from bakeoff.training.assembly import Assembly, Findings, assemble
from bakeoff.training.checkpoints import Checkpoints
from bakeoff.training.data import Columns, LoadedTask, weights_sha256
from bakeoff.training.evaluation import largest_of, predict, repeat_evaluation, require_finite
from bakeoff.training.job import Callbacks, Job
from bakeoff.training.kept_model import keep, trained_model
from bakeoff.training.own_run import answers_of, own_job, trained_by
from bakeoff.training.preparation import taken
from bakeoff.training.record_writer import message_of
from bakeoff.training.request import Request

STEPS: Final = 2
PREDICTED: Final = 8
"""Rows of each split that are predicted."""
OWN_STEPS_ROWS: Final = 64
"""Rows for a trainer that takes its steps itself: enough for several of each label."""


def rehearse(request: Request, parts: Mapping[str, Configured], task: LoadedTask) -> None:
    """Lets the trainer take two steps of the run, predicts with the trained model, and saves and loads it if the run would.

    With `checkpoint_every` a checkpoint is made after the first step, and a second training continues from it. Raises what a
    run would raise, except for a diverging loss, since the real schedule may have a longer warm-up.
    """
    recipe = request.recipe
    rows = OWN_STEPS_ROWS if "steps" in parts["trainer"].registered.component.owns else recipe.batch_size
    length = {"max_steps": STEPS} if recipe.max_steps is not None else {"epochs": STEPS}
    short = request.model_copy(
        update={
            "recipe": recipe.model_copy(
                update={
                    **length,
                    **dict.fromkeys(("train_examples", "min_steps", "early_stopping")),
                    "evaluate_every": recipe.evaluate_every and 1,
                }
            )
        }
    )
    small = cut_short(task, rows)
    with temporary_folder(".rehearsal-", below=request.cache) as folder:
        try:
            run = trained(short, parts, small, folder / "checkpoints")
            if request.checkpoint_every is not None and "steps" not in run.owns:
                whole = weights_of(run)
                del run  # two models may not fit
                run = trained(short, parts, small, folder / "checkpoints")
                require_continued(run, whole)
            predict_and_keep(run, folder)
        except RunError as error:
            if error.reason != "diverged":
                raise


def rehearse_own(request: Request, parts: Mapping[str, Configured], task: LoadedTask) -> None:
    """Lets a trainer that owns its model train on a few rows and answer a few of each split. A trainer that knows the rows'
    ids, as one that reads files of predictions does, gets all rows. Raises what a run would raise."""
    short = request.model_copy(
        update={"recipe": request.recipe.model_copy(update={"train_examples": None}), "checkpoints": None, "sources": []}
    )
    rows = task if parts["trainer"].registered.component.knows_ids else cut_short(task, OWN_STEPS_ROWS)
    with own_job(short, parts, Findings(), task=rows) as job:
        answers_of(job, trained_by(job, Findings()))


def cut_short(task: LoadedTask, rows: int) -> LoadedTask:
    """The task with few rows: `rows` of train, with as many different labels as possible, and PREDICTED of each other split."""
    splits = {
        name: taken(columns, rows_to_train(columns, rows) if name == "train" else range(min(PREDICTED, len(columns["id"]))))
        for name, columns in task.splits.items()
    }
    return replace(task, splits=splits)


def rows_to_train(train: Columns, rows: int) -> Sequence[int]:
    """The numbers, ascending, of `rows` rows of train: the first two of each label, then the first of the others."""
    labels = [repr(label) for label in train["label"]]
    seen: dict[str, int] = {}
    turns = []
    for label in labels:
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    by_turn = sorted(range(len(labels)), key=lambda row: (min(turns[row], 2), row))
    return sorted(by_turn[:rows])


def trained(request: Request, parts: Mapping[str, Configured], task: LoadedTask, checkpoints: Path) -> Assembly:
    """Trains the run for two steps, or for the second one only if the folder `checkpoints` has the state after the first.
    Raises PluginError if the trainer or method broke its contract."""
    found = Findings()
    run = assemble(request, parts, found=found, task=task)

    def predict_dev() -> bool:
        modes = [(module, module.training) for module in run.network.modules()]
        predicted(run, selection_split(run.task.info.scored_splits))
        for module, training in modes:
            module.training = training
        return False

    saved = Checkpoints(checkpoints, 1, made_by={}) if request.checkpoint_every is not None else None
    evaluate = predict_dev if request.requested.select == "best-on-dev" else None
    job = run.job(Job, observer=found.observer, callbacks=Callbacks(evaluate=evaluate), checkpoints=saved)
    frozen = frozen_in(run)
    with found.observer, job.watched():
        run.trainer.fit(job, run.options)
    job.check()
    job.check_order()
    if job.observer.skipped:  # fp16 finds its loss scale by skipping its first steps
        return run
    if "steps" not in run.owns and not any(job.observer.norms.values()):
        method = parts["method"].name
        raise PluginError(
            f"method '{method}': no gradient reached the parameters of its groups: the adapted model must compute its logits "
            "from them, and not detach"
        )
    if weights_of(run) == run.initial_sha256:
        raise PluginError(f"{run.title} left all weights of `job.model` as they were: train that model, not a copy of it")
    if frozen_in(run) != frozen:
        method = parts["method"].name
        raise PluginError(f"{run.title} changed weights that method '{method}' froze: leave `requires_grad` as it is")
    return run


def frozen_in(run: Assembly) -> str:
    """SHA-256 of the parameters that do not train."""
    return weights_sha256((name, weight) for name, weight in run.network.named_parameters() if not weight.requires_grad)


def weights_of(run: Assembly) -> str:
    return weights_sha256(run.network.state_dict().items())


def require_continued(run: Assembly, whole: str) -> None:
    """Raises PluginError unless a training that went on from a checkpoint ended with the weights (`whole`, their SHA-256) of
    the uninterrupted one."""
    if weights_of(run) != whole:
        raise PluginError(
            f"{run.title} ended with other weights when it went on from a checkpoint: begin at `job.first_step`, in "
            "`job.first_epoch`, and give `job.resume` all optimizers and schedulers"
        )


def predicted(run: Assembly, split: str) -> Any:
    """The trained model's logits for a split, (examples, n_outputs)."""
    with run.fast_inference():
        return predict(run.prepared, run.network, run.encoded[split], run.device)


def predict_and_keep(run: Assembly, folder: Path) -> None:
    """Predicts each split as a run does after its training; then saves and loads the model, if the run would keep it."""
    logits = {name: predicted(run, name) for name in run.task.info.predicted_splits}
    repeat_evaluation(run, logits, largest_of(logits))
    require_finite(logits)
    if run.request.keep != "final":
        return
    try:
        keep(trained_model(run, logits), folder / MODEL_FOLDER)
    except Exception as error:  # a model, method or trainer of any author
        why = f"can't be kept, which `keep: final` requires: {message_of(error)}"
        raise PluginError(f"the model that {run.title} trained {why}") from error
