"""Which rows are paired by seed: what records prove decides, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builders import BASELINE, LABELS, ROW, altered, clean_answers, clean_experiment, component, sha256

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.pairing import shared_by, streams_of
from bakeoff.analysis.results import Pair
from bakeoff.records.experiment import Experiment
from bakeoff.statistics.twoway import two_way_paired, two_way_unpaired


def pair_of(made: Experiment) -> Pair:
    ((pair,),) = (group.to_baseline for group in compare(made).groups)
    return pair


def changed(**recipe: Any) -> Experiment:
    """The row with other values in its recipe."""
    made = clean_experiment()
    own = next(record for record in made.records if record.requested.strategy == ROW).requested.recipe
    return altered(made, "requested", recipe={**own, **recipe})


def test_rows_that_differ_in_the_trainer_and_share_their_streams_are_compared_seed_by_seed() -> None:
    pair = pair_of(clean_experiment())
    right = [(answers == LABELS).astype(float) for answers in (clean_answers(), clean_answers(accuracy=0.8, seed=1))]
    assert (pair.paired, pair.why_not_paired) == (True, "")
    assert (pair.low, pair.high) == pytest.approx(two_way_paired(*right).interval())
    apart = pair_of(altered(clean_experiment(), "", randomness="trainer"))
    assert (apart.low, apart.high) == pytest.approx(two_way_unpaired(*right).interval())


@pytest.mark.parametrize("key", ["precision", "padding"])
def test_precision_and_padding_may_differ(key: str) -> None:
    assert pair_of(changed(**{key: "another"})).paired


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (changed(learning_rate=1e-4), "another learning rate"),
        (changed(fused=False), "another fused"),
        (altered(clean_experiment(), "requested", method=component("lora")), "another method"),
        (altered(clean_experiment(), "requested", select="best-epoch"), "another selection"),
        (altered(clean_experiment(), "requested", replicate=1), "other replicates"),
        (altered(clean_experiment(), "environment", seeds=[2], device="cuda"), "another device"),
        (altered(clean_experiment(), "observed", seeds=[3], data_order_sha256=sha256("mine")), "another data order"),
        (altered(clean_experiment(), "", seeds=[3], observed=None), "the data order is not recorded"),
        (altered(clean_experiment(), "weights", head_init_sha256=sha256("mine")), "another start of the new parameters"),
        (altered(clean_experiment(), "weights", newly_initialised=["other"]), "another start of the new parameters"),
        (altered(clean_experiment(), "", randomness="trainer"), "a dropout stream that is not known to be shared"),
        (altered(clean_experiment(), "", trainer_owns=["randomness"]), "a dropout stream that is not known to be shared"),
        (altered(clean_experiment(), "", randomness=None), "a dropout stream that is not known to be shared"),
        (clean_experiment(seeds={ROW: range(100, 108)}), "not the same seeds"),
        (clean_experiment(failing={ROW: [3]}), "not the same seeds"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_is_not_proven_to_be_shared_is_not_paired_and_the_pair_says_why(made: Experiment, why: str) -> None:
    pair = pair_of(made)
    assert (pair.paired, pair.why_not_paired) == (False, why)
    by_row = {
        row: {
            one.requested.seed: streams_of(one) for one in made.records if one.requested.strategy == row and one.status == "ok"
        }
        for row in (ROW, BASELINE)
    }
    keys = [shared_by(own) for own in by_row.values()]
    assert None in keys or keys[0] != keys[1], "the key tells the same"


def test_rows_that_are_paired_have_one_key() -> None:
    made = clean_experiment()
    keys = {
        shared_by({one.requested.seed: streams_of(one) for one in made.records if one.requested.strategy == row})
        for row in (ROW, BASELINE)
    }
    assert len(keys) == 1
    assert None not in keys


@pytest.mark.parametrize("randomness", ["trainer", None])
def test_one_trainer_with_a_dropout_of_its_own_is_paired_with_itself_alone(randomness: str | None) -> None:
    made = altered(clean_experiment(), "", row=None, randomness=randomness)
    assert pair_of(made).paired
    other = altered(made, "requested", trainer=component("another"))
    assert pair_of(other).why_not_paired == "a dropout stream that is not known to be shared"
    assert pair_of(altered(clean_experiment(), "requested", trainer=component("another"))).paired


def test_how_alike_the_scores_are_decides_nothing() -> None:
    """Scores that go together seed by seed, without a record that the streams are shared; and the reverse."""
    base = clean_answers(accuracy=0.8, seed=1)
    alike = base.copy()
    alike[:, :4] = 1 - alike[:, :4]
    together = clean_experiment({BASELINE: base, ROW: alike})
    assert not pair_of(altered(together, "", randomness="trainer")).paired
    assert pair_of(clean_experiment({BASELINE: base, ROW: np.roll(alike, 1, axis=0)})).paired
