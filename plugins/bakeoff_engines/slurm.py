"""The engine `slurm`: an array of jobs, by `sbatch`; no accounting is needed."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final

from pydantic import Field

from bakeoff.plugin import (
    NUMBER,
    BakeoffError,
    Engine,
    JobBatch,
    JobState,
    Needs,
    Options,
    Tree,
    did_you_mean,
    quoted,
)

ANSWER_SECONDS: Final = 5
"""How long to wait for Slurm's controller to answer whether it is there."""
PATIENCE_SECONDS: Final = 120
"""How long to wait for any other answer: a busy controller may take a minute."""
SIGNAL_SECONDS: Final = 120
"""How long before the time limit a job is asked to end, so that its run is recorded as interrupted."""
START_SECONDS: Final = 30
"""A job with less time than this before it is asked to end can make nothing."""
THEN_MINUTES: Final = 30
"""Time limit of the job that goes on when all others have ended."""
THEN_MEMORY: Final = "2G"
OF_THE_USER: Final = ("SLURM_CONF", "SLURM_JWT")
"""The variables of Slurm's own that its commands get; others are those of a job in which this process runs, or change what
squeue, sinfo and scancel list."""
NOT_SEEN: Final = 78
"""Exit code of a node that does not see the batch's folder: EX_CONFIG of sysexits.h."""
LISTED: Final = 10
"""How many jobs a script lists with their runs."""
AT_ONE_CALL: Final = 500
"""How many handles are named in one call of a Slurm command."""
MEBIBYTE: Final = 2**20
LONGEST_MESSAGE: Final = 500
"""How many characters of an error of Slurm are shown."""
HANDLE: Final = re.compile(r"([0-9]{1,12})_([0-9]{1,9})")
SUBMITTED: Final = re.compile(r"([0-9]{1,12})(?:;.*)?")
"""What `sbatch --parsable` prints: the number of the job, and the cluster's name where there are several."""
OVER: Final = {
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
    "OUT_OF_MEMORY",
}
"""States of jobs that have ended."""
WAITING: Final = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING"}


class SlurmOptions(Options):
    """Options of `slurm`, each as sbatch has it."""

    partition: str | None = Field(None, description="Partition; the site's default if missing.")
    account: str | None = Field(None, description="Account to charge.")
    qos: str | None = Field(None, description="Quality of service.")
    constraint: str | None = Field(None, description="Features that nodes must have.")
    exclude: str | None = Field(None, description="Nodes that are left out.")
    sbatch: list[str] = Field([], description="Further options of sbatch, such as --sbatch=--exclusive (can be repeated).")
    setup: list[str] = Field(
        [], description="Shell lines before each job, such as --setup 'module load cuda' (can be repeated)."
    )


class Slurm(Engine):
    """Submits one array for a batch, split where it is longer than the site allows."""

    name = "slurm"
    summary = "Slurm: an array of jobs by sbatch, works without accounting."
    version = "1"
    Options = SlurmOptions
    needs_time: ClassVar[bool] = True

    def check(self, needs: Needs, options: SlurmOptions) -> None:
        if shutil.which("sbatch") is None:
            raise BakeoffError("there is no `sbatch` on PATH: submit on a login node of the Slurm cluster")
        rows = [
            line.split("|")
            for line in asked("sinfo", "--all", "--noheader", "--format=%R|%c|%m|%G", seconds=ANSWER_SECONDS).splitlines()
        ]
        partitions = sorted({row[0] for row in rows})
        for name in options.partition.split(",") if options.partition else []:
            if name not in partitions:
                raise BakeoffError(f"--partition: {did_you_mean('partition', name, partitions)}")
        wanted = options.partition.split(",") if options.partition else partitions
        cores = max((int(row[1].rstrip("+")) for row in rows if row[0] in wanted), default=0)
        if needs.threads > cores:
            raise BakeoffError(f"--threads {needs.threads}: the nodes of {', '.join(wanted)} have at most {cores} CPU cores")
        if needs.seconds and needs.seconds <= SIGNAL_SECONDS + START_SECONDS:
            least = (SIGNAL_SECONDS + START_SECONDS) // 60 + 1
            raise BakeoffError(
                f"--time: a job is asked to end {SIGNAL_SECONDS} s before its limit, so give it {least}m at least"
            )
        if needs.gpus and not any("gpu" in row[3] for row in rows if row[0] in wanted):
            raise BakeoffError(f"--gpus {needs.gpus}: no node of {', '.join(wanted)} has a GPU")

    def submit(self, batch: JobBatch, options: SlurmOptions) -> Iterator[Mapping[int, str]]:
        arrays: list[str] = []
        for number, part in enumerate(arrays_of(batch, largest_array())):
            path = batch.folder / (f"array-{number}.sbatch" if number else "array.sbatch")
            Tree(batch.folder).write(path, script(batch, part, options).encode())
            array = submitted(str(path))
            arrays.append(array)
            yield {part.start + index: f"{array}_{index}" for index in range(len(part))}
        if batch.then:
            path = batch.folder / "then.sbatch"
            Tree(batch.folder).write(path, then_script(batch, options).encode())
            try:
                submitted(f"--dependency=afterany:{':'.join(arrays)}", str(path))
            except BakeoffError as error:
                raise BakeoffError(
                    f"all jobs are submitted, but the one that goes on when they have ended is not ({error}); call the same "
                    "command again then"
                ) from None

    def preview(self, batch: JobBatch, options: SlurmOptions) -> str:
        scripts = [script(batch, part, options) for part in arrays_of(batch, largest_array())]
        return "\n".join([*scripts, *([then_script(batch, options)] if batch.then else [])])

    def status(self, handles: Sequence[str], options: SlurmOptions) -> Mapping[str, JobState]:
        arrays = sorted({array_of(handle) for handle in handles})
        found: dict[str, JobState] = {}
        for part in in_parts(arrays):
            for line in queued(part):
                handle, state, reason, node = (line.split("|") + [""] * 4)[:4]
                if state in WAITING:
                    found[handle] = JobState("waiting", "" if reason == "None" else reason)
                elif state not in OVER:
                    found[handle] = JobState("running", f"on {node}")
        gone = [handle for handle in handles if handle not in found]
        return found | ended(gone)

    def cancel(self, handles: Sequence[str], options: SlurmOptions) -> None:
        for handle in handles:
            array_of(handle)  # refuses what is none
        for part in in_parts(handles):
            words = ("scancel", "--quiet", *part)
            done = run(*words)
            if done.returncode and "Invalid job id" not in done.stderr:  # a job that is gone is no error
                require_success(words, done)


