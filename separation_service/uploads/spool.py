"""Bytes of an upload on their way in: on disk, bounded, digested, gone with the process."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from servicekit.errors import ResourceExhausted


class Spool:
    """The bytes of one upload in a file without a name, so that nothing of it outlives this process. Use it as a ``with``."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256()
        with full_disk_is_named(folder):
            self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises `ResourceExhausted` TOO_LARGE and DISK_FULL."""
        self.size_bytes += len(data)
        if self.size_bytes > self._limit_bytes:
            raise ResourceExhausted(
                f"the upload has more than {self._limit_bytes} bytes; cut it into parts",
                reason="TOO_LARGE",
                metadata={"limit_bytes": str(self._limit_bytes)},
            )
        with full_disk_is_named(self._folder):
            self.file.write(data)
        self._digest.update(data)

    @property
    def path(self) -> Path:
        """By this name the process can open the file again, though no folder lists it."""
        with full_disk_is_named(self._folder):
            self.file.flush()
        return Path(f"/proc/self/fd/{self.file.fileno()}")

    @property
    def sha256(self) -> str:
        """Of what came so far, 64 hex digits."""
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


@contextmanager
def full_disk_is_named(folder: Path) -> Iterator[None]:
    """Raise ResourceExhausted DISK_FULL where the block finds no space."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise ResourceExhausted(
            f"no space left in {folder.name} for audio; free space there, then try again",
            reason="DISK_FULL",
            metadata={"path": folder.name},
        ) from error
