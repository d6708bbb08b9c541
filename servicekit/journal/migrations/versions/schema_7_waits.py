"""A version records what it waits for, how long it has waited for each reason, and whether it may have killed its process."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Text, false

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the three columns."""
    op.add_column("versions", Column("suspect", Boolean, nullable=False, server_default=false()))
    op.add_column("versions", Column("waiting", Text))
    op.add_column("versions", Column("waits", Text, nullable=False, server_default="{}"))


def downgrade() -> None:
    """Remove them."""
    for name in ("waits", "waiting", "suspect"):
        op.drop_column("versions", name)
