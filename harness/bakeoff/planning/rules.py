"""What must agree in an experiment: one function for each rule, whose docstring states the rule. Where the rule is broken, the
function yields a place in the file and a message."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from bakeoff.contracts.configured import Configured, canonical
from bakeoff.contracts.fields import LARGEST_SEED
from bakeoff.contracts.held_out import SELECTION_SPLIT, key_that_makes
from bakeoff.contracts.hub_metrics import HubMetric
from bakeoff.contracts.recipe import DEFAULTS, FOLLOWED_BY_ALL, Recipe
from bakeoff.contracts.trainer import Trainer
from bakeoff.errors import ModelError
from bakeoff.planning.runs import KnownTask, Plan, ResolvedStrategy, margins
from bakeoff.spec.experiment_file import PLAIN_MARGIN
from bakeoff.spec.other_names import value_meant_by
from bakeoff.spec.seeds import ReportedSeeds
from bakeoff.spec.strategy import SearchSpace, Strategy
from bakeoff.spec.varied import Varied
from bakeoff.spec.yaml_reader import KeyPath, dotted
from bakeoff.text.tolerances import POINTS, Tolerance, quality_tolerances, tolerance_of, with_tolerance
from bakeoff.text.values import spelt, yaml_value
from bakeoff.text.words import did_you_mean, escaped, quoted

Problem = tuple[KeyPath, str]
"""A place in the experiment file, and what is wrong there."""

DECLARED_APART = {"precision", "processes"}
"""Recipe keys for which a trainer declares the supported values, not only whether it follows them."""


def are_installed(components: Mapping[KeyPath, Configured]) -> Iterator[Problem]:
    for path, component in components.items():
        if needs := component.registered.told_needs:
            yield path, f"{component.registered.component.kind} '{component.name}' {needs}"


def stand_once(components: Mapping[KeyPath, Configured]) -> Iterator[Problem]:
    """No task and no model is listed twice. components: tasks and models by their place in the file."""
    seen: dict[tuple[str | int, str], KeyPath] = {}
    for path, component in components.items():
        if (first := seen.setdefault((path[0], canonical(component.identity)), path)) != path:
            yield path, f"the same as {dotted(first)}: leave one of them out"


def titles_differ(components: Mapping[KeyPath, Configured], strategies: Iterable[ResolvedStrategy]) -> Iterator[Problem]:
    """No two tasks, models or strategies have one title, no strategy another's name, and no model two titles. components:
    tasks and models by their place in the file, including the models that strategies name for themselves."""
    written = {strategy.written: strategy.title for strategy in strategies}
    given = [
        ((*path, "title"), f"{component.registered.component.kind}s", component.given_title, canonical(component.identity))
        for path, component in components.items()
    ]
    given += [(("strategies", name, "title"), "strategies", title, name) for name, title in written.items()]
    seen: dict[tuple[str, str], tuple[KeyPath, str]] = {}
    titles: dict[tuple[str, str], tuple[KeyPath, str]] = {}
    for path, key, title, whose in given:
        if not title:
            continue
        first, owner = seen.setdefault((key, title), (path, whose))
        other, called = titles.setdefault((key, whose), (path, title))
        if owner != whose:
            yield path, f"the same as {dotted(first)}: give each a title of its own"
        elif called != title:
            yield path, f"{dotted(other)} calls the same {key.removesuffix('s')} {quoted(called)}; give it one title"
        elif key == "strategies" and title in written.keys() - {path[1]}:
            yield path, f"'{title}' is the name of another strategy: give another title"


# --- of a task -----------------------------------------------------------------------------------------------------------


def reported_split_is_scored(task: KnownTask, report_on: str | None, *, is_written: bool) -> Iterator[Problem]:
    """The task has labels for the split to report on. is_written: whether the file has a key `report_on`; if not, the problem
    is placed at the task."""
    info = task.info
    if report_on is None or report_on in info.scored_splits:
        return
    if not is_written:
        yield ("tasks", task.index), _unwritten_report_on(task, report_on)
        return
    scored = " or ".join(info.scored_splits)
    wrong = did_you_mean("split to report on", report_on, info.scored_splits)
    if (meant := value_meant_by("report_on", report_on)) in info.scored_splits:
        wrong = f"no split to report on {quoted(report_on)}; write `report_on: {meant}`"
    if report_on in info.hidden_splits:
        wrong = f"the labels of split '{report_on}' are not public; report on {scored}"
    elif report_on in info.splits and report_on != "train":
        others = f"report on {scored}" if scored else "no split can be"
        wrong = f"split '{report_on}' has no labels: it is predicted and kept, not scored; {others}"
    elif key := key_that_makes(report_on, task.task, info):
        instead = f"; else report on {scored}" if scored else ""
        wrong = f"no split '{report_on}' to report on: write `{key}` in the task to hold rows of train out for it{instead}"
    yield ("report_on",), f"task '{task.name}': {wrong}"


def default_report(tasks: Iterable[KnownTask], default: str) -> str:
    """The split that is reported where the file names none: `default`, or dev where the tasks hold out dev alone."""
    made = [task.info.scored_splits == ("dev",) and "dev" in task.info.held_out for task in tasks]
    return "dev" if made and all(made) else default


def _unwritten_report_on(task: KnownTask, report_on: str) -> str:
    """Why the task can't be reported on the default split, and what to write instead."""
    info = task.info
    why = f"it has no split '{report_on}'"
    if report_on in info.hidden_splits:
        why = f"the labels of its split '{report_on}' are not public"
    elif report_on in info.splits:
        why = f"its split '{report_on}' has no labels"
    keys = [f"`report_on: {yaml_value(split)}`" for split in info.scored_splits]
    if made := key_that_makes(report_on, task.task, info):
        keys.insert(0, f"`{made}` in the task to hold rows of train out for it")
    remedy = f"write {', or '.join(keys)}" if keys else "give it a labelled split beside train"
    return f"task '{task.name}': results are reported on '{report_on}' by default, and {why}: {remedy}"


