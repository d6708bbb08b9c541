"""Deliveries of events to webhooks: created from the feed, claimed for an attempt, ended.

A row of ``meta``, ``webhooks:OWNER``, is the feed position up to which the owner's events have become deliveries. It is written
with them. Where the events have no webhook it may lag behind: a delivery is unique by webhook, job and sequence number, so events
that are looked at again become none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, text, update

from servicekit.clock import from_micros
from servicekit.ids import new_delivery_id
from servicekit.journal import event_log
from servicekit.journal.database import Transaction
from servicekit.journal.schema import events, jobs, meta, webhook_deliveries, webhooks
from servicekit.journal.states import (
    ENDED,
    EventKind,
    JobState,
    OwningService,
    WebhookDeliveryState,
    WebhookEventKind,
    WebhookProblem,
)
from servicekit.journal.webhook_rows import (
    AttemptResult,
    DueWebhook,
    NewWebhook,
    WebhookAttempt,
    WebhookDelivery,
)

MAX_WAITING_OF_WEBHOOK = 1_000
MAX_WAITING_OF_TENANT = 10_000
"""Deliveries that wait; a further one fails with TOO_MANY_WAITING."""
LONGEST_WAIT_US = 2 * 3600 * 1_000_000
"""Longer than any pause between attempts. A delivery that would wait longer is due: the clock was set back."""
# Each of these holds for the deliveries that wait, and is the condition of an index that serves one kind of query.
_COUNTED = text("state = 'WAITING'")
_SCHEDULED = webhook_deliveries.c.next_attempt_us.is_not(None)
_UNENDED = webhook_deliveries.c.end_us.is_(None)
_FACTS = (
    events.c.position,
    events.c.job_id,
    events.c.sequence,
    events.c.tenant,
    events.c.owner,
    events.c.version,
    events.c.kind,
    events.c.state,
)


class _Due(NamedTuple):
    """An event that a webhook is notified of."""

    webhook_id: str
    event: Any  # a row with the columns of `_FACTS`
    kind: WebhookEventKind


class FeedPart(NamedTuple):
    """Events of a part of the feed that have webhooks, and the position at which the part ends."""

    due: Sequence[_Due]
    end: int
    more: bool


def kind_of(kind: str, state: str) -> WebhookEventKind | None:
    """What an event is for webhooks; None for one that they are not notified of."""
    if kind == EventKind.BOUNCE_READY:
        return WebhookEventKind.BOUNCE_READY
    ended = kind == EventKind.STATE and JobState(state) in ENDED
    return WebhookEventKind.VERSION_ENDED if ended else None


def start_position(connection: Connection, owner: OwningService) -> int:
    """Where to go on in the feed: after what was recorded; before the first webhook; or at its end."""
    recorded = _recorded(connection, owner)
    if recorded is not None:
        return recorded
    first = connection.execute(select(func.min(webhooks.c.start_position))).scalar_one()
    return event_log.head(connection) if first is None else int(first)


def read_part(connection: Connection, owner: OwningService, after: int, limit: int) -> FeedPart:
    """The next ``limit`` events of an owner's jobs after a position, those that have webhooks."""
    asked = select(*_FACTS).where(events.c.owner == owner, events.c.position > after)
    rows = connection.execute(asked.order_by(events.c.position).limit(limit)).all()
    more = len(rows) == limit
    end = rows[-1].position if more else max(event_log.head(connection), after)
    found = [(row, kind) for row in rows if (kind := kind_of(row.kind, row.state)) is not None]
    if not found:
        return FeedPart((), end, more)
    tenants = sorted({row.tenant for row, _ in found})
    job_ids = sorted({row.job_id for row, _ in found})
    of_jobs = or_(webhooks.c.job_id.is_(None), webhooks.c.job_id.in_(job_ids))
    wanted = select(webhooks).where(webhooks.c.tenant.in_(tenants), of_jobs, webhooks.c.disable_us.is_(None))
    hooks = connection.execute(wanted).all()
    if not hooks:
        return FeedPart((), end, more)
    there = jobs.c.job_id.in_(job_ids), jobs.c.deleting.is_(False)
    existing = set(connection.execute(select(jobs.c.job_id).where(*there)).scalars())
    due = [
        _Due(hook.webhook_id, row, kind)
        for row, kind in found
        for hook in hooks
        if row.job_id in existing
        and (hook.tenant, hook.job_id or row.job_id) == (row.tenant, row.job_id)
        and row.position > hook.start_position
        and kind in json.loads(hook.kinds)
    ]
    return FeedPart(due, end, more)


