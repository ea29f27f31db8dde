"""Whatever is wrong with record.json, plan.json or a control run is found where it is read, and is one sentence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from builders import (
    failed,
    make_attempt,
    make_control,
    make_declaration,
    make_folder_of,
    make_record,
    make_selection,
    published,
    sealed,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.contracts.fields import LARGEST, LARGEST_SEED, Part
from bakeoff.errors import BakeoffError, DamageError, StoreError
from bakeoff.machine.json_reader import read_json
from bakeoff.planning.runs import id_of
from bakeoff.records.record_files import MOST_BYTES, dump, read_part
from bakeoff.records.schema import (
    PHASES,
    Change,
    Chosen,
    Control,
    Declared,
    EarlierDeclaration,
    KeptModel,
    LossScale,
    Observed,
    ObservedGroup,
    Record,
    Search,
    Selection,
    TrialRun,
)
from bakeoff.records.store import Store

HERE = Path("some") / "file.json"
TIME = "2026-11-23T08:51:39+00:00"


def observed() -> Observed:
    group = ObservedGroup(tensors=1, elements=2, weight_decay=0.1, betas=[0.9, 0.999], eps=1e-8, fused=True, lr_scale=1.0)
    return Observed(
        optimizer="AdamW",
        optimizer_steps=6,
        groups=[group] * 6,
        learning_rate_first=0.0,
        learning_rate_peak=1e-3,
        learning_rate_last=0.0,
        warmup_steps=2,
        gradient_norms_measured=6,
        gradient_norm_median=1.0,
        gradient_norm_max=2.0,
        clipped_at=None,
        examples_seen=24,
        tokens_seen=90,
        padded_tokens_seen=120,
        data_order_sha256="0" * 63 + "1",
        loss_scale=LossScale(steps=2, loss=[1.0, 1.0], gradient=[0.5, 2.0]),
    )


def whole_record() -> Record:
    """With something in every field."""
    record = make_record("a", 0)
    assert record.data is not None
    return record.model_copy(
        update={
            "requested": record.requested.model_copy(update={"select": "best-on-dev"}),
            "data": record.data.model_copy(update={"silent": {}, "source_versions": {"made": "1"}}),
            "observed": observed(),
            "selection": make_selection(evaluations=3),
            "largest_logit": 4.0,
            "attempts": [make_attempt()],
            "resumed_at": [2, 4],
            "trainer_owns": ["steps"],
            "files": {"steps.parquet": "ab" * 32},
            "kept": KeptModel(reason="no space", difference=None),
        }
    )


def whole_declared() -> Declared:
    trials = [TrialRun(id=f"r1-t{n}", task="t", model="m", seed=1000, values={"learning_rate": n / 10}) for n in (1, 2)]
    search = Search(
        grid={"learning_rate": [0.1, 0.2]},
        seeds=[1000],
        choose="best mean on dev",
        trials=trials,
        chosen=[Chosen(task="t", model="m", values={"learning_rate": 0.2})],
    )
    return make_declaration(
        [make_record("trainer-api", seed) for seed in range(2)] + [make_record("b", seed) for seed in range(2)],
        gate={"quality": "-1 points", "train_seconds": "+10%"},
        metrics={"glue/mrpc": "accuracy"},
        imported=[published(accuracy=0.9)],
        trials={"b": 2},
        history=[
            EarlierDeclaration(when=TIME, seeds={"b": [0]}, recorded=1, changes=[Change(what="margin", before="1", after="2")])
        ],
        searches={"b": search},
    )


WHOLE: dict[type[Part], Callable[[], Any]] = {
    Record: whole_record,
    Declared: whole_declared,
    Control: partial(make_control, session="s", peak_flops={"fp32": 1e11}),
}


def leaves(schema: dict[str, Any], defs: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, JSON schema) of all that is neither a list nor an object, of keys too."""
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    for number, one in enumerate(schema.get("anyOf", ())):
        yield from leaves(one, defs, f"{path}|{number}")
    for name, one in schema.get("properties", {}).items():
        yield from leaves(one, defs, f"{path}.{name}")
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(inner := schema.get(key), dict):
            yield from leaves(inner, defs, f"{path}.{key}")
    if schema.get("type") in {"integer", "number", "string"}:
        yield path, schema