def selection_has_a_split(task: KnownTask, select: str | None, *, searched: bool) -> Iterator[Problem]:
    if task.can_select:
        return
    key = key_that_makes(SELECTION_SPLIT, task.task, task.info)
    written = f": write `{key}` in the task" if key else ""
    lacking = f"task '{task.name}' has no labelled split '{SELECTION_SPLIT}'"
    if select == "best-on-dev":
        yield ("select",), f"{lacking} to select on{written}{', or' if key else ';'} write `select: last-epoch`"
    if searched:
        yield ("search",), f"{lacking} to choose on{written}"


def evaluations_on_dev_are_used(strategy: ResolvedStrategy, select: str | None) -> Iterator[Refusal]:
    """Dev is evaluated while training only where that chooses the best state."""
    if strategy.recipe.select_by is not None and select != "best-on-dev":
        yield "select_by", "would choose by scores of dev, which is done only with `select: best-on-dev`: write that too"
    if strategy.recipe.evaluate_every is not None and select != "best-on-dev":
        yield "evaluate_every", "would evaluate dev, which is done only with `select: best-on-dev`: write that too"
    if strategy.recipe.early_stopping is not None and select != "best-on-dev":
        yield "early_stopping", "would stop by scores of dev, which are only there with `select: best-on-dev`: write that too"


def primary_metric_has_a_direction(task: KnownTask) -> Iterator[Problem]:
    metric = task.metric
    if isinstance(metric, HubMetric) and metric.better is None:
        yield (
            ("tasks", task.index, "metrics"),
            f"task '{task.name}' is judged by {metric.name}, which comes from the hub, and the hub does not say which "
            f"scores are better: write {yaml_value({'name': metric.name, 'better': 'higher'})} or better: lower",
        )


def model_suits_the_task(task: KnownTask, model: Configured, path: KeyPath) -> Iterator[Problem]:
    """The model accepts the task, as far as its options alone tell. path: the model's place in the file."""
    try:
        model.registered.component.check_task(task.info, model.options)
    except ModelError as error:
        yield path, f"{error} (task '{task.name}')"
    except Exception as error:  # the author's code
        yield path, f"model '{model.name}' ({model.registered.origin}): `check_task`: {escaped(told(error))}"


