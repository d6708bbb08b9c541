"""The time that a separation may take: watched by a metric and an alert (docker/prometheus-rules.yml), never enforced.

The budget is promised for :data:`BUDGET_AUDIO_S` seconds of audio. Longer audio gets proportionally more, shorter audio not less.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from servicekit.logs import logger
from servicekit.metrics import Metrics

BUDGET_AUDIO_S = 90.0
_SECONDS = (0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 1800)
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 2, 5, 10)
_log = logger(__name__)


class LatencyBudget:
    """Compares how long separations hold the device with ``budget_s``; their wait for the device does not count."""

    def __init__(self, budget_s: float, metrics: Metrics) -> None:
        self.budget_s = budget_s
        budget = Gauge(
            "sonichaos_separation_latency_budget_seconds", "Time that separating 90 s of audio may take.", registry=None
        )
        budget.set(budget_s)
        self._seconds = Histogram(
            "sonichaos_separation_work_seconds",
            "Time that separating a take, or one stem of it, held the device.",
            buckets=_SECONDS,
            registry=None,
        )
        self._share = Histogram(
            "sonichaos_separation_latency_budget_share",
            "That time as a share of what the budget allows for the length of the audio.",
            buckets=_SHARES,
            registry=None,
        )
        self._over = Counter(
            "sonichaos_separation_over_latency_budget_total", "Separations over their latency budget.", registry=None
        )
        for collector in (budget, self._seconds, self._share, self._over):
            metrics.register(collector)

    def allowed_s(self, audio_s: float) -> float:
        """Seconds of work allowed for ``audio_s`` seconds of audio."""
        return self.budget_s * max(audio_s / BUDGET_AUDIO_S, 1.0)

    def record(self, *, audio_s: float, work_s: float) -> None:
        """Count a separation that succeeded after ``work_s`` seconds on the device."""
        allowed_s = self.allowed_s(audio_s)
        self._seconds.observe(work_s)
        self._share.observe(work_s / allowed_s)
        if work_s > allowed_s:
            self._over.inc()
            _log.warning(
                "separation over its latency budget", seconds=work_s, budget_seconds=allowed_s, audio_seconds=audio_s
            )
