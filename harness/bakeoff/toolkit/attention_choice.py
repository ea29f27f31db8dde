"""Whether a model's family has the attention that an experiment file asks for."""

from __future__ import annotations

from pathlib import Path

from bakeoff.errors import ModelError
from bakeoff.text.values import listed
from bakeoff.text.words import shown_path
from bakeoff.toolkit.model_folder import read_config

SUPPORT = {"sdpa": "_supports_sdpa", "flex_attention": "_supports_flex_attn"}
"""transformers' name of an implementation -> the attribute by which its classes (5.x) say that they have it. All have
`eager`."""


def require_attention(folder: Path, wanted: str | None) -> None:
    """Raises ModelError where the classifier in the folder does not have this implementation of attention."""
    if wanted is None:
        return
    from transformers import AutoConfig, AutoModelForSequenceClassification

    read_config(folder)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        family = AutoModelForSequenceClassification._model_mapping[type(config)]
    except Exception:  # no classifier of transformers, or a damaged file: building it says so
        return
    there = ["eager", *(name for name, attribute in SUPPORT.items() if getattr(family, attribute, False))]
    if wanted not in there:
        raise ModelError(f"attn_implementation: {family.__name__} ({shown_path(folder)}) has {listed(there)}, not {wanted}")
