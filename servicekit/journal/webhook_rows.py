"""Arguments and results of the journal about webhooks: frozen values, with times as aware UTC datetimes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from servicekit.journal.rows import Event
from servicekit.journal.states import WebhookDeliveryState, WebhookEventKind, WebhookProblem


@dataclass(frozen=True, kw_only=True)
class NewWebhook:
    """A webhook to register. ``job_id`` "" is for all jobs of the tenant; ``secret`` signs its requests.

    A ``request_id`` that registered one before returns that one, with its own id and secret. "": there is none.
    """

    webhook_id: str
    tenant: str
    job_id: str
    url: str
    kinds: frozenset[WebhookEventKind]
    secret: str = field(repr=False)
    request_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A registered webhook. ``disable_time`` is set once its receiver is gone for good."""

    webhook_id: str
    job_id: str
    url: str
    kinds: frozenset[WebhookEventKind]
    create_time: datetime
    disable_time: datetime | None


@dataclass(frozen=True)
class RegisteredWebhook:
    """A webhook with the secret that signs its requests."""

    webhook: Webhook
    secret: str = field(repr=False)


@dataclass(frozen=True)
class WebhookPage:
    """Webhooks, newest first. ``next_token`` is empty on the last page."""

    webhooks: tuple[Webhook, ...]
    next_token: str


@dataclass(frozen=True, kw_only=True)
class WebhookLimits:
    """How many webhooks may be registered for all jobs of a tenant, and for one job."""

    per_tenant: int
    per_job: int


@dataclass(frozen=True, kw_only=True)
class WebhookDelivery:
    """One event for one webhook. ``status_code`` and ``problem`` are those of the last attempt that has ended."""

    delivery_id: str
    webhook_id: str
    kind: WebhookEventKind
    job_id: str
    version: int
    sequence: int
    state: WebhookDeliveryState
    attempts: int
    status_code: int | None
    problem: WebhookProblem | None
    create_time: datetime
    next_attempt_time: datetime | None
    end_time: datetime | None


@dataclass(frozen=True)
class WebhookDeliveryPage:
    """Deliveries of a webhook, newest first. ``next_token`` is empty on the last page."""

    deliveries: tuple[WebhookDelivery, ...]
    next_token: str


@dataclass(frozen=True)
class DueWebhook:
    """A webhook with deliveries of one owner that are due."""

    webhook_id: str
    tenant: str
    deliveries: int
    since_us: int


@dataclass(frozen=True, kw_only=True)
class WebhookAttempt:
    """A claimed attempt of a delivery. ``number`` counts from 1, ``series_number`` since the last retry that a caller asked for."""

    delivery_id: str
    webhook_id: str
    tenant: str
    url: str
    secret: str = field(repr=False)
    kind: WebhookEventKind
    number: int
    series_number: int
    create_time: datetime
    event: Event


@dataclass(frozen=True, kw_only=True)
class AttemptResult:
    """How an attempt ended: delivered without a ``problem``; else repeated after ``retry_after_s``, or never if that is None."""

    problem: WebhookProblem | None = None
    status_code: int | None = None
    retry_after_s: float | None = None
