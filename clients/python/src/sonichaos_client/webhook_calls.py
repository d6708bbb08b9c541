"""Operations of WebhooksService. Either service answers for the jobs of both."""

from __future__ import annotations

from collections.abc import Sequence

from sonichaos.webhooks.v1 import webhooks_pb2 as pb
from sonichaos_client import rpcs
from sonichaos_client.enums import OwningService, WebhookEventKind
from sonichaos_client.fields import new_request_id
from sonichaos_client.job_reference import JobLike, id_of
from sonichaos_client.options import CallOptions
from sonichaos_client.sansio import Item, Operation, StreamOperation, call_unary

_PAGE_SIZE = 100


def create_webhook(
    url: str,
    job: JobLike | None,
    kinds: Sequence[WebhookEventKind],
    request_id: str,
    *,
    service: OwningService,
    options: CallOptions,
) -> Operation[pb.CreateWebhookResponse]:
    """Register a webhook."""
    request = pb.CreateWebhookRequest(
        url=url,
        job_id="" if job is None else id_of(job),
        kinds=[pb.WebhookEventKind.ValueType(kind) for kind in kinds],
        request_id=request_id or new_request_id(),
    )
    return (yield from call_unary(service, rpcs.CREATE_WEBHOOK, request, options))


def list_webhooks(service: OwningService, options: CallOptions) -> StreamOperation[pb.Webhook]:
    """All webhooks, newest first."""
    token = ""
    while True:
        request = pb.ListWebhooksRequest(page_size=_PAGE_SIZE, page_token=token)
        page = yield from call_unary(service, rpcs.LIST_WEBHOOKS, request, options)
        for webhook in page.webhooks:
            yield Item(webhook)
        token = page.next_page_token
        if not token:
            return


def delete_webhook(webhook_id: str, service: OwningService, options: CallOptions) -> Operation[None]:
    """Remove a webhook."""
    request = pb.DeleteWebhookRequest(webhook_id=webhook_id)
    yield from call_unary(service, rpcs.DELETE_WEBHOOK, request, options)


def list_webhook_deliveries(
    webhook_id: str, service: OwningService, options: CallOptions
) -> StreamOperation[pb.WebhookDelivery]:
    """The deliveries of a webhook, newest first."""
    token = ""
    while True:
        request = pb.ListWebhookDeliveriesRequest(webhook_id=webhook_id, page_size=_PAGE_SIZE, page_token=token)
        page = yield from call_unary(service, rpcs.LIST_WEBHOOK_DELIVERIES, request, options)
        for delivery in page.deliveries:
            yield Item(delivery)
        token = page.next_page_token
        if not token:
            return


def retry_webhook_delivery(
    delivery_id: str, service: OwningService, options: CallOptions
) -> Operation[pb.WebhookDelivery]:
    """Attempt a delivery now."""
    request = pb.RetryWebhookDeliveryRequest(delivery_id=delivery_id)
    return (yield from call_unary(service, rpcs.RETRY_WEBHOOK_DELIVERY, request, options)).delivery
