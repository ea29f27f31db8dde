"""Progress below a notebook's cell: one output that is drawn anew, whose texts are text."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from builders import make_record

from bakeoff.cli import notebook_progress
from bakeoff.cli.notebook_progress import NotebookProgress, notebook_display

RUN: Any = SimpleNamespace(id="r1", title="<b>full</b> seed 0")


class Cell:
    """IPython's `display`, and the handle that it returns."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __call__(self, drawn: Any, *, display_id: bool) -> Cell:
        assert display_id
        self.shown.append(drawn._repr_html_())
        return self

    def update(self, drawn: Any) -> None:
        self.shown.append(drawn._repr_html_())


@pytest.fixture
def cell() -> Cell:
    return Cell()


def test_one_output_tells_how_far_each_run_and_all_runs_are(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook_progress, "EVERY_SECONDS", 0.0)
    with NotebookProgress(cell) as progress:
        progress.start(total=4, done=1)
        progress.begin(RUN)
        progress.update(RUN, "train", 15, 60, 0.25)
        assert 'value="0.2500"' in cell.shown[-1]
        assert "step 15 of 60" in cell.shown[-1]
        assert "1 of 4 runs" in cell.shown[-1]
        progress.end(RUN, make_record("full", 0))
        assert "2 of 4 runs" in cell.shown[-1]
    assert cell.shown[-1].count("<progress") == 1
    assert "seed 0: accuracy" in repr(progress)


def test_names_are_shown_as_text(cell: Cell) -> None:
    with NotebookProgress(cell) as progress:
        progress.begin(RUN)
        progress.note("<script>alert(1)</script>\x1b[31m")
    assert "<b>full" not in "".join(cell.shown)
    assert "<script" not in "".join(cell.shown)
    assert "\x1b" not in "".join(cell.shown) + repr(progress)


def test_it_is_drawn_twice_a_second_at_most_while_steps_come(cell: Cell) -> None:
    with NotebookProgress(cell) as progress:
        progress.begin(RUN)
        for step in range(1000):
            progress.update(RUN, "train", step, 1000, None)
    assert len(cell.shown) < 20


def test_an_interrupt_leaves_no_run_that_seems_to_go_on(cell: Cell) -> None:
    progress = NotebookProgress(cell)
    progress.start(total=2, done=0)
    progress.begin(RUN)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert "continues" in cell.shown[-1]
    assert "starting" not in cell.shown[-1]


@pytest.mark.parametrize(("shell", "found"), [(None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)])
def test_only_a_kernel_is_a_notebook(shell: object, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    display = SimpleNamespace(display=print)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))  # type: ignore[misc]
    monkeypatch.setitem(sys.modules, "IPython.display", display)  # type: ignore[misc]
    assert (notebook_display() is not None) is found
    monkeypatch.delitem(sys.modules, "IPython")
    assert notebook_display() is None
