"""Size and digests of repeatable content."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class Content(Protocol):
    """Bytes of known length that can be produced repeatedly."""

    @property
    def size_bytes(self) -> int:
        """Length in bytes, known in advance."""

    def chunks(self) -> Iterator[bytes]:
        """All bytes in order."""


@dataclass(frozen=True)
class ContentDigest:
    """``sha256`` is lower-case hex; ``crc32`` is the checksum in a ZIP."""

    size_bytes: int
    sha256: str
    crc32: int


def digest(content: Content) -> ContentDigest:
    """Read ``content`` once."""
    sha256, crc32, size = hashlib.sha256(), 0, 0
    for chunk in content.chunks():
        sha256.update(chunk)
        crc32 = zlib.crc32(chunk, crc32)
        size += len(chunk)
    return ContentDigest(size, sha256.hexdigest(), crc32)
