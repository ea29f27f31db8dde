"""Metrics of the Hugging Face hub, through the evaluate library."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from bakeoff.contracts.metric import Metric
from bakeoff.contracts.metrics import BUILT_IN
from bakeoff.contracts.unit import OWN_UNIT, Unit
from bakeoff.errors import DataError
from bakeoff.machine.hub import hub_is_reachable
from bakeoff.text.words import first_line, quoted

if TYPE_CHECKING:
    import evaluate


class HubMetric(Metric):
    """A metric of the evaluate library, by its name on the Hugging Face hub; it needs the hub to be reachable.

    The hub says neither which scores are better nor their unit, so the experiment file has to.
    """

    def __init__(self, name: str, *, better: Literal["higher", "lower"] | None = None, unit: Unit = OWN_UNIT) -> None:
        self.name, self.better, self.unit = name, better, unit
        self.higher_is_better = better != "lower"

    def check_available(self) -> None:
        if not hub_is_reachable():
            raise DataError(
                f"metric {quoted(self.name)} comes from the hub, which is not reachable; available offline are "
                f"{', '.join(BUILT_IN)}"
            )

    def load(self) -> evaluate.EvaluationModule:
        self.check_available()
        return _from_hub(self.name)


@lru_cache(maxsize=32)
def _from_hub(name: str) -> evaluate.EvaluationModule:
    """Loads the metric `evaluate-metric/NAME` from the hub. Raises DataError if the hub has none of that name, or it
    cannot be loaded.

    `evaluate.load` is not called, since it would first run a script of that name in the working directory, and fall back to a
    comparison or measurement of that name; the functions that it is made of are called instead.
    """
    from evaluate.loading import HubEvaluationModuleFactory, import_main_class

    try:
        script = HubEvaluationModuleFactory(f"evaluate-metric/{name}").get_module()
        metric = import_main_class(script.module_path)(hash=script.hash, keep_in_memory=True)
        metric.download_and_prepare()
    except FileNotFoundError:
        raise DataError(f"the hub has no metric {quoted(name)}; built in are {', '.join(BUILT_IN)}") from None
    except (ImportError, ConnectionError) as error:  # a metric may need a library of its own
        raise DataError(f"metric {quoted(name)} of the hub cannot be used: {first_line(error)}") from None
    if metric.module_type != "metric":
        raise DataError(f"{quoted(name)} of the hub is a {metric.module_type}, not a metric: name a metric")
    return metric
