"""Results folders in which something else stands where a file should be: it is named, and never waited for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from builders import Copied
from core.calling import Call
from core.records.odd_files import NO_FILES, fifo

from bakeoff.errors import DamageError
from bakeoff.records.load import load_experiment
from bakeoff.records.schema import PREDICTIONS_FILE, RECORD_FILE, STEPS_FILE
from bakeoff.records.store import Store


@pytest.mark.parametrize("name", [PREDICTIONS_FILE, STEPS_FILE, RECORD_FILE])
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_plain_file_is_never_waited_for(copied: Copied, call: Call, kind: str, name: str) -> None:
    folder, place, record = copied
    (place / name).unlink()
    NO_FILES[kind][0](place / name)
    code, out, _ = call("verify", folder)
    assert (code, f"{place / name}" in out, NO_FILES[kind][1] in out) == (1, True, True), out
    made = load_experiment([folder])
    if name == PREDICTIONS_FILE:
        assert NO_FILES[kind][1] in made.damaged[0]
    elif name == STEPS_FILE:
        with pytest.raises(DamageError, match=r"steps\.parquet"):
            made.steps(record.id)


@pytest.mark.parametrize("kind", NO_FILES)
def test_whatever_stands_in_the_place_of_a_record_is_named(copied: Copied, call: Call, kind: str) -> None:
    """A run that is declared and whose place is taken is not one that is still to be done."""
    folder, place, record = copied
    shutil.rmtree(place)
    NO_FILES[kind][0](place)
    code, out, _ = call("verify", folder)
    assert (code, f"({record.id})" in out, "not recorded yet" in out) == (1, True, False), out
    made = load_experiment([folder])
    assert [len(made.records), len(made.damaged)] == [3, 1]
    assert str(place) in made.damaged[0]


@pytest.mark.parametrize("kind", NO_FILES)
def test_a_plan_that_is_no_plain_file_is_one_line(copied: Copied, call: Call, kind: str) -> None:
    folder, _, _ = copied
    plan = Store(folder).plan_file
    plan.unlink()
    NO_FILES[kind][0](plan)
    for verb in ("verify", "table"):
        code, out, err = call(verb, folder)
        assert (code, out, str(folder) in err, len(err.splitlines())) == (2, "", True, 1)


def test_control_runs_and_the_experiment_file_may_be_anything(copied: Copied, call: Call) -> None:
    """They are looked at where they can be read; nothing waits for them."""
    folder, _, _ = copied
    for number, (make, _) in enumerate(NO_FILES.values()):
        make(folder / "records" / f"control-{number}-before.json")
    fifo(folder / "spec.yaml")
    assert call("table", folder)[0] == 0


@pytest.mark.parametrize("kind", NO_FILES)
def test_timings_that_are_no_plain_file_are_named_and_left_out(copied: Copied, call: Call, kind: str) -> None:
    folder, _, _ = copied
    NO_FILES[kind][0](Store(folder).costs_file)
    code, _, err = call("table", folder)
    assert code == 0
    assert "costs.json" in err
    code, out, _ = call("verify", folder)
    assert (code, "costs.json" in out) == (1, True)


def test_names_that_are_no_text_are_escaped(copied: Copied, call: Call) -> None:
    folder, _, _ = copied
    (folder / "records" / os.fsdecode(b"r1-\xff\xfe")).mkdir()
    code, out, _ = call("verify", folder)
    assert (code, "r1-\\udcff\\udcfe" in out) == (1, True)
    assert call("table", folder)[0] == 0


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes root's right to read everything")
@pytest.mark.parametrize(("mode", "said"), [(0o000, "cannot be read"), (0o111, "cannot be listed")])
def test_a_folder_that_may_not_be_read_is_one_line(copied: Copied, mode: int, said: str) -> None:
    folder, _, _ = copied
    words = [sys.executable, "-c", "from bakeoff.cli import main; main()", "verify", str(folder)]
    if os.geteuid() == 0:
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    records = Store(folder).records
    records.chmod(mode)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    records.chmod(0o755)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert said in done.stderr
