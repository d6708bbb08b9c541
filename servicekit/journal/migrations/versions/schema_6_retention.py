"""An index of each service's oldest jobs, which retention looks for."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add it."""
    op.create_index("jobs_oldest", "jobs", ["owner", "create_us"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("jobs_oldest", "jobs")
