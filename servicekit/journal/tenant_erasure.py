"""Erases all that a tenant has in the journal.

The erasure of a tenant is a row of ``meta``, ``erase:OWNER:TENANT``, from its start on: a JSON object with ``start_us``,
``end_us`` (null until it has ended) and ``counts``, of what was erased so far by kind. Each step writes its counts in its own
transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from servicekit.clock import from_micros
from servicekit.journal import audit_chain
from servicekit.journal.database import Transaction
from servicekit.journal.erasure import HAS_TEXTS, TEXTS, count_rows
from servicekit.journal.rows import Counts
from servicekit.journal.schema import (
    api_keys,
    audit_rows,
    events,
    jobs,
    measured_failures,
    meta,
    tenant_turns,
    tenant_usage,
    versions,
    webhook_deliveries,
    webhooks,
)
from servicekit.journal.states import ENDED, DataKind, OwningService

_BATCH = 200


@dataclass(frozen=True)
class JobToErase:
    """A job of a tenant that is being erased, and the numbers of its versions that have not ended."""

    job_id: str
    create_us: int
    unended: tuple[int, ...]


@dataclass(frozen=True)
class Leftovers:
    """Rows of deleted jobs: positions of events, and sequence numbers of audit rows with texts."""

    positions: tuple[int, ...]
    sequences: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TenantErasure:
    """How far the erasure of a tenant's data of one service has come. ``counts`` includes those of earlier erasures."""

    start_time: datetime
    finished: bool
    counts: Counts
    jobs_left: int


def start(tx: Transaction, tenant: str, owner: OwningService) -> None:
    """Record the erasure of a tenant, revoke its API keys and remove its webhooks.

    One that has ended starts again and goes on counting.
    """
    name = _name(owner, tenant)
    record = _read(tx.connection, name)
    if record is None or record["end_us"] is not None:
        earlier = {} if record is None else record["counts"]
        _write(tx, name, {"start_us": tx.now_us, "end_us": None, "counts": earlier})
    of_tenant = api_keys.c.tenant == tenant
    open_ones = or_(api_keys.c.revoke_us.is_(None), api_keys.c.name != "")
    revoked = {"name": "", "revoke_us": func.coalesce(api_keys.c.revoke_us, tx.now_us)}
    keys = tx.connection.execute(update(api_keys).where(of_tenant, open_ones).values(revoked)).rowcount
    of_hooks = delete(webhook_deliveries).where(webhook_deliveries.c.tenant == tenant)
    counts = {
        DataKind.API_KEYS: keys,
        DataKind.WEBHOOK_DELIVERIES: tx.connection.execute(of_hooks).rowcount,
        DataKind.WEBHOOKS: tx.connection.execute(delete(webhooks).where(webhooks.c.tenant == tenant)).rowcount,
    }
    add_counts(tx, tenant, owner, counts)


def unfinished(connection: Connection, owner: OwningService) -> list[str]:
    """The tenants whose erasure has not ended."""
    prefix = _name(owner, "")
    rows = connection.execute(select(meta).where(meta.c.name.startswith(prefix, autoescape=True))).all()
    return sorted(row.name.removeprefix(prefix) for row in rows if json.loads(row.value)["end_us"] is None)


def read(connection: Connection, tenant: str, owner: OwningService) -> TenantErasure | None:
    """The erasure of a tenant; None where there was none."""
    record = _read(connection, _name(owner, tenant))
    if record is None:
        return None
    finished = record["end_us"] is not None
    return TenantErasure(
        start_time=from_micros(record["start_us"]),
        finished=finished,
        counts={DataKind(kind): count for kind, count in record["counts"].items()},
        jobs_left=0 if finished else count_rows(connection, jobs, and_(*_to_erase(tenant, owner, record["start_us"]))),
    )


def jobs_to_erase(
    connection: Connection, tenant: str, owner: OwningService, after: JobToErase | None
) -> list[JobToErase]:
    """The next jobs of a tenant after one of them, oldest first, of those accepted before its erasure was started."""
    record = _read(connection, _name(owner, tenant))
    if record is None:
        return []
    in_order = select(jobs.c.job_id, jobs.c.create_us).order_by(jobs.c.create_us, jobs.c.job_id).limit(_BATCH)
    next_ones = in_order.where(*_to_erase(tenant, owner, record["start_us"]))
    if after is not None:
        position = tuple_(literal(after.create_us), literal(after.job_id))
        next_ones = next_ones.where(tuple_(jobs.c.create_us, jobs.c.job_id) > position)
    found = {row.job_id: JobToErase(row.job_id, row.create_us, ()) for row in connection.execute(next_ones)}
    unended = select(versions.c.job_id, versions.c.number).where(
        versions.c.job_id.in_(list(found)), versions.c.state.not_in(sorted(ENDED))
    )
    for row in connection.execute(unended.order_by(versions.c.job_id, versions.c.number)):
        job = found[row.job_id]
        found[row.job_id] = replace(job, unended=(*job.unended, row.number))
    return list(found.values())


