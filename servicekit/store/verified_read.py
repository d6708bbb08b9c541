"""Reads that end in DATA_LOSS if the bytes do not have the recorded digest (docs/contract.md, section 9)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import BinaryIO, Protocol

from servicekit.errors import DataLoss, NotFound
from servicekit.store.object_store import too_large

CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """What objects are read from, such as an `ObjectStore`."""

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[BinaryIO]:
        """As `ObjectStore.open`."""
        ...


def verified_chunks(
    store: Readable,
    key: str,
    sha256: str,
    *,
    offset: int = 0,
    length: int | None = None,
) -> Iterator[bytes]:
    """Yield an object, or ``length`` bytes of it from ``offset`` on, in chunks of at most 1 MiB.

    The digest is known only at the end: trust the chunks once the iterator has ended. It ends with DataLoss DIGEST_MISMATCH
    unless the SHA-256 of all chunks is ``sha256`` (hex).
    """
    digest = hashlib.sha256()
    with open_stored(store, key, sha256, offset=offset, length=length) as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            yield chunk
    _compare(key, sha256, digest.hexdigest())


@contextmanager
def open_stored(
    store: Readable, key: str, sha256: str, *, offset: int = 0, length: int | None = None
) -> Iterator[BinaryIO]:
    """An object that is known to have been stored: if it is missing, that is DataLoss DIGEST_MISMATCH too."""
    with ExitStack() as stack:
        try:
            source = stack.enter_context(store.open(key, offset=offset, length=length))
        except NotFound as gone:
            raise DataLoss(
                f"object {key} was stored and is missing now; restore it from a backup",
                metadata={"key": key, "expected_sha256": sha256, "found_sha256": ""},
            ) from gone
        yield source


@contextmanager
def open_verified(
    store: Readable, key: str, sha256: str, *, offset: int = 0, length: int | None = None
) -> Iterator[VerifiedReader]:
    """An object, or ``length`` bytes of it from ``offset`` on, to be read sequentially.

    The end of the block reads the rest and raises DataLoss as `verified_chunks` does.

    An exception in the block passes without a check.
    """
    with open_stored(store, key, sha256, offset=offset, length=length) as source:
        reader = VerifiedReader(source)
        yield reader
        while reader.read(CHUNK_BYTES):
            pass
        _compare(key, sha256, reader.sha256)


class VerifiedReader:
    """A reader that digests what it reads."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        data = self._source.read(size)
        self._digest.update(data)
        return data

    @property
    def sha256(self) -> str:
        """The digest of what was read so far, hex."""
        return self._digest.hexdigest()


def read_verified(
    store: Readable,
    key: str,
    sha256: str,
    *,
    max_bytes: int,
    offset: int = 0,
    length: int | None = None,
) -> bytes:
    """An object, or ``length`` bytes of it from ``offset`` on, whose SHA-256 is ``sha256`` (hex).

    Raises DataLoss DIGEST_MISMATCH if it is not, ResourceExhausted TOO_LARGE if it has more than ``max_bytes``.
    """
    data = bytearray()
    for chunk in verified_chunks(store, key, sha256, offset=offset, length=length):
        if len(data) + len(chunk) > max_bytes:
            raise too_large(key, max_bytes)
        data += chunk
    return bytes(data)


def _compare(key: str, expected_sha256: str, found_sha256: str) -> None:
    if expected_sha256.lower() != found_sha256:
        raise DataLoss(
            f"object {key} must have the SHA-256 {expected_sha256}, has {found_sha256}; restore it from a backup",
            metadata={"key": key, "expected_sha256": expected_sha256, "found_sha256": found_sha256},
        )
