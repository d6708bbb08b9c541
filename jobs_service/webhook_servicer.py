"""WebhooksService over the journal."""

from __future__ import annotations

from typing import Any

from grpc import aio

from jobs_service.webhook_messages import delivery_message, webhook_message
from servicekit.access.caller import current_tenant
from servicekit.caller_fields import check_request_id, read_page_size
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.ids import new_webhook_id
from servicekit.journal import Journal, NewWebhook, WebhookEventKind, WebhookLimits
from servicekit.rpc.pools import CallPools
from servicekit.webhooks.signature import new_secret
from servicekit.webhooks.target import TargetError, TargetPolicy
from sonichaos.webhooks.v1 import webhooks_pb2, webhooks_pb2_grpc

NAME = "sonichaos.webhooks.v1.WebhooksService"
MAX_OF_JOB = 4
_KINDS = {webhooks_pb2.WebhookEventKind.Value(f"WEBHOOK_EVENT_KIND_{kind}"): kind for kind in WebhookEventKind}

Context = aio.ServicerContext[Any, Any]


class WebhooksServicer(webhooks_pb2_grpc.WebhooksServiceServicer):
    """The webhooks of all tenants. ``limit`` is how many a tenant may have for all of its jobs."""

    def __init__(self, journal: Journal, policy: TargetPolicy, *, limit: int, pools: CallPools) -> None:
        self._journal = journal
        self._policy = policy
        self._limits = WebhookLimits(per_tenant=limit, per_job=MAX_OF_JOB)
        self._pools = pools

    async def CreateWebhook(
        self, request: webhooks_pb2.CreateWebhookRequest, context: Context
    ) -> webhooks_pb2.CreateWebhookResponse:
        """Register a webhook."""
        new = NewWebhook(
            webhook_id=new_webhook_id(self._journal.clock.now()),
            tenant=current_tenant(),
            job_id=request.job_id,
            url=request.url,
            kinds=self._checked_kinds(request),
            secret=new_secret(),
            request_id=request.request_id,
        )
        made = await self._pools.writes.run(self._journal.create_webhook, new, self._limits)
        return webhooks_pb2.CreateWebhookResponse(webhook=webhook_message(made.webhook), secret=made.secret)

    async def ListWebhooks(
        self, request: webhooks_pb2.ListWebhooksRequest, context: Context
    ) -> webhooks_pb2.ListWebhooksResponse:
        """Return a page of the caller's webhooks, newest first."""
        page = await self._pools.reads.run(
            self._journal.webhooks,
            current_tenant(),
            page_size=read_page_size(request.page_size),
            page_token=request.page_token,
        )
        return webhooks_pb2.ListWebhooksResponse(
            webhooks=map(webhook_message, page.webhooks), next_page_token=page.next_token
        )

    async def DeleteWebhook(
        self, request: webhooks_pb2.DeleteWebhookRequest, context: Context
    ) -> webhooks_pb2.DeleteWebhookResponse:
        """Remove a webhook and its deliveries."""
        await self._pools.deletes.run(self._journal.delete_webhook, current_tenant(), request.webhook_id)
        return webhooks_pb2.DeleteWebhookResponse()

    async def ListWebhookDeliveries(
        self, request: webhooks_pb2.ListWebhookDeliveriesRequest, context: Context
    ) -> webhooks_pb2.ListWebhookDeliveriesResponse:
        """Return a page of a webhook's deliveries, newest first."""
        page = await self._pools.reads.run(
            self._journal.webhook_deliveries,
            current_tenant(),
            request.webhook_id,
            page_size=read_page_size(request.page_size),
            page_token=request.page_token,
        )
        return webhooks_pb2.ListWebhookDeliveriesResponse(
            deliveries=map(delivery_message, page.deliveries), next_page_token=page.next_token
        )

    async def RetryWebhookDelivery(
        self, request: webhooks_pb2.RetryWebhookDeliveryRequest, context: Context
    ) -> webhooks_pb2.RetryWebhookDeliveryResponse:
        """Make a delivery due now."""
        delivery = await self._pools.writes.run(
            self._journal.retry_webhook_delivery, current_tenant(), request.delivery_id
        )
        return webhooks_pb2.RetryWebhookDeliveryResponse(delivery=delivery_message(delivery))

    def _checked_kinds(self, request: webhooks_pb2.CreateWebhookRequest) -> frozenset[WebhookEventKind]:
        """What a new webhook is notified of. Raises InvalidFields with every field that is wrong."""
        violations = check_request_id(request.request_id)
        try:
            self._policy.read(request.url)
        except TargetError as error:
            violations.append(FieldViolation("url", str(error)))
        unknown = [number for number in request.kinds if number not in _KINDS]
        if unknown:
            text = f"must be VERSION_ENDED or BOUNCE_READY, or empty for both, got {', '.join(map(str, unknown[:10]))}"
            violations.append(FieldViolation("kinds", text))
        if violations:
            raise InvalidFields(violations)
        return frozenset(_KINDS[number] for number in request.kinds) or frozenset(WebhookEventKind)
