"""glue/mrpc: the official figures on the real files, the same rows from folder and hub, a sentence for every damage.

The real files are never copied here: BAKEOFF_DATA names their folder. What needs no real sentence runs on made-up ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from messages import tells
from pydantic import ValidationError

from bakeoff.plugin import DataError, Paths
from bakeoff_glue import GlueOptions, GlueTask
from bakeoff_glue.facts import EVERY, MRPC, REPOSITORY, REVISION

HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
TASK = GlueTask(MRPC)
OPTIONS = GlueOptions()


def real_data() -> Path:
    data = os.environ.get("BAKEOFF_DATA")
    if not data or not (Path(data) / "glue/MRPC").is_dir():
        pytest.skip("BAKEOFF_DATA names no folder with glue/MRPC: the official files are needed here")
    return Path(data).resolve()


def made_up_rows(split: str) -> list[str]:
    """As many rows as the official split has, with what trips a csv reader: quotes, commas, U+2028, U+0085."""
    odd = ['He said, "no', "it's 'so'", "a\u2028b", "c\u0085d", '"""', "x , y", "naïve — 1/2"]
    return [
        f"{row % 3 % 2}\t{row}\t{row + 1}\tSentence {row} {odd[row % 7]} in {split}.\tAnother {odd[row % 5]} {row}."
        for row in range(MRPC.splits[split].rows)
    ]


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """A data folder that is whole in form, with a byte order mark in each file as in the official ones."""
    folder = tmp_path / "data/glue/MRPC"
    folder.mkdir(parents=True)
    for name, split in MRPC.splits.items():
        text = "\n".join([HEADER, *made_up_rows(name)]) + "\n"
        (folder / split.file).write_text(text, encoding="utf-8-sig", newline="")
    return tmp_path / "data"


def load(data: Path) -> dict[str, dict[str, list[object]]]:
    """Column by column, as plain lists."""
    loaded = TASK.load(OPTIONS, Paths(data, data))
    return {name: dataset[:] for name, dataset in loaded.items()}


def refusal(data: Path) -> str:
    with pytest.raises(DataError) as caught:
        TASK.load(OPTIONS, Paths(data, data))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the real files ---------------------------------------------------------------------------------------------------


def test_the_official_files_have_the_published_sizes_and_shares() -> None:
    splits = load(real_data())
    assert {name: len(split["id"]) for name, split in splits.items()} == {"train": 3668, "dev": 408, "test": 1725}
    assert {name: sum(split["label"]) for name, split in splits.items()} == {"train": 2474, "dev": 279, "test": 1147}


def test_the_test_labels_are_public() -> None:
    assert set(load(real_data())["test"]["label"]) == {0, 1}


def test_always_answering_paraphrase_scores_the_known_floor_on_dev() -> None:
    splits = load(real_data())
    floor = TASK.majority_baseline(TASK.info(OPTIONS), np.array(splits["train"]["label"]), np.array(splits["dev"]["label"]))
    assert floor == {"accuracy": pytest.approx(0.683824, abs=5e-7), "f1 (equivalent)": pytest.approx(0.812227, abs=5e-7)}


# --- a folder, whole --------------------------------------------------------------------------------------------------


def test_rows_come_as_they_stand_in_the_file(made_up: Path) -> None:
    splits = load(made_up)
    for name, rows in splits.items():
        cells = [line.split("\t") for line in made_up_rows(name)]
        assert rows["id"] == [f"{name}-{row}" for row in range(len(cells))]
        assert rows["sentence1"] == [row[3] for row in cells]
        assert rows["sentence2"] == [row[4] for row in cells]
        assert rows["label"] == [int(row[0]) for row in cells]


def test_columns_and_types_are_what_the_info_says(made_up: Path) -> None:
    info = TASK.info(OPTIONS)
    loaded = TASK.load(OPTIONS, Paths(made_up, made_up))
    assert tuple(loaded) == info.splits == info.labelled_splits
    assert info.n_outputs == len(info.labels) == 2
    for dataset in loaded.values():
        assert dataset.column_names == ["id", *info.text_columns, "label"]
        assert dataset.features["label"].dtype == "int64"


