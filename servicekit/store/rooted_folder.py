"""Files below one folder, reached segment by segment from its descriptor, never through a symbolic link.

A path that is checked and then opened by name can be swapped for a link in between; a path that is walked with ``openat``
and ``O_NOFOLLOW`` cannot.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO that someone left in the folder would wait for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_MODE = 0o700
_PLACE_TRIES = 16


class RootedFolder:
    """The folder at ``root``, which may itself be named through a link: that is the operator's choice.

    Every method raises OSError as the system gave it; FileNotFoundError also stands for what is no regular file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def folder(self, segments: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder at ``segments``; with ``make``, what is missing is made (0700) and made durable."""
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for segment in segments:
                inner = _enter(descriptor, segment, make=make)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def open_file(self, segments: Sequence[str]) -> int:
        """A descriptor of the regular file at ``segments``, for reading; the caller closes it."""
        *folders, name = segments
        with self.folder(folders) as parent:
            descriptor = os.open(name, _FILE, dir_fd=parent)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise FileNotFoundError(f"{'/'.join(segments)} is not a regular file")

    def place(self, source: str, segments: Sequence[str], *, source_folder: int) -> None:
        """Move the file ``source`` of the folder ``source_folder`` to ``segments``, atomically and durably."""
        *folders, name = segments
        for attempt in range(1, _PLACE_TRIES + 1):
            try:
                with self.folder(folders, make=True) as parent:
                    os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=parent)
                    os.fsync(parent)
            except FileNotFoundError:
                # A delete emptied the folder and took it away between the walk and the rename: make it again.
                if attempt == _PLACE_TRIES:
                    raise
            else:
                return

    def remove(self, segments: Sequence[str], *, keep: int) -> None:
        """Remove the file at ``segments``, durably, and the folders that it leaves empty, down to ``keep`` of them."""
        *folders, name = segments
        with self.folder(folders) as parent:
            os.unlink(name, dir_fd=parent)
            os.fsync(parent)
        # Not empty, or already gone: then another writer or deleter is at work there, and it is theirs.
        with suppress(OSError):
            for depth in range(len(folders), keep, -1):
                with self.folder(folders[: depth - 1]) as parent:
                    os.rmdir(folders[depth - 1], dir_fd=parent)

    def files(self, segments: Sequence[str]) -> Iterator[str]:
        """The regular files below the folder at ``segments``, as paths from there, in ascending order of characters."""
        with suppress(FileNotFoundError, NotADirectoryError), self.folder(segments) as descriptor:
            yield from _files(descriptor)


def _enter(parent: int, segment: str, *, make: bool) -> int:
    """Open a folder inside a folder."""
    try:
        return os.open(segment, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # another writer made it at the same moment
        os.mkdir(segment, _FOLDER_MODE, dir_fd=parent)
        os.fsync(parent)
    return os.open(segment, _FOLDER, dir_fd=parent)


def _files(descriptor: int) -> Iterator[str]:
    with os.scandir(descriptor) as entries:
        # Sorted with the slash that follows a folder's name, "a-b" comes before "a/c", as it does among S3 keys.
        names = sorted(
            f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
        )
    for name in names:
        if not name.endswith("/"):
            yield name
            continue
        try:
            inner = os.open(name[:-1], _FOLDER, dir_fd=descriptor)
        except (FileNotFoundError, NotADirectoryError):  # deleted since the listing
            continue
        try:
            yield from (name + below for below in _files(inner))
        finally:
            os.close(inner)
