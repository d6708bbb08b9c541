"""Webhooks of the fake: registered, notified of events, and delivered on the fake's clock. Any URL may be called."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import re
import secrets
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from google.protobuf import json_format
from grpc import StatusCode

from sonichaos.jobs.v1 import job_pb2
from sonichaos.webhooks.v1 import webhooks_pb2
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake.clock import VirtualClock
from sonichaos_client.testing.fake.records import ENDED, Records, timestamp
from sonichaos_client.testing.fake.refusals import Refusal
from sonichaos_client.testing.fake.tokens import Ids

MAX_PER_JOB = 4
MAX_PER_TENANT = 20
_MAX_URL_CHARACTERS = 2048
_ALLOWED = re.compile(r"[\x21-\x7e]+")
_LIMIT_S = 5.0
_FIRST_PAUSE_S = 30.0
_LONGEST_PAUSE_S = 3600.0
_ATTEMPTS = 30
_BOUNCE_READY = webhooks_pb2.WEBHOOK_EVENT_KIND_BOUNCE_READY
_VERSION_ENDED = webhooks_pb2.WEBHOOK_EVENT_KIND_VERSION_ENDED


@dataclass(eq=False)
class Delivery:
    """One event for one webhook. ``failed`` attempts in a row decide the pause before the next."""

    message: webhooks_pb2.WebhookDelivery
    event: job_pb2.JobEvent
    failed: int = 0


@dataclass(eq=False)
class Webhook:
    """A webhook with its secret and deliveries, oldest first."""

    message: webhooks_pb2.Webhook
    secret: str
    request_id: str = ""
    deliveries: list[Delivery] = field(default_factory=list)


class Webhooks:
    """All webhooks. Deliveries are attempted as soon as the clock runs, each attempt for at most 5 s of real time."""

    def __init__(self, records: Records, clock: VirtualClock) -> None:
        self._records = records
        self._clock = clock
        self._webhooks: dict[str, Webhook] = {}
        self._webhook_ids, self._delivery_ids = Ids("wh-"), Ids("wd-")
        records.on_event(self._notify)

    def create(self, request: webhooks_pb2.CreateWebhookRequest) -> Webhook:
        """Register a webhook. One for a job is also notified of what has happened to it.

        Raises REQUEST_ID_REUSED, JOB_NOT_FOUND, TENANT_LIMIT.
        """
        kinds = sorted(set(request.kinds) or {_VERSION_ENDED, _BOUNCE_READY})
        for one in self._webhooks.values():
            if request.request_id and one.request_id == request.request_id:
                if (one.message.url, one.message.job_id, list(one.message.kinds)) == (
                    request.url,
                    request.job_id,
                    kinds,
                ):
                    return one
                raise _request_id_reused(one)
        past = self._records.get(request.job_id).events if request.job_id else ()
        allowed = MAX_PER_JOB if request.job_id else MAX_PER_TENANT
        if sum(one.message.job_id == request.job_id for one in self._webhooks.values()) >= allowed:
            raise _limit_reached("webhooks_per_job" if request.job_id else "webhooks", allowed)
        message = webhooks_pb2.Webhook(
            webhook_id=self._webhook_ids.new(self._clock.now_us()),
            url=request.url,
            job_id=request.job_id,
            kinds=kinds,
            create_time=timestamp(self._clock.now()),
        )
        webhook = Webhook(message, f"whsec_{secrets.token_urlsafe(32)}", request.request_id)
        self._webhooks[message.webhook_id] = webhook
        for event in past:
            self._enqueue(webhook, event)
        return webhook

    def all(self) -> list[Webhook]:
        """Every webhook, newest first."""
        return sorted(self._webhooks.values(), key=lambda one: one.message.webhook_id, reverse=True)

    def get(self, webhook_id: str) -> Webhook:
        """A webhook. Raises WEBHOOK_NOT_FOUND."""
        found = self._webhooks.get(webhook_id)
        if found is None:
            raise _not_found("WEBHOOK_NOT_FOUND", "webhook", webhook_id, "ListWebhooks lists those there are")
        return found

    def remove(self, webhook_id: str) -> None:
        """Remove a webhook with its deliveries. Raises WEBHOOK_NOT_FOUND."""
        del self._webhooks[self.get(webhook_id).message.webhook_id]

    def retry(self, delivery_id: str) -> Delivery:
        """Attempt a delivery again. Raises WEBHOOK_DELIVERY_NOT_FOUND, WEBHOOK_DISABLED."""
        for webhook in self._webhooks.values():
            for delivery in webhook.deliveries:
                if delivery.message.delivery_id == delivery_id:
                    if webhook.message.HasField("disable_time"):
                        raise _disabled(webhook.message.webhook_id)
                    delivery.failed = 0
                    self._wait(webhook, delivery, 0.0)
                    return delivery
        advice = "ListWebhookDeliveries lists those of a webhook"
        raise _not_found("WEBHOOK_DELIVERY_NOT_FOUND", "delivery", delivery_id, advice)

    def clear(self) -> tuple[int, int]:
        """Remove all; returns how many webhooks and deliveries there were."""
        deliveries = sum(len(one.deliveries) for one in self._webhooks.values())
        webhooks = len(self._webhooks)
        self._webhooks.clear()
        return webhooks, deliveries

    def _notify(self, event: job_pb2.JobEvent) -> None:
        for webhook in list(self._webhooks.values()):
            if event.kind == job_pb2.EVENT_KIND_DELETED:
                self._forget_job(webhook, event.job_id)
            elif webhook.message.job_id in {"", event.job_id}:
                self._enqueue(webhook, event)

    def _forget_job(self, webhook: Webhook, job_id: str) -> None:
        if webhook.message.job_id == job_id:
            del self._webhooks[webhook.message.webhook_id]
        webhook.deliveries = [one for one in webhook.deliveries if one.event.job_id != job_id]

    def _enqueue(self, webhook: Webhook, event: job_pb2.JobEvent) -> None:
        ended = event.kind == job_pb2.EVENT_KIND_STATE and event.state in ENDED
        kind = _VERSION_ENDED if ended else _BOUNCE_READY
        if not (ended or event.kind == job_pb2.EVENT_KIND_BOUNCE_READY) or kind not in webhook.message.kinds:
            return
        if webhook.message.HasField("disable_time"):
            return
        message = webhooks_pb2.WebhookDelivery(
            delivery_id=self._delivery_ids.new(self._clock.now_us()),
            webhook_id=webhook.message.webhook_id,
            kind=kind,
            job_id=event.job_id,
            version=event.version,
            sequence=event.sequence,
            create_time=timestamp(self._clock.now()),
        )
        delivery = Delivery(message, event)
        webhook.deliveries.append(delivery)
        self._wait(webhook, delivery, 0.0)

    def _wait(self, webhook: Webhook, delivery: Delivery, pause_s: float) -> None:
        message = delivery.message
        message.state = webhooks_pb2.WEBHOOK_DELIVERY_STATE_WAITING
        message.ClearField("end_time")
        at_us = self._clock.now_us() + round(pause_s * 1e6)
        message.next_attempt_time.FromMicroseconds(at_us)
        number = message.attempts

        async def attempt() -> None:
            is_there = self._webhooks.get(message.webhook_id) is webhook and delivery in webhook.deliveries
            if is_there and message.attempts == number:
                await self._attempt(webhook, delivery)

        self._clock.call_at(at_us, attempt)

    async def _attempt(self, webhook: Webhook, delivery: Delivery) -> None:
        message = delivery.message
        message.attempts += 1
        status, problem = await asyncio.to_thread(_post, webhook.message.url, webhook.secret, _body(delivery))
        message.problem = problem
        message.status_code = status or message.status_code
        message.ClearField("next_attempt_time")
        if problem == webhooks_pb2.WEBHOOK_PROBLEM_UNSPECIFIED:
            self._end(message, webhooks_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED)
            return
        delivery.failed += 1
        gone = problem == webhooks_pb2.WEBHOOK_PROBLEM_GONE
        if gone:
            webhook.message.disable_time.CopyFrom(timestamp(self._clock.now()))
        if gone or delivery.failed >= _ATTEMPTS:
            self._end(message, webhooks_pb2.WEBHOOK_DELIVERY_STATE_FAILED)
            return
        self._wait(webhook, delivery, min(_FIRST_PAUSE_S * 2.0 ** (delivery.failed - 1), _LONGEST_PAUSE_S))

    def _end(self, message: webhooks_pb2.WebhookDelivery, state: webhooks_pb2.WebhookDeliveryState.ValueType) -> None:
        message.state = state
        message.end_time.CopyFrom(timestamp(self._clock.now()))


def check_url(url: str) -> list[FieldViolation]:
    """What is wrong with a URL. Unlike the services, the fake calls plain HTTP and any address."""
    problem = _url_problem(url)
    return [FieldViolation("url", problem)] if problem else []


def _url_problem(url: str) -> str:
    if len(url) > _MAX_URL_CHARACTERS:
        return f"must have at most {_MAX_URL_CHARACTERS} characters, got {len(url)}"
    if not _ALLOWED.fullmatch(url):
        return "must have printable ASCII characters only, without spaces; encode others with %, a host in Punycode"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "must be like https://example.com:8443/path, with a port from 1 to 65535"
    rules = (
        (parts.scheme not in {"https", "http"}, "must start with https:// or http://"),
        ("@" in parts.netloc, "must not have a user or password"),
        ("#" in url or "\\" in url, "must not have a fragment or a backslash"),
        (port == 0, "must have a port from 1 to 65535, got 0"),
        (not parts.hostname, "must have a host name, or an address like 203.0.113.7 or [2001:db8::7], got ''"),
    )
    return next((problem for is_wrong, problem in rules if is_wrong), "")


def _body(delivery: Delivery) -> bytes:
    message, event = delivery.message, delivery.event
    body = webhooks_pb2.WebhookBody(
        id=message.delivery_id,
        type=webhooks_pb2.WebhookEventKind.Name(message.kind).removeprefix("WEBHOOK_EVENT_KIND_"),
        create_time=message.create_time,
        job=webhooks_pb2.WebhookJob(job_id=event.job_id, version=event.version, state=event.state, event=event),
    )
    return json_format.MessageToJson(body, indent=None).encode()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Do not follow it."""


