"""What a folder store knows of a file besides its bytes: digest and media type, in an extended attribute.

An attribute moves with the file in the same rename, which a file beside it would not. It names the size and the time of
the last write that it was made for, so that it says nothing about a file that was changed since. A file system without
extended attributes has files without facts, which costs an ETag and a digest in ``stat``, nothing else.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

_ATTRIBUTE = "user.sonichaos"
_MEDIA_TYPES = {".wav": "audio/wav", ".zip": "application/zip", ".json": "application/json"}


@dataclass(frozen=True)
class FileFacts:
    """``sha256`` is lower-case hex, None where it is not known."""

    sha256: str | None
    content_type: str


def keep_facts(descriptor: int, facts: FileFacts) -> None:
    """Attach ``facts`` to a file after its last write."""
    status = os.fstat(descriptor)
    text = f"{facts.sha256} {status.st_size} {status.st_mtime_ns} {facts.content_type}"
    with suppress(OSError):
        os.setxattr(descriptor, _ATTRIBUTE, text.encode())


def read_facts(descriptor: int, name: str) -> FileFacts:
    """The facts of an open file; the media type of one without facts goes by the end of ``name``."""
    status = os.fstat(descriptor)
    with suppress(OSError, ValueError):
        sha256, size, mtime, content_type = os.getxattr(descriptor, _ATTRIBUTE).decode().split(" ", 3)
        if (int(size), int(mtime)) == (status.st_size, status.st_mtime_ns):
            return FileFacts(sha256, content_type)
    return FileFacts(None, _MEDIA_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream"))
