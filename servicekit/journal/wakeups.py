"""Passes each committed event to the listeners in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from servicekit.journal.rows import Event

Listener = Callable[[Sequence[Event]], None]


class Wakeups:
    """Listeners for committed events. They run in the committing thread, so they must not block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    @contextmanager
    def subscribe(self, listener: Listener) -> Iterator[None]:
        """During the block, call ``listener`` with the events of every commit of this process."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

    def notify(self, events: Sequence[Event]) -> None:
        """Call every listener with the events of one commit."""
        for listener in self._listeners:
            listener(events)
