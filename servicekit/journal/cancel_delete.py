"""Cancels versions and deletes jobs for callers."""

from __future__ import annotations

import json

from sqlalchemy import Connection, delete, insert, select, text, update

from servicekit.clock import to_micros
from servicekit.journal import event_log
from servicekit.journal.admission import measurement, wrong_state
from servicekit.journal.database import Transaction
from servicekit.journal.reading import (
    job_not_found,
    read_job,
    read_job_row,
    read_version_rows,
    to_job,
    version_not_found,
)
from servicekit.journal.rows import EventDraft, Job
from servicekit.journal.schema import events, jobs, measured_failures
from servicekit.journal.states import EventKind, JobState, OwningService

_STATES_OF_CANCEL = {
    JobState.QUEUED: (JobState.CANCELLING, JobState.CANCELLED),
    JobState.RUNNING: (JobState.CANCELLING,),
}


def cancel(tx: Transaction, tenant: str, job_id: str, number: int, owner: OwningService | None) -> Job:
    """Cancel a version (0: the newest that has not ended). A queued one ends at once, a running one when its worker stops."""
    job = read_job_row(tx.connection, tenant, job_id)
    if job.deleting or owner not in {None, OwningService(job.owner)}:
        raise job_not_found(job_id)
    rows = {row.number: row for row in read_version_rows(tx.connection, job_id)}
    unended = [row.number for row in rows.values() if not JobState(row.state).ended]
    if number and number not in rows:
        raise version_not_found(job_id, number)
    chosen = number or max(unended or rows)
    states = _STATES_OF_CANCEL.get(JobState(rows[chosen].state))
    if states:
        job, rows[chosen] = event_log.change_state(tx, job_id, chosen, *states)
    return to_job(tx.connection, job, list(rows.values()), tx.now_us)


def start_delete(tx: Transaction, tenant: str, job_id: str, owner: OwningService) -> None:
    """Record that an ended job is being deleted. Can be called again after an interrupted deletion."""
    job = read_job(tx.connection, tenant, job_id, tx.now_us, even_deleting=True)
    if job.owner is not owner:
        raise job_not_found(job_id)
    for version in job.versions:
        if not version.state.ended:
            raise wrong_state(job, version, "cancel it and wait until it ends, then delete the job")
    tx.connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(deleting=True))


def unfinished_deletions(connection: Connection, owner: OwningService) -> list[tuple[str, str]]:
    """Tenant and id of each job whose deletion was started and not finished."""
    started = select(jobs.c.tenant, jobs.c.job_id).where(jobs.c.owner == owner, text("deleting IS true"))
    return [(row.tenant, row.job_id) for row in connection.execute(started)]


def finish_delete(tx: Transaction, tenant: str, job_id: str) -> None:
    """Remove a job after `start_delete` and append its DELETED event, the only event that stays; see `Journal.finish_delete`."""
    job = read_job(tx.connection, tenant, job_id, tx.now_us, even_deleting=True)
    started = tx.connection.execute(select(jobs.c.deleting).where(jobs.c.job_id == job_id)).scalar_one()
    if not started:
        raise wrong_state(job, job.versions[0], "its deletion was not started")
    _copy_measurements(tx, job)
    event_log.append(tx, job_id, job.versions[-1].number, job.versions[-1].state, [EventDraft(kind=EventKind.DELETED)])
    earlier = (events.c.job_id == job_id, events.c.sequence <= job.last_sequence)
    tx.connection.execute(delete(events).where(*earlier))
    tx.connection.execute(delete(jobs).where(jobs.c.job_id == job_id))


def _copy_measurements(tx: Transaction, job: Job) -> None:
    """Keep the measurements of failed re-renders: without them a drift report would improve with each deletion."""
    for version in job.versions:
        measured = measurement(version)
        if version.rerendered_stem is not None and measured is not None:
            values = {
                "tenant": job.tenant,
                "job_id": job.job_id,
                "number": version.number,
                "rerendered_stem": version.rerendered_stem.name,
                "error": json.dumps({"details": [measured]}),
                "create_us": to_micros(version.create_time),
            }
            tx.connection.execute(insert(measured_failures).values(values))