def told(error: Exception) -> str:
    """An error of a plugin's own code on one line: its type and message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def trainer_does_the_kind(task: KnownTask, strategy: ResolvedStrategy) -> Iterator[Problem]:
    trainer, kind = _trainer(strategy), task.info.kind
    if trainer.supports.kinds is not None and kind.name not in trainer.supports.kinds:
        told = f"trainer '{trainer.name}' can't train {kind} (task '{task.name}', tasks[{task.index}])"
        yield ("strategies", strategy.written, "trainer"), told


# --- of a strategy: recipe keys that its trainer can't follow, and why -------------------------------------------------------

Refusal = tuple[str, str]
"""A recipe key, and why its value can't be followed, as the end of a sentence that begins with the trainer."""


def recipe_fits_the_kind(task: KnownTask, strategy: ResolvedStrategy) -> Iterator[Refusal]:
    kind = task.info.kind
    for key, why in kind.recipe_conflicts.items():
        if getattr(strategy.recipe, key) != getattr(DEFAULTS, key):
            yield key, f"{why}, and task '{task.name}' is a {kind} task"
    stopping, metrics = strategy.recipe.early_stopping, [metric.name for metric in task.info.metrics]
    if stopping is not None and stopping.metric is not None and stopping.metric not in metrics:
        told = did_you_mean("metric", stopping.metric, metrics)
        yield "early_stopping", f"would stop by what is no metric of task '{task.name}': {told}"
    if strategy.recipe.select_by is not None and strategy.recipe.select_by not in metrics:
        told = did_you_mean("metric", strategy.recipe.select_by, metrics)
        yield "select_by", f"would choose by what is no metric of task '{task.name}': {told}"
    named = {"early_stopping": stopping.metric if stopping is not None else None, "select_by": strategy.recipe.select_by}
    for key, name in named.items():
        one = next((metric for metric in task.info.metrics if metric.name == name), None)
        if isinstance(one, HubMetric) and one.better is None:
            yield key, f"would go by {one.name}, of which the hub does not say which scores are better"
    weights, labels = strategy.recipe.class_weights, task.info.labels
    if isinstance(weights, dict) and labels and (strange := [name for name in weights if name not in labels]):
        told = did_you_mean("label", strange[0], labels)
        yield "class_weights", f"gives a weight to what is no label of task '{task.name}': {told}"


def loss_is_for_the_kind(task: KnownTask, strategy: ResolvedStrategy) -> Iterator[Refusal]:
    """A loss that a plugin offers is for the task's kind."""
    if (part := strategy.parts.get("loss")) is None:
        return
    kinds = part.registered.component.kinds
    if kinds is not None and task.info.kind.name not in kinds:
        told = f"would train by loss '{part.name}', which is for {' and '.join(sorted(kinds))}"
        yield "loss", f"{told}, and task '{task.name}' is a {task.info.kind} task"


def parts_are_used(strategy: ResolvedStrategy) -> Iterator[Refusal]:
    """A plugin's loss and optimizer go with the trainer: it takes its loss from the job, and can give the optimizer what it
    needs."""
    trainer = _trainer(strategy)
    owned = trainer.owned(strategy.recipe, strategy.trainer.options)
    if "steps" in trainer.owns:
        return
    if "loss" in strategy.parts and "loss" in owned:
        yield "loss", "computes the loss itself"
    part = strategy.parts.get("optimizer")
    if part is not None and not part.registered.component.elementwise and not trainer.supports.whole_parameters:
        yield (
            "optimizer",
            f"stores all parameters in one tensor, and optimizer '{part.name}' looks at each by itself: take "
            "`trainer: torch-loop`",
        )


def keys_are_followed(strategy: ResolvedStrategy, own: Iterable[str]) -> Iterator[Refusal]:
    """The trainer follows every recipe key that is not at its default. own: keys that the strategy itself gives or searches.
    For a trainer that owns its steps only these are checked, since the shared recipe describes the steps of other trainers."""
    trainer = _trainer(strategy)
    owned = trainer.owned(strategy.recipe, strategy.trainer.options)
    if strategy.recipe.class_weights != "none" and "loss" in owned and "steps" not in owned:
        yield "class_weights", "computes the loss itself, in which labels weigh alike"
    for key in Recipe.model_fields.keys() - trainer.recipe_keys(strategy.trainer.options) - DECLARED_APART - FOLLOWED_BY_ALL:
        is_meant = "steps" not in trainer.owns or key in own
        if is_meant and getattr(strategy.recipe, key) != getattr(DEFAULTS, key):
            remedy = f": give it to the command as {{{key}}}, or name it in `claims`" if trainer.runs_commands else ""
            yield key, f"does not follow this key{remedy}"


