"""`keep: final`: saves the trained model beside its record, loads it again and compares its predictions with the recorded ones.

The record is written first. If the model can't be kept, the record stays, with the reason.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.contracts.metric_lookup import unit_of
from bakeoff.contracts.model import SAME_LOGITS, Prepared, same_logits
from bakeoff.contracts.returned import required
from bakeoff.contracts.task import TaskInfo
from bakeoff.errors import BakeoffError, ModelError, PluginError
from bakeoff.files import Tree, temporary_folder
from bakeoff.machine.faults import code_of, in_words
from bakeoff.records.schema import FILE_NAME, MODEL_FOLDER, Data, KeptModel, Record, capped
from bakeoff.text.markdown import as_markdown, item
from bakeoff.text.numbers import DASH, significant
from bakeoff.text.words import quoted
from bakeoff.training.assembly import Assembly
from bakeoff.training.clock import Clock
from bakeoff.training.evaluation import EVALUATION_BATCH, longest_first, predict
from bakeoff.training.preparation import within
from bakeoff.training.record_writer import DECIMALS, message_of, rounded
from bakeoff.training.request import Headings
from bakeoff.training.run_folder import hashes_of

NOISE = (0.02, 0.06, 0.2, 0.6)
"""Standard deviations of the noise that stands in for training when `keep: final` is tried before any run, added one after
another: a large one would saturate the attention of a real model, a small one would not show in a tiny model."""


NONE_ALIKE = "without Bakeoff's code it would answer every example otherwise, so that nothing shows it to be the trained one"
UNTITLED = Headings()


@dataclass(frozen=True)
class Trained:
    """A trained model, with the texts of one batch and its logits for them, by which the saved model is checked."""

    network: Any
    prepared: Prepared
    labels: tuple[str, ...]
    texts: Mapping[str, Sequence[str]]
    """Text column -> texts of the batch."""
    logits: Any
    """(examples, n_outputs), float32."""
    device: Any
    headings: Headings = UNTITLED
    """Titles of task, model and strategy for its model card."""


def trained_model(run: Assembly, logits: Mapping[str, Any]) -> Trained:
    """The trained model of a run, with a batch of the first predicted split whose examples range from the shortest to the
    longest, without those that the saved model answers otherwise. logits: those of the run, by split."""
    info, split = run.task.info, run.task.info.predicted_splits[0]
    encoded = run.encoded[split]
    order = [row for row in longest_first(encoded) if not run.prepared.answers_differ(run.network, encoded[row])]
    chosen = np.linspace(0, len(order) - 1, min(EVALUATION_BATCH, len(order))).astype(int)
    rows = [order[place] for place in chosen]
    texts = {name: [run.task.splits[split][name][row] for row in rows] for name in info.text_columns}
    return Trained(run.network, run.prepared, info.labels, texts, logits[split][rows], run.device, run.request.headings)


def keep(trained: Trained, folder: Path) -> float:
    """Saves the model into the new `folder`, frees its memory, and loads it again. Returns the largest absolute difference
    between the logits of the trained and of the loaded model.

    Raises PluginError where the loaded model gives other logits, and any error of saving and loading; the folder is then
    removed.
    """
    if not any(len(texts) for texts in trained.texts.values()):
        raise ModelError(NONE_ALIKE)
    tree = Tree(folder.parent)
    tree.make_fresh(folder)
    try:
        trained.prepared.save(trained.network, folder, trained.labels)
        require_plain_files(folder)
        free(trained.network)
        answers = trained.prepared.answers_of_saved(folder, trained.texts, trained.device)
        answered = required(answers, np.ndarray, of="its `answers_of_saved`", must="the logits, a float32 array")
        return require_recorded_answers(answered, trained.logits)
    except BaseException:
        tree.remove_folder(folder)
        raise


def require_plain_files(folder: Path) -> None:
    """Raises PluginError for a folder without files, for symbolic links, whose targets may change, and for file names that a
    record can't list."""
    if not any(path.is_file() for path in folder.rglob("*")):
        raise PluginError("its `save` wrote no file: write weights, configuration and tokenizer into `folder`")
    for path in folder.rglob("*"):
        name = path.relative_to(folder.parent).as_posix()
        if path.is_symlink():
            raise PluginError(f"its `save` made a symbolic link, {quoted(name)}: write regular files only")
        if path.is_file() and not FILE_NAME.fullmatch(name):
            allowed = "letters, digits, `_`, `.`, `-` and at most one folder are allowed"
            raise PluginError(f"its `save` wrote {quoted(name)}: {allowed}")


def require_recorded_answers(answered: Any, recorded: Any) -> float:
    """The largest absolute difference between the logits of the loaded model and the recorded ones, (examples, n_outputs).
    Raises PluginError if it is more than rounding explains (`same_logits`)."""
    if answered.shape != recorded.shape:
        raise PluginError(
            f"loaded again, its logits have shape {answered.shape}, and the recorded ones {recorded.shape}: "
            "`save` must write the trained model as it is"
        )
    difference = float(np.abs(answered - recorded).max())
    if not same_logits(difference, float(np.abs(recorded).max())):
        raise PluginError(
            f"loaded again, it gives other predictions: logits differ by up to {significant(difference, 3)}. "
            "`save` must write all that was trained, and `answers_of_saved` encode texts as `encode` does"
        )
    return difference


