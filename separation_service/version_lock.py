"""Calls that store files of the same version run one after another, in the order in which they came."""

from __future__ import annotations

import threading
from collections.abc import Callable

from servicekit.delivery.keys import VersionKeys

_POLL_S = 0.1


class VersionLock:
    """One call's place in the order. Made by `VersionLocks.reserve`."""

    def __init__(self, before: VersionLock | None, on_release: Callable[[VersionLock], None]) -> None:
        self._before = before
        self._on_release = on_release
        self._released = threading.Event()

    def acquire(self, check: Callable[[], None]) -> None:
        """Wait until the call before has ended and cleaned up; what ``check`` raises meanwhile ends the wait."""
        while self._before is not None and not self._before.wait(_POLL_S):
            check()
        self._before = None

    def wait(self, timeout_s: float) -> bool:
        """Wait for the release; True once it is released."""
        return self._released.wait(timeout_s)

    def release(self) -> None:
        """Let the next call start: this one neither stores nor removes anything any more."""
        self._released.set()
        self._on_release(self)


class VersionLocks:
    """The order of the calls for each version."""

    def __init__(self) -> None:
        self._last: dict[VersionKeys, VersionLock] = {}
        self._lock = threading.Lock()

    def reserve(self, version: VersionKeys | None) -> VersionLock:
        """A place behind all earlier calls for this version; None for a call that stores nothing and waits for none."""
        if version is None:
            return VersionLock(None, lambda _: None)

        def forget(lock: VersionLock) -> None:
            with self._lock:
                if self._last.get(version) is lock:
                    del self._last[version]

        with self._lock:
            lock = VersionLock(self._last.get(version), forget)
            self._last[version] = lock
        return lock
