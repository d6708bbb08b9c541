"""Alerts and runbook name metrics that the services export."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client import generate_latest

from separation_service.timing.latency_budget import LatencyBudget
from servicekit.metrics import Metrics

ROOT = Path(__file__).parents[3]
RULES = ROOT / "docker" / "prometheus-rules.yml"


def exported(metrics: Metrics) -> dict[str, float]:
    """The exported samples by name, without their labels."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {re.sub(r"\{.*", "", name): float(value) for name, value in samples}


def test_every_alert_uses_exported_metrics() -> None:
    """Each expression uses at least one metric, and only exported ones."""
    metrics = Metrics("separation")
    LatencyBudget(30.0, metrics)
    metrics.rpcs.labels(
        method="any", code="UNAUTHENTICATED"
    ).inc()  # a metric with labels is exported once it has a value
    metrics.certificate_expiry.labels(certificate="server").set(1.0)
    both = (metrics, Metrics("render"))
    for service in both:
        service.webhook_deliveries.labels(result="failed").inc()
    names = {name for service in both for name in exported(service)}
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    for rule in rules:
        used = set(re.findall(r"\bsonichaos_\w+", rule["expr"]))
        assert used, rule["alert"]
        assert used <= names, rule["alert"]
    expected = {
        "SonichaosSeparationOverLatencyBudget",
        "SonichaosRenderWebhooksFail",
        "SonichaosSeparationWebhooksGivenUp",
    }
    assert expected <= {rule["alert"] for rule in rules}


def test_pages_name_exported_metrics() -> None:
    """Each metric that a page names is registered; SERVICE stands for the service's name."""
    metrics = Metrics("separation")
    LatencyBudget(30.0, metrics)
    registered = {metric.name for metric in metrics.registry.collect()}
    pages = sorted((ROOT / "docs").glob("*.md"))
    named = {
        name for page in pages for name in re.findall(r"`(sonichaos_SERVICE_\w+)`", page.read_text(encoding="utf-8"))
    }
    assert len(named) >= 8
    assert {name.replace("SERVICE", "separation").removesuffix("_total") for name in named} <= registered


def test_separations_over_the_latency_budget_are_counted() -> None:
    """The budget covers takes of up to 90 s and grows in proportion beyond; only longer separations are counted."""
    metrics = Metrics("separation")
    budget = LatencyBudget(30.0, metrics)
    for audio_s, work_s in [(90.0, 29.0), (8.0, 29.0), (180.0, 59.0), (90.0, 31.0), (180.0, 61.0)]:
        budget.record(audio_s=audio_s, work_s=work_s)
    found = exported(metrics)
    assert found["sonichaos_separation_over_latency_budget_total"] == 2.0
    assert found["sonichaos_separation_work_seconds_count"] == 5.0
    assert found["sonichaos_separation_latency_budget_seconds"] == 30.0
