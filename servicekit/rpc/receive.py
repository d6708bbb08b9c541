"""What callers send, bounded in time: a slow sender must not hold a place, and its memory or disk, without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from grpc import aio

from servicekit.errors import FieldViolation, InvalidFields, StreamTooSlow

M = TypeVar("M")
REQUEST_LIMIT_S = 20.0
"""How long the one request of a call may take, 4 MiB at most."""


@dataclass(frozen=True, kw_only=True)
class ReceiveLimits:
    """How slow a stream may be.

    In each span of ``window_s`` seconds of waiting for it, it must bring ``min_bytes_per_s`` on average; all its waits together
    must not exceed ``max_s``. The time that the service itself takes for the bytes does not count.
    """

    window_s: float = 60.0
    min_bytes_per_s: float = 16384.0
    max_s: float = 7200.0


class ReceiveStream(Generic[M]):
    """The messages of a stream within its limits. ``size_of`` gives the bytes of a message that count: those of its data."""

    def __init__(self, messages: AsyncIterator[M], limits: ReceiveLimits, *, size_of: Callable[[M], int]) -> None:
        self._messages = messages
        self._limits = limits
        self._size_of = size_of
        self._left_s = limits.max_s
        self._window_left_s = limits.window_s
        self._window_bytes = 0

    async def next(self) -> M | None:
        """The next message; None at the end of the stream. Raises StreamTooSlow."""
        clock = asyncio.get_running_loop()
        started_s = clock.time()
        try:
            async with asyncio.timeout(min(self._window_left_s, self._left_s)):
                message = await anext(self._messages, None)
        except TimeoutError:
            raise self._too_slow() from None
        waited_s = clock.time() - started_s
        self._left_s -= waited_s
        self._window_left_s -= waited_s
        if message is not None:
            self._window_bytes += self._size_of(message)
            # Enough bytes begin a new window at once, so that a burst does not pay for a later stall.
            if self._window_bytes >= self._limits.min_bytes_per_s * self._limits.window_s:
                self._window_bytes, self._window_left_s = 0, self._limits.window_s
        return message

    def _too_slow(self) -> StreamTooSlow:
        limits = self._limits
        rate = f"at least {limits.min_bytes_per_s:g} bytes a second over {limits.window_s:g} s"
        return StreamTooSlow(
            f"the stream must bring {rate} and end within {limits.max_s:g} s, got {self._window_bytes} bytes since the last check; "
            "send it again over a faster connection",
            metadata={"min_bytes_per_second": f"{limits.min_bytes_per_s:g}", "max_seconds": f"{limits.max_s:g}"},
        )


class OneRequest:
    """The request of a call that has one.

    It is received when it is read, so a caller that is refused before that sends nothing that this service holds in memory.
    """

    def __init__(self, context: aio.ServicerContext[Any, Any]) -> None:
        self._context = context
        self.message: object = None

    async def read(self) -> object:
        """The message. Raises StreamTooSlow, and InvalidFields where the caller sends none."""
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                received = await self._context.read()
        except TimeoutError:
            raise StreamTooSlow(
                f"the request must arrive within {REQUEST_LIMIT_S:g} s; send it again over a faster connection",
                metadata={"max_seconds": f"{REQUEST_LIMIT_S:g}"},
            ) from None
        if received is aio.EOF:  # type: ignore[attr-defined]  # the stubs leave it out
            raise InvalidFields([FieldViolation("request", "must be one message, got none")])
        self.message = received
        return received
