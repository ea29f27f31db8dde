"""Which runs become jobs, what each needs, and what stays when an engine refuses in the middle."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import failed, make_record, write_run
from core.planning.test_runs import plan_of
from core.runner.test_runner_looks import Maker, documented
from messages import tells

from bakeoff.contracts.engine import Engine, JobBatch, JobState, Needs
from bakeoff.contracts.recipe import Options
from bakeoff.contracts.registry import Origin, Registered, Registry
from bakeoff.errors import BakeoffError
from bakeoff.planning.estimate import Outlook
from bakeoff.planning.runs import Run
from bakeoff.records.schema import Record
from bakeoff.records.store import Store
from bakeoff.records.submissions import THEN, Submissions
from bakeoff.runner.experiment import declaration
from bakeoff.runner.sharded import Phase, first_lacking
from bakeoff.runner.submitting import (
    JOB,
    Due,
    Order,
    bundles,
    cancel,
    due,
    estimated,
    failed_to_go_on,
    given,
    live_jobs,
    require_equal_threads,
    standings,
    submit_due,
    surveyed,
)

SPEC = """\
name: toy
tasks: [{name: docstrings, size: 100}]
models: [tiny-bert]
recipe: {epochs: 1}
strategies: {full: {trainer: torch-loop}}
seeds: 6
"""
PLAN = plan_of(SPEC)
LOOKS = plan_of(
    SPEC.replace("seeds: 6", "seeds: {looks: [3, 5]}").replace("}}", "}, head: {trainer: torch-loop, method: head-only}}")
)


class Limited(Engine):
    """Takes two jobs at a time, and after four says that the quota is used up. Its jobs wait for ever."""

    name, summary, version = "limited", "takes four jobs", "1"
    cancelled: list[str]

    def check(self, needs: Needs, options: Any) -> None:
        pass

    def submit(self, batch: JobBatch, options: Any) -> Iterator[Mapping[int, str]]:
        for start in (0, 2):
            yield {job.number: f"job {job.number}" for job in batch.jobs[start : start + 2]}
        raise BakeoffError("the quota is used up")

    def status(self, handles: Sequence[str], options: Any) -> Mapping[str, JobState]:
        return {handle: JobState("waiting", "for its turn") for handle in handles}

    def cancel(self, handles: Sequence[str], options: Any) -> None:
        self.cancelled = [*handles]


@pytest.fixture
def engine() -> Limited:
    return Limited()


def registry_of(engine: Engine) -> Registry:
    return Registry({("engine", engine.name): Registered(engine, Origin("limited", "tests", "1"))})


@pytest.fixture
def registry(engine: Limited) -> Registry:
    return registry_of(engine)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def order_of(engine: Engine, **more: Any) -> Order:
    return Order(engine, engine.Options(), Needs(threads=1), **more)


def all_due() -> Due:
    return Due(PLAN, Phase("runs", PLAN.runs, is_last=True), PLAN.runs, ())


def test_what_an_engine_took_before_it_refused_stays_submitted(store: Store, engine: Limited, registry: Registry) -> None:
    with pytest.raises(BakeoffError, match="; 4 of 6"):
        submit_due(order_of(engine), all_due(), store, ["run"], [])
    found = standings(PLAN.runs, store, registry)
    assert [one.state for one in found] == ["waiting"] * 4 + ["to do"] * 2
    jobs = live_jobs(store, registry)
    assert [run for one in jobs for run in one.job.runs] == [run.id for run in PLAN.runs[:4]]
    cancel(jobs, registry, store)
    assert engine.cancelled == ["job 0", "job 1", "job 2", "job 3"]


def test_where_nothing_was_taken_the_engine_s_own_words_are_the_error(
    store: Store, engine: Limited, registry: Registry
) -> None:
    class Refuses(Limited):
        def submit(self, batch: JobBatch, options: Any) -> Iterator[Mapping[int, str]]:
            raise BakeoffError("no such partition")
            yield {}

    with pytest.raises(BakeoffError) as error:
        submit_due(order_of(Refuses()), all_due(), store, ["run"], [])
    assert str(error.value) == "no such partition"
    assert {one.state for one in standings(PLAN.runs, store, registry)} == {"to do"}


@pytest.mark.parametrize(("code", "told"), [(2, True), (5, False)])
def test_a_command_that_could_not_go_on_after_the_jobs_is_told(store: Store, engine: Limited, code: int, told: bool) -> None:
    with pytest.raises(BakeoffError):
        submit_due(order_of(engine), all_due(), store, ["run"], [])
    assert failed_to_go_on(store) == ""
    ((place, _),) = Submissions(store.tree, store.folder).all()
    words = [sys.executable, "-m", JOB, str(place), THEN, sys.executable, "-c"]
    done = subprocess.run([*words, f"print('the disk is full'); raise SystemExit({code})"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, "the disk is full\n")
    found = failed_to_go_on(store)
    assert tells(found, "exit code 2 on ", "the disk is full", f"{THEN}.log") if told else found == ""


def test_a_later_submission_of_a_run_counts(store: Store, engine: Limited, registry: Registry) -> None:
    for runs in (PLAN.runs[:4], PLAN.runs[2:4]):
        with pytest.raises(BakeoffError):
            submit_due(order_of(engine), replace(all_due(), runs=runs), store, ["run"], [])
    found = standings(PLAN.runs[:4], store, registry)
    assert [one.job for one in found] == ["limited job 0", "limited job 1", "limited job 0", "limited job 1"]
    assert [place.name for place, _ in Submissions(store.tree, store.folder).all()] == ["2", "1"]


def submitted(store: Store, engine: Engine, **more: Any) -> None:
    with pytest.raises(BakeoffError):
        submit_due(order_of(engine, **more), all_due(), store, ["run"], [])


def record_of(run: Run, *, fails: bool = False, started: str = "2126-01-01T00:00:00+00:00") -> Record:
    made = failed(make_record()) if fails else make_record()
    return made.model_copy(update={"id": run.id, "started": started})


def test_a_run_that_is_recorded_while_the_engine_answers_has_not_ended_without_a_record(store: Store) -> None:
    class Late(Limited):
        def status(self, handles: Sequence[str], options: Any) -> Mapping[str, JobState]:
            write_run(store, record_of(PLAN.runs[0]), {})
            return {handle: JobState("gone") for handle in handles}

    engine = Late()
    submitted(store, engine)
    found = standings(PLAN.runs, store, registry_of(engine))
    assert [one.state for one in found] == ["recorded", "ended", "ended", "ended", "to do", "to do"]


def test_the_next_look_is_to_do_as_soon_as_the_last_run_of_one_is_recorded(store: Store) -> None:
    """That run is recorded while the engine answers."""
    document, plan = documented()
    store.declare(declaration(document, plan))
    maker = Maker(store)
    first = [run for run in plan.runs if run.seed < 13]
    maker.make(first[:-1])

    class Late(Limited):
        def submit(self, batch: JobBatch, options: Any) -> Iterator[Mapping[int, str]]:
            yield {job.number: f"job {job.number}" for job in batch.jobs}

        def status(self, handles: Sequence[str], options: Any) -> Mapping[str, JobState]:
            maker.make(first[-1:])
            return {handle: JobState("gone") for handle in handles}

    submit_due(
        order_of(Late()), Due(plan, Phase("look 1 of 3", tuple(first), is_last=False), (first[-1],), ()), store, ["run"], []
    )
    phase, found = surveyed(plan, store, registry_of(Late()))
    assert (phase.name, phase.is_last) == ("look 2 of 3", False)
    assert [one.run.title for one in found if one.state == "to do"] == ["base:13", "near:13", "base:14", "near:14"]
    assert {one.state for one in found} == {"recorded", "to do"}


def test_a_look_waits_for_a_run_that_was_interrupted(store: Store) -> None:
    document, plan = documented()
    store.declare(declaration(document, plan))
    maker = Maker(store)
    first = [run for run in plan.runs if run.seed < 13]
    maker.make(first)
    stopped = record_of(first[4], fails=True).model_copy(update={"requested": first[4].requested})
    shutil.rmtree(store.records / first[4].id)
    write_run(store, failed(stopped, reason="interrupted"), {})
    phase, found = surveyed(plan, store, registry_of(Limited()))
    assert (phase.name, [run.title for run in phase.runs]) == ("look 1 of 3", [first[4].title])
    assert [one.run.title for one in found if one.state == "to do"] == [first[4].title]
    assert due(document, plan, store, registry_of(Limited()), retry_failed=False, writes=False).runs == (first[4],)


def test_a_cancelled_job_is_to_do_again_and_does_nothing_if_it_starts_after_all(store: Store) -> None:
    class Gone(Limited):
        def status(self, handles: Sequence[str], options: Any) -> Mapping[str, JobState]:
            return {handle: JobState("gone" if handle == "job 0" else "waiting") for handle in handles}

        def cancel(self, handles: Sequence[str], options: Any) -> None:
            pass

    engine = Gone()
    submitted(store, engine)
    jobs = [one for one in given(store) if one.job.handle == "job 0"]
    cancel(jobs, registry_of(engine), store)
    found = standings(PLAN.runs, store, registry_of(engine))
    assert [one.state for one in found] == ["to do", *["waiting"] * 3, *["to do"] * 2]
    assert ("cancelled" in found[0].reason, found[-1].reason) == (True, "")
    words = [sys.executable, "-m", JOB, str(jobs[0].place)]
    late, other = (subprocess.run([*words, number, "false"], capture_output=True, text=True) for number in ("0", "1"))
    assert (late.returncode, other.returncode) == (0, 1)


def test_other_numbers_of_threads_are_refused_before_anything_is_submitted(store: Store) -> None:
    write_run(store, record_of(PLAN.runs[0]), {})
    there = record_of(PLAN.runs[0]).environment.threads
    require_equal_threads(PLAN, store, there)
    with pytest.raises(BakeoffError, match=rf"--threads {there}$"):
        require_equal_threads(PLAN, store, there + 1)


@pytest.mark.parametrize(
    ("started", "state"), [("2126-01-01T00:00:00+00:00", "failed"), ("2025-01-01T00:00:00+00:00", "waiting")]
)
def test_a_failure_of_this_job_counts_at_once_and_an_earlier_one_is_being_repeated(
    store: Store, engine: Limited, registry: Registry, started: str, state: str
) -> None:
    submitted(store, engine, bundle=2)
    write_run(store, record_of(PLAN.runs[0], fails=True, started=started), {})
    assert [one.state for one in standings(PLAN.runs[:2], store, registry)] == [state, "waiting"]


def test_a_run_that_another_process_makes_is_not_submitted_again(store: Store) -> None:
    class Forgets(Limited):
        def status(self, handles: Sequence[str], options: Any) -> Mapping[str, JobState]:
            return {handle: JobState("gone") for handle in handles}

    engine = Forgets()
    submitted(store, engine)
    store.tree.make(store.records)
    assert store.claims.take(PLAN.runs[0].id)
    assert [one.state for one in standings(PLAN.runs[:2], store, registry_of(engine))] == ["running", "ended"]


def test_a_copied_folder_has_no_jobs(tmp_path: Path, engine: Limited, registry: Registry) -> None:
    store = Store(tmp_path / "one")
    submitted(store, engine)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    copy = Store(tmp_path / "other")
    assert live_jobs(copy, registry) == []
    assert {one.state for one in standings(PLAN.runs, copy, registry)} == {"to do"}
    assert len(live_jobs(store, registry)) == 4


def test_each_engine_is_asked_with_the_options_of_its_own_submission(store: Store) -> None:
    class Addressed(Options):
        address: str

    class Two(Limited):
        Options = Addressed

        def status(self, handles: Sequence[str], options: Any) -> Mapping[str, JobState]:
            return {handle: JobState("waiting", options.address) for handle in handles}

        def submit(self, batch: JobBatch, options: Any) -> Iterator[Mapping[int, str]]:
            yield {job.number: f"{options.address} {job.number}" for job in batch.jobs}

    engine = Two()
    for address, runs in (("a", PLAN.runs[:1]), ("b", PLAN.runs[1:2])):
        order = Order(engine, Addressed(address=address), Needs(threads=1))
        submit_due(order, replace(all_due(), runs=runs), store, ["run"], [])
    assert [one.reason for one in standings(PLAN.runs[:2], store, registry_of(engine))] == ["a", "b"]


def test_looks_can_be_submitted_before_anything_is_recorded(store: Store) -> None:
    assert [run.title for run in first_lacking(LOOKS, store).runs] == [
        f"{name}:{seed}" for seed in range(3) for name in ("full", "head")
    ]


def test_runs_that_failed_belong_to_what_is_repeated(store: Store) -> None:
    for run in LOOKS.runs:
        write_run(store, record_of(run, fails=run.seed == 4), {})
    before = {run.id for run in first_lacking(LOOKS, store).runs}
    found = {run.title for run in first_lacking(LOOKS, store, retry_failed=True).runs if run.id not in before}
    assert found == {"full:4", "head:4"}


def test_a_job_gets_time_for_all_its_runs_and_memory_for_the_largest(engine: Limited) -> None:
    outlooks = {run.id: Outlook(run, "to do", 1000.0, memory=2**30 * (1 + number)) for number, run in enumerate(PLAN.runs)}
    needs = estimated(order_of(engine, bundle=4), bundles(PLAN.runs, 4), outlooks)
    assert needs.seconds == 60 * 105, "4 runs of 1000 s with half as much again, and 300 s, in whole minutes"
    assert needs.memory == 9.5 * 2**30, "half as much again as the largest, and half a GiB beside it"
    own = estimated(replace(order_of(engine), needs=Needs(1, seconds=60, memory=5)), bundles(PLAN.runs, 1), outlooks)
    assert (own.seconds, own.memory) == (60, 5), "as the user said"


def test_what_is_not_known_is_not_guessed(engine: Limited) -> None:
    outlooks = {run.id: Outlook(run, "to do", None if run.seed == 3 else 1.0) for run in PLAN.runs}
    needs = estimated(order_of(engine), bundles(PLAN.runs, 1), outlooks)
    assert (needs.seconds, needs.memory) == (None, None)
    engine.needs_time = True  # type: ignore[misc]
    with pytest.raises(BakeoffError, match="--time is needed"):
        estimated(order_of(engine), bundles(PLAN.runs, 1), outlooks)
