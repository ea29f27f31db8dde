from __future__ import annotations

import pytest

from bakeoff.text.normalised import normalised


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("My  Printer\nis ON fire", " my printer is on fire ", True),
        ("cafe\u0301", "caf\u00e9", True),
        ("Straße", "STRASSE", True),
        ("no\u00a0break", "no break", True),
        ("fire", "fire!", False),
    ],
)
def test_texts_are_the_same_without_case_white_space_and_unicode_form(one: str, other: str, are_same: bool) -> None:
    assert (normalised(one) == normalised(other)) is are_same
