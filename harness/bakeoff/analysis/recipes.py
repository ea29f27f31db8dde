"""Effective recipes: what a row's runs really did, as observed at the optimizer where it could be, and in what rows differ.

Everything that tells which settings differ between rows asks here: columns and caption of a table, the page's recipes,
confounders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, get_args

from bakeoff.analysis.results import Fact
from bakeoff.contracts.recipe import FOLLOWED_BY_ALL, Recipe, Scheduler
from bakeoff.records.schema import ComponentOrigin, Cost, Observed, Requested, Weights
from bakeoff.text.numbers import count, per_cent, significant
from bakeoff.text.values import grouped, listed, options_in_words, spelt

VARIES = "varies over seeds"
CLAIMED = " (claimed)"
"""Marks a value that a script is said to follow and that nobody could observe."""
FOLLOWED_BY_FEATURES = frozenset({"max_length", "padding"})
"""Recipe keys that the harness itself follows where a trainer that owns its model trains on the features of a pretrained
model."""
SAME_SCALE = 0.01
"""The relative difference up to which a loss counts as the mean over its batch: half precision rounds by 0.4 %."""
AT_PEAK, DOWN, NEAR_0 = "at its peak to the end", "down to", "down to near 0"
"""How a learning rate was seen to end."""
RECIPE = "recipe."
COMPONENTS = ("trainer", "method", "model")


class Run(Protocol):
    """What a recipe is read from: a record, or a run that is only planned."""

    @property
    def requested(self) -> Requested: ...
    @property
    def observed(self) -> Observed | None: ...
    @property
    def weights(self) -> Weights | None: ...
    @property
    def cost(self) -> Cost | None: ...
    @property
    def trainer_owns(self) -> Sequence[str]: ...
    @property
    def claims(self) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True)
class Known:
    """A run with only those recipe keys that it is known to follow; of a command, those that it is said to follow."""

    requested: Requested
    observed: Observed | None
    weights: Weights | None
    cost: Cost | None
    trainer_owns: Sequence[str]
    claims: Mapping[str, Any] | None


@dataclass(frozen=True)
class Subject:
    """A setting, or something that follows from settings, in which rows may differ."""

    name: str
    parts: tuple[str, ...]
    """The names by which `under_test` declares that rows differ in it."""
    of: Callable[[Run], str | None]
    """Run -> its value in words; None where the record does not tell."""
    confounds: bool = True
    """Whether an undeclared difference in it confounds; not where it follows from other subjects, or is chance."""


NEUTRAL: Mapping[str, Any] = {
    name: field.json_schema_extra["neutral"]
    for name, field in Recipe.model_fields.items()
    if isinstance(field.json_schema_extra, dict) and "neutral" in field.json_schema_extra
}
"""Recipe key -> its neutral value. A record that leaves the key out, as older ones do that did not know it, was made with this
value."""


OWN_FILE = "sha256"
"""The option of a trainer that holds the hash of a run's own file, such as that of its predictions: each run of a strategy has
another one, which is no difference of settings."""


def _component(record: Run, kind: str) -> str | None:
    """The run's component of this kind, with its options, in words. None where it has none: no model where its trainer owns
    one, and then no method either."""
    origin: ComponentOrigin | None = getattr(record.requested, kind)
    if origin is None or (kind == "method" and "model" in record.trainer_owns):
        return None
    if OWN_FILE in origin.options:
        return f"{origin.name} ({record.requested.strategy})"
    options = {name: value for name, value in origin.options.items() if value is not None}
    return _labelled(origin, options, versioned=origin.version != "1")


def _labelled(origin: ComponentOrigin, options: Mapping[str, Any], *, versioned: bool) -> str:
    """A component in words: `lora 2 (r 8, dropout none)`, where 2 is its version."""
    name = f"{origin.name} {origin.version}" if versioned else origin.name
    return f"{name} ({options_in_words(options)})" if options else name


def _requested(record: Run, key: str) -> str | None:
    recipe = record.requested.recipe
    stated = key in recipe or (key in NEUTRAL and record.claims is None)
    return spelt(recipe.get(key, NEUTRAL.get(key))) if stated else None


def _observed(record: Run, key: str, seen: Callable[[Observed], str | None]) -> str | None:
    """The value that was observed; where none was, the one that was requested."""
    found = seen(record.observed) if record.observed else None
    return _requested(record, key) if found is None else found


def _of_groups(record: Run, key: str) -> str | None:
    def seen(observed: Observed) -> str | None:
        values = (getattr(group, key) for group in observed.groups)
        return " and ".join(dict.fromkeys(spelt(value) for value in values if value is not None)) or None

    return _observed(record, key, seen)


def _optimizer(record: Run) -> str | None:
    """The optimizer as it was observed, or else requested; one that a plugin offers with its options."""
    if is_built_in(record, "optimizer"):
        return _observed(record, "optimizer", lambda seen: seen.optimizer)
    return _requested(record, "optimizer")


def _loss_function(record: Run) -> str | None:
    """The loss that the recipe names, in words; None where it names none."""
    return _requested(record, "loss") if "loss" in record.requested.recipe else None


def is_built_in(record: Run, key: str) -> bool:
    """Whether the run's recipe names no plugin's component for this key."""
    return not isinstance(record.requested.recipe.get(key), dict)


def _of_adamw(record: Run, key: str) -> str | None:
    """A setting of AdamW, as observed or else as requested; None where another optimizer was requested."""
    return _of_groups(record, key) if record.requested.recipe.get("optimizer", "adamw") == "adamw" else None


def _weight_decay(record: Run) -> str | None:
    recipe, observed = record.requested.recipe, record.observed
    numbers = {group.weight_decay for group in observed.groups if group.weight_decay is not None} if observed else set()
    if not numbers and "weight_decay" in recipe:
        numbers = {float(recipe["weight_decay"])} | ({0.0} if recipe.get("weight_decay_exempt") else set())
    if not numbers - {0.0}:
        return "none" if numbers else None
    where = "all parameters" if 0.0 not in numbers else f"all but {' and '.join(recipe.get('weight_decay_exempt') or ['some'])}"
    return f"{' and '.join(spelt(value) for value in sorted(numbers - {0.0}))} on {where}"


def _clipping(record: Run) -> str | None:
    """The gradient norm to which the run clips, in words. It can't be read from an optimizer: the recipe's word holds, else
    norms that pile up at a value show it."""
    requested = record.requested.recipe.get("max_grad_norm")
    limit = (record.observed.clipped_at if record.observed else None) if requested is None else float(requested)
    return f"norm {spelt(limit)}" if limit is not None else "none" if "max_grad_norm" in record.requested.recipe else None


def _schedule(record: Run) -> str | None:
    requested, observed = record.requested.recipe.get("scheduler"), record.observed
    if observed is None or not observed.learning_rate_peak:
        return requested
    if record.requested.recipe.get("early_stopping"):  # where a run stops, its rate is what it is
        return requested
    share = observed.learning_rate_last / observed.learning_rate_peak
    if share > 0.98:
        return f"{requested or 'unknown'}, {AT_PEAK}"
    near = share < 0.1 or share <= _last_share(record, observed)
    return f"{requested or 'unknown'}, {NEAR_0 if near else f'{DOWN} {per_cent(share)} of its peak'}"


def _last_share(record: Run, observed: Observed) -> float:
    """What share of its peak a schedule that would reach 0 after the last step has left in that step: much, where there are
    few steps.

    A linear schedule has 1 / steps after warm-up; a cosine less; a polynomial one that share to its power.
    """
    steps = observed.optimizer_steps - observed.warmup_steps
    power = float(record.requested.recipe.get("power") or 1.0)
    return float((1 / steps) ** power * 1.001) if steps > 0 else 0.0


def _warmup(record: Run) -> str | None:
    """The warm-up in words: the share of all steps where one was requested, since the number of steps changes with the length
    of training; else the number of steps, as observed."""
    requested = record.requested.recipe.get("warmup")
    if isinstance(requested, float):
        return f"{significant(requested, 3)} of all steps"
    steps = record.observed.warmup_steps if record.observed else requested
    return None if steps is None else f"{spelt(steps)} steps"


def _length(record: Run) -> str | None:
    keys = [key for key in ("max_steps", "epochs") if record.requested.recipe.get(key) is not None]
    if not keys:
        return None
    told = count(record.requested.recipe[keys[0]], keys[0].removeprefix("max_").removesuffix("s"))
    least = record.requested.recipe.get("min_steps")
    return f"{told}, {count(least, 'step')} or more" if least else told


EXACT_LOSS = "the mean over each batch"


def loss_in_words(record: Run) -> str | None:
    """By what factors loss and gradients were seen to differ from those of the mean over each batch, in words; None where they
    do not, or nobody looked."""
    scale = record.observed.loss_scale if record.observed else None
    if scale is None:
        return None
    factors = grouped(
        (" to ".join(dict.fromkeys(significant(end, 3) for end in ends)), what)
        for what, ends in (("loss", scale.loss), ("gradients", scale.gradient), ("gradients of short batches", scale.short))
        if any(abs(end - 1) > SAME_SCALE for end in ends)
    )
    parts = [f"{listed(names)} {factor} times" for factor, names in factors.items()]
    return f"{', '.join(parts)} those of {EXACT_LOSS}" if parts else None


def _selection(record: Run) -> str | None:
    return None if "model" in record.trainer_owns else record.requested.select.replace("-", " ")


def _steps(record: Run) -> str | None:
    return spelt(record.cost.steps) if record.cost and "model" not in record.trainer_owns else None


OWNED = "what the trainer owns"
"""The subject for what a trainer decides by itself. A row's notes tell it; it has no column."""

