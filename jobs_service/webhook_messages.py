"""Webhooks and their deliveries as messages of ``sonichaos.webhooks.v1``, and the body of a request."""

from __future__ import annotations

from google.protobuf import json_format

from jobs_service.messages import event_message
from jobs_service.value_messages import timestamp
from servicekit.journal import Webhook, WebhookAttempt, WebhookDelivery, WebhookEventKind
from sonichaos.webhooks.v1 import webhooks_pb2

MAX_BODY_BYTES = 32 * 1024
_MAX_ERROR_CHARACTERS = 1000


def webhook_message(webhook: Webhook) -> webhooks_pb2.Webhook:
    """A webhook, without its secret."""
    message = webhooks_pb2.Webhook(
        webhook_id=webhook.webhook_id,
        url=webhook.url,
        job_id=webhook.job_id,
        kinds=sorted(map(_kind, webhook.kinds)),
        create_time=timestamp(webhook.create_time),
    )
    if webhook.disable_time is not None:
        message.disable_time.CopyFrom(timestamp(webhook.disable_time))
    return message


def delivery_message(delivery: WebhookDelivery) -> webhooks_pb2.WebhookDelivery:
    """A delivery."""
    message = webhooks_pb2.WebhookDelivery(
        delivery_id=delivery.delivery_id,
        webhook_id=delivery.webhook_id,
        kind=_kind(delivery.kind),
        job_id=delivery.job_id,
        version=delivery.version,
        sequence=delivery.sequence,
        state=webhooks_pb2.WebhookDeliveryState.Value(f"WEBHOOK_DELIVERY_STATE_{delivery.state}"),
        attempts=delivery.attempts,
        status_code=delivery.status_code or 0,
        problem=webhooks_pb2.WebhookProblem.Value(f"WEBHOOK_PROBLEM_{delivery.problem or 'UNSPECIFIED'}"),
        create_time=timestamp(delivery.create_time),
    )
    for moment, field in (
        (delivery.next_attempt_time, message.next_attempt_time),
        (delivery.end_time, message.end_time),
    ):
        if moment is not None:
            field.CopyFrom(timestamp(moment))
    return message


def body(attempt: WebhookAttempt, cursor: str) -> bytes:
    """The body of a request, at most ``MAX_BODY_BYTES``; ``cursor`` is the event's feed position as text.

    Only an error can be long. One that would exceed the limit is sent without its details and with the start of its message: GetJob
    has all of it.
    """
    event = event_message(attempt.event, cursor)
    message = webhooks_pb2.WebhookBody(
        id=attempt.delivery_id,
        type=attempt.kind,
        create_time=timestamp(attempt.create_time),
        job=webhooks_pb2.WebhookJob(job_id=event.job_id, version=event.version, state=event.state, event=event),
    )
    text = json_format.MessageToJson(message, indent=None).encode()
    if len(text) > MAX_BODY_BYTES:
        error = message.job.event.error
        error.message = error.message[:_MAX_ERROR_CHARACTERS]
        error.ClearField("details")
        text = json_format.MessageToJson(message, indent=None).encode()
    return text


def _kind(kind: WebhookEventKind) -> webhooks_pb2.WebhookEventKind.ValueType:
    return webhooks_pb2.WebhookEventKind.Value(f"WEBHOOK_EVENT_KIND_{kind}")
