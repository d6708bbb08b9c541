"""A Unix socket that only this user can reach, bound where a dead process may have left one."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from collections.abc import Collection
from pathlib import Path

_MAX_PATH_BYTES = 107
"""sun_path has 108 bytes with its closing zero, unix(7)."""
_UCRED = struct.Struct("3i")


class SocketPathError(ValueError):
    """The socket cannot be where it was asked to be; the message says why and what to do."""


def check_socket_path(path: Path) -> None:
    """Raise SocketPathError where ``path`` is longer than an AF_UNIX address holds."""
    length = len(os.fsencode(path))
    if length > _MAX_PATH_BYTES:
        raise SocketPathError(
            f"{path} has {length} bytes, a Unix socket's path at most {_MAX_PATH_BYTES}: choose a shorter directory"
        )


def peer_uid(sock: socket.socket) -> int:
    """User id of the process at the other end (SO_PEERCRED)."""
    _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def allowed_uids_or_own(allowed_uids: Collection[int] | None) -> frozenset[int]:
    """``allowed_uids``, or this process's own user where none were named."""
    return frozenset({os.geteuid()} if allowed_uids is None else allowed_uids)


def listen_privately(path: Path, *, backlog: int) -> socket.socket:
    """A listening, non-blocking stream socket at ``path``: mode 0600 in a directory of this user with mode 0700.

    The directory is made where it is missing. A socket that a dead process left is removed; one that somebody listens on, or a
    file that is no socket, raises SocketPathError. Two processes that start at once are held apart by a lock on the directory.
    """
    check_socket_path(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check_directory(path.parent, os.fstat(directory))
        fcntl.flock(directory, fcntl.LOCK_EX)
        _remove_stale(path)
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
    finally:
        os.close(directory)


def _check_directory(directory: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid() or mode & 0o077:
        raise SocketPathError(
            f"{directory} belongs to user {status.st_uid} with mode {mode:04o}; the loan socket wants a directory of user "
            f"{os.geteuid()} with mode 0700: chmod 700 it, or name another"
        )


def _remove_stale(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise SocketPathError(f"{path} exists and is no socket; remove it or name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise SocketPathError(f"cannot tell whether somebody listens on {path}: {error}") from error
    raise SocketPathError(f"another process listens on {path}; stop it, or name another path for this one")
