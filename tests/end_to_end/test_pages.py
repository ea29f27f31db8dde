"""The commands on the pages of the documentation work, in the order in which they stand there.

Each page gets what its reader has: rows, or an experiment that has been run. Commands about other machines, and pages with
tests of their own, are named here with the reason.
"""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from end_to_end.experiments import call, wait_until, write_spec

import bakeoff.cli

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = Path(bakeoff.cli.__file__).parent / "templates" / "example"
FROM_ROWS = ("index", "how-to/install", "how-to/your-data", "how-to/your-script", "tutorial/your-own-csv", "tutorial/cluster")
"""Pages that begin with rows; the others begin with an experiment that has been run."""
TESTED_ELSEWHERE = {
    "writing-a-plugin": "test_docs_plugin",
    "clusters": "test_clusters, test_slurm",
    "trackers": "test_docs_trackers",
    "how-to/publish": "test_docs_publishing",
}
NOT_HERE = {
    "--to slurm": "there is no Slurm: test_slurm",
    "from-run-glue bakeoff check spec.yaml": "the model is on the hub; test_site reads the file",
    "from-run-glue bakeoff new": "as in how-to/your-script",
    "from-run-glue bakeoff check train": "as in how-to/your-script",
}
"""The beginning of a command, perhaps after the name of its page, or a part of it -> why it is not run here."""
QUICKER = {
    "bakeoff init tickets.csv": ["--no-timing", "--model", "tiny-bert", "--minutes", "1"],
    "bakeoff time": ["--budget", "0.1", "--threads", "1"],
    "bakeoff parity": ["--steps", "2", "--threads", "1"],
}
"""What is added to a command, so that it takes seconds."""
LONG = {"tutorial/cluster", "tutorial/your-own-csv", "how-to/install", "how-to/your-data", "ci"}
"""Pages that train from rows, of which the index is enough for CI, and the one that trains two sides of a gate."""
CODES = {"bakeoff parity": {0, 1}, "bakeoff status": {0, 5}}
"""The exit codes of a command that may say several things."""
HEAD = """
name: NAME
tasks: [{name: table, train: tickets.csv, text: body, label: topic, split: {dev: 20%, test: 30%}}]
models: [{name: tiny-bert, hidden_size: 64, layers: 1}]
recipe: {max_steps: 80, batch_size: 8, learning_rate: 3e-3, max_length: 32}
keep: final
strategies:
"""
STRATEGIES = {"full": {"trainer": "torch-loop"}, "head": {"trainer": "torch-loop", "method": "head-only"}}
SCRIPT = """
import argparse, json
from collections import Counter

parser = argparse.ArgumentParser()
for option in ("--train", "--predict", "--out", "--seed"):
    parser.add_argument(option)
given = parser.parse_args()
labels = Counter(json.loads(line)["label"] for line in open(given.train))
((label, _),) = labels.most_common(1)
with open(given.out, "w") as answers:
    for line in open(given.predict):
        print(json.dumps({"id": json.loads(line)["id"], "answer": label}), file=answers)
"""


