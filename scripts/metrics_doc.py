"""Writes docs/metrics.md from the metrics that the services register: ``.venv/bin/python scripts/metrics_doc.py``."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from separation_service.timing.latency_budget import LatencyBudget
from servicekit.metrics import Metrics

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
_INTRODUCTION = """# Metrics

*Written by `scripts/metrics_doc.py` from the services' metrics; change those, not this page.*

Set `SONICHAOS_RENDER_METRICS_PORT` and `SONICHAOS_SEPARATION_METRICS_PORT` (default 0: off), then scrape
`http://{SONICHAOS_METRICS_HOST}:{port}/metrics` (`https` with a certificate; beyond loopback with a credential, see
[tls.md](tls.md)). Durations are in seconds. No label holds a tenant or an id.
[prometheus-rules.yml](../docker/prometheus-rules.yml) has alerts; [runbook.md](runbook.md#watch-metrics) says what else to alert
on."""
_HEAD = "| metric | kind | labels | what it measures |\n| --- | --- | --- | --- |\n"


class _Recorder(Metrics):
    """The metrics of a service, which remembers what is registered in addition."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self.added: list[Collector] = []

    def register(self, collector: Collector) -> None:
        """Remember it too."""
        super().register(collector)
        self.added.append(collector)


def _rows(collectors: list[object]) -> str:
    rows = []
    for collector in collectors:
        if isinstance(collector, MetricWrapperBase):
            (family,) = collector.collect()
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in collector._labelnames) or "-"  # noqa: SLF001  nothing public has them
            rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return _HEAD + "\n".join(sorted(rows))


def page() -> str:
    """The whole page."""
    shared = _rows(list(vars(Metrics("SERVICE")).values()))
    separation = _Recorder("separation")
    LatencyBudget(30.0, separation)
    parts = (
        _INTRODUCTION,
        "## Both services",
        "SERVICE is `render` or `separation`.",
        shared,
        "## separation_service",
        _rows(list(separation.added)),
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
