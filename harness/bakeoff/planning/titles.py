"""What headings call the tasks and models of an experiment: the titles that its file gives, else short ones of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bakeoff.contracts.configured import Configured, canonical, with_options
from bakeoff.text.values import grouped


def titles_of(components: Sequence[Configured]) -> dict[str, str]:
    """Label -> title of each component, with no title twice. Where several would have the same one, those without a title from
    the file get the options in which they differ, and if that is not enough, their label as title."""
    found = {component.label: component.title for component in components}
    for title, alike in grouped((component.title, component) for component in components).items():
        if len(alike) > 1:
            keys = _differing(alike)
            for component in alike:
                given = {key: value for key, value in component.given.items() if key in keys}
                found[component.label] = component.given_title or with_options(title, given)
    times = Counter(found.values())
    return {label: title if times[title] == 1 else label for label, title in found.items()}


def _differing(components: Sequence[Configured]) -> set[str]:
    """The names of the options that do not have the same value in all components."""
    spelt = [{key: canonical(value) for key, value in component.given.items()} for component in components]
    return {key for one in spelt for key in one if len({other.get(key) for other in spelt}) > 1}
