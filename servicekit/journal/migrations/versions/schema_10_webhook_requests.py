"""A webhook records the request id of the call that registered it. A downgrade forgets it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text, text

revision = "0010"
down_revision = "0009"

_HAS_ID = text("request_id IS NOT NULL")


def upgrade() -> None:
    """Add the column, with each id once in a tenant."""
    op.add_column("webhooks", Column("request_id", Text))
    columns = ["tenant", "request_id"]
    op.create_index(
        "webhooks_requested", "webhooks", columns, unique=True, sqlite_where=_HAS_ID, postgresql_where=_HAS_ID
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_index("webhooks_requested", "webhooks")
    op.drop_column("webhooks", "request_id")
