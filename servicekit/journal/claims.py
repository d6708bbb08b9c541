"""What a worker does with a version: claim it, renew the lease, save results, end it. Every write checks the claim's token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from servicekit.errors import Cancelled
from servicekit.journal import audit_chain, event_log, turns
from servicekit.journal.database import Transaction
from servicekit.journal.event_log import append_states, change_state
from servicekit.journal.leases import Leases
from servicekit.journal.reading import read_version_rows, to_job
from servicekit.journal.reaping import CrashPolicy, abandoned, claimed_versions, has_reapable, reap, record_crash
from servicekit.journal.rows import AuditRow, Checkpoint, Claim, ClaimLost, EventDraft, HeartbeatReply, Json, WaitState
from servicekit.journal.schema import is_one_of, versions
from servicekit.journal.states import CLAIMED, JobState, OwningService

# Statements are built once: building one takes four times as long as sending it.
_OF_VERSION = (versions.c.job_id == bindparam("of_job"), versions.c.number == bindparam("of_version"))
_IN_QUEUE = (versions.c.owner == bindparam("of_owner"), versions.c.state == JobState.QUEUED)
_COUNT_QUEUED = select(func.count()).where(*_IN_QUEUE)
_CLAIM = (
    update(versions)
    .where(*_OF_VERSION)
    .values(
        state=JobState.RUNNING,
        waiting=None,
        attempt=versions.c.attempt + 1,
        claim_token=bindparam("token"),
        worker=bindparam("claimant"),
        lease_s=bindparam("lease"),
        start_us=bindparam("now_us"),
    )
    .returning(versions)
)
_HELD = select(versions).where(
    *_OF_VERSION, versions.c.claim_token == bindparam("token"), is_one_of(versions.c.state, CLAIMED)
)
_BEAT = update(versions).where(*_OF_VERSION).values(heartbeats=versions.c.heartbeats + 1)


def claim(tx: Transaction, owner: OwningService, token: str, lease_s: float, crash_policy: CrashPolicy) -> Claim | None:
    """Claim the next version: an abandoned one first, else the one whose turn it is (`servicekit.journal.turns`).

    None where there is none. A process that works on one suspect (see `servicekit.journal.reaping`) gets no other.
    """
    reap(tx, owner, crash_policy)
    row = _next(tx, owner, crash_policy.leases)
    if row is None:
        return None
    if row.state == JobState.QUEUED:
        turns.take(tx, row)
    given = {"token": token, "claimant": crash_policy.leases.worker, "lease": lease_s, "now_us": tx.now_us}
    of_row = {"of_job": row.job_id, "of_version": row.number}
    version = tx.connection.execute(_CLAIM, {**of_row, **given}).one()
    return _claim(tx, append_states(tx, version, JobState.RUNNING), token, version, lease_s)


def _next(tx: Transaction, owner: OwningService, leases: Leases) -> Row[Any] | None:
    """The version to work on."""
    claimed = claimed_versions(tx.connection, owner)
    held = [row for row in claimed if row.worker == leases.worker and leases.held_s(row.claim_token) is not None]
    has_suspect = any(row.suspect and row.waiting is None for row in held)
    for found in abandoned(claimed, leases):
        if found.row.state == JobState.RUNNING and not (has_suspect and found.suspect):
            if found.crashed:
                record_crash(tx, owner, leases, found.row.worker)
            return found.row
    return turns.next_version(tx.connection, owner, without_suspects=has_suspect)


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
    return turns.has_next(connection, owner) or has_reapable(connection, owner, crash_policy, now_us)


def count_queued(connection: Connection, owner: OwningService) -> int:
    """How many versions are queued."""
    return int(connection.execute(_COUNT_QUEUED, {"of_owner": owner}).scalar_one())


def retry(tx: Transaction, held: Claim) -> Claim:
    """Start a new attempt under the same claim; the result holds the version as it is now."""
    row = _row_of(tx, held)
    _set(tx, held, attempt=versions.c.attempt + 1)
    changed = change_state(tx, row.job_id, row.number, JobState(row.state))
    return _claim(tx, changed.job, held.token, changed.version, held.lease_s)


def heartbeat(tx: Transaction, held: Claim) -> HeartbeatReply:
    """Renew the lease; the reply tells whether the work has to stop."""
    row = _row_of(tx, held)
    tx.connection.execute(_BEAT, {"of_job": row.job_id, "of_version": row.number})
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
    event_log.append(tx, row.job_id, row.number, JobState(row.state), results.events)
    if results.done:
        end(tx, held, JobState.DONE, error=None, held_s=held_s)
    return written


def append_events(tx: Transaction, held: Claim, drafts: Sequence[EventDraft], waits: WaitState | None) -> None:
    """Append events in order, and save ``waits`` unless it is None."""
    row = _row_of(tx, held)
    if waits is not None:
        _set(tx, held, **_wait_columns(waits))
    event_log.append(tx, row.job_id, row.number, JobState(row.state), drafts)


def end(tx: Transaction, held: Claim, state: JobState, *, error: Json | None, held_s: float | None) -> JobState:
    """End the version and the claim; returns the final state, which is CANCELLED for DONE if a cancel came first.

    ``held_s`` is how long the claim was held by a clock that does not jump: the duration of the work, for estimates.
    """
    row = _row_of(tx, held)
    if state is JobState.DONE and row.state == JobState.CANCELLING:
        state = JobState.CANCELLED
    if state is JobState.DONE and row.attempt == 1:
        _set(tx, held, work_s=held_s)
    is_new_cancel = state is JobState.CANCELLED and row.state == JobState.RUNNING
    states = (JobState.CANCELLING, state) if is_new_cancel else (state,)
    change_state(tx, row.job_id, row.number, *states, error=error)
    return state


def release(tx: Transaction, held: Claim) -> None:
    """Queue the version again for another worker; a version that is being cancelled ends as CANCELLED."""
    row = _row_of(tx, held)
    if row.state == JobState.CANCELLING:
        change_state(tx, row.job_id, row.number, JobState.CANCELLED)
        return
    turns.give_back(tx, row)
    change_state(tx, row.job_id, row.number, JobState.QUEUED)


def _claim(tx: Transaction, job_row: Row[Any], token: str, claimed: Row[Any], lease_s: float) -> Claim:
    """A claim from the rows of its job and version."""
    others = [row for row in read_version_rows(tx.connection, claimed.job_id) if row.number != claimed.number]
    job = to_job(tx.connection, job_row, [*others, claimed], tx.now_us, with_estimates=False)
    version = next(version for version in job.versions if version.number == claimed.number)
    return Claim(job=job, version=version, token=token, attempt=version.attempt, lease_s=lease_s)


def _row_of(tx: Transaction, held: Claim) -> Row[Any]:
    """The version's row. Raises ClaimLost where the claim is no longer valid."""
    of_claim = {"of_job": held.version.job_id, "of_version": held.version.number, "token": held.token}
    row = tx.connection.execute(_HELD, of_claim).one_or_none()
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
