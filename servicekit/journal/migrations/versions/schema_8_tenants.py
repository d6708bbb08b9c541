"""Tenants: their keys, their turns in the queue and their use; a version has a tenant and a priority; personal data can be erased.

A downgrade removes the API keys: the earlier release identifies nobody.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, Text

revision = "0008"
down_revision = "0007"

_CHAINED = (
    "tenant",
    "sequence",
    "job_id",
    "version",
    "kind",
    "body_json",
    "previous_digest",
    "digest",
    "create_us",
)
_WAITING = ["owner", "state", "queued_us", "job_id", "number"]
_WAITING_OF_TENANT = ["owner", "state", "tenant", "priority", "queued_us", "job_id", "number"]


def upgrade() -> None:
    """Add the tables and columns, replace an index; the audit rows' trigger lets personal data become NULL."""
    op.create_table(
        "api_keys",
        Column("key_id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("scopes", Text, nullable=False),
        Column("secret_sha256", Text, nullable=False),
        Column("limits", Text, nullable=False),
        Column("create_us", BigInteger, nullable=False),
        Column("expire_us", BigInteger),
        Column("revoke_us", BigInteger),
        Column("last_used_us", BigInteger),
        Column("replaced_by", Text),
    )
    op.create_table(
        "tenant_turns",
        Column("owner", Text, primary_key=True),
        Column("tenant", Text, primary_key=True),
        Column("virtual_s", Float, nullable=False),
    )
    op.create_table(
        "tenant_usage",
        Column("tenant", Text, primary_key=True),
        Column("day", Integer, primary_key=True, autoincrement=False),
        Column("audio_s", Float, nullable=False, server_default="0"),
        Column("upload_bytes", BigInteger, nullable=False, server_default="0"),
    )
    op.add_column("versions", Column("tenant", Text, nullable=False, server_default=""))
    op.add_column("versions", Column("priority", Integer, nullable=False, server_default="0"))
    op.add_column("versions", Column("running_limit", Integer, nullable=False, server_default="0"))
    op.execute("UPDATE versions SET tenant = (SELECT tenant FROM jobs WHERE jobs.job_id = versions.job_id)")
    op.drop_index("versions_waiting", "versions")
    op.create_index("versions_waiting", "versions", _WAITING_OF_TENANT)
    op.add_column("audit_rows", Column("personal", Text))
    _replace_trigger(("prompt", "personal", "salt"))


def downgrade() -> None:
    """Remove them. Personal data beside the chain is lost."""
    _replace_trigger(("prompt", "salt"))
    op.drop_column("audit_rows", "personal")
    op.drop_index("versions_waiting", "versions")
    op.create_index("versions_waiting", "versions", _WAITING)
    for name in ("running_limit", "priority", "tenant"):
        op.drop_column("versions", name)
    for name in ("tenant_usage", "tenant_turns", "api_keys"):
        op.drop_table(name)


def _replace_trigger(erasable: tuple[str, ...]) -> None:
    """Let only these columns of audit rows change, and only to NULL."""
    if op.get_context().dialect.name == "sqlite":
        same = " AND ".join(f"NEW.{column} IS OLD.{column}" for column in _CHAINED)
        nulls = " AND ".join(f"(NEW.{column} IS NULL OR NEW.{column} IS OLD.{column})" for column in erasable)
        op.execute("DROP TRIGGER audit_rows_keep")
        op.execute(f"""CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON audit_rows WHEN NOT ({same} AND {nulls})
            BEGIN SELECT RAISE(ABORT, 'audit rows are append-only'); END""")
        return
    changed = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in _CHAINED)
    values = " OR ".join(
        f"(NEW.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column})" for column in erasable
    )
    op.execute("DROP TRIGGER audit_rows_keep ON audit_rows")
    op.execute(f"""CREATE TRIGGER audit_rows_keep BEFORE UPDATE ON audit_rows FOR EACH ROW
        WHEN ({changed} OR {values}) EXECUTE FUNCTION audit_rows_refuse()""")
