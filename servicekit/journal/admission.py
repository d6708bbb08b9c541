"""Accepts jobs and re-renders into the queue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from servicekit.access.limits import UNLIMITED, TenantLimits
from servicekit.clock import from_micros, to_micros
from servicekit.delivery.names import StemName
from servicekit.errors import AlreadyExists, FailedPrecondition, ResourceExhausted, expiry_too_soon
from servicekit.ids import is_job_id, new_job_id
from servicekit.journal import event_log, usage
from servicekit.journal.database import Transaction
from servicekit.journal.estimates import Queue
from servicekit.journal.reading import (
    read_job,
    to_new_job,
    version_not_found,
)
from servicekit.journal.rows import AcceptResult, EventDraft, Job, Json, NewJob, NewVersion, Request, Version
from servicekit.journal.schema import audit_rows, events, job_labels, jobs, requests, versions
from servicekit.journal.states import EventKind, JobState, OwningService
from servicekit.journal.turns import to_queued

_RETRY_AFTER_S = 10.0
# Statements are built once: building one takes four times as long as sending it.
_REQUEST = select(requests).where(
    requests.c.tenant == bindparam("of_tenant"),
    requests.c.rpc == bindparam("of_rpc"),
    requests.c.request_id == bindparam("of_request"),
)
_INSERT_JOB = insert(jobs).returning(jobs)
_INSERT_LABEL = insert(job_labels)
_INSERT_VERSION = insert(versions).returning(versions)
_INSERT_REQUEST = insert(requests)
_ID_USES = [
    select(table.c.job_id).where(table.c.job_id == bindparam("of_job")).limit(1) for table in (jobs, events, audit_rows)
]


@dataclass(frozen=True)
class Room:
    """How many versions may wait in a service, and the limits of the tenant."""

    queue_limit: int
    tenant: TenantLimits = UNLIMITED


def accept(tx: Transaction, new: NewJob, room: Room) -> AcceptResult:
    """Accept a job with its version 1; see `Journal.accept`."""
    earlier = find_existing(tx.connection, new.request, tx.now_us)
    if earlier is not None:
        return earlier
    queue = queue_with_room(tx, new.owner, new.request.tenant, new.audio_seconds, room)
    _check_expiry(queue, new)
    job_id = new.job_id or new_job_id(from_micros(tx.now_us))
    if new.job_id is not None:
        _check_unused(tx, job_id)
    row = {
        "job_id": job_id,
        "tenant": new.request.tenant,
        "owner": new.owner,
        "request_id": new.request.request_id or "",
        "persona_id": new.persona_id,
        "create_us": tx.now_us,
        "last_sequence": 1,  # the first event, which is written below
        "next_version": 2,
        "deleting": False,
    }
    job = tx.connection.execute(_INSERT_JOB, row).one()
    if new.labels:
        rows = [{"job_id": job_id, "name": name, "value": value} for name, value in new.labels.items()]
        tx.connection.execute(_INSERT_LABEL, rows)
    version = _insert_version(tx, queue, job_id, 1, new, room=room, base_version=0, rerendered_stem=None)
    event_log.write(tx, job, 1, JobState.QUEUED, EventDraft(kind=EventKind.STATE), sequence=1)
    return AcceptResult(to_new_job(job, version, new.labels, queue.with_new(to_queued(version))), 1, created=True)


def accept_version(tx: Transaction, new: NewVersion, room: Room) -> AcceptResult:
    """Accept the next version of a job; see `Journal.accept_version`."""
    earlier = find_existing(tx.connection, new.request, tx.now_us)
    if earlier is not None:
        return earlier
    tenant = new.request.tenant
    job = read_job(tx.connection, tenant, new.job_id, tx.now_us)
    base_version = job.version(new.base_version)
    if base_version is None:
        raise version_not_found(job.job_id, new.base_version)
    check_not_deleted(job, base_version, "re-render a stem of another version")
    owner = new.owner or job.owner
    queue = queue_with_room(tx, owner, tenant, new.audio_seconds, room)
    _check_expiry(queue, new)
    if owner is not job.owner:
        _change_owner(tx, job, owner)
    numbered = update(jobs).where(jobs.c.job_id == job.job_id).values(next_version=jobs.c.next_version + 1)
    number = tx.connection.execute(numbered.returning(jobs.c.next_version)).scalar_one() - 1
    base, stem = new.base_version, new.rerendered_stem
    version = _insert_version(tx, queue, job.job_id, number, new, room=room, base_version=base, rerendered_stem=stem)
    event_log.append_states(tx, version, JobState.QUEUED)
    return AcceptResult(read_job(tx.connection, tenant, job.job_id, tx.now_us), number, created=True)


def _change_owner(tx: Transaction, job: Job, owner: OwningService) -> None:
    """Pass a job whose versions have all ended to the other service, so that only one service writes it at any time.

    Its earlier events stay in the feed of the service that published them.
    """
    for version in job.versions:
        if not version.state.ended:
            raise wrong_state(job, version, "wait until it ends, then re-render a stem of it")
    tx.connection.execute(update(jobs).where(jobs.c.job_id == job.job_id).values(owner=owner))
    tx.connection.execute(update(versions).where(versions.c.job_id == job.job_id).values(owner=owner))


def measurement(version: Version) -> Json | None:
    """The ErrorInfo of a re-render that failed by its measured drift: reason and numbers, no text of the caller."""
    for detail in (version.error or {}).get("details", ()):
        if detail.get("reason") == "DRIFT_EXCEEDED":
            found: Json = detail
            return found
    return None


def _insert_version(
    tx: Transaction,
    queue: Queue,
    job_id: str,
    number: int,
    new: NewJob | NewVersion,
    *,
    room: Room,
    base_version: int,
    rerendered_stem: StemName | None,
) -> Row[Any]:
    values: dict[str, Any] = {
        "job_id": job_id,
        "number": number,
        "tenant": new.request.tenant,
        "owner": queue.owner,
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
        "queued_us": queue.next_place_us,
        "priority": new.priority,
        "running_limit": room.tenant.running_jobs,
    }
    row = tx.connection.execute(_INSERT_VERSION, values).one()
    if new.request.request_id:
        key = {"tenant": new.request.tenant, "rpc": new.request.rpc, "request_id": new.request.request_id}
        of_job = {"digest": new.request.digest, "job_id": job_id, "version": number}
        tx.connection.execute(_INSERT_REQUEST, {**key, **of_job})
    return row


def find_existing(connection: Connection, request: Request, now_us: int) -> AcceptResult | None:
    """The result of an earlier call of the same request; see `Journal.find_existing`."""
    if not request.request_id:
        return None
    key = {"of_tenant": request.tenant, "of_rpc": request.rpc, "of_request": request.request_id}
    found: Row[Any] | None = connection.execute(_REQUEST, key).one_or_none()
    if found is None:
        return None
    # An empty digest means that the prompt was erased; then there is nothing to compare.
    if found.digest not in {request.digest, ""}:
        raise AlreadyExists(
            f"request id {request.request_id!r} was used for other content, by job {found.job_id}; use a new id for a new request",
            reason="REQUEST_ID_REUSED",
            metadata={"request_id": request.request_id, "job_id": found.job_id},
        )
    job = read_job(connection, request.tenant, found.job_id, now_us, even_deleting=True)
    return AcceptResult(job, found.version, created=False)


def queue_with_room(tx: Transaction, owner: OwningService, tenant: str, audio_s: float, room: Room) -> Queue:
    """The owner's queue, with the work counted for the tenant. Raises as `check_room`."""
    queue = check_room(tx.connection, owner, tenant, audio_s, room, now_us=tx.now_us)
    usage.add_work(tx, tenant, audio_s)
    return queue


