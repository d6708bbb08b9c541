"""A proxy in front of a PostgreSQL server: it can be cut, and it loses answers to statements that the server has executed."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support.cuttable_proxy import PIECE_BYTES, CuttableProxy, shut_down

_SOCKET = ".s.PGSQL.5432"
_WRITERS_LOCK = b"pg_advisory_xact_lock"


class LostCommits(CuttableProxy):
    """Listens on a Unix socket in ``folder``. Use it as a ``with``.

    ``url`` is the URL of the server's database through the proxy, ``direct_url`` the one past it.
    """

    def __init__(self, folder: Path, url: str) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/{_SOCKET}")
        listener.listen()
        super().__init__(listener)
        (server,) = parse_qs(urlsplit(url).query)["host"]
        self._server = f"{server}/{_SOCKET}"
        self.url = url.replace(server, str(folder))
        self.direct_url = url
        self._left = 0
        self._cut_at_loss = False
        self._answers_left = 0
        self.lost = 0

    def lose(self, commits: int = 1) -> None:
        """Lose the answers to the next commits of write transactions."""
        self._left = commits

    def lose_answer(self, number: int) -> None:
        """Lose the answer ``number`` from now on, counted from 1, of whatever statement, and with it its connection."""
        self._answers_left = number

    @contextmanager
    def losing_all(self) -> Iterator[None]:
        """The answer to the next commit of a write transaction is lost, and with it all connections until the end of the block."""
        self._cut_at_loss = True
        self.lose()
        try:
            yield
        finally:
            self._cut_at_loss = self._is_cut = False

    def connect(self) -> socket.socket:
        """See `CuttableProxy`."""
        far = socket.socket(socket.AF_UNIX)
        far.connect(self._server)
        return far

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """See `CuttableProxy`."""
        lossy = threading.Event()
        threading.Thread(target=self._forward, args=(near, far, lossy), daemon=True).start()
        threading.Thread(target=self._answer, args=(far, near, lossy), daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket, lossy: threading.Event) -> None:
        writes = False
        with contextlib.suppress(OSError):
            while data := near.recv(PIECE_BYTES):
                writes = writes or _WRITERS_LOCK in data
                if b"COMMIT" in data:
                    if writes and self._left:
                        self._left -= 1
                        lossy.set()
                    writes = False
                far.sendall(data)
        shut_down(far)

    def _answer(self, far: socket.socket, near: socket.socket, lossy: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(PIECE_BYTES):
                if lossy.is_set():  # this is the answer to the commit
                    self.lost += 1
                    if self._cut_at_loss:
                        self._is_cut = True
                        self.break_all()
                    break
                if self._answers_left:
                    self._answers_left -= 1
                    if not self._answers_left:
                        self.lost += 1
                        break
                near.sendall(data)
        shut_down(near)
        shut_down(far)
