"""A folder of results that a stranger has made, full of links that lead out: each verb leaves what they lead to as it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import MRPC_ON_HUB, drawn_answers, make_folder
from core.calling import Call, everything
from messages import tells

from bakeoff.errors import StoreError
from bakeoff.records.store import Store
from bakeoff.report.text.hub_cards import is_ours

LABELS = np.arange(60) % 3 // 2
RESULTS = "- dataset: {id: x, task_id: accuracy}\n  value: 1.0\n  notes: accuracy on test; made with bakeoff\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with its records."""
    answers = {name: drawn_answers(LABELS, seeds=2, accuracy=0.8, seed=number) for number, name in enumerate("ab")}
    hub = {"glue/mrpc": MRPC_ON_HUB}
    return make_folder(tmp_path_factory.mktemp("made") / "e", answers, LABELS, hub_datasets=hub)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "folder"))


@pytest.fixture
def outside(made: Path, tmp_path: Path) -> Path:
    """What belongs to somebody else, under the names that the verbs use."""
    place = tmp_path / "outside"
    shutil.copytree(made, place / "experiment")
    (place / "results").mkdir()
    for name in ("old.yaml", "model-index.yaml"):
        (place / "results" / name).write_text(RESULTS)
    (place / "step-000000001").mkdir()
    (place / "step-000000001" / "state.json").write_text("{}")
    (place / "file").write_text("theirs")
    return place


