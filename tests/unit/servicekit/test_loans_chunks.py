"""Tensors in chunks, over a real gRPC server on loopback, into the same borrowings."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import pytest
import xxhash

from render_service.separation.chunks import CHUNK_BYTES, ChunkLender
from render_service.separation.codec import HandoffCodec, header_to_proto
from separation_service.api.handoff_codec import ReceiveCodec
from separation_service.api.handoff_servicer import HandoffServicer
from servicekit.errors import FailedPrecondition, InvalidTensor, ResourceExhausted, ServiceError, Unavailable
from servicekit.loans import (
    Borrowings,
    BorrowLimits,
    LoanClient,
    LoanPool,
    LoanServer,
    LoanTimes,
    PoolLimits,
    TensorHeader,
)
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.receive import ReceiveLimits
from servicekit.rpc.server import RpcServer
from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc
from tests.support.callers import trusting

SAMPLES = np.random.default_rng(3).standard_normal((2, 300_001), dtype=np.float32)
SMALL = SAMPLES[:, :1000].copy()

LIMITS = BorrowLimits(chunks=PoolLimits(max_bytes=8 << 20, max_bytes_per_peer=4 << 20), max_tensor_bytes=4 << 20)

T = TypeVar("T")
Request = handoff_pb2.SendTensorRequest


class Borrower:
    """A running HandoffService. Blocking calls run in a thread, so that the server's event loop stays free."""

    def __init__(self, address: str, borrowings: Borrowings) -> None:
        self.address = address
        self.borrowings = borrowings

    async def call(self, act: Callable[[], T]) -> T:
        """What ``act`` returns."""
        return await asyncio.to_thread(act)


@pytest.fixture
async def borrower() -> AsyncIterator[Borrower]:
    """A borrower on its own port."""
    borrowings = Borrowings(LIMITS)
    server = RpcServer(
        metrics=Metrics("test"),
        gated_methods=(),
        service_names=("sonichaos.handoff.v1.HandoffService",),
        gatekeeper=trusting(),
    )
    handoff_pb2_grpc.add_HandoffServiceServicer_to_server(
        HandoffServicer(borrowings, receive_limits=ReceiveLimits(window_s=2.0)), server.grpc_server
    )
    (address,) = await server.start([Endpoint("127.0.0.1:0")])
    yield Borrower(address, borrowings)
    await server.stop(0)


@pytest.fixture
def channel(borrower: Borrower) -> Iterator[grpc.Channel]:
    """A channel to the borrower."""
    with grpc.insecure_channel(borrower.address) as channel:
        yield channel


def chunk_lender(channel: grpc.Channel, times: LoanTimes | None = None) -> ChunkLender:
    """A lender to the borrower behind ``channel``."""
    return ChunkLender(channel, address="the borrower", times=times)


def lend_and_leave(lender: ChunkLender, samples: np.ndarray) -> str:
    """The lease id of a loan whose block has ended."""
    with lender.lend(samples, sample_rate_hz=44_100, job_id="job") as loan:
        return loan.lease_id


def header(samples: np.ndarray = SMALL, **changes: object) -> TensorHeader:
    """A correct header, with ``changes``."""
    right = TensorHeader(
        lease_id=secrets.token_hex(16),
        channels=samples.shape[0],
        frames=samples.shape[1],
        sample_rate_hz=44_100,
        xxh3_128=xxhash.xxh3_128_hexdigest(samples.data),
        lease_expires_at_s=time.time() + 3000,  # some are made when the tests are collected
        job_id="job",
    )
    return dataclasses.replace(right, **changes)


def first(**changes: object) -> Request:
    """The first request of a stream."""
    return Request(header=header_to_proto(header(**changes)))


def send(channel: grpc.Channel, requests: Sequence[Request]) -> tuple[grpc.StatusCode, str]:
    """Code and message of the refusal."""
    with pytest.raises(grpc.RpcError) as refused:
        handoff_pb2_grpc.HandoffServiceStub(channel).SendTensor(iter(requests), timeout=10)
    return refused.value.code(), refused.value.details()


async def test_a_tensor_sent_in_chunks_is_borrowed_like_a_lent_one(borrower: Borrower, channel: grpc.Channel) -> None:
    """All samples, read-only, once; its memory is freed after the block."""
    with ExitStack() as lent:
        lending = chunk_lender(channel).lend(SAMPLES, sample_rate_hz=44_100, job_id="job")
        lease_id = (await borrower.call(lambda: lent.enter_context(lending))).lease_id
        await use_once(borrower, lease_id)
        await borrower.call(lent.close)


