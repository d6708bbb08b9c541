"""Keeps a journal small and finishes erasures: old events are removed in small batches, and erased text leaves SQLite's log.

Two rows of ``meta`` record how far this has come: ``pruned:OWNER`` is the feed position up to which events were looked at, and
``purge_pending`` exists from the erasure of a prompt until the log no longer holds it.
"""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from servicekit.journal.database import Transaction
from servicekit.journal.schema import events, jobs, meta, versions
from servicekit.journal.states import ENDED, EventKind, JobState, OwningService

_PURGE = "purge_pending"


def prune_events(tx: Transaction, owner: OwningService, before_us: int, limit: int) -> int:
    """Look at the next ``limit`` events that are older than ``before_us``; returns how many were looked at.

    Removes PROGRESS events of jobs whose versions have all ended, but for each track's newest, and DELETED events.
    """
    name = f"pruned:{owner}"
    done = _read(tx.connection, name)
    facts = select(events.c.position, events.c.job_id, events.c.kind, events.c.time_us)
    next_ones = facts.where(events.c.owner == owner, events.c.position > int(done or 0)).order_by(events.c.position)
    old = []
    for row in tx.connection.execute(next_ones.limit(limit)).all():
        if row.time_us >= before_us:
            break
        old.append(row)
    if not old:
        return 0
    of_jobs = select(versions.c.job_id, versions.c.state, versions.c.render_position, versions.c.stems_position)
    running: set[str] = set()
    newest: defaultdict[str, set[int | None]] = defaultdict(set)
    for row in tx.connection.execute(of_jobs.where(versions.c.job_id.in_({event.job_id for event in old}))):
        newest[row.job_id] |= {row.render_position, row.stems_position}
        if not JobState(row.state).ended:
            running.add(row.job_id)
    removed = [
        row.position
        for row in old
        if row.kind == EventKind.DELETED
        or (row.kind == EventKind.PROGRESS and row.job_id not in running and row.position not in newest[row.job_id])
    ]
    if removed:
        tx.connection.execute(delete(events).where(events.c.position.in_(removed)))
    _write(tx, name, str(old[-1].position))
    return len(old)


def old_jobs(connection: Connection, owner: OwningService, before_us: int, limit: int) -> list[tuple[str, str]]:
    """Tenant and id of at most ``limit`` jobs that were accepted, and whose versions have all ended, before ``before_us``."""
    recent = or_(versions.c.state.not_in(sorted(ENDED)), versions.c.end_us >= before_us)
    has_recent = select(versions.c.job_id).where(and_(versions.c.job_id == jobs.c.job_id, recent)).exists()
    old = select(jobs.c.tenant, jobs.c.job_id).where(jobs.c.owner == owner, jobs.c.create_us < before_us, ~has_recent)
    return [(row.tenant, row.job_id) for row in connection.execute(old.order_by(jobs.c.create_us).limit(limit))]


def is_purge_pending(connection: Connection) -> bool:
    """Whether the database's files may still hold an erased prompt."""
    return _read(connection, _PURGE) is not None


def set_purge_pending(tx: Transaction, *, pending: bool) -> None:
    """Record it."""
    if pending:
        _write(tx, _PURGE, "1")
    else:
        tx.connection.execute(delete(meta).where(meta.c.name == _PURGE))


def _read(connection: Connection, name: str) -> str | None:
    return connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one_or_none()


def _write(tx: Transaction, name: str, value: str) -> None:
    if tx.connection.execute(update(meta).where(meta.c.name == name).values(value=value)).rowcount == 0:
        tx.connection.execute(insert(meta).values(name=name, value=value))
