"""The promises of a model, checked on made-up pairs of texts with three labels."""

from __future__ import annotations

import copy
from typing import Any
from unittest import SkipTest

from bakeoff.contracts.model import Built, Encoding, Prepared, same_logits
from bakeoff.errors import BakeoffError, PluginError
from bakeoff.files import temporary_folder
from bakeoff.testing.bench import (
    COLUMNS,
    ENCODING,
    LABEL_NUMBERS,
    LABELS,
    examples_of,
    random_state,
    sample_info,
    seeded,
    sha256_of,
)
from bakeoff.testing.contract import Contract
from bakeoff.text.numbers import significant
from bakeoff.text.words import quoted

SHORT = 8
"""A `max_length` in tokens that most of the pairs exceed."""


class ModelContract(Contract):
    """The promises of a Model that is a torch module. Tests are skipped if its weights are not available."""

    def test_encoding_a_text_does_not_depend_on_its_neighbours(self) -> None:
        for columns in (("first", "second"), ("first",)):
            prepared = self.prepared(columns=columns)
            whole = prepared.encode(COLUMNS)
            alone = [prepared.encode({name: [COLUMNS[name][row]] for name in columns})[0] for row in range(len(whole))]
            if len(whole) != len(LABEL_NUMBERS) or whole != alone:
                self.broken(f"`encode` of {len(columns)} column(s) gives different rows together than one by one")

    def test_long_texts_are_cut_at_max_length(self) -> None:
        rows = self.prepared(encoding=Encoding(SHORT, "longest")).encode(COLUMNS)
        longest = max(len(value) for row in rows for value in row.values() if isinstance(value, list))
        if longest > SHORT:
            self.broken(f"`encode` gives {longest} tokens where `encoding.max_length` is {SHORT}")

    def test_padding_to_max_length_gives_that_width(self) -> None:
        prepared = self.prepared(encoding=Encoding(64, "max_length"))
        batch = prepared.collate(prepared.encode(COLUMNS))
        if "input_ids" in batch and batch["input_ids"].shape[1] != 64:
            self.broken(f"`collate` pads to {batch['input_ids'].shape[1]} where `encoding` says max_length, 64")

    def test_collate_is_pure(self) -> None:
        """Checks that `collate` changes no example, draws no random number, and gives the same tensors for the same
        examples."""
        examples = examples_of(self.prepared())
        prepared, kept, random = self.prepared(), copy.deepcopy(examples), random_state()
        first, second = prepared.collate(examples), prepared.collate(copy.deepcopy(kept))
        if examples != kept:
            self.broken("`collate` changes its examples; they are used again in the next epoch")
        if random_state() != random:
            self.broken("`collate` draws random numbers; the trainer may collate ahead of `begin_step`")
        if first.keys() != second.keys() or not all(first[name].equal(second[name]) for name in first):
            self.broken("`collate` gives different tensors for the same examples the second time")

    def test_collate_passes_labels_on_in_order(self) -> None:
        batch = self.prepared().collate(examples_of(self.prepared()))
        if "labels" not in batch or batch["labels"].tolist() != LABEL_NUMBERS:
            found = batch["labels"].tolist() if "labels" in batch else "nothing"
            self.broken(f"`collate` gives labels {found} for {LABEL_NUMBERS}; they belong in `labels`, (batch,)")

    def test_there_is_one_logit_for_each_label(self) -> None:
        shape = tuple(self.logits(self.built()).shape)
        if shape != (len(LABEL_NUMBERS), len(LABELS)):
            self.broken(f"`predict` gives logits {shape} for {len(LABEL_NUMBERS)} examples and {len(LABELS)} labels")

    def test_a_prediction_does_not_depend_on_the_batch(self) -> None:
        built = self.built()
        together = self.logits(built)
        largest = float(together.abs().max())
        for row in range(0, len(LABEL_NUMBERS), 3):
            away = float((self.logits(built, [row])[0] - together[row]).abs().max())
            if not same_logits(away, largest):
                self.broken(f"the logits of example {row} change by {significant(away, 3)} when it is alone; mask the padding")

    def test_a_seed_reproduces_and_another_changes(self) -> None:
        one, again, other = self.built(0), self.built(0), self.built(1)
        if sha256_of(one.model) != sha256_of(again.model):
            self.broken("`build` gives different weights with the same seed; draw from torch's global generator alone")
        if one.newly_initialised and sha256_of(one.model) == sha256_of(other.model):
            self.broken("`build` gives the same new weights with another seed; don't seed in it")

    def test_new_parameters_exist(self) -> None:
        built = self.built()
        if unknown := sorted(set(built.newly_initialised) - set(built.model.state_dict())):
            self.broken(f"`newly_initialised` names {quoted(unknown[0])}, which the model does not have")

    def test_new_parameters_are_named(self) -> None:
        """Checks `newly_initialised`: parameters that change with the seed did not come from the checkpoint and must be in it;
        those that stay the same came from the checkpoint and must not."""
        one, other = self.built(0), self.built(1)
        if sha256_of(one.model) == sha256_of(other.model):
            raise SkipTest("nothing changes with the seed")
        new, others = set(one.newly_initialised), dict(other.model.named_parameters())
        tied = {tensor.data_ptr() for name, tensor in one.model.state_dict().items() if name in new}
        for name, parameter in one.model.named_parameters():
            same, named = parameter.equal(others[name]), name in new or parameter.data_ptr() in tied
            if not same and not named:
                self.broken(
                    f"`newly_initialised` lacks {quoted(name)}, which changes with the seed: methods that train the head alone "
                    "would leave it random, and the fingerprint of the weights would change with each seed"
                )
            varied = bool(
                (parameter != parameter.flatten()[0]).any()
            )  # else it may be new and the same: a bias that starts at 0
            if same and named and varied and parameter.requires_grad:
                self.broken(
                    f"`newly_initialised` names {quoted(name)}, which has the same numbers with every seed: what comes from "
                    "the checkpoint is not new"
                )

    def test_the_head_can_learn(self) -> None:
        built = self.built()
        batch = self.prepared().collate(examples_of(self.prepared()))
        del batch["labels"]
        loss: Any = self.prepared().predict(built.model, batch).float().square().mean()
        loss.backward()
        if not any(parameter.grad is not None for parameter in built.model.parameters()):
            self.broken(
                "no parameter gets a gradient from the logits of `predict`; it must not detach them, nor switch gradients off"
            )

    def test_a_saved_model_holds_no_pickle(self) -> None:
        """Checks, for `keep: final`, that `save` writes safetensors, or raises PluginError if the model can't be saved."""
        with temporary_folder() as folder:
            try:
                self.prepared().save(self.built().model, folder, LABELS)
            except PluginError as error:
                raise SkipTest(str(error)) from None
            names = sorted(path.name for path in folder.rglob("*") if path.is_file())
        pickles = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl", ".ckpt"))]
        if pickles or not any(name.endswith(".safetensors") for name in names):
            self.broken(f"`save` writes {', '.join(names) or 'nothing'}; weights go into safetensors, never into a pickle")

    # --- what the tests share --------------------------------------------------------------------------------------------

    def prepared(self, *, columns: tuple[str, ...] = ("first", "second"), encoding: Encoding = ENCODING) -> Prepared:
        self.there()
        prepared: Prepared = self.component.prepare(sample_info(columns), self.chosen(), encoding)
        return prepared

    def built(self, seed: int = 0) -> Built:
        self.there()
        built: Built = seeded(seed, self.component.build, sample_info(), self.chosen())
        return built

    def there(self) -> None:
        """Skips the test if the weights are not available."""
        self.ready()
        try:
            self.component.check_available(self.chosen())
        except BakeoffError as error:
            raise SkipTest(str(error)) from None

    def logits(self, built: Built, rows: list[int] | None = None) -> Any:
        """Logits, (rows, n_outputs), of the made-up texts in evaluation mode. rows: numbers of the texts; None for all."""
        import torch

        prepared = self.prepared()
        encoded = prepared.encode(COLUMNS)
        built.model.eval()
        with torch.no_grad():
            return prepared.predict(
                built.model, prepared.collate([encoded[row] for row in rows or range(len(encoded))])
            ).detach()
