"""Nothing is written or deleted outside the folder that the user named, and only plain files are opened."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from core.calling import everything

from bakeoff import files
from bakeoff.errors import StoreError
from bakeoff.files import Tree, open_regular, read_regular, temporary_folder, temporary_name

Change = Callable[[Tree, Path], object]
"""Something that is done at a path below the root."""

CHANGES: dict[str, Change] = {
    "make": lambda tree, path: tree.make(path),
    "make_fresh": lambda tree, path: tree.make_fresh(path),
    "write": lambda tree, path: tree.write(path, b"ours"),
    "create": lambda tree, path: tree.create(path, b"ours"),
    "append_to": lambda tree, path: os.close(tree.append_to(path)),
    "move": lambda tree, path: (tree.write(tree.root / "new", b"ours"), tree.move(tree.root / "new", path)),
    "move away": lambda tree, path: tree.move(path, tree.root / "moved"),
    "remove": lambda tree, path: tree.remove(path),
    "remove_folder": lambda tree, path: tree.remove_folder(path),
    "touch": lambda tree, path: tree.touch(path),
    "read": lambda tree, path: tree.read(path),
    "names": lambda tree, path: tree.names(path),
    "sync": lambda tree, path: tree.sync(path),
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else."""
    folder = tmp_path / "outside"
    (folder / "step-1").mkdir(parents=True)
    (folder / "theirs").write_bytes(b"theirs")
    (folder / "step-1" / "state").write_bytes(b"theirs")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "root").mkdir()
    return Tree(tmp_path / "root")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["theirs", "new", "step-1"])
@pytest.mark.parametrize("to", ["absolute", "relative", "folder above"])
def test_nothing_happens_behind_a_link_on_the_way(change: str, name: str, to: str, tree: Tree, outside: Path) -> None:
    link = tree.root / ".tmp-link"
    link.symlink_to({"absolute": outside, "relative": Path("../outside"), "folder above": ".."}[to])
    place = link / "outside" if to == "folder above" else link
    before = everything(outside)
    with pytest.raises(StoreError, match="symbolic link") as refused:
        CHANGES[change](tree, place / name)
    assert str(link) in str(refused.value)
    assert everything(outside) == before


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("target", ["theirs", "step-1", "nowhere"])
def test_a_link_in_the_place_is_replaced_removed_or_refused_and_never_followed(
    change: str, target: str, tree: Tree, outside: Path
) -> None:
    path = tree.root / ".tmp-link"
    path.symlink_to(outside / target)
    before = everything(outside)
    replaced = {"write", "move", "remove", "remove_folder", "move away", "touch"}
    with nullcontext() if change in replaced else suppress(StoreError, OSError):
        CHANGES[change](tree, path)
    assert everything(outside) == before
    assert path.is_symlink() == (change not in replaced - {"touch"})
    if change in {"write", "move"}:
        assert path.read_bytes() == b"ours"


@pytest.mark.parametrize("change", ["write", "move", "remove", "remove_folder"])
def test_a_file_with_another_name_outside_keeps_its_content_there(change: str, tree: Tree, outside: Path) -> None:
    path = tree.root / ".tmp-x"
    path.hardlink_to(outside / "theirs")
    CHANGES[change](tree, path)
    assert (outside / "theirs").read_bytes() == b"theirs"
    assert (outside / "theirs").stat().st_nlink == 1


def test_the_named_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "named").symlink_to("disk")
    tree = Tree(tmp_path / "named")
    tree.make(tree.root / "a" / "b")
    tree.write(tree.root / "a" / "b" / "file", b"1")
    assert (tmp_path / "disk" / "a" / "b" / "file").read_bytes() == b"1"
    tree.remove(tree.root / "a" / "b" / "file")
    assert not list((tmp_path / "disk" / "a" / "b").iterdir())