def _post(url: str, secret: str, body: bytes) -> tuple[int, webhooks_pb2.WebhookProblem.ValueType]:
    """The status of one attempt, 0 without an answer, and why it failed. Signed with the real time, which receivers compare."""
    now_s = int(time.time())
    digest = hmac.digest(secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hex()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Sonichaos-Webhooks/1",
        "Sonichaos-Signature": f"t={now_s},v1={digest}",
    }
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310  checked by check_url
    # As the services do, without a proxy of the environment: receivers of tests are on this machine.
    opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_LIMIT_S) as answer:
            return int(answer.status), webhooks_pb2.WEBHOOK_PROBLEM_UNSPECIFIED
    except urllib.error.HTTPError as error:
        gone = error.code == HTTPStatus.GONE
        problem = webhooks_pb2.WEBHOOK_PROBLEM_GONE if gone else webhooks_pb2.WEBHOOK_PROBLEM_STATUS
        return error.code, problem
    except (OSError, http.client.HTTPException) as error:
        return 0, _problem_of(error.reason if isinstance(error, urllib.error.URLError) else error)


def _problem_of(error: object) -> webhooks_pb2.WebhookProblem.ValueType:
    """Why there was no answer."""
    if isinstance(error, TimeoutError):
        return webhooks_pb2.WEBHOOK_PROBLEM_TIMEOUT
    if isinstance(error, socket.gaierror):
        return webhooks_pb2.WEBHOOK_PROBLEM_NAME_NOT_RESOLVED
    if isinstance(error, ssl.SSLError):
        return webhooks_pb2.WEBHOOK_PROBLEM_TLS_FAILED
    if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        return webhooks_pb2.WEBHOOK_PROBLEM_INVALID_RESPONSE
    return webhooks_pb2.WEBHOOK_PROBLEM_CONNECTION_FAILED


