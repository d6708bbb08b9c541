"""Writes lines to a descriptor from a thread of its own, so that a slow, full or closed output never stops whoever writes."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

_MAX_PENDING_BYTES = 4 << 20
_PAUSE_S = 0.05  # after a failed write, so that a full disk is not tried without pause


class LineWriter:
    """Lines wait in memory, at most ``max_pending_bytes``, until the output takes them; further ones are dropped and counted.

    A line that the output refuses (a full disk, a reader that is gone) is dropped too. ``on_dropped`` makes the line that says how
    many were dropped; it is written as soon as the output works again. Safe to use from any thread.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        on_dropped: Callable[[int], str],
        max_pending_bytes: int = _MAX_PENDING_BYTES,
        before_write: Callable[[], None] | None = None,
    ) -> None:
        self._descriptor = descriptor
        self._on_dropped = on_dropped
        self._max_pending_bytes = max_pending_bytes
        self._before_write = before_write
        self._changed = threading.Condition()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._unreported = 0
        self._writing = False
        self._is_torn = False  # the output has the beginning of a line that was dropped
        self.dropped = 0
        """How many lines were dropped so far."""
        self._thread: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Write a line soon. Never waits and never raises."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._changed:
            if self._pending_bytes + len(data) > self._max_pending_bytes:
                self._count_dropped(1)
                return
            self._pending.append(data)
            self._pending_bytes += len(data)
            self._changed.notify_all()
            self._start_thread()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is written, at most ``timeout_s``; False where the output did not take it in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._pending or self._writing), timeout_s)

    def _start_thread(self) -> None:
        """Start the thread, also after it has died; where there is no room for one, the next line tries again."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._loop, name="line-writer", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending)
                lines, self._pending = self._pending, deque()
                self._pending_bytes = 0
                self._writing = True
            for line in lines:
                self._write_or_drop(line)
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _write_or_drop(self, line: bytes) -> None:
        with self._changed:
            unreported = self._unreported
        report = (self._on_dropped(unreported) + "\n").encode() if unreported else b""
        try:
            if self._before_write is not None:
                self._before_write()
            self._write_all(report + line)
        except OSError:
            with self._changed:
                self._count_dropped(1)
            time.sleep(_PAUSE_S)
            return
        with self._changed:
            self._unreported -= unreported

    def _count_dropped(self, lines: int) -> None:
        self.dropped += lines
        self._unreported += lines

    def _write_all(self, data: bytes) -> None:
        left = memoryview(b"\n" + data if self._is_torn else data)
        while left:
            left = left[os.write(self._descriptor, left) :]
            self._is_torn = len(left) > 0
