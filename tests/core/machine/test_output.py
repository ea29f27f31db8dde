"""What a run prints is kept in a file that stays small, its beginning and its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakeoff.machine.output import HEAD_BYTES, TAIL_BYTES, CappedOutput, cut, gap, last_line


def test_a_short_output_is_kept_whole(tmp_path: Path) -> None:
    output = CappedOutput(tmp_path / "out")
    for word in (b"one\n", b"", b"two\n"):
        output.add(word)
    output.close()
    assert (tmp_path / "out").read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("chunk", [1_000, 2**16, 10 * 2**20])
def test_a_long_output_keeps_its_beginning_and_its_end(tmp_path: Path, chunk: int) -> None:
    content = b"".join(b"%09d\n" % number for number in range(1_000_000))
    output, path = CappedOutput(tmp_path / "out"), tmp_path / "out"
    for start in range(0, len(content), chunk):
        output.add(content[start : start + chunk])
        assert path.stat().st_size <= HEAD_BYTES, "while it is written too"
    output.close()
    left_out = len(content) - HEAD_BYTES - TAIL_BYTES
    assert path.read_bytes() == content[:HEAD_BYTES] + gap(left_out) + content[-TAIL_BYTES:]
    assert last_line(path) == "000999999"


def test_an_output_of_just_the_size_lacks_nothing(tmp_path: Path) -> None:
    output = CappedOutput(tmp_path / "out")
    output.add(bytes(HEAD_BYTES + TAIL_BYTES))
    output.close()
    assert (tmp_path / "out").read_bytes() == bytes(HEAD_BYTES + TAIL_BYTES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_what_the_disk_cannot_hold_is_dropped() -> None:
    output = CappedOutput(Path("/dev/full"))
    output.add(b"lost")
    output.close()


def test_a_file_that_another_process_appends_to_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(bytes(2 * (HEAD_BYTES + TAIL_BYTES)))
    cut(path)
    assert path.stat().st_size == 2 * (HEAD_BYTES + TAIL_BYTES), "not at every line: to cut is to copy"
    with path.open("ab") as stream:
        stream.write(b"the end\n")
        stream.flush()
        cut(path)
        stream.write(b"and after\n")
    content = path.read_bytes()
    assert len(content) < HEAD_BYTES + TAIL_BYTES + 100
    assert content.endswith(b"the end\nand after\n")
    cut(tmp_path / "gone")


def test_the_last_line_of_a_file_of_a_gigabyte_is_found_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as stream:
        stream.seek(2**30 - 100)
        stream.write("\nça alors\n\n".encode())
    assert last_line(path) == "ça alors"
    assert last_line(tmp_path / "gone") == ""
