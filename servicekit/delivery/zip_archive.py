"""Writes the ZIP of a version: stored, fixed timestamps, a pure function of its files.

Python's zipfile writes sizes and checksums behind the data if the sink cannot seek. Here every file's digest is known before the
first byte is written, so sizes, checksums and offsets stand in front of the data: any reader can stream the ZIP, and a Range
request can fetch one file.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servicekit.audio.wav import Sink
from servicekit.delivery.files import ZipEntry
from servicekit.delivery.zip_headers import PackedFile, central_header, end_records, lay_out, local_header
from servicekit.errors import Internal


@dataclass(frozen=True)
class TextContent:
    """A text as the content of a file, in UTF-8."""

    text: str

    @property
    def size_bytes(self) -> int:
        """Length in bytes."""
        return len(self.text.encode())

    def chunks(self) -> Iterator[bytes]:
        """All of it at once."""
        yield self.text.encode()


@dataclass(frozen=True)
class ZipFacts:
    """What was written."""

    size_bytes: int
    sha256: str
    entries: tuple[ZipEntry, ...]


def zip_folder(job_id: str, version: int) -> str:
    """The one folder in the ZIP, with its slash: unpacking a later version never covers an earlier one."""
    return f"sonichaos-{job_id}/" if version == 1 else f"sonichaos-{job_id}-v{version}/"


def write_zip(sink: Sink, folder: str, files: Sequence[PackedFile]) -> ZipFacts:
    """Write ``files`` in their order under ``folder`` (ends in a slash), front to back.

    Raises Internal if a content does not match its digest; discard what was written.
    """
    placed = lay_out(folder, files)
    out = _CountingSink(sink)
    for place in placed:
        out.write(local_header(place))
        _write_content(out, place.file)
    central_offset = out.size_bytes
    central = b"".join(central_header(place) for place in placed)
    out.write(central)
    out.write(end_records(len(placed), len(central), central_offset))
    entries = tuple(
        ZipEntry(
            name=p.file.name,
            offset_bytes=p.data_offset,
            size_bytes=p.file.digest.size_bytes,
            sha256=p.file.digest.sha256,
        )
        for p in placed
    )
    return ZipFacts(out.size_bytes, out.sha256, entries)


class _CountingSink:
    """Counts and digests what is written."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sha256.update(data)
        self.size_bytes += len(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def _write_content(out: _CountingSink, file: PackedFile) -> None:
    crc32, size = 0, 0
    for chunk in file.content.chunks():
        crc32 = zlib.crc32(chunk, crc32)
        size += len(chunk)
        out.write(chunk)
    if (size, crc32) != (file.digest.size_bytes, file.digest.crc32):
        raise Internal(
            f"{file.name} must have {file.digest.size_bytes} bytes and checksum {file.digest.crc32:08x}, got {size} bytes and "
            f"{crc32:08x}: its samples changed while it was packed",
            metadata={"stage": "PACKAGE"},
        )
