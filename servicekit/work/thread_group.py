"""Threads that must not be missing: an error does not end them, and one that has died all the same is replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from servicekit.faults import NO_FAULTS, FaultPoint, Faults
from servicekit.logs import logger

_log = logger(__name__)


class ThreadGroup:
    """``size`` daemon threads that run ``loop``, which returns when they are no longer needed."""

    def __init__(self, name: str, loop: Callable[[], None], *, size: int, faults: Faults = NO_FAULTS) -> None:
        self._name = name
        self._loop = loop
        self._size = size
        self._faults = faults
        self._started = 0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start all threads. Raises RuntimeError where the system has no room for one."""
        for _ in range(self._size):
            self._start_one()

    def keep_alive(self) -> bool:
        """Replace threads that have ended; False where one cannot be started. Not for use after the loops were asked to return."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        while len(self._threads) < self._size:
            try:
                self._faults.refuse_thread()
                self._start_one()
            except RuntimeError as error:
                _log.error("a thread died and cannot be replaced", thread=self._name, message=str(error))
                return False
            _log.error("a thread died and was replaced", thread=self._name)
        return True

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end of all threads, for at most ``timeout_s`` together."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if deadline_s is None else max(deadline_s - time.monotonic(), 0.0))

    def _start_one(self) -> None:
        dies = self._faults.occurs(FaultPoint.THREAD_DEATH)
        thread = threading.Thread(
            target=_die if dies else self._loop, name=f"{self._name}-{self._started}", daemon=True
        )
        thread.start()
        self._started += 1
        self._threads.append(thread)


def _die() -> None:
    """The loop of a thread that ends at once."""


@contextmanager
def boundary(what: str) -> Iterator[None]:
    """Log an unexpected error of one round of a thread, which goes on with the next round."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  the boundary of a thread that must go on
        _log.error(what, exc_info=error)
