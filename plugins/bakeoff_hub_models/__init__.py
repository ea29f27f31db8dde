"""Any encoder with a sequence-classification head, from the Hugging Face hub or from a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bakeoff.plugin import (
    Built,
    Encoding,
    Model,
    ModelError,
    Options,
    Places,
    TaskInfo,
    TextEncoder,
    hookimpl,
    hub_is_reachable,
    hub_snapshot,
    in_hub_cache,
    load_classifier,
    load_tokenizer,
    model_files,
    quoted,
    refuse_adapter,
    shown_path,
)
from bakeoff_hub_models.folder import INDEX, WEIGHTS, check_folder, of_unread_weights


class HubOptions(Options):
    """Which model."""

    path: Annotated[str, Field(min_length=1, max_length=1000)]
    """A hub id (google-bert/bert-base-uncased) or a folder (/models/bert; ./my-model is beside the experiment file)."""
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,100}$")] | None = None
    """A commit, tag or branch of the hub repository; a commit is the only one that stays."""
    adapter: Literal["ignore"] | None = Field(
        None,
        description="`ignore` takes the model without the adapter of peft that lies beside it.",
        json_schema_extra={"neutral": None},
    )
    allow_new: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = Field(
        None,
        description="Modules or tensors that may start from random numbers although the model is pretrained, by name.",
        json_schema_extra={"neutral": None},
    )


class HubModel(Model):
    """`AutoModelForSequenceClassification` by hub id or folder."""

    name = "hub"
    summary = "Any sequence classifier of transformers, by hub id with revision or by folder (safetensors only)."
    version = "2"
    Options = HubOptions

    def resolved(self, options: HubOptions, places: Places) -> HubOptions:
        path = Path(options.path).expanduser()
        beside = places.beside / path  # the path itself where it is absolute
        if not beside.exists() and path.is_dir():
            raise ModelError(
                f"there is no model folder {shown_path(beside)}: a path is read from the experiment file's folder; the one in "
                f"the current folder is {shown_path(path.absolute())}"
            )
        is_folder = _folder(options) is not None or beside.is_dir()
        return options.model_copy(update={"path": str(beside)}) if is_folder else options

    def locate(self, options: HubOptions) -> None:
        if (folder := _folder(options)) is not None:
            refuse_adapter(folder, ignore=options.adapter == "ignore")
            check_folder(folder)
        # The hub is asked even for what is cached: unless told that it is away, their library waits for it.
        elif not hub_is_reachable() and not _is_cached(options):
            raise ModelError(
                f"model {quoted(options.path)} is not in the local cache and the hub is not reachable; "
                "give a folder (path: ./folder with config.json, tokenizer.json, model.safetensors), "
                "or use minilm, which needs no hub"
            )

    def files(self, options: HubOptions) -> dict[str, list[Path]]:
        """Of the folder, or of the snapshot in the hub's cache that would be taken where the hub is away."""
        folder = _folder(options) or hub_snapshot(options.path, repo_type="model", revision=options.revision)
        if folder is None or not folder.is_dir():
            raise ModelError(f"model {quoted(options.path)} is not here")
        return model_files(folder)

    def prepare(self, task: TaskInfo, options: HubOptions, encoding: Encoding) -> TextEncoder:
        self.locate(options)
        return TextEncoder(load_tokenizer(_folder(options) or options.path, revision=options.revision), task, encoding)

    def build(self, task: TaskInfo, options: HubOptions) -> Built:
        self.locate(options)
        folder = _folder(options)
        built = load_classifier(
            folder or options.path,
            task,
            revision=options.revision,
            allow_new=options.allow_new,
            ignore_adapter=options.adapter == "ignore",
        )
        return replace(built, cautions=(*built.cautions, *of_unread_weights(folder))) if folder else built


def _folder(options: HubOptions) -> Path | None:
    """The path as a folder where it can only be one; a hub id is `name` or `owner/name`."""
    looks_local = options.path.startswith(("/", ".", "~")) or options.path.count("/") > 1
    return Path(options.path).expanduser() if looks_local else None


def _is_cached(options: HubOptions) -> bool:
    """Whether a snapshot with configuration and weights lies here; one may hold a part of its repository."""
    return any(
        in_hub_cache(options.path, repo_type="model", revision=options.revision, files=("config.json", weights))
        for weights in (WEIGHTS, INDEX)
    )


@hookimpl
def bakeoff_models() -> list[Model]:
    return [HubModel()]