SUBJECTS = (
    *(Subject(kind, (kind,), lambda record, kind=kind: _component(record, kind)) for kind in COMPONENTS),  # type: ignore[misc]
    Subject(OWNED, ("trainer",), lambda record: ", ".join(record.trainer_owns) or "nothing"),
    Subject("loss", ("loss",), loss_in_words),
    Subject("training length", ("recipe.epochs", "recipe.max_steps", "recipe.min_steps"), _length),
    Subject("batch size", ("recipe.batch_size",), lambda record: _requested(record, "batch_size")),
    Subject("loss function", ("recipe.loss",), _loss_function),
    Subject("optimizer", ("recipe.optimizer",), _optimizer),
    Subject(
        "learning rate",
        ("recipe.learning_rate",),
        lambda record: _observed(record, "learning_rate", lambda seen: spelt(seen.learning_rate_peak)),
    ),
    Subject("schedule", ("recipe.scheduler",), _schedule),
    Subject("warm-up", ("recipe.warmup",), _warmup),
    Subject("gradient clipping", ("recipe.max_grad_norm",), _clipping),
    Subject("weight decay", ("recipe.weight_decay", "recipe.weight_decay_exempt"), _weight_decay),
    Subject("betas", ("recipe.betas",), lambda record: _of_adamw(record, "betas")),
    Subject("eps", ("recipe.eps",), lambda record: _of_adamw(record, "eps")),
    Subject("fused optimizer", ("recipe.fused",), lambda record: _of_groups(record, "fused")),
    Subject("input length", ("recipe.max_length",), lambda record: _requested(record, "max_length")),
    Subject("padding", ("recipe.padding",), lambda record: _requested(record, "padding")),
    Subject("precision", ("recipe.precision",), lambda record: _requested(record, "precision")),
    Subject("selection", (), _selection),
    Subject("replicate", (), lambda record: spelt(record.requested.replicate), confounds=False),
    Subject("steps", (), _steps, confounds=False),
    Subject(
        "parameters", (), lambda record: spelt(record.weights.parameters_total) if record.weights else None, confounds=False
    ),
    Subject(
        "trainable parameters",
        (),
        lambda record: spelt(record.weights.parameters_trainable) if record.weights else None,
        confounds=False,
    ),
)
"""All subjects of recipes, in the order in which they are told. Machine and software are compared in `comparability`."""

