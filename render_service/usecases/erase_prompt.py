"""A prompt is taken out of the journal; what was stored for the caller stays, and is named."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.errors import NotFound
from servicekit.journal import Journal, Version


@dataclass(frozen=True, kw_only=True)
class Erased:
    """``audit_rows`` held a prompt until now; ``keys_with_prompt`` are stored manifests and ZIPs that still do."""

    audit_rows: int
    keys_with_prompt: tuple[str, ...]


def erase_prompt(journal: Journal, tenant: str, job_id: str) -> Erased:
    """Erase a job's prompts, also after its deletion. Raises FailedPrecondition WRONG_STATE, NotFound."""
    erased = journal.erase_prompt(tenant, job_id)
    try:
        versions = journal.job(tenant, job_id).versions
    except NotFound:
        versions = ()
    return Erased(audit_rows=erased, keys_with_prompt=tuple(key for version in versions for key in _keys(version)))


def _keys(version: Version) -> list[str]:
    return [str(version.files[kind]["key"]) for kind in ("manifest", "zip") if kind in version.files]
