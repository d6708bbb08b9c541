"""Audit rows of one version, found by kind."""

from __future__ import annotations

from servicekit.errors import NotFound
from servicekit.journal import AuditRow, Journal

AUDIT_BOUNCE, AUDIT_STEMS = "bounce", "stems"
"""Kinds of rows. A re-render has one row, of its stems, which holds its bounce too."""

_PAGE = 200


def audit_row(journal: Journal, tenant: str, job_id: str, version: int, kind: str) -> AuditRow:
    """Raises NotFound VERSION_NOT_FOUND where there is no such row."""
    token, begun = "", False
    while token or not begun:
        page = journal.audit_rows(tenant, job_id, page_size=_PAGE, page_token=token)
        for row in page.rows:
            if (row.version, row.kind) == (version, kind):
                return row
        begun, token = True, page.next_token
    metadata = {"job_id": job_id, "version": str(version)}
    raise NotFound(f"no audit row of {job_id} v{version}", reason="VERSION_NOT_FOUND", metadata=metadata)
