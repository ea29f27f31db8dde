"""Spec x registry -> runs: names looked up, pairs checked, and ids that change with what was asked and with nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import task_info
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import tells
from pydantic import Field

from bakeoff.contracts.configured import Configured, canonical, identity, with_parts
from bakeoff.contracts.hookspecs import SPEC_KINDS
from bakeoff.contracts.recipe_parts import PARTS
from bakeoff.contracts.registry import Origin, Registry, load_registry, register
from bakeoff.errors import SpecError
from bakeoff.kinds import REGRESSION
from bakeoff.planning.resolver import resolve
from bakeoff.planning.runs import KnownTask, Plan, Run, margins
from bakeoff.plugin import (
    DataError,
    Options,
    OwnModelTrainer,
    Recipe,
    Supports,
    Task,
    TaskInfo,
    Trainer,
    hookimpl,
    metric_named,
)
from bakeoff.runner.experiment import declaration
from bakeoff.spec.document import parse_document, read_document

ROOT = Path(__file__).parents[3]
INSTALLED = load_registry()

SPEC = """\
name: toy
question: Which?
tasks: [{name: docstrings, size: 100}]
models: [{name: tiny-bert, layers: 1}]
recipe: {epochs: 3, learning_rate: 5e-5}
strategies:
  loop: {trainer: torch-loop}
  api: {trainer: hf-trainer, method: full, recipe: {learning_rate: 1e-4}}
seeds: 2
"""

EVERYTHING = """\
name: everything
tasks: [{name: glue/mrpc, metrics: [f1, accuracy]}]
models: [{name: hub, path: google-bert/bert-base-uncased, revision: 86b5e0934494bd15c9632b12f734a8a67f723594}]
recipe: {max_steps: 7, batch_size: 16, learning_rate: 2e-5, betas: [0.8, 0.99], eps: 1e-6, fused: false, weight_decay: 0.01,
         weight_decay_exempt: [], max_grad_norm: none, scheduler: cosine, warmup: 0.1, max_length: 64, padding: max_length}
strategies:
  a: {trainer: torch-loop}
  again: {same_as: a, replicate: 1}
