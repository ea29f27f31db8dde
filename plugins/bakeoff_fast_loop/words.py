"""The rows of the word table that the training texts use, as a parameter of its own.

No other row ever gets a gradient. Without weight decay an optimizer leaves such rows exactly as they are (Adam moves by
0 / (0 + eps), momentum adds up noughts), so that gradient, clipping and update may leave them out: of MiniLM's 30,522 words
MRPC uses 11,563.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from bakeoff.plugin import TrainingJob
from bakeoff_fast_loop.families import encoder_of

WORTH_IT = 0.8
"""Of a table more of which is used, nothing would be saved."""


class UsedRows:
    """Trained in the table's place; `give_back` writes them into it."""

    def __init__(self, table: nn.Parameter, used: Tensor) -> None:
        """`used` are different row numbers, ascending."""
        self.table, self.used = table, used
        self.rows = nn.Parameter(table.detach()[used].clone())  # (used, size)
        self.place = torch.full((len(table),), -1, dtype=torch.long, device=table.device)
        self.place[used] = torch.arange(len(used), device=table.device)

    @torch.no_grad()
    def give_back(self) -> None:
        self.table.index_copy_(0, self.used, self.rows.detach())


def used_rows(job: TrainingJob) -> UsedRows | None:
    """None where the table does not train, decays, is nearly all used, or where somebody watches its own gradient."""
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
    """Whether looking up is all that the module does."""
    return type(table) is nn.Embedding and table.max_norm is None and not table.scale_grad_by_freq and not table.sparse
