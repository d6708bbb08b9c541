"""Queues versions that have ended again: to add their stems, or to retry them."""

from __future__ import annotations

import json

from sqlalchemy import Connection, select, update

from servicekit.delivery.names import StemMode
from servicekit.journal import event_log
from servicekit.journal.admission import Room, check_not_deleted, measurement, queue_with_room, wrong_state
from servicekit.journal.database import Transaction
from servicekit.journal.reading import job_not_found, pick_version, read_job, read_version_rows, to_job
from servicekit.journal.rows import Job, Json, Version
from servicekit.journal.schema import versions
from servicekit.journal.states import JobState, OwningService


def version_for_stems(
    connection: Connection, tenant: str, job_id: str, number: int, *, owner: OwningService | None, now_us: int
) -> tuple[Job, Version]:
    """The job, and its version that `add_stems` would queue; see `Journal.add_stems` for what it raises."""
    job = _owned_job(connection, tenant, job_id, owner, now_us)
    version = pick_version(job, number, _lacks_only_stems)
    if not version.state.ended:
        raise wrong_state(job, version, "wait until it ends, then request its stems")
    check_not_deleted(job, version, "request the stems of another version")
    if "bounce" not in version.files:
        raise wrong_state(job, version, "it has no bounce to separate; create a new job")
    if "zip" in version.files:
        raise wrong_state(job, version, "it already has stems; download its ZIP")
    return job, version


def stems_in_brief(mode: StemMode) -> Json:
    """The fields of a brief that ask for stems."""
    return {"stems": True, "stemMode": f"STEM_MODE_{mode.name}"}


def add_stems(
    tx: Transaction,
    tenant: str,
    job_id: str,
    number: int,
    *,
    stem_mode: StemMode | None,
    priority: int,
    room: Room,
    owner: OwningService | None,
) -> Job:
    """Queue an ended version again to make its stems; see `Journal.add_stems`."""
    job, version = version_for_stems(tx.connection, tenant, job_id, number, owner=owner, now_us=tx.now_us)
    queue = queue_with_room(tx, job.owner, tenant, version.audio_seconds, room)
    mode = stem_mode or version.stem_mode
    brief = {**version.brief, **stems_in_brief(mode)}
    tx.connection.execute(
        update(versions)
        .where(versions.c.job_id == job_id, versions.c.number == version.number)
        .values(
            stems_wanted=True,
            stem_mode=mode.name,
            brief=json.dumps(brief),
            files=json.dumps(_keeping_manifest(version.files)),
            error=None,
            end_us=None,
            expire_us=None,  # the brief's expiry was for the first run
            crashes=0,
            lost_token=None,
            queued_us=queue.next_place_us,
            priority=priority,
            running_limit=room.tenant.running_jobs,
        )
    )
    changed = event_log.change_state(tx, job_id, version.number, JobState.QUEUED)
    return to_job(tx.connection, changed.job, read_version_rows(tx.connection, job_id), tx.now_us)


def version_to_retry(
    connection: Connection, tenant: str, job_id: str, number: int, *, owner: OwningService | None, now_us: int
) -> tuple[Job, Version]:
    """The job, and its version that `retry_version` would queue; see `Journal.retry_version` for what it raises."""
    job = _owned_job(connection, tenant, job_id, owner, now_us)
    version = pick_version(job, number, lambda version: _can_run_again(job, version))
    if version.state is not JobState.FAILED:
        raise wrong_state(job, version, "only a failed version is retried")
    check_not_deleted(job, version, "re-render the stem instead")
    if _base_is_deleted(job, version):
        advice = f"the files of version {version.base_version}, which it is made from, were deleted"
        raise wrong_state(job, version, f"{advice}; re-render a stem of another version")
    if measurement(version) is not None:
        raise wrong_state(
            job, version, "its failure is a measurement that drift reports count; re-render the stem instead"
        )
    of_version = (versions.c.job_id == job_id, versions.c.number == version.number)
    if connection.execute(select(versions.c.prompt_erased).where(*of_version)).scalar_one():
        raise wrong_state(job, version, "its prompt was erased; create a new job")
    return job, version


def retry_version(
    tx: Transaction, tenant: str, job_id: str, number: int, *, priority: int, room: Room, owner: OwningService | None
) -> Job:
    """Queue a failed version again; see `Journal.retry_version`."""
    job, version = version_to_retry(tx.connection, tenant, job_id, number, owner=owner, now_us=tx.now_us)
    queue = queue_with_room(tx, job.owner, tenant, version.audio_seconds, room)
    anew = {
        "files": json.dumps(_keeping_manifest(version.files)),
        "error": None,
        "end_us": None,
        "expire_us": None,
        "crashes": 0,
        "lost_token": None,
        "queued_us": queue.next_place_us,
        "priority": priority,
        "running_limit": room.tenant.running_jobs,
    }
    of_version = (versions.c.job_id == job_id, versions.c.number == version.number)
    tx.connection.execute(update(versions).where(*of_version).values(anew))
    changed = event_log.change_state(tx, job_id, version.number, JobState.QUEUED)
    return to_job(tx.connection, changed.job, read_version_rows(tx.connection, job_id), tx.now_us)


def _can_run_again(job: Job, version: Version) -> bool:
    return version.state is JobState.FAILED and version.delete_time is None and not _base_is_deleted(job, version)


def _base_is_deleted(job: Job, version: Version) -> bool:
    base = job.version(version.base_version)
    return base is not None and base.delete_time is not None


def _owned_job(connection: Connection, tenant: str, job_id: str, owner: OwningService | None, now_us: int) -> Job:
    """A job. Raises NotFound, also for that of another owner."""
    job = read_job(connection, tenant, job_id, now_us)
    if owner not in {None, job.owner}:
        raise job_not_found(job_id)
    return job


def _keeping_manifest(files: Json) -> Json:
    """The files of an ended version, whose manifest stays when one with stems replaces it."""
    kept = files.get("kept", [])
    manifest = files.get("manifest")
    return files if manifest is None or manifest in kept else {**files, "kept": [*kept, manifest]}


def _lacks_only_stems(version: Version) -> bool:
    return version.state.ended and "bounce" in version.files and "zip" not in version.files
