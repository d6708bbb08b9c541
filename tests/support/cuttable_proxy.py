"""Proxies that can be cut: connections break, and new ones are refused."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

PIECE_BYTES = 1 << 16


class CuttableProxy(ABC):
    """Accepts at ``listener``. Use it as a ``with``."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self._loses_answers = False

    @abstractmethod
    def connect(self) -> socket.socket:
        """A connection to the server."""

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """Start to pass on what the client at ``near`` and the server at ``far`` send."""
        threading.Thread(target=_pass_on, args=(near, far), daemon=True).start()
        threading.Thread(target=_pass_on, args=(far, near, lambda: self._loses_answers), daemon=True).start()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.break_all()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """During the block connections are broken, and new ones are refused."""
        self._is_cut = True
        self.break_all()
        try:
            yield
        finally:
            self._is_cut = False

    @contextmanager
    def losing_answers(self) -> Iterator[None]:
        """During the block clients receive nothing of what the server sends; then the connections that it used break."""
        self._loses_answers = True
        try:
            yield
        finally:
            self.break_all()
            self._loses_answers = False

    def break_all(self) -> None:
        """Break the open connections."""
        with self._lock:
            for one in self._open:
                shut_down(one)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                near.close()
                continue
            far = self.connect()
            with self._lock:
                self._open |= {near, far}
            self.carry(near, far)


class HttpProxy(CuttableProxy):
    """TCP from ``127.0.0.1:port`` to another port of loopback."""

    def __init__(self, target_port: int) -> None:
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self._target_port = target_port
        self.port = int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """The server's address through this proxy."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """See `CuttableProxy`."""
        return socket.create_connection(("127.0.0.1", self._target_port))


def shut_down(one: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    """Shut a socket down, unless it is."""
    with contextlib.suppress(OSError):
        one.shutdown(how)


def _pass_on(source: socket.socket, sink: socket.socket, is_lost: Callable[[], bool] = lambda: False) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(PIECE_BYTES):
            if not is_lost():
                sink.sendall(data)
    shut_down(sink, socket.SHUT_WR)
