"""Where the files of a ZIP lie, read from its directory without trusting it.

Nothing is unpacked and nothing is written. The directory of six files is small: a larger one is refused unread, so a ZIP made to
fill memory or disk does neither. Layout by PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sonichaos_client.finding import Finding

MAX_DIRECTORY_BYTES = 64 * 1024

_END = struct.Struct("<4sHHHHIIH")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_FULL_32 = 0xFFFFFFFF
_FULL_16 = 0xFFFF
_ENCRYPTED = 1
_SIZES_BEHIND = 8
_FIRST_DAY = 0x0021
_ZIP64_VERSION = 45


class UnreadableZip(Exception):
    """The archive's structure is broken in a way that leaves nothing to check. The text says how."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file in the ZIP: its path as written, and where its bytes lie."""

    path: str
    offset: int
    size: int
    crc32: int

    @property
    def name(self) -> str:
        """Without the folder."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A line of the central directory."""

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


def read_layout(file: BinaryIO, file_bytes: int) -> tuple[tuple[Member, ...], tuple[Finding, ...]]:
    """The files that can be read safely, in their order, and what is wrong with the archive. Raises UnreadableZip."""
    directory_offset, directory, findings = _directory(file, file_bytes)
    members: list[Member] = []
    end = 0
    for entry in sorted(_entries(directory), key=lambda e: e.offset):
        findings += _entry_findings(entry)
        findings += _check_gap(end, entry.offset)
        data_offset, contradictions = _data_offset(file, entry)
        findings += contradictions
        end = data_offset + entry.packed
        if end > directory_offset:
            raise UnreadableZip(f"{entry.path!r} is said to pass the end of the files")
        if entry.method == 0 and not entry.flags & _ENCRYPTED and entry.packed == entry.size:
            members.append(Member(path=entry.path, offset=data_offset, size=entry.size, crc32=entry.crc32))
    findings += _check_gap(end, directory_offset)
    return tuple(members), tuple(findings)


def _check_gap(end: int, start: int) -> list[Finding]:
    """Files follow each other without a gap that could hide something, and never overlap."""
    if start < end:
        raise UnreadableZip("its files overlap")
    return [Finding("zip", "", f"{start - end} bytes at offset {end} belong to no file")] if start > end else []


def _directory(file: BinaryIO, file_bytes: int) -> tuple[int, bytes, list[Finding]]:
    """Offset and bytes of the central directory."""
    if file_bytes < _END.size:
        raise UnreadableZip(f"it is no ZIP: {file_bytes} bytes are too few")
    end = file_bytes - _END.size
    signature, disk, first_disk, here, count, size, offset, comment = _END.unpack(_at(file, end, _END.size))
    if signature != b"PK\5\6" or comment:
        raise UnreadableZip(
            "it does not end as a ZIP without a comment: it is no ZIP, or cut short, or has something appended"
        )
    if disk or first_disk or here != count:
        raise UnreadableZip("it is said to be a part of several")
    findings: list[Finding] = []
    wide = _wide_end(file, end - _LOCATOR_64.size)
    if wide is not None:
        if _FULL_32 not in (size, offset) and count != _FULL_16:
            findings.append(Finding("zip64", "", "its end is in the ZIP64 form, which its size does not need"))
        end, count, size, offset = wide
    if size > MAX_DIRECTORY_BYTES:
        raise UnreadableZip(f"its directory is said to have {size} bytes, far more than six files need")
    if offset + size != end:
        raise UnreadableZip(
            "its directory does not lie where it is said to be: it is cut short or has something inserted"
        )
    directory = _at(file, offset, size)
    if sum(1 for _ in _entries(directory)) != count:
        raise UnreadableZip(f"its directory does not list the {count} files that it announces")
    return offset, directory, findings


def _wide_end(file: BinaryIO, locator_at: int) -> tuple[int, int, int, int] | None:
    """Where the ZIP64 end lies and its count, size and offset of the directory; None where there is none."""
    locator = _at(file, locator_at, _LOCATOR_64.size) if locator_at >= 0 else b""
    if locator[:4] != b"PK\6\7":
        return None
    end = int(_LOCATOR_64.unpack(locator)[2])
    if end + _END_64.size != locator_at:
        raise UnreadableZip("its ZIP64 end does not lie where it is said to be")
    signature, _, _, _, _, _, _, count, size, offset = _END_64.unpack(_at(file, end, _END_64.size))
    if signature != b"PK\6\6":
        raise UnreadableZip("its ZIP64 end does not lie where it is said to be")
    return end, count, size, offset


