"""The task `docstrings` on the installed libraries: deterministic, split by file, learnable, without shortcuts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bakeoff.plugin import Paths
from bakeoff_docstrings import Docstrings
from bakeoff_docstrings.pairs import SPLITS, Pair
from bakeoff_docstrings.sources import DISTRIBUTIONS

COLD_BUILD = """
import sys
from pathlib import Path
from bakeoff.plugin import Paths
from bakeoff_docstrings import Docstrings
Docstrings().pairs(Paths(data=None, cache=Path(sys.argv[1])))
print(*{"datasets", "networkx", "scipy", "sklearn", "sympy", "torch"} & set(sys.modules))  # pandas comes with Arrow
"""


@pytest.fixture(scope="module")
def cold_builds(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    """Two builds at once, each in a process with its own hash seed: the cache and the imported modules of each."""
    folders = [tmp_path_factory.mktemp(f"hash_seed_{seed}") for seed in (1, 2)]
    builds = [
        subprocess.Popen(
            [sys.executable, "-c", COLD_BUILD, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, folder in enumerate(folders, start=1)
    ]
    imported = [build.communicate()[0].strip() for build in builds]
    assert [build.returncode for build in builds] == [0, 0]
    return list(zip(folders, imported, strict=True))


@pytest.fixture(scope="module")
def pairs(cold_builds: list[tuple[Path, str]]) -> list[Pair]:
    return Docstrings().pairs(Paths(data=None, cache=cold_builds[0][0]))


def of(pairs: list[Pair], *splits: str) -> list[Pair]:
    return [pair for pair in pairs if pair.split in splits]


def test_two_processes_build_the_same_bytes(cold_builds: list[tuple[Path, str]]) -> None:
    first, second = (next((folder / "docstrings").iterdir()) for folder, _ in cold_builds)
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_reading_imports_none_of_the_libraries(cold_builds: list[tuple[Path, str]]) -> None:
    assert [imported for _, imported in cold_builds] == ["", ""]


def test_no_file_crosses_splits(pairs: list[Pair]) -> None:
    files = {split: {f for pair in of(pairs, split) for f in (pair.file, pair.paragraph_file)} for split in SPLITS}
    assert not files["train"] & files["dev"]
    assert not files["train"] & files["test"]
    assert not files["dev"] & files["test"]


def test_ids_texts_and_pairs_are_unique(pairs: list[Pair]) -> None:
    for texts in (
        [pair.id for pair in pairs],
        [pair.summary.lower() for pair in pairs],
        [pair.paragraph.lower() for pair in pairs],
    ):
        assert len(set(texts)) == len(texts)


def test_there_are_enough_pairs_and_two_thirds_belong(pairs: list[Pair]) -> None:
    assert len(pairs) > 3000
    for split, share in zip(SPLITS, (0.70, 0.15, 0.15), strict=True):
        labels = [pair.label for pair in of(pairs, split)]
        assert 0.60 <= np.mean(labels) <= 0.72
        assert abs(len(labels) / len(pairs) - share) < 0.07


def test_every_slice_is_in_every_split(pairs: list[Pair]) -> None:
    for split in SPLITS:
        assert {pair.library for pair in of(pairs, split)} == set(Docstrings().source_versions())
        assert {pair.length for pair in of(pairs, split)} == {"short", "medium", "long"}


@pytest.mark.parametrize("size", [64, 512, 2048])
def test_a_part_keeps_the_shares(pairs: list[Pair], size: int) -> None:
    part = pairs[:size]
    for split in SPLITS:
        assert abs(len(of(part, split)) / size - len(of(pairs, split)) / len(pairs)) < 0.02
        assert abs(np.mean([pair.label for pair in of(part, split)]) - 2 / 3) < 0.07


def test_texts_are_short_and_ids_name_no_folder_of_this_machine(pairs: list[Pair]) -> None:
    assert max(len(pair.summary.split()) for pair in pairs) <= 20
    assert max(len(pair.paragraph.split()) for pair in pairs) <= 32
    assert {pair.id.split("/")[0] for pair in pairs} == set(DISTRIBUTIONS)


# --- learnable, and without shortcuts: a linear model stands for what could be learned without reading ----------------


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z_]+", text.lower())) - ENGLISH_STOP_WORDS


def overlap(pair: Pair) -> list[float]:
    summary, paragraph = words(pair.summary), words(pair.paragraph)
    common = len(summary & paragraph)
    return [common, common / max(1, len(summary)), common / max(1, len(paragraph)), len(summary), len(paragraph)]


def labels_of(pairs: list[Pair]) -> list[int]:
    return [pair.label for pair in pairs]


def test_word_overlap_tells_much_but_not_all(pairs: list[Pair]) -> None:
    train, held_out = of(pairs, "train"), of(pairs, "dev", "test")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit([overlap(pair) for pair in train], labels_of(train))
    accuracy = model.score([overlap(pair) for pair in held_out], labels_of(held_out))
    assert np.mean(labels_of(held_out)) + 0.07 < accuracy < 0.90


@pytest.mark.parametrize("column", ["summary", "paragraph"])
def test_one_text_alone_tells_nothing(pairs: list[Pair], column: str) -> None:
    train, held_out = of(pairs, "train"), of(pairs, "dev", "test")
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2), LogisticRegression())
    model.fit([getattr(pair, column) for pair in train], labels_of(train))
    accuracy = model.score([getattr(pair, column) for pair in held_out], labels_of(held_out))
    assert accuracy <= np.mean(labels_of(held_out)) + 0.03


def test_a_functions_name_in_the_paragraph_is_seldom_what_gives_it_away(pairs: list[Pair]) -> None:
    """Where it stands, a reader would look for it too; only it must not be the rule."""
    named = [pair.id.split(":")[1].split(".")[-1].lower() in pair.paragraph.lower() for pair in pairs if pair.label]
    assert np.mean(named) < 0.3