def count_remaining(connection: Connection, tenant: str) -> Counts:
    """What an erased tenant has left, by kind; its jobs of the other service among it."""
    return {
        DataKind.JOBS: count_rows(connection, jobs, jobs.c.tenant == tenant),
        DataKind.AUDIT_ROWS: count_rows(connection, audit_rows, audit_rows.c.tenant == tenant),
        DataKind.EARLIER_AUDIT_ROWS: audit_chain.count_with_personal_bodies(connection, tenant),
    }


def _to_erase(tenant: str, owner: OwningService, start_us: int) -> tuple[Any, ...]:
    return (jobs.c.tenant == tenant, jobs.c.owner == owner, jobs.c.create_us <= start_us)


def leftovers(connection: Connection, tenant: str, owner: OwningService) -> Leftovers:
    """Some rows of jobs that are deleted."""

    def of_deleted(table: Table) -> ColumnElement[bool]:
        return and_(table.c.tenant == tenant, ~exists().where(jobs.c.job_id == table.c.job_id))

    positions = select(events.c.position).where(events.c.owner == owner, of_deleted(events))
    sequences = select(audit_rows.c.sequence).where(of_deleted(audit_rows), HAS_TEXTS)
    return Leftovers(
        tuple(connection.execute(positions.order_by(events.c.position).limit(_BATCH)).scalars()),
        tuple(connection.execute(sequences.order_by(audit_rows.c.sequence).limit(_BATCH)).scalars()),
    )


def erase_leftovers(tx: Transaction, tenant: str, owner: OwningService, found: Leftovers) -> None:
    """Remove the events, and the texts beside the audit rows."""
    of_rows = (audit_rows.c.tenant == tenant, audit_rows.c.sequence.in_(found.sequences))
    counts = {
        DataKind.AUDIT_TEXTS: tx.connection.execute(update(audit_rows).where(*of_rows).values(TEXTS)).rowcount,
        DataKind.EVENTS: tx.connection.execute(delete(events).where(events.c.position.in_(found.positions))).rowcount,
    }
    add_counts(tx, tenant, owner, counts)


def finish(tx: Transaction, tenant: str, owner: OwningService) -> None:
    """Erase measurements of deleted jobs and the tenant's use, and record the end."""
    connection = tx.connection
    deleted = ~exists().where(jobs.c.job_id == measured_failures.c.job_id)
    measured = delete(measured_failures).where(measured_failures.c.tenant == tenant, deleted)
    counts = {
        DataKind.MEASUREMENTS: connection.execute(measured).rowcount,
        DataKind.USAGE: connection.execute(delete(tenant_usage).where(tenant_usage.c.tenant == tenant)).rowcount,
    }
    connection.execute(delete(tenant_turns).where(tenant_turns.c.tenant == tenant, tenant_turns.c.owner == owner))
    add_counts(tx, tenant, owner, counts)
    record = _read(connection, _name(owner, tenant))
    _write(tx, _name(owner, tenant), {**(record or {}), "end_us": tx.now_us})


def _name(owner: OwningService, tenant: str) -> str:
    return f"erase:{owner}:{tenant}"


def add_counts(tx: Transaction, tenant: str, owner: OwningService, counts: Counts) -> None:
    """Add to the counts of a tenant's erasure."""
    name = _name(owner, tenant)
    record = _read(tx.connection, name)
    if record is None:
        return
    sums = dict(record["counts"])
    for kind, count in counts.items():
        sums[kind] = sums.get(kind, 0) + count
    _write(tx, name, {**record, "counts": sums})


def _read(connection: Connection, name: str) -> dict[str, Any] | None:
    text = connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar_one_or_none()
    return None if text is None else json.loads(text)


def _write(tx: Transaction, name: str, record: Mapping[str, Any]) -> None:
    value = json.dumps(record)
    if tx.connection.execute(update(meta).where(meta.c.name == name).values(value=value)).rowcount == 0:
        tx.connection.execute(insert(meta).values(name=name, value=value))
