"""WebhooksService of the fake, the same at both services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sonichaos.webhooks.v1 import webhooks_pb2, webhooks_pb2_grpc
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake.boundary import Context
from sonichaos_client.testing.fake.checks import check_request_id, page_size
from sonichaos_client.testing.fake.refusals import check
from sonichaos_client.testing.fake.tokens import Sealer
from sonichaos_client.testing.fake.webhooks import Webhooks, check_url

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class WebhooksServicer(webhooks_pb2_grpc.WebhooksServiceServicer):
    """Registers webhooks and shows their deliveries."""

    webhooks: Webhooks
    sealer: Sealer

    async def CreateWebhook(
        self, request: webhooks_pb2.CreateWebhookRequest, context: Context
    ) -> webhooks_pb2.CreateWebhookResponse:
        found = [*check_request_id(request.request_id), *check_url(request.url)]
        unknown = [kind for kind in request.kinds if kind not in webhooks_pb2.WebhookEventKind.values()[1:]]
        if unknown:
            text = f"must be VERSION_ENDED or BOUNCE_READY, or empty for both, got {', '.join(map(str, unknown[:10]))}"
            found.append(FieldViolation("kinds", text))
        check(found)
        webhook = self.webhooks.create(request)
        return webhooks_pb2.CreateWebhookResponse(webhook=webhook.message, secret=webhook.secret)

    async def ListWebhooks(
        self, request: webhooks_pb2.ListWebhooksRequest, context: Context
    ) -> webhooks_pb2.ListWebhooksResponse:
        rows = [(one.message.webhook_id, one.message) for one in self.webhooks.all()]
        shown, token = self._page(rows, request.page_size, request.page_token, "webhooks")
        return webhooks_pb2.ListWebhooksResponse(webhooks=shown, next_page_token=token)

    async def DeleteWebhook(
        self, request: webhooks_pb2.DeleteWebhookRequest, context: Context
    ) -> webhooks_pb2.DeleteWebhookResponse:
        self.webhooks.remove(request.webhook_id)
        return webhooks_pb2.DeleteWebhookResponse()

    async def ListWebhookDeliveries(
        self, request: webhooks_pb2.ListWebhookDeliveriesRequest, context: Context
    ) -> webhooks_pb2.ListWebhookDeliveriesResponse:
        size = page_size(request.page_size)
        deliveries = reversed(self.webhooks.get(request.webhook_id).deliveries)
        rows = [(one.message.delivery_id, one.message) for one in deliveries]
        shown, token = self._page(rows, size, request.page_token, "deliveries", request.webhook_id)
        return webhooks_pb2.ListWebhookDeliveriesResponse(deliveries=shown, next_page_token=token)

    async def RetryWebhookDelivery(
        self, request: webhooks_pb2.RetryWebhookDeliveryRequest, context: Context
    ) -> webhooks_pb2.RetryWebhookDeliveryResponse:
        delivery = self.webhooks.retry(request.delivery_id)
        return webhooks_pb2.RetryWebhookDeliveryResponse(delivery=delivery.message)

    def _page(self, rows: Sequence[tuple[str, T]], asked: int, token: str, *bound: str) -> tuple[list[T], str]:
        """A page of rows, which are sorted by their ids, newest first, and the token of the next."""
        size = page_size(asked)
        before = str(self.sealer.open(token, *bound)) if token else None
        rest = [row for row in rows if before is None or row[0] < before]
        next_token = self.sealer.seal(rest[size - 1][0], *bound) if len(rest) > size else ""
        return [message for _, message in rest[:size]], next_token
