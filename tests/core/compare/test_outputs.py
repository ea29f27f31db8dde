"""Answers as statistics hold them."""

from __future__ import annotations

import numpy as np
import pytest

from bakeoff.compare.outputs import label_type


@pytest.mark.parametrize("classes", [2, 1000, 32_768, 32_769, 70_000])
def test_the_last_of_many_labels_keeps_its_number(classes: int) -> None:
    last = np.asarray([classes - 1])
    assert last.astype(label_type(classes)).tolist() == last.tolist()
    assert label_type(classes)().nbytes == (2 if classes <= 32_768 else 4)
