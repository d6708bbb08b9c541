"""Webhooks of tenants: registered, listed, removed. What their events become is in `servicekit.journal.webhook_deliveries`."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, literal, select, tuple_, update

from servicekit.clock import from_micros
from servicekit.errors import AlreadyExists, FailedPrecondition, NotFound, ResourceExhausted
from servicekit.ids import is_delivery_id, is_webhook_id
from servicekit.journal import event_log, webhook_deliveries
from servicekit.journal.database import Transaction
from servicekit.journal.reading import job_not_found, read_job_row
from servicekit.journal.schema import webhook_deliveries as deliveries
from servicekit.journal.schema import webhooks
from servicekit.journal.states import WebhookDeliveryState, WebhookEventKind
from servicekit.journal.tokens import Sealer
from servicekit.journal.webhook_rows import (
    NewWebhook,
    RegisteredWebhook,
    Webhook,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookLimits,
    WebhookPage,
)


def create(tx: Transaction, new: NewWebhook, limits: WebhookLimits) -> RegisteredWebhook:
    """Register a webhook. One for a job gets deliveries of what has happened to it.

    Raises AlreadyExists REQUEST_ID_REUSED, NotFound JOB_NOT_FOUND and ResourceExhausted TENANT_LIMIT.
    """
    if new.request_id and (existing := _find_existing(tx.connection, new)) is not None:
        return existing
    if new.job_id and read_job_row(tx.connection, new.tenant, new.job_id).deleting:
        raise job_not_found(new.job_id)
    same = webhooks.c.job_id == new.job_id if new.job_id else webhooks.c.job_id.is_(None)
    counted = select(func.count()).select_from(webhooks).where(webhooks.c.tenant == new.tenant, same)
    used = tx.connection.execute(counted).scalar_one()
    allowed = limits.per_job if new.job_id else limits.per_tenant
    if used >= allowed:
        raise _limit_reached("webhooks_per_job" if new.job_id else "webhooks", allowed)
    values = {
        "webhook_id": new.webhook_id,
        "tenant": new.tenant,
        "job_id": new.job_id or None,
        "url": new.url,
        "kinds": json.dumps(sorted(new.kinds)),
        "secret": new.secret,
        "start_position": event_log.head(tx.connection),
        "create_us": tx.now_us,
        "request_id": new.request_id or None,
    }
    tx.connection.execute(insert(webhooks).values(values))
    if new.job_id:
        webhook_deliveries.enqueue_past(tx, new)
    return RegisteredWebhook(to_webhook(_row(tx.connection, new.tenant, new.webhook_id)), new.secret)


def page(connection: Connection, sealer: Sealer, tenant: str, *, size: int, token: str) -> WebhookPage:
    """A page of a tenant's webhooks, newest first. Raises InvalidToken."""
    key = tuple_(webhooks.c.create_us, webhooks.c.webhook_id)
    asked = select(webhooks).where(webhooks.c.tenant == tenant)
    bound = ("webhooks", tenant)
    if token:
        create_us, webhook_id = sealer.open(token, *bound)
        asked = asked.where(key < tuple_(literal(create_us), literal(webhook_id)))
    in_order = asked.order_by(webhooks.c.create_us.desc(), webhooks.c.webhook_id.desc()).limit(size + 1)
    rows = connection.execute(in_order).all()
    last = rows[size - 1] if len(rows) > size else None
    next_token = "" if last is None else sealer.seal([last.create_us, last.webhook_id], *bound)
    return WebhookPage(tuple(map(to_webhook, rows[:size])), next_token)


def remove(tx: Transaction, tenant: str, webhook_id: str) -> None:
    """Remove a webhook with its deliveries. Raises NotFound."""
    if not is_webhook_id(webhook_id):  # PostgreSQL refuses some texts, such as those with a NUL
        raise _not_found(webhook_id)
    of_id = (webhooks.c.webhook_id == webhook_id, webhooks.c.tenant == tenant)
    if tx.connection.execute(delete(webhooks).where(*of_id)).rowcount == 0:
        raise _not_found(webhook_id)


def delivery_page(
    connection: Connection, sealer: Sealer, tenant: str, webhook_id: str, *, size: int, token: str
) -> WebhookDeliveryPage:
    """A page of a webhook's deliveries, newest first. Raises NotFound, InvalidToken."""
    _row(connection, tenant, webhook_id)
    key = tuple_(deliveries.c.create_us, deliveries.c.delivery_id)
    asked = select(deliveries).where(deliveries.c.webhook_id == webhook_id)
    bound = ("webhook deliveries", tenant, webhook_id)
    if token:
        create_us, delivery_id = sealer.open(token, *bound)
        asked = asked.where(key < tuple_(literal(create_us), literal(delivery_id)))
    in_order = asked.order_by(deliveries.c.create_us.desc(), deliveries.c.delivery_id.desc()).limit(size + 1)
    rows = connection.execute(in_order).all()
    last = rows[size - 1] if len(rows) > size else None
    next_token = "" if last is None else sealer.seal([last.create_us, last.delivery_id], *bound)
    return WebhookDeliveryPage(tuple(map(webhook_deliveries.to_delivery, rows[:size])), next_token)