def commands(page: str) -> list[str]:
    """The lines behind `$` in the page's console blocks, without their comments."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line[2:].partition("  #")[0].strip() for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def pages() -> list[str]:
    found = [path.relative_to(DOCS).with_suffix("").as_posix() for path in sorted(DOCS.rglob("*.md"))]
    return [page for page in found if page not in TESTED_ELSEWHERE and any("bakeoff" in line for line in commands(page))]


def write_rows(folder: Path) -> None:
    rows = (EXAMPLE / "tickets.csv").read_text(encoding="utf-8").replace("text,topic", "body,topic", 1)
    (folder / "tickets.csv").write_text(rows, encoding="utf-8")
    (folder / "new.csv").write_text("".join(rows.splitlines(keepends=True)[:5]), encoding="utf-8")
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")


def experiment(folder: Path, name: str, *, seeds: Sequence[int]) -> Path:
    """An experiment that has been run, in the folder."""
    folder.mkdir(exist_ok=True)
    write_rows(folder)
    spec = write_spec(folder, STRATEGIES, head=HEAD.replace("NAME", name), seeds=list(seeds))
    assert call("run", spec, folder=folder.parent).returncode == 0
    return folder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment of its own and others beside it: two to report together, one that two machines have made."""
    root = experiment(tmp_path_factory.mktemp("pages") / "own", "page", seeds=range(3))
    for name, seed in (("one", 0), ("two", 10)):
        experiment(root / name, name, seeds=[seed])
    for part, place in enumerate(("from-lab", "from-cloud"), 1):
        (root / place).mkdir()
        shutil.copy(root / "tickets.csv", root / place)
        shutil.copy(root / "spec.yaml", root / place)
        assert call("run", root / place / "spec.yaml", "--shard", f"{part}/2", folder=root.parent).returncode == 0
    return root


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", [pytest.param(page, marks=pytest.mark.long if page in LONG else ()) for page in pages()])
def test_the_commands_of_a_page_work(page: str, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))  # what is trusted is remembered there
    here = tmp_path / "here"
    if page in FROM_ROWS:
        here.mkdir()
        if page not in ("how-to/install", "tutorial/your-own-csv", "tutorial/cluster"):
            write_rows(here)
    else:
        shutil.copytree(recorded, here)
    monkeypatch.chdir(here)
    for line in commands(page):
        if any(part in f"{page.rpartition('/')[2]} {line}" for part in NOT_HERE):
            continue
        perform(line, tmp_path, monkeypatch)


def perform(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, in the working directory."""
    word, *words = shlex.split(line)
    if word == "mkdir":
        Path(words[0]).mkdir()
    elif word == "cp":
        shutil.copy(*words)
    elif word == "cd":
        monkeypatch.chdir(words[0])
    elif word == "bakeoff":
        more = [added for start, adds in QUICKER.items() if line.startswith(start) for added in adds]
        done = call(*words, *more, folder=folder)
        codes = next((codes for start, codes in CODES.items() if line.startswith(start)), {0})
        assert done.returncode in codes, f"{line}: {done.stderr}"
        if words[0] == "submit" and "--dry-run" not in words:
            wait_until(lambda: all_recorded(words[1], folder), seconds=900)
            wait_until(Path("table.md").is_file, seconds=300)
    else:
        assert word in ("pip", "uv", "hf"), f"what does {line} do?"


def all_recorded(spec: str, folder: Path) -> bool:
    time.sleep(2)  # asking takes a second of a processor, which the jobs need
    return call("status", spec, folder=folder).returncode == 0


def test_every_command_that_is_left_out_stands_on_a_page() -> None:
    lines = [f"{page.rpartition('/')[2]} {line}" for page in pages() for line in commands(page)]
    assert [part for part in NOT_HERE if not any(part in line for line in lines)] == []
    assert [start for start in (*QUICKER, *CODES) if not any(f" {start}" in line for line in lines)] == []


@pytest.mark.long
def test_the_table_of_the_tutorial_is_what_the_example_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its strategies and what its words mean; figures, and verdicts that hang on them, are another machine's."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "tutorial" / "your-own-csv.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = commands("tutorial/your-own-csv")
    for line in lines[lines.index("bakeoff init --example") :][:2]:
        perform(line, tmp_path, monkeypatch)
    told = call("table", ".", folder=tmp_path).stdout
    for words in ("How fast may this tiny model learn?", "accuracy on test (69 examples, in points", "middle ◂"):
        assert words in shown
        assert words in told
    rows = [re.findall(r"^(slow|middle ◂|fast|majority baseline) ", table, re.MULTILINE) for table in (shown, told)]
    assert sorted(rows[0]) == sorted(rows[1])
    assert len(rows[0]) == 4
