"""The trainer `linear-probe`: encodes features once by the frozen encoder, then fits a logistic regression to them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from bakeoff.plugin import Options, Recipe, Supports, Trainer, TrainingJob, hookimpl


class ProbeOptions(Options):
    """Options of the logistic regression."""

    l2: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Weight of half the squared norm of the weights.")] = 1.0


class LinearProbe(Trainer):
    """A trainer that takes no steps: each example passes the encoder once, without dropout, and then the best weights of the
    head are computed."""

    name = "linear-probe"
    summary = "Features encoded once, dropout off, then logistic regression (Newton-CG); takes no steps."
    version = "2"
    needs: ClassVar[dict[str, str]] = {"sklearn": "linear-probe"}
    Options = ProbeOptions
    supports = Supports(
        recipe_keys=frozenset({"max_length", "padding", "train_examples", "precision"}),
        precisions=frozenset({"fp32", "bf16"}),
        methods=frozenset({"head-only"}),
    )
    owns = frozenset({"steps", "order", "randomness", "loss"})

    def check_model(self, model: Any, recipe: Recipe) -> None:
        from bakeoff_fast_loop.probe import final_linear

        final_linear(model)

    def fit(self, job: TrainingJob, options: ProbeOptions) -> None:
        from bakeoff_fast_loop.probe import encode_features, solve_head

        features, labels = encode_features(job)
        solve_head(job.model, features, labels, l2=options.l2)


@hookimpl
def bakeoff_trainers() -> list[Trainer]:
    return [LinearProbe()]
