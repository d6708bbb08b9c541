"""Positions of the files in a ZIP, read from its directory without trusting it.

Nothing is unpacked or written. The directory of six files is small: a larger one is rejected unread, so that a hostile ZIP
cannot exhaust memory or disk. Layout by PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sonichaos_client.verify.report import CheckFailure

MAX_DIRECTORY_BYTES = 64 * 1024

_END = struct.Struct("<4sHHHHIIH")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_FULL_32 = 0xFFFFFFFF
_FULL_16 = 0xFFFF
_ENCRYPTED = 1
_DATA_DESCRIPTOR = 8
_FIRST_DAY = 0x0021
_ZIP64_VERSION = 45
_ZIP64_TAG = 1


class UnreadableZipError(Exception):
    """The structure of the archive is broken so that nothing else can be checked. The message says how."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file in the ZIP: its path as written, and the position of its bytes."""

    path: str
    offset: int
    size: int
    crc32: int

    @property
    def name(self) -> str:
        """The path without the folder."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """An entry of the central directory."""

    path: str
    flags: int
    method: int
    time: int
    date: int
    crc32: int
    packed: int
    size: int
    offset: int
    zip64: bool
    unix_mode: int
    needs: int
    extra_tags: tuple[int, ...]
    comment_bytes: int


def read_layout(file: BinaryIO, file_bytes: int) -> tuple[tuple[Member, ...], tuple[CheckFailure, ...]]:
    """The files that can be read safely, in their order, and the failed checks. Raises UnreadableZipError."""
    directory_offset, directory, failures = _directory(file, file_bytes)
    members: list[Member] = []
    end = 0
    for entry in sorted(_entries(directory), key=lambda e: e.offset):
        failures += _entry_findings(entry)
        failures += _check_gap(end, entry.offset)
        data_offset, header_failures = _data_offset(file, entry)
        failures += header_failures
        end = data_offset + entry.packed
        if end > directory_offset:
            raise UnreadableZipError(f"the stated size of {entry.path!r} goes past the end of the files")
        if entry.method == 0 and not entry.flags & _ENCRYPTED and entry.packed == entry.size:
            members.append(Member(path=entry.path, offset=data_offset, size=entry.size, crc32=entry.crc32))
    failures += _check_gap(end, directory_offset)
    return tuple(members), tuple(failures)


def _check_gap(end: int, start: int) -> list[CheckFailure]:
    """Files must follow each other without gaps, which could hide data, and must not overlap."""
    if start < end:
        raise UnreadableZipError("files overlap")
    return (
        [CheckFailure("zip", "", f"{start - end} bytes at offset {end} do not belong to any file")]
        if start > end
        else []
    )


def _directory(file: BinaryIO, file_bytes: int) -> tuple[int, bytes, list[CheckFailure]]:
    """Offset and bytes of the central directory."""
    if file_bytes < _END.size:
        raise UnreadableZipError(f"not a ZIP: {file_bytes} bytes is too short")
    end = file_bytes - _END.size
    signature, disk, first_disk, here, count, size, offset, comment = _END.unpack(_at(file, end, _END.size))
    if signature != b"PK\5\6" or comment:
        raise UnreadableZipError(
            "no end of a ZIP without a comment: it is not a ZIP, is truncated, or has data appended"
        )
    if disk or first_disk or here != count:
        raise UnreadableZipError("a part of a multi-part archive")
    failures: list[CheckFailure] = []
    wide = _wide_end(file, end - _LOCATOR_64.size)
    if wide is not None:
        if _FULL_32 not in (size, offset) and count != _FULL_16:
            failures.append(CheckFailure("zip64", "", "ZIP64 end record in an archive small enough for the plain one"))
        end, count, size, offset = wide
    if size > MAX_DIRECTORY_BYTES:
        raise UnreadableZipError(f"expected a directory of at most {MAX_DIRECTORY_BYTES} bytes, got {size}")
    if offset + size != end:
        raise UnreadableZipError(
            "the directory is not at its stated position: the archive is truncated or has data inserted"
        )
    directory = _at(file, offset, size)
    if sum(1 for _ in _entries(directory)) != count:
        raise UnreadableZipError(f"the directory does not list the stated {count} files")
    return offset, directory, failures


def _wide_end(file: BinaryIO, locator_at: int) -> tuple[int, int, int, int] | None:
    """Position of the ZIP64 end record, and its count, size and offset of the directory; None if there is none."""
    locator = _at(file, locator_at, _LOCATOR_64.size) if locator_at >= 0 else b""
    if locator[:4] != b"PK\6\7":
        return None
    end = int(_LOCATOR_64.unpack(locator)[2])
    if end + _END_64.size != locator_at:
        raise UnreadableZipError("the ZIP64 end record is not at its stated position")
    signature, _, _, _, _, _, _, count, size, offset = _END_64.unpack(_at(file, end, _END_64.size))
    if signature != b"PK\6\6":
        raise UnreadableZipError("the ZIP64 end record is not at its stated position")
    return end, count, size, offset


def _entries(directory: bytes) -> Iterator[_Entry]:
    at = 0
    while at < len(directory):
        if at + _CENTRAL.size > len(directory):
            raise UnreadableZipError("the directory ends within an entry")
        line = _CENTRAL.unpack_from(directory, at)
        signature, _, _, flags, method, time, date, crc32, packed, size = line[:10]
        name_size, extra_size, comment_size, offset = line[10], line[11], line[12], line[16]
        at += _CENTRAL.size
        after = at + name_size + extra_size + comment_size
        if signature != b"PK\1\2" or after > len(directory):
            raise UnreadableZipError("the directory is damaged")
        path = directory[at : at + name_size].decode("utf-8", "backslashreplace")
        extra = directory[at + name_size : at + name_size + extra_size]
        (size, packed, offset), zip64 = _widened(path, (size, packed, offset), extra)
        at = after
        yield _Entry(
            path=path,
            flags=flags,
            method=method,
            time=time,
            date=date,
            crc32=crc32,
            packed=packed,
            size=size,
            offset=offset,
            zip64=zip64,
            unix_mode=line[15] >> 16,
            needs=line[2],
            extra_tags=_tags(path, extra),
            comment_bytes=comment_size,
        )


def _tags(path: str, extra: bytes) -> tuple[int, ...]:
    """The tags of the extra fields, which must fill the bytes exactly."""
    tags, at = [], 0
    while at < len(extra):
        if at + 4 > len(extra) or at + 4 + int.from_bytes(extra[at + 2 : at + 4], "little") > len(extra):
            raise UnreadableZipError(f"the extra fields of {path!r} are damaged")
        tags.append(int.from_bytes(extra[at : at + 2], "little"))
        at += 4 + int.from_bytes(extra[at + 2 : at + 4], "little")
    return tuple(tags)


def _unknown_tags(name: str, tags: tuple[int, ...]) -> list[CheckFailure]:
    """Extra fields can give a file another name (0x7075), owner or kind than is read here; only ZIP64 sizes are expected."""
    return [
        CheckFailure("path", name, f"extra field {tag:#06x}, by which other programs may unpack another file")
        for tag in tags
        if tag != _ZIP64_TAG
    ]


def _widened(path: str, values: tuple[int, int, int], extra: bytes) -> tuple[tuple[int, int, int], bool]:
    """Size, packed size and offset, from the ZIP64 field if the 32-bit field is saturated; whether there is a ZIP64 field."""
    field = b""
    at, has_field = 0, False
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == _ZIP64_TAG:
            field, has_field = extra[at + 4 : at + 4 + length], True
        at += 4 + length
    wide = []
    for value in values:
        if value == _FULL_32:
            if len(field) < 8:
                raise UnreadableZipError(f"{path!r} lacks its ZIP64 sizes")
            value, field = int.from_bytes(field[:8], "little"), field[8:]  # noqa: PLW2901  read in the field's order
        wide.append(value)
    return (wide[0], wide[1], wide[2]), has_field


def _entry_findings(entry: _Entry) -> list[CheckFailure]:
    """Checks of a directory entry alone."""
    failures = []
    name = entry.path.rsplit("/", 1)[-1]
    if entry.method != 0 or entry.packed != entry.size:
        failures.append(CheckFailure("stored", name, f"compressed (method {entry.method}), expected stored"))
    if entry.flags & _ENCRYPTED:
        failures.append(CheckFailure("stored", name, "encrypted"))
    if (entry.date, entry.time) != (_FIRST_DAY, 0):
        failures.append(CheckFailure("timestamp", name, f"expected the time 1980-01-01 00:00:00, got {_time(entry)}"))
    if stat.S_IFMT(entry.unix_mode) not in (0, stat.S_IFREG):
        failures.append(CheckFailure("path", name, "not a regular file: unpacking it would create a link or a device"))
    failures += _unknown_tags(name, entry.extra_tags)
    if entry.comment_bytes:
        failures.append(CheckFailure("zip", name, f"a comment of {entry.comment_bytes} bytes, expected none"))
    if entry.zip64 and max(entry.size, entry.packed, entry.offset) < _FULL_32:
        failures.append(CheckFailure("zip64", name, "ZIP64 field on a file small enough for 32 bits"))
    return failures


def _data_offset(file: BinaryIO, entry: _Entry) -> tuple[int, list[CheckFailure]]:
    """Offset of the data by the local header, and contradictions between that header and the directory."""
    head = _LOCAL.unpack(_at(file, entry.offset, _LOCAL.size))
    signature, flags = head[0], head[2]
    name_size, extra_size = int(head[9]), int(head[10])
    path = _at(file, entry.offset + _LOCAL.size, name_size).decode("utf-8", "backslashreplace")
    if signature != b"PK\3\4" or path != entry.path:
        raise UnreadableZipError(f"{entry.path!r} is not at its stated position")
    extra = _at(file, entry.offset + _LOCAL.size + name_size, extra_size)
    failures = _unknown_tags(path.rsplit("/", 1)[-1], _tags(path, extra))
    local: tuple[int, ...] = head[2:9]
    expected: tuple[int, ...] = (entry.flags, entry.method, entry.time, entry.date)
    expected += (entry.crc32, min(entry.packed, _FULL_32), min(entry.size, _FULL_32))
    name = path.rsplit("/", 1)[-1]
    if flags & _DATA_DESCRIPTOR:
        failures.append(CheckFailure("zip", name, "sizes in a data descriptor after the data"))
        local, expected = local[:4], expected[:4]
    if max(head[1], entry.needs) > _ZIP64_VERSION:
        message = f"requires ZIP version {max(head[1], entry.needs) / 10:.1f}, expected at most 4.5"
        failures.append(CheckFailure("zip", name, message))
    if local != expected:
        failures.append(CheckFailure("zip", name, "the local header contradicts the directory"))
    return entry.offset + _LOCAL.size + name_size + extra_size, failures


def _time(entry: _Entry) -> str:
    day, clock = entry.date, entry.time
    date = f"{1980 + (day >> 9)}-{day >> 5 & 15:02}-{day & 31:02}"
    return f"{date} {clock >> 11:02}:{clock >> 5 & 63:02}:{(clock & 31) * 2:02}"


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise UnreadableZipError("the archive ends before its stated length")
    return data
