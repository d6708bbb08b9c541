"""One GPU, one turn at a time, over all processes of the host.

A lock of the kernel on a file, which is let go of however its holder dies. Two files make it fair: whoever is next holds the gate
while it waits for the turn, so a process that has just ended its turn cannot take the next one past a waiting neighbour. Within a
process turns are given in the order of asking.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.01


class GpuTurn:
    """The turn behind ``path``, a file in a folder that exists; processes that share a GPU share the path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gate = path.with_name(path.name + ".next")
        self._changed = threading.Condition()
        self._asking: deque[object] = deque()

    @contextmanager
    def taken(self, check: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the turn during the block.

        ``check`` is called about a hundred times a second while waiting; what it raises ends the waiting. Not to be nested: the
        same thread asking twice would wait for itself.
        """
        ask = check or _nothing
        with self._first_of_process(ask), _locked(self._gate, ask) as gate, _locked(self._path, ask):
            fcntl.flock(gate, fcntl.LOCK_UN)
            yield

    @contextmanager
    def _first_of_process(self, check: Callable[[], None]) -> Iterator[None]:
        ticket = object()
        with self._changed:
            self._asking.append(ticket)
        try:
            while True:
                with self._changed:
                    if self._asking[0] is ticket:
                        break
                    self._changed.wait(_POLL_S)
                check()
            yield
        finally:
            with self._changed:
                self._asking.remove(ticket)
                self._changed.notify_all()


@contextmanager
def _locked(path: Path, check: Callable[[], None]) -> Iterator[int]:
    """The descriptor of a file locked for this process alone."""
    pause = threading.Event()
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            check()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pause.wait(_POLL_S)
            else:
                break
        yield descriptor
    finally:
        os.close(descriptor)


def _nothing() -> None:
    """Whoever has nothing to ask waits without asking."""
