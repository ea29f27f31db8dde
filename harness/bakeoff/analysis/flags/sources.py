"""Warnings about what runs were made from: different-data, different-checkpoint, software-changed."""

from __future__ import annotations

from collections.abc import Iterator

from bakeoff.analysis.board_context import Ground
from bakeoff.analysis.flags.wording import Found, ended_well, in_new_folder, listed, run_again, told
from bakeoff.text.numbers import count


def data_separated(ground: Ground) -> Iterator[Found]:
    """different-data: runs made from other data than the experiment's other runs, and so on a board of their own."""
    yield from _separated(ground, data=True)


def model_separated(ground: Ground) -> Iterator[Found]:
    """different-checkpoint: runs that started from another model than the others, and so stand on a board of their own."""
    yield from _separated(ground, data=False)


def _separated(ground: Ground, *, data: bool) -> Iterator[Found]:
    for one in ground.experiment.separated:
        rows = {row: sum(record.id in one.runs for record in records) for row, records in ground.records.items()}
        if one.data is data and any(rows.values()):
            yield Found(
                tuple(row for row, count in rows.items() if count),
                f"{'Other data' if data else 'Another model'}: {count(sum(rows.values()), 'run')} differ from the other runs "
                f"of {one.was} in {one.what}. They stand here, and in no row with those.",
                f"To make all of one: {run_again(ground, '--changed', 'rerun')}.",
            )


def edited_plugins(ground: Ground) -> Iterator[Found]:
    """software-changed: a plugin whose source changed between runs though its version did not."""
    sources: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for row, records in ended_well(ground).items():
        for record in records:
            for kind, digest in record.made_from.code.items():
                origin = getattr(record.requested, kind)
                plugin = (kind, origin.name, origin.version, origin.distribution, origin.distribution_version)
                under = sources.setdefault(plugin, {}).setdefault(digest, [])
                if row not in under:
                    under.append(row)
    edited = {plugin: found for plugin, found in sources.items() if len(found) > 1}
    if edited:
        rows = dict.fromkeys(row for found in edited.values() for under in found.values() for row in under)
        yield Found(
            tuple(rows),
            "Edited between runs: "
            + told(
                f"the source of {kind} {name} (version {version}, {distribution} {release}), in {len(found)} states under "
                f"{listed(dict.fromkeys(row for under in found.values() for row in under))}"
                for (kind, name, version, distribution, release), found in edited.items()
            )
            + ". Whether it gives other results now, its version does not say.",
            f"Raise its 'version' if it does, and run all {in_new_folder(ground)}.",
        )
