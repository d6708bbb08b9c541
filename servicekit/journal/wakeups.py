"""Tells whoever waits in this process what was just committed here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from servicekit.journal.rows import Event

Listener = Callable[[Sequence[Event]], None]


class Wakeups:
    """Listeners, called in the thread that committed. They return at once: set an event, wake a loop, note a number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Call ``listener`` with the events of every commit of this process during the block."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

    def tell(self, events: Sequence[Event]) -> None:
        """Call every listener."""
        for listener in self._listeners:
            listener(events)