seeds: [7]
"""


def plan_of(text: str, registry: Registry = INSTALLED) -> Plan:
    return resolve(parse_document(text, "spec.yaml"), registry)


def ids(text: str) -> list[str]:
    return [run.id for run in plan_of(text).runs]


def problems_in(text: str, registry: Registry = INSTALLED) -> list[str]:
    with pytest.raises(SpecError) as caught:
        plan_of(text, registry)
    assert all(str(problem).isprintable() for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def edited(old: str, new: str) -> str:
    assert old in SPEC
    return SPEC.replace(old, new)


# --- ids -----------------------------------------------------------------------------------------------------------------


def test_the_published_mrpc_experiment_keeps_its_ids() -> None:
    plan = resolve(read_document(ROOT / "results/mrpc-trainers/spec.yaml"), INSTALLED)
    assert {run.title: run.id for run in plan.runs} == {
        "trainer-api:0": "r1-1361ca8bfe515b4f",
        "manual-loop:0": "r1-6bbf14dd616852a1",
        "trainer-api:1": "r1-edae59f16b00b82b",
        "manual-loop:1": "r1-dbaf9ccaa666e1ed",
        "trainer-api:2": "r1-808120f2ec09bf0c",
        "manual-loop:2": "r1-02b2b6f3ef9d4eca",
    }


def test_golden_ids() -> None:
    """Ids of recorded runs must never change by themselves: another algorithm takes another prefix than `r1`."""
    assert ids(SPEC) == GOLDEN_TOY
    assert ids(EVERYTHING) == GOLDEN_EVERYTHING


GOLDEN_TOY = ["r1-247fc191c778c681", "r1-7d4fd77ead5758cc", "r1-7797f606759cd08e", "r1-52481ca6f1a46551"]
GOLDEN_EVERYTHING = ["r1-507d1e4e9392b174", "r1-ce9b91d569b900ed"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: toy", "name: renamed"),
        ("question: Which?", "question: Another?"),
        ("seeds: 2", "seeds: [0, 1]"),
        ("seeds: 2", "seeds: 2\nmargin: 5"),
        ("seeds: 2", "seeds: 2\nbaseline: api"),
        ("seeds: 2", "seeds: 2\nreport_on: dev"),
        ("seeds: 2", "seeds: 2\nunder_test: [trainer, recipe.learning_rate]"),
        ("seeds: 2", "seeds: 2\nrun_timeout: 60"),
        ("seeds: 2", "seeds: 2\nselect: last-epoch"),
        ("seeds: 2", "seeds: 2\ngate: {quality: -1 points}"),
        ("seeds: 2", "seeds: 2\nimported: [{name: a, source: b, split: dev, scores: {accuracy: 0.5}}]"),
        ("loop: {trainer: torch-loop}", "loop: {trainer: torch-loop, trials: 20}"),
        ("loop: {", "renamed: {"),
        ("epochs: 3, ", ""),
        ("epochs: 3, ", "epochs: 3, batch_size: 8, "),
        ("epochs: 3, ", "max_steps: null, epochs: 3, "),
        ("learning_rate: 5e-5", "learning_rate: 0.00005"),
        ("learning_rate: 5e-5", "learning_rate: 5.0E-05"),
        ("learning_rate: 5e-5", "warmup: 0.0"),
        ("learning_rate: 5e-5", "warmup: -0.0"),
        ("learning_rate: 5e-5", "weight_decay: 0"),
        ("learning_rate: 5e-5", "weight_decay: -0.0"),
        ("learning_rate: 5e-5", "max_grad_norm: 1"),
        ("learning_rate: 5e-5", "weight_decay_exempt: [norm, bias]"),
        ("{trainer: torch-loop}", "{trainer: {name: torch-loop}, method: {name: full}}"),
        ("{trainer: torch-loop}", "{trainer: torch-loop, method: null, same_as: null, recipe: {}, replicate: 0}"),
        ("{name: docstrings, size: 100}", "{size: 100, name: docstrings}"),
        ("{name: tiny-bert, layers: 1}", "{name: tiny-bert, dropout: 0.1, layers: 1}"),
    ],
)
def test_what_changes_no_result_changes_no_id(old: str, new: str) -> None:
    assert ids(edited(old, new)) == ids(SPEC)


def test_the_order_of_keys_changes_no_id() -> None:
    lines = SPEC.splitlines()
    turned = [*lines[-1:], *lines[5:-1], *reversed(lines[:5])]
    assert ids("\n".join(turned)) == ids(SPEC)


def test_the_file_s_place_changes_no_id(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(SPEC, encoding="utf-8")
    assert [run.id for run in resolve(read_document(tmp_path / "other.yaml"), INSTALLED).runs] == ids(SPEC)


@pytest.mark.parametrize("key", Recipe.model_fields)
def test_every_key_of_the_recipe_changes_the_id(key: str) -> None:
    run = plan_of(SPEC).runs[0]
    other = run.strategy.recipe.model_copy(update={key: "another"})
    assert replace(run, strategy=replace(run.strategy, recipe=other)).id != run.id


@pytest.mark.parametrize(
    ("registered", "option"),
    [
        (registered, option)
        for registered in INSTALLED.all()
        if registered.component.kind in SPEC_KINDS
        for option in registered.component.Options.model_fields
    ],
    ids=lambda value: value if isinstance(value, str) else value.component.name,
)
def test_every_option_of_every_component_changes_the_id(registered: Any, option: str) -> None:
    fields = registered.component.Options.model_fields
    given = registered.component.Options.model_construct(**dict.fromkeys(fields, "given"))
    run = with_component(plan_of(SPEC).runs[0], Configured(registered, given))
    other = with_component(run, Configured(registered, given.model_copy(update={option: "another"})))
    assert other.id != run.id


def with_component(run: Run, component: Configured) -> Run:
    kind = component.registered.component.kind
    if kind in ("task", "model"):
        return replace(run, **{kind: component})
    if kind in PARTS:
        return replace(run, strategy=replace(run.strategy, recipe=with_parts(run.strategy.recipe, {kind: component})))
    return replace(run, strategy=replace(run.strategy, **{kind: component}))


def test_seed_replicate_and_selection_change_the_id() -> None:
    run = plan_of(SPEC).runs[0]
    others = [
        replace(run, seed=99),
        replace(run, strategy=replace(run.strategy, replicate=1)),
        replace(run, select="best-on-dev"),
    ]
    assert len({run.id, *(other.id for other in others)}) == 4


def test_another_version_of_a_component_changes_the_id() -> None:
    run = plan_of(SPEC).runs[0]

    class Newer(type(run.task.registered.component.task)):  # type: ignore[misc]
        version = "2"

    newer = Configured(replace(run.task.registered, component=Newer()), run.task.options)
    assert replace(run, task=newer).id != run.id


def test_a_later_option_at_its_neutral_value_leaves_ids_as_they_were() -> None:
    class LaterRecipe(Recipe):
        label_smoothing: float = Field(0.0, json_schema_extra={"neutral": 0.0})

    class Inner(Options):
        old: int = 1
        later: bool = Field(False, json_schema_extra={"neutral": False})

    class Outer(Options):
        inner: Inner = Inner()
        many: list[Inner] = Field(default_factory=list)

    assert identity(LaterRecipe()) == identity(Recipe())
    assert identity(LaterRecipe(label_smoothing=0.1)) == {**identity(Recipe()), "label_smoothing": 0.1}
    assert identity(Outer(many=[Inner()])) == {"inner": {"old": 1}, "many": [{"old": 1}]}
    assert identity(Outer(inner=Inner(later=True)))["inner"] == {"old": 1, "later": True}


def test_options_of_any_type_have_an_identity() -> None:
    assert canonical({"path": Path("a/b"), "pair": (1, 2)}) == '{"pair":[1,2],"path":"a/b"}'


# --- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("name: docstrings", "name: docstring", "3:10: tasks[0].name: no task 'docstring'; did you mean 'docstrings'?"),
        ("{name: tiny-bert, layers: 1}", "tiny-brt", "4:10: models[0]: no model 'tiny-brt'; did you mean 'tiny-bert'?"),
        ("trainer: torch-loop", "trainer: torch-lop", "7:10: strategies.loop.trainer: no trainer 'torch-lop'; did you mean"),
        ("method: full", "method: ful", "8:30: strategies.api.method: no method 'ful'; did you mean 'full'?"),
        ("trainer: torch-loop", "trainer: minilm", "7:10: strategies.loop.trainer: no trainer 'minilm'; there is "),
        ("size: 100", "sise: 100", "3:28: tasks[0].sise: no key 'sise'; did you mean 'size'?"),
        ("size: 100", "layers: 1", "3:28: tasks[0].layers: no key 'layers'; write `models: [{name: tiny-bert, layers: 1}]`"),
        ("trainer: torch-loop", "trainer: {name: torch-loop, zz: 3}", "7:38: strategies.loop.trainer.zz: no key 'zz'; nothing"),
        ("size: 100", "size: 3", "3:28: tasks[0].size: must be 32 or more; got 3"),
        ("layers: 1", "layers: 1, dropout: .nan", "4:39: models[0].dropout: must be a finite number; got .nan"),
        ("{name: tiny-bert, layers: 1}", "hub", "4:10: models[0].path: this key is needed"),
        ("{name: tiny-bert, layers: 1}", "tiny-bert, tiny-bert", "4:21: models[1]: the same as models[0]"),
        ("learning_rate: 1e-4", "learning_rte: 1", "8:53: strategies.api.recipe.learning_rte: no key 'learning_rte'; did you"),
        ("learning_rate: 1e-4", "epochs: 1, max_steps: 2", "8:44: strategies.api.recipe: epochs and max_steps exclude"),
        ("seeds: 2", "baseline: lop", "9:1: baseline: no strategy 'lop'; did you mean 'loop'?"),
        ("seeds: 2", "report_on: tset", "9:1: report_on: task 'docstrings': no split to report on 'tset'; did you mean"),
        ("seeds: 2", "report_on: train", "9:1: report_on: task 'docstrings': no split to report on 'train'; there is dev,"),
        ("{trainer: torch-loop}", "{same_as: ap}", "7:10: strategies.loop.same_as: no strategy 'ap'; did you mean 'api'?"),
        ("{trainer: torch-loop}", "{same_as: loop}", "7:10: strategies.loop.same_as: 'loop' is itself a repeat"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(old: str, new: str, line: str) -> None:
    problems = problems_in(edited(old, new))
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"spec.yaml:{line}")


def test_two_strategies_that_are_the_same_runs_are_refused_unless_one_is_a_replicate() -> None:
    twice = "  twin: {trainer: {name: torch-loop}, recipe: {epochs: 3}"
    text = edited("  api:", f"{twice}}}\n  api:")
    (problem,) = problems_in(text)
    assert tells(problem, "spec.yaml:8:3: strategies.twin: ", "'loop'", "`replicate: 1`")
    plan = plan_of(text.replace(f"{twice}}}", f"{twice}, replicate: 1}}"))
    assert len({run.id for run in plan.runs}) == 6
    assert "the same runs as" in problems_in(edited("  api:", "  twin: {same_as: loop}\n  api:"))[0]


def test_mistakes_of_all_kinds_come_at_once() -> None:
    text = """\
