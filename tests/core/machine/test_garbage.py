"""What is read in the context is never searched for cycles, and collection goes on as before."""

from __future__ import annotations

import gc

import pytest

from bakeoff.machine.garbage import without_collection


@pytest.fixture(autouse=True)
def _thawed() -> object:
    yield
    gc.unfreeze()
    gc.enable()


def test_what_was_made_is_not_searched_later_and_what_is_made_afterwards_is() -> None:
    before = gc.get_freeze_count()
    with without_collection():
        assert not gc.isenabled()
        made = [[number] for number in range(1000)]
    assert gc.get_freeze_count() >= before + len(made)
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off() -> None:
    gc.disable()
    with without_collection():
        pass
    assert not gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="read"), without_collection():
        raise ValueError("cannot be read")
    assert gc.isenabled()
