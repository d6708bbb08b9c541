"""A lease is judged by its heartbeats, not by a time of day; a version remembers a lost claim and an erased prompt.

A downgraded journal has no leases: the earlier release claims running versions again. No service may run during a downgrade anyway.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, Text, false, text

revision = "0005"
down_revision = "0004"

_DELETING = text("deleting IS true")


def upgrade() -> None:
    """Replace the time at which a lease ends by its length and the number of heartbeats."""
    op.add_column("versions", Column("lease_s", Float))
    op.add_column("versions", Column("heartbeats", BigInteger, nullable=False, server_default="0"))
    op.add_column("versions", Column("lost_token", Text))
    op.add_column("versions", Column("prompt_erased", Boolean, nullable=False, server_default=false()))
    # An erased prompt is there and empty; that of an upload is not there. A failed version without its prompt must not run again.
    op.execute("""UPDATE versions SET prompt_erased = true WHERE brief LIKE '%"prompt": ""%'""")
    op.drop_column("versions", "lease_until_us")
    op.create_index("jobs_deleting", "jobs", ["owner"], sqlite_where=_DELETING, postgresql_where=_DELETING)


def downgrade() -> None:
    """Put the time back, empty."""
    op.drop_index("jobs_deleting", "jobs")
    op.add_column("versions", Column("lease_until_us", BigInteger))
    for name in ("prompt_erased", "lost_token", "heartbeats", "lease_s"):
        op.drop_column("versions", name)
