"""What a worker does with a version: claim it, renew the lease, save results, end it. Every write checks the claim's token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from servicekit.errors import Cancelled
from servicekit.journal import audit_chain, event_log
from servicekit.journal.database import Transaction
from servicekit.journal.event_log import change_state
from servicekit.journal.leases import Leases
from servicekit.journal.reading import read_job
from servicekit.journal.reaping import CrashPolicy, abandoned, claimed_versions, has_reapable, reap, record_crash
from servicekit.journal.rows import AuditRow, Checkpoint, Claim, ClaimLost, EventDraft, HeartbeatReply, Json, WaitState
from servicekit.journal.schema import jobs, versions
from servicekit.journal.states import CLAIMED, JobState, OwningService


def claim(tx: Transaction, owner: OwningService, token: str, lease_s: float, crash_policy: CrashPolicy) -> Claim | None:
    """Claim the next version: an abandoned one first, else the one that has been queued longest; None where there is none.

    A process that works on one suspect (see `servicekit.journal.reaping`) gets no other.
    """
    reap(tx, owner, crash_policy)
    row = _next(tx, owner, crash_policy.leases)
    if row is None:
        return None
    tx.connection.execute(
        update(versions)
        .where(versions.c.job_id == row.job_id, versions.c.number == row.number)
        .values(
            attempt=versions.c.attempt + 1,
            claim_token=token,
            worker=crash_policy.leases.worker,
            lease_s=lease_s,
            start_us=tx.now_us,
        )
    )
    change_state(tx, row.job_id, row.number, JobState.RUNNING)
    return _claim(tx, row.job_id, row.number, token, lease_s)


def _next(tx: Transaction, owner: OwningService, leases: Leases) -> Row[Any] | None:
    """The version to work on."""
    claimed = claimed_versions(tx.connection, owner)
    held = [row for row in claimed if row.worker == leases.worker and leases.held_s(row.claim_token) is not None]
    has_suspect = any(row.suspect and row.waiting is None for row in held)
    for found in abandoned(tx.connection, owner, leases):
        if found.row.state == JobState.RUNNING and not (has_suspect and found.suspect):
            if found.crashed:
                record_crash(tx, owner, leases, found.row.worker)
            return found.row
    queued = select(versions).where(versions.c.owner == owner, versions.c.state == JobState.QUEUED)
    if has_suspect:
        queued = queued.where(versions.c.suspect.is_(False))
    in_order = queued.order_by(versions.c.queued_us, versions.c.job_id, versions.c.number)
    return tx.connection.execute(in_order.limit(1)).first()


def excuse(tx: Transaction, held: Claim) -> None:
    """Its worker lost this claim but lives: if that was counted as a crash, it was none."""
    tx.connection.execute(
        update(versions)
        .where(
            versions.c.job_id == held.version.job_id,
            versions.c.number == held.version.number,
            versions.c.lost_token == held.token,
        )
        .values(crashes=versions.c.crashes - 1, lost_token=None)
    )


def has_work(connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int) -> bool:
    """True where :func:`claim` would claim or reap something; only reads, so it does not wait for the writer."""
    return count_queued(connection, owner) > 0 or has_reapable(connection, owner, crash_policy, now_us)


def count_queued(connection: Connection, owner: OwningService) -> int:
    """How many versions are queued."""
    queued = select(func.count()).where(versions.c.owner == owner, versions.c.state == JobState.QUEUED)
    return int(connection.execute(queued).scalar_one())


def retry(tx: Transaction, held: Claim) -> Claim:
    """Start a new attempt under the same claim; the result holds the version as it is now."""
    row = _row_of(tx, held)
    _set(tx, held, attempt=versions.c.attempt + 1)
    change_state(tx, row.job_id, row.number, JobState(row.state))
    return _claim(tx, row.job_id, row.number, held.token, held.lease_s)


def heartbeat(tx: Transaction, held: Claim) -> HeartbeatReply:
    """Renew the lease; the reply tells whether the work has to stop."""
    row = _row_of(tx, held)
    _set(tx, held, heartbeats=versions.c.heartbeats + 1)
    expired = row.expire_us is not None and row.expire_us <= tx.now_us
    return HeartbeatReply(cancel_requested=row.state == JobState.CANCELLING, expired=expired)


def checkpoint(tx: Transaction, held: Claim, results: Checkpoint, held_s: float | None) -> AuditRow | None:
    """Save results; see `Journal.checkpoint`, and :func:`end` for ``held_s``."""
    row = _row_of(tx, held)
    if results.done and row.state == JobState.CANCELLING:
        raise Cancelled("cancelled before the version was complete")
    values: dict[str, Any] = {}
    if results.files is not None:
        values["files"] = json.dumps({**json.loads(row.files), **results.files})
    if results.loudness is not None:
        values["loudness"] = json.dumps(results.loudness)
    if results.stage is not None:
        values["checkpointed_stage"] = results.stage
    if results.waits is not None:
        values |= _wait_columns(results.waits)
    if results.timings:
        values["timings"] = json.dumps([*json.loads(row.timings), *results.timings])
    if values:
        _set(tx, held, **values)
    written = None
    if results.audit is not None:
        written = audit_chain.append(tx, held.job.tenant, row.job_id, row.number, results.audit)
    _append_events(tx, row, results.events)
    if results.done:
        end(tx, held, JobState.DONE, error=None, held_s=held_s)
    return written


def append_events(tx: Transaction, held: Claim, drafts: Sequence[EventDraft], waits: WaitState | None) -> None:
    """Append events in order, and save ``waits`` unless it is None."""
    row = _row_of(tx, held)
    if waits is not None:
        _set(tx, held, **_wait_columns(waits))
    _append_events(tx, row, drafts)


def end(tx: Transaction, held: Claim, state: JobState, *, error: Json | None, held_s: float | None) -> JobState:
    """End the version and the claim; returns the final state, which is CANCELLED for DONE if a cancel came first.

    ``held_s`` is how long the claim was held by a clock that does not jump: the duration of the work, for estimates.
    """
    row = _row_of(tx, held)
    if state is JobState.DONE and row.state == JobState.CANCELLING:
        state = JobState.CANCELLED
    if state is JobState.DONE and row.attempt == 1:
        _set(tx, held, work_s=held_s)
    if state is JobState.CANCELLED and row.state == JobState.RUNNING:
        change_state(tx, row.job_id, row.number, JobState.CANCELLING)
    change_state(tx, row.job_id, row.number, state, error=error)
    return state


def release(tx: Transaction, held: Claim) -> None:
    """Queue the version again for another worker; a version that is being cancelled ends as CANCELLED."""
    row = _row_of(tx, held)
    cancelling = row.state == JobState.CANCELLING
    change_state(tx, row.job_id, row.number, JobState.CANCELLED if cancelling else JobState.QUEUED)


def _claim(tx: Transaction, job_id: str, number: int, token: str, lease_s: float) -> Claim:
    tenant = tx.connection.execute(select(jobs.c.tenant).where(jobs.c.job_id == job_id)).scalar_one()
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    version = next(version for version in job.versions if version.number == number)
    return Claim(job=job, version=version, token=token, attempt=version.attempt, lease_s=lease_s)


def _row_of(tx: Transaction, held: Claim) -> Row[Any]:
    """The version's row. Raises ClaimLost where the claim is no longer valid."""
    row = tx.connection.execute(
        select(versions).where(
            versions.c.job_id == held.version.job_id,
            versions.c.number == held.version.number,
            versions.c.claim_token == held.token,
            versions.c.state.in_(sorted(CLAIMED)),
        )
    ).one_or_none()
    if row is None:
        raise ClaimLost(
            f"this worker no longer holds the claim on version {held.version.number} of {held.version.job_id}"
        )
    return row


def _set(tx: Transaction, held: Claim, **values: Any) -> None:  # noqa: ANN401  column values
    where = (versions.c.job_id == held.version.job_id, versions.c.number == held.version.number)
    tx.connection.execute(update(versions).where(*where).values(**values))


def _wait_columns(waits: WaitState) -> dict[str, Any]:
    waiting = None if waits.waiting is None else json.dumps(waits.waiting)
    return {"waiting": waiting, "waits": json.dumps(waits.spent)}


def _append_events(tx: Transaction, row: Row[Any], drafts: Sequence[EventDraft]) -> None:
    for draft in drafts:
        event_log.append(tx, row.job_id, row.number, JobState(row.state), draft)