def _entries(directory: bytes) -> Iterator[_Entry]:
    at = 0
    while at < len(directory):
        if at + _CENTRAL.size > len(directory):
            raise UnreadableZip("its directory ends within a line")
        line = _CENTRAL.unpack_from(directory, at)
        signature, _, _, flags, method, time, date, crc32, packed, size = line[:10]
        name_size, extra_size, comment_size, offset = line[10], line[11], line[12], line[16]
        at += _CENTRAL.size
        after = at + name_size + extra_size + comment_size
        if signature != b"PK\1\2" or after > len(directory):
            raise UnreadableZip("its directory is damaged")
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
        )


def _widened(path: str, values: tuple[int, int, int], extra: bytes) -> tuple[tuple[int, int, int], bool]:
    """Size, packed size and offset, each from the ZIP64 field where it is full; and whether there is such a field."""
    field = b""
    at, found = 0, False
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == 1:
            field, found = extra[at + 4 : at + 4 + length], True
        at += 4 + length
    wide = []
    for value in values:
        if value == _FULL_32:
            if len(field) < 8:
                raise UnreadableZip(f"{path!r} lacks the ZIP64 sizes that it needs")
            value, field = int.from_bytes(field[:8], "little"), field[8:]  # noqa: PLW2901  read in the field's order
        wide.append(value)
    return (wide[0], wide[1], wide[2]), found


def _entry_findings(entry: _Entry) -> list[Finding]:
    """What the directory's line alone says."""
    found = []
    name = entry.path.rsplit("/", 1)[-1]
    if entry.method != 0 or entry.packed != entry.size:
        found.append(
            Finding("stored", name, f"is compressed (method {entry.method}), files are to be stored as they are")
        )
    if entry.flags & _ENCRYPTED:
        found.append(Finding("stored", name, "is encrypted"))
    if (entry.date, entry.time) != (_FIRST_DAY, 0):
        found.append(Finding("timestamp", name, f"has the time {_time(entry)}, wanted the fixed 1980-01-01 00:00:00"))
    if stat.S_IFMT(entry.unix_mode) not in (0, stat.S_IFREG):
        found.append(Finding("path", name, "is no plain file: unpacking it would make a link or something else"))
    if entry.zip64 and max(entry.size, entry.packed, entry.offset) < _FULL_32:
        found.append(Finding("zip64", name, "has a ZIP64 field that its size does not need"))
    return found


def _data_offset(file: BinaryIO, entry: _Entry) -> tuple[int, list[Finding]]:
    """Where the bytes begin, by the header before them, and where that contradicts the directory."""
    head = _LOCAL.unpack(_at(file, entry.offset, _LOCAL.size))
    signature, flags = head[0], head[2]
    name_size, extra_size = int(head[9]), int(head[10])
    path = _at(file, entry.offset + _LOCAL.size, name_size).decode("utf-8", "backslashreplace")
    if signature != b"PK\3\4" or path != entry.path:
        raise UnreadableZip(f"no file {entry.path!r} lies where the directory says")
    found = []
    said: tuple[int, ...] = head[2:9]
    wanted: tuple[int, ...] = (entry.flags, entry.method, entry.time, entry.date)
    wanted += (entry.crc32, min(entry.packed, _FULL_32), min(entry.size, _FULL_32))
    name = path.rsplit("/", 1)[-1]
    if flags & _SIZES_BEHIND:
        found.append(Finding("zip", name, "has its sizes behind its data"))
        said, wanted = said[:4], wanted[:4]
    if max(head[1], entry.needs) > _ZIP64_VERSION:
        message = f"needs version {max(head[1], entry.needs) / 10:.1f} of the ZIP format, stored files need 4.5 at most"
        found.append(Finding("zip", name, message))
    if said != wanted:
        found.append(Finding("zip", name, "has a header that contradicts the directory"))
    return entry.offset + _LOCAL.size + name_size + extra_size, found


def _time(entry: _Entry) -> str:
    day, clock = entry.date, entry.time
    date = f"{1980 + (day >> 9)}-{day >> 5 & 15:02}-{day & 31:02}"
    return f"{date} {clock >> 11:02}:{clock >> 5 & 63:02}:{(clock & 31) * 2:02}"


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise UnreadableZip("it ends before what it announces")
    return data
