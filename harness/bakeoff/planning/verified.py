"""Whether a record is whole and its own: what `bakeoff verify` tells and `bakeoff merge` asks for."""

from __future__ import annotations

from bakeoff.errors import DamageError
from bakeoff.planning.runs import ID_ALGORITHM, id_of
from bakeoff.records.schema import Declared, Record
from bakeoff.records.store import Store


def verified(store: Store, run_id: str, declared: Declared) -> Record:
    """The run's record, after checking all its files, its seed, and that its id follows from what was requested of it. Raises
    DamageError, and StoreError for another schema version."""
    record = store.check(run_id)
    if misfit := store.misfit(record, declared.seed_of):
        raise DamageError(misfit)
    if record.id.startswith(f"{ID_ALGORITHM}-") and (own := id_of(record.requested)) != record.id:
        raise DamageError(f"its contents belong to run {own}")
    return record
