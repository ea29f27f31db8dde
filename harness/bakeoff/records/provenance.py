"""What runs were made from and where they ran, as facts, and in which facts two runs differ. Whoever asks "are these the same
data?" or "is this the same machine?" calls `differences`.

Facts come from a run's record (`facts_of`), or from its sources as they are now (`bakeoff.runner.changes`).
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Final, Literal

from bakeoff.contracts.configured import Configured
from bakeoff.machine.file_hashes import digest_of
from bakeoff.machine.hardware import hardware_class, instructions, processor, software
from bakeoff.records.schema import MOST_LABELS, ComponentOrigin, Data, Environment, MadeFrom, Record
from bakeoff.text.values import grouped

Subject = Literal[
    "task version",
    "splits",
    "rows",
    "labels",
    "metrics",
    "sources",
    "model",
    "weights",
    "tokenizer",
    "configuration",
    "start",
    "budget",
    "metric",
    "hardware",
    "device",
    "processor",
    "threads",
    "instruction set",
    "software",
    "bakeoff",
    "code",
]
DATA: Final = frozenset[Subject]({"task version", "splits", "rows", "labels"})
SCORED: Final = DATA | frozenset[Subject]({"metrics"})
"""Scores of two experiments are of the same task only if these are equal."""
MODEL: Final = frozenset[Subject]({"weights", "tokenizer", "configuration"})
MADE_FROM: Final = DATA | MODEL
"""Runs that differ in one of these are never averaged."""
HARDWARE: Final = frozenset[Subject]({"hardware", "instruction set"})
"""Times are comparable, and sums are rounded alike, only if these are equal."""
ROUNDING: Final = frozenset[Subject]({"device", "processor", "threads", "instruction set", "software"})
"""The last bits of trained weights may differ if one of these does."""
MACHINE: Final = HARDWARE | frozenset[Subject]({"software"})
BAKEOFF: Final = "bakeoff"
"""Bakeoff's own distribution. Its version is not part of `software`; versions of components decide whether runs are alike."""

Facts = Mapping[tuple[Subject, str], tuple[str | None, ...]]
"""(subject, name of the split, distribution or component) -> its evidence: one or more texts, None where unknown."""

BY_ANY: Final = frozenset[Subject]({"weights", "tokenizer"})
"""Subjects that count as equal if one piece of their evidence is (tensors or files): rewritten files may have the same tensors,
and a new library may name tensors differently."""


@dataclass(frozen=True)
class Difference:
    """One fact in which two runs differ, with both values."""

    subject: Subject
    name: str
    """The split (`rows`), distribution (`software`, `sources`) or kind of component (`code`); else empty."""
    here: str
    there: str

    @property
    def what(self) -> str:
        """The fact as text; see `in_words`."""
        return in_words(self.subject, self.name)


def in_words(subject: Subject, name: str) -> str:
    """A fact as text: `the rows of train`, `the weights`, `torch`."""
    if subject == "rows":
        return f"the rows of {name}"
    if subject == "code":
        return f"the source code of the {name}"
    return name or {"labels": "the names of labels", "splits": "the splits"}.get(subject, f"the {subject}")


def differences(here: Facts, there: Facts, of: Collection[Subject] = MADE_FROM) -> list[Difference]:
    """The facts in which two runs differ, in the order of `here`; facts unknown on one side are skipped."""
    unequal = {key: _unequal(key[0], own, there.get(key, ())) for key, own in here.items() if key[0] in of}
    return [Difference(*key, *pair) for key, pair in unequal.items() if pair is not None]


def differing(here: Iterable[Record], there: Iterable[Record], of: Collection[Subject] = MADE_FROM) -> list[Difference]:
    """The facts in which any record of `here` differs from any of `there`, each once."""
    others = counted(there, of)
    pairs = (differences(one, other, of) for one, _ in counted(here, of) for other, _ in others)
    found: dict[tuple[Subject, str], Difference] = {}
    for one in chain.from_iterable(pairs):
        found.setdefault((one.subject, one.name), one)
    return list(found.values())


def counted(records: Iterable[Record], of: Collection[Subject]) -> list[tuple[Facts, int]]:
    """The distinct sets of facts among the records, each with the number of records that have it; nearly always one."""
    counts = Counter[tuple[Any, ...]]()
    for members in sharing(records):
        counts[tuple(_facts(members[0], of).items())] += len(members)
    return [(dict(facts), count) for facts, count in counts.items()]


def sharing(records: Iterable[Record]) -> list[list[Record]]:
    """The records, those together whose facts are read from the same objects. Of thousands of records that were read through
    an index, these are a few."""
    return list(grouped((parts_of(record), record) for record in records).values())