# --- scripts ---


def arrays_of(batch: JobBatch, most: int) -> list[range]:
    """The numbers of the batch's jobs, in one range for each array of at most `most`."""
    total = len(batch.jobs)
    return [range(start, min(start + most, total)) for start in range(0, total, most)]


def script(batch: JobBatch, part: range, options: SlurmOptions) -> str:
    """The sbatch script of an array. part: the numbers of its jobs."""
    needs, most = batch.needs, f"%{batch.needs.at_once}" if batch.needs.at_once else ""
    number = f"$((SLURM_ARRAY_TASK_ID + {part.start}))" if part.start else "$SLURM_ARRAY_TASK_ID"
    listed = [f"#   {job.number}: {', '.join(job.runs)}" for job in batch.jobs[part.start : part.stop][:LISTED]]
    if len(part) > LISTED:
        listed.append(f"#   and so on, to {part.stop - 1}")
    words = " ".join('"$number"' if word == NUMBER else shlex.quote(word) for word in batch.words)
    lines = [
        "#!/usr/bin/env bash",
        "# Written by `bakeoff submit`. Each element of the array makes the runs of one job:",
        *listed,
        f"#SBATCH --job-name={batch.name}",
        f"#SBATCH --array=0-{len(part) - 1}{most}",
        f"#SBATCH --nodes=1 --cpus-per-task={needs.threads}",
        *([f"#SBATCH --gpus={needs.gpus}"] if needs.gpus else []),
        *([f"#SBATCH --mem={math.ceil(needs.memory / MEBIBYTE)}M"] if needs.memory else []),
        *([f"#SBATCH --time={math.ceil(needs.seconds / 60)}"] if needs.seconds else []),
        f"#SBATCH --signal=B:TERM@{SIGNAL_SECONDS}",
        "#SBATCH --requeue --open-mode=append --output=/dev/null",
        *shared_directives(options),
        f"number={number}",
        *start_of(batch, '"job-$number.log"', options),
        f"exec {words}",
    ]
    return "\n".join(lines) + "\n"


def then_script(batch: JobBatch, options: SlurmOptions) -> str:
    """The sbatch script of the job that goes on when all others have ended."""
    lines = [
        "#!/usr/bin/env bash",
        "# Written by `bakeoff submit`. When the jobs have ended: submits the next ones, or writes the tables.",
        f"#SBATCH --job-name={batch.name}",
        "#SBATCH --cpus-per-task=1",
        f"#SBATCH --mem={THEN_MEMORY} --time={THEN_MINUTES}",
        "#SBATCH --open-mode=append --output=/dev/null",
        *shared_directives(options),
        *start_of(batch, "then.log", options),
        f"exec {shlex.join(batch.then)}",
    ]
    return "\n".join(lines) + "\n"