def precision_and_processes_are_supported(strategy: ResolvedStrategy, own: Iterable[str]) -> Iterator[Refusal]:
    """The trainer supports the recipe's precision and number of processes. own: keys that the strategy itself gives or
    searches. For a trainer that owns its model, only these and the keys that it follows are checked."""
    trainer, recipe = _trainer(strategy), strategy.recipe
    supports = trainer.supports
    apply = {*own, *trainer.recipe_keys(strategy.trainer.options)} if strategy.owns_model else DECLARED_APART
    if recipe.precision not in supports.precisions and "precision" in apply:
        yield "precision", f"trains in {' or '.join(sorted(supports.precisions, reverse=True))}, not in {recipe.precision}"
    if recipe.processes > supports.processes and "processes" in apply:
        yield "processes", f"trains in {supports.processes} process{'es' if supports.processes > 1 else ''} at most"


def method_is_supported(strategy: ResolvedStrategy) -> Iterator[Problem]:
    trainer = _trainer(strategy)
    methods = trainer.supports.methods
    if methods is not None and strategy.method.name not in methods:
        told = f"goes with method {', '.join(sorted(methods))} only, not with '{strategy.method.name}'"
        yield ("strategies", strategy.written, "method"), f"trainer '{trainer.name}' {told}"


def trainer_takes_model_and_method(name: str, given: Strategy) -> Iterator[Problem]:
    """A strategy names no model and no method if its trainer has a model of its own and does not use the strategy's."""
    if given.trainer is None or (trainer := _component(given.trainer)).uses_model:
        return
    for kind in ("model", "method"):
        if getattr(given, kind) is not None:
            yield ("strategies", name, kind), f"trainer '{trainer.name}' has a model of its own: leave `{kind}` out"


def strategies_have_models(shared: Sequence[Configured], named: Mapping[str, Strategy | None]) -> Iterator[Problem]:
    """Every strategy that needs a model has one, and some strategy uses the shared ones. shared: what `models` lists. named:
    the strategies of the file by name, None in place of an invalid one."""
    given = {name: one for name, one in named.items() if one is not None and one.same_as is None}
    sharing = [name for name, one in given.items() if one.model is None and one.trainer and _component(one.trainer).uses_model]
    if shared and named and not sharing and all(named.values()):
        yield ("models",), "no strategy uses these, since each names a model or has a trainer with one: leave `models` out"
    for name in () if shared else sharing:
        told = f"strategy '{name}' has no model: write `models: [MODEL]` for all strategies, or `model: MODEL` in this one"
        yield ("strategies", name), told


def runs_can_go_on(strategy: ResolvedStrategy) -> Iterator[Problem]:
    """With `checkpoint_every`, runs can resume from a checkpoint: they have one process, and the trainer supports it. A
    trainer that owns its steps makes no checkpoints, so it is not checked."""
    trainer = _trainer(strategy)
    if "steps" in trainer.owns:
        return
    if strategy.recipe.processes > 1:
        yield ("checkpoint_every",), f"runs of several processes can't resume from a checkpoint (strategy '{strategy.written}')"
    elif (part := strategy.parts.get("optimizer")) is not None and not part.registered.component.resumes:
        told = f"optimizer '{part.name}' can't resume from a checkpoint (strategy '{strategy.written}')"
        yield ("checkpoint_every",), told
    elif not trainer.supports.resume:
        yield ("checkpoint_every",), f"trainer '{trainer.name}' can't resume from a checkpoint (strategy '{strategy.written}')"


def _trainer(strategy: ResolvedStrategy) -> Trainer:
    return _component(strategy.trainer)


def _component(trainer: Configured) -> Trainer:
    component: Trainer = trainer.registered.component
    return component


