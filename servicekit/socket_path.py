"""Creates Unix sockets that only this user can reach, and replaces the socket of a dead process."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_MAX_PATH_BYTES = 107
"""sun_path has 108 bytes with its terminating null, unix(7)."""
_UCRED = struct.Struct("3i")


class SocketPathError(ValueError):
    """The socket cannot be created at its path; the message says why and what to do."""


def check_socket_path(path: Path) -> None:
    """Raise SocketPathError where ``path`` is too long for an AF_UNIX address."""
    length = len(os.fsencode(path))
    if length > _MAX_PATH_BYTES:
        raise SocketPathError(
            f"a Unix socket's path may have at most {_MAX_PATH_BYTES} bytes, {path} has {length}; choose a shorter directory"
        )


def peer_process(sock: socket.socket) -> tuple[int, int]:
    """Process id and user id of the peer (SO_PEERCRED)."""
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(pid), int(uid)


def allowed_uids_or_own(allowed_uids: Collection[int] | None) -> frozenset[int]:
    """``allowed_uids``; None means this process's user."""
    return frozenset({os.geteuid()} if allowed_uids is None else allowed_uids)


def listen_privately(path: Path, *, backlog: int) -> socket.socket:
    """A listening, non-blocking stream socket at ``path``: mode 0600 in a directory of this user with mode 0700.

    Creates the directory if missing and removes the socket of a dead process. Raises SocketPathError where a process listens on
    the path, or it is not a socket.
    """
    with private_path(path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(os.fspath(path))
            path.chmod(0o600)
            listener.listen(backlog)
            listener.setblocking(False)  # noqa: FBT003  the socket module's own signature
        except BaseException:
            listener.close()
            raise
        return listener


@contextmanager
def private_path(path: Path) -> Iterator[None]:
    """In the block a socket may be bound to ``path``, which only this process does; at its end the socket gets mode 0600.

    The directory belongs to this user with mode 0700 and is created if missing; the socket of a dead process is removed. Raises
    SocketPathError where a process listens on the path, or it is not a socket. A lock on the directory serializes processes that
    start at the same time.
    """
    check_socket_path(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check_directory(path.parent, os.fstat(directory))
        fcntl.flock(directory, fcntl.LOCK_EX)
        _remove_stale(path)
        yield
        path.chmod(0o600)
    finally:
        os.close(directory)


def _check_directory(directory: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid() or mode & 0o077:
        raise SocketPathError(
            f"the directory of a Unix socket must belong to user {os.geteuid()} with mode 0700; {directory} belongs to user "
            f"{status.st_uid} with mode {mode:04o}: chmod 700 it, or choose another"
        )


def _remove_stale(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise SocketPathError(f"{path} exists and is not a socket; remove it or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise SocketPathError(f"cannot find out whether a process listens on {path}: {error}") from error
    raise SocketPathError(f"another process listens on {path}; stop it or choose another path")
