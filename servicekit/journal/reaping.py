"""Ends the versions that no worker will end: expired ones in the queue, and abandoned ones that are not retried.

`Leases` says which claims are abandoned. Most abandoned versions are claimed again; one that was cancelled, has expired or crashed
too often is orphaned and ends here.

A crash counts for the version that was being worked on when its process died, not for those that only waited. Where several were,
nobody knows which of them caused it: all become suspects, and from then on a process works on one suspect at a time, for which
the next crash counts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from servicekit.clock import from_micros
from servicekit.errors import Expired, FailedPrecondition, ServiceError
from servicekit.journal.database import Transaction
from servicekit.journal.event_log import change_state
from servicekit.journal.leases import Leases
from servicekit.journal.rows import OrphanedVersion
from servicekit.journal.schema import events, jobs, versions
from servicekit.journal.states import CLAIMED, JobState, OwningService
from servicekit.rpc.status import status_json, to_status


@dataclass(frozen=True)
class CrashPolicy:
    """Which claims are abandoned, and how many crashes of its worker end a version."""

    leases: Leases
    max_crashes: int


@dataclass(frozen=True)
class Abandoned:
    """A claimed version, a row of ``versions``, whose claim is abandoned.

    ``crashed``: its worker died or is silent, which is not recorded yet. ``suspect``: the version was being worked on then.
    ``counts``: it is known to be the one that caused it.
    """

    row: Row[Any]
    crashed: bool
    suspect: bool
    counts: bool

    @property
    def crashes(self) -> int:
        """How many crashes it has caused."""
        return int(self.row.crashes) + self.counts


def reap(tx: Transaction, owner: OwningService, crash_policy: CrashPolicy) -> None:
    """End expired versions in the queue and all orphaned versions."""
    for row in tx.connection.execute(select(versions).where(*_expired_in_queue(owner, tx.now_us))).all():
        _fail(tx, row, expired_error(from_micros(row.expire_us)))
    revoke_claims(tx, owner, crash_policy)
    for found in _orphans(tx.connection, owner, crash_policy, tx.now_us):
        row = found.row
        if row.state == JobState.CANCELLING:
            change_state(tx, row.job_id, row.number, JobState.CANCELLED)
        elif _is_expired(row, tx.now_us):
            _fail(tx, row, expired_error(from_micros(row.expire_us)))
        else:
            _fail(tx, row, _crashed_too_often(found.crashes))


def has_reapable(connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int) -> bool:
    """True where a version is abandoned, or has expired in the queue."""
    expired = select(versions.c.job_id).where(*_expired_in_queue(owner, now_us)).limit(1)
    return connection.execute(expired).first() is not None or bool(abandoned(connection, owner, crash_policy.leases))


def orphaned_versions(
    connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int
) -> list[OrphanedVersion]:
    """The abandoned versions that :func:`reap` would end."""
    rows = [found.row for found in _orphans(connection, owner, crash_policy, now_us)]
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
    return any(found.row.claim_token is not None for found in _orphans(connection, owner, crash_policy, now_us))


def revoke_claims(tx: Transaction, owner: OwningService, crash_policy: CrashPolicy) -> None:
    """Take the claims of orphaned versions from their workers, so that none commits files that are being removed."""
    for found in _orphans(tx.connection, owner, crash_policy, tx.now_us):
        if found.crashed:
            record_crash(tx, owner, crash_policy.leases, found.row.worker)
        elif found.row.claim_token is not None:
            _revoke(tx, found)


def record_crash(tx: Transaction, owner: OwningService, leases: Leases, worker: str) -> None:
    """Count the crash of a worker, and take all abandoned claims from it. Nothing where that was done."""
    for found in abandoned(tx.connection, owner, leases):
        if found.crashed and found.row.worker == worker:
            lost = {"lost_token": found.row.claim_token} if found.counts else {}
            _revoke(tx, found, crashes=found.crashes, suspect=found.suspect, **lost)


def _revoke(tx: Transaction, found: Abandoned, **values: Any) -> None:  # noqa: ANN401  column values
    of_row = (versions.c.job_id == found.row.job_id, versions.c.number == found.row.number)
    tx.connection.execute(update(versions).where(*of_row).values(claim_token=None, worker=None, **values))


def claimed_versions(connection: Connection, owner: OwningService) -> list[Row[Any]]:
    """All claimed versions, the longest queued first."""
    claimed = select(versions).where(versions.c.owner == owner, versions.c.state.in_(sorted(CLAIMED)))
    return sorted(connection.execute(claimed), key=lambda row: (row.queued_us, row.job_id, row.number))


def abandoned(connection: Connection, owner: OwningService, leases: Leases) -> list[Abandoned]:
    """Claimed versions whose claim is abandoned, the longest queued first."""
    rows = claimed_versions(connection, owner)
    losses = leases.losses(rows)
    lost = [row for row in rows if row.claim_token in losses]
    executing: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in lost:
        if losses[row.claim_token].is_crash and row.waiting is None:
            executing[row.worker].append(row)
    found = []
    for row in lost:
        crashed = losses[row.claim_token].is_crash
        suspect = crashed and row.waiting is None
        beside = [other for other in executing[row.worker] if other is not row] if suspect else []
        counts = suspect and (row.suspect or not beside)
        found.append(Abandoned(row, crashed, suspect or row.suspect, counts))
    return found


def _orphans(connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int) -> list[Abandoned]:
    return [
        found
        for found in abandoned(connection, owner, crash_policy.leases)
        if found.row.state == JobState.CANCELLING
        or _is_expired(found.row, now_us)
        or found.crashes >= crash_policy.max_crashes
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


def _crashed_too_often(crashes: int) -> FailedPrecondition:
    return FailedPrecondition(
        f"the service died {crashes} times while it worked on this version; search its log for the job id to find the last stage",
        reason="TOO_MANY_ATTEMPTS",
        metadata={"attempts": str(crashes)},
    )