@pytest.mark.parametrize("kind", WHOLE)
def test_every_number_has_a_range_and_every_text_a_length(kind: type[Part]) -> None:
    schema = kind.model_json_schema()
    found = dict(leaves(schema, schema.get("$defs", {})))
    assert len(found) > 8
    unbounded = [
        path
        for path, leaf in found.items()
        if not (
            {"enum", "const"} & leaf.keys()
            or (leaf["type"] == "string" and {"maxLength", "pattern"} & leaf.keys())
            or ({"minimum", "exclusiveMinimum"} & leaf.keys() and "maximum" in leaf)
            or path.endswith((".unit|0.low|0", ".unit|0.high|0"))  # a metric's declared range, finite by its own type
        )
    ]
    assert unbounded == []


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_whole_is_read_as_it_was_written(kind: type[Part]) -> None:
    part = WHOLE[kind]()
    found = read_part(kind, dump(part), HERE)
    assert found.model_copy(update={"seal": part.seal}) == part  # type: ignore[attr-defined]


def altered(kind: type[Part], path: str, value: Any) -> dict[str, Any]:
    """The whole file as plain data with one value set (removed where it is `...`)."""
    plain: dict[str, Any] = json.loads(dump(WHOLE[kind]()))
    place: Any = plain
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return plain


RUN = {"id": "r1-x", "task": "glue/mrpc", "model": "minilm", "strategy": "b", "seed": 0}


