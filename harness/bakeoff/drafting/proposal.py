"""Proposes what to compare on these rows: split, metric, strategies, steps, looks and margin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bakeoff.statistics.looks import looks_at
from bakeoff.statistics.power import Chances, chances, mde_examples
from bakeoff.statistics.sample_size import PLANNED_DISCORDANCE, PLANNED_SD, POWER
from bakeoff.statistics.twoway import Budget

LOOKS: Final[tuple[tuple[int, ...], ...]] = ((3, 5, 8), (3, 5))
"""The numbers of seeds at the looks, in the order of preference: the second where the first takes too long."""
EPOCHS: Final = 3
BATCH: Final = 16
FEW_STEPS: Final = 100
"""If EPOCHS epochs have fewer steps than this, more epochs are proposed."""
MOST_EPOCHS: Final = 10
LEAST_STEPS: Final = 100
"""Runs are never shortened to fewer steps than this, however long they take: with 60, LoRA at its rate had learned next to
nothing of 244 rows with 3 labels (36 % right, full fine-tuning 86 %), with 100 it was 78 %."""
IMBALANCED: Final = 0.8
"""If the most frequent label has a larger share than this, accuracy says little, and macro F1 is the primary metric."""
MINUTES, MOST_MINUTES, ROWS_OF_MINUTES = 8.0, 60.0, 2_000
"""The time that an experiment may take: MINUTES for up to ROWS_OF_MINUTES rows, in proportion for more rows, at most
MOST_MINUTES."""
SAFETY: Final = 0.8
"""The share of those minutes that is planned: a machine is not always as fast as when it was timed."""
START: Final = 20.0
"""Seconds that `bakeoff run` takes beside its runs: the check before, the control run."""
FEW_FOR_TEST: Final = 500
"""With fewer rows than this, a larger share of them is held out as test."""
TEST_ROWS, DEV_ROWS = 2_000, 1_000
"""About the most rows that are held out as test and as dev, unless 1 % is more: each run predicts all of them."""
MARGINS: Final = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0)
"""The margins that may be proposed, in points: the smallest that is enough is taken."""
CORRELATION_MARGINS: Final = {300: 5.0, 0: 10.0}
"""Number of reported rows, or more -> the margin of a correlation, in points: hundredths."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A strategy that is proposed."""

    name: str
    method: Any
    """The method as the experiment file has it: a name, or a mapping; empty for the default."""
    learning_rate: float
    about: str
    """What it trains."""


FULL: Final = Way(name="full", method="", learning_rate=1e-4, about="every parameter trains")
LORA: Final = Way(name="lora", method={"name": "lora", "r": 8}, learning_rate=1e-3, about="low-rank updates and the head")
BITFIT: Final = Way(name="bitfit", method="bitfit", learning_rate=1e-3, about="biases and the head")
HEAD: Final = Way(name="head-only", method="head-only", learning_rate=1e-2, about="the encoder stays as it is: the cheapest")
"""Learning rates: those that a search on MRPC chose for MiniLM (results/mrpc-strategies)."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many rows each split has, or will have."""

    train: int
    dev: int = 0
    test: int = 0
    shares: Mapping[str, str] = field(default_factory=dict)
    """The shares of rows that the task's option `split` holds out: `{"dev": "10%", "test": "20%"}`; empty for given splits."""

    @property
    def reported(self) -> str:
        return "test" if self.test else "dev"

    @property
    def judged(self) -> int:
        """The number of rows in the reported split."""
        return self.test or self.dev


def own_split(rows: int) -> dict[str, str]:
    """The shares of dev and test to hold out of so many rows: enough to show something, not so much that predicting takes
    longer than training."""
    test = 30 if rows < FEW_FOR_TEST else max(1, min(20, round(100 * TEST_ROWS / rows)))
    dev = max(1, min(10, round(100 * DEV_ROWS / rows)))
    return {"dev": f"{dev}%", "test": f"{test}%"}


def ways(*, lora: bool) -> tuple[Way, ...]:
    """The three strategies to propose, from the most to the fewest parameters that train. lora: whether the method `lora` is
    usable here."""
    return FULL, LORA if lora else BITFIT, HEAD


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long each run trains: epochs, or steps where an epoch takes too long."""

    rows: int
    epochs: int | None
    max_steps: int | None = None

    @property
    def steps(self) -> int:
        each = math.ceil(self.rows / BATCH)
        return self.max_steps if self.max_steps is not None else each * (self.epochs or 0)


def wanted(rows: int) -> Training:
    """The training that is proposed for so many rows if time does not matter."""
    each = math.ceil(rows / BATCH)
    return Training(rows=rows, epochs=max(EPOCHS, min(MOST_EPOCHS, math.ceil(FEW_STEPS / each))))


@dataclass(frozen=True, kw_only=True)
class RunSeconds:
    """The time that a run of a strategy takes."""

    step: float
    """Seconds of an optimizer step."""
    fixed: float
    """Seconds of all else: starting, loading, building, predicting, saving."""

    def of(self, training: Training) -> float:
        return self.fixed + self.step * training.steps


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long each run trains, at how many seeds strategies are compared, and the time of it all."""

    training: Training
    looks: tuple[int, ...]
    seconds: float | None = None
    """Expected seconds of all runs up to the last look; None where no run was timed."""
    first_look: float | None = None
    """Expected seconds of all runs up to the first look."""
    shortened: bool = False
    """Whether runs train for less than `wanted`, so that the experiment ends in time."""
    late: bool = False
    """Whether it does not end in time, though runs have no more than `LEAST_STEPS`."""