UNSAID = {name: spelt(value) for name, value in NEUTRAL.items()} | {"loss": EXACT_LOSS, "loss function": "default"}
"""Subject -> the value that holds for a row which does not state it, where another row does."""

_NAMED = {part.removeprefix(RECIPE) for subject in SUBJECTS for part in subject.parts if part.startswith(RECIPE)}


def effective_recipe(records: Sequence[Run]) -> dict[str, str]:
    """Subject -> its value in words, for a row's runs together; a subject that no record tells of is left out."""
    records = [_known(record) for record in _unlike(records)]
    further = dict.fromkeys(key for record in records for key in record.requested.recipe if key not in _NAMED)
    subjects = {subject.name: subject.of for subject in SUBJECTS} | {
        key: lambda record, key=key: _requested(record, key) for key in further
    }
    found = {}
    for name, of in subjects.items():
        values = {value + _mark(record, name) for record in records if (value := of(record)) is not None}
        if values:
            found[name] = values.pop() if len(values) == 1 else VARIES
    return found


PER_RUN: Final = {
    *("data_order_sha256", "gradient_norms_measured", "gradient_norm_median", "gradient_norm_max"),
    *("examples_seen", "tokens_seen", "padded_tokens_seen"),
}
"""What was observed of a run that no subject tells: runs which differ in nothing else have one recipe."""