def replaced(path: Path, link_to: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(link_to)


def hard_linked(path: Path, to: Path) -> None:
    path.unlink(missing_ok=True)
    path.hardlink_to(to)


def first_run(folder: Path) -> Path:
    return min(path for path in (folder / "records").iterdir() if path.is_dir())


OUTPUTS = ("table.md", "table.csv", "report.html", "table.tex", "model-index.yaml")
Plant = Callable[[Path, Path], object]
PLANTS: dict[str, Plant] = {
    "records": lambda folder, outside: replaced(folder / "records", outside / "experiment" / "records"),
    "records, dangling": lambda folder, outside: replaced(folder / "records", outside / "nowhere"),
    "records, the folder itself": lambda folder, outside: replaced(folder / "records", Path()),
    "plan.json": lambda folder, outside: replaced(folder / "records" / "plan.json", outside / "experiment/records/plan.json"),
    "plan.json, no plan": lambda folder, outside: replaced(folder / "records" / "plan.json", outside / "file"),
    "a run": lambda folder, outside: replaced(first_run(folder), first_run(outside / "experiment")),
    "a record": lambda folder, outside: replaced(first_run(folder) / "record.json", outside / "file"),
    "temporary": lambda folder, outside: [replaced(folder / at / ".tmp-x", outside) for at in (".", "records")],
    ".eval_results": lambda folder, outside: replaced(folder / ".eval_results", outside / "results"),
    ".eval_results, dangling": lambda folder, outside: replaced(folder / ".eval_results", outside / "nowhere"),
    ".eval_results, folder above": lambda folder, outside: replaced(folder / ".eval_results", Path("../outside/results")),
    "in .eval_results": lambda folder, outside: [
        (folder / ".eval_results").mkdir(),
        replaced(folder / ".eval_results" / "old.yaml", outside / "results" / "old.yaml"),
        hard_linked(folder / ".eval_results" / "hard.yaml", outside / "results" / "old.yaml"),
    ],
    "trackers": lambda folder, outside: replaced(folder / "tracked", outside),
    "outputs": lambda folder, outside: [replaced(folder / name, outside / "file") for name in OUTPUTS],
    "outputs, dangling": lambda folder, outside: [replaced(folder / name, outside / f"new {name}") for name in OUTPUTS],
    "outputs, hard links": lambda folder, outside: [hard_linked(folder / name, outside / "file") for name in OUTPUTS],
}
READERS, WRITERS, EXPORT = (("verify",), ("rescore",)), (("table",), ("report",)), ("export", "--to", "notes")
OF_READERS = {"records", "plan.json", "a run", "a record"}
OF_EXPORTS = {"trackers", "a run", "a record"}


@pytest.mark.parametrize("plant", PLANTS)
def test_what_links_lead_to_stays_as_it_is(plant: str, folder: Path, outside: Path, call: Call) -> None:
    PLANTS[plant](folder, outside)
    before = everything(outside)
    readers = READERS if plant.split(",")[0] in OF_READERS else ()
    for verb, *options in (*WRITERS, *readers, *([EXPORT] if plant in OF_EXPORTS else ())):
        code, out, err = call(verb, folder, *options)
        assert everything(outside) == before, verb
        assert "Traceback" not in out + err, verb
        assert code in {0, 1, 2}, verb
        assert code != 2 or len(err.strip().splitlines()) == 1, err
        assert code < 2 or f"{folder}" in err, verb


def test_a_report_behind_a_link_is_refused_before_anything_is_written(folder: Path, outside: Path, call: Call) -> None:
    replaced(folder / ".eval_results", outside / "results")
    before = everything(folder)
    code, out, err = call("report", folder)
    assert (code, out) == (2, "")
    assert tells(err, "", f"{folder / '.eval_results'} ", "symbolic link")
    assert everything(folder) == before


def test_a_folder_that_is_named_may_be_a_link(folder: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "named").symlink_to(folder)
    for verb in ("table", "report"):
        assert call(verb, tmp_path / "named")[0] == 0, verb
    assert "4 of 4" not in call("verify", folder)[1], "their ids are made up"
    assert call("verify", tmp_path / "named") == call("verify", folder)
    assert (folder / "report.html").is_file()
    assert list((folder / ".eval_results").iterdir())
    other = tmp_path / "into"
    (tmp_path / "link").symlink_to(other)
    other.mkdir()
    assert call("report", folder, "--into", tmp_path / "link")[0] == 0
    assert (other / "report.html").is_file()


def test_only_results_that_bakeoff_wrote_are_removed(folder: Path, call: Call) -> None:
    results = folder / ".eval_results"
    results.mkdir()
    kept = {
        "comment.yaml": "# not made with bakeoff\n- {value: 1.0, notes: mine}\n",
        "mine.yaml": "- {value: 1.0, notes: compared with one made with bakeoff by me}\n",
        "mixed.yaml": RESULTS + "- {value: 2.0, notes: mine}\n",
        "no list.yaml": "notes: made with bakeoff\n",
        "damaged.yaml": "[" * 5000 + "made with bakeoff",
        "large.yaml": RESULTS * 20_000,
        "bomb.yaml": "".join(f"- &a{n + 1} {{notes: [{', '.join(9 * [f'*a{n}'])}]}}\n" for n in range(20)).replace(
            ", ".join(9 * ["*a0"]), "made with bakeoff"
        ),
        "ours.yml": RESULTS,
        "ours.txt": RESULTS,
    }
    for name, text in {**kept, "ours.yaml": RESULTS}.items():
        (results / name).write_text(text)
    (results / "folder.yaml").mkdir()
    os.mkfifo(results / "fifo.yaml")
    assert call("report", folder)[0] == 0
    left = {path.name for path in results.iterdir()}
    assert {*kept, "folder.yaml", "fifo.yaml"} <= left
    assert "ours.yaml" not in left
    written = [path for path in results.iterdir() if path.name not in {*kept, "folder.yaml", "fifo.yaml"}]
    assert written
    assert all(is_ours(path.read_bytes()) for path in written)


@pytest.mark.parametrize("place", ["records", "records/.checkpoints-r1-0"])
def test_a_run_is_refused_where_its_files_would_lie_behind_a_link(place: str, folder: Path, outside: Path) -> None:
    replaced(folder / place, outside)
    before = everything(outside)
    with pytest.raises(StoreError, match="is a symbolic link"):
        Store(folder).refuse_links()
    Store(folder).sweep()
    assert everything(outside) == before