async def use_once(borrower: Borrower, lease_id: str) -> None:
    """Borrow the samples of a loan and check them."""
    with borrower.borrowings.borrow(lease_id) as tensor:
        assert tensor.array.tobytes() == SAMPLES.tobytes()
        assert (tensor.array.shape, tensor.header.job_id) == (SAMPLES.shape, "job")
        assert not tensor.array.flags.writeable
        with pytest.raises(FailedPrecondition):
            borrower.borrowings.borrow(lease_id)
    assert borrower.borrowings.active_loans == 0


DATA = SMALL.tobytes()


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        ([], "before its header"),
        ([Request(data=DATA)], "must be a header"),
        ([Request()], "must be a header"),
        ([first()], "announced 8000 bytes, got 0"),
        ([first(), Request(data=DATA[:-4])], "got 7996"),
        ([first(), Request(data=DATA), Request(data=b"x")], "the tensor 8000, got 1 after 8000"),
        ([first(), first()], "one header"),
        ([first(), Request()], "one header"),
        ([first(xxh3_128="0" * 32), Request(data=DATA)], "must be 0000"),
        ([first(frames=1 << 50)], "at most 4194304 bytes"),
        ([first(channels=3)], "1 or 2"),
        ([first(samples=SAMPLES), Request(data=b"x" * (CHUNK_BYTES + 1))], "a chunk may have at most"),
        ([Request(header=handoff_pb2.TensorHeader(lease_id="x"))], "SAMPLE_TYPE_FLOAT32"),
    ],
)
async def test_an_invalid_stream_is_refused_and_leaves_nothing(
    borrower: Borrower, channel: grpc.Channel, requests: Sequence[Request], words: str
) -> None:
    """INVALID_ARGUMENT says what was expected; the next tensor is accepted."""
    code, message = await borrower.call(lambda: send(channel, requests))
    assert (code, words in message) == (grpc.StatusCode.INVALID_ARGUMENT, True), message
    assert borrower.borrowings.active_loans == 0
    assert await borrower.call(lambda: lend_and_leave(chunk_lender(channel), SMALL))


async def test_an_aborted_stream_frees_its_memory(borrower: Borrower, channel: grpc.Channel) -> None:
    """A sender that disconnects in the middle leaves no loan."""
    held, cancelled = asyncio.Event(), threading.Event()

    def requests() -> Iterator[Request]:
        yield first(samples=SAMPLES)
        yield Request(data=SAMPLES.tobytes()[:CHUNK_BYTES])
        while borrower.borrowings.active_loans == 0:
            time.sleep(0.01)
        loop.call_soon_threadsafe(held.set)
        cancelled.wait(10)

    loop = asyncio.get_running_loop()
    call = handoff_pb2_grpc.HandoffServiceStub(channel).SendTensor.future(requests())
    await asyncio.wait_for(held.wait(), 10)
    call.cancel()
    cancelled.set()
    await nothing_held(borrower)


async def test_a_stalled_stream_is_ended(borrower: Borrower, channel: grpc.Channel) -> None:
    """Its time is bounded, whatever timeout the sender has."""
    ended = threading.Event()

    def requests() -> Iterator[Request]:
        yield first()
        ended.wait(10)

    def stall() -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as refused:
            handoff_pb2_grpc.HandoffServiceStub(channel).SendTensor(requests(), timeout=10)
        ended.set()
        return refused.value.code()

    assert await borrower.call(stall) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert borrower.borrowings.active_loans == 0


async def test_a_tensor_that_is_not_borrowed_expires(borrower: Borrower, channel: grpc.Channel) -> None:
    """Its memory is freed without a further call."""
    lender = chunk_lender(channel, times=LoanTimes(lease_s=0.5))
    with ExitStack() as lent:
        lending = lender.lend(SMALL, sample_rate_hz=44_100, job_id="job")
        await borrower.call(lambda: lent.enter_context(lending))
        await nothing_held(borrower)


