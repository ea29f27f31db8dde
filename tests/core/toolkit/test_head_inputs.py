"""What is collected of an encoder: the mean over the tokens of each text, padding left out."""

from __future__ import annotations

import pytest

from bakeoff.testing.bench import ENCODING, built_tiny, sample_info, tiny
from bakeoff.toolkit.head_inputs import mean_states


def test_the_mean_state_is_over_the_tokens_of_a_text_and_not_over_padding() -> None:
    import torch

    model = built_tiny().model.eval()
    prepared = tiny().prepare(sample_info(("first",)), tiny().Options(), ENCODING)
    rows = prepared.encode({"first": ["a red kite over the wide field", "tea"]})
    found = []
    with torch.no_grad(), mean_states(model) as seen:
        for batch in (rows, rows[:1], rows[1:]):
            prepared.predict(model, prepared.collate(batch))
    with torch.no_grad():
        found = torch.cat(seen)
        expected = [model.bert(**prepared.collate([row])).last_hidden_state[0].mean(0) for row in rows]
    assert found[:2].numpy() == pytest.approx(torch.stack(expected).numpy(), abs=1e-5)
    assert found[2:].numpy() == pytest.approx(found[:2].numpy(), abs=1e-5), "whatever else is in the batch"
