"""Deletes the files of one re-rendered version: the row stays, with the time, and no call shows its files from the start on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, text, update

from servicekit.errors import FieldViolation, InvalidFields
from servicekit.journal.admission import wrong_state
from servicekit.journal.database import Transaction
from servicekit.journal.reading import job_not_found, read_job, version_not_found
from servicekit.journal.rows import Job, Json, Version, named_keys
from servicekit.journal.schema import versions
from servicekit.journal.states import OwningService

_UNFINISHED = text("delete_us IS NOT NULL AND files <> '{}'")


@dataclass(frozen=True, order=True)
class VersionDeletion:
    """A deletion that was started. ``keys`` are those that the version's row named."""

    tenant: str
    job_id: str
    number: int
    keys: tuple[str, ...]


def start_delete_version(
    tx: Transaction, tenant: str, job_id: str, number: int, owner: OwningService
) -> VersionDeletion | None:
    """Record that a version's files are being deleted; see `Journal.start_delete_version`."""
    check_number(number)
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    if job.owner is not owner:
        raise job_not_found(job_id)
    version = job.version(number)
    if version is None:
        raise version_not_found(job_id, number)
    if version.delete_time is not None:
        return _to_deletion(tenant, job_id, number, version.files) if version.files else None
    _check_unneeded(job, version)
    keys = sorted(named_keys(version.files))
    started = {"delete_us": tx.now_us, "files": json.dumps({"deleting": keys})}
    tx.connection.execute(update(versions).where(*_of_version(job_id, number)).values(started))
    return VersionDeletion(tenant, job_id, number, tuple(keys))


def check_number(number: int) -> None:
    """Raise InvalidFields for a number that no re-rendered version has."""
    if number < 2:
        advice = "the original is deleted with its job (DeleteJob)"
        raise InvalidFields([FieldViolation("version", f"must be 2 or more, got {number}: {advice}")])


def _check_unneeded(job: Job, version: Version) -> None:
    """Raise WRONG_STATE where the version itself, or one that is made from it, has not ended."""
    if not version.state.ended:
        raise wrong_state(job, version, "cancel it and wait until it ends, then delete it")
    for other in job.versions:
        if other.base_version == version.number and not other.state.ended:
            needed = f"it is made from version {version.number}"
            raise wrong_state(
                job, other, f"{needed}; cancel it or wait until it ends, then delete version {version.number}"
            )


def unfinished_version_deletions(connection: Connection, owner: OwningService) -> list[VersionDeletion]:
    """Those that were started and not finished."""
    columns = (versions.c.tenant, versions.c.job_id, versions.c.number, versions.c.files)
    found = connection.execute(select(*columns).where(versions.c.owner == owner, _UNFINISHED))
    return [_to_deletion(row.tenant, row.job_id, row.number, json.loads(row.files)) for row in found]


def finish_delete_version(tx: Transaction, deletion: VersionDeletion) -> None:
    """Record that the files have been removed. Nothing where the job is gone."""
    of_version = _of_version(deletion.job_id, deletion.number)
    started = versions.c.delete_us.is_not(None)
    tx.connection.execute(update(versions).where(*of_version, started).values(files="{}"))


def _to_deletion(tenant: str, job_id: str, number: int, files: Json) -> VersionDeletion:
    return VersionDeletion(tenant, job_id, number, tuple(files["deleting"]))


def _of_version(job_id: str, number: int) -> tuple[Any, Any]:
    return versions.c.job_id == job_id, versions.c.number == number