def enqueue(tx: Transaction, owner: OwningService, after: int, limit: int) -> None:
    """Make deliveries of the events of :func:`read_part`, and record its end."""
    part = read_part(tx.connection, owner, after, limit)
    _insert(tx, owner, part.due)
    record_position(tx, owner, part.end)


def enqueue_past(tx: Transaction, new: NewWebhook) -> None:
    """Make deliveries of what has happened to the job of a new webhook."""
    asked = select(*_FACTS).where(events.c.job_id == new.job_id).order_by(events.c.sequence)
    rows = tx.connection.execute(asked.where(events.c.kind.in_([EventKind.STATE, EventKind.BOUNCE_READY]))).all()
    kinds = [(row, kind_of(row.kind, row.state)) for row in rows]
    due = [_Due(new.webhook_id, row, kind) for row, kind in kinds if kind is not None and kind in new.kinds]
    for owner in OwningService:
        _insert(tx, owner, [one for one in due if one.event.owner == owner])


def record_position(tx: Transaction, owner: OwningService, position: int) -> None:
    """The owner's events up to ``position`` have become deliveries. An earlier position than the recorded one changes nothing."""
    recorded = _recorded(tx.connection, owner)
    if recorded is None:
        tx.connection.execute(insert(meta).values(name=_name(owner), value=str(position)))
    elif position > recorded:
        tx.connection.execute(update(meta).where(meta.c.name == _name(owner)).values(value=str(position)))


def due_webhooks(connection: Connection, owner: OwningService, now_us: int) -> list[DueWebhook]:
    """The webhooks with deliveries that are due."""
    columns = webhook_deliveries.c
    facts = (columns.webhook_id, func.min(columns.tenant), func.count(), func.min(columns.next_attempt_us))
    asked = select(*facts).where(_SCHEDULED, columns.owner == owner, _is_due(now_us)).group_by(columns.webhook_id)
    return [DueWebhook(*row) for row in connection.execute(asked)]


def claim(
    tx: Transaction, owner: OwningService, wanted: Mapping[str, int], *, lease_s: float, max_attempts: int
) -> list[WebhookAttempt]:
    """Claim attempts of due deliveries: of each webhook id, at most so many. Nobody else attempts them for ``lease_s``.

    A delivery whose last attempt was interrupted by the end of a process, and that has none left, ends instead.
    """
    claimed: list[WebhookAttempt] = []
    for webhook_id, number in wanted.items():
        of_webhook = (_SCHEDULED, webhook_deliveries.c.owner == owner, webhook_deliveries.c.webhook_id == webhook_id)
        ids = select(webhook_deliveries.c.delivery_id).where(*of_webhook, _is_due(tx.now_us))
        for delivery_id in (
            tx.connection.execute(ids.order_by(webhook_deliveries.c.next_attempt_us).limit(number)).scalars().all()
        ):
            attempt = _claim_one(tx, delivery_id, lease_s=lease_s, max_attempts=max_attempts)
            if attempt is not None:
                claimed.append(attempt)
    return claimed


