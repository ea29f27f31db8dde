"""`bakeoff gate`."""

from __future__ import annotations

from pathlib import Path

import click

EXIT_CODES = {"pass": 0, "fail": 1, "not enough evidence": 3}


@click.command()
@click.argument("candidate", type=click.Path(path_type=Path))
@click.option("--against", "baseline", metavar="BASELINE", required=True, type=click.Path(path_type=Path), help="Its folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--summary", type=click.Path(path_type=Path, dir_okay=False), help="Append the Markdown to this file too.")
def gate(candidate: Path, baseline: Path, as_json: bool, summary: Path | None) -> int:
    """Judge the experiment in CANDIDATE against the one in BASELINE by the rules that the baseline's file has under `gate`.

    Strategies are compared by name: quality by the interval over seeds and examples, costs run by run. With --summary
    "$GITHUB_STEP_SUMMARY" the table stands on the page of the workflow.
    Exit code 0: pass, 1: fail, 3: not enough evidence, 2: an error.
    """
    from bakeoff.analysis.gate.gate import judge
    from bakeoff.cli.inputs import tell_changed_sources
    from bakeoff.cli.output import say_json, say_page, tell_damage
    from bakeoff.errors import BakeoffError, StoreError
    from bakeoff.files import append_to_named_file
    from bakeoff.records.load import load_experiment
    from bakeoff.report.text.gate import write_gate
    from bakeoff.text.words import shown_path

    if candidate.resolve() == baseline.resolve():
        raise BakeoffError(f"candidate and baseline are the same folder, {shown_path(candidate)}")
    experiments = [load_experiment([folder]) for folder in (candidate, baseline)]
    judged = judge(*experiments)
    tell_damage(*experiments)
    tell_changed_sources(*experiments)
    page = write_gate(judged)
    if summary is not None:
        try:
            append_to_named_file(summary, f"{page}\n")
        except OSError as error:
            raise StoreError(f"--summary: {shown_path(summary)} cannot be written: {error.strerror}") from None
    if as_json:
        say_json(judged.model_dump_json(indent=1, ensure_ascii=True))
    else:
        say_page(page)
    return EXIT_CODES[judged.result]
