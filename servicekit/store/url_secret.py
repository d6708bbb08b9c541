"""The installation's secret for signed URLs: made once, shared by both services, readable by their user only."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

SECRET_BYTES = 32


class UnusableSecret(ValueError):
    """The secret's file is not one that can be trusted; the message says what to do."""


def load_or_make_secret(path: Path) -> bytes:
    """The 32 bytes kept as hex in ``path`` (mode 0600), made at the first call whichever process comes first.

    Raises UnusableSecret where the file is a link, belongs to another user, can be read by others or holds something
    else, and OSError where it cannot be read or made.
    """
    if not os.path.lexists(path):
        _make(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnusableSecret(
            f"{path} cannot be opened as a plain file ({error.strerror}); remove it to have a new one made"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise UnusableSecret(
                f"{path} must be a plain file of user {os.geteuid()} with mode 0600, not of user {status.st_uid} with mode "
                f"{stat.S_IMODE(status.st_mode):04o}; remove it to have a new one made (signed URLs given out stop working)"
            )
        text = file.read(4 * SECRET_BYTES)
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise UnusableSecret(f"{path} does not hold {SECRET_BYTES} bytes in hex; remove it to have a new one made")
    return secret


def _make(path: Path) -> None:
    """Write a secret beside ``path`` and link it there, which only the first of several processes can do."""
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
