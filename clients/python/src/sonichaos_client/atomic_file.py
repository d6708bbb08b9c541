"""A local file that appears complete or not at all.

Bytes go to a hidden temporary file in the same folder; `AtomicFile.commit` flushes it to disk and renames it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from sonichaos_client.errors import LocalFileExistsError, LocalWriteError


class AtomicFile:
    """Use as ``with AtomicFile(path, overwrite=False) as file``; without a commit no file remains."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        self.overwrite = overwrite
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")

    def __enter__(self) -> Self:
        check_not_existing(self.path, overwrite=self.overwrite)
        with _write_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("xb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing may flush to a full disk. The file is discarded anyway, or the error was raised by commit.
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append. Raises LocalWriteError."""
        with _write_errors(self.path):
            self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)

    def truncate(self) -> None:
        """Discard everything written so far."""
        with _write_errors(self.path):
            self._file.seek(0)
            self._file.truncate()
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Digest of everything written so far, 64 lower-case hex digits."""
        return self._digest.hexdigest()

    def commit(self) -> None:
        """Flush to disk and rename.

        Raises LocalFileExistsError if a file of that name was created in the meantime, and LocalWriteError.
        """
        with _write_errors(self.path):
            self._commit()

    def _commit(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        if self.overwrite:
            self._part.replace(self.path)
        else:
            self._rename_without_overwriting()
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _rename_without_overwriting(self) -> None:
        """A hard link, unlike a rename, fails if the name exists."""
        try:
            self.path.hardlink_to(self._part)
        except FileExistsError:
            check_not_existing(self.path, overwrite=False)
        except OSError:  # a file system without hard links: a file created between check and rename is overwritten
            check_not_existing(self.path, overwrite=False)
            self._part.replace(self.path)


@contextlib.contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Convert an error of the disk to one that names the file and what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        advice = "Free space there or choose another folder" if full else "Choose another folder"
        raise LocalWriteError(
            f"Cannot write {path}: {error.strerror}. No partial file remains, and the service still has the file. {advice}, "
            "then download it again."
        ) from error


def check_not_existing(path: Path, *, overwrite: bool) -> None:
    """Raise LocalFileExistsError if ``path`` is a folder, or exists and may not be overwritten."""
    with contextlib.suppress(FileNotFoundError):
        path.lstat()
        if path.is_dir():
            raise LocalFileExistsError(f"Cannot write {path}: it is a folder.")
        if not overwrite:
            raise LocalFileExistsError(f"{path} already exists. Move it away, or allow overwriting (--force).")
