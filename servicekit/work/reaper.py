"""A thread that ends the versions that no worker will end. It waits for the store, which the heartbeat must not."""

from __future__ import annotations

import threading
from collections.abc import Callable

from servicekit.errors import ServiceError
from servicekit.journal import Journal, OwningService
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.work.thread_group import ThreadGroup, boundary

_INTERVAL_S = 0.5
_log = logger(__name__)


class Reaper:
    """Calls ``before_reap``, which removes orphaned files, then has the journal end orphaned and expired versions."""

    def __init__(
        self, journal: Journal, owner: OwningService, *, before_reap: Callable[[], None], metrics: Metrics | None
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._before_reap = before_reap
        self._metrics = metrics
        self._stopping = threading.Event()
        self.threads = ThreadGroup("work-reaper", self._loop, size=1)

    def stop(self, timeout_s: float) -> None:
        """Stop after the current round. The store may keep it waiting for longer than ``timeout_s``."""
        self._stopping.set()
        self.threads.join(timeout_s)

    def _loop(self) -> None:
        while not self._stopping.wait(_INTERVAL_S):
            with boundary("ending orphaned versions failed unexpectedly"):
                self._reap()

    def _reap(self) -> None:
        try:
            self._before_reap()
            self._journal.reap(self._owner)
            if self._metrics is not None:
                self._metrics.queued.set(self._journal.count_queued(self._owner))
        except ServiceError as error:
            _log.warning("ending expired and orphaned versions failed, will retry", message=error.message)
