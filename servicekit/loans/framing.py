"""Length-prefixed messages with descriptors over a Unix stream socket.

A frame is a big-endian uint32 of the body's length, then the body. Descriptors (SCM_RIGHTS) ride on the frame's first bytes; the
kernel never merges two frames' descriptors into one receive, and a frame is read no further than its end, so they stay together.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

MAX_MESSAGE_BYTES = 64 * 1024
_PREFIX = struct.Struct("!I")
_INT_BYTES = array.array("i").itemsize
_MAX_FDS = 8
"""One is right; room for a few more lets a wrong message be refused by name instead of breaking the connection."""


class ConnectionLost(Exception):
    """The other side closed the connection or broke it; ``detail`` says how."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BrokenFrame(ConnectionLost):
    """What came is no frame: oversized, or its descriptors were cut off."""


@dataclass
class Frame:
    """A message's bytes and the descriptors that came with it, which its owner closes."""

    body: bytes
    fds: list[int]

    def close(self) -> None:
        """Close every descriptor that nobody has taken out of ``fds``."""
        while self.fds:
            os.close(self.fds.pop())


def pack_frame(body: bytes) -> bytes:
    """``body`` with its length before it; raises ValueError beyond 64 KiB."""
    if len(body) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {len(body)} bytes; at most {MAX_MESSAGE_BYTES} go over the loan socket")
    return _PREFIX.pack(len(body)) + body


def send_frame(sock: socket.socket, body: bytes, fds: Sequence[int] = ()) -> None:
    """Send one frame on a blocking socket; raises OSError, or ConnectionLost where the peer takes only part of it."""
    data = pack_frame(body)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)
    if sent < len(data):
        sock.sendall(data[sent:], socket.MSG_NOSIGNAL)


class FrameReader:
    """Reads frames from a socket without waiting, one ``recvmsg`` a call."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._fds: list[int] = []
        self._body_bytes: int | None = None

    @property
    def in_a_frame(self) -> bool:
        """Whether part of a frame has come and the rest has not."""
        return bool(self._buffer) or self._body_bytes is not None or bool(self._fds)

    def read(self) -> Frame | None:
        """Receive once: a frame where it is complete, else None.

        Raises ConnectionLost at the end of the stream, BrokenFrame for what is no frame, BlockingIOError where nothing waits.
        """
        wanted = (_PREFIX.size if self._body_bytes is None else self._body_bytes) - len(self._buffer)
        self._receive(wanted)
        if self._body_bytes is None and len(self._buffer) == _PREFIX.size:
            self._body_bytes = int(_PREFIX.unpack(self._buffer)[0])
            self._buffer.clear()
            if self._body_bytes > MAX_MESSAGE_BYTES:
                raise BrokenFrame(
                    f"a message of {self._body_bytes} bytes was announced, at most {MAX_MESSAGE_BYTES} fit"
                )
        if self._body_bytes is None or len(self._buffer) < self._body_bytes:
            return None
        frame = Frame(bytes(self._buffer), self._fds)
        self._buffer, self._fds, self._body_bytes = bytearray(), [], None
        return frame

    def close(self) -> None:
        """Close the descriptors of an unfinished frame."""
        while self._fds:
            os.close(self._fds.pop())

    def _receive(self, wanted: int) -> None:
        room = socket.CMSG_SPACE(_MAX_FDS * _INT_BYTES)
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(wanted, room, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
        except ConnectionError as broken:
            raise ConnectionLost(str(broken)) from broken
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % _INT_BYTES])
                self._fds.extend(fds)
        if flags & socket.MSG_CTRUNC:
            raise BrokenFrame(f"more than {_MAX_FDS} descriptors, or no room for them in this process (see ulimit -n)")
        if not data and wanted:
            raise ConnectionLost("the other side closed the connection" + (" inside a message" * self.in_a_frame))
        self._buffer += data
        if len(self._fds) > _MAX_FDS:
            raise BrokenFrame(f"{len(self._fds)} descriptors in one message; one is wanted")
