"""The environment variables of a command: those of an allow-list, and those that its option `env` names."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bakeoff.plugin import PluginError

ALLOWED: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_CACHE_HOME", "SSL_CERT_FILE"),
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS"),
        *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG"),
        *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "TORCH_HOME"),
        *("TOKENIZERS_PARALLELISM", "VIRTUAL_ENV"),
    }
)
"""Names of the variables that every command gets; it also gets those whose name begins with LC_."""


def environment(names: Sequence[str]) -> dict[str, str]:
    """The variables that a command gets, with their values. names: those that `env` names. Raises PluginError if one of these
    is not set."""
    for name in names:
        if name not in os.environ:
            raise PluginError(f"env: the variable {name} is not set here: set it, or leave it out of `env`")
    taken = {name: value for name, value in os.environ.items() if name in ALLOWED or name.startswith("LC_") or name in names}
    folders = [str(Path(sys.executable).parent), taken.get("PATH", os.defpath)]
    return {**taken, "PATH": os.pathsep.join(folders), "PYTHONUNBUFFERED": "1"}


def secrets(names: Sequence[str]) -> list[str]:
    """The values of the variables that `env` names, which are masked in all that a command prints."""
    return [os.environ[name] for name in names if name in os.environ]
