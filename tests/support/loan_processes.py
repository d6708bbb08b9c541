"""A lender and a borrower as separate processes, driven over a pipe; each can die at a given message."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from render_service.separation.codec import HandoffCodec
from separation_service.api.handoff_codec import ReceiveCodec
from servicekit.errors import ServiceError
from servicekit.loans import BorrowedTensor, Borrowings, LoanClient, LoanPool, LoanServer, LoanTimes
from servicekit.loans.regions import REGION_NAME

RATE_HZ = 44_100
SHAPE = (2, 200_000)
_TIMEOUT_S = 20.0


Command = str | tuple[str, str] | tuple[str, float]
Role = Callable[[Connection, Path, str | None], None]


class Codec(Protocol):
    """The codec of the lender or the borrower."""

    def encode(self, message: object, /) -> bytes:
        """Bytes of ``message``."""

    def decode(self, data: bytes, /) -> object:
        """Message in ``data``."""


class DyingCodec:
    """``codec``, but the process kills itself at the message ``die_at``, such as "encode LoanAccepted"."""

    def __init__(self, codec: Codec, die_at: str | None) -> None:
        self._codec = codec
        self._die_at = die_at

    def encode(self, message: object, /) -> bytes:
        """Bytes of ``message``, or death."""
        self._maybe_die("encode", message)
        return self._codec.encode(message)

    def decode(self, data: bytes, /) -> object:
        """Message in ``data``, or death."""
        message = self._codec.decode(data)
        self._maybe_die("decode", message)
        return message

    def _maybe_die(self, direction: str, message: object) -> None:
        if self._die_at == f"{direction} {type(message).__name__}":
            os.kill(os.getpid(), signal.SIGKILL)


def run_borrower(control: Connection, socket_path: Path, die_at: str | None) -> None:
    """Borrow and release on command."""
    borrowings = Borrowings()
    with LoanServer(socket_path, DyingCodec(ReceiveCodec(), die_at), borrowings), ExitStack() as borrowed:
        control.send("ready")
        while True:
            match control.recv():
                case ("borrow", lease_id):
                    control.send(
                        _answer(lambda name=lease_id: _sum_of(borrowed.enter_context(borrowings.borrow(name))))
                    )
                case "release":
                    control.send(_answer(borrowed.close))
                case "loans":
                    control.send(borrowings.active_loans)
                case "end":
                    break
    control.send("ended")


def _sum_of(tensor: BorrowedTensor) -> float:
    return float(tensor.array[:, -10:].sum())


def run_lender(control: Connection, socket_path: Path, die_at: str | None) -> None:
    """Lend and end loans on command."""
    times = LoanTimes(accept_timeout_s=5.0, release_timeout_s=0.3)
    codec = DyingCodec(HandoffCodec(), die_at)
    with (
        LoanPool(max_regions=2) as pool,
        LoanClient(socket_path, codec, pool, times=times) as client,
        ExitStack() as lent,
    ):
        control.send("ready")
        while True:
            match control.recv():
                case ("lend", value):
                    samples = np.full(SHAPE, value, dtype=np.float32)
                    loan = client.lend(samples, sample_rate_hz=RATE_HZ, job_id="job")
                    control.send(_answer(lambda context=loan: lent.enter_context(context).lease_id))
                case "end loans":
                    control.send(_answer(lent.close))
                case "end":
                    break
    control.send("ended")


def _answer(act: Callable[[], object]) -> object:
    try:
        return act()
    except ServiceError as error:
        return error.reason


class Actor:
    """One of the two as a process, which is killed at the end of the ``with`` block."""

    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload([__name__])

    def __init__(self, role: Role, socket_path: Path, die_at: str | None = None) -> None:
        self._control, there = self.forkserver.Pipe()
        self._process = self.forkserver.Process(target=role, args=(there, socket_path, die_at), daemon=True)
        self._process.start()
        there.close()
        assert self.receive() == "ready"

    def ask(self, command: Command) -> object:
        """The answer to a command, or "died" where the process ended instead."""
        self.send(command)
        return self.receive()

    def send(self, command: Command) -> None:
        """Send a command without waiting for the answer."""
        self._control.send(command)

    def receive(self) -> object:
        """The next answer."""
        assert self._control.poll(_TIMEOUT_S), "no answer"
        try:
            return self._control.recv()
        except EOFError:
            return "died"

    def kill(self) -> None:
        """Kill the process with SIGKILL and wait for its end."""
        self._process.kill()
        self._process.join()

    def regions_mapped(self) -> int:
        """Loan regions in the process's memory map."""
        return sum(f"/memfd:{REGION_NAME}" in line for line in self._proc("maps").read_text().splitlines())

    def descriptors(self) -> list[str]:
        """Open files of the process; one that is closed meanwhile is left out."""
        found = []
        for entry in self._proc("fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(str(entry.readlink()))
        return sorted(found)

    def _proc(self, name: str) -> Path:
        return Path(f"/proc/{self._process.pid}/{name}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._control.close()