def minutes_for(rows: int) -> float:
    return min(MOST_MINUTES, max(MINUTES, MINUTES * rows / ROWS_OF_MINUTES))


def schedule(rows: int, timed: Sequence[RunSeconds] | None, minutes: float) -> Schedule:
    """The longest training, with the most looks, that ends within so many minutes. timed: the time of a run of each strategy;
    None where it is not known: then what is `wanted`, or 5 FEW_STEPS steps where that has more than 10 FEW_STEPS."""
    best = wanted(rows)
    if timed is None:
        few = best if best.steps <= 10 * FEW_STEPS else Training(rows=rows, epochs=None, max_steps=5 * FEW_STEPS)
        return Schedule(training=few, looks=LOOKS[-1], shortened=few != best)
    room = 60 * minutes * SAFETY - START

    def total(training: Training, seeds: int) -> float:
        return START + seeds * sum(one.of(training) for one in timed)

    shorter = [Training(rows=rows, epochs=epochs) for epochs in range((best.epochs or 1) - 1, 0, -1)]
    candidates = [(best, looks) for looks in LOOKS]
    candidates += [(training, LOOKS[-1]) for training in shorter if training.steps >= LEAST_STEPS]
    found = next((one for one in candidates if total(one[0], one[1][-1]) - START <= room), None)
    if found is None:
        left = room / LOOKS[-1][-1] - sum(one.fixed for one in timed)
        steps = max(LEAST_STEPS, _round_down(left / max(1e-9, sum(one.step for one in timed))))
        few = best if best.steps <= steps else Training(rows=rows, epochs=None, max_steps=steps)
        found = few, LOOKS[-1]
    training, looks = found
    return Schedule(
        training=training,
        looks=looks,
        seconds=total(training, looks[-1]),
        first_look=total(training, looks[0]),
        shortened=training != best,
        late=total(training, looks[-1]) > 60 * minutes,
    )


def _round_down(number: float) -> int:
    """A number rounded down to two significant digits: 137 -> 130, 1,234 -> 1,200; below 10 to a whole number."""
    if number < 10:
        return int(max(0, number))
    unit = 10 ** (int(math.log10(number)) - 1)
    return int(number // unit * unit)


# --- what it can conclude ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What the experiment can conclude, estimated before any run."""

    margin: float
    """The margin to propose, in points."""
    rows: int
    """Number of rows in the reported split."""
    detectable: float | None = None
    """The smallest difference, in points, that these rows can show with 80 % probability; None where that is not known."""
    chances: Chances | None = None


def outlook(effective: float, rows: int, looks: Sequence[int], strategies: int) -> Outlook:
    """The outlook with the smallest of MARGINS within which two equal strategies are found equivalent, with 80 % probability,
    by the last look; the largest if none is enough.

    effective: the number of rows that say as much about accuracy as the reported split says about the metric. rows: of the
    reported split. The spread over seeds is assumed to be the usual one; and, as the worst case, all rows on which just one of
    two models is right are taken to be due to the strategies.
    """
    comparisons = strategies - 1
    last = looks_at(looks, comparisons)[-1]
    examples = max(2, round(effective))
    usual = (PLANNED_SD[1] / 100) ** 2
    budget = Budget((usual, usual), PLANNED_DISCORDANCE, (0.0, 0.0))
    found = None
    for margin in MARGINS:
        found = chances(budget, last.last, margin / 100, examples=examples, comparisons=comparisons, alpha=last.budget)
        if found.equivalent >= POWER:
            break
    least = 100 * mde_examples(PLANNED_DISCORDANCE, examples, alpha=last.budget / comparisons, power=POWER)
    return Outlook(margin=margin, rows=rows, detectable=least, chances=found)


def correlation_outlook(rows: int) -> Outlook:
    """The outlook of a regression, whose metric, a correlation, has no planning values."""
    return Outlook(margin=next(margin for least, margin in CORRELATION_MARGINS.items() if rows >= least), rows=rows)


def effective_rows(rows: int, shares: Sequence[float], *, macro: bool) -> float:
    """How many rows of balanced labels would say as much as these rows. macro: the metric is a mean over classes, which is as
    uncertain as its rarest classes. shares: the share of each label, 0 to 1."""
    if not macro:
        return rows
    return len(shares) ** 2 / sum(1 / max(1e-9, share * rows) for share in shares)


# --- lengths -------------------------------------------------------------------------------------------------------------


LENGTHS: Final = (32, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True, kw_only=True)
class Length:
    """How many tokens of each text a model reads."""

    max_length: int
    cut: float
    """Share of the texts that are longer, 0 to 1."""


def length_for(texts: Sequence[str], *, most: int) -> Length:
    """The length, in tokens, that nearly all texts fit into, at most `most`. Tokens are estimated from characters, rather too
    many than too few."""
    tokens = sorted(map(tokens_of, texts))
    wanted = tokens[min(len(tokens) - 1, math.floor(0.97 * len(tokens)))] if tokens else LENGTHS[0]
    length = next((one for one in LENGTHS if one >= min(wanted, most)), LENGTHS[-1])
    return Length(max_length=length, cut=sum(one > length for one in tokens) / max(1, len(tokens)))


def tokens_of(text: str) -> int:
    """The rough number of tokens of a text: one for each character of scripts without blanks, one for three and a half
    characters of others, and two for its ends."""
    dense = sum(ord(one) >= 0x2E80 for one in text) if not text.isascii() else 0
    return 2 + dense + math.ceil((len(text) - dense) / 3.5)
