"""Exclusive use of the GPU by one process of the host at a time.

The lock is a kernel lock on a file, so it is released however its holder dies. A second file makes it fair: the next holder locks
it while waiting, so a process that has just released the GPU cannot overtake a waiting one. Within a process the lock is granted
in the order of the calls.
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
    """A lock on the device."""

    def held(self, check: Callable[[], None] | None = None) -> AbstractContextManager[None]:
        """Hold the lock during the block. ``check`` is called repeatedly while waiting; if it raises, the wait ends."""


class GpuLock:
    """The lock behind ``path``, a file in an existing folder. Processes that share a GPU must use the same path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_path = path.with_name(path.name + ".next")
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    @contextmanager
    def held(self, check: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lock during the block. Not reentrant: a nested call in the same thread deadlocks.

        ``check`` is called about a hundred times per second while waiting; if it raises, the wait ends.
        """
        check = check or _no_check
        with self._first_in_process(check), _locked(self._next_path, check) as next_lock, _locked(self._path, check):
            fcntl.flock(next_lock, fcntl.LOCK_UN)
            yield

    @property
    def has_waiter(self) -> bool:
        """True while another process waits for the lock that this process holds."""
        with _open(self._next_path) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextmanager
    def _first_in_process(self, check: Callable[[], None]) -> Iterator[None]:
        me = object()
        with self._changed:
            self._queue.append(me)
        try:
            while True:
                with self._changed:
                    if self._queue[0] is me:
                        break
                    self._changed.wait(_POLL_S)
                check()
            yield
        finally:
            with self._changed:
                self._queue.remove(me)
                self._changed.notify_all()


class SharedGpuLock:
    """A GPU lock that the threads of this process hold together, for work that shares batches on the device.

    A thread that asks while others of the process hold the lock joins them, unless another process waits for it. Then the holders
    finish first, and the thread waits behind the other process.
    """

    def __init__(self, gpu_lock: GpuLock) -> None:
        self._gpu_lock = gpu_lock
        self._changed = threading.Condition()
        self._holders = 0
        self._acquiring = False
        self._held = ExitStack()

    @contextmanager
    def held(self, check: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lock, alone or with other threads, during the block. ``check`` as in `GpuLock.held`."""
        self._join_or_acquire(check or _no_check)
        try:
            yield
        finally:
            with self._changed:
                self._holders -= 1
                if self._holders == 0:
                    self._held.close()
                self._changed.notify_all()

    def _join_or_acquire(self, check: Callable[[], None]) -> None:
        while True:
            check()
            with self._changed:
                if self._holders and not self._gpu_lock.has_waiter:
                    self._holders += 1
                    return
                if not self._holders and not self._acquiring:
                    self._acquiring = True
                    break
                self._changed.wait(_POLL_S)
        self._acquire(check)

    def _acquire(self, check: Callable[[], None]) -> None:
        """Acquire the lock for this process; its other threads wait meanwhile and then join."""
        holders, held = 0, ExitStack()
        try:
            held.enter_context(self._gpu_lock.held(check))
            holders = 1
        finally:
            with self._changed:
                self._acquiring, self._holders, self._held = False, holders, held
                self._changed.notify_all()


@contextmanager
def _locked(path: Path, check: Callable[[], None]) -> Iterator[int]:
    """A descriptor of the file, locked exclusively."""
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
    """A descriptor of the file, which is created if missing. Closing the descriptor releases its lock."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _no_check() -> None:
    """Never ends a wait."""
