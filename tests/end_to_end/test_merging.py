"""`bakeoff merge`: folders of one experiment become one, and nothing that was measured is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from end_to_end.experiments import call, records, start, write_spec
from end_to_end.test_sharding import HEAD, STRATEGIES

from bakeoff.records.record_files import dump
from bakeoff.records.schema import Failure
from bakeoff.records.store import Store


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a with the runs of `full`, b with those of `head` and full:0 too, all made in this process."""
    folder = tmp_path_factory.mktemp("halves")
    for name, only in {"a": ["full"], "b": ["head", "full:0"]}.items():
        spec = write_spec(folder / name, STRATEGIES, head=HEAD, seeds=2)
        assert call("run", spec, *(word for one in only for word in ("--only", one)), folder=folder).returncode == 0
    return folder


@pytest.fixture
def two(halves: Path, tmp_path: Path) -> Path:
    return shutil.copytree(halves, tmp_path / "two")


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_halves_are_one_experiment_and_pool(two: Path) -> None:
    before = {name: listing(two / name) for name in "ab"}
    merged = call("merge", two / "a", two / "b", "--into", two / "c", folder=two)
    assert merged.returncode == 0, merged.stderr
    assert {name: listing(two / name) for name in "ab"} == before, "the folders merged from stay as they are"
    assert {*records(two / "c")} == {"full/0", "full/1", "head/0", "head/1"}
    assert call("verify", two / "c", folder=two).returncode == 0
    table = json.loads(call("table", two / "c", "--json", folder=two).stdout)
    (group,) = table["groups"]
    assert {row["strategy"]: row["seeds"] for row in group["rows"]} == {"full": 2, "head": 2} or len(group["rows"]) == 2
    done = call("run", two / "c" / "spec.yaml", "--json", folder=two)
    assert (done.returncode, json.loads(done.stdout)["done_now"]) == (0, 0)


def test_of_a_run_that_succeeded_twice_the_first_folders_counts_and_the_other_is_kept_and_compared(two: Path) -> None:
    merged = call("merge", two / "b", two / "a", "--into", two / "c", folder=two)
    own = {name: records(two / name)["full/0"]["seal"] for name in "abc"}
    assert own["c"] == own["b"] != own["a"]
    store = Store(two / "c")
    assert [store.read_in(folder).seal for _, folder in store.archived()] == [own["a"]]
    (line,) = [line for line in merged.stdout.splitlines() if line.startswith("made twice: ")]
    assert "full:0" in line
    assert "equal weights" in line, "on one machine a run is the same to the bit"
    assert "100 % " in line


def test_called_again_it_adds_nothing_and_into_one_of_the_folders_works_too(two: Path) -> None:
    for into in ("c", "c", "a", "a"):
        assert call("merge", two / "a", two / "b", "--into", two / into, folder=two).returncode == 0
    for into in ("a", "c"):
        assert len(records(two / into)) == 4
        assert len([*Store(two / into).archived()]) == 1


def test_two_merges_at_once_leave_each_record_once(two: Path) -> None:
    commands = [start("merge", two / "a", two / "b", "--into", two / "c", folder=two) for _ in range(2)]
    assert [command.wait(timeout=120) for command in commands] == [0, 0]
    assert len(records(two / "c")) == 4
    assert len([*Store(two / "c").archived()]) == 1, "the second record of full:0"
    assert call("verify", two / "c", folder=two).returncode == 0


def test_a_failed_run_yields_to_a_good_one_and_is_kept_as_an_attempt(two: Path) -> None:
    store = Store(two / "b")
    record = store.read(records(two / "b")["full/0"]["id"])
    failure = Failure(reason="diverged", phase="train", message="the loss was not finite")
    failed = record.model_copy(update={"status": "failed", "failure": failure, "scores": {}, "files": {}, "selection": None})
    (store.records / record.id / "record.json").write_bytes(dump(failed))
    merged = call("merge", two / "b", two / "a", "--into", two / "c", folder=two)
    assert merged.returncode == 0, merged.stdout
    assert records(two / "c")["full/0"]["status"] == "ok"
    assert [attempt.reason for attempt in Store(two / "c").attempts()[record.id]] == ["diverged"]
    assert not [line for line in merged.stdout.splitlines() if line.startswith("made twice")]


