"""Encoded texts in the cache: each row is the row that was encoded, however the file is parted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bakeoff.contracts.model import Prepared
from bakeoff.contracts.task import Row
from bakeoff.training import encoding
from bakeoff.training.encoding import Encoded, encode

ROWS = {"text": [str(number) for number in range(8)]}


class Numbers(Prepared):
    """A text is a number, and is encoded as so many of itself."""

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, columns: Mapping[str, Sequence[str]]) -> list[Row]:
        self.asked += len(columns["text"])
        return [{"input_ids": [int(text)] * int(text)} for text in columns["text"]]

    def encoding_key(self) -> str:
        return "numbers"

    def collate(self, examples: Sequence[Row]) -> dict[str, Any]:
        raise NotImplementedError

    def predict(self, model: Any, batch: dict[str, Any]) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(("written", "read"), [(3, 10_000), (10_000, 3), (3, 2), (8, 3), (1, 4)])
def test_a_file_in_parts_of_another_size_gives_its_own_rows(
    written: int, read: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = Numbers()
    monkeypatch.setattr(encoding, "AT_ONCE", written)
    encode(prepared, ROWS, cache=tmp_path, fingerprint="f")
    monkeypatch.setattr(encoding, "AT_ONCE", read)
    rows = encode(prepared, ROWS, cache=tmp_path, fingerprint="f")
    assert isinstance(rows, Encoded)
    assert prepared.asked == 8, "encoded once"
    assert [row["input_ids"] for row in rows] == [[number] * number for number in range(8)]
    assert rows[-1]["input_ids"] == [7] * 7
