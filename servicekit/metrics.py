"""Prometheus metrics and the HTTP endpoint that serves them."""

from __future__ import annotations

from typing import TypedDict

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.registry import Collector

from servicekit.settings import SettingsError

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class _Labels(TypedDict):
    registry: CollectorRegistry
    namespace: str
    subsystem: str


class Metrics:
    """The metrics of one service process, in their own registry."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        labels: _Labels = {"registry": self.registry, "namespace": "sonichaos", "subsystem": service}
        self.rpcs = Counter("rpcs_total", "Finished RPCs, by method and status code.", ["method", "code"], **labels)
        self.rpc_seconds = Histogram(
            "rpc_seconds", "Duration of RPCs in seconds.", ["method"], buckets=_SECONDS, **labels
        )
        self.stage_seconds = Histogram(
            "stage_seconds", "Duration of stages in seconds.", ["stage"], buckets=_SECONDS, **labels
        )
        self.jobs = Counter("versions_total", "Ended versions, by state.", ["state"], **labels)
        self.queued = Gauge("queued_versions", "Versions waiting in the queue.", **labels)
        self.ready = Gauge("ready", "1 while health is SERVING.", **labels)

    def register(self, collector: Collector) -> None:
        """Add a collector, such as the loan pool's."""
        self.registry.register(collector)

    def serve(self, host: str, port: int) -> None:
        """Serve ``/metrics`` from a daemon thread; ``port`` 0 disables it. Raises :class:`SettingsError` where it cannot listen."""
        if not port:
            return
        try:
            start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise SettingsError(
                f"SONICHAOS_METRICS_HOST and the metrics port: cannot listen on {host}:{port}: {error.strerror or error}"
            ) from None
