"""The heavy imports of a run, made once by the fork server. No tensor, tokenizer or CUDA call may happen here, because workers
are forked from it."""

from __future__ import annotations

import gc

gc.disable()  # else a sixth of the imports' time goes into searching what they make, and none of it becomes garbage

import datasets  # noqa: E402
import evaluate  # noqa: E402, F401
import pyarrow.parquet  # noqa: E402, F401
import torch  # noqa: E402, F401
import transformers.models.auto.modeling_auto  # noqa: E402
import transformers.trainer  # noqa: E402, F401
from transformers.utils import logging  # noqa: E402

logging.set_verbosity_error()  # what matters of it is in the record: newly initialised weights, for one
logging.disable_progress_bar()
datasets.disable_progress_bars()

gc.collect()
gc.enable()
gc.freeze()  # what is imported stays: collections in workers, such as the Trainer's own after training, pass over it
