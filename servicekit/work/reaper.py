"""A thread that ends the versions that no worker will end. It waits for the store, which the heartbeat must not."""

from __future__ import annotations

from collections.abc import Callable

from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import Journal, OwningService
from servicekit.metrics import Metrics
from servicekit.work.repeating_thread import RepeatingThread

_PAUSE_S = 0.5


class Reaper(RepeatingThread):
    """Calls ``before_reap``, which removes orphaned files, then has the journal end orphaned and expired versions."""

    def __init__(
        self,
        journal: Journal,
        owner: OwningService,
        *,
        before_reap: Callable[[], None],
        metrics: Metrics | None,
        faults: Faults = NO_FAULTS,
    ) -> None:
        super().__init__("work-reaper", pause_s=_PAUSE_S, faults=faults)
        self._journal = journal
        self._owner = owner
        self._before_reap = before_reap
        self._metrics = metrics

    def repeat(self) -> bool:
        """All orphaned and expired versions."""
        self._before_reap()
        self._journal.reap(self._owner)
        if self._metrics is not None:
            self._metrics.queued.set(self._journal.count_queued(self._owner))
        return False
