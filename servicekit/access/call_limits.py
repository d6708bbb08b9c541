"""Limits on the calls of a tenant: requests a second and open streams, counted in this process."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from servicekit.access.caller import Caller
from servicekit.access.limits import LimitPolicy, limit_reached
from servicekit.clock import Clock, SystemClock

_FREE = "/grpc."
"""Health and reflection, which are not counted."""
_BURST_S = 2.0
"""How many seconds' worth of requests may come at once after a pause."""
_STREAM_RETRY_S = 5.0


@dataclass
class _Bucket:
    """A token bucket: ``spent`` requests at ``at_s``, of which the rate gives back so many a second."""

    spent: float = 0.0
    at_s: float = 0.0

    def left_at(self, now_s: float, rate: float) -> float:
        """What is still spent."""
        return max(self.spent - (now_s - self.at_s) * rate, 0.0)


class CallLimits:
    """Counts calls. ``policy`` gives the limits of each caller. Use it in one event loop only."""

    def __init__(self, policy: LimitPolicy | None = None, clock: Clock | None = None) -> None:
        self.policy = policy or LimitPolicy()
        self._clock = clock or SystemClock()
        self._buckets: dict[str, _Bucket] = defaultdict(_Bucket)
        self._streams: Counter[str] = Counter()

    def begin(self, method: str, caller: Caller, *, is_stream: bool) -> Callable[[], None]:
        """Count a call; returns what its end must call. Raises ResourceExhausted TENANT_LIMIT and then counts nothing."""
        if method.startswith(_FREE):
            return _nothing
        limits = self.policy.of(caller)
        streams = self._streams[caller.tenant] + 1
        if is_stream and limits.open_streams and streams > limits.open_streams:
            raise limit_reached(
                "open_streams", allowed=limits.open_streams, used=streams, retry_after_s=_STREAM_RETRY_S
            )
        self._count_request(caller.tenant, limits.requests_per_second)
        if not is_stream:
            return _nothing
        self._streams[caller.tenant] += 1
        return lambda: self._end_stream(caller.tenant)

    def requests(self, caller: Caller) -> float:
        """How many requests of the tenant count against its limit now."""
        rate = self.policy.of(caller).requests_per_second
        bucket = self._buckets.get(caller.tenant)
        return bucket.left_at(self._clock.monotonic_s(), rate) if bucket is not None else 0.0

    def open_streams(self, tenant: str) -> int:
        """How many streams of the tenant are open now."""
        return self._streams[tenant]

    def _count_request(self, tenant: str, rate: float) -> None:
        """Take a token. A burst of two seconds' worth, and always of one request, passes at once."""
        if not rate:
            return
        now_s = self._clock.monotonic_s()
        bucket = self._buckets[tenant]
        spent = bucket.left_at(now_s, rate) + 1
        burst = max(rate * _BURST_S, 1.0)
        if spent > burst:
            raise limit_reached("requests_per_second", allowed=rate, used=spent, retry_after_s=(spent - burst) / rate)
        bucket.spent, bucket.at_s = spent, now_s

    def _end_stream(self, tenant: str) -> None:
        self._streams[tenant] -= 1
        if not self._streams[tenant]:
            del self._streams[tenant]


def _nothing() -> None:
    """The end of a call that holds nothing."""