def _unlike(records: Iterable[Run]) -> list[Run]:
    """One run of each recipe: of thousands of runs that were read through an index, these are a few."""
    found: dict[tuple[Any, ...], Run] = {}
    for record in records:
        asked, weights = record.requested, record.weights
        key = (
            *(id(part) for part in (asked.task, asked.model, asked.method, asked.trainer, asked.recipe)),
            *(asked.strategy, asked.replicate, asked.select, *record.trainer_owns),
            repr(record.claims),
            weights and (weights.parameters_total, weights.parameters_trainable),
            record.cost and record.cost.steps,
            record.observed and _settings(record.observed),
        )
        found.setdefault(key, record)
    return list(found.values())


def _settings(observed: Observed) -> tuple[Any, ...]:
    """All that was observed but what differs from run to run; the groups by their identity."""
    return tuple(id(value) if name == "groups" else repr(value) for name, value in observed if name not in PER_RUN)


def _known(record: Run) -> Known:
    """The run without those recipe keys of which nobody knows whether it follows them. A trainer that owns its model is said
    to follow none, unless it says which."""
    requested, claims = record.requested, _claims(record)
    if claims is not None:
        followed = FOLLOWED_BY_ALL if requested.model is None else FOLLOWED_BY_ALL | FOLLOWED_BY_FEATURES
        kept = {key: value for key, value in requested.recipe.items() if key in claims or key in followed}
        requested = requested.model_copy(update={"recipe": kept})
    return Known(requested, record.observed, record.weights, record.cost, record.trainer_owns, claims)


def _claims(record: Run) -> Mapping[str, Any] | None:
    return {} if record.claims is None and "model" in record.trainer_owns else record.claims


def _mark(record: Run, subject: str) -> str:
    """` (claimed)` for a subject of the recipe that a command is only said to follow, else empty."""
    if record.claims is None:
        return ""
    parts = next((one.parts for one in SUBJECTS if one.name == subject), (f"{RECIPE}{subject}",))
    claimed = any(part.removeprefix(RECIPE) in record.claims for part in parts)
    return CLAIMED if claimed else ""


