"""What every Hugging Face text classifier shares: tokenise, collate, predict, load."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from bakeoff.anatomy import positions_of
from bakeoff.components import Built, Encoding, Prepared, Row, TaskInfo, TaskKind
from bakeoff.errors import ModelError, escaped, quoted, shown_path
from bakeoff.machine.distributions import installed_version
from bakeoff.toolkit.missing_weights import pretrained_names, require_pretrained, unused_layers
from bakeoff.toolkit.saved_classifier import answers_of_saved, how_to_load, save_classifier
from bakeoff.toolkit.trained_head import UNNAMED, first_labels, fit_head

PROBLEM_TYPES: dict[TaskKind, str] = {
    "classification": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}
"""transformers' words: its pipelines read from them what to make of logits."""
ADAPTER = "adapter_config.json"
"""The file by which peft and transformers know an adapter."""

TOKENIZER_FILES = (
    *("tokenizer*", "vocab*", "merges*", "added_tokens*", "special_tokens_map*", "normalizer*", "spiece*", "sentencepiece*"),
    *("*.model", "*.spm", "*.tiktoken", "bpe.codes", "dict.txt"),
)
"""Patterns of the names under which transformers keeps vocabularies and settings of tokenizers."""


class TextEncoder(Prepared):
    """One or two texts an example, through a fast tokenizer; padded per batch."""

    def __init__(self, tokenizer: Any, task: TaskInfo, encoding: Encoding) -> None:
        self.tokenizer = tokenizer
        self.columns = task.text_columns
        self.kind = task.kind
        self.encoding = encoding

    def encode(self, columns: Mapping[str, Sequence[str]]) -> list[Row]:
        texts = [list(columns[name]) for name in self.columns]
        if not texts[0]:
            return []
        encoded = self.tokenizer(*texts, truncation=True, max_length=self.encoding.max_length, padding=False)
        names = [name for name in self.tokenizer.model_input_names if name in encoded]
        return [dict(zip(names, values, strict=True)) for values in zip(*(encoded[name] for name in names), strict=True)]

    def encoding_key(self) -> str | None:
        return self._encoding_key if type(self).encode is TextEncoder.encode else None  # else whatever it hangs on

    def tokenizer_key(self) -> str | None:
        return json.dumps(self._settings, sort_keys=True) if type(self).encode is TextEncoder.encode else None

    @cached_property
    def _encoding_key(self) -> str:
        versions = {name: installed_version(name) for name in ("tokenizers", "transformers")}
        settings, names, sides = (self._settings[name] for name in ("settings", "names", "truncation_side"))
        cut = self.encoding.max_length
        return json.dumps([settings, versions, names, sides, cut, self.columns], sort_keys=True)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The tokenizer itself: what the recipe decides is not in it."""
        settings = json.loads(self.tokenizer.backend_tokenizer.to_str())
        del settings["truncation"], settings["padding"]  # left by the last call
        return {
            "settings": settings,
            "names": self.tokenizer.model_input_names,
            "truncation_side": self.tokenizer.truncation_side,
            "padding_side": self.tokenizer.padding_side,
            "pad": [self.tokenizer.pad_token_id, self.tokenizer.pad_token_type_id],
        }

    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        import torch

        inputs = [{name: row[name] for name in row if name in self.tokenizer.model_input_names} for row in examples]
        padding, max_length = self.encoding.padding, self.encoding.max_length
        arrays = self.tokenizer.pad(inputs, padding=padding, max_length=max_length, return_tensors="np")
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}  # torch takes longer over nested lists
        if "labels" in examples[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in examples])
        return batch

    def predict(self, model: Any, batch: dict[str, Any]) -> Any:
        return model(**batch).logits

    def save(self, model: Any, folder: Path, labels: Sequence[str]) -> None:
        """As `from_pretrained` reads it: safetensors and tokenizer; an adapter is merged, or where it can't be lies beside."""
        model.config.problem_type = PROBLEM_TYPES.get(self.kind)
        if labels:
            model.config.id2label = dict(enumerate(labels))
            model.config.label2id = {label: number for number, label in enumerate(labels)}
        tokenizer = copy.deepcopy(self.tokenizer)
        tokenizer.model_max_length = self.encoding.max_length  # what it was trained to read
        save_classifier(model, tokenizer, folder)

    def answers_of_saved(self, folder: Path, columns: Mapping[str, Sequence[str]], device: Any) -> Any:
        return answers_of_saved(folder, [columns[name] for name in self.columns], device)

    def how_to_load(self, folder: Path) -> str:
        return how_to_load(folder, self.columns)