# --- of a key that varies ------------------------------------------------------------------------------------------------


def nothing_else_gives_it(varied: Varied, recipe: Collection[str], strategies: Mapping[str, Strategy]) -> Iterator[Problem]:
    """Only `vary` gives its key: not the shared recipe, a strategy or a search. recipe: the keys of the file's shared
    recipe."""
    key, told = varied.key, f"`vary` gives {varied.key} to every strategy"
    if key in recipe:
        yield ("recipe", key), f"{told}: leave it out here, or leave `vary` out"
    for name, strategy in strategies.items():
        if key in strategy.recipe.changes:
            yield ("strategies", name, "recipe", key), f"{told}: leave it out here, or leave `vary` out"
        if strategy.search is not None and key in strategy.search.grid:
            yield ("strategies", name, "search", key), f"{told}, so that no search can choose it: leave one of the two out"


def searched_at_a_value(varied: Varied | None, space: SearchSpace) -> Iterator[tuple[str, str]]:
    """No search is over the key that varies, and its `at` is one of that key's values. Yields (key of the search, problem)."""
    if varied is not None and varied.key in space.grid:
        told = f"`vary` gives {varied.key} to every strategy, so that no search can choose it: leave one of the two out"
        yield varied.key, told
    if space.at is None:
        return
    if varied is None:
        yield "at", "nothing varies, so that there is no value to name: leave it out, or write `vary`"
    elif (word := varied.said(space.at)) not in varied.words:
        yield "at", did_you_mean(f"value of {varied.key}", word, varied.words)


# --- of searches ---------------------------------------------------------------------------------------------------------


def wrong_search_seeds(space: SearchSpace, reported: ReportedSeeds) -> Iterator[tuple[str, str]]:
    """No seed of a search is reported too, or too large, and `repeat` is 1 or the number of reported seeds. Yields (key of the
    search, problem)."""
    trials = {seed for number in range(space.repeat) for seed in space.trial_seeds(number)}
    if both := sorted(trials & set(reported.numbers)):
        yield "seeds", f"seed {both[0]} is reported too; a search needs seeds of its own"
    if max(trials) > LARGEST_SEED:
        yield "seeds", f"the last of {space.repeat} searches would need seed {max(trials)}; the largest is {LARGEST_SEED}"
    if space.repeat not in (1, many := len(reported.numbers)):
        last = f"the last look, {many}" if reported.looks else f"the number of seeds, {many}"
        yield "repeat", f"each reported seed has a search of its own: write {last}, or 1"


# --- of margin and gate, in the units of the primary metrics --------------------------------------------------------------


def wrong_margins(given: Mapping[str, float], tasks: Sequence[KnownTask]) -> Iterator[Problem]:
    """Yields what is wrong with `margin`, or missing: a metric that is not shown in points has no default margin."""
    own = list(dict.fromkeys(task.unit for task in tasks if task.unit != POINTS))
    if PLAIN_MARGIN in given and own and len({task.unit for task in tasks}) > 1:
        called = {task.unit: POINTS if task.unit == POINTS else task.metric_alone for task in tasks}
        parts = yaml_value(dict.fromkeys(called.values(), given[PLAIN_MARGIN]))
        told = ", ".join(f"{task.metric.name} ({task.name})" for task in tasks)
        yield (
            ("margin",),
            f"one number can't hold for {told}, which have different units: write one each, `margin: {parts}`",
        )
        return
    known = {POINTS, *(name for task in tasks for name in (task.metric_alone, task.metric.name))}
    for name in given:
        if name not in known | {PLAIN_MARGIN}:
            yield ("margin", name), did_you_mean("primary metric", name, sorted(known))
    found = margins(given, tasks)
    margin_of = {task.index: found.get(task.metric.name, found.get(task.unit)) for task in tasks}
    lacking = {task.metric_alone: 0.05 for task in tasks if margin_of[task.index] is None and task.unit != POINTS}
    for task in tasks:
        unit, name, margin = task.metric.unit, task.metric.name, margin_of[task.index]
        if margin is None:
            if task.unit == POINTS:  # these have a default
                continue
            example = f"`margin: {yaml_value({**given, **lacking})}`"
            yield (
                ("tasks", task.index),
                f"task '{task.name}' is judged by {name}, which is not shown in points, so that no difference is small by "
                f"itself: say which one does not matter, like {example}, in {unit.name or f'the unit of {name}'}",
            )
        elif unit.low is not None and unit.high is not None and margin >= (width := (unit.high - unit.low) * unit.scale):
            yield (
                ("margin",),
                f"{spelt(margin)} {unit.name} is all that {name} can range over ({spelt(width)}): name a smaller margin",
            )


