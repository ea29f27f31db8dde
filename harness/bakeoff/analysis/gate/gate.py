"""Whether a candidate may take a baseline's place: every strategy of the baseline, held to every rule.

Two claims, two sorts of error. *Pass* says that all m checks hold. It is said only where each holds by its own one-sided test
at 5 %, so it is wrong at most 5 times in 100 whatever m is (an intersection-union test, Berger 1982): nothing is adjusted.
*Fail* says that some check does not hold: there are m chances of a false alarm, so p-values are adjusted by Holm over all m.
What is neither is *not enough evidence*, never a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bakeoff.analysis.gate.candidate_baseline import Arm, arms_of, only_in_candidate, what_differs
from bakeoff.analysis.gate.checks import Draft, drafts_of, joined
from bakeoff.analysis.verdicts import by_holm
from bakeoff.contracts.fields import Part
from bakeoff.errors import BakeoffError
from bakeoff.records.experiment import Experiment, left_out
from bakeoff.records.history import in_clauses
from bakeoff.records.load.separation import taken_for_same
from bakeoff.records.schema import Declared
from bakeoff.statistics.margins import ALPHA, Evidence
from bakeoff.statistics.power import MOST_SEEDS
from bakeoff.text.numbers import count, p_equals

Result = Literal["pass", "fail", "not enough evidence"]

EXAMPLE = "gate: {quality: -1.0 points, train_seconds: +10%}"


class Check(Part):
    """One rule, held to one strategy. Figures are candidate minus baseline, as the metric is shown; of costs, in per cent."""

    task: str
    model: str
    strategy: str
    rule: str
    limit: str
    """As the rule has it: `-1 points`, `+10%`."""
    unit: str
    """Of the figures: `points`, a metric's own or its name, or `%`."""
    decimals: int
    """With which they are written."""
    change: float | None
    low: float | None
    high: float | None
    """A 90 % interval: each end is a one-sided 95 % bound."""
    seeds: tuple[int, int]
    """Runs behind the figures, of the candidate and of the baseline: those that succeeded, and for quality learned."""
    paired: bool
    identical: bool
    """Every prediction is the baseline's."""
    p_fail: float | None
    """One-sided: small where the change is beyond the limit."""
    p_fail_adjusted: float | None
    """By Holm over all checks that have one."""
    seeds_needed: int | None
    """Seeds a side at which an unchanged candidate passes with 80 % power; None for a pass, and where no number is known."""
    result: Result
    reason: str
    """Why it is not a pass; empty for one."""


class Gate(Part):
    """All checks, and what follows from them."""

    candidate: str
    baseline: str
    split: str
    rules: dict[str, str]
    rules_of: Literal["baseline", "candidate"]
    checks: list[Check]
    notes: list[str]
    result: Result
    headline: str


def judge(candidate: Experiment, baseline: Experiment) -> Gate:
    """The candidate against the baseline; raises BakeoffError where no rule is declared or no strategy is in both."""
    rules, owner, notes = rules_of(candidate.declared, baseline.declared)
    arms = arms_of(candidate, baseline)
    if not any(arm.candidate.seeds for arm in arms):
        raise BakeoffError(
            f"on the baseline's tasks and models the candidate has none of its strategies "
            f"({', '.join(dict.fromkeys(arm.strategy for arm in arms))}): a gate compares strategies by name, so give them the "
            "same names"
        )
    split = baseline.declared.report_on
    if candidate.declared.report_on != split:
        notes.append(f"the candidate reports on {candidate.declared.report_on}; compared is {split}, as the baseline says")
    owners = (baseline, candidate) if owner == "baseline" else (candidate,)
    notes += [f"after looking, {clause}" for one in owners for look in one.declared.history for clause in in_clauses(look)]
    notes += [*left_out(candidate), *left_out(baseline)]
    if extra := only_in_candidate(candidate, baseline):
        notes.append(f"not in the baseline, so not judged: {', '.join(extra)}")
    controls = (*candidate.controls, *baseline.controls)
    if any(rule.endswith("_seconds") for rule in rules) and not (candidate.controls and baseline.controls):
        notes.append("no control run on both sides: that the machine was equally fast is not checked")
    drafts = [draft for arm in arms for draft in drafts_of(arm, rules, split, candidate, baseline, controls)]
    notes += dict.fromkeys(note for arm in arms for note in _notes_on(arm, split))
    notes += dict.fromkeys(
        f"{draft.collapsed[1]} of {len(draft.arm.baseline.records)} baseline runs of {draft.arm.strategy} collapsed: left out"
        for draft in drafts
        if draft.collapsed[1] and not draft.identical
    )
    notes += [
        f"{draft.arm.strategy}: quality is not compared seed by seed: {draft.why_not_paired}"
        for draft in drafts
        if draft.why_not_paired
    ]
    if unknown := taken_for_same([*arm.candidate.records, *arm.baseline.records] for arm in arms):
        notes.append(f"taken for the same: {unknown}")
    checks = _decided(drafts)
    result = _overall(checks)
    return Gate(
        candidate=_name(candidate),
        baseline=_name(baseline),
        split=split,
        rules=rules,
        rules_of=owner,
        checks=checks,
        notes=notes,
        result=result,
        headline=_headline(checks, result),
    )


