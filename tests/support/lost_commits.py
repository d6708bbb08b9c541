"""A proxy in front of a PostgreSQL server: it can be cut, and it loses answers to commits, which the server has made by then."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

_PIECE_BYTES = 1 << 16
_SOCKET = ".s.PGSQL.5432"
_WRITERS_LOCK = b"pg_advisory_xact_lock"


class LostCommits:
    """Listens on a Unix socket in ``folder``; ``url`` is the URL of the server's database. Use it as a ``with``."""

    def __init__(self, folder: Path, url: str) -> None:
        (server,) = parse_qs(urlsplit(url).query)["host"]
        self._server = f"{server}/{_SOCKET}"
        self.url = url.replace(server, str(folder))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/{_SOCKET}")
        self._listener.listen()
        self._left = 0
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self._cut_at_loss = False
        self.lost = 0

    def lose(self, commits: int = 1) -> None:
        """Lose the answers to the next commits of write transactions."""
        self._left = commits

    @contextmanager
    def losing_all(self) -> Iterator[None]:
        """The answer to the next commit of a write transaction is lost, and with it all connections until the end of the block."""
        self._cut_at_loss = True
        self.lose()
        try:
            yield
        finally:
            self._cut_at_loss = self._is_cut = False

    @contextmanager
    def cut(self) -> Iterator[None]:
        """During the block connections are broken, and new ones are refused."""
        self._break()
        try:
            yield
        finally:
            self._is_cut = False

    def _break(self) -> None:
        self._is_cut = True
        for one in list(self._open):
            _close(one)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                near.close()
                continue
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._server)
            self._open |= {near, far}
            lossy = threading.Event()
            threading.Thread(target=self._forward, args=(near, far, lossy), daemon=True).start()
            threading.Thread(target=self._answer, args=(far, near, lossy), daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket, lossy: threading.Event) -> None:
        writes = False
        with contextlib.suppress(OSError):
            while data := near.recv(_PIECE_BYTES):
                writes = writes or _WRITERS_LOCK in data
                if b"COMMIT" in data:
                    if writes and self._left:
                        self._left -= 1
                        lossy.set()
                    writes = False
                far.sendall(data)
        _close(far)

    def _answer(self, far: socket.socket, near: socket.socket, lossy: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(_PIECE_BYTES):
                if lossy.is_set():  # this is the answer to the commit
                    self.lost += 1
                    if self._cut_at_loss:
                        self._break()
                    break
                near.sendall(data)
        _close(near)
        _close(far)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