def wrong_gate(rule: str, tasks: Sequence[KnownTask]) -> Iterator[Problem]:
    """Problems of `gate.quality` in an experiment file: it names what is no primary metric of these tasks, gives the wrong
    direction for one, or leaves one out."""
    where: KeyPath = ("gate", "quality")
    known = {name for task in tasks for name in (task.metric_alone, task.metric.name)}
    for tolerance in quality_tolerances(rule):
        if tolerance.unit not in known | {POINTS}:
            yield where, did_you_mean("primary metric", tolerance.unit, sorted(known | {POINTS}))
    wrong, whole = [], rule
    for task in tasks:
        metric = task.metric
        sign, way = ("-", "falls") if metric.higher_is_better else ("+", "grows")
        own = tolerance_of(rule, metric.name, in_points=metric.unit.in_points)
        if own is not None and own.sign == sign:
            continue
        word = task.metric_alone if task.unit != POINTS or not metric.higher_is_better else POINTS
        whole = with_tolerance(whole, Tolerance(sign, own.amount if own else 0.05, word), metric.name)
        wrong.append(
            f"says nothing of {metric.name}, by which task '{task.name}' is judged"
            if own is None
            else f"{metric.name} (task '{task.name}') gets worse where it {way}"
        )
    for sentence in wrong:
        yield where, f"{sentence}: write `quality: {whole}`"


# --- of the seeds --------------------------------------------------------------------------------------------------------


def looks_have_something_to_compare(seeds: ReportedSeeds, strategies: int) -> Iterator[Problem]:
    if seeds.looks and strategies == 1:
        told = f"there is one strategy only, so that looks have nothing to decide: write `seeds: {len(seeds.numbers)}`"
        yield ("seeds", "looks"), told


# --- of the plan ---------------------------------------------------------------------------------------------------------


def repeats_differ(strategy: ResolvedStrategy) -> Iterator[Problem]:
    """A replicate draws other random numbers, so that a strategy which does not depend on the seed can't have one."""
    if strategy.replicate and strategy.seed_free:
        told = (
            f"trainer '{strategy.trainer.name}' does not depend on the seed, so that a replicate makes the same run again: "
            f"leave strategy '{strategy.written}' out"
        )
        yield ("strategies", strategy.written, "replicate"), told


def strategies_differ(plan: Plan) -> Iterator[Problem]:
    first: dict[str, ResolvedStrategy] = {}
    taken = {strategy.replicate for strategy in plan.strategies}
    free = next(number for number in range(1, len(taken) + 2) if number not in taken)
    for run in (*plan.runs, *plan.trials):
        one = run.strategy
        if (other := first.setdefault(run.id, one)).name == one.name:
            continue
        if other.written == one.written:
            told = f"trainer '{one.trainer.name}' (strategy '{one.written}') makes the same runs at each value of {one.varied}"
            yield ("vary", one.varied), f"{told}: vary another key, or leave the strategy out"
        else:
            told = f"write `replicate: {free}` for an A/A arm with other random streams"
            yield ("strategies", one.written), f"the same runs as strategy '{other.written}'; {told}"


def place_of(key: str, strategy: ResolvedStrategy, places: Mapping[KeyPath, object]) -> KeyPath:
    """The place in the file that sets a recipe key of a strategy: its own recipe, a search, or the shared recipe."""
    own = ("strategies", strategy.written)
    varied = (("vary", key),) if key == strategy.varied else ()
    searched = ((*own, "search", key), ("search", key)) if strategy.tuning and key in strategy.tuning.space.grid else ()
    return next((path for path in (*varied, (*own, "recipe", key), *searched, ("recipe", key)) if path in places), own)
