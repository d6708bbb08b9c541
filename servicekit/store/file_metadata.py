"""What a folder store records of a file besides its bytes: digest and media type, in an extended attribute.

An attribute moves with the file in one rename, unlike a second file. It names the size and the time of the last write that it
describes, so it does not describe a file that was changed since. On a file system without extended attributes there is no
metadata: then a file has no ETag made of its digest, and ``stat`` no digest.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

_ATTRIBUTE = "user.sonichaos"
_MEDIA_TYPES = {".wav": "audio/wav", ".zip": "application/zip", ".json": "application/json"}


@dataclass(frozen=True)
class FileMetadata:
    """``sha256`` is lower-case hex, None where it is not known."""

    sha256: str | None
    content_type: str


def write_metadata(descriptor: int, metadata: FileMetadata) -> None:
    """Attach ``metadata`` to a file after its last write."""
    status = os.fstat(descriptor)
    text = f"{metadata.sha256} {status.st_size} {status.st_mtime_ns} {metadata.content_type}"
    with suppress(OSError):
        os.setxattr(descriptor, _ATTRIBUTE, text.encode())


def read_metadata(descriptor: int, name: str) -> FileMetadata:
    """The metadata of an open file; without any, the suffix of ``name`` gives the media type."""
    status = os.fstat(descriptor)
    with suppress(OSError, ValueError):
        sha256, size, mtime, content_type = os.getxattr(descriptor, _ATTRIBUTE).decode().split(" ", 3)
        if (int(size), int(mtime)) == (status.st_size, status.st_mtime_ns):
            return FileMetadata(sha256, content_type)
    return FileMetadata(None, _MEDIA_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream"))