def _not_found(reason: str, what: str, given: str, advice: str) -> Refusal:
    shown = given[:80]
    return Refusal(
        StatusCode.NOT_FOUND,
        reason,
        f"no {what} {shown!r}: it was removed, belongs to another tenant or never existed; {advice}",
        metadata={f"{what}_id": shown},
    )


def _disabled(webhook_id: str) -> Refusal:
    return Refusal(
        StatusCode.FAILED_PRECONDITION,
        "WEBHOOK_DISABLED",
        f"webhook {webhook_id} is disabled, because its receiver answered 410 Gone; register a new one",
        metadata={"webhook_id": webhook_id},
    )


def _request_id_reused(webhook: Webhook) -> Refusal:
    webhook_id = webhook.message.webhook_id
    return Refusal(
        StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
        f"request id {webhook.request_id!r} was used for other content, by webhook {webhook_id}; use a new id for a new request",
        metadata={"request_id": webhook.request_id, "webhook_id": webhook_id},
    )


def _limit_reached(limit: str, allowed: int) -> Refusal:
    return Refusal(
        StatusCode.RESOURCE_EXHAUSTED,
        "TENANT_LIMIT",
        f"at most {allowed} webhooks can be registered for {'one job' if limit == 'webhooks_per_job' else 'all jobs of a tenant'}; "
        "remove one, then register this one",
        metadata={"limit": limit, "allowed": str(allowed), "used": str(allowed)},
    )