def check_room(
    connection: Connection, owner: OwningService, tenant: str, audio_s: float, room: Room, *, now_us: int
) -> Queue:
    """The owner's queue, if another version of the tenant may wait in it.

    Raises ResourceExhausted TENANT_LIMIT, and QUEUE_FULL where as many versions wait as may, one of the tenant among them: a full
    queue takes the first version of a tenant, so that others cannot shut it out.
    """
    queue = Queue.read(connection, owner, now_us, newcomer=tenant)

    def retry_after_s() -> float:
        wait_s = queue.wait_s()
        return _RETRY_AFTER_S if wait_s is None else max(wait_s, 1.0)

    usage.check_work(connection, tenant, room.tenant, audio_s, now_us=now_us, retry_after_s=retry_after_s)
    if queue.queued >= room.queue_limit and queue.has_queued(tenant):
        raise ResourceExhausted(
            f"the queue is full: at most {room.queue_limit} versions may wait, {queue.queued} do; retry later",
            reason="QUEUE_FULL",
            metadata={"queued": str(queue.queued), "limit": str(room.queue_limit)},
            retry_after_s=retry_after_s(),
        )
    return queue


def _check_expiry(queue: Queue, new: NewJob | NewVersion) -> None:
    """Raise FailedPrecondition EXPIRY_TOO_SOON where even the best measured speed would not finish before the expiry."""
    if new.expire_time is None:
        return
    version = queue.newcomer(
        new.request.tenant, new.audio_seconds, stems_wanted=new.stems_wanted, priority=new.priority
    )
    needed_s = queue.min_duration_s(version)
    left_s = (to_micros(new.expire_time) - queue.now_us) / 1e6
    if needed_s is not None and needed_s > left_s:
        raise expiry_too_soon(needed_s=needed_s, left_s=left_s, queued=len(queue.ahead_of(version)))


def _check_unused(tx: Transaction, job_id: str) -> None:
    if not is_job_id(job_id):
        raise ValueError(f"a job id must come from ids.new_job_id, got {job_id!r}")
    for query in _ID_USES:
        if tx.connection.execute(query, {"of_job": job_id}).first():
            raise ValueError(f"job id {job_id} was used before")


def wrong_state(job: Job, version: Version, advice: str) -> FailedPrecondition:
    """The error for a call that the version's state does not allow; ``advice`` says what to do."""
    return FailedPrecondition(
        f"version {version.number} of job {job.job_id} is {version.state}: {advice}",
        reason="WRONG_STATE",
        metadata={"job_id": job.job_id, "version": str(version.number), "state": str(version.state)},
    )


def check_not_deleted(job: Job, version: Version, advice: str) -> None:
    """Raise FailedPrecondition WRONG_STATE for a version whose files were deleted; ``advice`` says what to do instead."""
    if version.delete_time is not None:
        raise wrong_state(job, version, f"its files were deleted; {advice}")
