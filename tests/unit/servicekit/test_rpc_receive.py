"""Streams of callers: a slow one is refused for what it is, whatever it sends in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from servicekit.errors import StreamTooSlow
from servicekit.rpc.receive import ReceiveLimits, ReceiveStream


def stream(
    messages: AsyncIterator[bytes], *, window_s: float = 0.2, rate: float = 100.0, max_s: float = 60.0
) -> ReceiveStream[bytes]:
    """A stream of bytes within limits."""
    limits = ReceiveLimits(window_s=window_s, min_bytes_per_s=rate, max_s=max_s)
    return ReceiveStream(messages, limits, size_of=len)


async def drip(message: bytes, *, every_s: float) -> AsyncIterator[bytes]:
    """The same message again and again, without end."""
    while True:
        yield message
        await asyncio.sleep(every_s)


@pytest.mark.parametrize("message", [b"", b"x"])
async def test_a_stream_that_drips_is_refused(message: bytes) -> None:
    """Empty messages and single bytes keep no place."""
    slow = stream(drip(message, every_s=0.01))
    with pytest.raises(StreamTooSlow) as refused:
        while True:
            await slow.next()
    assert refused.value.reason == "STREAM_TOO_SLOW"
    assert refused.value.metadata == {"min_bytes_per_second": "100", "max_seconds": "60"}
    assert "expire_time" not in refused.value.message


async def test_a_stream_that_sends_nothing_is_refused() -> None:
    """A silent sender, before its first message."""

    async def silence() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    with pytest.raises(StreamTooSlow):
        await stream(silence()).next()


async def test_a_stream_ends_in_its_total_time() -> None:
    """Though its rate is high enough."""
    endless = stream(drip(b"x" * 1000, every_s=0.01), max_s=0.1)
    with pytest.raises(StreamTooSlow):
        while True:
            await endless.next()


async def test_the_services_own_time_does_not_count() -> None:
    """A disk that is slower than the window refuses nobody."""

    async def quick() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    received = stream(quick(), window_s=0.05)
    for _ in range(3):
        assert await received.next() == b"x"
        await asyncio.sleep(0.06)
