"""`check --build`: every task loaded, every model built, every method applied once, before any run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bakeoff import hardware
from bakeoff.components import Encoding, Places, TaskInfo
from bakeoff.errors import BakeoffError
from bakeoff.outcome import message_of
from bakeoff.registry import load_registry
from bakeoff.request import Request
from bakeoff.spec import Recipe
from bakeoff.worker import components, load_task


def rehearse(say: Callable[[dict[str, Any]], None], requests: list[str]) -> None:
    """Says what would keep these runs from starting, and on what they would run.

    {"problems": [(task, model or strategy; its label; message), ...], "device": "cuda", "accelerator": its name}
    """
    import bakeoff.preload  # noqa: F401 - where there is no fork server, its settings are made here

    asked = [Request.model_validate_json(text) for text in requests]
    device = hardware.pick_device(asked[0].device)
    rehearsal = Rehearsal()
    for request in asked:
        rehearsal.attempt_run(request)
    say({"problems": rehearsal.problems, "device": device.type, "accelerator": hardware.accelerator_name(device)})


class Rehearsal:
    """Tries each task, model and method once, whatever the number of runs."""

    def __init__(self) -> None:
        self.registry = load_registry()
        self.problems: list[tuple[str, str, str]] = []
        self.infos: dict[str, TaskInfo | None] = {}
        self.tried: set[tuple[str, ...]] = set()

    def attempt_run(self, request: Request) -> None:
        asked, parts = request.asked, components(request.asked, self.registry)
        task, model, method = (parts[kind].registered.component for kind in ("task", "model", "method"))
        options = {kind: part.options for kind, part in parts.items()}
        recipe = Recipe.model_validate(asked.recipe)
        if asked.task_label not in self.infos:
            places = Places(request.data, request.cache)
            loaded = self.attempt("task", asked.task_label, load_task, task, options["task"], places)
            self.infos[asked.task_label] = loaded[0] if loaded else None
        info = self.infos[asked.task_label]
        key = (asked.task_label, asked.model_label, asked.method.model_dump_json(), str(recipe.max_length))
        if info is None or key in self.tried:
            return
        self.tried.add(key)
        encoding = Encoding(recipe.max_length, recipe.padding)
        prepared = self.attempt("model", asked.model_label, model.prepare, info, options["model"], encoding)
        built = self.attempt("model", asked.model_label, model.build, info, options["model"]) if prepared else None
        if built is None:
            return
        room = getattr(getattr(built.model, "config", None), "max_position_embeddings", None)
        if room is not None and recipe.max_length > room:
            self.say("strategy", asked.strategy, f"max_length {recipe.max_length} is more than the model's {room} positions")
        self.attempt("strategy", asked.strategy, method.adapt, built, options["method"], recipe)

    def attempt(self, kind: str, name: str, action: Callable[..., Any], *arguments: Any) -> Any:
        """What the action gives, or None and a problem."""
        try:
            return action(*arguments)
        except Exception as error:  # a component of any author: its error is what is asked for here
            self.say(kind, name, str(error) if isinstance(error, BakeoffError) else message_of(error))
            return None

    def say(self, kind: str, name: str, message: str) -> None:
        if (kind, name, message) not in self.problems:
            self.problems.append((kind, name, message))