def parts_of(record: Record) -> tuple[Hashable, ...]:
    """A key that is equal only for records whose facts and components are the same objects, while these are in memory."""
    asked = record.requested
    parts = (record.environment, record.data, record.made_from, asked.task, asked.model, asked.method, asked.trainer)
    return tuple(map(id, parts))


def _facts(record: Record, of: Collection[Subject]) -> Facts:
    """A record's facts about these subjects only, since there may be thousands of records."""
    if (MADE_FROM | SCORED).isdisjoint(of):
        facts = facts_of_environment(record.environment)
    else:
        facts = facts_of_sources(record) if (MADE_FROM | SCORED).issuperset(of) else facts_of(record)
    return {key: words for key, words in facts.items() if key[0] in of}


def together(records: Iterable[Record], of: Collection[Subject]) -> Facts:
    """The facts of the runs of one row; a fact that varies among them reads `varies (AVX2, AVX512)`."""
    found = [facts for facts, _ in counted(records, of)]
    keys = dict.fromkeys(chain.from_iterable(found))
    return {key: tuple(map(one_word, zip_longest(*(facts.get(key, ()) for facts in found)))) for key in keys}


def commonest(records: Iterable[Record], of: Collection[Subject]) -> Facts:
    """The most frequent value of each fact; of equally frequent ones the first."""
    counts: dict[tuple[Subject, str], Counter[str]] = {}
    for facts, count in counted(records, of):
        for key, words in facts.items():
            for word in filter(None, words):
                counts.setdefault(key, Counter())[word] += count
    return {key: (found.most_common(1)[0][0],) for key, found in counts.items()}


def one_word(words: Iterable[str | None]) -> str | None:
    """The value if all known ones are equal, `varies (...)` if not; None if none is known."""
    known = sorted({word for word in words if word is not None})
    return f"varies ({', '.join(known)})" if len(known) > 1 else next(iter(known), None)


def unknown(here: Facts, there: Facts, of: Collection[Subject] = MADE_FROM) -> list[tuple[Subject, str]]:
    """The facts about the subjects `of` that are unknown on either side, so that they can't be compared."""
    keys = [key for key in dict.fromkeys([*here, *there]) if key[0] in of]
    return [key for key in keys if not _known_to_both(here.get(key, ()), there.get(key, ()))]


def _known_to_both(here: Sequence[str | None], there: Sequence[str | None]) -> list[tuple[str, str]]:
    pairs = zip(here, there, strict=False)
    return [(one, other) for one, other in pairs if one is not None and other is not None]


def _unequal(subject: Subject, here: Sequence[str | None], there: Sequence[str | None]) -> tuple[str, str] | None:
    """Both values of the subject if they differ; None if they are equal or one is unknown."""
    pairs = _known_to_both(here, there)
    equal = [one == other for one, other in pairs]
    return pairs[0] if equal and not (any(equal) if subject in BY_ANY else equal[0]) else None


def as_plain(facts: Facts) -> list[list[Any]]:
    """Facts as JSON values."""
    return [[subject, name, *words] for (subject, name), words in facts.items()]


def from_plain(plain: Any) -> Facts:
    """The inverse of `as_plain`; raises ValueError or TypeError for other values."""
    if not isinstance(plain, list):
        raise TypeError("it does not say what it was made from")
    return {(subject, name): tuple(words) for subject, name, *words in plain}


def alike(records: Iterable[Record], of: Collection[Subject] = MADE_FROM) -> list[list[Record]]:
    """Groups the records so that those of a group do not differ in the subjects `of`. The largest group comes first, of equally
    large ones the one with the earliest run.

    Unknown facts do not separate records: a record with fewer facts joins the first group that it fits.
    """
    groups: list[tuple[dict[tuple[Subject, str], tuple[str | None, ...]], list[Record]]] = []
    seen: dict[tuple[Any, ...], list[Record]] = {}
    for new in sharing(sorted(records, key=lambda record: record.started)):
        facts = _facts(new[0], of)
        spelling = tuple(facts.items())
        if spelling in seen:  # nearly always: then nothing need be compared
            seen[spelling] += new
            continue
        known, members = next((group for group in groups if not differences(facts, group[0], of)), ({}, []))
        if not members:
            groups.append((known, members))
        known |= {key: tuple(old or new for old, new in zip_longest(known.get(key, ()), words)) for key, words in facts.items()}
        members += new
        seen[spelling] = members
    return sorted((members for _, members in groups), key=len, reverse=True)


