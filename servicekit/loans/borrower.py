"""The borrower's end of the loan socket: one thread that takes in loans and says when they are over."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from servicekit.errors import ServiceError
from servicekit.loans.borrowings import Borrowings
from servicekit.loans.framing import BrokenFrame, ConnectionLost, Frame, FrameReader, pack_frame
from servicekit.loans.mapping import RegionMaps
from servicekit.loans.messages import (
    BorrowerCodec,
    BorrowerMessage,
    LendRequest,
    LoanAccepted,
    LoanRefused,
    LoanReleased,
    MalformedMessage,
    TensorHeader,
    WithdrawRequest,
)
from servicekit.loans.socket_path import allowed_uids_or_own, listen_privately, peer_uid
from servicekit.logs import logger

_log = logger(__name__)
_MAX_UNSENT_BYTES = 256 * 1024
"""A lender that does not read its answers is cut off beyond this."""
_PAUSE_S = 0.05


class LoanServer:
    """Listens on ``socket_path`` and puts what is lent into ``borrowings``, from which the service takes it.

    Only processes of ``allowed_uids`` (default: this process's own user) are listened to. Each ``with`` of a server starts one
    thread and ends it; loans that were taken stay readable after that.
    """

    def __init__(
        self,
        socket_path: Path,
        codec: BorrowerCodec,
        borrowings: Borrowings,
        *,
        allowed_uids: Collection[int] | None = None,
        max_connections: int = 8,
        frame_timeout_s: float = 5.0,
    ) -> None:
        self._path = socket_path
        self._codec = codec
        self._borrowings = borrowings
        self._allowed_uids = allowed_uids_or_own(allowed_uids)
        self._max_connections = max_connections
        self._frame_timeout_s = frame_timeout_s
        self._lenders: set[_Lender] = set()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen. Raises SocketPathError where the socket cannot be at its path."""
        self._listener = listen_privately(self._path, backlog=self._max_connections)
        self._inode = self._path.lstat().st_ino
        self._waker = _Waker()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._waker.fd, selectors.EVENT_READ)
        self._closing = False
        self._borrowings.on_end(self._waker)
        self._thread = threading.Thread(target=self._serve, name="loan-server", daemon=True)
        self._thread.start()
        _log.info("loan socket listens", path=str(self._path))

    def close(self) -> None:
        """Stop listening, drop the loans that were not taken, remove the socket."""
        if self._thread is None:
            return
        self._closing = True
        self._waker()
        self._thread.join()
        self._thread = None
        self._borrowings.off_end(self._waker)
        del self._waker

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _serve(self) -> None:
        try:
            while not self._closing:
                try:
                    self._turn()
                except Exception as error:  # noqa: BLE001  this thread's boundary: the next lender shall find it alive
                    _log.error("the loan server's turn failed unexpectedly", exc_info=error)
                    time.sleep(_PAUSE_S)
        finally:
            for lender in list(self._lenders):
                self._hang_up(lender, "the borrower closes")
            self._selector.close()
            self._listener.close()
            with suppress(FileNotFoundError):
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._timeout_s()):
            if key.fileobj is self._listener:
                self._greet()
            elif key.fd == self._waker.fd:
                self._waker.clear()
            elif key.data in self._lenders:
                self._hear(key.data)
        self._borrowings.expire()
        now_s = time.monotonic()
        for lender in list(self._lenders):
            if lender.stalled_since_s is not None and now_s - lender.stalled_since_s >= self._frame_timeout_s:
                self._hang_up(lender, f"half a message and nothing more for {self._frame_timeout_s} s")
            else:
                self._tell(lender)

    def _timeout_s(self) -> float | None:
        waits = [self._borrowings.next_expiry_s()]
        waits += [self._frame_timeout_s for lender in self._lenders if lender.stalled_since_s is not None]
        return min((wait for wait in waits if wait is not None), default=None)

    def _greet(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            _log.error("a lender could not be let in", error=str(error))
            time.sleep(_PAUSE_S)  # without descriptors the connection stays in the backlog: do not spin on it
            return
        uid = peer_uid(sock)
        if uid not in self._allowed_uids or len(self._lenders) >= self._max_connections:
            why = "its user is not allowed" if uid not in self._allowed_uids else "too many lenders are connected"
            _log.warning("a lender was turned away", why=why, uid=uid, allowed_uids=sorted(self._allowed_uids))
            sock.close()
            return
        sock.setblocking(False)  # noqa: FBT003  the socket module's own signature
        lender = _Lender(sock)
        self._lenders.add(lender)
        self._selector.register(sock, selectors.EVENT_READ, lender)

    def _hear(self, lender: _Lender) -> None:
        try:
            frame = lender.reader.read()
            lender.stalled_since_s = None
            if frame is not None:
                self._answer(lender, frame)
            elif lender.reader.in_a_frame:
                lender.stalled_since_s = time.monotonic()
        except BlockingIOError:
            return
        except (BrokenFrame, MalformedMessage) as error:
            self._hang_up(lender, str(error))
        except ConnectionLost as lost:
            self._hang_up(lender, lost.detail, quietly=not lender.reader.in_a_frame)
        except Exception as error:  # noqa: BLE001  boundary: one lender's trouble ends with its connection
            _log.error("a lender's message failed unexpectedly", exc_info=error)
            self._hang_up(lender, "an unexpected failure")

    def _answer(self, lender: _Lender, frame: Frame) -> None:
        try:
            message = self._codec.decode(frame.body)
            match message:
                case LendRequest(header):
                    lender.answers.append(self._take_in(lender, header, frame.fds))
                case WithdrawRequest(lease_id):
                    if frame.fds:
                        raise MalformedMessage("a withdrawal came with a descriptor")
                    if self._borrowings.owns(lender, lease_id):
                        self._borrowings.drop(lease_id)
        finally:
            frame.close()

    def _take_in(self, lender: _Lender, header: TensorHeader, fds: list[int]) -> BorrowerMessage:
        try:
            self._borrowings.admit(header, lender)
            try:
                self._borrowings.keep(header.lease_id, lender.maps.map(fds, header), verified=False)
            except ServiceError:
                self._borrowings.strike(header.lease_id)
                raise
        except ServiceError as error:
            _log.warning("a loan was refused", lease_id=header.lease_id, job_id=header.job_id, why=error.message)
            return LoanRefused(header.lease_id, error.reason, error.message)
        return LoanAccepted(header.lease_id)

    def _tell(self, lender: _Lender) -> None:
        while lender.answers:
            lender.unsent += pack_frame(self._codec.encode(lender.answers.popleft()))
        was_waiting = lender.waits_to_send
        try:
            while lender.unsent:
                del lender.unsent[: lender.sock.send(lender.unsent, socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            if len(lender.unsent) > _MAX_UNSENT_BYTES:
                self._hang_up(lender, "it does not read its answers")
                return
        except OSError as error:
            self._hang_up(lender, str(error))
            return
        lender.waits_to_send = bool(lender.unsent)
        if lender.waits_to_send != was_waiting:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lender.waits_to_send else 0)
            self._selector.modify(lender.sock, events, lender)

    def _hang_up(self, lender: _Lender, why: str, *, quietly: bool = False) -> None:
        self._lenders.discard(lender)
        self._borrowings.drop_all_of(lender)
        self._selector.unregister(lender.sock)
        lender.maps.close()
        lender.reader.close()
        lender.sock.close()
        (_log.info if quietly else _log.warning)("a lender's connection ended", why=why)


class _Lender:
    """One connection. ``answers`` is filled by whoever sees a loan end and sent by the server's thread."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.reader = FrameReader(sock)
        self.maps = RegionMaps()
        self.answers: deque[BorrowerMessage] = deque()
        self.unsent = bytearray()
        self.waits_to_send = False
        self.stalled_since_s: float | None = None

    def released(self, lease_id: str) -> None:
        self.answers.append(LoanReleased(lease_id))


class _Waker:
    """Ends the selector's wait, from any thread, even inside its garbage collection: no lock, no log.

    The descriptor goes with the object, not before: a finalizer that still holds it can never write to a reused number.
    """

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        weakref.finalize(self, os.close, self.fd)

    def __call__(self) -> None:
        with suppress(BlockingIOError):  # a full counter wakes as well
            os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
