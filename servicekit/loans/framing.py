"""Length-prefixed messages with descriptors over a Unix stream socket.

A frame is the body's length as big-endian uint32, then the body. Descriptors (SCM_RIGHTS) come with the frame's first bytes. The
kernel never merges the descriptors of two frames into one receive, and no read goes beyond a frame's end, so they stay together.
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
"""One is expected; with room for more, a message with too many can be refused by name without breaking the connection."""


class ConnectionLost(Exception):
    """The peer closed or broke the connection; ``detail`` says how."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BrokenFrame(ConnectionLost):
    """The received bytes are not a frame: it is too large, or its descriptors were truncated."""


@dataclass
class Frame:
    """A message's bytes and its descriptors, which the receiver closes."""

    body: bytes
    fds: list[int]

    def close(self) -> None:
        """Close every descriptor that is still in ``fds``."""
        while self.fds:
            os.close(self.fds.pop())


def pack_frame(body: bytes) -> bytes:
    """``body`` after its length. Raises ValueError for more than 64 KiB."""
    if len(body) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message may have at most {MAX_MESSAGE_BYTES} bytes, got {len(body)}")
    return _PREFIX.pack(len(body)) + body


def send_frame(sock: socket.socket, body: bytes, fds: Sequence[int] = ()) -> None:
    """Send one frame on a blocking socket. Raises OSError."""
    data = pack_frame(body)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)
    if sent < len(data):
        sock.sendall(data[sent:], socket.MSG_NOSIGNAL)


class FrameReader:
    """Reads frames from a socket without blocking, with one ``recvmsg`` per call."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._fds: list[int] = []
        self._body_bytes: int | None = None

    @property
    def in_a_frame(self) -> bool:
        """Whether a frame was received in part."""
        return bool(self._buffer) or self._body_bytes is not None or bool(self._fds)

    def read(self) -> Frame | None:
        """Receive once; returns a frame if it is complete, else None.

        Raises ConnectionLost at the end of the stream, BrokenFrame for invalid bytes, BlockingIOError where there is nothing to
        read.
        """
        missing = (_PREFIX.size if self._body_bytes is None else self._body_bytes) - len(self._buffer)
        self._receive(missing)
        if self._body_bytes is None and len(self._buffer) == _PREFIX.size:
            self._body_bytes = int(_PREFIX.unpack(self._buffer)[0])
            self._buffer.clear()
            if self._body_bytes > MAX_MESSAGE_BYTES:
                raise BrokenFrame(f"a message may have at most {MAX_MESSAGE_BYTES} bytes, got {self._body_bytes}")
        if self._body_bytes is None or len(self._buffer) < self._body_bytes:
            return None
        frame = Frame(bytes(self._buffer), self._fds)
        self._buffer, self._fds, self._body_bytes = bytearray(), [], None
        return frame

    def close(self) -> None:
        """Close the descriptors of an unfinished frame."""
        while self._fds:
            os.close(self._fds.pop())

    def _receive(self, nbytes: int) -> None:
        ancillary_bytes = socket.CMSG_SPACE(_MAX_FDS * _INT_BYTES)
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(
                nbytes, ancillary_bytes, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
            )
        except ConnectionError as broken:
            raise ConnectionLost(str(broken)) from broken
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % _INT_BYTES])
                self._fds.extend(fds)
        if flags & socket.MSG_CTRUNC:
            raise BrokenFrame(
                f"a message has more than {_MAX_FDS} descriptors, or this process has too many open (see ulimit -n)"
            )
        if not data and nbytes:
            raise ConnectionLost("the peer closed the connection" + (" within a message" * self.in_a_frame))
        self._buffer += data
        if len(self._fds) > _MAX_FDS:
            raise BrokenFrame(f"a message must have one descriptor, got {len(self._fds)}")