def _claim_one(tx: Transaction, delivery_id: str, *, lease_s: float, max_attempts: int) -> WebhookAttempt | None:
    of_id = webhook_deliveries.c.delivery_id == delivery_id
    lease_end_us = tx.now_us + round(lease_s * 1e6)
    started = {"attempts": webhook_deliveries.c.attempts + 1, "next_attempt_us": lease_end_us}
    left = webhook_deliveries.c.attempts - webhook_deliveries.c.earlier_attempts < max_attempts
    changed = update(webhook_deliveries).where(of_id, left).values(started).returning(webhook_deliveries)
    row = tx.connection.execute(changed).one_or_none()
    if row is None:
        _end(tx, of_id, WebhookDeliveryState.FAILED, problem=WebhookProblem.INTERRUPTED)
        return None
    hook = tx.connection.execute(select(webhooks).where(webhooks.c.webhook_id == row.webhook_id)).one()
    of_event = (events.c.job_id == row.job_id, events.c.sequence == row.sequence)
    event = tx.connection.execute(select(events).where(*of_event)).one()
    return WebhookAttempt(
        delivery_id=delivery_id,
        webhook_id=row.webhook_id,
        tenant=row.tenant,
        url=hook.url,
        secret=hook.secret,
        kind=WebhookEventKind(row.kind),
        number=row.attempts,
        series_number=row.attempts - row.earlier_attempts,
        create_time=from_micros(row.create_us),
        event=event_log.to_event(event),
    )


def record(tx: Transaction, attempt: WebhookAttempt, result: AttemptResult) -> bool:
    """Record the result of an attempt; False where the delivery is gone or another attempt was started meanwhile."""
    of_attempt = and_(
        webhook_deliveries.c.delivery_id == attempt.delivery_id,
        webhook_deliveries.c.attempts == attempt.number,
        _UNENDED,
    )
    if result.problem is None:
        return _end(tx, of_attempt, WebhookDeliveryState.DELIVERED, status_code=result.status_code) == 1
    if result.problem is WebhookProblem.GONE:
        of_webhook = webhooks.c.webhook_id == attempt.webhook_id
        tx.connection.execute(update(webhooks).where(of_webhook).values(disable_us=tx.now_us))
        ended = _end(
            tx, of_attempt, WebhookDeliveryState.FAILED, problem=result.problem, status_code=result.status_code
        )
        others = and_(webhook_deliveries.c.webhook_id == attempt.webhook_id, _UNENDED)
        _end(tx, others, WebhookDeliveryState.FAILED, problem=result.problem)
        return ended == 1
    outcome = {"problem": result.problem, "status_code": result.status_code}
    retried = and_(of_attempt, webhook_deliveries.c.earlier_attempts == attempt.number)
    if tx.connection.execute(update(webhook_deliveries).where(retried).values(outcome)).rowcount == 1:
        return True  # a caller asked for a retry during the attempt: it stays due, even if this was the last one
    if result.retry_after_s is None:
        failed = WebhookDeliveryState.FAILED
        return _end(tx, of_attempt, failed, problem=result.problem, status_code=result.status_code) == 1
    values = {**outcome, "next_attempt_us": tx.now_us + round(result.retry_after_s * 1e6)}
    return tx.connection.execute(update(webhook_deliveries).where(of_attempt).values(values)).rowcount == 1


def prune(tx: Transaction, owner: OwningService, before_us: int, limit: int) -> int:
    """Remove at most ``limit`` deliveries that ended before a time; returns how many."""
    old = (webhook_deliveries.c.owner == owner, webhook_deliveries.c.end_us < before_us)
    ids = select(webhook_deliveries.c.delivery_id).where(webhook_deliveries.c.end_us.is_not(None), *old).limit(limit)
    return tx.connection.execute(delete(webhook_deliveries).where(webhook_deliveries.c.delivery_id.in_(ids))).rowcount


def has_old(connection: Connection, owner: OwningService, before_us: int) -> bool:
    """Whether a delivery ended before a time."""
    old = (webhook_deliveries.c.owner == owner, webhook_deliveries.c.end_us < before_us)
    asked = select(webhook_deliveries.c.delivery_id).where(webhook_deliveries.c.end_us.is_not(None), *old)
    return connection.execute(asked.limit(1)).first() is not None


def oldest_waiting_us(connection: Connection, owner: OwningService) -> int | None:
    """When the oldest delivery that waits was created; None where none waits."""
    oldest = select(func.min(webhook_deliveries.c.create_us)).where(_SCHEDULED, webhook_deliveries.c.owner == owner)
    found: int | None = connection.execute(oldest).scalar_one()
    return found