def test_what_is_damaged_is_named_and_not_copied(two: Path) -> None:
    broken = two / "b" / "records" / records(two / "b")["head/1"]["id"] / "predictions.parquet"
    broken.write_bytes(broken.read_bytes()[:-1])
    merged = call("merge", two / "a", two / "b", "--into", two / "c", folder=two)
    assert merged.returncode == 1
    assert any("head:1" in line and "predictions.parquet" in line for line in merged.stdout.splitlines())
    assert {*records(two / "c")} == {"full/0", "full/1", "head/0"}
    assert not [path for path in (two / "c" / "records").iterdir() if path.name.startswith(".tmp")]


def test_what_is_damaged_in_the_target_is_healed_by_a_whole_copy(two: Path) -> None:
    assert call("merge", two / "a", "--into", two / "c", folder=two).returncode == 0
    target = two / "c" / "records" / records(two / "c")["full/1"]["id"] / "predictions.parquet"
    whole = target.read_bytes()
    target.write_bytes(whole[:-1])
    assert call("merge", two / "a", "--into", two / "c", folder=two).returncode == 0
    assert target.read_bytes() == whole


def test_what_a_run_printed_comes_along_and_damaged_leftovers_stop_nothing(two: Path) -> None:
    own = records(two / "a")["full/1"]["id"]
    (two / "a" / "records" / own / "output.txt").write_text("a library's warning\n")
    leftover = two / "a" / "records" / f".replaced-{own}-0123abcd"
    shutil.copytree(two / "a" / "records" / own, leftover)
    (leftover / "predictions.parquet").unlink()
    merged = call("merge", two / "a", two / "b", "--into", two / "c", folder=two)
    assert (merged.returncode, len(records(two / "c"))) == (0, 4)
    assert (two / "c" / "records" / own / "output.txt").read_text() == "a library's warning\n"


def test_a_folder_within_the_records_is_refused(two: Path) -> None:
    before = listing(two / "a")
    refused = call("merge", two / "a", two / "b", "--into", two / "a" / "records", folder=two)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert listing(two / "a") == before
    bare = call("merge", two / "nothing", "--into", two / "nothing", folder=two)
    assert (bare.returncode, "nothing" in bare.stderr) == (2, True)


def test_a_run_made_twice_from_other_data_is_told_so(two: Path) -> None:
    store = Store(two / "b")
    record = store.read(records(two / "b")["full/0"]["id"])
    splits = {name: split.model_copy(update={"fingerprint": "f" * 64}) for name, split in record.data.splits.items()}
    other = record.model_copy(update={"data": record.data.model_copy(update={"splits": splits})})
    (store.records / record.id / "record.json").write_bytes(dump(other))
    merged = call("merge", two / "a", two / "b", "--into", two / "c", folder=two)
    (line,) = [line for line in merged.stdout.splitlines() if line.startswith("made twice: ")]
    assert ("not made from" in line, "answers" in line) == (True, False)


@pytest.mark.parametrize(
    ("key", "old", "new", "told"),
    [
        ("seeds", "seeds: 2", "seeds: 3", "full:2"),
        ("recipe", "max_steps: 4", "max_steps: 3", "full:0"),
        ("margin", "seeds: 2", "seeds: 2\nmargin: 5.0", "margin"),
    ],
)
def test_what_was_declared_apart_is_refused_and_nothing_is_written(two: Path, key: str, old: str, new: str, told: str) -> None:
    other = two / "other" / "spec.yaml"
    other.parent.mkdir()
    other.write_text((two / "a" / "spec.yaml").read_text().replace(old, new))
    assert call("run", other, "--only", "head:0", folder=two).returncode == 0
    refused = call("merge", two / "a", two / "other", "--into", two / "c", folder=two)
    assert (refused.returncode, told in refused.stderr, len(refused.stderr.splitlines())) == (2, True, 1), key
    assert not (two / "c").exists()


def test_folders_without_an_experiment_are_named(two: Path) -> None:
    for folders in ([two / "nothing"], [two / "a", two]):
        refused = call("merge", *folders, "--into", two / "c", folder=two)
        assert (refused.returncode, str(folders[-1].name) in refused.stderr) == (2, True)
    assert call("merge", "--into", two / "c", folder=two).returncode == 2
    assert not (two / "c").exists()
