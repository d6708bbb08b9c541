"""Files below one folder, opened segment by segment from its descriptor, never through a symbolic link.

A path that is checked and then opened by name can be replaced by a link in between; a path that is walked with ``openat``
and ``O_NOFOLLOW`` cannot.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO in the folder would block.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_MODE = 0o700
_RENAME_ATTEMPTS = 16
# What file systems without hard links answer.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


class RootedFolder:
    """The folder at ``root``, which may itself be a link: that is the operator's choice.

    Every method raises the system's OSError; FileNotFoundError also for what is not a regular file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def folder(self, segments: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """A descriptor of the folder at ``segments``; with ``create``, missing folders are created (0700), durably."""
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for segment in segments:
                inner = _open_folder(descriptor, segment, create=create)
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

    def move_in(self, source: str, segments: Sequence[str], *, source_folder: int) -> None:
        """Rename the file ``source`` of the folder ``source_folder`` to ``segments``, atomically and durably."""
        self._place(os.rename, source, segments, source_folder)

    def link_in(self, source: str, segments: Sequence[str], *, source_folder: int) -> bool:
        """As :meth:`move_in`, but ``source`` stays too. False where the name is taken, or the file system has no hard links."""
        try:
            self._place(os.link, source, segments, source_folder)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
        return True

    def _place(self, place: Callable[..., None], source: str, segments: Sequence[str], source_folder: int) -> None:
        *folders, name = segments
        for attempt in range(1, _RENAME_ATTEMPTS + 1):
            try:
                with self.folder(folders, create=True) as parent:
                    place(source, name, src_dir_fd=source_folder, dst_dir_fd=parent)
                    os.fsync(parent)
            except FileNotFoundError:
                # A delete removed the empty folder between the walk and the rename: create it again.
                if attempt == _RENAME_ATTEMPTS:
                    raise
            else:
                return

    def remove(self, segments: Sequence[str], *, keep: int) -> None:
        """Remove the file at ``segments``, durably, and the folders that become empty, except the first ``keep``."""
        *folders, name = segments
        with self.folder(folders) as parent:
            os.unlink(name, dir_fd=parent)
            os.fsync(parent)
        # Not empty, or already removed: another writer or deleter is at work there.
        with suppress(OSError):
            for depth in range(len(folders), keep, -1):
                with self.folder(folders[: depth - 1]) as parent:
                    os.rmdir(folders[depth - 1], dir_fd=parent)

    def files(self, segments: Sequence[str]) -> Iterator[str]:
        """The regular files below the folder at ``segments``, as paths from there, in ascending order of characters."""
        with suppress(FileNotFoundError, NotADirectoryError), self.folder(segments) as descriptor:
            yield from _files(descriptor)


def _open_folder(parent: int, segment: str, *, create: bool) -> int:
    """Open a folder inside a folder."""
    try:
        return os.open(segment, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another writer created it at the same moment
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