def to_delivery(row: Row[Any]) -> WebhookDelivery:
    """A delivery from a row of ``webhook_deliveries``."""
    return WebhookDelivery(
        delivery_id=row.delivery_id,
        webhook_id=row.webhook_id,
        kind=WebhookEventKind(row.kind),
        job_id=row.job_id,
        version=row.version,
        sequence=row.sequence,
        state=WebhookDeliveryState(row.state),
        attempts=row.attempts,
        status_code=row.status_code,
        problem=WebhookProblem(row.problem) if row.problem else None,
        create_time=from_micros(row.create_us),
        next_attempt_time=None if row.next_attempt_us is None else from_micros(row.next_attempt_us),
        end_time=None if row.end_us is None else from_micros(row.end_us),
    )


def _insert(tx: Transaction, owner: OwningService, due: Sequence[_Due]) -> None:
    """Make deliveries, but for those that exist. Where too many wait already, they fail at once."""
    if not due:
        return
    keys = (webhook_deliveries.c.webhook_id, webhook_deliveries.c.job_id, webhook_deliveries.c.sequence)
    of_jobs = webhook_deliveries.c.job_id.in_(sorted({one.event.job_id for one in due}))
    existing = {tuple(row) for row in tx.connection.execute(select(*keys).where(of_jobs))}
    new = [one for one in due if (one.webhook_id, one.event.job_id, one.event.sequence) not in existing]
    of_webhook, of_tenant = _waiting(tx, {one.event.tenant for one in new})
    for now_us, (webhook_id, event, kind) in enumerate(new, start=tx.now_us):  # in the order of the events
        has_room = of_webhook[webhook_id] < MAX_WAITING_OF_WEBHOOK and of_tenant[event.tenant] < MAX_WAITING_OF_TENANT
        state = {"state": WebhookDeliveryState.WAITING, "next_attempt_us": now_us}
        if not has_room:
            state = {
                "state": WebhookDeliveryState.FAILED,
                "problem": WebhookProblem.TOO_MANY_WAITING,
                "end_us": now_us,
            }
        values = {
            "delivery_id": new_delivery_id(from_micros(now_us)),
            "webhook_id": webhook_id,
            "tenant": event.tenant,
            "owner": owner,
            "job_id": event.job_id,
            "sequence": event.sequence,
            "version": event.version,
            "kind": kind,
            "attempts": 0,
            "earlier_attempts": 0,
            "create_us": now_us,
            **state,
        }
        tx.connection.execute(insert(webhook_deliveries).values(values))
        of_webhook[webhook_id] += has_room
        of_tenant[event.tenant] += has_room


def _waiting(tx: Transaction, tenants: set[str]) -> tuple[Counter[str], Counter[str]]:
    """How many deliveries wait: of each webhook of these tenants, and of each tenant."""
    columns = webhook_deliveries.c
    asked = select(columns.tenant, columns.webhook_id, func.count()).where(
        _COUNTED, columns.tenant.in_(sorted(tenants))
    )
    of_webhook, of_tenant = Counter[str](), Counter[str]()
    for tenant, webhook_id, count in tx.connection.execute(asked.group_by(columns.tenant, columns.webhook_id)):
        of_webhook[webhook_id] += count
        of_tenant[tenant] += count
    return of_webhook, of_tenant


def _is_due(now_us: int) -> Any:  # noqa: ANN401  a condition
    next_us = webhook_deliveries.c.next_attempt_us
    return or_(next_us <= now_us, next_us > now_us + LONGEST_WAIT_US)


def _end(
    tx: Transaction,
    which: Any,  # noqa: ANN401  a condition
    state: WebhookDeliveryState,
    *,
    problem: WebhookProblem | None = None,
    status_code: int | None = None,
) -> int:
    values = {
        "state": state,
        "problem": problem,
        "status_code": status_code,
        "next_attempt_us": None,
        "end_us": tx.now_us,
    }
    return tx.connection.execute(update(webhook_deliveries).where(which).values(values)).rowcount


def _name(owner: OwningService) -> str:
    return f"webhooks:{owner}"


def _recorded(connection: Connection, owner: OwningService) -> int | None:
    found = connection.execute(select(meta.c.value).where(meta.c.name == _name(owner))).scalar_one_or_none()
    return None if found is None else int(found)
