"""What the services ask of an object store.

Synchronous, and safe to share between threads; call it from a worker thread where an event loop runs.

Errors, the same for every implementation::

    InvalidKey (ValueError)               the key or prefix breaks the rules of object_key.py; nothing was touched
    NotFound FILE_NOT_FOUND               no such object                  metadata: key
    Unavailable STORE_UNAVAILABLE         the store does not answer       metadata: operation; retry_after_s is set
    ResourceExhausted DISK_FULL           no space left                   metadata: path
    ResourceExhausted TOO_LARGE           more bytes than the reader takes   metadata: key, limit_bytes
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from servicekit.errors import NotFound, ResourceExhausted, Unavailable

MAX_URL_LIFETIME_S = 7 * 24 * 3600
"""S3's own bound on a presigned URL (Signature Version 4)."""


@dataclass(frozen=True)
class StoredObject:
    """An object as the store holds it. ``sha256`` is lower-case hex, None where the store does not know it."""

    key: str
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True)
class SignedUrl:
    """A URL that fetches one object with GET, Range included, and is refused from ``expires_at`` (UTC) on."""

    url: str
    expires_at: datetime


class ObjectWriter(Protocol):
    """An unseekable sink. ``zipfile.ZipFile(writer, "w")`` accepts it."""

    @property
    def stored(self) -> StoredObject:
        """Size and digest of what was written. Only after the ``with`` block ended well; RuntimeError before."""
        ...

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Take all of ``data``; gives its size in bytes."""
        ...

    def flush(self) -> None:
        """Do nothing: what is visible is decided at the end of the ``with`` block."""
        ...

    def close(self) -> None:
        """Do nothing: the ``with`` block commits or aborts."""
        ...


class ObjectStore(Protocol):
    """Objects by key. A name given as ``prefix`` is a folder: ``jobs/1`` never covers ``jobs/10/v1.zip``."""

    def put_bytes(self, key: str, data: bytes, *, content_type: str) -> StoredObject:
        """Store ``data`` whole, in place of what was there."""
        ...

    def writer(self, key: str, *, content_type: str) -> AbstractContextManager[ObjectWriter]:
        """Stream an object of unknown size in bounded memory.

        It becomes visible, in place of what was there, only when the block ends without an exception; otherwise
        nothing of it stays.
        """
        ...

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[BinaryIO]:
        """Read ``length`` bytes (None: all) from byte ``offset`` on, front to back.

        A range that begins at the end or beyond it reads as empty, one that passes it ends there.
        """
        ...

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """The whole object, refused with TOO_LARGE where it has more than ``max_bytes``."""
        ...

    def stat(self, key: str) -> StoredObject | None:
        """Size and, where known, digest; None where there is no such object."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object. One that is not there is no error."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object in a folder and say how many. The empty prefix is refused with InvalidKey."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys in a folder (empty: all), in ascending order of characters."""
        ...

    def signed_url(self, key: str, *, lifetime_s: int) -> SignedUrl:
        """A URL for GET, valid for ``lifetime_s`` seconds (1 to 604800, ValueError otherwise).

        Needs no answer from the store and does not ask whether the object is there.
        """
        ...

    def probe(self) -> None:
        """Raise Unavailable, saying what to do, unless the store answers and its folder or bucket is there."""
        ...

    def describe(self) -> str:
        """What this store is and where, for logs; without secrets."""
        ...


class ObjectDigest:
    """Counts and digests the bytes that pass: size in bytes and SHA-256."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        self._sha256.update(data)
        self.size_bytes += memoryview(data).nbytes

    def stored(self, key: str) -> StoredObject:
        """What passed so far, as an object under ``key``."""
        return StoredObject(key, self.size_bytes, self._sha256.hexdigest())


def not_found(key: str) -> NotFound:
    """The error for a key without an object."""
    return NotFound(
        f"the store has no object {key}; it was never finished, or it was deleted",
        reason="FILE_NOT_FOUND",
        metadata={"key": key},
    )


def unavailable(operation: str, cause: str, *, retry_after_s: float) -> Unavailable:
    """The error for a store that does not do ``operation`` now, and why."""
    return Unavailable(
        f"the object store failed at {operation}: {cause}",
        reason="STORE_UNAVAILABLE",
        metadata={"operation": operation},
        retry_after_s=retry_after_s,
    )


def disk_full(path: str) -> ResourceExhausted:
    """The error for a store without space for ``path``, which is relative to the store."""
    return ResourceExhausted(
        f"no space left in the object store for {path}; free space there, then try again",
        reason="DISK_FULL",
        metadata={"path": path},
    )


def too_large(key: str, limit_bytes: int) -> ResourceExhausted:
    """The error for an object that has more bytes than its reader takes."""
    return ResourceExhausted(
        f"object {key} has more than {limit_bytes} bytes; read it in parts",
        reason="TOO_LARGE",
        metadata={"key": key, "limit_bytes": str(limit_bytes)},
    )


def check_lifetime(lifetime_s: int) -> int:
    """Give a URL's lifetime in seconds back, or raise ValueError."""
    if not 1 <= lifetime_s <= MAX_URL_LIFETIME_S:
        raise ValueError(f"a signed URL lives 1 to {MAX_URL_LIFETIME_S} seconds, not {lifetime_s}")
    return lifetime_s


def check_range(offset: int, length: int | None) -> None:
    """Raise ValueError for a range of bytes that cannot be meant."""
    if offset < 0 or (length is not None and length < 0):
        raise ValueError(f"a range has an offset and a length of 0 or more, not offset {offset} and length {length}")
