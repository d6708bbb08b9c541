"""Indexes with which no query's cost grows with the history, and measured_failures for journals that lack it.

Releases of schema 3 created measured_failures where it was missing, without a new schema version; a downgrade keeps it.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text, text

revision = "0004"
down_revision = "0003"

_MEASURED = text("work_s IS NOT NULL")
_EXPIRING = text("expire_us IS NOT NULL")
_RERENDERED = text("rerendered_stem <> ''")


def upgrade() -> None:
    """Add the indexes; replace two."""
    op.create_table(
        "measured_failures",
        Column("tenant", Text, primary_key=True),
        Column("job_id", Text, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("rerendered_stem", Text, nullable=False),
        Column("error", Text, nullable=False),
        Column("create_us", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.drop_index("versions_waiting", "versions")
    op.drop_index("versions_measured", "versions")
    op.create_index("versions_waiting", "versions", ["owner", "state", "queued_us", "job_id", "number"])
    op.create_index(
        "versions_measured",
        "versions",
        ["owner", "state", "stems_wanted", "end_us"],
        sqlite_where=_MEASURED,
        postgresql_where=_MEASURED,
    )
    op.create_index(
        "versions_expiring",
        "versions",
        ["owner", "state", "expire_us"],
        sqlite_where=_EXPIRING,
        postgresql_where=_EXPIRING,
    )
    op.create_index(
        "versions_rerendered",
        "versions",
        ["rerendered_stem", "create_us", "job_id", "number"],
        sqlite_where=_RERENDERED,
        postgresql_where=_RERENDERED,
    )
    op.create_index("jobs_of_owner", "jobs", ["tenant", "owner", "create_us", "job_id"])
    op.create_index("events_of_owner", "events", ["owner", "position"])
    op.create_index("audit_rows_of_job", "audit_rows", ["job_id", "sequence"])


def downgrade() -> None:
    """Put the indexes of schema 3 back."""
    op.drop_index("audit_rows_of_job", "audit_rows")
    op.drop_index("events_of_owner", "events")
    op.drop_index("jobs_of_owner", "jobs")
    op.drop_index("versions_rerendered", "versions")
    op.drop_index("versions_expiring", "versions")
    op.drop_index("versions_measured", "versions")
    op.drop_index("versions_waiting", "versions")
    op.create_index("versions_measured", "versions", ["owner", "state", "end_us"])
    op.create_index("versions_waiting", "versions", ["owner", "state", "queued_us"])
