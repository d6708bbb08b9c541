"""Rename the fields of a brief's tempo map that sonichaos.jobs.v1.TempoMap and TempoPoint have renamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from alembic import op
from sqlalchemy import column, select, table, update

revision = "0002"
down_revision = "0001"

_NAMES = {"second": "startSeconds", "firstDownbeatSecond": "firstDownbeatSeconds"}
_versions = table("versions", column("job_id"), column("number"), column("brief"))


def upgrade() -> None:
    """Use the new names."""
    _rename(_NAMES)


def downgrade() -> None:
    """Use the old names."""
    _rename({new: old for old, new in _NAMES.items()})


def _rename(names: Mapping[str, str]) -> None:
    connection = op.get_bind()
    for row in connection.execute(select(_versions).where(_versions.c.brief.contains('"tempoMap"'))).all():
        brief = json.loads(row.brief)
        if "tempoMap" not in brief:  # a label may have that name
            continue
        tempo_map = _renamed(brief["tempoMap"], names)
        tempo_map["points"] = [_renamed(point, names) for point in tempo_map.get("points", ())]
        connection.execute(
            update(_versions)
            .where(_versions.c.job_id == row.job_id, _versions.c.number == row.number)
            .values(brief=json.dumps(brief | {"tempoMap": tempo_map}))
        )


def _renamed(facts: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in facts.items()}
