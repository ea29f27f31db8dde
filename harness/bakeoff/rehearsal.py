"""`check --build`: every task loaded, every model built, every method applied once, before any run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bakeoff.components import Encoding, Places, TaskInfo
from bakeoff.errors import BakeoffError
from bakeoff.registry import load_registry
from bakeoff.spec import Recipe
from bakeoff.worker import Request, components, load_task, message_of


def rehearse(say: Callable[[dict[str, Any]], None], requests: list[str]) -> None:
    """Says {"problems": [(task, model or strategy; its label; message), ...]}: all that would keep these runs from starting."""
    import bakeoff.preload  # noqa: F401 - where there is no fork server, its settings are made here

    registry = load_registry()
    problems: list[tuple[str, str, str]] = []
    infos: dict[str, TaskInfo | None] = {}
    tried: set[tuple[str, ...]] = set()

    def attempt(kind: str, name: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:  # a component of any author: its error is what is asked for here
            text = str(error) if isinstance(error, BakeoffError) else message_of(error)
            if (kind, name, text) not in problems:
                problems.append((kind, name, text))
            return None

    for text in requests:
        request = Request.model_validate_json(text)
        asked, parts = request.asked, components(request.asked, registry)
        task, model, method = (parts[kind].registered.component for kind in ("task", "model", "method"))
        options = {kind: part.options for kind, part in parts.items()}
        recipe = Recipe.model_validate(asked.recipe)
        places = Places(request.data, request.cache)
        if asked.task_label not in infos:
            loaded = attempt("task", asked.task_label, lambda: load_task(task, options["task"], places))  # noqa: B023 - called at once
            infos[asked.task_label] = loaded[0] if loaded else None
        info = infos[asked.task_label]
        key = (asked.task_label, asked.model_label, asked.method.model_dump_json())
        if info is None or key in tried:
            continue
        tried.add(key)
        encoding = Encoding(recipe.max_length, recipe.padding)
        prepared = attempt("model", asked.model_label, lambda: model.prepare(info, options["model"], encoding))  # noqa: B023
        built = attempt("model", asked.model_label, lambda: model.build(info, options["model"])) if prepared else None  # noqa: B023
        if built:
            attempt("strategy", asked.strategy, lambda: method.adapt(built.model, options["method"], recipe))  # noqa: B023
    say({"problems": problems})
