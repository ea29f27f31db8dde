"""`bakeoff explain`: one name in a paragraph, all by severity, the nearest for what does not exist."""

from __future__ import annotations

import pytest
from core.calling import Call

from bakeoff.analysis.comparison import VERDICTS
from bakeoff.analysis.flags.catalogue import CATALOGUE, SEVERITIES
from bakeoff.cli.explain import TERMS


def flowing(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_warning_is_told_in_full(name: str, call: Call) -> None:
    code, out, _ = call("explain", name)
    entry = CATALOGUE[name]
    assert code == 0
    assert flowing(out).startswith(f"{name} ({entry.severity}: ")
    for part in (entry.means, entry.why, entry.what_to_do):
        assert flowing(part) in flowing(out)


def test_without_a_name_all_are_listed_by_severity(call: Call) -> None:
    code, out, _ = call("explain")
    first = [line.split()[0].rstrip(":") for line in out.splitlines() if line.strip()]
    found = [word for word in first if word in SEVERITIES or word in CATALOGUE]
    by_severity = [
        [severity, *(name for name, one in CATALOGUE.items() if one.severity == severity)] for severity in SEVERITIES
    ]
    assert code == 0
    assert found[: sum(map(len, by_severity))] == [name for names in by_severity for name in names]


def test_every_verdict_is_a_term(call: Call) -> None:
    assert set(VERDICTS) <= TERMS.keys()
    assert TERMS["identical"] in flowing(call("explain", "identical")[1])
    assert TERMS["majority-baseline"] in flowing(call("explain", "Majority", "baseline")[1])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("few-seed", "did you mean 'few-seeds'"),
        ("S4", "S4 is now unequal-budgets"),
        ("equivalence", "did you mean 'equivalent'"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(name: str, told: str, call: Call) -> None:
    code, out, err = call("explain", name)
    assert (code, out) == (2, "")
    assert told in err