@pytest.mark.parametrize("to", ["nowhere", "named"])
def test_a_named_folder_that_leads_nowhere_is_told(to: str, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(to)
    tree = Tree(tmp_path / "named")
    with pytest.raises(StoreError, match="a symbolic link"):
        tree.make(tree.root / "a")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere(tree: Tree, outside: Path) -> None:
    """A real race: one thread swaps a folder and a link, the other writes and deletes by the same path."""
    place, aside, link = tree.root / ".tmp-a", tree.root / "aside", tree.root / "link"
    tree.make(place)
    link.symlink_to(outside)
    before, ends, swaps = everything(outside), time.monotonic() + 0.5, 0

    def swap() -> None:
        nonlocal swaps
        while time.monotonic() < ends:
            place.rename(aside)
            link.rename(place)
            place.rename(link)
            aside.rename(place)
            swaps += 1

    other = threading.Thread(target=swap)
    other.start()
    refused = done = 0
    while other.is_alive():
        for change in ("write", "create", "remove", "remove_folder"):
            for name in ("theirs", "step-1"):
                try:
                    CHANGES[change](tree, place / name)
                    done += 1
                except (StoreError, OSError):
                    refused += 1
    other.join()
    assert everything(outside) == before
    assert min(done, refused, swaps) > 0


def test_a_folder_that_is_held_open_is_written_to_whatever_takes_its_name(tree: Tree, outside: Path) -> None:
    place = tree.make(tree.root / "a")
    before = everything(outside)
    with tree.writing(place / "theirs") as stream:
        stream.write(b"ours")
        place.rename(tree.root / "b")
        place.symlink_to(outside)
    assert everything(outside) == before
    assert (tree.root / "b" / "theirs").read_bytes() == b"ours"


@pytest.mark.parametrize("name", ["data", "records", "step-1", ".git", "models", ".tmp", "r1-0"])
def test_a_folder_that_is_none_of_ours_is_not_deleted(name: str, tree: Tree) -> None:
    tree.write(tree.make(tree.root / name) / "theirs", b"")
    with pytest.raises(StoreError, match="folder that Bakeoff"):
        tree.remove_folder(tree.root / name)
    assert (tree.root / name / "theirs").is_file()


@pytest.mark.parametrize("name", [".tmp-r1-0-x", ".checkpoints-r1-0", ".checkpoints-r1-0/step-1", ".tmp-x/any/thing", "model"])
def test_a_folder_of_ours_is_deleted_and_what_its_links_lead_to_is_not(name: str, tree: Tree, outside: Path) -> None:
    place = tree.make(tree.root / name / "below")
    (place / "link").symlink_to(outside)
    (place / "file").symlink_to(outside / "theirs")
    before = everything(outside)
    tree.remove_folder(tree.root / name)
    assert not (tree.root / name).exists()
    assert everything(outside) == before
    tree.remove_folder(tree.root / name)  # missing is fine


def test_a_path_outside_the_tree_is_refused(tree: Tree, outside: Path) -> None:
    with pytest.raises(StoreError, match="is outside"):
        tree.write(tree.root / ".." / "outside" / "theirs", b"")
    with pytest.raises(ValueError, match="subpath"):
        tree.write(outside / "theirs", b"")
    with pytest.raises(StoreError, match="the folder itself"):
        tree.remove(tree.root)
    with pytest.raises(StoreError, match="folder that Bakeoff"):
        tree.remove_folder(tree.root)


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, OSError])
def test_a_file_is_replaced_whole_or_not_at_all(raised: type[BaseException], tree: Tree) -> None:
    path = tree.root / "table.md"
    tree.write(path, b"old")

    def fail_half_way() -> None:
        with tree.writing(path) as stream:
            stream.write(b"half")
            raise raised

    with pytest.raises(raised):
        fail_half_way()
    assert path.read_bytes() == b"old"
    tree.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert tree.names(tree.root) == ["table.md"]


def test_a_full_disk_leaves_the_old_file_and_names_the_new_one(tree: Tree) -> None:
    path = tree.root / "table.md"
    tree.write(path, b"old")
    code = f"""
import resource, signal
from pathlib import Path
from bakeoff.files import Tree
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Tree(Path({str(tree.root)!r})).write(Path({str(path)!r}), bytes(2000))
except OSError as error:
    print(error.errno, error.filename)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == [str(errno.EFBIG), str(path)]
    assert path.read_bytes() == b"old"
    assert tree.names(tree.root) == ["table.md"]


@pytest.mark.parametrize(
    ("change", "name", "raised"),
    [
        ("write", "missing/a", FileNotFoundError),
        ("write", "file/a", NotADirectoryError),
        ("write", "folder", IsADirectoryError),
        ("make", "file", NotADirectoryError),
        ("make_fresh", "folder", FileExistsError),
        ("create", "file", FileExistsError),
        ("touch", "missing", FileNotFoundError),
        ("remove", "folder", IsADirectoryError),
        ("move away", "missing", FileNotFoundError),
        ("names", "file", NotADirectoryError),
        ("read", "folder", IsADirectoryError),
    ],
)
def test_errors_of_the_system_name_the_whole_path(change: str, name: str, raised: type[OSError], tree: Tree) -> None:
    tree.write(tree.root / "file", b"1")
    tree.write(tree.make(tree.root / "folder") / "in it", b"1")
    with pytest.raises(raised) as error:
        CHANGES[change](tree, tree.root / name)
    assert str(tree.root) in str(error.value.filename)


def test_the_name_of_an_unfinished_copy_fits_beside_the_longest_name(tree: Tree) -> None:
    for name in ("a" * 255, "ü" * 127, "😀" * 63):
        assert len(os.fsencode(temporary_name(name))) <= 255
        tree.write(tree.root / name, b"1")
        assert tree.read(tree.root / name) == b"1"


def test_a_log_is_appended_to(tree: Tree) -> None:
    for line in (b"1", b"2"):
        descriptor = tree.append_to(tree.root / "log")
        os.write(descriptor, line)
        os.close(descriptor)
    assert tree.read(tree.root / "log") == b"12"


# --- what is opened ---


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """What is no plain file, by kind."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's name has room for some 100 bytes
        server.bind("socket")
        os.chdir(here)
        yield {
            "fifo": tmp_path / "fifo",
            "link to a fifo": tmp_path / "link",
            "socket": tmp_path / "socket",
            "device": Path("/dev/zero"),
            "folder": tmp_path / "folder",
        }


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("fifo", "a named pipe"),
        ("link to a fifo", "a named pipe"),
        ("socket", "a socket"),
        ("device", "a device"),
        ("folder", "a folder"),
    ],
)
def test_what_is_no_plain_file_is_refused_at_once(kind: str, words: str, odd: dict[str, Path]) -> None:
    for read in (open_regular, read_regular):
        with pytest.raises(OSError, match=words) as refused:
            read(odd[kind])
        assert refused.value.filename == str(odd[kind])
        assert refused.value.strerror.startswith("it is ")


