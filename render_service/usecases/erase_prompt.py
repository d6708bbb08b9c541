"""ErasePrompt: the prompts of a job are removed from the journal. Files that were stored before are named, not changed."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.delivery.keys import public_key
from servicekit.errors import NotFound
from servicekit.journal import Journal, Version


@dataclass(frozen=True, kw_only=True)
class ErasedPrompts:
    """``audit_rows`` counts the rows that held a prompt; ``keys_with_prompt`` are stored manifests and ZIPs that still do.

    ``purge_pending``: the files of the journal's database may still hold it for a while.
    """

    audit_rows: int
    purge_pending: bool
    keys_with_prompt: tuple[str, ...]


def erase_prompt(journal: Journal, tenant: str, job_id: str) -> ErasedPrompts:
    """Erase a job's prompts, also after the job was deleted. Raises FailedPrecondition WRONG_STATE and NotFound."""
    erased = journal.erase_prompt(tenant, job_id)
    try:
        versions = journal.job(tenant, job_id).versions
    except NotFound:  # deleted: the audit rows remain, the files do not
        versions = ()
    keys = tuple(dict.fromkeys(key for version in versions for key in _keys_with_prompt(version)))
    return ErasedPrompts(audit_rows=erased.audit_rows, purge_pending=erased.purge_pending, keys_with_prompt=keys)


def _keys_with_prompt(version: Version) -> list[str]:
    files = version.files
    with_prompt = [*(files[kind] for kind in ("manifest", "zip") if kind in files), *files.get("kept", ())]
    return [public_key(str(file["key"])) for file in with_prompt]