def retry_delivery(tx: Transaction, tenant: str, delivery_id: str) -> WebhookDelivery:
    """Make a delivery due now, with as many attempts as a new one. Raises NotFound, FailedPrecondition WEBHOOK_DISABLED."""
    if not is_delivery_id(delivery_id):
        raise _delivery_not_found(delivery_id)
    of_id = (deliveries.c.delivery_id == delivery_id, deliveries.c.tenant == tenant)
    of_webhook = select(webhooks.c.webhook_id, webhooks.c.disable_us).join(
        deliveries, deliveries.c.webhook_id == webhooks.c.webhook_id
    )
    webhook = tx.connection.execute(of_webhook.where(*of_id)).one_or_none()
    if webhook is None:
        raise _delivery_not_found(delivery_id)
    if webhook.disable_us is not None:
        raise FailedPrecondition(
            f"webhook {webhook.webhook_id} is disabled, because its receiver answered 410 Gone; register a new one",
            reason="WEBHOOK_DISABLED",
            metadata={"webhook_id": webhook.webhook_id},
        )
    values = {
        "state": WebhookDeliveryState.WAITING,
        "earlier_attempts": deliveries.c.attempts,
        "next_attempt_us": tx.now_us,
        "end_us": None,
    }
    changed = update(deliveries).where(*of_id).values(values).returning(deliveries)
    return webhook_deliveries.to_delivery(tx.connection.execute(changed).one())


def to_webhook(row: Row[Any]) -> Webhook:
    """A webhook from a row of ``webhooks``."""
    return Webhook(
        webhook_id=row.webhook_id,
        job_id=row.job_id or "",
        url=row.url,
        kinds=frozenset(map(WebhookEventKind, json.loads(row.kinds))),
        create_time=from_micros(row.create_us),
        disable_time=None if row.disable_us is None else from_micros(row.disable_us),
    )


def _find_existing(connection: Connection, new: NewWebhook) -> RegisteredWebhook | None:
    """What an earlier call with the same request id registered. Raises AlreadyExists."""
    of_request = (webhooks.c.tenant == new.tenant, webhooks.c.request_id == new.request_id)
    row = connection.execute(select(webhooks).where(*of_request)).one_or_none()
    if row is None:
        return None
    found = to_webhook(row)
    if (found.url, found.job_id, found.kinds) != (new.url, new.job_id, new.kinds):
        raise AlreadyExists(
            f"request id {new.request_id!r} was used for other content, by webhook {found.webhook_id}; use a new id for a new "
            "request",
            reason="REQUEST_ID_REUSED",
            metadata={"request_id": new.request_id, "webhook_id": found.webhook_id},
        )
    return RegisteredWebhook(found, row.secret)


def _row(connection: Connection, tenant: str, webhook_id: str) -> Row[Any]:
    if not is_webhook_id(webhook_id):
        raise _not_found(webhook_id)
    of_id = (webhooks.c.webhook_id == webhook_id, webhooks.c.tenant == tenant)
    row = connection.execute(select(webhooks).where(*of_id)).one_or_none()
    if row is None:
        raise _not_found(webhook_id)
    return row


def _not_found(webhook_id: str) -> NotFound:
    shown = webhook_id[:80]
    return NotFound(
        f"no webhook {shown!r}: it was removed, belongs to another tenant or never existed; ListWebhooks lists those there are",
        reason="WEBHOOK_NOT_FOUND",
        metadata={"webhook_id": shown},
    )


def _delivery_not_found(delivery_id: str) -> NotFound:
    shown = delivery_id[:80]
    return NotFound(
        f"no delivery {shown!r}: it was removed, belongs to another tenant or never existed; ListWebhookDeliveries lists those "
        "of a webhook",
        reason="WEBHOOK_DELIVERY_NOT_FOUND",
        metadata={"delivery_id": shown},
    )


def _limit_reached(limit: str, allowed: int) -> ResourceExhausted:
    return ResourceExhausted(
        f"at most {allowed} webhooks can be registered for {'one job' if limit == 'webhooks_per_job' else 'all jobs of a tenant'}; "
        "remove one, then register this one",
        reason="TENANT_LIMIT",
        metadata={"limit": limit, "allowed": str(allowed), "used": str(allowed)},
    )
