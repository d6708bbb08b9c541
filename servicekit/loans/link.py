"""A lender's connection to the borrower. It has no thread: one of the threads that wait for an answer reads for all of them."""

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
    """Owns a connected ``sock``. A send that takes longer than ``send_timeout_s`` breaks the link."""

    def __init__(self, sock: socket.socket, codec: LenderCodec, send_timeout_s: float) -> None:
        sock.settimeout(None)
        timeval = struct.pack("ll", int(send_timeout_s), int(send_timeout_s % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        self._sock = sock
        self._reader = FrameReader(sock)
        self._codec = codec
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._has_reader = False
        self._answers: dict[str, BorrowerMessage | None] = {}
        self.broken: str | None = None
        """Why the link is broken; None while it is not."""

    def is_connected(self) -> bool:
        """Whether the link is usable, as far as can be seen without sending anything."""
        self._wait_until(lambda: False, 0.0)
        return self.broken is None

    def lend(self, header: TensorHeader, fd: int, timeout_s: float) -> BorrowerMessage | None:
        """Send a loan and its descriptor; returns the borrower's answer, None after ``timeout_s``. Raises ConnectionLost.

        The answer is LoanReleased where an acceptance and a release were read together.
        """
        lease_id = header.lease_id
        with self._changed:
            self._answers[lease_id] = None
        answer = None
        try:
            self.send(LendRequest(header), fd)
            self._wait_until(lambda: self._answers[lease_id] is not None, timeout_s)
            answer = self._answers[lease_id]
        finally:
            if not isinstance(answer, LoanAccepted | LoanReleased):
                self.unregister(lease_id)
        if answer is None and self.broken:
            raise ConnectionLost(self.broken)
        return answer

    def send(self, message: LenderMessage, *fds: int) -> None:
        """Send a message; a failure sets ``broken``."""
        data = self._codec.encode(message)
        with self._sending:
            if self.broken is not None:
                return
            try:
                send_frame(self._sock, data, fds)
            except OSError as error:
                self._break(f"cannot be written to: {error}")

    def wait_released(self, lease_id: str, timeout_s: float) -> bool:
        """True once the borrower has released the loan, False after ``timeout_s``."""

        def is_released() -> bool:
            return isinstance(self._answers.get(lease_id), LoanReleased | LoanRefused)

        self._wait_until(is_released, timeout_s)
        return is_released()

    def unregister(self, lease_id: str) -> None:
        """Ignore further messages about a loan."""
        with self._changed:
            self._answers.pop(lease_id, None)

    def close(self) -> None:
        """Close the connection; threads that wait find the link broken."""
        self._break("was closed")
        with self._changed:
            self._changed.wait_for(lambda: not self._has_reader)
        with self._sending:
            self._reader.close()
            self._sock.close()

    def _wait_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Return once ``done()`` is true, the link is broken or ``timeout_s`` has passed. Reads at least once."""
        deadline_s = time.monotonic() + timeout_s
        timed_out = False
        while True:
            with self._changed:
                if done() or self.broken is not None or timed_out:
                    return
                left_s = max(0.0, deadline_s - time.monotonic())
                timed_out = left_s == 0.0
                if self._has_reader:
                    self._changed.wait(left_s)
                    continue
                self._has_reader = True
            try:
                self._read(left_s)
            finally:
                with self._changed:
                    self._has_reader = False
                    self._changed.notify_all()

    def _read(self, timeout_s: float) -> None:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        if not poll.poll(timeout_s * 1e3):
            return
        try:
            while True:
                frame = self._reader.read()
                if frame is not None:
                    frame.close()  # a borrower sends no descriptors
                    self._on_message(self._codec.decode(frame.body))
        except BlockingIOError:
            return
        except ConnectionLost as lost:
            self._break(lost.detail)
        except (OSError, MalformedMessage) as error:
            self._break(f"sent an unreadable message: {error}")

    def _on_message(self, message: BorrowerMessage) -> None:
        with self._changed:
            if message.lease_id in self._answers:
                self._answers[message.lease_id] = message

    def _break(self, reason: str) -> None:
        with self._changed:
            self.broken = self.broken or reason
            self._changed.notify_all()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
