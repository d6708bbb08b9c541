"""Reference clips as files: found by their index, checked against their digests, and read in parts."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from servicekit.errors import NotFound
from servicekit.store.object_store import not_found
from servicekit.store.verified_read import Readable, verified_chunks

PART_BYTES = 256 * 1024
_MEDIA_TYPES = {b"RIFF": "audio/wav", b"fLaC": "audio/flac", b"FORM": "audio/aiff", b"OggS": "audio/ogg"}
_UNKNOWN_MEDIA_TYPE = "application/octet-stream"
_ID3_HEADER_BYTES = 10


@dataclass(frozen=True, kw_only=True)
class ClipFile:
    """One clip in the store, or in the folder of the built-in personas, with the SHA-256 that was recorded for it."""

    source: Readable
    key: str
    sha256: str

    def check(self) -> CheckedClip:
        """Read all of it once. Raises NotFound FILE_NOT_FOUND, and DataLoss DIGEST_MISMATCH if its bytes are not those recorded."""
        size_bytes = sum(map(len, verified_chunks(self.source, self.key, self.sha256)))
        return CheckedClip(file=self, media_type=self._media_type(size_bytes), size_bytes=size_bytes)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from ``offset`` on, at most ``length``."""
        data = bytearray()
        with self.source.open(self.key, offset=offset, length=length) as part:
            while chunk := part.read(length - len(data)):
                data += chunk
        return bytes(data)

    def _media_type(self, size_bytes: int) -> str:
        """By the first bytes, after an ID3 tag if it has one: libsndfile skips it."""
        start = self.read(0, _ID3_HEADER_BYTES)
        if start[:3] == b"ID3" and len(start) == _ID3_HEADER_BYTES:
            tag_bytes = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(start[6:])))
            start = self.read(_ID3_HEADER_BYTES + tag_bytes, 4) if _ID3_HEADER_BYTES + tag_bytes < size_bytes else b""
        return _MEDIA_TYPES.get(start[:4], _UNKNOWN_MEDIA_TYPE)


@dataclass(frozen=True, kw_only=True)
class CheckedClip:
    """A clip whose bytes were those recorded when it was checked."""

    file: ClipFile
    media_type: str
    size_bytes: int

    def part(self, offset: int) -> bytes:
        """At most :data:`PART_BYTES` from ``offset`` on. Raises NotFound FILE_NOT_FOUND if the clip was deleted meanwhile."""
        length = min(PART_BYTES, self.size_bytes - offset)
        data = self.file.read(offset, length)
        if len(data) != length:
            raise not_found(self.file.key)
        return data


class BuiltInClips:
    """The clips of the built-in personas, by keys such as ``glass-orchard/clip-0.flac``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keys(self, persona_id: str) -> list[str]:
        """Those of one persona, in order."""
        return [f"{persona_id}/{path.name}" for path in sorted((self._folder / persona_id).glob("clip-*.flac"))]

    @contextmanager
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[BinaryIO]:
        """As `ObjectStore.open`."""
        try:
            with (self._folder / key).open("rb") as file:
                file.seek(offset)
                data = file.read(-1 if length is None else length)
        except FileNotFoundError as gone:
            raise not_found(key) from gone
        yield io.BytesIO(data)


def unknown_clip(persona_id: str, index: int, count: int) -> NotFound:
    """The error for an index beyond the clips of a persona."""
    return NotFound(
        f"clip_index must be below {count}, the number of clips of the persona {persona_id!r}, got {index}",
        reason="FILE_NOT_FOUND",
        metadata={"persona_id": persona_id, "clips": str(count)},
    )
