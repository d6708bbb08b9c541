"""A thread that turns events into deliveries of webhooks, and attempts those that are due in a bounded number of threads.

A receiver that is slow or hangs holds places of its own tenant only: at once there are at most two attempts for one webhook, and
for one tenant a quarter of all.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence

from jobs_service.webhook_sender import WebhookSender
from servicekit.errors import ServiceError
from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import AttemptResult, DueWebhook, Journal, OwningService, WebhookAttempt
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.work.repeating_thread import RepeatingThread
from servicekit.work.thread_group import boundary

_PAUSE_S = 0.5
_OF_WEBHOOK = 2
_SHARE_OF_TENANT = 4
_EXTRA_LEASE_S = 60.0
"""How much longer than its limit an attempt may take before another process repeats it: to resolve the name, and to record."""
_PRUNED = 200
_UPKEEP_S = 10.0
_STOP_S = 5.0
_log = logger(__name__)


class WebhookDeliveries(RepeatingThread):
    """Deliveries of the events of one owner's jobs, during the ``with`` block; at its end, running attempts have 5 s to end.

    At most ``threads`` attempts run at once. Deliveries that ended ``retention_s`` ago are removed.
    """

    def __init__(
        self,
        journal: Journal,
        owner: OwningService,
        sender: WebhookSender,
        metrics: Metrics,
        *,
        threads: int,
        retention_s: float,
        pause_s: float = _PAUSE_S,
        faults: Faults = NO_FAULTS,
    ) -> None:
        super().__init__("delivering webhooks", pause_s=pause_s, faults=faults)
        self._journal = journal
        self._owner = owner
        self._sender = sender
        self._metrics = metrics
        self._places = Places(threads)
        self._retention_s = retention_s
        self._lease_s = sender.poster.timeout_s + _EXTRA_LEASE_S
        self._positions: tuple[int, int] | None = None
        self._upkeep_due_s = 0.0

    def repeat(self) -> bool:
        """Look at the next events, start due attempts, and now and then remove old deliveries."""
        more_events = self._enqueue()
        more_due = self._start_attempts()
        if time.monotonic() >= self._upkeep_due_s:
            self._metrics.webhook_oldest_waiting.set(self._journal.oldest_waiting_delivery_s(self._owner))
            removed = self._journal.prune_deliveries(self._owner, older_than_s=self._retention_s, limit=_PRUNED)
            if removed < _PRUNED:
                self._upkeep_due_s = time.monotonic() + _UPKEEP_S
        return more_events or more_due

    def stop(self, timeout_s: float | None = None) -> None:
        """As in the base class; then wait for running attempts. Those that do not end are repeated by the next start."""
        super().stop(timeout_s)
        self._places.wait_until_free(_STOP_S if timeout_s is None else min(timeout_s, _STOP_S))

    def _enqueue(self) -> bool:
        """Make deliveries of the next events; True where there may be more."""
        if self._positions is None:
            start = self._journal.webhook_position(self._owner)
            self._positions = (start, start)
        done, recorded, more = self._journal.enqueue_deliveries(self._owner, *self._positions)
        self._positions = (done, recorded)
        return more

    def _start_attempts(self) -> bool:
        """Start what there are places for; True where places were left over or have become free since, and more is due."""
        was_released = self._places.take_released()
        if not self._places.free:
            return False
        due = self._journal.due_webhooks(self._owner)
        wanted = self._places.share(due)
        if not wanted:
            return False
        attempts = self._journal.claim_deliveries(
            self._owner, wanted, lease_s=self._lease_s, max_attempts=self._sender.schedule.attempts
        )
        for attempt in attempts:
            self._places.take(attempt)
            name = f"webhook {attempt.delivery_id}"
            try:
                threading.Thread(target=self._attempt, args=(attempt,), name=name, daemon=True).start()
            except RuntimeError as error:  # no room for a thread: attempted again after the lease
                self._places.release(attempt)
                _log.error(
                    "a webhook attempt could not be started", delivery_id=attempt.delivery_id, message=str(error)
                )
        return was_released and sum(one.deliveries for one in due) > len(attempts)

    def _attempt(self, attempt: WebhookAttempt) -> None:
        try:
            with boundary("a webhook attempt failed unexpectedly"):
                result = self._sender.send(attempt)
                try:
                    self._journal.record_attempt(attempt, result)
                except ServiceError as error:  # attempted again after the lease: the receiver sees the id twice
                    _log.warning(
                        "the result of a webhook attempt was not recorded",
                        delivery_id=attempt.delivery_id,
                        message=error.message,
                    )
                self._report(attempt, result)
        finally:
            self._places.release(attempt)

    def _report(self, attempt: WebhookAttempt, result: AttemptResult) -> None:
        facts = {
            "webhook_id": attempt.webhook_id,
            "delivery_id": attempt.delivery_id,
            "attempt": attempt.number,
            "status": result.status_code,
        }
        if result.problem is None:
            self._metrics.webhook_deliveries.labels(result="delivered").inc()
            _log.debug("a webhook delivery succeeded", **facts)
        elif result.retry_after_s is not None:
            self._metrics.webhook_deliveries.labels(result="retried").inc()
            _log.info("a webhook attempt failed, will retry", problem=result.problem, **facts)
        else:
            self._metrics.webhook_deliveries.labels(result="failed").inc()
            _log.warning("a webhook delivery failed", problem=result.problem, **facts)


class Places:
    """The places for attempts. Safe to use from any thread."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._of_tenant = max(number // _SHARE_OF_TENANT, 1)
        self._taken: dict[tuple[str, int], WebhookAttempt] = {}
        self._changed = threading.Condition()
        self._released = False

    @property
    def free(self) -> int:
        """Places that are free."""
        with self._changed:
            return self._number - len(self._taken)

    def take(self, attempt: WebhookAttempt) -> None:
        """Take a place."""
        with self._changed:
            self._taken[attempt.delivery_id, attempt.number] = attempt

    def release(self, attempt: WebhookAttempt) -> None:
        """Free the place of an attempt."""
        with self._changed:
            del self._taken[attempt.delivery_id, attempt.number]
            self._released = True
            self._changed.notify_all()

    def take_released(self) -> bool:
        """Whether places have become free since the last call."""
        with self._changed:
            released, self._released = self._released, False
            return released

    def share(self, due: Sequence[DueWebhook]) -> dict[str, int]:
        """How many attempts each webhook may start now: tenants with the fewest that run first, then those that wait longest."""
        with self._changed:
            of_tenant = Counter(attempt.tenant for attempt in self._taken.values())
            of_webhook = Counter(attempt.webhook_id for attempt in self._taken.values())
            free = self._number - len(self._taken)
        wanted: Counter[str] = Counter()
        for _ in range(_OF_WEBHOOK):
            for one in sorted(due, key=lambda one: (of_tenant[one.tenant], one.since_us)):
                has_more = wanted[one.webhook_id] < one.deliveries
                has_place = of_webhook[one.webhook_id] < _OF_WEBHOOK and of_tenant[one.tenant] < self._of_tenant
                if free and has_more and has_place:
                    wanted[one.webhook_id] += 1
                    of_webhook[one.webhook_id] += 1
                    of_tenant[one.tenant] += 1
                    free -= 1
        return {webhook_id: number for webhook_id, number in wanted.items() if number}

    def wait_until_free(self, timeout_s: float) -> None:
        """Wait until no place is taken, for at most ``timeout_s``."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken, timeout_s)
