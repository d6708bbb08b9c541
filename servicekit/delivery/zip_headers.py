"""The layout and headers of a stored ZIP: ZIP64 only where a size or offset needs it.

Source: PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from servicekit.audio.digest import Content, ContentDigest, digest

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")

_STORED = 0
_NO_FLAGS = 0
_TIME = 0
_DATE = 0x0021
"""1980-01-01, the first day that a ZIP can name."""
_VERSION_PLAIN = 20
_VERSION_ZIP64 = 45
_MADE_ON_UNIX = 3 << 8
_REGULAR_FILE_0644 = 0o100644 << 16
_FULL_32 = 0xFFFFFFFF
_FULL_16 = 0xFFFF
_ZIP64_TAG = 1


@dataclass(frozen=True, eq=False)
class PackedFile:
    """A file to be packed: its name in the folder, its content and the digest of that content."""

    name: str
    content: Content
    digest: ContentDigest

    @classmethod
    def of(cls, name: str, content: Content) -> PackedFile:
        """Read ``content`` once for its digest."""
        return cls(name, content, digest(content))


@dataclass(frozen=True)
class PlacedFile:
    """A file with its path in the ZIP and the offset of its local header."""

    path: bytes
    file: PackedFile
    offset: int

    @property
    def data_offset(self) -> int:
        """Offset of the file's first byte."""
        return self.offset + len(local_header(self))


def lay_out(folder: str, files: Sequence[PackedFile]) -> list[PlacedFile]:
    """Place ``files`` one after the other under ``folder``, which ends in a slash."""
    placed: list[PlacedFile] = []
    offset = 0
    for file in files:
        path = (folder + file.name).encode("ascii")
        place = PlacedFile(path, file, offset)
        offset = place.data_offset + file.digest.size_bytes
        placed.append(place)
    return placed


def local_header(place: PlacedFile) -> bytes:
    """The header in front of a file's data."""
    size = place.file.digest.size_bytes
    # Either both sizes are in the extra field or none.
    extra = struct.pack("<HHQQ", _ZIP64_TAG, 16, size, size) if size >= _FULL_32 else b""
    shown = min(size, _FULL_32)
    return (
        _LOCAL.pack(
            b"PK\3\4",
            _VERSION_ZIP64 if extra else _VERSION_PLAIN,
            _NO_FLAGS,
            _STORED,
            _TIME,
            _DATE,
            place.file.digest.crc32,
            shown,
            shown,
            len(place.path),
            len(extra),
        )
        + place.path
        + extra
    )


def central_header(place: PlacedFile) -> bytes:
    """A file's entry in the central directory."""
    size = place.file.digest.size_bytes
    wide = [size, size] if size >= _FULL_32 else []
    if place.offset >= _FULL_32:
        wide.append(place.offset)
    extra = struct.pack(f"<HH{len(wide)}Q", _ZIP64_TAG, 8 * len(wide), *wide) if wide else b""
    version = _VERSION_ZIP64 if wide else _VERSION_PLAIN
    shown = min(size, _FULL_32)
    return (
        _CENTRAL.pack(
            b"PK\1\2",
            _MADE_ON_UNIX | version,
            version,
            _NO_FLAGS,
            _STORED,
            _TIME,
            _DATE,
            place.file.digest.crc32,
            shown,
            shown,
            len(place.path),
            len(extra),
            0,
            0,
            0,
            _REGULAR_FILE_0644,
            min(place.offset, _FULL_32),
        )
        + place.path
        + extra
    )


def end_records(count: int, central_size: int, central_offset: int) -> bytes:
    """The end of the central directory, with the ZIP64 records if a value needs them."""
    end = _END.pack(
        b"PK\5\6",
        0,
        0,
        min(count, _FULL_16),
        min(count, _FULL_16),
        min(central_size, _FULL_32),
        min(central_offset, _FULL_32),
        0,
    )
    if count < _FULL_16 and central_size < _FULL_32 and central_offset < _FULL_32:
        return end
    end_64 = _END_64.pack(
        b"PK\6\6",
        _END_64.size - 12,
        _MADE_ON_UNIX | _VERSION_ZIP64,
        _VERSION_ZIP64,
        0,
        0,
        count,
        count,
        central_size,
        central_offset,
    )
    return end_64 + _LOCATOR_64.pack(b"PK\6\7", 0, central_offset + central_size, 1) + end