def free(network: Any) -> None:
    """Frees the memory of all weights, even where they are still referenced, so that there is room to load the model again."""
    import torch

    for tensor in (*network.parameters(), *network.buffers()):
        tensor.grad = None
        tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def add_model(record: Record, trained: Trained, folder: Path, clock: Clock) -> Record:
    """Adds the model to the run's folder and to its record, or the reason why it could not be kept."""
    place, tree = folder / MODEL_FOLDER, Tree(folder)
    files, size = record.files, sum(tensor.nbytes for tensor in trained.network.state_dict().values())
    try:
        kept = KeptModel(reason=None, difference=keep(trained, place))
        card = "\n".join(card_lines(record, trained.labels, trained.prepared.how_to_load(place), trained.headings)) + "\n"
        tree.write(place / "README.md", card.encode())
        files = hashes_of(folder)
    except Exception as error:  # a full disk, or a model or method of any author: the scores stay
        tree.remove_folder(place)
        code = code_of(error)
        reason = in_words(code, folder, size) if code is not None else message_of(error)
        kept, files = KeptModel(reason=reason, difference=None), record.files
        if code is None and not isinstance(error, BakeoffError | OSError):
            traceback.print_exc()
    assert record.cost is not None  # it succeeded
    total = clock.stop()
    cost = record.cost.model_copy(update={"phase_seconds": rounded(clock.seconds), "total_seconds": round(total, DECIMALS)})
    return record.model_copy(update={"kept": kept, "files": files, "cost": cost})


def require_keepable(
    network: Any,
    prepared: Prepared,
    info: TaskInfo,
    columns: Mapping[str, Sequence[str]],
    device: Any,
    *,
    head: Collection[str],
    cache: Path,
) -> None:
    """Tries `keep: final` on a model that is ready for training. Raises PluginError if it can't be kept.

    Noise stands in for training, so that any parameter that is not saved changes the predictions. head: names of the head's
    parameters before the method adapted them. cache: a folder with space for the model. The model can't be used afterwards.
    """
    encoded = prepared.encode(columns)
    same = [number for number, row in enumerate(encoded) if not prepared.answers_differ(network, row)]
    rows, columns = [encoded[number] for number in same], {name: [texts[n] for n in same] for name, texts in columns.items()}
    if not rows:
        raise PluginError(f"its model can't be kept, which `keep: final` requires: {NONE_ALIKE}")
    heads: list[Any] = []
    body: list[Any] = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            (heads if any(within(part, name) for part in head) else body).append(parameter)

    def logits_now() -> Any:
        return predict(prepared, network, rows, device)

    logits = disturb(heads, logits_now, until=1.0)  # with a head near zero, no change of the body would show
    logits = disturb(body, logits_now, until=10 * SAME_LOGITS * max(1.0, float(np.abs(logits).max())))
    trained = Trained(network, prepared, info.labels, columns, logits, device)
    with temporary_folder(".keep-", below=cache) as folder:
        try:
            keep(trained, folder / MODEL_FOLDER)
        except Exception as error:
            raise PluginError(f"its model can't be kept, which `keep: final` requires: {message_of(error)}") from error


def disturb(parameters: Sequence[Any], logits_now: Callable[[], Any], *, until: float) -> Any:
    """Adds noise to the parameters until a logit has changed by `until`, or all of NOISE was added. Returns the new logits.
    logits_now: computes the model's logits."""
    import torch

    generator, before = torch.Generator().manual_seed(0), logits_now()
    for scale in NOISE if parameters else ():
        with torch.no_grad():
            for parameter in parameters:
                noise = scale * torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter.device, parameter.dtype))
        after = logits_now()
        if np.abs(after - before).max() >= until:
            return after
    return after if parameters else before


def card_lines(record: Record, labels: Sequence[str], loading: str, headings: Headings = UNTITLED) -> list[str]:
    """The model card as lines of Markdown: what the model is, how to load it, its scores, its recipe. loading: Python code that
    loads it."""
    requested, weights = record.requested, record.weights
    task, model = (as_markdown(label) for label in (requested.task_label, requested.model_label))
    title = f"{as_markdown(headings.model) or model} fine-tuned on {as_markdown(headings.task) or task}"
    strategy = as_markdown(headings.strategy or requested.strategy)
    how = ["To load it, without bakeoff:", "", "```python", *loading.splitlines(), "```", ""]
    return [
        f"# {title}",
        "",
        f"Run {record.id} of experiment {as_markdown(requested.experiment)}: strategy {strategy} "
        f"(trainer {as_markdown(requested.trainer.name)}, method {as_markdown(requested.method.name)}), seed {requested.seed}. "
        f"{weights.parameters_trainable if weights else 0:,} parameters were trained.",
        "",
        *(how if loading else []),
        "| split | metric | score | majority baseline |",
        "|---|---|---:|---:|",
        *(score_lines(record, record.data) if record.data else []),
        "",
        f"Task: {task}. Model: {model}{f' at commit {record.made_from.commit}' if record.made_from.commit else ''}.",
        "",
        "Labels: " + (", ".join(map(as_markdown, capped(labels))) or "a number") + ". The recipe:",
        "",
        *(line for key, value in requested.recipe.items() for line in item(f"{as_markdown(key)}: {as_markdown(value)}")),
    ]


def score_lines(record: Record, data: Data) -> Iterator[str]:
    """Yields a row of the model card's table of scores for each split and metric, in the unit of the metric."""
    for split, scores in record.scores.items():
        baselines, silent = data.majority_baseline.get(split, {}), data.silent.get(split, {})
        for facts in data.metrics:
            if reason := silent.get(facts.name):
                value, baseline = f"cannot tell predictions apart here: {reason}", DASH
            elif facts.name in scores:
                unit = unit_of(facts)
                value = f"{unit.written(scores[facts.name])} {unit.name}".rstrip()
                baseline = unit.written(baselines.get(facts.name))
            else:
                value, baseline = "no score of these predictions", DASH
            yield f"| {as_markdown(split)} | {as_markdown(facts.name)} | {as_markdown(value)} | {baseline} |"
