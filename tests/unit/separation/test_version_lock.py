"""Calls for one version wait for each other; calls for others do not."""

from __future__ import annotations

import threading

import pytest

from separation_service.version_lock import VersionLocks
from servicekit.delivery.keys import VersionKeys

V1, V2 = VersionKeys("j-1", 1), VersionKeys("j-1", 2)


class StopWaiting(Exception):
    """Raised by a check."""


def stop() -> None:
    """A check of work that has to stop."""
    raise StopWaiting


def never() -> None:
    """A check of work that goes on."""


def test_the_second_call_for_a_version_waits_for_the_release_of_the_first() -> None:
    """However many wait, each starts when the one before it has released."""
    locks = VersionLocks()
    first, second, third = (locks.reserve(V1) for _ in range(3))
    first.acquire(stop)
    with pytest.raises(StopWaiting):
        second.acquire(stop)
    started: list[str] = []

    def work() -> None:
        third.acquire(never)
        started.append("third")

    thread = threading.Thread(target=work)
    thread.start()
    first.release()
    second.acquire(stop)
    assert started == []
    second.release()
    thread.join()
    assert started == ["third"]
    third.release()
    locks.reserve(V1).acquire(stop)


def test_calls_for_other_versions_and_calls_that_store_nothing_wait_for_nobody() -> None:
    """While a call for v1 runs."""
    locks = VersionLocks()
    locks.reserve(V1).acquire(stop)
    for version in (V2, None, None):
        locks.reserve(version).acquire(stop)