name: a/b
tasks: [docstring, docstrings]
models: [{name: tiny-bert, layer: 1}]
recipe: {epochs: 0}
strategies:
  a: {trainer: torch-loop, recipe: {epoch: 1}}
  b: {trainer: torch-loop, recipe: {learning_rate: -1}}
baseline: c
under_test: [losses]
report_on: tst
margin: .nan
"""
    assert [problem.split(": ")[0] for problem in problems_in(text)] == [
        f"spec.yaml:{place}" for place in ("1:1", "2:9", "3:28", "4:10", "6:37", "7:37", "8:1", "9:14", "10:1", "11:1")
    ]


def test_what_is_wrong_in_the_shared_recipe_is_said_once() -> None:
    both = edited("epochs: 3", "epochs: 3, max_steps: 5")
    (problem,) = problems_in(both)
    assert tells(problem, "spec.yaml:5:1: recipe: ", "epochs", "max_steps")
    assert len(problems_in(edited("epochs: 3", "epochs: 0"))) == 1


def test_a_strategy_may_count_steps_where_the_others_count_epochs() -> None:
    plan = plan_of(edited("learning_rate: 1e-4", "max_steps: 10"))
    assert [(strategy.recipe.epochs, strategy.recipe.max_steps) for strategy in plan.strategies] == [(3, None), (None, 10)]


def test_a_method_left_empty_is_the_full_one_and_its_strategy_stays() -> None:
    plan = plan_of(edited("{trainer: torch-loop}", "{trainer: torch-loop, method: }"))
    assert [(strategy.name, strategy.method.name) for strategy in plan.strategies] == [("loop", "full"), ("api", "full")]


def test_runs_are_interleaved_seed_by_seed() -> None:
    assert [run.title for run in plan_of(SPEC).runs] == ["loop:0", "api:0", "loop:1", "api:1"]


# --- published figures, trials, selection --------------------------------------------------------------------------------

FIGURE = "{name: course, source: chapter 3, split: dev, scores: {accuracy: 0.857843}}"


def test_a_figure_belongs_to_the_only_task() -> None:
    (figure,) = plan_of(f"{SPEC}imported: [{FIGURE}]\n").imported
    assert (figure.name, figure.split, figure.scores, figure.seeds) == ("course", "dev", {"accuracy": 0.857843}, 1)
    assert figure.task == "docstrings (size=100)", "the label under which tables know the task"


TWO_TASKS = SPEC.replace("tasks: [{name: docstrings, size: 100}]", "tasks: [{name: docstrings, size: 100}, glue/mrpc]")


@pytest.mark.parametrize(("task", "label"), [("glue/mrpc", "glue/mrpc"), ("docstrings", "docstrings (size=100)")])
def test_a_figure_names_its_task_where_there_are_several(task: str, label: str) -> None:
    figure = FIGURE.replace("split: dev", f"split: dev, task: {task}")
    assert [row.task for row in plan_of(f"{TWO_TASKS}imported: [{figure}]\n").imported] == [label]


def test_a_figure_of_nowhere_is_a_problem_at_its_place() -> None:
    figures = [
        FIGURE,
        FIGURE.replace("split: dev", "split: dev, task: glue/mrcp"),
        FIGURE.replace("split: dev", "split: dv, task: glue/mrpc"),
    ]
    found = problems_in(f"{TWO_TASKS}imported: [{', '.join(figures)}]\n")
    assert len(found) == 3
    assert "docstrings (size=100), glue/mrpc" in found[0]
    assert "you mean 'glue/mrpc'?" in found[1]
    assert "imported[2].split: no split" in found[2]


def test_trials_are_a_strategys_and_its_repeats() -> None:
    text = edited(
        "loop: {trainer: torch-loop}", "loop: {trainer: torch-loop, trials: 20}\n  again: {same_as: loop, replicate: 1}"
    )
    assert {strategy.name: strategy.trials for strategy in plan_of(text).strategies} == {"loop": 20, "again": 20, "api": 1}


def test_the_declaration_holds_gate_figures_and_trials() -> None:
    text = edited("loop: {trainer: torch-loop}", "loop: {trainer: torch-loop, trials: 20}")
    text += f"gate: {{quality: -1.0 points, train_seconds: +10%}}\nimported: [{FIGURE}]\n"
    document = parse_document(text, "folder/spec.yaml")
    declared = declaration(document, resolve(document, INSTALLED))
    assert declared.gate == {"quality": "-1 points", "train_seconds": "+10%"}
    assert declared.trials == {"loop": 20, "api": 1}
    assert [(figure.source, figure.task) for figure in declared.imported] == [("chapter 3", "docstrings (size=100)")]
    assert (declared.history, declared.seeds) == ([], {"api": [0, 1], "loop": [0, 1]})


def test_selecting_on_dev_needs_a_labelled_dev_split() -> None:
    text = edited("tasks: [{name: docstrings, size: 100}]", "tasks: [regression]") + "select: best-on-dev\n"
    found = problems_in(text, ODD)
    assert any(tells(line, "", "select: ", "'regression'", "'dev'", "last-epoch") for line in found)


def test_selection_is_part_of_the_id() -> None:
    assert not set(ids(SPEC)) & set(ids(SPEC + "select: best-on-dev\n"))


# --- components that do not fit together ---------------------------------------------------------------------------------


class Regression(Task):
    name, summary, version = "regression", "A number.", "1"

    def info(self, options: Options) -> TaskInfo:
        return task_info(kind=REGRESSION, metrics=[metric_named("pearson")])

    def load(self, options: Options, places: Any) -> Any:
        raise NotImplementedError


class Errors(Regression):
    name = "errors"

    def info(self, options: Options) -> TaskInfo:
        metrics = (metric_named("mae"), metric_named("pearson"))
        return replace(super().info(options), metrics=metrics, primary_metric="mae")


class Unread(Regression):
    name = "unread"

    def info(self, options: Options) -> TaskInfo:
        raise DataError("a.csv cannot be read")


class Plain(Trainer):
    name, summary, version = "plain", "No clipping.", "1"
    supports = Supports(recipe_keys=frozenset(Recipe.model_fields) - {"max_grad_norm", "warmup"})

    def fit(self, job: Any, options: Options) -> None:
        raise NotImplementedError


class Plugin:
    @hookimpl
    def bakeoff_tasks(self) -> list[Task]:
        return [Regression(), Errors(), Unread()]

    @hookimpl
    def bakeoff_trainers(self) -> list[Trainer]:
        return [Plain()]


class Same:
    """Passes on the installed components that a spec needs."""

    @hookimpl
    def bakeoff_models(self) -> list[Any]:
        return [INSTALLED.get("model", "tiny-bert").component]

    @hookimpl
    def bakeoff_methods(self) -> list[Any]:
        return [INSTALLED.get("method", "full").component]


ODD = register([("odd", Plugin(), Origin("odd", "odd", "1")), ("same", Same(), Origin("same", "same", "1"))])


# --- a strategy with a model of its own -----------------------------------------------------------------------------------


class Counts(OwnModelTrainer):
    name, summary, version = "counts", "Owns its model.", "1"

    def fit_own(self, job: Any, options: Any) -> Any:
        raise NotImplementedError

    def predict_own(self, model: Any, examples: Any, job: Any, options: Any) -> Any:
        raise NotImplementedError


class SteadyOptions(Options):
    k: int = 1


class Steady(Counts):
    name = "steady"
    Options = SteadyOptions

    def depends_on_seed(self, recipe: Recipe, options: Any) -> bool:
        return recipe.epochs == 7


class Contestants:
    @hookimpl
    def bakeoff_trainers(self) -> list[Trainer]:
        return [
            Counts(),
            Steady(),
            INSTALLED.get("trainer", "torch-loop").component,
            INSTALLED.get("trainer", "hf-trainer").component,
        ]

    @hookimpl
    def bakeoff_tasks(self) -> list[Any]:
        return [INSTALLED.get("task", "docstrings").component]


OWN = register([("own", Contestants(), Origin("own", "own", "1")), ("same", Same(), Origin("same", "same", "1"))])
SHARED = "models: [{name: tiny-bert, layers: 1}]\n"
GRID = edited(SHARED, "models: [{name: tiny-bert, layers: 1}, {name: tiny-bert, layers: 2}]\n")
THIRD = "  deep: {trainer: torch-loop, model: {name: tiny-bert, layers: 3, title: Deep}}\n  rote: {trainer: counts}\n"


def with_strategies(text: str, more: str) -> str:
    return text.replace("seeds: 2", f"{more}seeds: 2")


def test_strategies_with_a_model_of_their_own_run_once_beside_a_grid_and_leave_other_ids_as_they_were() -> None:
    plan = plan_of(with_strategies(GRID, THIRD), OWN)
    assert [run.title for run in plan.runs[:4]] == [
        "loop:0@tiny-bert (layers=1)",
        "api:0@tiny-bert (layers=1)",
        "deep:0",
        "rote:0",
    ]
    assert [run.title for run in plan.runs if run.strategy.has_own_model] == ["deep:0", "rote:0", "deep:1", "rote:1"]
    others = [run.id for run in plan.runs if not run.strategy.has_own_model]
    assert others == ids(GRID)
    assert others[:4] == GOLDEN_TOY
    assert plan.run_range == (12, 12)
    assert [run.id for run in plan.names.select("rote")] == [run.id for run in plan.runs if run.strategy.name == "rote"]
    rote = next(run.requested for run in plan.runs if run.strategy.name == "rote")
    assert (rote.model, rote.model_label) == (None, "")
    declared = declaration(parse_document(GRID, "spec.yaml"), plan)
    assert declared.own_models == {"deep": "tiny-bert (layers=3)", "rote": ""}
    assert declared.spelt_out is not None
    assert declared.spelt_out["deep"] == ["trainer", "model"]
    assert declared.titles.models["tiny-bert (layers=3)"] == "Deep"
    groups = {place: list(dict.fromkeys(run.strategy for run in runs)) for place, runs in declared.groups.items()}
    task = plan.tasks[0].label
    assert groups == {
        (task, "tiny-bert (layers=1)"): ["loop", "api", "deep", "rote"],
        (task, "tiny-bert (layers=2)"): ["loop", "api", "deep", "rote"],
    }
    assert [(one.label, label, [strategy.name for strategy, _ in members]) for one, label, members in plan.groups] == [
        (*place, names) for place, names in groups.items()
    ]


def test_the_shared_precision_says_nothing_of_a_trainer_that_owns_its_model_but_its_own_does() -> None:
    head = SPEC.replace("  api: {trainer: hf-trainer, method: full, recipe: {learning_rate: 1e-4}}\n", "")
    shared = with_strategies(head, "  rote: {trainer: counts}\n").replace("5e-5}", "5e-5, precision: bf16}")
    rote = next(run.requested for run in plan_of(shared, OWN).runs if run.strategy.name == "rote")
    assert "precision" not in rote.recipe
    own = with_strategies(head, "  rote: {trainer: counts, recipe: {precision: bf16}}\n")
    (problem,) = problems_in(own, OWN)
    assert "strategies.rote.recipe.precision" in problem
    assert "trains in fp32, not in bf16" in problem


STEADY = "  tfidf: {trainer: steady}\n"


def test_a_strategy_that_does_not_depend_on_the_seed_has_one_run_of_the_first_seed() -> None:
    text = with_strategies(SPEC, STEADY)
    plan = plan_of(text, OWN)
    assert [run.title for run in plan.runs] == ["loop:0", "api:0", "tfidf:0", "loop:1", "api:1"]
    assert plan.run_range == (5, 5)
    assert plan.waiting == 0
    assert [run.seed for run in plan.names.select("tfidf")] == [0]
    declared = declaration(parse_document(text, "spec.yaml"), plan)
    assert (declared.seed_free, declared.seeds["tfidf"]) == (["tfidf"], [0])
    looks = plan_of(text.replace("seeds: 2", "seeds: {looks: [3, 5]}"), OWN)
    assert looks.run_range == (7, 11)


def test_each_seed_of_a_subset_is_a_data_set_of_its_own() -> None:
    subset = plan_of(with_strategies(SPEC, STEADY).replace("{epochs: 3,", "{epochs: 3, train_examples: 64,"), OWN)
    assert subset.seed_free == []
    assert [run.title for run in subset.runs if run.strategy.name == "tfidf"] == ["tfidf:0", "tfidf:1"]


def test_an_experiment_of_strategies_without_seeds_makes_one_run_each() -> None:
    text = re.sub(r"strategies:\n(  .*\n)*", f"strategies:\n{STEADY}", edited(SHARED, "")).replace("seeds: 2", "seeds: 9")
    assert [run.title for run in plan_of(text, OWN).runs] == ["tfidf:0"]


def test_a_search_of_it_needs_one_seed_for_each_configuration() -> None:
    text = with_strategies(SPEC, "  tfidf: {trainer: steady, search: {trainer.k: [1, 2], seeds: 3}}\n")
    plan = plan_of(text, OWN)
    assert [(run.strategy.name, run.seed) for run in plan.trials] == [("tfidf", 1000), ("tfidf", 1000)]
    assert plan.waiting == 1


def test_a_repeat_of_it_is_refused() -> None:
    with pytest.raises(SpecError) as error:
        plan_of(with_strategies(SPEC, f"{STEADY}  again: {{same_as: tfidf, replicate: 1}}\n"), OWN)
    assert tells(str(error.value), "spec.yaml", "strategies.again.replicate", "'steady'", "'again'")


def test_models_may_be_left_out_where_each_strategy_has_one_and_a_repeat_has_the_same() -> None:
    text = edited(SHARED, "").replace("loop}", "loop, model: {name: tiny-bert, layers: 1}}")
    text = text.replace("full, recipe", "full, model: tiny-bert, recipe")
    text = with_strategies(text, "  twin: {same_as: loop, replicate: 1}\n")
    plan = plan_of(text)
    named = {run.title: run.id for run in plan.runs}
    assert [named["loop:0"], named["loop:1"]] == [GOLDEN_TOY[0], GOLDEN_TOY[2]]
    assert {run.model_label for run in plan.runs if run.strategy.name == "twin"} == {"tiny-bert (layers=1)"}
    (group,) = declaration(parse_document(text, "spec.yaml"), plan).groups
    assert group == (plan.tasks[0].label, "tiny-bert (layers=1) / tiny-bert")


def test_a_model_that_is_spelt_in_two_ways_is_one_with_one_label_and_title() -> None:
    more = "  own: {trainer: torch-loop, recipe: {epochs: 1}, model: {name: tiny-bert, layers: 1, heads: 2, title: One}}\n"
    plan = plan_of(with_strategies(SPEC, more))
    assert {run.model_label for run in plan.runs} == {"tiny-bert (layers=1)"}
    assert list(plan.all_models) == ["tiny-bert (layers=1)"]
    assert plan.titles.models == {"tiny-bert (layers=1)": "One"}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (edited(SHARED, ""), "strategies.loop", "`models: [MODEL]` for all strategies, or `model: MODEL` in this one"),
        (edited("{trainer: torch-loop}", "{trainer: counts, model: tiny-bert}"), "strategies.loop.model", "leave `model` out"),
        (edited("{trainer: torch-loop}", "{trainer: counts, method: full}"), "strategies.loop.method", "leave `method` out"),
        (
            edited("{trainer: torch-loop}", "{trainer: counts}").replace("hf-trainer,", "hf-trainer, model: tiny-bert,"),
            "models",
            "no strategy uses these",
        ),
        (with_strategies(SPEC, "  twin: {same_as: loop, model: tiny-bert}\n"), "strategies.twin", "leave trainer, "),
        (
            with_strategies(SPEC, "  own: {trainer: torch-loop, model: {name: tiny-bert, layers: 1}}\n"),
            "strategies.own",
            "the same runs as strategy 'loop'",
        ),
        (with_strategies(SPEC, "  own: {trainer: torch-loop, model: tiny-bort}\n"), "strategies.own.model", "'tiny-bert'"),
        (
            with_strategies(SPEC, THIRD + "  more: {trainer: torch-loop, model: {name: tiny-bert, layers: 4, title: Deep}}\n"),
            "strategies.more.model.title",
            "the same as strategies.deep.model.title",
        ),
        (
            with_strategies(SPEC, THIRD + "  more: {trainer: hf-trainer, model: {name: tiny-bert, layers: 3, title: D}}\n"),
            "strategies.more.model.title",
            "strategies.deep.model.title calls the same model 'Deep'; give it one title",
        ),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_is_refused_at_its_place(text: str, place: str, words: str) -> None:
    problem, *others = problems_in(text, OWN)
    assert place in problem
    assert words in problem
    assert all("has no model" in other for other in others)


ERRORS = """\
name: units
tasks: [errors]
models: [tiny-bert]
strategies: {plain: {trainer: plain}}
"""
BOTH = ERRORS.replace("[errors]", "[regression, errors]")


def about_units(text: str) -> list[str]:
    """What is wrong with margin and gate; that the made-up trainer does no regression is another thing."""
    return [line for line in problems_in(text, ODD) if re.search(r": (margin|gate|tasks)\b", line)]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (ERRORS, "tasks[0]", "`margin: {mae: 0.05}`"),
        (BOTH, "tasks[1]", "`margin: {mae: 0.05}`"),
        (BOTH + "margin: 1.0", "margin", "`margin: {points: 1.0, mae: 1.0}`"),
        (BOTH + "margin: {points: 1.0}", "tasks[1]", "`margin: {points: 1.0, mae: 0.05}`"),
        (ERRORS + "margin: {maee: 1.0}", "margin.maee", "did you mean 'mae'?"),
        (BOTH + "margin: {mae: 0.1, points: 200}", "margin", "200 points is all that pearson can range over"),
        (ERRORS + "margin: 0.1\ngate: {quality: -10 points}", "gate.quality", "`quality: -10 points, +0.05 mae`"),
        (ERRORS + "margin: 0.1\ngate: {quality: -0.1 mae}", "gate.quality", "`quality: +0.1 mae`"),
        (ERRORS + "margin: 0.1\ngate: {quality: +0.1 maee}", "gate.quality", "did you mean 'mae'?"),
        (BOTH + "margin: {mae: 0.1}\ngate: {quality: +0.1 mae}", "gate.quality", "says nothing of pearson"),
        (BOTH + "margin: {mae: 0.1}\ngate: {quality: [+0.1 mae, +1 points]}", "gate.quality", "`quality: +0.1 mae, -1 points`"),
    ],
)
def test_a_margin_or_a_gate_of_no_unit_or_another_is_refused_with_the_way_out(text: str, place: str, words: str) -> None:
    found = about_units(text)
    assert any(f": {place}: " in line and words in line for line in found), found


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        (ERRORS + "margin: 0.25", {"mae": 0.25}),
        (ERRORS + "margin: {mae: 1000000}", {"mae": 1e6}),
        (BOTH + "margin: {mae: 1e-7}\ngate: {quality: [-1 points, +1e-7 mae]}", {"mae": 1e-7}),
        (BOTH + "margin: {mae: 0.1, pearson: 2}", {"mae": 0.1, "pearson": 2.0}),
        (BOTH + "margin: {mae: 0.1, points: 2}", {"mae": 0.1, "points": 2.0}),
    ],
)
def test_a_margin_of_the_metrics_unit_is_taken(text: str, margin: dict[str, float]) -> None:
    assert about_units(text) == []
    spec, *_ = parse_document(text, "spec.yaml").read(ODD)
    assert spec is not None
    tasks = [KnownTask(0, task, task.registered.component.info(task.options)) for task in spec.tasks]
    assert margins(spec.margin, tasks) == margin


def test_components_that_do_not_fit_are_named() -> None:
    text = """\
