"""Files that are being written, apart from the objects, each held by a lock so that only abandoned ones are swept.

Both services write to one folder, and either may restart while the other writes. A writer locks its file for as long as it
lives; the kernel frees the lock however the writer ends, so a file whose lock can be had is nobody's.
"""

from __future__ import annotations

import fcntl
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PartialFile:
    """A locked file without a place yet: ``name`` in the folder ``folder`` (a descriptor)."""

    def __init__(self, file: io.FileIO, name: str, folder: int) -> None:
        self.file = file
        self.name = name
        self.folder = folder

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data``; one system call may take less."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.file.write(rest) :]


@contextmanager
def partial_file(folder: int) -> Iterator[PartialFile]:
    """A new partial file in ``folder`` (mode 0600), removed at the end unless it was moved to its place."""
    partial = _create(folder)
    try:
        yield partial
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial.name, dir_fd=folder)
        partial.file.close()


def sweep(folder: int) -> int:
    """Remove the partial files in ``folder`` whose writers are gone; gives their number."""
    swept = 0
    for name in os.listdir(folder):
        # Moved to its place or removed since the listing, held by its writer, or no plain file of ours.
        with suppress(OSError):
            descriptor = os.open(name, _OLD, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
                swept += 1
            finally:
                os.close(descriptor)
    return swept


def _create(folder: int) -> PartialFile:
    while True:
        name = secrets.token_hex(16)
        file = io.FileIO(os.open(name, _NEW, 0o600, dir_fd=folder), "w")
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return PartialFile(file, name, folder)
        # A sweep came between the creation and the lock and took the file for an abandoned one.
        file.close()
