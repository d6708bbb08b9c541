"""Upgrades the tables of an earlier schema version when the journal is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from servicekit.journal.schema import SCHEMA_VERSION, meta, versions

_TEMPO_NAMES = {"second": "startSeconds", "firstDownbeatSecond": "firstDownbeatSeconds"}


def upgrade(connection: Connection, written: int) -> int:
    """Upgrade from schema version ``written``; returns the version after that. An unknown version stays as it is."""
    if written not in _STEPS:
        return written
    for version in range(written, SCHEMA_VERSION):
        _STEPS[version](connection)
    connection.execute(update(meta).where(meta.c.name == "schema_version").values(value=str(SCHEMA_VERSION)))
    return SCHEMA_VERSION


def _rename_tempo_fields(connection: Connection) -> None:
    """Rename the fields of a brief's tempo map that sonichaos.jobs.v1.TempoMap and TempoPoint have renamed."""
    rows = select(versions.c.job_id, versions.c.number, versions.c.brief).where(versions.c.brief.contains('"tempoMap"'))
    for row in connection.execute(rows).all():
        brief = json.loads(row.brief)
        if "tempoMap" not in brief:  # a label may have that name
            continue
        tempo_map = _renamed(brief["tempoMap"])
        tempo_map["points"] = [_renamed(point) for point in tempo_map.get("points", ())]
        connection.execute(
            update(versions)
            .where(versions.c.job_id == row.job_id, versions.c.number == row.number)
            .values(brief=json.dumps(brief | {"tempoMap": tempo_map}))
        )


def _renamed(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {_TEMPO_NAMES.get(name, name): value for name, value in facts.items()}


def _rename_checkpoint_column(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE versions RENAME COLUMN kept_stage TO checkpointed_stage")


_STEPS: Mapping[int, Callable[[Connection], None]] = {1: _rename_tempo_fields, 2: _rename_checkpoint_column}
"""The upgrade from each schema version to the next."""
