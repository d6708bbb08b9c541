"""A store and a device lock that refuse what `servicekit.faults` decides; everything else they pass on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from servicekit.delivery.files import StoredFile
from servicekit.faults import FaultPoint, Faults
from servicekit.gpu_lock import DeviceLock
from servicekit.store.object_store import ObjectStat, ObjectStore, ObjectWriter, SignedUrl, unavailable

_SLOW_S = 1.0
_RETRY_AFTER_S = 1.0


class FaultyStore:
    """An `ObjectStore` in front of another."""

    def __init__(self, store: ObjectStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def put_bytes(self, key: str, data: bytes, *, content_type: str, fallback: str = "") -> StoredFile:
        """See `ObjectStore`."""
        self._meet(FaultPoint.STORE_WRITE, "write")
        return self._store.put_bytes(key, data, content_type=content_type, fallback=fallback)

    @contextmanager
    def writer(self, key: str, *, content_type: str, fallback: str = "") -> Iterator[ObjectWriter]:
        """See `ObjectStore`. The refusal comes after everything was written."""
        with self._store.writer(key, content_type=content_type, fallback=fallback) as writer:
            yield writer
            self._meet(FaultPoint.STORE_WRITE, "write")

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[BinaryIO]:
        """See `ObjectStore`."""
        self._meet(FaultPoint.STORE_READ, "read")
        with self._store.open(key, offset=offset, length=length) as opened:
            yield opened

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """See `ObjectStore`."""
        self._meet(FaultPoint.STORE_READ, "read")
        return self._store.read(key, max_bytes=max_bytes)

    def stat(self, key: str) -> ObjectStat | None:
        """See `ObjectStore`."""
        self._meet(FaultPoint.STORE_READ, "stat")
        return self._store.stat(key)

    def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        self._meet(FaultPoint.STORE_WRITE, "delete")
        self._store.delete(key)

    def delete_prefix(self, prefix: str) -> int:
        """See `ObjectStore`."""
        self._meet(FaultPoint.STORE_WRITE, "delete")
        return self._store.delete_prefix(prefix)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See `ObjectStore`."""
        self._meet(FaultPoint.STORE_READ, "list")
        return self._store.keys(prefix)

    def signed_url(self, key: str, *, ttl_s: int) -> SignedUrl:
        """See `ObjectStore`."""
        return self._store.signed_url(key, ttl_s=ttl_s)

    def _meet(self, point: FaultPoint, operation: str) -> None:
        if self._faults.occurs(FaultPoint.STORE_SLOW):
            time.sleep(_SLOW_S)
        if self._faults.occurs(point):
            raise unavailable(operation, "injected", retry_after_s=_RETRY_AFTER_S)


class FaultyDeviceLock:
    """A `DeviceLock` in front of another: at DEVICE_MEMORY its holder meets a device without memory."""

    def __init__(self, lock: DeviceLock, faults: Faults) -> None:
        self._lock = lock
        self._faults = faults

    @contextmanager
    def held(self, check: Callable[[], None] | None = None) -> Iterator[None]:
        """See `DeviceLock`. Raises MemoryError."""
        with self._lock.held(check):
            if self._faults.occurs(FaultPoint.DEVICE_MEMORY):
                raise MemoryError("injected")
            yield