@pytest.mark.parametrize(("size", "content", "read"), [(2**20, b"", True), (2**31, b"", False), (2**31, b"a", False)])
def test_a_large_file_that_is_a_hole_is_not_read(size: int, content: bytes, read: bool, tmp_path: Path) -> None:
    path = tmp_path / "hollow"
    path.write_bytes(content)
    os.truncate(path, size)
    if read:
        assert read_regular(path) == bytes(size)
        return
    with pytest.raises(
        OSError, match=r"2,147,483,648 bytes, of which the disk stores [0-9,]+: the rest would be read as zeros"
    ):
        open_regular(path)


@pytest.mark.parametrize("kind", ["fifo", "link to a fifo", "socket", "folder"])
def test_a_tree_opens_plain_files_only(kind: str, odd: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises((OSError, StoreError)):
        Tree(tmp_path).read(odd[kind])
    Tree(tmp_path.parent).sync(tmp_path)  # a pipe in it is not waited for


def test_a_pipe_that_takes_the_file_s_place_meanwhile_is_not_waited_for(
    odd: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"1")
    look = os.stat
    monkeypatch.setattr(files.reading.os, "stat", lambda path, **more: look(plain if path == odd["fifo"] else path, **more))
    with pytest.raises(OSError, match="a named pipe"):
        open_regular(odd["fifo"])


def test_a_sparse_file_is_not_read_beyond_what_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(60 * 2**30)
    with pytest.raises(OSError, match="64,424,509,440 bytes; at most") as refused:
        read_regular(path, at_most=1000)
    assert refused.value.errno == errno.EFBIG


def test_what_is_the_most_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 100_000)
    assert read_regular(path, at_most=2**50) == path.read_bytes()


def test_a_file_of_just_the_size_is_read_and_one_that_grows_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_regular(path, at_most=5) == b"12345"
    with pytest.raises(OSError, match="5 bytes"):
        read_regular(path, at_most=4)
    assert len(read_regular(Path("/proc/self/maps"))) > 0  # it tells no size
    with pytest.raises(OSError, match="11 bytes"):
        read_regular(Path("/proc/self/maps"), at_most=10)


def test_a_temporary_folder_is_gone_with_all_in_it(tmp_path: Path) -> None:
    with temporary_folder(".keep-", below=tmp_path / "cache") as folder:
        (folder / "a").write_bytes(b"1")
        assert folder.parent == tmp_path / "cache"
        assert folder.name.startswith(".keep-")
    assert not folder.exists()


def test_an_error_names_one_path_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "below" / "it", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="Not a directory") as raised:
            Tree(tmp_path).write(path, b"")
        assert str(raised.value).endswith(f"'{raised.value.filename}'")


@pytest.mark.parametrize("how", ["moved", "written"])
@pytest.mark.parametrize("code", [errno.ENOENT, errno.EEXIST])
def test_a_rename_that_succeeds_and_is_reported_as_failed_is_none(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, how: str, code: int
) -> None:
    """As over NFS, where a request may be sent twice."""
    tree.write(tree.root / "a", b"ours")
    tree.write(tree.root / "b", b"before")
    real = os.rename

    def twice(*names: str, **folders: int) -> None:
        real(*names, **folders)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "rename", twice)
    if how == "moved":
        tree.move(tree.root / "a", tree.root / "b")
    else:
        tree.write(tree.root / "b", b"ours")
    assert (tree.root / "b").read_bytes() == b"ours"
    assert not [path for path in tree.root.iterdir() if path.name.startswith(".tmp-")]


def test_a_rename_that_fails_is_an_error_whatever_lies_there(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        tree.write(tree.root / name, b"alike")

    def fail(*names: str, **folders: int) -> None:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(os, "rename", fail)
    for change in (lambda: tree.move(tree.root / "a", tree.root / "b"), lambda: tree.write(tree.root / "b", b"alike")):
        with pytest.raises(FileNotFoundError):
            change()
    assert sorted(path.name for path in tree.root.iterdir()) == ["a", "b"]


def test_the_clock_of_a_folder_is_the_one_that_dates_its_files(tree: Tree) -> None:
    path = tree.root / "a"
    tree.write(path, b"")
    first = path.stat().st_mtime
    now = tree.clock(tree.root)
    tree.touch(path)
    assert first <= now <= path.stat().st_mtime
    assert list(tree.root.iterdir()) == [path]
