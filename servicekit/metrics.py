"""Prometheus metrics and the small HTTP endpoint that serves them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.registry import Collector

from servicekit.settings import SettingsError

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class Metrics:
    """The metrics of one service process, in a registry of their own."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        labels = {"registry": self.registry, "namespace": "sonichaos", "subsystem": service}
        self.rpcs = Counter("rpcs_total", "RPCs ended, by method and status code.", ["method", "code"], **labels)  # type: ignore[arg-type]
        self.rpc_seconds = Histogram("rpc_seconds", "Wall time of an RPC.", ["method"], buckets=_SECONDS, **labels)  # type: ignore[arg-type]
        self.stage_seconds = Histogram("stage_seconds", "Wall time of a stage.", ["stage"], buckets=_SECONDS, **labels)  # type: ignore[arg-type]
        self.jobs = Counter("versions_total", "Versions ended, by state.", ["state"], **labels)  # type: ignore[arg-type]
        self.queued = Gauge("queued_versions", "Versions that wait.", **labels)  # type: ignore[arg-type]
        self.ready = Gauge("ready", "1 while health says SERVING.", **labels)  # type: ignore[arg-type]

    def register(self, collector: Collector) -> None:
        """Add a collector, such as the loan pool's."""
        self.registry.register(collector)

    def serve(self, host: str, port: int) -> None:
        """Serve ``/metrics`` from a daemon thread. ``port`` 0 serves nothing. Raises :class:`SettingsError` where it cannot."""
        if not port:
            return
        try:
            start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise SettingsError(
                f"SONICHAOS_METRICS_HOST and the metrics port: cannot listen on {host}:{port}: {error.strerror or error}"
            ) from None