def side_by_side(rows: Mapping[str, Sequence[Run]]) -> dict[str, dict[str, str]]:
    """Row -> its effective recipe, made comparable with the others': a key that only other rows state has its neutral value,
    unless nobody knows it for this row; and components show only the options in which they differ. Every row has records."""
    recipes = {row: effective_recipe(records) for row, records in rows.items()}
    neutral = {name: UNSAID[name] for recipe in recipes.values() for name in recipe if name in UNSAID}
    found = {
        row: recipe
        if any(_claims(record) is not None for record in rows[row])
        else {**recipe, **{name: neutral[name] for name in neutral if name not in recipe}}
        for row, recipe in recipes.items()
    }
    for kind in COMPONENTS:
        both = {row: getattr(rows[row][0].requested, kind) for row in rows if kind in found[row]}
        origins: dict[str, ComponentOrigin] = {row: origin for row, origin in both.items() if origin is not None}
        by_name = grouped((origin.name, origin) for origin in origins.values())
        apart = {name: options_apart(same) for name, same in by_name.items()}
        versions = {name: {one.version for one in same} for name, same in by_name.items()}
        for row, origin in origins.items():
            options = {key: origin.options.get(key) for key in apart[origin.name]}
            if found[row][kind] != VARIES:
                found[row][kind] = _labelled(origin, options, versioned=len(versions[origin.name]) > 1)
    return found


def options_apart(origins: Sequence[ComponentOrigin]) -> list[str]:
    """The options in which components of one name differ."""
    keys = dict.fromkeys(key for origin in origins for key in origin.options)
    return [key for key in keys if any(origin.options.get(key) != origins[0].options.get(key) for origin in origins)]


def equal_and_differing(recipes: Iterable[Mapping[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Subject -> the one value of all recipes that have it; and the subjects in which recipes differ."""
    values = grouped((subject, value) for recipe in recipes for subject, value in recipe.items())
    equal = {subject: found[0] for subject, found in values.items() if len(set(found)) == 1}
    return equal, [subject for subject in values if subject not in equal]


def differences(first: Mapping[str, str], second: Mapping[str, str], under_test: Sequence[str]) -> list[Fact]:
    """The subjects on which two effective recipes differ, each declared as under test or not."""
    known = {subject.name: subject for subject in SUBJECTS}
    apart = [name for name in first if name in second and not _is_same(first[name], second[name])]
    parts = {
        name: known[name].parts if name in known else (f"{RECIPE}{name}",)
        for name in apart
        if name not in known or known[name].confounds
    }
    return [
        Fact(subject=name, first=first[name], second=second[name], parts=list(own), declared=is_declared(own, under_test))
        for name, own in parts.items()
    ]


SEEN_AS: Final = {name: f"{name}, {NEAR_0}" for name in get_args(Scheduler)} | {
    "constant": f"constant, {AT_PEAK}",
    "inverse_sqrt": f"inverse_sqrt, {DOWN}",
    "adamw": "AdamW",
    "sgd": "SGD",
}
"""A claimed schedule or optimizer -> how the words begin in which a run that follows it was observed."""


def _is_same(first: str, second: str) -> bool:
    """Whether two values of a subject are the same. A claim has the recipe's word, where an observation may tell more."""
    if first.endswith(CLAIMED) == second.endswith(CLAIMED):
        return first == second
    seen, claim = sorted((first, second), key=lambda value: value.endswith(CLAIMED))
    word = claim.removesuffix(CLAIMED)
    return seen == word or (word in SEEN_AS and seen.startswith(SEEN_AS[word]))


def is_declared(parts: Iterable[str], under_test: Sequence[str]) -> bool:
    """Whether one of these parts is under test; `recipe` stands for all of its keys."""
    return any(part in under_test or (part.startswith(RECIPE) and "recipe" in under_test) for part in parts)
