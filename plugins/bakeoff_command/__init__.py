"""The trainer `command`: a user's own training script, started as a process. It is given files of rows, and its answers are
read from a file.

    trainer:
      name: command
      run: [python, train.py, --train, "{train}", --predict, "{predict}", --out, "{predictions}", --seed, "{seed}"]
      code: [train.py, lib/]
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from bakeoff.plugin import (
    SET,
    Answer,
    DataError,
    Ended,
    Example,
    Options,
    OwnModelJob,
    OwnModelTrainer,
    Paths,
    PluginError,
    Recipe,
    ReportedStep,
    Supports,
    Tree,
    did_you_mean,
    free_port,
    hookimpl,
    quoted,
    run_command,
    shown_path,
    temporary_folder,
)
from bakeoff_command.code import checked_path, digest_of, kept_code, lay_out, read_code
from bakeoff_command.environment import environment, secrets
from bakeoff_command.placeholders import checked_command, filled, placeholders
from bakeoff_command.rows import is_unchanged, read_answers_file, read_steps_file, write_rows


def _recipe_key(name: str) -> str:
    if name not in Recipe.model_fields:
        raise ValueError(did_you_mean("recipe key", name, Recipe.model_fields))
    return name


def _variable(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{quoted(name)} must be the name of an environment variable; its value stays outside the file")
    return name


class CommandOptions(Options):
    """Options of `command`: the command, the code that it runs, and which recipe keys it claims to follow."""

    run: Annotated[list[str], AfterValidator(checked_command)] = Field(
        description="The command, word by word, without a shell; `python` is the interpreter that runs Bakeoff. Placeholders: "
        "{train}, {dev}, {predict}, {predictions}, {recipe}, {steps}, {work}, {seed}, {port}, {threads}, {device}, and any key "
        "of the recipe.",
    )
    code: Annotated[list[Annotated[str, AfterValidator(checked_path)]], *SET] = Field(
        [], description="Files and folders beside the experiment file that the command runs; they are part of the run's id."
    )
    claims: Annotated[list[Annotated[str, AfterValidator(_recipe_key)]], *SET] = Field(
        [], description="Recipe keys that the script follows: shown as claimed, not observed."
    )
    env: Annotated[list[Annotated[str, AfterValidator(_variable)]], *SET] = Field(
        [], description="Further environment variables that the command gets; their values are never recorded."
    )
    code_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="Filled in: the hash of the code. Written in the file, it must be that of the code."
    )
    _places: Paths | None = PrivateAttr(None)
    """The folders with the copy of the code and the files of rows; set by `resolved`, in the process that trains."""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: its answers by the rows' ids, and the steps that it reported."""

    answers: Mapping[int, Answer]
    steps: Sequence[ReportedStep]


