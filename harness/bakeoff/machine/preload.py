"""The heavy imports of a run, made once by the fork server. No tensor, tokenizer or CUDA call may happen here."""

from __future__ import annotations

import gc

import datasets
import evaluate  # noqa: F401
import pyarrow.parquet  # noqa: F401
import torch  # noqa: F401
import transformers.models.auto.modeling_auto
import transformers.trainer  # noqa: F401
from transformers.utils import logging

logging.set_verbosity_error()  # what matters of it is in the record: newly initialised weights, for one
logging.disable_progress_bar()
datasets.disable_progress_bars()

gc.collect()
gc.freeze()  # what is imported stays: collections in workers, such as the Trainer's own after training, pass over it
