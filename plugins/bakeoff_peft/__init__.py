"""Methods of the peft library: LoRA by a few options, and any of its types by its own config."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from bakeoff.plugin import Adaptation, Built, Method, Options, Recipe, hookimpl


class LoraOptions(Options):
    """The size of the update and where it goes; the defaults are those of FACTS' and most papers' BERT experiments."""

    r: Annotated[int, Field(ge=1, le=4096, description="Rank of the update.")] = 8
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False, description="The update is scaled by alpha / r.")] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, description="On the input of the update.")] = 0.1
    target_modules: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None,
        Field(min_length=1, description="Endings of module names; by default peft's choice for the architecture."),
    ] = None


class Lora(Method):
    """Hu et al. (2022): a low-rank update beside frozen matrices; and the head."""

    name = "lora"
    summary = "LoRA: low-rank updates of frozen matrices, and the head, train (peft)."
    version = "1"
    needs: ClassVar[dict[str, str]] = {"peft": "peft"}
    Options = LoraOptions

    def adapt(self, built: Built, options: LoraOptions, recipe: Recipe) -> Adaptation:
        from bakeoff_peft.wrapping import wrap

        targets = {"target_modules": options.target_modules} if options.target_modules else {}
        settings = {"r": options.r, "lora_alpha": options.alpha, "lora_dropout": options.dropout, **targets}
        return wrap(built, "LORA", settings, recipe)


class PeftOptions(Options):
    """What the library's own config takes."""

    type: Annotated[str, Field(min_length=1, description="Of peft: LORA, IA3, OFT, ...; DoRA is LORA with use_dora.")]
    config: dict[str, Any] = Field(default_factory=dict, description="The type's own settings, as its Config class has them.")


class Peft(Method):
    """Any type of the peft library that trains weights of a sequence classifier."""

    name = "peft"
    summary = "A type of the peft library by its own config: LoRA, DoRA, IA3, ...; the head trains too."
    version = "1"
    needs: ClassVar[dict[str, str]] = {"peft": "peft"}
    Options = PeftOptions

    def adapt(self, built: Built, options: PeftOptions, recipe: Recipe) -> Adaptation:
        from bakeoff_peft.wrapping import wrap

        return wrap(built, options.type, options.config, recipe)


@hookimpl
def bakeoff_methods() -> list[Method]:
    return [Lora(), Peft()]
