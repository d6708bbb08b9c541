"""A version records when its files were deleted. A downgrade forgets it; the version then has no files."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, text

revision = "0011"
down_revision = "0010"

_DELETING = text("delete_us IS NOT NULL AND files <> '{}'")


def upgrade() -> None:
    """Add the column, and an index of the deletions that are not finished."""
    op.add_column("versions", Column("delete_us", BigInteger))
    op.create_index("versions_deleting", "versions", ["owner"], sqlite_where=_DELETING, postgresql_where=_DELETING)


def downgrade() -> None:
    """Remove them. Earlier releases sweep the files that no row names."""
    op.execute(text("UPDATE versions SET files = '{}' WHERE delete_us IS NOT NULL"))
    op.drop_index("versions_deleting", "versions")
    op.drop_column("versions", "delete_us")
