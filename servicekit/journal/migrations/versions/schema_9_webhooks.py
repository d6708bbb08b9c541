"""Webhooks and their deliveries. A downgrade removes them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text, UniqueConstraint, text

revision = "0009"
down_revision = "0008"

_WAITING = text("state = 'WAITING'")
_SCHEDULED = text("next_attempt_us IS NOT NULL")
_ENDED = text("end_us IS NOT NULL")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "webhooks",
        Column("webhook_id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("job_id", Text, ForeignKey("jobs.job_id", ondelete="CASCADE")),
        Column("url", Text, nullable=False),
        Column("kinds", Text, nullable=False),
        Column("secret", Text, nullable=False),
        Column("start_position", BigInteger, nullable=False),
        Column("create_us", BigInteger, nullable=False),
        Column("disable_us", BigInteger),
    )
    op.create_index("ix_webhooks_job_id", "webhooks", ["job_id"])
    op.create_index("webhooks_of_tenant", "webhooks", ["tenant", "create_us", "webhook_id"])
    op.create_index("webhooks_start", "webhooks", ["start_position"])
    op.create_table(
        "webhook_deliveries",
        Column("delivery_id", Text, primary_key=True),
        Column("webhook_id", Text, ForeignKey("webhooks.webhook_id", ondelete="CASCADE"), nullable=False),
        Column("tenant", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("job_id", Text, ForeignKey("jobs.job_id", ondelete="CASCADE"), nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("version", Integer, nullable=False),
        Column("kind", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("earlier_attempts", Integer, nullable=False),
        Column("status_code", Integer),
        Column("problem", Text),
        Column("next_attempt_us", BigInteger),
        Column("create_us", BigInteger, nullable=False),
        Column("end_us", BigInteger),
        UniqueConstraint("webhook_id", "job_id", "sequence"),
    )
    table = "webhook_deliveries"
    op.create_index("ix_webhook_deliveries_job_id", table, ["job_id"])
    op.create_index("webhook_deliveries_newest", table, ["webhook_id", "create_us", "delivery_id"])
    for name, columns, where in (
        ("webhook_deliveries_due", ["owner", "webhook_id", "next_attempt_us"], _SCHEDULED),
        ("webhook_deliveries_waiting", ["tenant", "webhook_id"], _WAITING),
        ("webhook_deliveries_ended", ["owner", "end_us"], _ENDED),
    ):
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Remove them, with the place in the feed up to which events were looked at."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
    op.execute("DELETE FROM meta WHERE name LIKE 'webhooks:%'")
