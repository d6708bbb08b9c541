"""Changes of a version's state, each with its event, and the ends that need no worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, and_, select, update

from servicekit.clock import from_micros
from servicekit.errors import Expired, FailedPrecondition, ServiceError
from servicekit.journal import event_log
from servicekit.journal.database import Transaction
from servicekit.journal.rows import EventDraft, Json
from servicekit.journal.schema import events, versions
from servicekit.journal.states import CLAIMED, EventKind, JobState, Owner
from servicekit.rpc.status import status_json, to_status

MAX_CRASHES = 3

IsDead = Callable[[str], bool]


def change_state(tx: Transaction, job_id: str, number: int, state: JobState, *, error: Json | None = None) -> None:
    """Set a version's state and append the event that says so; an end lets go of the claim and stamps the time."""
    values: dict[str, Any] = {"state": state}
    if state not in CLAIMED:
        values |= {"claim_token": None, "worker": None, "lease_until_us": None}
    if state.ended:
        values |= {"end_us": tx.now_us, "error": None if error is None else json.dumps(error)}
    attempt = tx.connection.execute(
        update(versions)
        .where(versions.c.job_id == job_id, versions.c.number == number)
        .values(values)
        .returning(versions.c.attempt)
    ).scalar_one()
    draft = EventDraft(kind=EventKind.STATE, attempt=attempt, error=error)
    event_log.append(tx, job_id, number, state, draft)


def expired_error(expire_us: int) -> Expired:
    """The error of a version whose brief's expiry passed."""
    moment = from_micros(expire_us).isoformat().replace("+00:00", "Z")
    return Expired(f"the brief's expiry {moment} passed before it was done", metadata={"expire_time": moment})


def settle(tx: Transaction, owner: Owner, is_dead: IsDead) -> None:
    """End what needs no worker: expired ones that wait, and abandoned ones that were cancelled, expired or crash too often."""
    waiting = and_(versions.c.state == JobState.QUEUED, versions.c.expire_us <= tx.now_us)
    for row in tx.connection.execute(select(versions).where(versions.c.owner == owner, waiting)).all():
        _fail(tx, row, expired_error(row.expire_us))
    for row in given_up(tx.connection, owner, is_dead, tx.now_us):
        if row.state == JobState.CANCELLING:
            change_state(tx, row.job_id, row.number, JobState.CANCELLED)
        elif _is_expired(row, tx.now_us):
            _fail(tx, row, expired_error(row.expire_us))
        else:
            _fail(tx, row, _crashed_too_often(row))


def given_up(connection: Connection, owner: Owner, is_dead: IsDead, now_us: int) -> list[Row[Any]]:
    """The abandoned versions that no worker will take up again: cancelled, expired, or crashed too often."""
    return [
        row
        for row in abandoned(connection, owner, is_dead, now_us)
        if row.state == JobState.CANCELLING or _is_expired(row, now_us) or row.crashes + 1 >= MAX_CRASHES
    ]


def _is_expired(row: Row[Any], now_us: int) -> bool:
    return row.expire_us is not None and row.expire_us <= now_us


def abandoned(connection: Connection, owner: Owner, is_dead: IsDead, now_us: int) -> list[Row[Any]]:
    """Claimed versions whose worker is dead or has not been heard of for its lease, the longest waiting first."""
    claimed = and_(versions.c.owner == owner, versions.c.state.in_(sorted(CLAIMED)))
    rows = connection.execute(select(versions).where(claimed).order_by(versions.c.queued_us)).all()
    dead = {worker for worker in {row.worker for row in rows} if worker is None or is_dead(worker)}
    return [row for row in rows if row.worker in dead or row.lease_until_us is None or row.lease_until_us < now_us]


def is_unsettled(connection: Connection, owner: Owner, is_dead: IsDead, now_us: int) -> bool:
    """True where :func:`settle` or a claim would find something that a worker left behind, or an expired one that waits."""
    due = and_(versions.c.state == JobState.QUEUED, versions.c.expire_us <= now_us)
    if connection.execute(select(versions.c.job_id).where(versions.c.owner == owner, due).limit(1)).first():
        return True
    return bool(abandoned(connection, owner, is_dead, now_us))


def _fail(tx: Transaction, row: Row[Any], error: ServiceError) -> None:
    status = status_json(to_status(error, stage=_last_stage(tx, row)))
    change_state(tx, row.job_id, row.number, JobState.FAILED, error=status)


def _last_stage(tx: Transaction, row: Row[Any]) -> str | None:
    """The stage that the version's newest event of progress names."""
    position = max(row.render_position or 0, row.stems_position or 0)
    return tx.connection.execute(select(events.c.stage).where(events.c.position == position)).scalar_one_or_none()


def _crashed_too_often(row: Row[Any]) -> FailedPrecondition:
    crashes = row.crashes + 1
    return FailedPrecondition(
        f"the service died {crashes} times while it worked on this version; its log has the last stage under the job id",
        reason="TOO_MANY_ATTEMPTS",
        metadata={"attempts": str(crashes)},
    )
