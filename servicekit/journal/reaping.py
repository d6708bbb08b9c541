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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from servicekit.clock import from_micros
from servicekit.errors import Expired, FailedPrecondition, ServiceError
from servicekit.journal.database import Transaction
from servicekit.journal.event_log import change_state
from servicekit.journal.leases import Leases
from servicekit.journal.rows import OrphanedVersion
from servicekit.journal.schema import events, is_one_of, jobs, versions
from servicekit.journal.states import CLAIMED, JobState, OwningService
from servicekit.rpc.status import status_json, to_status

# Statements are built once: building one takes four times as long as sending it.
_CLAIMED = select(versions).where(versions.c.owner == bindparam("of_owner"), is_one_of(versions.c.state, CLAIMED))
_IN_QUEUE = (versions.c.owner == bindparam("of_owner"), versions.c.state == JobState.QUEUED)
_EXPIRED = select(versions).where(*_IN_QUEUE, versions.c.expire_us <= bindparam("now_us"))
_ANY_EXPIRED = select(versions.c.job_id).where(*_IN_QUEUE, versions.c.expire_us <= bindparam("now_us")).limit(1)


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
    def has_live_claim(self) -> bool:
        """True where its worker, which may only be paused, could still write."""
        return self.row.claim_token is not None

    @property
    def crashes(self) -> int:
        """How many crashes it has caused."""
        return int(self.row.crashes) + self.counts


def reap(tx: Transaction, owner: OwningService, crash_policy: CrashPolicy) -> None:
    """End expired versions in the queue and all orphaned versions."""
    for row in tx.connection.execute(_EXPIRED, {"of_owner": owner, "now_us": tx.now_us}).all():
        _fail(tx, row, expired_error(from_micros(row.expire_us)))
    for found in revoke_claims(tx, owner, crash_policy):
        row = found.row
        if row.state == JobState.CANCELLING:
            change_state(tx, row.job_id, row.number, JobState.CANCELLED)
        elif _is_expired(row, tx.now_us):
            _fail(tx, row, expired_error(from_micros(row.expire_us)))
        else:
            _fail(tx, row, _crashed_too_often(found.crashes))


def has_reapable(connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int) -> bool:
    """True where a version is abandoned, or has expired in the queue."""
    expired = connection.execute(_ANY_EXPIRED, {"of_owner": owner, "now_us": now_us}).first()
    return expired is not None or bool(abandoned(claimed_versions(connection, owner), crash_policy.leases))


def orphans(connection: Connection, owner: OwningService, crash_policy: CrashPolicy, now_us: int) -> list[Abandoned]:
    """The abandoned versions that :func:`reap` would end."""
    return [
        found
        for found in abandoned(claimed_versions(connection, owner), crash_policy.leases)
        if found.row.state == JobState.CANCELLING
        or _is_expired(found.row, now_us)
        or found.crashes >= crash_policy.max_crashes
    ]


def to_orphaned_versions(connection: Connection, found: Sequence[Abandoned]) -> list[OrphanedVersion]:
    """The values of :func:`orphans` for callers."""
    rows = [orphan.row for orphan in found]
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


def revoke_claims(tx: Transaction, owner: OwningService, crash_policy: CrashPolicy) -> list[Abandoned]:
    """Take the claims of orphaned versions from their workers, so that none commits files that are being removed.

    Returns the orphaned versions as they are then.
    """
    found = orphans(tx.connection, owner, crash_policy, tx.now_us)
    live = [orphan for orphan in found if orphan.has_live_claim]
    for orphan in live:
        if orphan.crashed:
            record_crash(tx, owner, crash_policy.leases, orphan.row.worker)
        else:
            _revoke(tx, orphan)
    return orphans(tx.connection, owner, crash_policy, tx.now_us) if live else found


def record_crash(tx: Transaction, owner: OwningService, leases: Leases, worker: str) -> None:
    """Count the crash of a worker, and take all abandoned claims from it. Nothing where that was done."""
    for found in abandoned(claimed_versions(tx.connection, owner), leases):
        if found.crashed and found.row.worker == worker:
            lost = {"lost_token": found.row.claim_token} if found.counts else {}
            _revoke(tx, found, crashes=found.crashes, suspect=found.suspect, **lost)


def _revoke(tx: Transaction, found: Abandoned, **values: Any) -> None:  # noqa: ANN401  column values
    of_row = (versions.c.job_id == found.row.job_id, versions.c.number == found.row.number)
    tx.connection.execute(update(versions).where(*of_row).values(claim_token=None, worker=None, **values))


def claimed_versions(connection: Connection, owner: OwningService) -> list[Row[Any]]:
    """All claimed versions, the longest queued first."""
    found = connection.execute(_CLAIMED, {"of_owner": owner})
    return sorted(found, key=lambda row: (row.queued_us, row.job_id, row.number))


def abandoned(rows: Sequence[Row[Any]], leases: Leases) -> list[Abandoned]:
    """Those of the claimed versions whose claim is abandoned, in the same order."""
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