def model_files(folder: Path) -> dict[str, list[Path]]:
    """The files of a folder that transformers can load a classifier from, by what they hold: for `Model.files`."""

    def named(*patterns: str) -> list[Path]:
        return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})

    return {
        "weights": named("*.safetensors", "*.safetensors.index.json"),
        "tokenizer": named(*TOKENIZER_FILES),
        "configuration": named("config.json", "adapter_config.json"),
    }


def load_tokenizer(path: str | Path, *, revision: str | None = None) -> Any:
    """The fast tokenizer of a folder or hub id; raises ModelError in our words."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision, use_fast=True, trust_remote_code=False)
    except Exception as error:  # their code over somebody's files: OSError, KeyError, a bare Exception of tokenizers ...
        _keep_lack_of_memory(error)
        raise ModelError(f"no tokenizer could be read from {_shown(path)}: {_first_line(error)}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"{_shown(path)} has no fast tokenizer (tokenizer.json)")
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # transformers 5 makes an empty tokenizer where a model has none: every word would be unknown.
        raise ModelError(f"{_shown(path)} has no tokenizer: there is no word in its vocabulary")
    if tokenizer.pad_token is None:
        raise ModelError(
            f"the tokenizer of {_shown(path)} has no padding token, so that no batch can be made: "
            "tokenizer.add_special_tokens({'pad_token': '[PAD]'}), model.resize_token_embeddings(len(tokenizer)), "
            "model.config.pad_token_id = tokenizer.pad_token_id, and save both"
        )
    if tokenizer.padding_side == "left" and _counts_positions(path, revision):
        tokenizer.padding_side = "right"  # else a text's first token would have another position in each batch
    return tokenizer


def _counts_positions(path: str | Path, revision: str | None) -> bool:
    """Whether the model looks positions up in a table, from the first place of a row."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    try:
        config = AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=False)
        with torch.device("meta"):
            return positions_of(AutoModelForSequenceClassification.from_config(config)) is not None
    except Exception as error:  # a folder without a model, or one that can't be built, as its `build` will say
        _keep_lack_of_memory(error)
        return False


def load_classifier(
    path: str | Path,
    task: TaskInfo,
    *,
    revision: str | None = None,
    allow_new: Sequence[str] | None = None,
    ignore_adapter: bool = False,
) -> Built:
    """A sequence classifier with `task.n_outputs` outputs from a folder or hub id, fp32, eager choice left to the library.

    Only the task's head may be missing from the checkpoint, and what `allow_new` names; a head that is there is made to answer
    in the task's labels, or replaced. Safetensors only, remote code never. Raises ModelError in our words.
    """
    from transformers import AutoModelForSequenceClassification

    shown = _shown(path)
    refuse_adapter(path, revision=revision, ignore=ignore_adapter)
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            path,
            revision=revision,
            num_labels=task.n_outputs,
            dtype="float32",
            return_dict=True,  # some old checkpoints say no, and then no output has a name
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # a classifier fine-tuned for other labels: its head is made anew, and recorded
            output_loading_info=True,
            adapter_kwargs={"subfolder": "no-adapter"},  # transformers puts any that it finds into the model, unasked
        )
    except Exception as error:  # as above
        _keep_lack_of_memory(error)
        raise ModelError(f"no classifier could be built from {_shown(path)}: {_first_line(error)}") from error
    missing, mismatched = set(report["missing_keys"]), {item[0] for item in report["mismatched_keys"]}
    if mismatched and (misfits := sorted(mismatched & pretrained_names(model))):
        raise ModelError(
            f"the weights of {shown} do not fit its config.json: {len(misfits)} of other shapes, first {misfits[0]}"
        )
    unused = sorted(report["unexpected_keys"])
    require_pretrained(model, missing, unused, allow_new, where=shown)
    head = fit_head(model, task, missing=missing, mismatched=mismatched, where=shown)
    cautions = (head.caution, *_left_out(model, unused, path, revision, lacks_head=head.origin == "new"))
    return Built(model, tuple(sorted(missing | mismatched | head.new)), head.origin, tuple(filter(None, cautions)))


