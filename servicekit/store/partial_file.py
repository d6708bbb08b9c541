"""Files that are being written, apart from the objects. Each is locked, so that only abandoned ones are removed.

Both services write to one folder, and either may restart while the other writes. A writer locks its file for as long as it
lives. The kernel releases the lock however the writer ends, so a file that can be locked has no writer.
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
    """A locked file that is not an object yet: ``name`` in the folder ``folder`` (a descriptor)."""

    def __init__(self, file: io.FileIO, name: str, folder: int) -> None:
        self.file = file
        self.name = name
        self.folder = folder

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data``; one system call may write less."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.file.write(rest) :]


@contextmanager
def partial_file(folder: int) -> Iterator[PartialFile]:
    """A new partial file in ``folder`` (mode 0600), removed at the end unless it was renamed to its key."""
    partial = _create(folder)
    try:
        yield partial
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial.name, dir_fd=folder)
        partial.file.close()


def remove_abandoned(folder: int) -> int:
    """Remove the partial files in ``folder`` that have no writer; returns their number."""
    removed = 0
    for name in os.listdir(folder):
        # Renamed or removed since the listing, locked by its writer, or not a regular file.
        with suppress(OSError):
            descriptor = os.open(name, _OLD, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
                removed += 1
            finally:
                os.close(descriptor)
    return removed


def _create(folder: int) -> PartialFile:
    while True:
        name = secrets.token_hex(16)
        file = io.FileIO(os.open(name, _NEW, 0o600, dir_fd=folder), "w")
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return PartialFile(file, name, folder)
        # remove_abandoned ran between creation and lock, and found the file without a lock.
        file.close()
