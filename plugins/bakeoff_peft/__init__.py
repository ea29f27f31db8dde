"""The methods `lora`, with a few options, and `peft`, any type of the peft library with its own settings."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from bakeoff.plugin import Adaptation, Built, Method, Options, Recipe, hookimpl, nested_values, quoted

NAMES_MODULES = (
    *("target_modules", "exclude_modules", "feedforward_modules", "modules_to_save", "layers_pattern", "target_parameters"),
    *("target_modules_bd_a", "target_modules_bd_b"),
)
"""Settings of peft whose text names modules or parameters of the model."""
CHOOSES = (
    *("act_fn", "ab_svd_init", "bias", "config_A_B", "config_C", "config_D_E", "decomposition_method", "direction"),
    *("encoder_reparameterization_type", "init_lora_weights", "init_type", "init_weights", "mask_type"),
    *("opt_weighted_loss_type", "poly_type", "prompt_tuning_init", "prompt_tuning_init_text", "psoft_svd", "scale"),
    *("task_type", "variant", "wavelet_family"),
)
"""Settings whose text is one of a few fixed words, or a prompt."""
TAKES_TEXT = frozenset({*NAMES_MODULES, *CHOOSES})
"""The settings of peft 0.21 in which text can't name a file, a folder, a Python module or another model. In any other
setting it could: `prompt_tuning_init_state_dict_path` is opened by torch.load, `megatron_core` is imported,
`tokenizer_name_or_path`, `shadow_model` and `adapters` are loaded from a folder or the hub, `corda_config.cache_file` is
opened and written."""


class LoraOptions(Options):
    """Rank, scale and target of the update; the defaults are those of most papers that use BERT."""

    r: Annotated[int, Field(ge=1, le=4096, description="Rank of the update.")] = 8
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False, description="The update is scaled by alpha / r.")] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, description="Dropout on the input of the update.")] = 0.1
    target_modules: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None,
        Field(
            min_length=1,
            description="Endings of module names. By default peft's for the family, else all linear layers but the head.",
        ),
    ] = None


class Lora(Method):
    """LoRA (Hu et al., 2022): low-rank updates of frozen matrices are trained, and the head."""

    name = "lora"
    summary = "LoRA: low-rank updates of frozen matrices, and the head, train (peft)."
    version = "1"
    needs: ClassVar[dict[str, str]] = {"peft": "peft"}
    Options = LoraOptions

    def adapt(self, built: Built, options: LoraOptions, recipe: Recipe) -> Adaptation:
        from bakeoff_peft.wrapping import default_targets, wrap

        targets = options.target_modules or default_targets(built)
        own = {"target_modules": targets} if targets else {}
        settings = {"r": options.r, "lora_alpha": options.alpha, "lora_dropout": options.dropout, **own}
        return wrap(built, "LORA", settings, recipe)


def _names_nothing_outside(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings unchanged. Raises ValueError for a text that could name something to load. For use in a pydantic
    validator."""
    for key, value in nested_values(settings):
        if isinstance(value, str) and key not in TAKES_TEXT:
            raise ValueError(
                f"{key} must not be a text, such as {quoted(value)}, which could name a file, a module or another model to "
                f"load; text is allowed for {', '.join(sorted(TAKES_TEXT))}"
            )
    return settings


class PeftOptions(Options):
    """A type of the peft library, and the settings of its config."""

    type: Annotated[str, Field(min_length=1, description="Of peft: LORA, IA3, OFT, ...; DoRA is LORA with use_dora.")]
    config: Annotated[dict[str, Any], AfterValidator(_names_nothing_outside)] = Field(
        default_factory=dict,
        description="The type's own settings, as its Config class has them: numbers, and names of the model's modules.",
    )


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