@pytest.mark.parametrize(
    ("kind", "path", "value", "where"),
    [
        # numbers
        (Record, "requested/seed", 10**24, "requested.seed"),
        (Record, "requested/seed", -1, "requested.seed"),
        (Record, "requested/seed", 1.0, "requested.seed"),
        (Record, "requested/seed", True, "requested.seed"),
        (Record, "requested/seed", "0", "requested.seed"),
        (Record, "requested/recipe/batch_size", 2**63, "requested.recipe"),
        (Record, "scores/test/accuracy", 1e308, "scores.test.accuracy"),
        (Record, "scores/test/accuracy", "0.9", "scores.test.accuracy"),
        (Record, "scores/test/accuracy", None, "scores.test.accuracy"),
        (Record, "data/majority_baseline/test/f1", -1e200, "data.majority_baseline.test.f1"),
        (Record, "cost/total_seconds", 1e12, "cost.total_seconds"),
        (Record, "cost/total_seconds", 1.0, "cost: total_seconds"),
        (Record, "cost/phase_seconds/train", -1.0, "cost.phase_seconds.train"),
        (Record, "cost/phase_seconds", {}, "cost.phase_seconds"),
        (Record, "cost/phase_seconds", dict.fromkeys(PHASES[1:], 1.0), "cost.phase_seconds"),
        (Record, "cost/steps", -1, "cost.steps"),
        (Record, "cost/flops", 1e200, "cost.flops"),
        (Record, "environment/threads", 0, "environment.threads"),
        (Record, "selection/discordance", 1.5, "selection.discordance"),
        (Record, "observed/loss_scale/gradient", [2.0, 1.0], "observed.loss_scale.gradient"),
        (Record, "resumed_at", [-1], "resumed_at.0"),
        # words
        (Record, "started", "yesterday", "started"),
        (Record, "started", "2026-13-23T08:51:39+00:00", "started"),
        (Record, "started", "2026-11-23T08:51:39", "started"),
        (Record, "started", "2026-11-23T08:51:39+02:00", "started"),
        (Record, "files/steps.parquet", "ab", "files.steps.parquet"),
        (Record, "weights/final_sha256", "z" * 64, "weights.final_sha256"),
        (Record, "weights/final_sha256", "a" * 64 + "\n", "weights.final_sha256"),
        (Record, "data/labels", ["x"] * 22, "data.labels"),
        (Record, "requested/select", "the best", "requested.select"),
        (Record, "data/kind", "regressoin", "data.kind"),
        # facts that contradict each other
        (Record, "data/primary_metric", "bleu", "data: primary_metric"),
        (Record, "data/metrics/1/name", "accuracy", "data: metrics"),
        (Record, "data/majority_baseline/nowhere", {}, "data: majority_baseline"),
        (Record, "data/silent", {"test": {"bleu": "why"}}, "data: silent.test"),
        (Record, "data", None, "data: missing"),
        (Record, "weights", None, "weights: missing"),
        (Record, "cost", None, "cost: missing"),
        (Record, "status", "failed", "status"),
        (Record, "failure", {"reason": "crashed", "message": "", "phase": "train"}, "status"),
        (Record, "scores/train", {"accuracy": 1.0}, "scores"),
        (Record, "scores/test", ..., "scores"),
        (Record, "scores/test/bleu", 0.5, "scores.test"),
        (Record, "scores/test/accuracy", ..., "scores.test"),
        (Record, "data/silent", {"test": {"accuracy": "it was constant"}}, "scores.test"),
        (Record, "selection/chosen_epoch", 4, "selection: chosen_epoch"),
        (Record, "selection/scores", [0.1], "selection: scores"),
        (Record, "selection/split", "train", "selection.split"),
        (Declared, "runs/1", {**RUN, "seed": 0, "strategy": "trainer-api"}, "runs"),
        (Declared, "runs/0/seed", 2**31, "runs.0.seed"),
        (Declared, "margin", {"points": 0.0}, "margin.points"),
        (Declared, "margin", {"points": 1e300}, "margin.points"),
        (Declared, "gate/quality", "none at all", "gate"),
        (Declared, "gate/train_seconds", "10 s", "gate"),
        (Declared, "gate/memory", "+10%", "gate"),
        (Declared, "imported/0/scores/accuracy", 1e101, "imported.0.scores.accuracy"),
        (Declared, "imported/0/seeds", 0, "imported.0.seeds"),
        (Declared, "trials/b", 0, "trials.b"),
        (Declared, "history/0/recorded", -1, "history.0.recorded"),
        (Declared, "searches/b/chosen/0/values/learning_rate", 0.3, "searches.b: chosen.0.values"),
        (Declared, "searches/b/trials/0/values", {}, "searches.b: trials.0.values"),
        (Declared, "searches/b/trials/0/values/learning_rate", 0.2, "searches.b: trials"),
        (Declared, "searches/b/trials/0/seed", 5, "searches.b: trials: seed"),
        (Declared, "searches/b/grid/learning_rate", [], "searches.b.grid.learning_rate"),
        (Control, "milliseconds", 0.0, "milliseconds"),
        (Control, "spread", -0.1, "spread"),
        (Control, "session", "../s", "session"),
        (Control, "peak_flops", {"fp32": 1e300}, "peak_flops.fp32"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_though_the_checksum_fits(
    kind: type[Part], path: str, value: Any, where: str
) -> None:
    with pytest.raises(DamageError) as caught:
        read_part(kind, sealed(altered(kind, path, value)), HERE)
    said = str(caught.value)
    assert said.startswith(f"{HERE} is damaged: {where}"), said
    assert said.isprintable()
    assert len(said) < 600


def test_one_run_under_four_seeds_is_no_four_runs() -> None:
    plain = json.loads(dump(whole_declared()))
    first = plain["runs"][0]
    plain["runs"] = [first | {"seed": seed} for seed in range(4)]
    with pytest.raises(DamageError, match=r"two runs .* the id"):
        read_part(Declared, sealed(plain), HERE)
    plain["runs"] = [first] * 4
    with pytest.raises(DamageError, match="occurs twice"):
        read_part(Declared, sealed(plain), HERE)
    plain["runs"] = [first, first | {"strategy": "chosen by a search"}]
    assert len(read_part(Declared, sealed(plain), HERE).runs) == 2, "two strategies may come to one run"


def test_a_trial_is_never_reported() -> None:
    plain = json.loads(dump(whole_declared()))
    plain["searches"]["b"]["trials"][0]["id"] = plain["runs"][0]["id"]
    with pytest.raises(DamageError, match="is also a reported run"):
        read_part(Declared, sealed(plain), HERE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"[" * 5_000_000, "nested"),
        (b'{"a":' * 90_000 + b"1" + b"}" * 90_000, "nested"),
        (b"[" * 150 + b"]" * 150, "nested"),
        ("\ufeff{}".encode(), "byte order mark"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\\ud800"}', "half a surrogate pair"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": [-Infinity]}', "-Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "digit"),
        (b'{"a": 1, "a": 1}', "occurs twice"),
        (b'{"a": {"b": 1, "b": 2}}', "occurs twice"),
        (b'{"a": "\x00"}', "not JSON"),
        (b"5", "Input should be"),
        (b"{}", "damaged"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else value,
)
@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_is_read_in_one_way_or_not_at_all(kind: type[Part], content: bytes, said: str) -> None:
    began = time.monotonic()
    with pytest.raises(BakeoffError) as caught:
        read_part(kind, content, HERE)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(HERE))
    assert str(caught.value).isprintable()
    assert time.monotonic() - began < 5


def test_a_pair_of_surrogates_is_a_character_and_escaped_backslashes_are_none() -> None:
    assert read_json(b'["\\ud83d\\ude00", "\\\\ud800", "\\u0000"]') == ["😀", "\\ud800", "\0"]


def test_a_file_larger_than_any_of_its_kind_is_not_parsed() -> None:
    with pytest.raises(DamageError, match="16,777,216 is the most"):
        read_part(Control, b" " * MOST_BYTES + dump(WHOLE[Control]()), HERE)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("seal", ["", "0" * 64, "f" * 64, None, 5, ...])
def test_no_word_in_the_place_of_a_checksum_switches_it_off(kind: type[Part], seal: Any) -> None:
    content = json.dumps(altered(kind, "seal", seal)).encode()
    with pytest.raises(DamageError, match=r"altered|damaged: seal|checksum"):
        read_part(kind, content, HERE)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_lower_version_number_does_not_switch_the_checksum_off(kind: type[Part], version: int) -> None:
    """Of version 4, a record's own checksum does not fit any more."""
    with pytest.raises(StoreError, match=r"was altered|bakeoff migrate"):
        read_part(kind, json.dumps(altered(kind, "schema_version", version)).encode(), HERE)


def real(record: Record) -> Record:
    """With the id that a run has of what it was asked for."""
    return record.model_copy(update={"id": id_of(record.requested)})


def test_verify_names_a_record_under_another_id_than_its_own(tmp_path: Path, call: Any) -> None:
    """One run copied under a second id, checksum and all, would count twice."""
    record = real(make_record("trainer-api", 0))
    copy = record.model_copy(update={"id": "r1-0123456789abcdef"})
    other = copy.model_copy(update={"requested": copy.requested.model_copy(update={"strategy": "b"})})
    folder = make_folder_of(tmp_path / "e", [record, other])
    code, out, _ = call("verify", folder)
    assert code == 1
    assert out.splitlines()[0] == "1 of 2 records are undamaged"
    assert f"belong to run {record.id}" in out


def test_published_records_have_the_ids_of_what_they_were_asked_for() -> None:
    paths = sorted((Path(__file__).parents[3] / "results").glob("*/records/*/record.json"))
    assert len(paths) > 100
    for path in paths:
        assert id_of(read_part(Record, path.read_bytes(), path).requested) == path.parent.name


def test_a_record_of_another_seed_than_the_plan_says_is_none(tmp_path: Path, call: Any) -> None:
    from bakeoff.records.load import load_experiment

    records = [real(make_record("trainer-api", seed)) for seed in range(3)]
    folder = make_folder_of(tmp_path / "e", records)
    plan = json.loads((folder / "records" / "plan.json").read_bytes())
    plan["runs"][2]["seed"] = 7
    (folder / "records" / "plan.json").write_bytes(sealed(plan))
    found = load_experiment([folder])
    assert [record.requested.seed for record in found.records] == [0, 1]
    (sentence,) = found.damaged
    assert records[2].id in sentence
    assert sentence.endswith("says 7")
    code, out, _ = call("verify", folder)
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("damaged: ")]
    assert line.endswith(sentence)


def test_a_damaged_control_run_is_told(tmp_path: Path) -> None:
    from bakeoff.records.load import load_experiment

    folder = make_folder_of(tmp_path / "e", [make_record("trainer-api", 0)])
    store = Store(folder)
    store.add_control(WHOLE[Control]())
    assert load_experiment([folder]).damaged == ()
    path = folder / "records" / "control-s-before.json"
    path.write_bytes(path.read_bytes().replace(b"10.0", b"20.0"))
    found = load_experiment([folder])
    assert found.controls == ()
    assert found.damaged == (f"{path} was altered: it does not match its own checksum",)


# --- what is written can be read ----------------------------------------------------------------------------------------

EDGES = [0.0, -0.0, 5e-324, 1e-7, 0.1, 1.0, 1e6, 1e16, 1e99, LARGEST, 1.0000000001e100, 1e308, float("inf"), float("nan"), -1.0]
TEXTS = ["", "a", "\x00", "\x1b[31m", "\u2028", "é" * 300, '"', "\\ud800", "0" * 64, "x" * 2000]


@settings(max_examples=150, deadline=None, database=None)
@given(st.data())
def test_whatever_a_run_comes_to_is_refused_when_it_is_written_or_can_be_read(data: st.DataObject) -> None:
    """Values that nobody validated, as `model_copy` leaves them, put where a plugin's numbers and words end up."""
    record = whole_record()
    assert record.data is not None
    assert record.cost is not None
    number, text = data.draw(st.sampled_from(EDGES)), data.draw(st.sampled_from(TEXTS))
    seed = data.draw(st.sampled_from([0, 1, LARGEST_SEED, LARGEST_SEED + 1, -1]))
    changes: list[dict[str, Any]] = [
        {"scores": {"dev": {"accuracy": number, "f1": 0.5}, "test": {"accuracy": 0.5, "f1": number}}},
        {"largest_logit": number, "evaluation_difference": number},
        {"observed": observed().model_copy(update={"gradient_norm_max": number, "learning_rate_last": number})},
        {"cost": record.cost.model_copy(update={"energy_joules": number, "flops": number, "energy_note": text})},
        {"data": record.data.model_copy(update={"labels": [text, "b"], "source_versions": {text: text}})},
        {"trainer_notes": [text], "trainer_owns": [text]},
        {"requested": record.requested.model_copy(update={"seed": seed, "strategy": text, "recipe": {"batch_size": number}})},
        {"kept": KeptModel.model_construct(reason=text, difference=number)},
        {
            "selection": Selection.model_construct(
                split="dev", evaluations=1, chosen_epoch=1, scores=[number], discordance=number
            )
        },
        {"status": "failed", "failure": None, "scores": {}},
        {"attempts": [record.attempts[0].model_copy(update={"total_seconds": number, "started": text or TIME})]},
    ]
    unchecked = record.model_copy(update=data.draw(st.sampled_from(changes)))
    with suppress(StoreError):
        found = read_part(Record, dump(unchecked), HERE)
        assert (found.scores, found.requested) == (unchecked.scores, unchecked.requested)


def test_a_failed_run_of_every_reach_can_be_written() -> None:
    whole = whole_record()
    for missing in ({}, {"cost": None}, {"data": None, "weights": None}, {"observed": None, "selection": None}):
        record = failed(whole).model_copy(update={"data": whole.data, "cost": whole.cost, **missing})
        assert read_part(Record, dump(record), HERE).status == "failed"