def rules_of(candidate: Declared, baseline: Declared) -> tuple[dict[str, str], Literal["baseline", "candidate"], list[str]]:
    """The baseline's rules, because a change must not loosen the gate that it goes through; else the candidate's."""
    if not baseline.gate and not candidate.gate:
        raise BakeoffError(
            f"no rule to judge by: write one into the baseline's experiment file, like '{EXAMPLE}', and run it "
            "in a new folder (`bakeoff run FILE --into FOLDER`): a rule is declared before the results that it judges"
        )
    if not baseline.gate:
        return dict(candidate.gate), "candidate", ["the baseline declares no gate: the rules are the candidate's own"]
    notes = []
    if candidate.gate and candidate.gate != baseline.gate:
        own = ", ".join(f"{rule} {limit}" for rule, limit in candidate.gate.items())
        notes.append(f"the candidate's own rules differ ({own}) and were not used")
    return dict(baseline.gate), "baseline", notes


def _name(experiment: Experiment) -> str:
    return ", ".join(experiment.folders) or experiment.declared.name


def _notes_on(arm: Arm, split: str) -> list[str]:
    """What else a reader should know: in what the sides differ, and what the baseline lacks."""
    notes = []
    records = arm.baseline.records + arm.candidate.records
    metric = next((record.data.primary_metric for record in records if record.data is not None), "")
    if found := what_differs(arm, metric):
        notes.append(f"the candidate's {arm.group} differs from the baseline's: {'; '.join(found)}")
    lost = len(arm.baseline.failed) + arm.baseline.missing
    if lost and arm.baseline.records:
        notes.append(
            f"{lost} of {len(arm.baseline.seeds)} baseline runs of {arm.strategy} failed or are not recorded: left out"
        )
    if not arm.paired and arm.candidate.records and arm.baseline.records:
        notes.append(f"the seeds of {arm.strategy} are not the same on both sides: compared without pairing")
    return notes


# --- all together --------------------------------------------------------------------------------------------------------


def _decided(drafts: Sequence[Draft]) -> list[Check]:
    # what is identical is no test, so it is none of the family's chances of a false alarm
    p = [draft.evidence.p_beyond if draft.evidence and not draft.identical else None for draft in drafts]
    adjusted = by_holm(p, [number if draft.test is None else draft.test for number, draft in enumerate(drafts)])
    return [_check(draft, p) for draft, p in zip(drafts, adjusted, strict=True)]


def _check(draft: Draft, adjusted: float | None) -> Check:
    result, reason = _verdict(draft, adjusted)
    arm, evidence = draft.arm, draft.evidence
    return Check(
        task=arm.task,
        model=arm.model,
        strategy=arm.strategy,
        rule=draft.rule,
        limit=draft.limit,
        unit=draft.figures.unit.name,
        decimals=draft.figures.decimals,
        change=evidence.change if evidence else None,
        low=evidence.low if evidence else None,
        high=evidence.high if evidence else None,
        seeds=draft.runs,
        paired=draft.paired,
        identical=draft.identical,
        p_fail=evidence.p_beyond if evidence and not draft.identical else None,
        p_fail_adjusted=adjusted,
        seeds_needed=evidence.needed.number if evidence and evidence.needed else None,
        result=result,
        reason=reason,
    )


def _verdict(draft: Draft, adjusted: float | None) -> tuple[Result, str]:
    evidence = draft.evidence
    if draft.broken:
        return "fail", draft.obstacle
    if evidence is None:
        return "not enough evidence", draft.obstacle
    if adjusted is not None and adjusted <= ALPHA:
        return "fail", joined(f"the change is beyond the limit ({p_equals(adjusted)} after Holm)", draft.obstacle)
    if evidence.within:
        return ("not enough evidence", draft.obstacle) if draft.obstacle else ("pass", "")
    by_itself = evidence.p_beyond <= ALPHA
    near = (
        f"the change is beyond the limit by itself ({p_equals(evidence.p_beyond)}), not after Holm over all checks"
        if by_itself
        else ""
    )
    return "not enough evidence", joined(draft.obstacle, near or _what_it_takes(draft, evidence))


def _what_it_takes(draft: Draft, evidence: Evidence) -> str:
    """How many seeds would show an unchanged candidate to be within the limit, by the spread that was found here."""
    begin = "the interval reaches beyond the limit"
    if evidence.needed is None:
        return begin
    needed, figures = evidence.needed, draft.figures
    scale = figures.unit.scale  # its limits are as shown
    if needed.number is None and needed.why == "unknown" and needed.limits:
        low, high = figures.alone(needed.limits[0] / scale), figures.with_unit(needed.limits[1] / scale)
        return f"{begin}, and whether more seeds will do is not known: the examples resolve {low} to {high} at best"
    if needed.number is None and needed.why == "too many":
        return f"{begin}; if nothing has changed, it takes more than {MOST_SEEDS:,} seeds a side to show it"
    if needed.number is None:
        return (
            f"{begin}, and no number of seeds will do: the examples resolve {figures.with_unit(needed.limit / scale)} at best"
        )
    if needed.number <= min(draft.runs):
        return f"{begin}, though {count(needed.number, 'seed')} usually do where nothing has changed"
    return f"{begin}; if nothing has changed, {count(needed.number, 'seed')} a side show it four times in five"


def _overall(checks: Sequence[Check]) -> Result:
    results = {check.result for check in checks}
    if "fail" in results:
        return "fail"
    return "pass" if results == {"pass"} else "not enough evidence"


def _headline(checks: Sequence[Check], result: Result) -> str:
    """One sentence: how many checks, and the first that decides."""
    of = f"{len(checks)} check{'' if len(checks) == 1 else 's'}"
    if result == "pass":
        identical = sum(check.identical for check in checks)
        aside = f"; predictions identical in {identical}" if identical else ""
        return f"all of {of} within the limits{aside}" if len(checks) > 1 else f"the one check is within its limit{aside}"
    deciding = [check for check in checks if check.result == result]
    first = deciding[0]
    what = "failed" if result == "fail" else "open"
    return f"{len(deciding)} of {of} {what}; first {first.strategy} {first.rule}: {first.reason}"