def shared_directives(options: SlurmOptions) -> list[str]:
    named = {name: getattr(options, name) for name in ("partition", "account", "qos", "constraint", "exclude")}
    own = [f"--{name}={value}" for name, value in named.items() if value]
    return [f"#SBATCH {word}" for word in (*own, *options.sbatch)]


def start_of(batch: JobBatch, log: str, options: SlurmOptions) -> list[str]:
    """The first shell lines: what is printed goes to the log, and a node that does not see the folders ends here. log: its
    name, as in the shell."""
    return [
        f"cd {shlex.quote(str(batch.folder))} && exec >>{log} 2>&1 || exit {NOT_SEEN}",
        f"cd {shlex.quote(str(batch.directory))} || exit {NOT_SEEN}",
        *(f"export {name}={shlex.quote(value)}" for name, value in batch.environment.items()),
        *options.setup,
    ]


# --- Slurm's commands ---


def submitted(*words: str) -> str:
    """Calls sbatch, and returns the number of the job."""
    said = asked("sbatch", "--parsable", *words)
    if (found := SUBMITTED.fullmatch(said.strip())) is None:
        raise BakeoffError(f"sbatch printed {quoted(said)} in place of a job's number")
    return found[1]


def largest_array() -> int:
    """The most elements that an array may have at this site."""
    found = re.search(r"^MaxArraySize\s*=\s*([0-9]+)", asked("scontrol", "show", "config"), re.MULTILINE)
    return max(1, int(found[1])) if found else 1000


def queued(arrays: Sequence[str]) -> list[str]:
    """The lines `HANDLE|STATE|REASON|NODE` of squeue about the elements of these arrays that have not ended."""
    words = ("squeue", "--all", "--noheader", "--array", "--format=%F_%K|%T|%r|%N", f"--jobs={','.join(arrays)}")
    done = run(*words)
    if done.returncode and "Invalid job id" in done.stderr:  # of a single one that it does not know any more
        return []
    return require_success(words, done).splitlines()


def ended(handles: Sequence[str]) -> dict[str, JobState]:
    """How elements ended that squeue does not list, as long as Slurm remembers them."""
    found = dict.fromkeys(handles, JobState("gone"))
    for array in sorted({array_of(handle) for handle in handles}):
        done = run("scontrol", "--oneliner", "show", "job", array)
        for line in done.stdout.splitlines() if done.returncode == 0 else ():
            about = dict(word.partition("=")[::2] for word in line.split())
            handle = f"{about.get('ArrayJobId')}_{about.get('ArrayTaskId')}"
            if handle in found and (state := about.get("JobState", "")):
                code = about.get("ExitCode", "0:0").partition(":")[0]
                node = f" on {about['NodeList']}" if about.get("NodeList", "(null)") != "(null)" else ""
                what = f"{state.lower().replace('_', ' ')}{node}"
                unseen = f"; the node does not see the submission's folder (exit code {code})" if code == str(NOT_SEEN) else ""
                found[handle] = JobState("gone", what + unseen)
    return found


def array_of(handle: str) -> str:
    """The number of the array. Raises BakeoffError for a handle that is none of this engine's."""
    if (found := HANDLE.fullmatch(handle)) is None:
        raise BakeoffError(f"{quoted(handle)} is no job of engine 'slurm'")
    return found[1]


def in_parts(words: Iterable[str]) -> Iterator[list[str]]:
    """The words, as many at a time as one command line may have."""
    left = [*words]
    for start in range(0, len(left), AT_ONE_CALL):
        yield left[start : start + AT_ONE_CALL]


def asked(*words: str, seconds: int = PATIENCE_SECONDS) -> str:
    """What a command of Slurm prints. Raises BakeoffError with its message if it fails or does not answer."""
    return require_success(words, run(*words, seconds=seconds))


def run(*words: str, seconds: int = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
    """Calls a command of Slurm, without variables that change what it does or lists."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name in OF_THE_USER or not name.startswith(("SLURM_", "SQUEUE_", "SINFO_", "SCANCEL_"))
    }
    try:
        return subprocess.run(words, env=own, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError:
        raise BakeoffError(f"there is no `{words[0]}` on PATH: call this on a login node of the Slurm cluster") from None
    except subprocess.TimeoutExpired:
        raise BakeoffError(
            f"`{words[0]}` did not answer within {seconds} s: Slurm's controller may be down; `scontrol ping` tells"
        ) from None


def require_success(words: Sequence[str], done: subprocess.CompletedProcess[str]) -> str:
    """What it printed. Raises BakeoffError with the last line of its complaint."""
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise BakeoffError(f"`{words[0]}` failed: {lines[-1][:LONGEST_MESSAGE]}")
    return done.stdout
