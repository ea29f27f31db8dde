"""Text classifiers of transformers: tokenising, collating, predicting, saving and loading."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from bakeoff.contracts.model import Built, Encoding, Prepared
from bakeoff.contracts.task import Row, TaskInfo
from bakeoff.errors import ModelError
from bakeoff.machine.distributions import installed_version
from bakeoff.text.words import did_you_mean, first_line, quoted, shown_path
from bakeoff.toolkit.attention_choice import require_attention
from bakeoff.toolkit.hub_model import COMMIT, model_folder
from bakeoff.toolkit.last_token import is_changed, pad_with, read_last_attended, reads_last_token
from bakeoff.toolkit.missing_weights import pretrained_names, require_pretrained, unused_layers
from bakeoff.toolkit.model_folder import (
    ADAPTER,
    CONFIG,
    INDEX,
    PICKLES,
    WEIGHTS,
    check_files,
    check_tokenizer,
    check_weights,
    read_config,
    read_json,
)
from bakeoff.toolkit.model_settings import building_at_most
from bakeoff.toolkit.model_structure import positions_of
from bakeoff.toolkit.prompts import Template
from bakeoff.toolkit.saved_classifier import answers_of_saved, how_to_load, load_saved, model_place, save_classifier
from bakeoff.toolkit.trained_head import UNNAMED, first_labels, fit_head


def _added_too(tokenizer: Any, template: str) -> str:
    """The token with which the template begins, and which the tokenizer puts before every text too; empty where there is
    none."""
    with_it, without = (tokenizer("a", add_special_tokens=added)["input_ids"] for added in (True, False))
    first = str(tokenizer.convert_ids_to_tokens(with_it[0])) if with_it[:1] != without[:1] else ""
    return first if first and template.startswith(first) else ""


class TextEncoder(Prepared):
    """`Prepared` for one or two texts an example, by a fast tokenizer, padded to the longest of a batch.

    template: makes one prompt of the texts (`{sentence}` stands for a text column); by default they are given as they are.
    Raises ModelError for a template that does not fit the task's text columns.
    """

    def __init__(self, tokenizer: Any, task: TaskInfo, encoding: Encoding, *, template: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.columns = task.text_columns
        self.kind = task.kind
        self.encoding = encoding
        self.template = None if template is None else Template(template, self.columns)
        if template is not None and (twice := _added_too(tokenizer, template)):
            raise ModelError(f"template: it begins with {twice}, which the tokenizer adds to every text: leave it out there")
        self.note = ""

    def encode(self, columns: Mapping[str, Sequence[str]]) -> list[Row]:
        try:
            texts = self._texts(columns)
            if not texts[0]:
                return []
            encoded = self.tokenizer(*texts, truncation=True, max_length=self.encoding.max_length, padding=False)
        except ModelError:
            raise
        except BaseException as error:  # third-party code
            _reraise_unless_from_files(error)
            raise ModelError(f"its tokenizer cannot encode these texts: {first_line(error)}") from error
        names = [name for name in self.tokenizer.model_input_names if name in encoded]
        return [dict(zip(names, values, strict=True)) for values in zip(*(encoded[name] for name in names), strict=True)]

    def prompts(self, columns: Mapping[str, Sequence[str]]) -> list[str] | None:
        if self.template is None:
            return None
        own = {name: columns[name] for name in self.columns}
        return self.template.prompts(own, self.tokenizer, self.encoding.max_length)

    def _texts(self, columns: Mapping[str, Sequence[str]]) -> list[list[str]]:
        """What the tokenizer is given: the text columns, or their prompts."""
        prompts = self.prompts(columns)
        return [list(columns[name]) for name in self.columns] if prompts is None else [prompts]

    def encoding_key(self) -> str | None:
        return self._encoding_key if type(self).encode is TextEncoder.encode else None  # a subclass may depend on anything

    def tokenizer_key(self) -> str | None:
        return json.dumps(self._settings, sort_keys=True) if type(self).encode is TextEncoder.encode else None

    @cached_property
    def _encoding_key(self) -> str:
        versions = {name: installed_version(name) for name in ("tokenizers", "transformers")}
        settings, names, sides = (self._settings[name] for name in ("settings", "names", "truncation_side"))
        cut = self.encoding.max_length
        template = [] if self.template is None else [self.template.template]
        return json.dumps([settings, versions, names, sides, cut, self.columns, *template], sort_keys=True)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The tokenizer's settings, except those that the recipe decides."""
        settings = json.loads(self.tokenizer.backend_tokenizer.to_str())
        del settings["truncation"], settings["padding"]  # left by the last call
        return {
            "settings": settings,
            "names": self.tokenizer.model_input_names,
            "truncation_side": self.tokenizer.truncation_side,
            "padding_side": self.tokenizer.padding_side,
            "pad": [self.tokenizer.pad_token_id, self.tokenizer.pad_token_type_id],
            **({} if self.template is None else {"template": self.template.template}),
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
        """Writes safetensors and tokenizer for `from_pretrained`; an adapter is merged, or saved separately if it can't be."""
        model.config.problem_type = self.kind.problem_type
        if labels:
            model.config.id2label = dict(enumerate(labels))
            model.config.label2id = {label: number for number, label in enumerate(labels)}
        if is_changed(_without_adapter(model)):
            pad = repr(self.tokenizer.pad_token)
            self.note = f"of a text that ends in the padding token {pad}, transformers reads an earlier token; Bakeoff the last"
        tokenizer = copy.deepcopy(self.tokenizer)
        tokenizer.model_max_length = self.encoding.max_length  # what it was trained to read
        save_classifier(model, tokenizer, folder)

    def answers_of_saved(self, folder: Path, columns: Mapping[str, Sequence[str]], device: Any) -> Any:
        return answers_of_saved(folder, self._texts(columns), device)

    def answers_differ(self, model: Any, example: Row) -> bool:
        if not is_changed(_without_adapter(model)):
            return False
        return example["input_ids"][-1] == self.tokenizer.pad_token_id or _prompts_embedded(model)

    def load_saved(self, folder: Path, device: Any) -> Any:
        return load_saved(folder, device)

    def how_to_load(self, folder: Path) -> str:
        template = None if self.template is None else self.template.template
        return how_to_load(folder, self.columns, template=template, note=self.note)


def _prompts_embedded(model: Any) -> bool:
    """Whether peft puts a trained prompt before the embedded tokens, of which transformers' classifier then can't tell the
    padding."""
    configs = getattr(model, "peft_config", {}).values()
    return any(config.is_prompt_learning and config.peft_type not in ("PREFIX_TUNING", "CARTRIDGE") for config in configs)


def _without_adapter(model: Any) -> Any:
    """The classifier of transformers, without peft's wrapper around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def load_tokenizer(path: str | Path, *, revision: str | None = None, pad_token: str | None = None) -> Any:
    """The fast tokenizer of a folder or hub id, padding on the right wherever the model allows it.

    pad_token: what pads in place of the tokenizer's own token; `eos` stands for its end-of-text token. Raises ModelError where
    there is no tokenizer that can be used.
    """
    from transformers import AutoTokenizer

    folder = model_folder(path, revision=revision)
    check_files(folder)
    check_tokenizer(folder)
    config = None if folder == path else _config_of(folder)
    if config is not None:
        config.name_or_path = str(path)  # by the hub id transformers knows a few models whose tokenizer class is wrong
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, use_fast=True, trust_remote_code=False, local_files_only=True, config=config
        )
    except BaseException as error:  # their code over somebody's files: OSError, KeyError, a panic of tokenizers ...
        _reraise_unless_from_files(error)
        raise ModelError(f"no tokenizer could be read from {_shown(path)}: {first_line(error)}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"{_shown(path)} has no fast tokenizer (tokenizer.json)")
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # transformers 5 makes an empty tokenizer where a model has none: every word would be unknown.
        raise ModelError(f"{_shown(path)} has no usable tokenizer: its vocabulary is empty")
    names = tokenizer.model_input_names
    if not isinstance(names, list) or "input_ids" not in names or not all(isinstance(name, str) for name in names):
        raise ModelError(f"the tokenizer of {_shown(path)} gives no input_ids (model_input_names: {quoted(names)})")
    if pad_token is not None:  # as a special token, also in its backend, as it will be when it is loaded again
        tokenizer.add_special_tokens({"pad_token": _padding(tokenizer, pad_token, _shown(path))})
    if tokenizer.pad_token is None:
        remedy = "`pad_token: eos` pads with its end-of-text token" if tokenizer.eos_token else "name one: `pad_token: <token>`"
        raise ModelError(
            f"the tokenizer of {_shown(path)} has no padding token, so that no batch can be made; as an option of model `hub` "
            f"{remedy}"
        )
    if tokenizer.padding_side == "left" and _pads_right(folder):
        tokenizer.padding_side = "right"
    return tokenizer


def _padding(tokenizer: Any, wanted: str, shown: str) -> str:
    """The token that `pad_token` names. Raises ModelError for one that is not in the vocabulary, which is never enlarged."""
    if wanted == "eos":
        if tokenizer.eos_token is None:
            raise ModelError(f"pad_token: the tokenizer of {shown} has no end-of-text token: name a token of its vocabulary")
        return str(tokenizer.eos_token)
    if wanted not in (known := tokenizer.get_vocab()):
        near = [token for token in known if token.startswith(("<", "["))] or known
        raise ModelError(f"pad_token: {did_you_mean('token of the tokenizer', wanted, sorted(near)[:200])}")
    return wanted


def saved_tokenizer(folder: Path) -> Any:
    """The tokenizer of a trained model that `TextEncoder.save` wrote. Raises ModelError."""
    return load_tokenizer(model_place(folder))


def _config_of(folder: Path) -> Any:
    """The folder's configuration; None if it can't be read, which is reported when the model is built."""
    from transformers import AutoConfig

    try:
        read_config(folder)
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # a damaged file may come out of any library
        _reraise_unless_from_files(error)
        return None


def _pads_right(folder: Path) -> bool:
    """Whether padding belongs on the right whatever the tokenizer says: the model looks positions up in a table, counted from
    the start of a row, so that on the left a text's first token would have another position in each batch; or it is a decoder
    that is read at the last attended token. False if the model can't be built.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    try:
        with torch.device("meta"), building_at_most(check_weights(folder), _shown(folder)):
            model = AutoModelForSequenceClassification.from_config(_config_of(folder))
            return positions_of(model) is not None or reads_last_token(model)
    except Exception as error:  # as its `build` will say
        _reraise_unless_from_files(error)
        return False


def load_classifier(
    path: str | Path,
    task: TaskInfo,
    *,
    revision: str | None = None,
    allow_new: Sequence[str] | None = None,
    ignore_adapter: bool = False,
    pad_token_id: int | None = None,
    attn_implementation: str | None = None,
) -> Built:
    """A sequence classifier with `task.n_outputs` outputs, in fp32, from a folder or hub id.

    Only the task's head and what `allow_new` names may be missing from the checkpoint. If the checkpoint has a head, its
    outputs are put into the order of the task's labels, or it is replaced. A decoder is read at the last token that the
    attention mask keeps, and its padding token is `pad_token_id`, the tokenizer's, whatever config.json says.
    attn_implementation: transformers' name of the code that computes attention (`eager`, `sdpa`, ...), by default its own
    choice. Reads only safetensors and never runs remote code. Raises ModelError where such a model can't be built.
    """
    from transformers import AutoModelForSequenceClassification

    shown, folder = _shown(path), model_folder(path, revision=revision)
    check_files(folder)
    refuse_adapter(folder, ignore=ignore_adapter)
    read_config(folder)
    stored = check_weights(folder)
    own = {} if attn_implementation is None else {"attn_implementation": attn_implementation}
    require_attention(folder, attn_implementation)
    try:
        with building_at_most(stored, shown):
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder,
                num_labels=task.n_outputs,
                dtype="float32",
                return_dict=True,  # some old checkpoints say no, and then no output has a name
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # a classifier fine-tuned for other labels: its head is made anew, and recorded
                output_loading_info=True,
                # Transformers puts any adapter that it finds into the model, unasked. Below a file it finds none.
                adapter_kwargs={"subfolder": CONFIG},
                **own,
            )
    except BaseException as error:  # as above
        _reraise_unless_from_files(error)
        raise ModelError(f"no classifier could be built from {_shown(path)}: {first_line(error)}") from error
    missing, mismatched = set(report["missing_keys"]), {item[0] for item in report["mismatched_keys"]}
    if mismatched and (misfits := sorted(mismatched & pretrained_names(model))):
        raise ModelError(
            f"the weights of {shown} do not fit its config.json: {len(misfits)} of other shapes, first {misfits[0]}"
        )
    unused = sorted(report["unexpected_keys"])
    require_pretrained(model, missing, unused, allow_new, where=shown)
    head = fit_head(model, task, missing=missing, mismatched=mismatched, where=shown)
    cautions = [head.caution, *_left_out(model, unused, folder, shown, lacks_head=head.origin == "new")]
    if reads_last_token(model):
        if pad_token_id is not None:
            cautions += _other_padding(model.config.get_text_config(), pad_token_id, shown)
            pad_with(model, pad_token_id)
        read_last_attended(model)
    commit = folder.name if folder != path and COMMIT.fullmatch(folder.name) else None  # the hub's cache calls folders so
    return Built(model, tuple(sorted(missing | mismatched | head.new)), head.origin, tuple(filter(None, cautions)), commit)


