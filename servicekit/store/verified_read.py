"""Reads that end in DATA_LOSS where the bytes are not those whose digest was kept (docs/contract.md, section 9)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from servicekit.errors import DataLoss, NotFound
from servicekit.store.object_store import ObjectStore, too_large

CHUNK_BYTES = 1 << 20


def verified_chunks(
    store: ObjectStore,
    key: str,
    sha256: str,
    *,
    offset: int = 0,
    length: int | None = None,
) -> Iterator[bytes]:
    """Yield an object, or ``length`` bytes of it from ``offset`` on, in chunks of at most 1 MiB.

    The digest is known only at the end: what was yielded is to be trusted once the iterator has ended. Then
    DataLoss DIGEST_MISMATCH is raised unless the SHA-256 of all of it is ``sha256`` (hex).
    """
    digest = hashlib.sha256()
    with opened(store, key, sha256, offset=offset, length=length) as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            yield chunk
    _compare(key, sha256, digest.hexdigest())


@contextmanager
def opened(
    store: ObjectStore, key: str, sha256: str, *, offset: int = 0, length: int | None = None
) -> Iterator[BinaryIO]:
    """An object that was kept: where it is gone, that is DataLoss DIGEST_MISMATCH too."""
    with ExitStack() as stack:
        try:
            source = stack.enter_context(store.open(key, offset=offset, length=length))
        except NotFound as gone:
            raise DataLoss(
                f"object {key} was stored and is gone; restore it from a copy",
                metadata={"key": key, "expected_sha256": sha256, "found_sha256": ""},
            ) from gone
        yield source


@contextmanager
def open_verified(store: ObjectStore, key: str, sha256: str) -> Iterator[VerifiedReader]:
    """An object to be read front to back; at the block's end the rest is read too, and DataLoss raised as by `verified_chunks`.

    An exception in the block goes its way without a verdict.
    """
    with opened(store, key, sha256) as source:
        reader = VerifiedReader(source)
        yield reader
        while reader.read(CHUNK_BYTES):
            pass
        _compare(key, sha256, reader.sha256)


class VerifiedReader:
    """Digests what is read through it."""

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
        """Of what was read so far, hex."""
        return self._digest.hexdigest()


def read_verified(
    store: ObjectStore,
    key: str,
    sha256: str,
    *,
    max_bytes: int,
    offset: int = 0,
    length: int | None = None,
) -> bytes:
    """An object, or ``length`` bytes of it from ``offset`` on, whose SHA-256 is ``sha256`` (hex).

    Raises DataLoss DIGEST_MISMATCH where it is not, ResourceExhausted TOO_LARGE where it has more than ``max_bytes``.
    """
    held = bytearray()
    for chunk in verified_chunks(store, key, sha256, offset=offset, length=length):
        if len(held) + len(chunk) > max_bytes:
            raise too_large(key, max_bytes)
        held += chunk
    return bytes(held)


def _compare(key: str, expected_sha256: str, found_sha256: str) -> None:
    if not hmac.compare_digest(expected_sha256.lower(), found_sha256):
        raise DataLoss(
            f"object {key} is not what was stored: its SHA-256 is {found_sha256}, {expected_sha256} was kept; "
            "restore it from a copy",
            metadata={"key": key, "expected_sha256": expected_sha256, "found_sha256": found_sha256},
        )