def _left_out(model: Any, unused: Sequence[str], path: str | Path, revision: str | None, *, lacks_head: bool) -> list[str]:
    """Sentences on tensors of a checkpoint that the model has no place for and that somebody may miss."""
    shown, found = _shown(path), []
    if layers := unused_layers(model, unused):
        found.append(f"{len(layers)} layers of {shown} are left out, as its config.json names fewer: first {layers[0]}")
    outside = [name for name in unused if not name.startswith(f"{model.base_model_prefix}.")]
    if lacks_head and outside and (names := _labels_named_at(path, revision)):
        found.append(
            f"{shown} names labels ({first_labels(names)}), yet no trained head was found: {len(outside)} tensors are left out "
            f"that this model has no place for, first {outside[0]}"
        )
    return found


def _labels_named_at(path: str | Path, revision: str | None) -> list[str]:
    """The names that a checkpoint's config.json gives its labels; none where it has only those of transformers."""
    found = _file_at(path, "config.json", revision)
    names = json.loads(found.read_text(encoding="utf-8")).get("id2label") if found else None
    return [str(name) for name in (names or {}).values() if not UNNAMED.fullmatch(str(name))]


def refuse_adapter(path: str | Path, *, revision: str | None = None, ignore: bool = False) -> None:
    """Raises ModelError for a folder or repository with an adapter of peft: one with no model beside it, and one with a model,
    unless the adapter is to be ignored."""
    found = _file_at(path, ADAPTER, revision)
    if found is None:
        return
    weights = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
    beside = _file_at(path, "config.json", revision) is not None and any(_file_at(path, name, revision) for name in weights)
    if beside and ignore:
        return
    try:
        base = json.loads(found.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, OSError, AttributeError):  # then nobody knows for which
        base = None
    made_for = f", made for {quoted(base)}," if base else ""
    merge = (
        "merge it into its model (PeftModel.from_pretrained(model, FOLDER).merge_and_unload().save_pretrained(ANOTHER)), save "
        "the tokenizer there too, and give that folder"
    )
    if beside:
        raise ModelError(
            f"{_shown(path)} holds a model and an adapter of peft{made_for} and nothing says which is meant: say "
            f"`adapter: ignore` for the model without it; for both, {merge}"
        )
    raise ModelError(f"{_shown(path)} holds an adapter of peft{made_for} and no model: {merge}")


def _file_at(path: str | Path, name: str, revision: str | None) -> Path | None:
    """A file of a folder, or of a hub repository, from where it is downloaded; None where there is no such file."""
    if isinstance(path, Path) or Path(path).is_dir():
        return found if (found := Path(path) / name).is_file() else None
    from transformers.utils.hub import cached_file

    lenient = {f"_raise_exceptions_for_{what}": False for what in ("gated_repo", "missing_entries", "connection_errors")}
    cached = cached_file(str(path), name, revision=revision, **lenient)
    return Path(cached) if cached else None


def _keep_lack_of_memory(error: Exception) -> None:
    """Raised again as it is: that is no fault of the files, and a record tells it apart."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        raise error


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, LookupError):  # its text is the bare key
        text = f"{type(error).__name__}: {text}"
    return escaped(text.splitlines()[0])


def _shown(path: str | Path) -> str:
    """A folder in full, a hub id quoted."""
    return shown_path(path) if isinstance(path, Path) else quoted(path)