class Command(OwnModelTrainer):
    """Starts the user's command and reads its answers."""

    name = "command"
    summary = "Runs your own training script as a process; it gets files of rows and writes answers."
    version = "1"
    Options = CommandOptions
    supports = Supports(kinds=None, precisions=frozenset({"fp32", "bf16", "fp16"}), processes=1024)
    timed: ClassVar[Literal["phases", "process", "nothing"]] = "process"
    runs_commands = True

    # --- before any run ---------------------------------------------------------------------------------------------------

    def commands(self, options: CommandOptions) -> Sequence[Sequence[str]]:
        return [options.run]

    def code_files(self, options: CommandOptions) -> Sequence[str]:
        return options.code

    def code_digest(self, options: CommandOptions, places: Paths) -> str | None:
        for word in options.run:
            if self._is_forgotten(word, options.code, places.beside):
                raise PluginError(
                    f"{shown_path(word)} is in `run` and not in `code`: name it there too, since a run has no other files"
                )
        return digest_of(read_code(options.code, places.beside)) if options.code else None

    @staticmethod
    def _is_forgotten(word: str, code: Sequence[str], beside: Path) -> bool:
        """Whether a word of the command is the path of a file beside the experiment file that `code` does not name."""
        try:
            there = not Path(word).is_absolute() and (beside / word).is_file()
        except (OSError, ValueError):
            return False
        return there and not any(Path(word).is_relative_to(name) for name in code)

    def recipe_keys(self, options: CommandOptions) -> frozenset[str]:
        """The recipe keys that the command is given or claims to follow."""
        given = placeholders(options.run)
        if "recipe" in given:
            return frozenset(Recipe.model_fields)
        return frozenset({*given, *options.claims, "train_examples"}) & frozenset(Recipe.model_fields)

    def unsupported(self, recipe: Recipe, options: CommandOptions) -> Mapping[str, str]:
        if recipe.max_length == "auto" and "max_length" in self.recipe_keys(options):
            return {"max_length": "can't be told a length that a model's tokenizer decides: write a number"}
        return {}

    def claims(self, options: CommandOptions) -> Sequence[str]:
        return options.claims

    def notes(self, recipe: Recipe, options: CommandOptions) -> Sequence[str]:
        given = placeholders(options.run)
        found = []
        if options.claims:
            found.append(f"claimed, not observed: {', '.join(options.claims)}; what else the script does is unknown")
        else:
            found.append("what the script does is unknown: it claims to follow no key of the recipe (`claims`)")
        if not {"seed", "recipe"} & set(given):
            found.append("the command does not get the seed ({seed}), so its runs may not be repeatable")
        if not options.code:
            found.append("no code is named (`code`), so that a change of what the command runs makes no other contestant")
        return found

    def resolved(self, options: CommandOptions, places: Paths) -> CommandOptions:
        _program(options.run[0])
        environment(options.env)
        if options.code and options.code_sha256:
            kept_code(options.code, options.code_sha256, beside=places.beside, cache=places.cache)
        here = options.model_copy()
        here._places = places
        return here

    # --- the run ----------------------------------------------------------------------------------------------------------

    def fit_own(self, job: OwnModelJob, options: CommandOptions) -> Outcome:
        assert options._places is not None
        with temporary_folder("run-", below=job.folder) as folder:
            code = folder / "code"
            Tree(folder).make(code)
            if options.code and options.code_sha256:
                lay_out(options._places.cache / "code" / options.code_sha256, code, options.code_sha256)
            files = self._files(job, options, folder)
            command = [_program(options.run[0]), *filled(options.run[1:], self._values(job, files))]
            ended = self._run(command, code, options)
            said = f"; it printed last: {ended.last_lines}" if ended.last_lines else ""
            for name in ("train", "dev", "predict"):
                if name in files and not is_unchanged(files[name]):
                    raise DataError(f"the command changed or deleted the file of {{{name}}}, which is only to be read{said}")
            if ended.code != 0:
                raise PluginError(f"the command {ended.how}{said or ', and printed nothing'}")
            asked = {one.id for rows in job.splits.values() for one in rows}
            of = f"the command ended with exit code 0{said}"
            return Outcome(read_answers_file(files["predictions"], asked, of=of), read_steps_file(files["steps"]))

    def _run(self, command: Sequence[str], folder: Path, options: CommandOptions) -> Ended:
        try:
            variables = environment(options.env)
            return run_command(command, folder=folder, environment=variables, secrets=secrets(options.env))
        except OSError as error:
            raise PluginError(f"the command could not be started: {shown_path(command[0])}: {error.strerror}") from None

    def _files(self, job: OwnModelJob, options: CommandOptions, folder: Path) -> dict[str, Path]:
        """Placeholder -> the path of its file or folder; writes the files that the command reads."""
        assert options._places is not None
        given, rows = placeholders(options.run), options._places.cache / "rows"
        files = {
            "predictions": folder / "predictions.jsonl",
            "steps": folder / "steps.jsonl",
            "recipe": folder / "recipe.json",
            "work": Tree(job.folder).make(job.folder / "work"),
            "predict": write_rows(sorted(chain.from_iterable(job.splits.values()), key=lambda one: one.id), rows),
        }
        if "train" in given:
            files["train"] = write_rows(job.train, rows)
        if "dev" in given:
            files["dev"] = write_rows(self._dev(job), rows)
        if "recipe" in given:
            Tree(folder).write(files["recipe"], json.dumps(self._recipe(job), indent=2).encode("ascii"), synced=False)
        return files

    def _dev(self, job: OwnModelJob) -> Sequence[Example]:
        if (dev := job.dev()) is None:
            raise DataError("the command asks for {dev}, and the task has no split dev with labels: leave {dev} out of `run`")
        return dev

    def _recipe(self, job: OwnModelJob) -> dict[str, Any]:
        """What the file of the placeholder {recipe} holds: the recipe, and what the script has to know of the task and the
        machine."""
        return {
            "recipe": job.recipe.model_dump(mode="json"),
            "seed": job.seed,
            "device": job.device,
            "threads": job.threads,
            "kind": job.kind.name,
            "labels": list(job.labels),
            "text_columns": list(job.text_columns),
        }

    def _values(self, job: OwnModelJob, files: Mapping[str, Path]) -> dict[str, Any]:
        """Placeholder -> the value that takes its place in the command."""
        more = {"seed": job.seed, "threads": job.threads, "device": job.device, "port": free_port()}
        return {**job.recipe.model_dump(), **files, **more}

    def predict_own(
        self, model: Outcome, examples: Sequence[Example], job: OwnModelJob, options: CommandOptions
    ) -> list[Answer]:
        return [model.answers[one.id] for one in examples if one.id in model.answers]

    def reported_steps(self, model: Outcome) -> Sequence[ReportedStep]:
        return model.steps


def _program(name: str) -> str:
    """The path of the program that a command starts. `python` is the interpreter of this process; other programs are looked
    for beside it, where torchrun and accelerate are, then on the PATH. Raises PluginError if there is none."""
    if name == "python":
        return sys.executable
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    if os.sep in name and not Path(name).is_absolute():
        raise PluginError(f"the command's program {quoted(name)} is a file: name the program that runs it, [bash, {name}]")
    if (found := shutil.which(name, path=beside)) is None:
        raise PluginError(f"the command's program {quoted(name)} is not installed here: no folder of the PATH has it")
    return found


@hookimpl
def bakeoff_trainers() -> list[OwnModelTrainer]:
    return [Command()]