@pytest.mark.parametrize("ahead_s", [-60.0, 60.0])
async def test_clocks_of_two_hosts_may_differ_by_a_minute(
    borrower: Borrower, channel: grpc.Channel, ahead_s: float
) -> None:
    """The lender's host is ahead of the borrower's, or behind it."""
    lender = ChunkLender(channel, address="the borrower", wall_clock_s=lambda: time.time() + ahead_s)
    with ExitStack() as lent:
        lending = lender.lend(SAMPLES, sample_rate_hz=44_100, job_id="job")
        await use_once(borrower, (await borrower.call(lambda: lent.enter_context(lending))).lease_id)
        await borrower.call(lent.close)


async def test_a_tensor_is_withdrawn_after_its_block(borrower: Borrower, channel: grpc.Channel) -> None:
    """Its memory is free at once, whether the call that should use it was refused or never made."""
    await borrower.call(lambda: lend_and_leave(chunk_lender(channel), SMALL))
    assert borrower.borrowings.active_loans == 0


async def test_chunks_take_nothing_from_shared_memory(
    borrower: Borrower, channel: grpc.Channel, tmp_path: Path
) -> None:
    """While a sender has lent all that it may, the renderer on this host lends as before."""
    path = tmp_path / "private" / "loans.sock"
    server, pool = LoanServer(path, ReceiveCodec(), borrower.borrowings), LoanPool()

    def lend_beside() -> int:
        with ExitStack() as lent:
            for _ in range(4):
                lent.enter_context(chunk_lender(channel).lend(SMALL, sample_rate_hz=44_100, job_id="job"))
            with pytest.raises(ResourceExhausted):
                lend_and_leave(chunk_lender(channel), SMALL)
            with server, pool, LoanClient(path, HandoffCodec(), pool) as client:
                for _ in range(4):
                    lent.enter_context(client.lend(SMALL, sample_rate_hz=44_100, job_id="job"))
                return borrower.borrowings.active_loans

    assert await borrower.call(lend_beside) == 8


async def nothing_held(borrower: Borrower) -> None:
    """Wait until the borrower holds no loan."""
    async with asyncio.timeout(10):
        while borrower.borrowings.active_loans:  # noqa: ASYNC110  the finalizer that frees it sets no event
            await asyncio.sleep(0.01)


async def test_the_lender_raises_the_borrowers_errors(borrower: Borrower, channel: grpc.Channel) -> None:
    """Full, too large, expired: the same errors as over the loan socket."""
    lender = chunk_lender(channel)

    def errors() -> list[tuple[type[ServiceError], str]]:
        reasons = []
        with ExitStack() as lent:
            for _ in range(4):
                lent.enter_context(lender.lend(SMALL, sample_rate_hz=44_100, job_id="job"))
            expired = chunk_lender(channel, times=LoanTimes(lease_s=-1))
            for lending in (lender, expired):
                with pytest.raises(ServiceError) as raised:
                    lend_and_leave(lending, SMALL)
                reasons.append((type(raised.value), raised.value.reason))
        with pytest.raises(InvalidTensor):
            lend_and_leave(lender, np.zeros((2, 1 << 20), dtype=np.float32))
        return reasons

    assert await borrower.call(errors) == [(ResourceExhausted, "LOANS_EXHAUSTED"), (FailedPrecondition, "LEASE_LOST")]


async def test_a_warming_borrower_is_reported() -> None:
    """WARMING with a retry delay: the same call will succeed later."""
    server = RpcServer(
        metrics=Metrics("test"),
        gated_methods=("/sonichaos.handoff.v1.HandoffService/SendTensor",),
        service_names=("sonichaos.handoff.v1.HandoffService",),
        gatekeeper=trusting(),
    )
    handoff_pb2_grpc.add_HandoffServiceServicer_to_server(HandoffServicer(Borrowings()), server.grpc_server)
    (address,) = await server.start([Endpoint("127.0.0.1:0")])

    def lend() -> ServiceError:
        with grpc.insecure_channel(address) as channel, pytest.raises(Unavailable) as warming:
            lend_and_leave(chunk_lender(channel), SMALL)
        return warming.value

    refused = await asyncio.to_thread(lend)
    await server.stop(0)
    assert refused.reason == "WARMING"
    assert refused.retry_after_s


def test_an_unreachable_borrower_is_reported() -> None:
    """SEPARATION_UNAVAILABLE with a retry delay."""
    with grpc.insecure_channel("127.0.0.1:1") as channel, pytest.raises(Unavailable) as gone:
        lend_and_leave(chunk_lender(channel), SMALL)
    assert (gone.value.reason, gone.value.retry_after_s) == ("SEPARATION_UNAVAILABLE", 2.0)
