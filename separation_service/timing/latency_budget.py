"""The time that a separation may take: watched by a metric and an alert (docker/prometheus-rules.yml), never enforced.

The ceiling is promised for a take of :data:`BUDGET_AUDIO_S`; what is longer gets more in proportion, what is shorter not less.
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
    """Notes how long separations work, without their wait for the device, against ``ceiling_s``."""

    def __init__(self, ceiling_s: float, metrics: Metrics) -> None:
        self.ceiling_s = ceiling_s
        limit = Gauge("sonichaos_separation_ceiling_seconds", "Most that separating 90 s may take.", registry=None)
        limit.set(ceiling_s)
        self._seconds = Histogram(
            "sonichaos_separation_work_seconds",
            "Time that separating a take held the device.",
            buckets=_SECONDS,
            registry=None,
        )
        self._share = Histogram(
            "sonichaos_separation_ceiling_share",
            "The same as a share of what the ceiling allows for the take's length.",
            buckets=_SHARES,
            registry=None,
        )
        self._over = Counter(
            "sonichaos_separation_over_ceiling_total", "Separations beyond the ceiling.", registry=None
        )
        for collector in (limit, self._seconds, self._share, self._over):
            metrics.register(collector)

    def allowed_s(self, audio_s: float) -> float:
        """What a take of this length may take."""
        return self.ceiling_s * max(audio_s / BUDGET_AUDIO_S, 1.0)

    def note(self, *, audio_s: float, work_s: float) -> None:
        """A separation ended well after ``work_s``."""
        allowed_s = self.allowed_s(audio_s)
        self._seconds.observe(work_s)
        self._share.observe(work_s / allowed_s)
        if work_s > allowed_s:
            self._over.inc()
            _log.warning(
                "separation beyond its ceiling", seconds=work_s, ceiling_seconds=allowed_s, audio_seconds=audio_s
            )
