"""What the training of each row computed: parameters, tokens, operations, and how near it came to what the machine can do."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence

from bakeoff.analysis.machines import why_moved
from bakeoff.contracts.fields import Part
from bakeoff.records.provenance import same_hardware
from bakeoff.records.schema import Control, Record
from bakeoff.text.numbers import DASH, per_cent, with_decimals
from bakeoff.text.values import grouped, listed

MEGA, GIGA, TERA = 1e6, 1e9, 1e12


class Work(Part):
    """What training a row took, averaged over its seeds; None for what no run recorded."""

    trainable: float | None
    kept_bytes: float | None
    """Size in bytes of a file with the trained parameters."""
    tokens: float | None
    padded_tokens: float | None
    flops: float | None
    flops_per_second: float | None
    peak_share: float | None
    """Operations a second as a share of the machine's peak: the speed of a large matrix product in the run's precision,
    measured by the control runs."""
    withheld: str = ""
    """Why `peak_share` is not shown although it could be computed; empty if it is shown, or was not measured."""


def work_of(records: Sequence[Record], controls: Sequence[Control]) -> Work:
    """What these runs, which succeeded, computed."""

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known else None

    rates = [_rate(record) for record in records]
    shares = [
        rate / peak
        for record, rate in zip(records, rates, strict=True)
        if rate is not None and (peak := peak_flops(record, controls)) is not None
    ]
    withheld = _why_withheld(records, shares, controls) if shares else ""
    return Work(
        trainable=mean([record.weights.parameters_trainable if record.weights else None for record in records]),
        kept_bytes=mean([record.weights.trained_bytes if record.weights else None for record in records]),
        tokens=mean([record.observed.tokens_seen if record.observed else None for record in records]),
        padded_tokens=mean([record.observed.padded_tokens_seen if record.observed else None for record in records]),
        flops=mean([record.cost.flops if record.cost else None for record in records]),
        flops_per_second=mean(rates),
        peak_share=None if withheld else mean(shares),
        withheld=withheld,
    )


def _why_withheld(records: Sequence[Record], shares: Sequence[float], controls: Sequence[Control]) -> str:
    """Why the share of the machine's peak speed is not shown: the machine's speed changed between control runs, or the share
    exceeds 1. Empty if it can be."""
    for hardware in dict.fromkeys(record.environment.hardware for record in records):
        if moved := why_moved(controls, hardware=hardware):
            return moved
    if max(shares) > 1:
        return "the runs computed faster than the control runs' matrix product, so these do not tell the peak"
    return ""


def peak_flops(record: Record, controls: Sequence[Control]) -> float | None:
    """The machine's peak operations a second in the run's precision: the median over the control runs on the run's hardware;
    None where no control run has it."""
    precision = str(record.requested.recipe.get("precision", "fp32"))
    found = [
        control.peak_flops[precision]
        for control in controls
        if same_hardware(record, control.hardware) and precision in control.peak_flops
    ]
    return statistics.median(found) if found else None


def _rate(record: Record) -> float | None:
    cost = record.cost
    return cost.flops / cost.train_seconds if cost and cost.flops and cost.train_seconds > 0 else None


def work_cells(rows: Mapping[str, Work], aside: Collection[str] = ()) -> tuple[list[str], dict[str, list[str]]]:
    """Titles of the columns on what training computed, and each row's cells; nothing where no run's operations were counted. A
    column that would be empty is left out.

    aside: rows whose times are not comparable with the others'; their operations a second stand in brackets.
    """
    if not any(work.flops is not None for work in rows.values()):
        return [], {}
    columns = [
        ("trainable", [_number(work.trainable, 1, 0) for work in rows.values()]),
        ("kept MB", [_number(work.kept_bytes, MEGA, 2) for work in rows.values()]),
        ("tokens M", [_number(work.tokens, MEGA, 2) for work in rows.values()]),
        ("padded M", [_number(work.padded_tokens, MEGA, 2) for work in rows.values()]),
        ("TFLOP", [_number(work.flops, TERA, 2) for work in rows.values()]),
        ("GFLOP/s", [_rate_cell(work, comparable=name not in aside) for name, work in rows.items()]),
        ("of peak", [per_cent(work.peak_share) for work in rows.values()]),
    ]
    kept = [(title, cells) for title, cells in columns if set(cells) != {DASH}]
    return [title for title, _ in kept], {name: [cells[row] for _, cells in kept] for row, name in enumerate(rows)}


def _rate_cell(work: Work, *, comparable: bool) -> str:
    cell = _number(work.flops_per_second, GIGA, 1)
    return cell if comparable or cell == DASH else f"({cell})"


def _number(value: float | None, unit: float, digits: int) -> str:
    """The value in this unit, with so many decimals; two more where it is below 1."""
    if value is None:
        return DASH
    return with_decimals(value / unit, digits if value / unit >= 1 or not digits else digits + 2)


def legend(rows: Mapping[str, Work]) -> str:
    """How to read the cells, and why some shares of the peak are not among them."""
    withheld = grouped((work.withheld, name) for name, work in rows.items() if work.withheld)
    told = [f"Of peak is withheld for {listed(names)}: {reason}." for reason, names in withheld.items()]
    return " ".join([LEGEND, *told])


LEGEND = (
    "Trainable: parameters that train; kept: a file with them; tokens: seen in training, real and with padding; TFLOP: "
    "operations of its matrix products and attention, forward and backward, counted by torch.utils.flop_counter's formulas on "
    "some of its own steps; of peak: its operations a second over those of a large matrix product in its precision on that "
    "machine."
)
