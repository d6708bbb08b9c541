"""Ends the versions that no worker will end: expired ones in the queue, and abandoned ones that are not retried.

`Leases` says which claims are abandoned. Most abandoned versions are claimed again; one that was cancelled, has expired or crashed
too often is orphaned and ends here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, select, update

from servicekit.clock import from_micros
from servicekit.errors import Expired, FailedPrecondition, ServiceError
from servicekit.journal.database import Transaction
from servicekit.journal.event_log import change_state
from servicekit.journal.leases import Leases, Loss
from servicekit.journal.rows import OrphanedVersion
from servicekit.journal.schema import events, jobs, versions
from servicekit.journal.states import CLAIMED, JobState, OwningService
from servicekit.rpc.status import status_json, to_status


@dataclass(frozen=True)
class CrashPolicy:
    """Which claims are abandoned, and how many crashes of its worker end a version."""

    leases: Leases
    max_crashes: int


def reap(tx: Transaction, owner: OwningService, crash_policy: CrashPolicy) -> None:
    """End expired versions in the queue and all orphaned versions."""
    for row in tx.connection.execute(select(versions).where(*_expired_in_queue(owner, tx.now_us))).all():
        _fail(tx, row, expired_error(from_micros(row.expire_us)))
    for row in _orphans(tx.connection, owner, crash_policy, tx.now_us):
        if row.state == JobState.CANCELLING:
            change_state(tx, row.job_id, row.number, JobState.CANCELLED)
        elif _is_expired(row, tx.now_us):
            _fail(tx, row, expired_error(from_micros(row.expire_us)))
        else:
            _fail(tx, row, _crashed_too_often(row))


def has_reapable(connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int) -> bool:
    """True where a version is abandoned, or has expired in the queue."""
    expired = select(versions.c.job_id).where(*_expired_in_queue(owner, now_us)).limit(1)
    return connection.execute(expired).first() is not None or bool(abandoned(connection, owner, crash_policy.leases))


def orphaned_versions(
    connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int
) -> list[OrphanedVersion]:
    """The abandoned versions that :func:`reap` would end."""
    rows = _orphans(connection, owner, crash_policy, now_us)
    of_jobs = select(jobs.c.job_id, jobs.c.tenant).where(jobs.c.job_id.in_([row.job_id for row in rows]))
    tenants = {row.job_id: row.tenant for row in connection.execute(of_jobs)} if rows else {}
    return [
        OrphanedVersion(
            tenant=tenants[row.job_id],
            job_id=row.job_id,
            version=row.number,
            attempt=row.attempt,
            files=json.loads(row.files),
        )
        for row in rows
    ]


def has_live_claims(connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int) -> bool:
    """True where an orphaned version's worker, which may only be paused, could still write."""
    return any(row.claim_token is not None for row in _orphans(connection, owner, crash_policy, now_us))


def revoke_claims(tx: Transaction, owner: OwningService, crash_policy: CrashPolicy) -> None:
    """Take the claims of orphaned versions from their workers, so that none commits files that are being removed."""
    for row in _orphans(tx.connection, owner, crash_policy, tx.now_us):
        of_row = (versions.c.job_id == row.job_id, versions.c.number == row.number)
        tx.connection.execute(update(versions).where(*of_row).values(claim_token=None, worker=None))


def abandoned(connection: Connection, owner: OwningService, leases: Leases) -> list[tuple[Row[Any], Loss]]:
    """Claimed versions whose claim is abandoned, the longest queued first."""
    claimed = and_(versions.c.owner == owner, versions.c.state.in_(sorted(CLAIMED)))
    rows = sorted(connection.execute(select(versions).where(claimed)), key=_place)
    losses: Mapping[str, Loss] = leases.losses(rows)
    return [(row, losses[row.claim_token]) for row in rows if row.claim_token in losses]


def _place(row: Row[Any]) -> tuple[Any, ...]:
    return row.queued_us, row.job_id, row.number


def _orphans(connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int) -> list[Row[Any]]:
    return [
        row
        for row, loss in abandoned(connection, owner, crash_policy.leases)
        if row.state == JobState.CANCELLING
        or _is_expired(row, now_us)
        or (loss.is_crash and row.crashes + 1 >= crash_policy.max_crashes)
    ]


def _expired_in_queue(owner: OwningService, now_us: int) -> tuple[Any, ...]:
    return (versions.c.owner == owner, versions.c.state == JobState.QUEUED, versions.c.expire_us <= now_us)


def _is_expired(row: Row[Any], now_us: int) -> bool:
    return row.expire_us is not None and row.expire_us <= now_us


def _fail(tx: Transaction, row: Row[Any], error: ServiceError) -> None:
    status = status_json(to_status(error, stage=_last_stage(tx, row)))
    change_state(tx, row.job_id, row.number, JobState.FAILED, error=status)


def _last_stage(tx: Transaction, row: Row[Any]) -> str | None:
    """The stage of the version's newest progress event."""
    position = max(row.render_position or 0, row.stems_position or 0)
    return tx.connection.execute(select(events.c.stage).where(events.c.position == position)).scalar_one_or_none()


def expired_error(expire_time: datetime) -> Expired:
    """The error of a version that did not end before its brief's ``expire_time``."""
    moment = expire_time.isoformat().replace("+00:00", "Z")
    return Expired(f"the brief expired at {moment}, before the version was done", metadata={"expire_time": moment})


def _crashed_too_often(row: Row[Any]) -> FailedPrecondition:
    crashes = row.crashes + 1
    return FailedPrecondition(
        f"the service died {crashes} times while it worked on this version; search its log for the job id to find the last stage",
        reason="TOO_MANY_ATTEMPTS",
        metadata={"attempts": str(crashes)},
    )