name: odd
tasks: [regression, unread]
models: [tiny-bert]
recipe: {max_grad_norm: none}
strategies:
  a: {trainer: plain, recipe: {warmup: 5}}
  b: {trainer: plain}
"""
    assert problems_in(text, ODD) == [
        "spec.yaml:2:21: tasks[1]: a.csv cannot be read",
        "spec.yaml:4:10: recipe.max_grad_norm: trainer 'plain' (strategy 'a') does not follow this key",
        "spec.yaml:4:10: recipe.max_grad_norm: trainer 'plain' (strategy 'b') does not follow this key",
        "spec.yaml:6:7: strategies.a.trainer: trainer 'plain' can't train regression (task 'regression', tasks[0])",
        "spec.yaml:6:32: strategies.a.recipe.warmup: trainer 'plain' (strategy 'a') does not follow this key",
        "spec.yaml:7:7: strategies.b.trainer: trainer 'plain' can't train regression (task 'regression', tasks[0])",
    ]


# --- anything at all -----------------------------------------------------------------------------------------------------

VALUES = [
    "1",
    "-1",
    "0",
    "1e999",
    ".nan",
    "null",
    "true",
    "yes",
    "[]",
    "{}",
    "[a]",
    "{a: b}",
    "a/b",
    "'<b>'",
    "2024-01-01",
    "*x",
]
WORDS = [
    "name",
    "size",
    "layers",
    "epochs",
    "trainer",
    "method",
    "recipe",
    "same_as",
    "full",
    "tiny-bert",
    "docstrings",
    "loop",
]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_mutated_spec_is_a_plan_or_a_spec_error(data: st.DataObject) -> None:
    text = SPEC
    for _ in range(data.draw(st.integers(1, 3))):
        words = sorted({word.strip("[]{},") for word in text.replace(":", " ").split()} - {""})
        old = data.draw(st.sampled_from(words))
        text = text.replace(old, data.draw(st.sampled_from(VALUES + WORDS)), data.draw(st.integers(1, 2)))
    try:
        plan = plan_of(text)
    except SpecError as error:
        shown = [str(problem) for problem in error.problems]
    else:
        shown = [run.id for run in plan.runs]
    assert shown
    assert all(line.isprintable() for line in shown)
