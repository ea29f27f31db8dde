"""Trains only those rows of the word embeddings that the training texts use, as a parameter of their own.

The other rows get no gradient. Without weight decay an optimizer does not change them (Adam moves them by 0 / (0 + eps)), so
that gradient, clipping and update can leave them out: MRPC uses 11,563 of MiniLM's 30,522 words.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from bakeoff.plugin import TrainingJob
from bakeoff_fast_loop.families import encoder_of

WORTH_IT = 0.8
"""The largest share of used rows for which it saves time to leave the other rows out."""


class UsedRows:
    """The used rows of the word embeddings, trained in place of the whole table; `write_back` copies them into it."""

    def __init__(self, table: nn.Parameter, used: Tensor) -> None:
        """used: row numbers, ascending and without duplicates."""
        self.table, self.used = table, used
        self.rows = nn.Parameter(table.detach()[used].clone())  # (used, size)
        self.place = torch.full((len(table),), -1, dtype=torch.long, device=table.device)
        self.place[used] = torch.arange(len(used), device=table.device)

    @torch.no_grad()
    def write_back(self) -> None:
        self.table.index_copy_(0, self.used, self.rows.detach())


def used_rows(job: TrainingJob) -> UsedRows | None:
    """The rows of the word embeddings that the job's texts use; None if the table does not train, has weight decay, is nearly
    all used, or has hooks on its gradient."""
    words = encoder_of(job.model).words
    if not is_plain(words) or not words.weight.requires_grad:
        return None
    if words.weight._backward_hooks or getattr(words.weight, "_post_accumulate_grad_hooks", None):
        return None  # `bakeoff parity` watches: it would see nothing of a gradient that goes elsewhere
    groups = [group for group in job.parameter_groups() if any(words.weight is one for one in group["params"])]
    ids = torch.tensor(sorted(set(itertools.chain.from_iterable(row["input_ids"] for row in job.examples))))
    if words.padding_idx is not None:  # collating may put it in
        ids = torch.unique(torch.cat([ids, torch.tensor([words.padding_idx])]))
    if groups[0]["weight_decay"] != 0 or len(ids) > WORTH_IT * words.num_embeddings:
        return None
    return UsedRows(words.weight, ids.to(words.weight.device))


def is_plain(table: Any) -> bool:
    """Whether the module only looks up rows of a table."""
    return type(table) is nn.Embedding and table.max_norm is None and not table.scale_grad_by_freq and not table.sparse
