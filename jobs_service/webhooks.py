"""Webhooks of one service process: the calls about them, and the thread that delivers."""

from __future__ import annotations

from contextlib import AsyncExitStack

from jobs_service.webhook_deliveries import WebhookDeliveries
from jobs_service.webhook_sender import WebhookSender, target_policy
from jobs_service.webhook_servicer import WebhooksServicer
from servicekit.faults import Faults
from servicekit.host_settings import HostSettings
from servicekit.journal import Journal, OwningService
from servicekit.metrics import Metrics
from servicekit.rpc.server import RpcServer
from sonichaos.webhooks.v1 import webhooks_pb2_grpc

_DAY_S = 24 * 3600.0


def open_webhooks(
    settings: HostSettings,
    journal: Journal,
    owner: OwningService,
    server: RpcServer,
    *,
    metrics: Metrics,
    resources: AsyncExitStack,
    faults: Faults,
) -> WebhookDeliveries:
    """Mount WebhooksService, and deliver the events of an owner's jobs until ``resources`` are closed.

    Raises :class:`servicekit.settings.SettingsError`.
    """
    servicer = WebhooksServicer(journal, target_policy(settings), limit=settings.webhook_limit, pools=server.pools)
    webhooks_pb2_grpc.add_WebhooksServiceServicer_to_server(servicer, server.grpc_server)
    deliveries = WebhookDeliveries(
        journal,
        owner,
        WebhookSender.of(settings, journal),
        metrics,
        threads=settings.webhook_threads,
        retention_s=settings.webhook_retention_days * _DAY_S,
        faults=faults,
    )
    return resources.enter_context(deliveries)
