"""Both kinds of work of this service, its own jobs and the calls of other services, started and drained together."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from separation_service.calls import SeparationCalls
from servicekit.clock import Clock
from servicekit.work import Runner


class Workers:
    """A `servicekit.serving.Drainable`. Entering it starts the runner."""

    def __init__(self, runner: Runner, calls: SeparationCalls, *, clock: Clock) -> None:
        self._runner = runner
        self._calls = calls
        self._clock = clock

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.__exit__(kind, error, trace)

    def keep_alive(self) -> bool:
        """See `Runner.keep_alive`. The threads of calls are those of a pool, and no error ends them."""
        return self._runner.keep_alive()

    def drain(self, timeout_s: float) -> bool:
        """Claim no more jobs and wait up to ``timeout_s`` for jobs and calls to end; True where all of them did."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        jobs_ended = self._runner.drain(timeout_s)
        calls_ended = self._calls.drain(max(deadline_s - self._clock.monotonic_s(), 0.0))
        return jobs_ended and calls_ended
