"""Detects dead worker processes, so that a restarted service claims their versions at once.

Beside a SQLite file, every open journal holds a lock on a file of its own, and the kernel releases it however the process dies.
With PostgreSQL the processes may run on different hosts: none is known to be dead, and a claim ends when its lease expires.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

_TEMPORARY = "."


class Liveness:
    """This process's lock file, under a name that is never reused, and the check of other processes' files."""

    def __init__(self, folder: Path | None) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._folder = folder
        self._descriptor: int | None = None
        if folder is not None:
            folder.mkdir(mode=0o700, exist_ok=True)
            for other in folder.iterdir():
                self.is_dead(other.name)
            # Locked before it is renamed: under its final name another process would take an unlocked file for dead.
            temporary = folder / f"{_TEMPORARY}{self.name}"
            self._descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            temporary.rename(folder / self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the lock file; other processes see this one as dead from now on."""
        if self._descriptor is not None and self._folder is not None:
            (self._folder / self.name).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def is_dead(self, name: str) -> bool:
        """True where the process of that name is known to have died; its lock file is removed."""
        if self._folder is None or name == self.name or "/" in name or name.startswith(_TEMPORARY):
            return False
        path = self._folder / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            path.unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)
