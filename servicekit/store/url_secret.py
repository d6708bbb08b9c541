"""The installation's secret for signed URLs: created once, shared by both services, readable by their user only."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

SECRET_BYTES = 32


class UnusableSecret(ValueError):
    """The secret's file cannot be trusted; the message says what to do."""


def load_or_create_secret(path: Path) -> bytes:
    """The 32 bytes stored as hex in ``path`` (mode 0600), created by the first call of any process.

    Raises UnusableSecret if the file is a link, belongs to another user, is readable by others or has other content, and
    OSError if it cannot be read or created.
    """
    if not os.path.lexists(path):
        _create(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableSecret(
            f"{path} must be a regular file, but opening it failed: {error.strerror}; remove it to have a new one created"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise UnusableSecret(
                f"{path} must be a regular file of user {os.geteuid()} with mode 0600, got user {status.st_uid} and mode "
                f"{stat.S_IMODE(status.st_mode):04o}; remove it to have a new one created (existing signed URLs stop working)"
            )
        text = file.read(4 * SECRET_BYTES)
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise UnusableSecret(f"{path} must contain {SECRET_BYTES} bytes in hex; remove it to have a new one created")
    return secret


def _create(path: Path) -> None:
    """Write a secret to a file beside ``path`` and link it there, which succeeds for the first of several processes only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(secrets.token_hex(SECRET_BYTES).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