@pytest.mark.parametrize("below", ["", "glue", "glue/MRPC"])
def test_the_folder_may_be_given_at_any_of_three_heights(made_up: Path, below: str) -> None:
    assert len(load(made_up / below)["dev"]["id"]) == 408


def test_windows_line_ends_and_a_missing_byte_order_mark_change_no_row(made_up: Path) -> None:
    before = load(made_up)
    for split in MRPC.splits.values():
        path = made_up / "glue/MRPC" / split.file
        path.write_bytes(path.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\n", b"\r\n"))
    assert load(made_up) == before


def test_columns_are_found_by_name(made_up: Path) -> None:
    before = load(made_up)
    path = made_up / "glue/MRPC/dev.tsv"
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")]
    path.write_text("".join("\t".join(reversed(cells)) + "\n" for cells in lines), encoding="utf-8")
    assert load(made_up) == before


# --- a folder, damaged ------------------------------------------------------------------------------------------------


def at_line(number: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A change of one line (counted from 1), its end included."""

    def damage(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        lines[number - 1] = change(lines[number - 1])
        return b"".join(lines)

    return damage


DAMAGES = {
    "a column too few": (
        at_line(7, lambda line: line.replace(b"\t", b" ", 1)),
        "7: expected 5 columns between tabs, got 4",
    ),
    "a column too many": (
        at_line(7, lambda line: line.replace(b" ", b"\t", 1)),
        "7: expected 5 columns between tabs, got 6",
    ),
    "an empty line": (at_line(7, lambda _: b"\n"), "7: expected 5 columns between tabs, got 1"),
    "a foreign label": (at_line(3, lambda line: b"2" + line[1:]), "3: label '2' is not one of 0, 1"),
    "no label": (at_line(3, lambda line: line[1:]), "3: label '' is not one of 0, 1"),
    "an empty sentence": (
        at_line(408, lambda line: line.rsplit(b"\t", 1)[0] + b"\t \n"),
        "408: no sentence in column '#2 String'",
    ),
    "another header": (at_line(1, lambda line: line.replace(b"Quality", b"index")), "1: column 'Quality' is not there"),
    "a column named twice": (
        at_line(1, lambda line: line.replace(b"#1 ID", b"Quality")),
        "1: column 'Quality' is twice",
    ),
    "no header": (at_line(1, lambda _: b""), "1: column '#1 String' is not there"),
    "not UTF-8": (at_line(9, lambda line: line.replace(b"Sentence", b"Caf\xe9")), "9: byte 0xe9 is not UTF-8"),
    "NUL bytes": (at_line(9, lambda line: b"\0" * len(line)), "9: a NUL byte"),
    "UTF-16": (lambda content: content.decode("utf-8-sig").encode("utf-16"), "1: a NUL byte"),
    "nothing in it": (lambda _: b"", "1: the file is empty"),
    "only blanks": (lambda _: b"\xef\xbb\xbf\n\n", "1: column '#1 String' is not there"),
    "cut in the last line": (
        lambda content: content[: content.rstrip(b"\n").rindex(b"\t")],
        "409: this line is incomplete, after 407 of 408 rows",
    ),
    "cut in the last cell of a line": (
        lambda content: b"".join(content.splitlines(keepends=True)[:300])[:-5],
        "300: this line is incomplete, after 298 of 408 rows",
    ),
    "cut at a line": (at_line(409, lambda _: b""), ": 407 rows, expected 408"),
    "a row too many": (lambda content: content + content.splitlines(keepends=True)[-1], ": 409 rows, expected 408"),
}


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_named_with_file_and_line(made_up: Path, damage: Callable[[bytes], bytes], sentence: str) -> None:
    path = made_up / "glue/MRPC/dev.tsv"
    path.write_bytes(damage(path.read_bytes()))
    assert f"{path}:{sentence.removeprefix(':')}" in refusal(made_up)


def test_a_file_that_git_lfs_has_not_fetched_is_named(made_up: Path) -> None:
    path = made_up / "glue/MRPC/dev.tsv"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:a1\nsize 44\n")
    assert tells(refusal(made_up), "", f"{path} ", "Git LFS, ", "`git lfs pull`")


def test_a_missing_file_is_named(made_up: Path) -> None:
    (made_up / "glue/MRPC/dev.tsv").unlink()
    assert refusal(made_up) == f"{made_up / 'glue/MRPC'} lacks dev.tsv"


def test_the_unlabelled_test_file_is_no_test_split(made_up: Path) -> None:
    (made_up / "glue/MRPC/msr_paraphrase_test.txt").rename(made_up / "glue/MRPC/test.tsv")
    message = refusal(made_up)
    assert "lacks msr_paraphrase_test.txt" in message
    assert "public msr_paraphrase_test.txt" in message


def test_microsofts_train_file_is_no_train_split(made_up: Path) -> None:
    (made_up / "glue/MRPC/train.tsv").rename(made_up / "glue/MRPC/msr_paraphrase_train.txt")
    (made_up / "glue/MRPC/dev.tsv").unlink()
    message = refusal(made_up)
    assert "lacks train.tsv" in message
    assert "train.tsv and dev.tsv" in message
    assert message.endswith("; and dev.tsv")


def test_a_folder_without_mrpc_is_never_silently_the_hub(tmp_path: Path) -> None:
    message = refusal(tmp_path)
    assert f"{tmp_path / 'glue/MRPC'} and {tmp_path / 'MRPC'}" in message
    assert "train.tsv, dev.tsv, msr_paraphrase_test.txt" in message
    assert "is not asked" in message


def test_a_data_folder_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    assert tells(refusal(tmp_path / "nowhere"), "no folder ", f"{tmp_path / 'nowhere'} ", "--data", "BAKEOFF_DATA")


# --- options ----------------------------------------------------------------------------------------------------------


def test_the_first_metric_is_primary() -> None:
    info = TASK.info(GlueOptions(metrics=["f1", "precision"]))
    assert info.primary_metric == "f1 (equivalent)"
    assert [metric.name for metric in info.metrics] == ["f1 (equivalent)", "precision (equivalent)"]


@pytest.mark.parametrize(("name", "label"), [("glue/mrpc", "equivalent"), ("glue/qqp", "duplicate"), ("glue/sst2", None)])
def test_only_benchmarks_with_an_f1_of_their_own_declare_its_class(name: str, label: str | None) -> None:
    (task,) = [GlueTask(facts) for facts in EVERY if f"glue/{facts.name}" == name]
    if label is None:
        with pytest.raises(DataError, match=r"write {name: f1, positive: negative}.*'negative', 'positive'"):
            task.info(task.Options(metrics=["f1"]))
    else:
        assert task.info(task.Options(metrics=["f1"])).primary_metric == f"f1 ({label})"


@pytest.mark.parametrize("metrics", [[], ["f1", "f1"], ["./local"], ["a/b"], ["F1"], [""], [1], "f1", ["f1\n"]])
def test_metrics_that_can_be_none_are_refused(metrics: object) -> None:
    with pytest.raises(ValidationError):
        GlueOptions.model_validate({"metrics": metrics})


# --- the hub ----------------------------------------------------------------------------------------------------------


LOOK = """
    import json, sys
    from pathlib import Path
    from bakeoff.contracts.configured import Configured
    from bakeoff.contracts.registry import Origin, Registered
    from bakeoff.plugin import DataError, Paths
    from bakeoff.training import assembly
    from bakeoff_glue import GlueOptions, GlueTask
    from bakeoff_glue.facts import MRPC

    data, metrics, verb = json.loads(sys.argv[1])
    task, options = GlueTask(MRPC), GlueOptions(metrics=metrics)
    places = Paths(Path(data) if data else None, Path())
    error, rows = "", {}
    try:
        if verb == "check_available":
            Configured(Registered(task, Origin("glue", "bakeoff", "0")), options).check_available(places)
        else:
            rows = {name: dataset[:] for name, dataset in task.load(options, places).items()}
    except DataError as caught:
        error = str(caught)
    heavy = sorted({"torch", "transformers", "datasets", "evaluate", "huggingface_hub", "pyarrow"} & set(sys.modules))
    print(json.dumps({"error": error, "heavy": heavy, "rows": rows}))
"""


def look(home: Path, endpoint: str | None, verb: str, *, data: Path | None = None, metrics: tuple[str, ...] = ("f1",)) -> dict:
    """A task's `check_available` or `load` in a fresh process, for the hub's libraries read the environment when imported."""
    foreign = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "XDG_")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(foreign) and "proxy" not in name.lower()
    }
    environment |= {"HF_HOME": str(home), "PYTHONFAULTHANDLER": "1"} | ({"HF_ENDPOINT": endpoint} if endpoint else {})
    request = json.dumps([str(data) if data else None, metrics, verb])
    command = [sys.executable, "-c", textwrap.dedent(LOOK), request]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def hub_of(files: dict[str, bytes], *, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A server that answers as the hub does for these files at the pinned commit; its address and what it was asked."""
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # the name is the library's
            asked.append(self.path)
            content = files.get(self.path.removeprefix(f"/datasets/{REPOSITORY}/resolve/{REVISION}/"))
            self.send_response(404 if content is None else status)
            if content is not None:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", REVISION)
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if content is not None and self.command == "GET":
                self.wfile.write(content)

        do_GET = do_HEAD  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def as_parquet(data: Path, folder: Path) -> dict[str, bytes]:
    """The official files as the hub keeps them: Parquet with a ClassLabel and an `idx` that has gaps."""
    from datasets import ClassLabel, Dataset, Features, Value

    text = Value("string")
    labels = ClassLabel(names=list(MRPC.labels.values()))
    features = Features({"sentence1": text, "sentence2": text, "label": labels, "idx": Value("int32")})
    files = {}
    for split in MRPC.splits.values():
        lines = (data / "glue/MRPC" / split.file).read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")[1:]
        cells = [line.split("\t") for line in lines]
        columns = {
            "sentence1": [row[3] for row in cells],
            "sentence2": [row[4] for row in cells],
            "label": [int(row[0]) for row in cells],
            "idx": [2 * row for row in range(len(cells))],
        }
        path = folder / "one.parquet"
        Dataset.from_dict(columns, features=features).to_parquet(path)
        files[split.hub_file] = path.read_bytes()
    return files


@pytest.mark.parametrize("source", ["real", "made up"])
def test_hub_and_folder_give_the_same_rows_and_the_cache_then_needs_no_hub(
    source: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = real_data() if source == "real" else request.getfixturevalue("made_up")
    from_folder = load(data)
    with hub_of(as_parquet(data, tmp_path)) as (endpoint, asked):
        from_hub = look(tmp_path / "home", endpoint, "load")
    assert from_hub["error"] == ""
    assert from_hub["rows"] == from_folder
    assert {path for path in asked if REVISION in path} == {
        f"/datasets/{REPOSITORY}/resolve/{REVISION}/{split.hub_file}" for split in MRPC.splits.values()
    }

    assert look(tmp_path / "home", endpoint, "load")["rows"] == from_folder, "the server is gone; the cache is there"


def test_a_cache_that_lacks_one_file_is_no_cache(made_up: Path, tmp_path: Path) -> None:
    with hub_of(as_parquet(made_up, tmp_path)) as (endpoint, _):
        assert look(tmp_path / "home", endpoint, "load")["error"] == ""
    next((tmp_path / "home").glob(f"hub/*/snapshots/*/{MRPC.splits['dev'].hub_file}")).unlink()
    assert "the local cache" in look(tmp_path / "home", endpoint, "check_available")["error"]


def test_a_damaged_cached_file_is_named(made_up: Path, tmp_path: Path) -> None:
    with hub_of(as_parquet(made_up, tmp_path)) as (endpoint, _):
        look(tmp_path / "home", endpoint, "load")
        cached = next((tmp_path / "home").glob(f"hub/*/snapshots/*/{MRPC.splits['dev'].hub_file}"))
        cached.resolve().write_bytes(b"PAR1 and no more")
        assert f"{cached}: damaged" in look(tmp_path / "home", endpoint, "load")["error"]
        os.truncate(cached, 60 * 2**30)
        assert "64,424,509,440 bytes; at most" in look(tmp_path / "home", endpoint, "load")["error"]


def test_a_file_that_is_far_too_large_for_its_rows_is_not_read(made_up: Path) -> None:
    path = made_up / "glue/MRPC" / MRPC.splits["dev"].file
    os.truncate(path, 40 * 2**20)
    assert refusal(made_up) == f"{path}: cannot be read: it has 41,943,040 bytes; at most 20,119,552 are read"
    os.truncate(path, 60 * 2**30)
    assert refusal(made_up).endswith(": the rest would be read as zeros")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_hub_that_refuses_is_an_error_in_our_words(status: int, tmp_path: Path) -> None:
    files = {} if status == 404 else {MRPC.splits["train"].hub_file: b"PAR1"}
    with hub_of(files, status=status) as (endpoint, _):
        error = look(tmp_path / "home", endpoint, "load")["error"]
    assert tells(error, "", f"{MRPC.splits['train'].hub_file} of {REPOSITORY} ", "hub")
    assert str(status) in error
    assert "--data DIR or BAKEOFF_DATA=DIR" in error


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(lambda _: b"", "407 rows, expected 408"), (lambda line: b"-" + line, "labels \"['-1']\" are not one of 0 to 1")],
    ids=["a row less", "no label"],
)
def test_a_hub_with_other_rows_is_refused(
    change: Callable[[bytes], bytes], sentence: str, made_up: Path, tmp_path: Path
) -> None:
    path = made_up / "glue/MRPC/dev.tsv"
    path.write_bytes(at_line(3, change)(path.read_bytes()))
    with hub_of(as_parquet(made_up, tmp_path)) as (endpoint, _):
        error = look(tmp_path / "home", endpoint, "load")["error"]
    assert f"{MRPC.splits['dev'].hub_file}: {sentence}" in error


def test_a_hub_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = look(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", "check_available")
    assert result["heavy"] == [], "nor was a library asked, which would try for minutes"
    assert "Hugging Face hub" in result["error"]


@pytest.mark.parametrize(
    ("verb", "endpoint"),
    [
        ("check_available", "http://127.0.0.1:9"),
        ("load", "http://127.0.0.1:9"),
        ("check_available", "http://no.invalid"),
        ("check_available", None),
    ],
)
def test_without_a_network_both_ways_are_named(verb: str, endpoint: str | None, tmp_path: Path) -> None:
    result = look(tmp_path, endpoint, verb)
    if endpoint is None and not result["error"]:
        pytest.skip("the real hub is reachable from here")
    assert result["heavy"] == []
    assert "make the hub reachable" in result["error"]
    assert "--data DIR or BAKEOFF_DATA=DIR" in result["error"]


def test_a_folder_is_located_without_the_hub_and_without_heavy_imports(made_up: Path, tmp_path: Path) -> None:
    result = look(tmp_path, "http://127.0.0.1:9", "check_available", data=made_up)
    assert result["error"] == ""
    assert result["heavy"] == []


def test_a_metric_of_the_hub_needs_the_hub_though_the_data_do_not(made_up: Path, tmp_path: Path) -> None:
    result = look(tmp_path, "http://127.0.0.1:9", "check_available", data=made_up, metrics=("accuracy", "rouge"))
    assert tells(result["error"], "metric 'rouge' ", "hub", "accuracy, f1, ")
    assert result["heavy"] == []


def test_a_folder_that_lacks_a_file_is_found_out_before_anything_is_loaded(made_up: Path, tmp_path: Path) -> None:
    shutil.move(made_up / "glue/MRPC/train.tsv", tmp_path)
    assert "lacks train.tsv" in look(tmp_path, "http://127.0.0.1:9", "check_available", data=made_up)["error"]