def _other_padding(configured: Any, pad_token_id: int, shown: str) -> list[str]:
    """A caution where config.json (`configured`) names another padding token than the tokenizer, or none."""
    named = getattr(configured, "pad_token_id", None)
    if named == pad_token_id:
        return []
    was = "names no padding token" if named is None else f"says that token {named} pads"
    return [f"the config.json of {shown} {was}; token {pad_token_id} does, as the tokenizer has it"]


def _left_out(model: Any, unused: Sequence[str], folder: Path, shown: str, *, lacks_head: bool) -> list[str]:
    """Cautions about tensors of the checkpoint that the model does not have: further layers, a head that was not recognised."""
    found = []
    if layers := unused_layers(model, unused):
        found.append(
            f"{len(layers)} layers of {shown} are not used, because its config.json names fewer: the first is {layers[0]}"
        )
    outside = [name for name in unused if not name.startswith(f"{model.base_model_prefix}.")]
    if lacks_head and outside and (names := _labels_named_at(folder)):
        found.append(
            f"{shown} names labels ({first_labels(names)}), but no trained head was found: this model has no place for "
            f"{len(outside)} of its tensors, first {outside[0]}"
        )
    return found


def _labels_named_at(folder: Path) -> list[str]:
    """The labels that the checkpoint's config.json names, without the placeholders of transformers."""
    names = read_json(folder / CONFIG).get("id2label")
    return [str(name) for name in (names or {}).values() if not UNNAMED.fullmatch(str(name))]


