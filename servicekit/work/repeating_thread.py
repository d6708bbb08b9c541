"""A thread that does a small piece of work again and again: upkeep that must neither stop nor hold up anything else."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from servicekit.errors import ServiceError
from servicekit.faults import NO_FAULTS, FaultPoint, Faults
from servicekit.repeated_problem import RepeatedProblem
from servicekit.work.thread_group import ThreadGroup, boundary

_MORE = 50
"""After a round that left something to do, the next one follows after this part of the pause: it leaves room for other writers."""


class RepeatingThread(ABC):
    """Calls `repeat` during its ``with`` block, ``pause_s`` after the end of the last call. No error ends the thread.

    ``name`` is the thread's and says in the log what failed. At THREAD_DEATH the thread ends before a round.
    """

    def __init__(self, name: str, *, pause_s: float, faults: Faults = NO_FAULTS) -> None:
        self._name = name
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._faults = faults
        self._problem = RepeatedProblem(name)
        self._threads = ThreadGroup(name, self._loop, size=1, faults=faults)

    @abstractmethod
    def repeat(self) -> bool:
        """One small round; True where more is left to do. After a ServiceError the next round tries again."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the thread: the beginning of the ``with`` block."""
        self._threads.start()

    def keep_alive(self) -> bool:
        """Replace the thread if it has died; False where none can be started."""
        return self._stopping.is_set() or self._threads.keep_alive()

    def stop(self, timeout_s: float | None = None) -> None:
        """Stop after the current round, which is waited for for at most ``timeout_s``."""
        self._stopping.set()
        self._threads.join(timeout_s)

    def _loop(self) -> None:
        while not (self._stopping.is_set() or self._faults.occurs(FaultPoint.THREAD_DEATH)):
            more = False
            with boundary(f"{self._name} failed unexpectedly"):
                try:
                    more = self.repeat()
                    self._problem.over()
                except ServiceError as error:
                    self._problem.occurred(error)
            self._stopping.wait(self._pause_s / _MORE if more else self._pause_s)
