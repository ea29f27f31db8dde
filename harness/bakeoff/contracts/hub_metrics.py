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
    """Any metric of the evaluate library by its name on the hub, where the hub is reachable.

    The hub does not say which scores are better, nor in which unit they are: the experiment file does.
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
    """The metric `evaluate-metric/NAME` of the hub, and nothing else.

    `evaluate.load` would first run a script of that name in the working directory, and look for a comparison or measurement
    of that name where there is no metric; so the parts that it is made of are called here.
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
        raise DataError(f"{quoted(name)} of the hub is not a metric but a {metric.module_type}")
    return metric
