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
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

_POLL_S = 0.01


class DeviceLock(Protocol):
    """The right to use the device, held as a ``with``."""

    def held(self, check: Callable[[], None] | None = None) -> AbstractContextManager[None]:
        """Hold it during the block; ``check`` is called while waiting, and what it raises ends the waiting."""


class GpuLock:
    """The turn behind ``path``, a file in a folder that exists; processes that share a GPU share the path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gate = path.with_name(path.name + ".next")
        self._changed = threading.Condition()
        self._asking: deque[object] = deque()

    @contextmanager
    def held(self, check: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the turn during the block.

        ``check`` is called about a hundred times a second while waiting; what it raises ends the waiting. Not to be nested: the
        same thread asking twice would wait for itself.
        """
        ask = check or _nothing
        with self._first_of_process(ask), _locked(self._gate, ask) as gate, _locked(self._path, ask):
            fcntl.flock(gate, fcntl.LOCK_UN)
            yield

    @property
    def wanted(self) -> bool:
        """True while another waits for the turn that this process has."""
        with _open(self._gate) as gate:
            try:
                fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

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


class SharedGpuLock:
    """A turn that the threads of this process have together, for work that shares the device's batches.

    Whoever asks while others of the process have the turn joins them, unless another process waits for it: then the ones that
    have it go on to their ends, and whoever asks waits behind the other process.
    """

    def __init__(self, turn: GpuLock) -> None:
        self._turn = turn
        self._changed = threading.Condition()
        self._inside = 0
        self._asking = False
        self._held = ExitStack()

    @contextmanager
    def held(self, check: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the turn, alone or in company, during the block. ``check`` as for `GpuLock.taken`."""
        self._enter(check or _nothing)
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if self._inside == 0:
                    self._held.close()
                self._changed.notify_all()

    def _enter(self, check: Callable[[], None]) -> None:
        while True:
            check()
            with self._changed:
                if self._inside and not self._turn.wanted:
                    self._inside += 1
                    return
                if not self._inside and not self._asking:
                    self._asking = True
                    break
                self._changed.wait(_POLL_S)
        self._ask(check)

    def _ask(self, check: Callable[[], None]) -> None:
        """Take the turn for this process; the others of it wait until it is there, then join."""
        inside, held = 0, ExitStack()
        try:
            held.enter_context(self._turn.held(check))
            inside = 1
        finally:
            with self._changed:
                self._asking, self._inside, self._held = False, inside, held
                self._changed.notify_all()


@contextmanager
def _locked(path: Path, check: Callable[[], None]) -> Iterator[int]:
    """The descriptor of a file locked for this process alone."""
    pause = threading.Event()
    with _open(path) as descriptor:
        while True:
            check()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pause.wait(_POLL_S)
            else:
                break
        yield descriptor


@contextmanager
def _open(path: Path) -> Iterator[int]:
    """A descriptor of the file, made where it is missing. Closing it lets a lock on it go."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _nothing() -> None:
    """Whoever has nothing to ask waits without asking."""
