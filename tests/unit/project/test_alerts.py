"""The alerts for Prometheus speak of metrics that the services serve."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client import generate_latest

from separation_service.timing.latency_budget import LatencyBudget
from servicekit.metrics import Metrics

RULES = Path(__file__).parents[3] / "docker" / "prometheus-rules.yml"


def served(metrics: Metrics) -> dict[str, float]:
    """Every sample without labels, and the names of the others."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {re.sub(r"\{.*", "", name): float(value) for name, value in samples}


def test_every_alert_names_metrics_that_are_served() -> None:
    """Each expression uses at least one metric, and none that does not exist."""
    metrics = Metrics("separation")
    LatencyBudget(30.0, metrics)
    names = set(served(metrics))
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    for rule in rules:
        used = set(re.findall(r"\bsonichaos_\w+", rule["expr"]))
        assert used, rule["alert"]
        assert used <= names, rule["alert"]
    assert "SonichaosSeparationOverLatencyBudget" in {rule["alert"] for rule in rules}


def test_separations_over_the_latency_budget_are_counted() -> None:
    """30 s are allowed for takes of up to 90 s, more in proportion beyond; only what took longer is counted."""
    metrics = Metrics("separation")
    budget = LatencyBudget(30.0, metrics)
    for audio_s, work_s in [(90.0, 29.0), (8.0, 29.0), (180.0, 59.0), (90.0, 31.0), (180.0, 61.0)]:
        budget.record(audio_s=audio_s, work_s=work_s)
    found = served(metrics)
    assert found["sonichaos_separation_over_latency_budget_total"] == 2.0
    assert found["sonichaos_separation_work_seconds_count"] == 5.0
    assert found["sonichaos_separation_latency_budget_seconds"] == 30.0
