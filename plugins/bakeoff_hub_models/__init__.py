"""Any encoder with a sequence-classification head, from the Hugging Face hub or from a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bakeoff.plugin import (
    Built,
    Encoding,
    Model,
    ModelError,
    Options,
    Paths,
    TaskInfo,
    Template,
    TextEncoder,
    cached_model,
    check_folder,
    checked_template,
    hookimpl,
    hub_is_reachable,
    hub_snapshot,
    load_classifier,
    load_tokenizer,
    local_folder,
    model_files,
    of_unread_weights,
    quoted,
    refuse_adapter,
    require_attention,
    saved_tokenizer,
    shown_path,
)


def _stays_in_the_repository(revision: str) -> str:
    if ".." in revision or revision.startswith(("/", ".")):
        raise ValueError("a revision is a commit, a tag or a branch")
    return revision


Revision = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,100}$"), AfterValidator(_stays_in_the_repository)]


class HubOptions(Options):
    """Options of the model `hub`."""

    path: Annotated[str, Field(min_length=1, max_length=1000)] = Field(
        description="A hub id (google-bert/bert-base-uncased) or a folder (/models/bert; ./my-model is beside the experiment "
        "file)."
    )
    revision: Revision | None = Field(
        None,
        description="A commit, tag or branch of the hub repository; only a commit never changes. With a revision, `path` is "
        "always a hub id.",
    )
    adapter: Literal["ignore"] | None = Field(
        None,
        description="`ignore`: use the model without the peft adapter in the same folder.",
        json_schema_extra={"neutral": None},
    )
    allow_new: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = Field(
        None,
        description="Names of modules or tensors of the pretrained model that may start from random values.",
        json_schema_extra={"neutral": None},
    )

    pad_token: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None,
        description="What pads short texts in a batch: `eos`, the tokenizer's end-of-text token, or another token of its "
        "vocabulary. By default the tokenizer's own padding token.",
        json_schema_extra={"neutral": None},
    )
    template: Annotated[str, Field(max_length=10_000), AfterValidator(checked_template)] | None = Field(
        None,
        description="Makes one prompt of an example's texts, for instruct models: every text column of the task stands in "
        "braces, as in `Review: {sentence} Sentiment:`. Texts that are too long are shortened within it.",
        json_schema_extra={"neutral": None},
    )
    attn_implementation: Literal["eager", "sdpa", "flex_attention"] | None = Field(
        None,
        description="Which code of transformers computes attention; by default `sdpa` where the family has it.",
        json_schema_extra={"neutral": None},
    )


class HubModel(Model):
    """A sequence classifier of transformers (`AutoModelForSequenceClassification`), by hub id or folder."""

    name = "hub"
    summary = "Any sequence classifier of transformers, by hub id with revision or by folder (safetensors only)."
    version = "2"
    Options = HubOptions

    def title(self, options: HubOptions) -> str:
        """The last part of the path: `bert-base-uncased`."""
        return Path(options.path).name or self.name

    def resolved(self, options: HubOptions, places: Paths) -> HubOptions:
        if options.revision is not None and local_folder(options.path) is None:
            return options
        path = local_folder(options.path) or Path(options.path)
        beside = places.beside / path  # the path itself where it is absolute
        if not _is_folder(beside) and _is_folder(path):
            raise ModelError(
                f"there is no model folder {shown_path(beside)}: a path is read from the experiment file's folder; the one in "
                f"the current folder is {shown_path(path.absolute())}"
            )
        is_folder = local_folder(options.path) is not None or _is_folder(beside)
        return options.model_copy(update={"path": str(beside)}) if is_folder else options

    def check_available(self, options: HubOptions) -> None:
        if (folder := local_folder(options.path)) is not None:
            refuse_adapter(folder, ignore=options.adapter == "ignore")
            check_folder(folder)
            require_attention(folder, options.attn_implementation)
        # hub_is_reachable is called even for a cached model: it keeps the hub's library from waiting for the hub.
        elif not hub_is_reachable() and cached_model(options.path, options.revision) is None:
            raise ModelError(
                f"model {quoted(options.path)} is not in the local cache and the hub is not reachable; "
                "give a folder (path: ./folder with config.json, tokenizer.json, model.safetensors), "
                "or use minilm, which needs no hub"
            )

    def check_task(self, task: TaskInfo, options: HubOptions) -> None:
        if options.template is not None:
            Template(options.template, task.text_columns)

    def files(self, options: HubOptions) -> dict[str, list[Path]]:
        """The files of the folder, or of the cached snapshot that is used when the hub is not reachable."""
        folder = local_folder(options.path) or hub_snapshot(options.path, repo_type="model", revision=options.revision)
        if folder is None or not _is_folder(folder):
            raise ModelError(f"model {quoted(options.path)} is not in the local cache")
        return model_files(folder)

    def prepare(self, task: TaskInfo, options: HubOptions, encoding: Encoding) -> TextEncoder:
        self.check_available(options)
        return TextEncoder(_tokenizer(options), task, encoding, template=options.template)

    def prepare_saved(self, folder: Path, task: TaskInfo, options: HubOptions, encoding: Encoding) -> TextEncoder:
        return TextEncoder(saved_tokenizer(folder), task, encoding, template=options.template)

    def build(self, task: TaskInfo, options: HubOptions) -> Built:
        self.check_available(options)
        folder = local_folder(options.path)
        built = load_classifier(
            folder or options.path,
            task,
            revision=options.revision,
            allow_new=options.allow_new,
            ignore_adapter=options.adapter == "ignore",
            pad_token_id=_tokenizer(options).pad_token_id,
            attn_implementation=options.attn_implementation,
        )
        return replace(built, cautions=(*built.cautions, *of_unread_weights(folder))) if folder else built


def _tokenizer(options: HubOptions) -> Any:
    path = local_folder(options.path) or options.path
    return load_tokenizer(path, revision=options.revision, pad_token=options.pad_token)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no file system takes: what loads it says so
        return False


@hookimpl
def bakeoff_models() -> list[Model]:
    return [HubModel()]
