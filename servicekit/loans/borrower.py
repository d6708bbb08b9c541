"""The borrower's end of the loan socket: one thread that accepts loans and reports when they are released."""

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
from servicekit.loans.borrow_limits import Peer, Pool
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
from servicekit.logs import logger
from servicekit.socket_path import allowed_uids_or_own, listen_privately, peer_process

_log = logger(__name__)
_MAX_UNSENT_BYTES = 256 * 1024
"""A lender with more unread answers than this is disconnected."""
_PAUSE_S = 0.05


class LoanServer:
    """Listens on ``socket_path`` and registers loans in ``borrowings``.

    Accepts only processes of ``allowed_uids`` (default: this process's user). Its ``with`` block starts and ends one thread;
    borrowed tensors stay readable after that.
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
        """Start listening. Raises SocketPathError where the socket cannot be created."""
        self._listener = listen_privately(self._path, backlog=self._max_connections)
        self._inode = self._path.lstat().st_ino
        self._waker = _Waker()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._waker.fd, selectors.EVENT_READ)
        self._closing = False
        self._borrowings.add_waker(self._waker)
        self._thread = threading.Thread(target=self._serve, name="loan-server", daemon=True)
        self._thread.start()
        _log.info("listening for loans", path=str(self._path))

    def close(self) -> None:
        """Stop listening, discard the loans that are not borrowed, remove the socket."""
        if self._thread is None:
            return
        self._closing = True
        self._waker()
        self._thread.join()
        self._thread = None
        self._borrowings.remove_waker(self._waker)
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
                    self._serve_once()
                except Exception as error:  # noqa: BLE001  this thread's boundary: it must keep serving the other lenders
                    _log.error("unexpected error in the loan server", exc_info=error)
                    time.sleep(_PAUSE_S)
        finally:
            for lender in list(self._lenders):
                self._disconnect(lender, "the borrower closes")
            self._selector.close()
            self._listener.close()
            with suppress(FileNotFoundError):
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()

    def _serve_once(self) -> None:
        for key, _ in self._selector.select(self._timeout_s()):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fd == self._waker.fd:
                self._waker.clear()
            elif key.data in self._lenders:
                self._receive(key.data)
        self._borrowings.discard_expired()
        now_s = time.monotonic()
        for lender in list(self._lenders):
            if lender.stalled_since_s is not None and now_s - lender.stalled_since_s >= self._frame_timeout_s:
                self._disconnect(lender, f"a message was incomplete for {self._frame_timeout_s} s")
            else:
                self._send_answers(lender)

    def _timeout_s(self) -> float | None:
        waits = [self._borrowings.next_expiry_s()]
        waits += [self._frame_timeout_s for lender in self._lenders if lender.stalled_since_s is not None]
        return min((wait for wait in waits if wait is not None), default=None)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            _log.error("accepting a lender failed", error=str(error))
            time.sleep(_PAUSE_S)  # without descriptors the connection stays in the backlog, so do not spin
            return
        pid, uid = peer_process(sock)
        if uid not in self._allowed_uids or len(self._lenders) >= self._max_connections:
            reason = "its user is not allowed" if uid not in self._allowed_uids else "too many lenders are connected"
            _log.warning("lender refused", reason=reason, uid=uid, allowed_uids=sorted(self._allowed_uids))
            sock.close()
            return
        sock.setblocking(False)  # noqa: FBT003  the socket module's own signature
        lender = _Lender(sock, Peer(Pool.SHARED_MEMORY, f"process {pid}"))
        self._lenders.add(lender)
        self._selector.register(sock, selectors.EVENT_READ, lender)

    def _receive(self, lender: _Lender) -> None:
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
            self._disconnect(lender, str(error))
        except ConnectionLost as lost:
            self._disconnect(lender, lost.detail, expected=not lender.reader.in_a_frame)
        except Exception as error:  # noqa: BLE001  boundary: an error affects only this lender's connection
            _log.error("unexpected error in a lender's message", exc_info=error)
            self._disconnect(lender, "unexpected error")

    def _answer(self, lender: _Lender, frame: Frame) -> None:
        try:
            message = self._codec.decode(frame.body)
            match message:
                case LendRequest(header):
                    lender.answers.append(self._register(lender, header, frame.fds))
                case WithdrawRequest(lease_id):
                    if frame.fds:
                        raise MalformedMessage("a withdrawal must not have a descriptor")
                    lender.maps.withdraw(lease_id)
                    if self._borrowings.is_from(lender, lease_id):
                        self._borrowings.discard(lease_id)
        finally:
            frame.close()

    def _register(self, lender: _Lender, header: TensorHeader, fds: list[int]) -> BorrowerMessage:
        try:
            self._borrowings.register(header, lender)
            try:
                self._borrowings.attach(header.lease_id, lender.maps.map(fds, header), verified=False)
            except ServiceError:
                self._borrowings.unregister(header.lease_id)
                raise
        except ServiceError as error:
            _log.warning("loan refused", lease_id=header.lease_id, job_id=header.job_id, message=error.message)
            return LoanRefused(header.lease_id, error.reason, error.message)
        return LoanAccepted(header.lease_id)

    def _send_answers(self, lender: _Lender) -> None:
        while lender.answers:
            lender.unsent += pack_frame(self._codec.encode(lender.answers.popleft()))
        was_waiting = lender.waits_to_send
        try:
            while lender.unsent:
                del lender.unsent[: lender.sock.send(lender.unsent, socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            if len(lender.unsent) > _MAX_UNSENT_BYTES:
                self._disconnect(lender, "it does not read its answers")
                return
        except OSError as error:
            self._disconnect(lender, str(error))
            return
        lender.waits_to_send = bool(lender.unsent)
        if lender.waits_to_send != was_waiting:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lender.waits_to_send else 0)
            self._selector.modify(lender.sock, events, lender)

    def _disconnect(self, lender: _Lender, reason: str, *, expected: bool = False) -> None:
        self._lenders.discard(lender)
        self._borrowings.discard_all_from(lender)
        self._selector.unregister(lender.sock)
        lender.maps.close()
        lender.reader.close()
        lender.sock.close()
        (_log.info if expected else _log.warning)("lender disconnected", reason=reason)


class _Lender:
    """One connection. Any thread may append to ``answers``; the server's thread sends them."""

    def __init__(self, sock: socket.socket, peer: Peer) -> None:
        self.sock = sock
        self.peer = peer
        self.reader = FrameReader(sock)
        self.maps = RegionMaps()
        self.answers: deque[BorrowerMessage] = deque()
        self.unsent = bytearray()
        self.waits_to_send = False
        self.stalled_since_s: float | None = None

    def released(self, lease_id: str) -> None:
        self.answers.append(LoanReleased(lease_id))


class _Waker:
    """Wakes the selector from any thread, also during garbage collection: it takes no lock and does not log.

    The descriptor is closed with the object, so a finalizer that still holds it never writes to a reused descriptor number.
    """

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        weakref.finalize(self, os.close, self.fd)

    def __call__(self) -> None:
        with suppress(BlockingIOError):  # a full counter wakes too
            os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
