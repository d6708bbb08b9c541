"""What a worker does with a version: claim it, keep it alive, keep results, end it. Every write shows the claim's token."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from servicekit.errors import Cancelled
from servicekit.journal import audit_chain, event_log
from servicekit.journal.database import Transaction
from servicekit.journal.reading import read_job
from servicekit.journal.reaping import IsDead, abandoned, change_state, is_unsettled, settle
from servicekit.journal.rows import AuditDraft, AuditRow, Claim, ClaimLost, EventDraft, Json, Orders
from servicekit.journal.schema import jobs, versions
from servicekit.journal.states import CLAIMED, JobState, Owner, Stage


def claim(tx: Transaction, owner: Owner, worker: str, lease_s: float, is_dead: IsDead) -> Claim | None:
    """The next version to work on, if any: one whose worker died or went silent, else the one that waits longest."""
    settle(tx, owner, is_dead)
    left_behind = [row for row in abandoned(tx.connection, owner, is_dead, tx.now_us) if row.state == JobState.RUNNING]
    waiting = select(versions).where(versions.c.owner == owner, versions.c.state == JobState.QUEUED)
    in_order = waiting.order_by(versions.c.queued_us, versions.c.job_id, versions.c.number)
    row = left_behind[0] if left_behind else tx.connection.execute(in_order.limit(1)).first()
    if row is None:
        return None
    token = secrets.token_hex(16)
    tx.connection.execute(
        update(versions)
        .where(versions.c.job_id == row.job_id, versions.c.number == row.number)
        .values(
            attempt=versions.c.attempt + 1,
            crashes=versions.c.crashes + (1 if left_behind else 0),
            claim_token=token,
            worker=worker,
            lease_until_us=tx.now_us + round(lease_s * 1e6),
            start_us=tx.now_us,
        )
    )
    change_state(tx, row.job_id, row.number, JobState.RUNNING)
    return _claim(tx, row.job_id, row.number, token, lease_s)


def is_work_there(connection: Connection, owner: Owner, is_dead: IsDead, now_us: int) -> bool:
    """True where :func:`claim` would find or settle something; asks without becoming the writer."""
    return count_queued(connection, owner) > 0 or is_unsettled(connection, owner, is_dead, now_us)


def count_queued(connection: Connection, owner: Owner) -> int:
    """How many versions wait."""
    waiting = select(func.count()).where(versions.c.owner == owner, versions.c.state == JobState.QUEUED)
    return int(connection.execute(waiting).scalar_one())


def try_again(tx: Transaction, held: Claim) -> Claim:
    """The same claim as a new attempt, with the version as it now stands."""
    row = _held(tx, held)
    _set(tx, held, attempt=versions.c.attempt + 1)
    change_state(tx, row.job_id, row.number, JobState(row.state))
    return _claim(tx, row.job_id, row.number, held.token, held.lease_s)


def heartbeat(tx: Transaction, held: Claim) -> Orders:
    """Renew the lease and hear what to obey."""
    row = _held(tx, held)
    _set(tx, held, lease_until_us=tx.now_us + round(held.lease_s * 1e6))
    expired = row.expire_us is not None and row.expire_us <= tx.now_us
    return Orders(cancel=row.state == JobState.CANCELLING, expired=expired)


def keep(
    tx: Transaction,
    held: Claim,
    *,
    files: Json | None,
    loudness: Json | None,
    stage: Stage | None,
    timings: Sequence[Json],
    audit: AuditDraft | None,
    events: Sequence[EventDraft],
    done: bool,
) -> AuditRow | None:
    """Keep results, with the audit row and the events that tell of them, and (``done``) the version's end, all or nothing."""
    row = _held(tx, held)
    if done and row.state == JobState.CANCELLING:
        raise Cancelled("a cancel came before it was kept")
    values: dict[str, Any] = {}
    if files is not None:
        values["files"] = json.dumps({**json.loads(row.files), **files})
    if loudness is not None:
        values["loudness"] = json.dumps(loudness)
    if stage is not None:
        values["kept_stage"] = stage
    if timings:
        values["timings"] = json.dumps([*json.loads(row.timings), *timings])
    if values:
        _set(tx, held, **values)
    written = None
    if audit is not None:
        written = audit_chain.append(tx, held.job.tenant, row.job_id, row.number, audit)
    _append(tx, row, events)
    if done:
        end(tx, held, JobState.DONE, error=None)
    return written


def append(tx: Transaction, held: Claim, drafts: Sequence[EventDraft]) -> None:
    """Append events."""
    _append(tx, _held(tx, held), drafts)


def end(tx: Transaction, held: Claim, state: JobState, *, error: Json | None) -> JobState:
    """End the version and let go of the claim; gives the state, which is CANCELLED for finished work once a cancel was accepted."""
    row = _held(tx, held)
    if state is JobState.DONE and row.state == JobState.CANCELLING:
        state = JobState.CANCELLED
    if state is JobState.DONE and row.attempt == 1:
        _set(tx, held, work_s=(tx.now_us - row.start_us) / 1e6)
    if state is JobState.CANCELLED and row.state == JobState.RUNNING:
        change_state(tx, row.job_id, row.number, JobState.CANCELLING)
    change_state(tx, row.job_id, row.number, state, error=error)
    return state


def give_back(tx: Transaction, held: Claim) -> None:
    """Let another worker go on from the last kept stage; a cancelled version ends here."""
    row = _held(tx, held)
    cancelled = row.state == JobState.CANCELLING
    change_state(tx, row.job_id, row.number, JobState.CANCELLED if cancelled else JobState.QUEUED)


def _claim(tx: Transaction, job_id: str, number: int, token: str, lease_s: float) -> Claim:
    tenant = tx.connection.execute(select(jobs.c.tenant).where(jobs.c.job_id == job_id)).scalar_one()
    job = read_job(tx.connection, tenant, job_id, tx.now_us)
    version = next(version for version in job.versions if version.number == number)
    return Claim(job=job, version=version, token=token, attempt=version.attempt, lease_s=lease_s)


def _held(tx: Transaction, held: Claim) -> Row[Any]:
    """The version's row, as long as the claim holds."""
    row = tx.connection.execute(
        select(versions).where(
            versions.c.job_id == held.version.job_id,
            versions.c.number == held.version.number,
            versions.c.claim_token == held.token,
            versions.c.state.in_(sorted(CLAIMED)),
        )
    ).one_or_none()
    if row is None:
        raise ClaimLost(f"version {held.version.number} of job {held.version.job_id} is no longer this worker's")
    return row


def _set(tx: Transaction, held: Claim, **values: Any) -> None:  # noqa: ANN401  column values
    where = (versions.c.job_id == held.version.job_id, versions.c.number == held.version.number)
    tx.connection.execute(update(versions).where(*where).values(**values))


def _append(tx: Transaction, row: Row[Any], drafts: Sequence[EventDraft]) -> None:
    for draft in drafts:
        event_log.append(tx, row.job_id, row.number, JobState(row.state), draft)
