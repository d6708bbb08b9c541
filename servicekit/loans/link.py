"""A lender's connection to the borrower.

It has no thread of its own: of those who wait for an answer, one reads for all.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from servicekit.loans.framing import ConnectionLost, FrameReader, send_frame
from servicekit.loans.messages import (
    BorrowerMessage,
    LenderCodec,
    LenderMessage,
    LendRequest,
    LoanAccepted,
    LoanRefused,
    LoanReleased,
    MalformedMessage,
    TensorHeader,
)


class Link:
    """Owns a connected ``sock``; a send that the borrower does not take within ``send_timeout_s`` breaks the link."""

    def __init__(self, sock: socket.socket, codec: LenderCodec, send_timeout_s: float) -> None:
        sock.settimeout(None)
        timeval = struct.pack("ll", int(send_timeout_s), int(send_timeout_s % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        self._sock = sock
        self._reader = FrameReader(sock)
        self._codec = codec
        self._sending = threading.Lock()
        self._heard = threading.Condition()
        self._somebody_reads = False
        self._last_words: dict[str, BorrowerMessage | None] = {}
        self.broken: str | None = None

    def is_whole(self) -> bool:
        """Whether the borrower is still there, as far as can be told without asking it."""
        self._wait_until(lambda: False, 0.0)
        return self.broken is None

    def offer(self, header: TensorHeader, fd: int, timeout_s: float) -> BorrowerMessage | None:
        """Send a loan and its descriptor; the borrower's last word on it, or None after ``timeout_s``. Raises ConnectionLost.

        An acceptance that was read together with the release after it shows as LoanReleased.
        """
        lease_id = header.lease_id
        with self._heard:
            self._last_words[lease_id] = None
        answer = None
        try:
            self.say(LendRequest(header), fd)
            self._wait_until(lambda: self._last_words[lease_id] is not None, timeout_s)
            answer = self._last_words[lease_id]
        finally:
            if not isinstance(answer, LoanAccepted | LoanReleased):
                self.forget(lease_id)
        if answer is None and self.broken:
            raise ConnectionLost(self.broken)
        return answer

    def say(self, message: LenderMessage, *fds: int) -> None:
        """Send, or find the link broken."""
        data = self._codec.encode(message)
        with self._sending:
            if self.broken is not None:
                return
            try:
                send_frame(self._sock, data, fds)
            except OSError as error:
                self._break(f"cannot be written to: {error}")

    def wait_for_end(self, lease_id: str, timeout_s: float) -> bool:
        """Whether the borrower has let go of a loan, within ``timeout_s``."""

        def over() -> bool:
            return isinstance(self._last_words.get(lease_id), LoanReleased | LoanRefused)

        self._wait_until(over, timeout_s)
        return over()

    def forget(self, lease_id: str) -> None:
        """Stop listening for news of a loan."""
        with self._heard:
            self._last_words.pop(lease_id, None)

    def close(self) -> None:
        """Close the connection; whoever still waits finds it broken."""
        self._break("was left")
        with self._heard:
            self._heard.wait_for(lambda: not self._somebody_reads)
        with self._sending:
            self._reader.close()
            self._sock.close()

    def _wait_until(self, over: Callable[[], bool], timeout_s: float) -> None:
        """Return when ``over``, when the link is broken or after ``timeout_s``; what waits on the socket is read first."""
        deadline_s = time.monotonic() + timeout_s
        late = False
        while True:
            with self._heard:
                if over() or self.broken is not None or late:
                    return
                left_s = max(0.0, deadline_s - time.monotonic())
                late = left_s == 0.0
                if self._somebody_reads:
                    self._heard.wait(left_s)
                    continue
                self._somebody_reads = True
            try:
                self._read(left_s)
            finally:
                with self._heard:
                    self._somebody_reads = False
                    self._heard.notify_all()

    def _read(self, timeout_s: float) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        if not poll.poll(timeout_s * 1e3):
            return
        try:
            while True:
                frame = self._reader.read()
                if frame is not None:
                    frame.close()  # a borrower has no descriptors to give
                    self._hear(self._codec.decode(frame.body))
        except BlockingIOError:
            return
        except ConnectionLost as lost:
            self._break(lost.detail)
        except (OSError, MalformedMessage) as error:
            self._break(f"sent what cannot be read: {error}")

    def _hear(self, message: BorrowerMessage) -> None:
        with self._heard:
            if message.lease_id in self._last_words:
                self._last_words[message.lease_id] = message

    def _break(self, why: str) -> None:
        with self._heard:
            self.broken = self.broken or why
            self._heard.notify_all()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
