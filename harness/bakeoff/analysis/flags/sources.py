"""Warnings about what runs were made from: different-data, different-checkpoint, software-changed."""

from __future__ import annotations

from collections.abc import Iterator

from bakeoff.analysis.flags.wording import Found, Judged, clauses, named
from bakeoff.text.numbers import count


def separated(judged: Judged, *, data: bool) -> Iterator[Found]:
    """different-data, different-checkpoint: runs that were made from other data, or started from another model, than the
    experiment's other runs, and so stand in a comparison group of their own."""
    for one in judged.experiment.separated:
        rows = {row: sum(record.id in one.runs for record in records) for row, records in judged.records.items()}
        if one.data is data and any(rows.values()):
            yield Found(
                [row for row, number in rows.items() if number],
                f"{'Other data' if data else 'Another model'}: {count(sum(rows.values()), 'run')} differ from the other runs "
                f"of {one.was} in {one.what}. They stand here, and in no row with those.",
                f"To make all of one: {judged.run_again('--changed', 'rerun')}.",
            )


def edited_plugins(judged: Judged) -> Iterator[Found]:
    """software-changed: a plugin whose source changed between runs though its version did not."""
    sources: dict[str, dict[str, dict[str, None]]] = {}
    for row, records in judged.succeeded.items():
        for record in records:
            for kind, digest in record.made_from.code.items():
                origin = getattr(record.requested, kind)
                release = f"{origin.distribution} {origin.distribution_version}"
                plugin = f"{kind} {origin.name} (version {origin.version}, {release})"
                sources.setdefault(plugin, {}).setdefault(digest, {})[row] = None
    edited = {
        plugin: (len(found), dict.fromkeys(row for rows in found.values() for row in rows))
        for plugin, found in sources.items()
        if len(found) > 1
    }
    if edited:
        states = (f"the source of {plugin}, in {n} states under {named(rows)}" for plugin, (n, rows) in edited.items())
        yield Found(
            dict.fromkeys(row for _, rows in edited.values() for row in rows),
            f"Edited between runs: {clauses(states)}. Whether it gives other results now, its version does not say.",
            f"Raise its 'version' if it does, and run all {judged.in_new_folder}.",
        )