def refuse_adapter(folder: Path, *, ignore: bool = False) -> None:
    """Raises ModelError for a folder with an adapter of peft; with `ignore` only where there is no model beside it."""
    try:
        if not (folder / ADAPTER).is_file():
            return
    except OSError:  # a name that no file system takes: whoever looks for the model says so
        return
    beside = (folder / CONFIG).is_file() and any((folder / name).is_file() for name in (WEIGHTS, INDEX, *PICKLES[:2]))
    if beside and ignore:
        return
    try:
        base = read_json(folder / ADAPTER).get("base_model_name_or_path")
    except ModelError:  # then nobody knows for which
        base = None
    made_for = f", made for {quoted(base)}," if base else ""
    merge = (
        "merge it into its model (PeftModel.from_pretrained(model, FOLDER).merge_and_unload().save_pretrained(ANOTHER)), save "
        "the tokenizer there too, and give that folder"
    )
    if beside:
        raise ModelError(
            f"{_shown(folder)} has a model and an adapter of peft{made_for} and it is unclear which to use: write "
            f"`adapter: ignore` for the model without the adapter; for both, {merge}"
        )
    raise ModelError(f"{_shown(folder)} has an adapter of peft{made_for} but no model: {merge}")


def _reraise_unless_from_files(error: BaseException) -> None:
    """Raises the error again if it is a lack of memory, which is recorded as such, or a request to end the process.

    A panic of Rust code in tokenizers or safetensors has the same base class as such a request, but comes from a damaged file.
    """
    to_end = not isinstance(error, Exception) and type(error).__name__ != "PanicException"
    if to_end or isinstance(error, MemoryError) or "allocate memory" in str(error):
        raise error


def _shown(path: str | Path) -> str:
    """A folder as a path in full, a hub id in quotation marks."""
    return shown_path(path) if isinstance(path, Path) else quoted(path)
