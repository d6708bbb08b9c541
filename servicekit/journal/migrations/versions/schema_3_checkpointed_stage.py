"""Rename the column kept_stage of versions to checkpointed_stage."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Use the new name."""
    op.execute("ALTER TABLE versions RENAME COLUMN kept_stage TO checkpointed_stage")


def downgrade() -> None:
    """Use the old name."""
    op.execute("ALTER TABLE versions RENAME COLUMN checkpointed_stage TO kept_stage")
