"""The object store as the services use it.

Synchronous, and safe to share between threads; call it from a worker thread where an event loop runs.

Errors, the same for every implementation::

    InvalidKey (ValueError)               the key or prefix breaks the rules of object_key.py; nothing was read or written
    NotFound FILE_NOT_FOUND               no such object                  metadata: key
    Unavailable STORE_UNAVAILABLE         the store does not answer       metadata: operation; retry_after_s is set
    ResourceExhausted DISK_FULL           no space left                   metadata: path
    ResourceExhausted TOO_LARGE           more bytes than the reader allows   metadata: key, limit_bytes
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from servicekit.delivery.files import StoredFile
from servicekit.errors import NotFound, ResourceExhausted, Unavailable

MAX_URL_TTL_S = 7 * 24 * 3600
"""S3's own limit for a presigned URL (Signature Version 4)."""


@dataclass(frozen=True)
class ObjectStat:
    """What a store knows of an object without reading it. ``sha256`` is lower-case hex, None where it is not known.

    ``modified_at`` is when it was last written, with its zone, by the store's clock.
    """

    size_bytes: int
    sha256: str | None
    modified_at: datetime


@dataclass(frozen=True)
class SignedUrl:
    """A URL for GET of one object, with Range, refused from ``expires_at`` (UTC) on."""

    url: str
    expires_at: datetime


class ObjectWriter(Protocol):
    """An unseekable sink. ``zipfile.ZipFile(writer, "w")`` accepts it."""

    @property
    def stored(self) -> StoredFile:
        """Size and digest of what was written. Raises RuntimeError before the ``with`` block has ended without an exception."""
        ...

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Write all of ``data``; returns its size in bytes."""
        ...

    def flush(self) -> None:
        """Do nothing: the end of the ``with`` block makes the object visible."""
        ...

    def close(self) -> None:
        """Do nothing: the ``with`` block commits or aborts."""
        ...


class ObjectStore(Protocol):
    """Objects by key. A prefix names a folder: ``jobs/1`` never covers ``jobs/10/v1.zip``."""

    def put_bytes(self, key: str, data: bytes, *, content_type: str, fallback: str = "") -> StoredFile:
        """Store ``data``, replacing an existing object unless there is a ``fallback``: see :meth:`writer`."""
        ...

    def writer(self, key: str, *, content_type: str, fallback: str = "") -> AbstractContextManager[ObjectWriter]:
        """Stream an object of unknown size in bounded memory.

        It becomes visible only when the block ends without an exception; otherwise nothing of it remains. It replaces an
        existing object, unless there is a ``fallback``, a key that nobody else uses: then it is stored there if the store cannot
        tell, in one step, that ``key`` is free. A folder can tell, S3 cannot. ``stored`` has the key that was used.
        """
        ...

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[BinaryIO]:
        """Read ``length`` bytes (None: all) from byte ``offset`` on, sequentially.

        A range ends at the object's end at the latest, and is empty if it begins there or beyond.
        """
        ...

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """The whole object. Raises TOO_LARGE if it has more than ``max_bytes``."""
        ...

    def stat(self, key: str) -> ObjectStat | None:
        """Size and, if known, digest; None if there is no such object."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object. A missing object is no error."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object in a folder; returns their number. Raises InvalidKey for the empty prefix."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys in a folder (empty: all), in ascending order of characters."""
        ...

    def signed_url(self, key: str, *, ttl_s: int) -> SignedUrl:
        """A URL for GET, valid for ``ttl_s`` seconds (1 to 604800, ValueError otherwise).

        Sends no request to the store, so the object need not exist.
        """
        ...


class ObjectDigest:
    """Size in bytes and SHA-256 of bytes that are given piece by piece."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add the next bytes."""
        self._sha256.update(data)
        self.size_bytes += memoryview(data).nbytes

    def stored(self, key: str) -> StoredFile:
        """The bytes so far, as an object under ``key``."""
        return StoredFile(key=key, sha256=self._sha256.hexdigest(), size_bytes=self.size_bytes)


def not_found(key: str) -> NotFound:
    """The error for a key without an object."""
    return NotFound(
        f"the store has no object {key}; it was never completed, or it was deleted",
        reason="FILE_NOT_FOUND",
        metadata={"key": key},
    )


def unavailable(operation: str, cause: str, *, retry_after_s: float) -> Unavailable:
    """The error for an ``operation`` that the store cannot do now; ``cause`` says why."""
    return Unavailable(
        f"the object store failed to {operation}: {cause}",
        reason="STORE_UNAVAILABLE",
        metadata={"operation": operation},
        retry_after_s=retry_after_s,
    )


def disk_full(path: str) -> ResourceExhausted:
    """The error for a store without space for ``path``, relative to the store."""
    return ResourceExhausted(
        f"no space left in the object store for {path}; free some space, then try again",
        reason="DISK_FULL",
        metadata={"path": path},
    )


def too_large(key: str, limit_bytes: int) -> ResourceExhausted:
    """The error for an object with more bytes than its reader allows."""
    return ResourceExhausted(
        f"object {key} must have at most {limit_bytes} bytes to be read whole, has more; read it in parts",
        reason="TOO_LARGE",
        metadata={"key": key, "limit_bytes": str(limit_bytes)},
    )


def check_ttl(ttl_s: int) -> int:
    """Return a URL's time to live in seconds, or raise ValueError."""
    if not 1 <= ttl_s <= MAX_URL_TTL_S:
        raise ValueError(f"ttl_s of a signed URL must be between 1 and {MAX_URL_TTL_S}, got {ttl_s}")
    return ttl_s


def check_range(offset: int, length: int | None) -> None:
    """Raise ValueError for a negative offset or length."""
    if offset < 0 or (length is not None and length < 0):
        raise ValueError(f"offset and length of a range must be 0 or more, got {offset} and {length}")
