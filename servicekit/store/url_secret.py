"""The installation's secrets for signed URLs: a file that both services read, and that is replaced to rotate them.

Its first line is the newest secret, which signs: 32 bytes in hex. Each further line is an earlier secret and the Unix second from
which its URLs are refused. The file belongs to the services' user and has mode 0600.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from servicekit.logs import logger
from servicekit.store.object_store import MAX_URL_TTL_S

SECRET_BYTES = 32
MAX_EARLIER = 15
MAX_OVERLAP = timedelta(seconds=MAX_URL_TTL_S)
"""The longest time to live of a URL. Earlier secrets have nothing to check after that."""
_MAX_FILE_BYTES = (MAX_EARLIER + 1) * (2 * SECRET_BYTES + 16)
_LINE = re.compile(r"(?P<value>[0-9a-f]{64})(?: (?P<end>[0-9]{1,12}))?", re.ASCII)
_log = logger(__name__)


class UnusableSecret(ValueError):
    """The secrets' file cannot be trusted; the message says what to do."""


class TooManySecrets(ValueError):
    """Another rotation would leave more earlier secrets than are kept; the message says what to do."""


@dataclass(frozen=True)
class UrlSecret:
    """A secret, and the time from which the URLs it signed are refused: None for the newest."""

    value: bytes = field(repr=False)
    end_s: int | None = None

    def __post_init__(self) -> None:
        if len(self.value) < SECRET_BYTES:
            raise ValueError(
                f"the secret of signed URLs must have at least {SECRET_BYTES} bytes, got {len(self.value)}"
            )

    @cached_property
    def key_id(self) -> str:
        """Eight hex digits that name the secret in its URLs, and say nothing about it."""
        return hashlib.sha256(b"sonichaos-url-key-id\n" + self.value).hexdigest()[:8]

    def is_accepted(self, now: datetime) -> bool:
        """Whether its URLs are accepted."""
        return self.end_s is None or now.timestamp() < self.end_s


@dataclass(frozen=True)
class UrlSecrets:
    """The secret that signs, and earlier ones whose URLs are accepted until their ends."""

    newest: UrlSecret
    earlier: tuple[UrlSecret, ...] = ()

    def accepted(self, now: datetime) -> Iterator[UrlSecret]:
        """The secrets whose URLs are accepted, newest first."""
        return (one for one in (self.newest, *self.earlier) if one.is_accepted(now))


class UrlSecretFile:
    """The secrets in ``path``, created by the first process that opens it. A replaced file is read at the next use.

    Raises UnusableSecret if the file is a link, belongs to another user, is readable by others or has other content, and
    OSError if it cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not os.path.lexists(path):
            _create(path)
        self._read = (_identity(path), _read(path))
        self._warned: tuple[int, ...] | None = None

    def current(self) -> UrlSecrets:
        """The secrets now; those read before, with a warning, while the file is missing or cannot be trusted. From any thread."""
        seen, secrets_read = self._read
        identity = _identity(self._path)
        if identity == seen:
            return secrets_read
        try:
            secrets_read = _read(self._path)
        except UnusableSecret as error:
            if identity != self._warned:
                _log.warning("the URL secrets are not usable, those read before stay in use", problem=str(error))
            self._warned = identity
            if identity and error.__cause__ is not None:  # only its opening failed: at the next use it may not
                return secrets_read
        self._read = (identity, secrets_read)
        return secrets_read


def rotate_secret(path: Path, *, overlap: timedelta, now: datetime) -> UrlSecrets:
    """Make a new secret the newest one, and return what ``path`` has from now on; running services follow at once.

    URLs signed before are accepted for ``overlap``, at most MAX_OVERLAP; those that have less time left keep that. The file is
    replaced as a whole, so a crash leaves the old one or the new one. Raises UnusableSecret, TooManySecrets or OSError.
    """
    end_s = math.floor((now + overlap).timestamp())
    with _locked_folder(path):
        earlier: tuple[UrlSecret, ...] = ()
        if os.path.lexists(path):
            before = _read(path)
            ended = (UrlSecret(one.value, min(one.end_s or end_s, end_s)) for one in before.accepted(now))
            earlier = tuple(one for one in ended if one.is_accepted(now))
        if len(earlier) > MAX_EARLIER:
            first = datetime.fromtimestamp(min(one.end_s or 0 for one in earlier), UTC).isoformat()
            raise TooManySecrets(
                f"{path} must have at most {MAX_EARLIER} earlier secrets, and they are all accepted until {first}; "
                "rotate after that, or with --overlap 0"
            )
        rotated = UrlSecrets(UrlSecret(secrets.token_bytes(SECRET_BYTES)), earlier)
        _replace(path, rotated)
    return rotated


def _identity(path: Path) -> tuple[int, ...]:
    """What changes when the file is replaced, rewritten or given to others; empty while it is missing."""
    try:
        status = path.lstat()
    except OSError:
        return ()
    return (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_mode, status.st_uid)


def _read(path: Path) -> UrlSecrets:
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
        content = file.read(_MAX_FILE_BYTES + 1)
    lines = [_LINE.fullmatch(line) for line in content.decode("ascii", "replace").splitlines()]
    found = [
        UrlSecret(bytes.fromhex(line["value"]), int(line["end"]) if line["end"] else None) for line in lines if line
    ]
    is_complete = len(found) == len(lines) <= MAX_EARLIER + 1
    if not is_complete or [one.end_s is None for one in found] != [True, *[False] * (len(found) - 1)]:
        raise UnusableSecret(
            f"{path} must contain {SECRET_BYTES} bytes in hex, and up to {MAX_EARLIER} further lines of such bytes and a Unix "
            "second; remove it to have a new one created"
        )
    return UrlSecrets(found[0], tuple(found[1:]))


def _create(path: Path) -> None:
    """Write a first secret, unless another process was faster."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked_folder(path):
        if not os.path.lexists(path):
            _replace(path, UrlSecrets(UrlSecret(secrets.token_bytes(SECRET_BYTES))))


def _replace(path: Path, replacement: UrlSecrets) -> None:
    """Write the file and sync it, then give it its name. The folder is locked, so drafts in it belong to writers that died."""
    for abandoned in path.parent.glob(f".{path.name}.*"):
        abandoned.unlink()
    lines = [replacement.newest.value.hex(), *(f"{one.value.hex()} {one.end_s}" for one in replacement.earlier)]
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write("\n".join(lines).encode("ascii"))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    with _opened_folder(path.parent) as folder:
        os.fsync(folder)


@contextmanager
def _locked_folder(path: Path) -> Iterator[None]:
    """One process at a time writes the secrets; the kernel frees the lock of one that dies."""
    with _opened_folder(path.parent) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened_folder(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


SecretSource = Callable[[], UrlSecrets]
"""Returns the secrets in force."""
