"""Effective recipes: what a row's runs really did, as observed at the optimizer where it could be, and how two rows differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.analysis.findings import Fact
from bakeoff.contracts.recipe import Recipe
from bakeoff.records.schema import ComponentOrigin, Observed, Record
from bakeoff.text.numbers import per_cent, rounded, significant
from bakeoff.text.values import listed, spelt

VARIES = "varies over seeds"
CLIPPED_TO = 1.01
"""So many times the limit may be left by clipping that takes the norm of one large tensor in float32 (0.06 % too small at 110
million elements by a dot product, 1.2 % by torch's norm)."""
SAME_SCALE = 0.01
"""A loss may stand so far from the mean over its batch: half precision rounds by 0.4 %."""


@dataclass(frozen=True)
class Subject:
    """Something in which recipes may differ."""

    name: str
    parts: tuple[str, ...]
    """What `under_test` may say to declare it."""
    of: Callable[[Record], str | None]
    """In words; None where the record does not tell."""


def _component(kind: str) -> Callable[[Record], str]:
    def told(record: Record) -> str:
        origin: ComponentOrigin = getattr(record.requested, kind)
        options = ", ".join(f"{name} {spelt(value)}" for name, value in origin.options.items() if value is not None)
        words = f"{origin.name} {origin.version}" if origin.version != "1" else origin.name
        return f"{words} ({options})" if options else words

    return told


NEUTRAL: Mapping[str, Any] = {
    name: field.json_schema_extra["neutral"]
    for name, field in Recipe.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and "neutral" in field.json_schema_extra
}
"""Keys that a record leaves out where they have this value, and that older records did not know: it is what they did."""


def _asked(key: str) -> Callable[[Record], str | None]:
    def told(record: Record) -> str | None:
        recipe = record.requested.recipe
        return spelt(recipe.get(key, NEUTRAL.get(key))) if key in recipe or key in NEUTRAL else None

    return told


def _adams(subject: Callable[[Record], str | None]) -> Callable[[Record], str | None]:
    """Nothing where another optimizer was asked."""
    return lambda record: subject(record) if record.requested.recipe.get("optimizer", "adamw") == "adamw" else None


def _seen(key: str, of: Callable[[Observed], str | None]) -> Callable[[Record], str | None]:
    """What was observed; where nothing was, what was asked."""

    def told(record: Record) -> str | None:
        seen = of(record.observed) if record.observed else None
        return _asked(key)(record) if seen is None else seen

    return told


def _of_groups(name: str) -> Callable[[Observed], str | None]:
    def told(observed: Observed) -> str | None:
        values = list(dict.fromkeys(spelt(value) for group in observed.groups if (value := getattr(group, name)) is not None))
        return " and ".join(values) or None

    return told


def _weight_decay(record: Record) -> str | None:
    recipe, observed = record.requested.recipe, record.observed
    values = {group.weight_decay for group in observed.groups} if observed else set()
    numbers = {value for value in values if value is not None}
    if not numbers and "weight_decay" in recipe:
        numbers = {float(recipe["weight_decay"])} | ({0.0} if recipe.get("weight_decay_exempt") else set())
    if not numbers:
        return None
    if numbers == {0.0}:
        return "none"
    where = "all parameters" if 0.0 not in numbers else f"all but {' and '.join(recipe.get('weight_decay_exempt') or ['some'])}"
    return f"{' and '.join(spelt(value) for value in sorted(numbers - {0.0}))} on {where}"


def _clipping(record: Record) -> str | None:
    """Clipping can't be read from an optimizer: norms that pile up at a value show it, else the recipe's word holds."""
    asked = record.requested.recipe.get("max_grad_norm")
    seen = record.observed.clipped_at if record.observed else None
    if asked is None and seen is None:
        return "none" if "max_grad_norm" in record.requested.recipe else None
    limit = seen if asked is None else float(asked)
    return f"norm {spelt(limit)}"


def _schedule(record: Record) -> str | None:
    asked = record.requested.recipe.get("scheduler")
    if record.observed is None or not record.observed.learning_rate_peak:
        return asked
    share = record.observed.learning_rate_last / record.observed.learning_rate_peak
    ends = "near 0" if share < 0.1 else "its peak" if share > 0.98 else f"{per_cent(share)} of its peak"
    return f"{asked or 'unknown'}, down to {ends}" if ends != "its peak" else f"{asked or 'unknown'}, at its peak to the end"


def _warmup(record: Record) -> str | None:
    """A share of all steps as asked, for in steps it changes with the length of training; a number of steps as observed."""
    asked = record.requested.recipe.get("warmup")
    if isinstance(asked, float):
        return f"{significant(asked, 3)} of all steps"
    steps = record.observed.warmup_steps if record.observed else asked
    return None if steps is None else f"{spelt(steps)} steps"


def _length(record: Record) -> str | None:
    recipe = record.requested.recipe
    if recipe.get("max_steps") is not None:
        return f"{spelt(recipe['max_steps'])} steps"
    return f"{spelt(recipe['epochs'])} epochs" if recipe.get("epochs") is not None else None


EXACT_LOSS = "the mean over each batch"


def loss_in_words(record: Record) -> str | None:
    """How loss and gradients were seen to stand to the mean over each batch; None where they are that, or nobody looked."""
    scale = record.observed.loss_scale if record.observed else None
    if scale is None:
        return None
    told: dict[str, list[str]] = {}
    for what, ends in (("loss", scale.loss), ("gradients", scale.gradient), ("gradients of short batches", scale.short)):
        if any(abs(end - 1) > SAME_SCALE for end in ends):
            low, high = (significant(end, 3) for end in ends)
            told.setdefault(f"{low} times" if low == high else f"{low} to {high} times", []).append(what)
    parts = [f"{listed(names)} {times}" for times, names in told.items()]
    return f"{', '.join(parts)} those of {EXACT_LOSS}" if parts else None


SUBJECTS = (
    Subject("trainer", ("trainer",), _component("trainer")),
    Subject("method", ("method",), _component("method")),
    Subject("model", ("model",), _component("model")),
    Subject("what the trainer owns", ("trainer",), lambda record: ", ".join(record.trainer_owns) or "nothing"),
    Subject("loss", ("loss",), loss_in_words),
    Subject("training length", ("recipe.epochs", "recipe.max_steps"), _length),
    Subject("batch size", ("recipe.batch_size",), _asked("batch_size")),
    Subject("optimizer", ("recipe.optimizer",), _seen("optimizer", lambda observed: observed.optimizer)),
    Subject("learning rate", ("recipe.learning_rate",), _seen("learning_rate", lambda seen: spelt(seen.learning_rate_peak))),
    Subject("schedule", ("recipe.scheduler",), _schedule),
    Subject("warm-up", ("recipe.warmup",), _warmup),
    Subject("gradient clipping", ("recipe.max_grad_norm",), _clipping),
    Subject("weight decay", ("recipe.weight_decay", "recipe.weight_decay_exempt"), _weight_decay),
    Subject("betas", ("recipe.betas",), _adams(_seen("betas", _of_groups("betas")))),
    Subject("eps", ("recipe.eps",), _adams(_seen("eps", _of_groups("eps")))),
    Subject("fused optimizer", ("recipe.fused",), _seen("fused", _of_groups("fused"))),
    Subject("input length", ("recipe.max_length",), _asked("max_length")),
    Subject("padding", ("recipe.padding",), _asked("padding")),
    Subject("precision", ("recipe.precision",), _asked("precision")),
    Subject("selection", (), lambda record: record.requested.select.replace("-", " ")),
)
"""Machine and software are compared in `comparability`."""

UNSAID = {name: spelt(value) for name, value in NEUTRAL.items()} | {"loss": EXACT_LOSS}
"""What is true of a row that says nothing of a subject, where another row does."""

_TOLD = {part.removeprefix("recipe.") for subject in SUBJECTS for part in subject.parts}


def effective_recipe(records: Sequence[Record]) -> dict[str, str]:
    """Subject -> value in words, over a row's runs; a subject that no record tells of is left out."""
    further = dict.fromkeys(key for record in records for key in record.requested.recipe if key not in _TOLD)
    found = {}
    for subject in (*SUBJECTS, *(Subject(key, (f"recipe.{key}",), _asked(key)) for key in further)):
        values = {value for record in records if (value := subject.of(record)) is not None}
        if values:
            found[subject.name] = values.pop() if len(values) == 1 else VARIES
    return found


def side_by_side(rows: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Effective recipes by row, each with the neutral value of a key that only others state."""
    neutral = {name: UNSAID[name] for recipe in rows.values() for name in recipe if name in UNSAID}
    return {
        row: {**recipe, **{name: value for name, value in neutral.items() if name not in recipe}}
        for row, recipe in rows.items()
    }


def differences(first: Mapping[str, str], second: Mapping[str, str], under_test: Sequence[str]) -> list[Fact]:
    """The subjects on which two effective recipes differ, each declared as under test or not."""
    parts: Mapping[str, tuple[str, ...]] = {subject.name: subject.parts for subject in SUBJECTS}
    return [
        Fact(
            subject=name,
            first=first[name],
            second=second[name],
            parts=list(parts.get(name, (f"recipe.{name}",))),
            declared=_is_declared(parts.get(name, (f"recipe.{name}",)), under_test),
        )
        for name in first
        if name in second and first[name] != second[name]
    ]


def _is_declared(parts: Sequence[str], under_test: Sequence[str]) -> bool:
    return any(part in under_test or (part.startswith("recipe.") and "recipe" in under_test) for part in parts)


def contradictions(record: Record) -> list[str]:
    """Where the optimizer was seen to do otherwise than the recipe says, in words."""
    recipe, observed = record.requested.recipe, record.observed
    if observed is None:
        return []
    found = []

    def compare(subject: str, asked: Any, seen: Any, *, equal: bool) -> None:
        if asked is not None and seen is not None and not equal:
            found.append(f"{subject} {spelt(seen)} was seen, {spelt(asked)} asked")

    for name in ("eps", "betas", "fused", "momentum", "bias_correction"):
        asked = recipe.get(name, NEUTRAL.get(name))
        for seen in [getattr(group, name) for group in observed.groups]:
            if seen is not None and asked is not None and seen != asked:
                compare(name, asked, seen, equal=False)
                break
    if "loss" not in record.trainer_owns and (scaled := loss_in_words(record)):
        found.append(f"{scaled} were seen")
    peak = recipe.get("learning_rate")
    compare(
        "learning rate", peak, observed.learning_rate_peak, equal=peak is None or observed.learning_rate_peak <= peak * 1.0001
    )
    decays = {group.weight_decay for group in observed.groups} - {None}
    if "weight_decay" in recipe and decays - {0.0, float(recipe["weight_decay"])}:
        compare("weight decay", recipe["weight_decay"], max(decay for decay in decays if decay is not None), equal=False)
    limit, top = recipe.get("max_grad_norm"), observed.gradient_norm_max
    if "max_grad_norm" in recipe:
        if limit is not None and top is not None and top > limit * CLIPPED_TO:
            norm = spelt(rounded(top, 3))
            found.append(f"a gradient norm of {norm} reached the optimizer, though clipping at {spelt(limit)} was asked")
        if limit is None and observed.clipped_at is not None:
            found.append(f"gradient norms pile up at {spelt(observed.clipped_at)}, though no clipping was asked")
    return found
