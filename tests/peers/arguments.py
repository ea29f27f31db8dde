"""docs/coming-from-run-glue.md: what to write here for each argument of Hugging Face's run_glue.py and run_classification.py.

Made anew by `cd tests && ../.venv/bin/python -m peers.arguments ../docs/coming-from-run-glue.md`.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bakeoff.contracts.recipe import Recipe
from bakeoff.spec.other_names import RULES, Meant

SCRIPTS: Final = (
    *("task_name", "dataset_name", "dataset_config_name", "max_seq_length", "overwrite_cache", "pad_to_max_length"),
    *("max_train_samples", "max_eval_samples", "max_predict_samples", "train_file", "validation_file", "test_file"),
    *("do_regression", "text_column_names", "text_column_delimiter", "train_split_name", "validation_split_name"),
    *("test_split_name", "remove_splits", "remove_columns", "label_column_name", "preprocessing_num_workers"),
    *("shuffle_train_dataset", "shuffle_seed", "metric_name", "model_name_or_path", "config_name", "tokenizer_name"),
    *("cache_dir", "use_fast_tokenizer", "model_revision", "token", "trust_remote_code", "ignore_mismatched_sizes"),
)
"""The scripts' own arguments, beside those of TrainingArguments."""
GIVEN: Final[Mapping[str, Any]] = {
    "num_train_epochs": 3,
    "learning_rate": 2e-5,
    "max_seq_length": 128,
    "per_device_train_batch_size": 32,
    "gradient_accumulation_steps": 4,
    "warmup_steps": 100,
    "warmup_ratio": 0.06,
    "weight_decay": 0.01,
    "label_smoothing_factor": 0.1,
    "max_train_samples": 1000,
    "model_name_or_path": "bert-base-uncased",
    "model_revision": "main",
    "lr_scheduler_type": "cosine",
    "optim": "adamw_torch",
    "adam_epsilon": 1e-6,
    "max_grad_norm": 1.0,
    "max_steps": 500,
    "seed": 42,
    "data_seed": 42,
    "save_steps": 500,
    **dict.fromkeys(("gradient_checkpointing_kwargs", "activation_checkpointing", "activation_checkpointing_kwargs"), True),
    "load_best_model_at_end": True,
    "bf16": True,
    "fp16": True,
    "metric_name": "f1",
    "metric_for_best_model": "f1",
    "train_file": "train.csv",
    "validation_file": "dev.csv",
    "test_file": "test.csv",
    "text_column_names": "text",
    "label_column_name": "label",
    "do_regression": True,
    "pad_to_max_length": True,
    "save_strategy": "epoch",
    "use_cpu": True,
    "train_sampling_strategy": "group_by_length",
}
"""Values for the page's examples; of other arguments nothing is given."""
PLACES: Final = {
    "recipe": "In the recipe: `recipe: {...}` for all strategies, or a strategy's own",
    "file": "At the top level of the experiment file",
    "strategy": "In a strategy",
    "task": "In a task",
    "model": "In a model, `models: [{name: hub, path: ...}]`",
    "method": "In a method",
    "trainer": "In a trainer",
    "command": "On the command line",
    "": "Left out",
}
HEAD: Final = """\
# What run_glue.py's arguments are here

Every argument of Hugging Face's `run_glue.py` and `run_classification.py`, with those of transformers' `TrainingArguments`,
and what to write here; [a tutorial](tutorial/from-run-glue.md) goes from a command line of the script to an experiment. An
experiment file with one of these names gets the same answer, at its line. The page is made from the table of those answers
(`python -m peers.arguments`, in tests/), and a test holds it against the installed transformers.

What a run of the script is here: a task, a model, a strategy with `trainer: hf-trainer`, and a recipe. `bakeoff new command
train.py` makes a contestant of a script as it is.
"""


def arguments() -> list[str]:
    """All names, the scripts' own last."""
    from transformers import TrainingArguments

    return [*(field.name for field in dataclasses.fields(TrainingArguments) if field.init), *SCRIPTS]


def meant(name: str) -> Meant | None:
    """None where nobody has said what to write."""
    if name in Recipe.model_fields and name not in RULES:
        return Meant("recipe", name, "the same name")
    rule = RULES.get(name)
    return None if rule is None else rule(GIVEN.get(name), GIVEN)


def page() -> str:
    known = [(name, found) for name in dict.fromkeys(arguments()) if (found := meant(name)) is not None]
    return "\n".join([HEAD, *(line for home, title in PLACES.items() for line in _section(home, title, known))])


def _section(home: str, title: str, known: list[tuple[str, Meant]]) -> Iterator[str]:
    own = [(name, found) for name, found in known if found.home == home]
    if not own:
        return
    yield f"## {title}\n"
    by_answer: dict[tuple[str, str], list[str]] = {}
    for name, found in own:
        by_answer.setdefault((found.write, found.note), []).append(f"`{name}`")
    if home:
        yield from ("| argument | write | |", "|---|---|---|")
        for (write, note), names in by_answer.items():
            yield f"| {', '.join(names)} | {f'`{write}`' if write else '–'} | {note} |"
    else:
        yield from (f"- {', '.join(names)}: {note.removeprefix('leave it out: ')}." for (_, note), names in by_answer.items())
    yield ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
