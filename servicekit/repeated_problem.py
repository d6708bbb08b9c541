"""Logs a problem that comes again and again, such as an outage that a thread meets in each round, without a line for each."""

from __future__ import annotations

import time
from collections.abc import Callable

from servicekit.errors import ServiceError, cause_of
from servicekit.logs import logger

_INTERVAL_S = 60.0
_log = logger(__name__)


class RepeatedProblem:
    """The problem of one thread. Its first error is logged at once, and so is each of another reason.

    Later ones are counted in one line every ``interval_s``, and all of them in a line when the problem is over. ``what`` fails.
    """

    def __init__(
        self, what: str, *, interval_s: float = _INTERVAL_S, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._interval_s = interval_s
        self._monotonic_s = monotonic_s
        self._reasons: set[str] = set()
        self._since_s = self._logged_s = 0.0
        self._times = 0

    def occurred(self, error: ServiceError, **context: object) -> None:
        """It failed with ``error``; ``context`` is logged with it."""
        now_s = self._monotonic_s()
        if not self._times:
            self._since_s = now_s
        self._times += 1
        if error.reason not in self._reasons:
            self._reasons.add(error.reason)
            self._logged_s = now_s
            _log.warning(
                f"{self._what} failed, will retry",
                reason=error.reason,
                message=error.message,
                cause=cause_of(error),
                **context,
            )
        elif now_s - self._logged_s >= self._interval_s:
            self._logged_s = now_s
            _log.warning(f"{self._what} still fails", message=error.message, **self._extent(now_s), **context)

    def over(self) -> None:
        """It succeeded. Cheap where it has not failed."""
        if self._times:
            _log.info(f"{self._what} works again", **self._extent(self._monotonic_s()))
            self._reasons.clear()
            self._times = 0

    def _extent(self, now_s: float) -> dict[str, float]:
        return {"times": self._times, "seconds": round(now_s - self._since_s, 1)}
