"""A local file that appears complete or not at all.

Bytes go to a hidden part file in the same folder; `Landing.commit` makes them durable and gives them their name.
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

from sonichaos_client.errors import LocalFileExists, LocalFileUnwritten


class Landing:
    """Use as ``with Landing(path, overwrite=False) as landing``; without a commit nothing stays behind."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        self.overwrite = overwrite
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")

    def __enter__(self) -> Self:
        refuse_existing(self.path, overwrite=self.overwrite)
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("xb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was not flushed is of a file that is not kept: that the disk does not take it was said, or does not matter.
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append. Raises LocalFileUnwritten where the disk does not take it."""
        with _told(self.path):
            self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)

    def restart(self) -> None:
        """Forget what was written."""
        with _told(self.path):
            self._file.seek(0)
            self._file.truncate()
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Of what was written so far, 64 lower-case hex digits."""
        return self._digest.hexdigest()

    def commit(self) -> None:
        """Flush to disk and give the file its name.

        Raises LocalFileExists where another came meanwhile, LocalFileUnwritten where the disk does not take it.
        """
        with _told(self.path):
            self._commit()

    def _commit(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        if self.overwrite:
            self._part.replace(self.path)
        else:
            self._name_if_free()
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _name_if_free(self) -> None:
        """A hard link, unlike a rename, fails where the name is taken."""
        try:
            self.path.hardlink_to(self._part)
        except FileExistsError:
            refuse_existing(self.path, overwrite=False)
        except OSError:  # a file system without hard links: the moment between check and rename stays open
            refuse_existing(self.path, overwrite=False)
            self._part.replace(self.path)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """An error of the disk, as one that names the file and what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        advice = "make room there or name another folder" if full else "name another folder"
        raise LocalFileUnwritten(
            f"{path} cannot be written: {error.strerror}; nothing of it was kept. The service still has it: {advice}, "
            "then fetch it again"
        ) from error


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise LocalFileExists where ``path`` exists and is not to be overwritten, or is no file."""
    with contextlib.suppress(FileNotFoundError):
        path.lstat()
        if path.is_dir():
            raise LocalFileExists(f"{path} is a folder")
        if not overwrite:
            raise LocalFileExists(
                f"{path} exists and is not overwritten; move it away or ask to overwrite it (--force)"
            )
