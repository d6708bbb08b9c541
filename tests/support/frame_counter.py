"""A proxy that counts the HTTP/2 frames of interest: pings of the client, and goodbyes of the server."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.cuttable_proxy import PIECE_BYTES, HttpProxy, shut_down

_PREFACE_BYTES = 24
_HEADER_BYTES = 9
_PING, _GOAWAY = 6, 7
_ACK = 1


@dataclass
class CountedConnection:
    """What was sent on one connection. Frames are counted as they pass."""

    client_pings: int = 0
    server_goaways: int = 0


class FrameCountingProxy(HttpProxy):
    """Counts on each connection of unencrypted HTTP/2."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.connections: list[CountedConnection] = []

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """See `CuttableProxy`."""
        counted = CountedConnection()
        self.connections.append(counted)

        def from_client(kind: int, flags: int) -> None:
            counted.client_pings += kind == _PING and not flags & _ACK

        def from_server(kind: int, flags: int) -> None:
            del flags
            counted.server_goaways += kind == _GOAWAY

        readers = ((near, far, _FrameReader(_PREFACE_BYTES), from_client), (far, near, _FrameReader(0), from_server))
        for source, sink, reader, count in readers:
            threading.Thread(target=_pass_on, args=(source, sink, reader, count), daemon=True).start()


@dataclass
class _FrameReader:
    """Finds frames in bytes that arrive in pieces; the first ``skip`` bytes are none."""

    skip: int
    _header: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """Type and flags of each frame that starts in ``data``."""
        found = []
        position = 0
        while position < len(data):
            if self.skip:
                step = min(self.skip, len(data) - position)
                self.skip -= step
                position += step
                continue
            step = min(_HEADER_BYTES - len(self._header), len(data) - position)
            self._header += data[position : position + step]
            position += step
            if len(self._header) == _HEADER_BYTES:
                found.append((self._header[3], self._header[4]))
                self.skip = int.from_bytes(self._header[:3], "big")
                self._header.clear()
        return found


def _pass_on(
    source: socket.socket, sink: socket.socket, reader: _FrameReader, count: Callable[[int, int], None]
) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(PIECE_BYTES):
            for kind, flags in reader.feed(data):
                count(kind, flags)
            sink.sendall(data)
    shut_down(sink, socket.SHUT_WR)