def facts_of(record: Record) -> Facts:
    """All facts of a record; a failed run has fewer."""
    return {
        **facts_of_sources(record),
        **facts_of_environment(record.environment),
        **{("code", kind): (digest,) for kind, digest in record.made_from.code.items()},
    }


def facts_of_sources(record: Record) -> Facts:
    """A record's facts about its task, data and model."""
    metrics = [f"{facts.name} {facts.version}" for facts in record.data.metrics] if record.data else []
    return {
        ("task version", ""): (record.requested.task.version,),
        **facts_of_data(record.data, record.made_from),
        ("metrics", ""): (f"{record.data.primary_metric} of {', '.join(sorted(metrics))}" if record.data else None,),
        **facts_of_model(record.made_from),
    }


def facts_of_data(data: Data | None, made_from: MadeFrom) -> Facts:
    """Facts about a run's data. `data` is None for a run that failed before it loaded them: then only files are known."""
    if data is None:
        return {("rows", split): (None, digest) for split, digest in (made_from.task_files or {}).items()}
    known = made_from if made_from.labels else made_from.model_copy(update={"labels": labels_digest(data.labels)})
    rows = facts_of_rows({name: split.fingerprint for name, split in data.splits.items()}, known)
    return {**rows, **{("sources", name): (version,) for name, version in data.source_versions.items()}}


def facts_of_rows(fingerprints: Mapping[str, str], made_from: MadeFrom) -> Facts:
    """Facts about splits, rows and label names. Of `rows` there are two pieces of evidence: a hash of a split's rows as loaded,
    and one of the files that they were read from. fingerprints: split -> hash of its rows."""
    files = made_from.task_files or {}
    return {
        ("splits", ""): (", ".join(sorted(fingerprints)),),
        **{("rows", split): (fingerprint, files.get(split)) for split, fingerprint in fingerprints.items()},
        ("labels", ""): (made_from.labels,),
    }


def facts_of_model(made_from: MadeFrom) -> Facts:
    """Facts about the model. Of `weights` and `tokenizer` there are two pieces of evidence: a hash as loaded, and one of their
    files."""
    files = made_from.model_files or {}
    return {
        ("weights", ""): (made_from.weights, files.get("weights")),
        ("tokenizer", ""): (made_from.tokenizer, files.get("tokenizer")),
        ("configuration", ""): ("none" if made_from.model_files == {} else files.get("configuration"),),
    }


def facts_of_environment(environment: Environment) -> Facts:
    return {
        ("hardware", ""): (environment.hardware,),
        ("device", ""): (environment.device,),
        ("processor", ""): (environment.processor,),
        ("threads", ""): (str(environment.threads),),
        ("instruction set", ""): (environment.instructions if environment.device == "cpu" else None,),
        **{("software", name): (version,) for name, version in software_of(environment).items()},
        ("bakeoff", ""): (environment.software.get(BAKEOFF),),
    }


def same_hardware(record: Record, hardware: str) -> bool:
    """Whether a run was made on this class of hardware."""
    return not differences({("hardware", ""): (record.environment.hardware,)}, {("hardware", ""): (hardware,)}, HARDWARE)


def made_on(records: Iterable[Record], classes: Collection[str]) -> bool:
    """Whether all of these runs were made on hardware of these classes."""
    return all(record.environment.hardware in classes for record in records)


def software_of(environment: Environment) -> dict[str, str]:
    """Distribution (Python package) -> version, of all recorded software but Bakeoff itself."""
    return {name: version for name, version in environment.software.items() if name != BAKEOFF}


def labels_digest(names: Sequence[str]) -> str | None:
    """A hash of label names; None if the record lists only the first of them."""
    return digest_of(list(names)) if len(names) <= MOST_LABELS else None


def environment(
    distributions: Iterable[str], *, threads: int, device: str = "cpu", accelerator: str = "", processes: int = 1, jobs: int = 1
) -> Environment:
    """The environment of a run on this machine. jobs: how many runs may train at the same time. accelerator: the device's
    name, empty on the CPU."""
    import psutil

    return Environment(
        software=software(distributions),
        hardware=hardware_class(accelerator, threads=threads, processes=processes),
        threads=max(threads, processes),
        device=device,
        processor=processor(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.machine()}",
        jobs=jobs,
        instructions=instructions(),
    )


def origin_of(part: Configured) -> ComponentOrigin:
    """What a record stores about a component: its name, version and options, and its distribution."""
    return ComponentOrigin(
        name=part.name,
        version=part.registered.component.version,
        distribution=part.registered.origin.distribution,
        distribution_version=part.registered.origin.version,
        options=part.identity["options"],
    )
