"""What callers may change: accept a job or a version, ask for stems, cancel, delete."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from servicekit.clock import from_micros, to_micros
from servicekit.delivery.names import StemMode, StemName
from servicekit.errors import AlreadyExists, FailedPrecondition, ResourceExhausted, expiry_too_soon
from servicekit.ids import is_job_id, new_job_id
from servicekit.journal import event_log
from servicekit.journal.database import Transaction
from servicekit.journal.estimates import Queue
from servicekit.journal.reading import job_not_found, pick_version, read_job, version_not_found
from servicekit.journal.reaping import change_state
from servicekit.journal.rows import Accepted, EventDraft, Job, Json, NewJob, NewVersion, Request, Version
from servicekit.journal.schema import audit_rows, events, job_labels, jobs, measured_failures, requests, versions
from servicekit.journal.states import EventKind, JobState, Owner

MEASURED = "DRIFT_EXCEEDED"
"""The reason of failures whose numbers outlive their job."""
_RETRY_S = 10.0


def accept(tx: Transaction, new: NewJob, limit: int) -> Accepted:
    """Accept a job as version 1, or find the job that the same request made."""
    earlier = known(tx, new.request)
    if earlier is not None:
        return earlier
    _refuse_beyond(tx, new.owner, limit)
    _refuse_too_soon(tx, new.owner, new)
    job_id = new.job_id or new_job_id(from_micros(tx.now_us))
    _check_unused(tx, job_id)
    tx.connection.execute(
        insert(jobs).values(
            job_id=job_id,
            tenant=new.request.tenant,
            owner=new.owner,
            request_id=new.request.request_id or "",
            persona_id=new.persona_id,
            create_us=tx.now_us,
            last_sequence=0,
            next_version=2,
            deleting=False,
        )
    )
    if new.labels:
        rows = [{"job_id": job_id, "name": name, "value": value} for name, value in new.labels.items()]
        tx.connection.execute(insert(job_labels), rows)
    _insert_version(tx, new.owner, job_id, 1, new, base_version=0, rerendered_stem=None)
    return Accepted(read_job(tx.connection, new.request.tenant, job_id, tx.now_us), 1, created=True)


def accept_version(tx: Transaction, new: NewVersion, limit: int) -> Accepted:
    """Accept the next version of a job. Its number is never used again, whatever becomes of it."""
    earlier = known(tx, new.request)
    if earlier is not None:
        return earlier
    tenant = new.request.tenant
    job = read_job(tx.connection, tenant, new.job_id, tx.now_us)
    _refuse_deleting(tx, job)
    if job.version(new.base_version) is None:
        raise version_not_found(job.job_id, new.base_version)
    owner = new.owner or job.owner
    _refuse_beyond(tx, owner, limit)
    _refuse_too_soon(tx, owner, new)
    if owner is not job.owner:
        _hand_over(tx, job, owner)
    taken = update(jobs).where(jobs.c.job_id == job.job_id).values(next_version=jobs.c.next_version + 1)
    number = tx.connection.execute(taken.returning(jobs.c.next_version)).scalar_one() - 1
    base, stem = new.base_version, new.rerendered_stem
    _insert_version(tx, owner, job.job_id, number, new, base_version=base, rerendered_stem=stem)
    return Accepted(read_job(tx.connection, tenant, job.job_id, tx.now_us), number, created=True)


def _hand_over(tx: Transaction, job: Job, owner: Owner) -> None:
    """Give a job whose versions have all ended to another service, so that at each moment one service writes it.

    Its events so far stay in the feed of the service that told them.
    """
    for version in job.versions:
        if not version.state.ended:
            raise _wrong_state(job, version, "it has not ended; wait for its end, then re-render a stem of it")
    tx.connection.execute(update(jobs).where(jobs.c.job_id == job.job_id).values(owner=owner))
    tx.connection.execute(update(versions).where(versions.c.job_id == job.job_id).values(owner=owner))


def add_stems(tx: Transaction, tenant: str, job_id: str, number: int, *, stem_mode: StemMode | None, limit: int) -> Job:
    """Queue an ended version (0: the newest that has a bounce and no stems) again, for the stems that it lacks."""
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    _refuse_deleting(tx, job)
    version = pick_version(job, number, _lacks_only_stems)
    if not version.state.ended:
        raise _wrong_state(job, version, "it has not ended; wait for its end, then ask for its stems")
    if "bounce" not in version.files:
        raise _wrong_state(job, version, "it has no bounce to separate; start a new job")
    if "zip" in version.files:
        raise _wrong_state(job, version, "it has stems already; fetch its ZIP")
    _refuse_beyond(tx, job.owner, limit)
    mode = stem_mode or version.stem_mode
    brief = {**version.brief, "stems": True, "stemMode": f"STEM_MODE_{mode.name}"}
    tx.connection.execute(
        update(versions)
        .where(versions.c.job_id == job_id, versions.c.number == version.number)
        .values(
            stems_wanted=True,
            stem_mode=mode.name,
            brief=json.dumps(brief),
            error=None,
            end_us=None,
            expire_us=None,  # it was the brief's; who asks for stems after the end has waited for no deadline
            crashes=0,
            queued_us=tx.now_us,
        )
    )
    change_state(tx, job_id, version.number, JobState.QUEUED)
    return read_job(tx.connection, tenant, job_id, tx.now_us)


def _lacks_only_stems(version: Version) -> bool:
    return version.state.ended and "bounce" in version.files and "zip" not in version.files


def cancel(tx: Transaction, tenant: str, job_id: str, number: int) -> Job:
    """Order a stop of a version (0: the newest that has not ended); what has ended stays as it is."""
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    version = pick_version(job, number, lambda version: not version.state.ended)
    if version.state in {JobState.QUEUED, JobState.RUNNING}:
        change_state(tx, job_id, version.number, JobState.CANCELLING)
    if version.state is JobState.QUEUED:
        change_state(tx, job_id, version.number, JobState.CANCELLED)
    return read_job(tx.connection, tenant, job_id, tx.now_us)


def begin_delete(tx: Transaction, tenant: str, job_id: str) -> Job:
    """Close a job to changes before its files go. May be called again where that was cut short."""
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    for version in job.versions:
        if not version.state.ended:
            raise _wrong_state(job, version, "it has not ended; cancel it and wait for its end, then delete the job")
    tx.connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(deleting=True))
    return job


def finish_delete(tx: Transaction, tenant: str, job_id: str) -> None:
    """Remove a job that :func:`begin_delete` closed.

    One last event tells of it. Its audit rows stay, and what its re-renders measured that failed for it.
    """
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    closed = tx.connection.execute(select(jobs.c.deleting).where(jobs.c.job_id == job_id)).scalar_one()
    if not closed:
        raise _wrong_state(job, job.versions[0], "its deletion was not begun")
    _keep_measured(tx, job)
    draft = EventDraft(kind=EventKind.DELETED)
    last = event_log.append(tx, job_id, job.versions[-1].number, job.versions[-1].state, draft)
    tx.connection.execute(delete(events).where(events.c.job_id == job_id, events.c.sequence < last.sequence))
    tx.connection.execute(delete(jobs).where(jobs.c.job_id == job_id))


def _keep_measured(tx: Transaction, job: Job) -> None:
    """A report that left out the failures of deleted jobs would grow better with each deletion."""
    for version in job.versions:
        measured = _measured(version)
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


def _measured(version: Version) -> Json | None:
    """The ErrorInfo of a failure that measured something: its reason and numbers, nothing that the caller wrote."""
    for detail in (version.error or {}).get("details", ()):
        if detail.get("reason") == MEASURED:
            found: Json = detail
            return found
    return None


def _insert_version(
    tx: Transaction,
    owner: Owner,
    job_id: str,
    number: int,
    new: NewJob | NewVersion,
    *,
    base_version: int,
    rerendered_stem: StemName | None,
) -> None:
    values: dict[str, Any] = {
        "job_id": job_id,
        "number": number,
        "owner": owner,
        "state": JobState.QUEUED,
        "attempt": 0,
        "crashes": 0,
        "stems_wanted": new.stems_wanted,
        "stem_mode": new.stem_mode.name,
        "base_version": base_version,
        "rerendered_stem": "" if rerendered_stem is None else rerendered_stem.name,
        "brief": json.dumps(new.brief),
        "plan": json.dumps(new.plan),
        "files": "{}",
        "timings": "[]",
        "audio_s": new.audio_seconds,
        "expire_us": None if new.expire_time is None else to_micros(new.expire_time),
        "create_us": tx.now_us,
        "queued_us": tx.now_us,
    }
    tx.connection.execute(insert(versions).values(values))
    if new.request.request_id:
        row = {"tenant": new.request.tenant, "rpc": new.request.rpc, "request_id": new.request.request_id}
        tx.connection.execute(insert(requests).values(**row, digest=new.request.digest, job_id=job_id, version=number))
    event_log.append(tx, job_id, number, JobState.QUEUED, EventDraft(kind=EventKind.STATE))


def known(tx: Transaction, request: Request) -> Accepted | None:
    """What the same request made before. Raises :class:`AlreadyExists` for the same id with other content."""
    if not request.request_id:
        return None
    found: Row[Any] | None = tx.connection.execute(
        select(requests).where(
            requests.c.tenant == request.tenant,
            requests.c.rpc == request.rpc,
            requests.c.request_id == request.request_id,
        )
    ).one_or_none()
    if found is None:
        return None
    # The digest is empty once the prompt was erased: then nothing is left to compare with.
    if found.digest not in {request.digest, ""}:
        raise AlreadyExists(
            f"request id {request.request_id!r} made job {found.job_id} from other content; use a new id for a new request",
            reason="REQUEST_ID_REUSED",
            metadata={"request_id": request.request_id, "job_id": found.job_id},
        )
    job = read_job(tx.connection, request.tenant, found.job_id, tx.now_us)
    return Accepted(job, found.version, created=False)


def _refuse_beyond(tx: Transaction, owner: Owner, limit: int) -> None:
    waiting = select(func.count()).where(versions.c.owner == owner, versions.c.state == JobState.QUEUED)
    queued = int(tx.connection.execute(waiting).scalar_one())
    if queued >= limit:
        wait_s = Queue.read(tx.connection, owner, tx.now_us).wait_s()
        raise ResourceExhausted(
            f"{queued} versions wait and at most {limit} may; try again later",
            reason="QUEUE_FULL",
            metadata={"queued": str(queued), "limit": str(limit)},
            retry_after_s=_RETRY_S if wait_s is None else max(wait_s, 1.0),
        )


def _refuse_too_soon(tx: Transaction, owner: Owner, new: NewJob | NewVersion) -> None:
    """Refuse what cannot be done by its expiry even at the best speed that was measured here."""
    if new.expire_time is None:
        return
    queue = Queue.read(tx.connection, owner, tx.now_us)
    needed_s = queue.needed_s(new.audio_seconds, stems_wanted=new.stems_wanted)
    left_s = (to_micros(new.expire_time) - tx.now_us) / 1e6
    if needed_s is not None and needed_s > left_s:
        raise expiry_too_soon(needed_s=needed_s, left_s=left_s, queued=len(queue.order))


def _refuse_deleting(tx: Transaction, job: Job) -> None:
    if tx.connection.execute(select(jobs.c.deleting).where(jobs.c.job_id == job.job_id)).scalar_one():
        raise job_not_found(job.job_id)


def _check_unused(tx: Transaction, job_id: str) -> None:
    if not is_job_id(job_id):
        raise ValueError(f"a job id is made by ids.new_job_id, not {job_id!r}")
    for table in (jobs, events, audit_rows):
        if tx.connection.execute(select(table.c.job_id).where(table.c.job_id == job_id).limit(1)).first():
            raise ValueError(f"job id {job_id} was used before")


def _wrong_state(job: Job, version: Version, advice: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"version {version.number} of job {job.job_id} is {version.state}: {advice}",
        reason="WRONG_STATE",
        metadata={"job_id": job.job_id, "version": str(version.number), "state": str(version.state)},
    )
