"""The bytes of an upload while it is received: on disk, bounded, with a running digest, gone with the process."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from separation_service.scratch import disk_full_errors
from servicekit.errors import ResourceExhausted


class Spool:
    """The bytes of one upload in an unnamed file, which does not outlive this process. Use it as a ``with``."""

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256()
        with disk_full_errors(folder):
            self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append bytes. Raises `ResourceExhausted` TOO_LARGE and DISK_FULL."""
        self.size_bytes += len(data)
        if self.size_bytes > self._limit_bytes:
            raise ResourceExhausted(
                f"an upload must be at most {self._limit_bytes} bytes; split it",
                reason="TOO_LARGE",
                metadata={"limit_bytes": str(self._limit_bytes)},
            )
        with disk_full_errors(self._folder):
            self.file.write(data)
        self._digest.update(data)

    @property
    def path(self) -> Path:
        """A path by which this process can open the file again, though no folder lists it."""
        with disk_full_errors(self._folder):
            self.file.flush()
        return Path(f"/proc/self/fd/{self.file.fileno()}")

    @property
    def sha256(self) -> str:
        """Of the bytes written so far, 64 lower-case hex digits."""
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
