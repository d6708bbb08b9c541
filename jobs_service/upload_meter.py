"""Counts the bytes that tenants upload, while they arrive, against the limit of the day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from servicekit.access.caller import current_caller
from servicekit.access.limits import LimitPolicy, limit_reached, seconds_until_midnight
from servicekit.errors import ServiceError
from servicekit.journal import Journal
from servicekit.logs import logger
from servicekit.rpc.pools import CallPool

M = TypeVar("M")

STEP_BYTES = 16 << 20
"""Bytes of a stream after which they are recorded. Streams at the same time may exceed the limit by this much each."""
_log = logger(__name__)


class UploadMeters:
    """Opens a meter for each stream. The journal is written in ``pool``."""

    def __init__(self, journal: Journal, pool: CallPool, policy: LimitPolicy) -> None:
        self._journal = journal
        self._pool = pool
        self._policy = policy

    @asynccontextmanager
    async def open(self) -> AsyncIterator[UploadMeter]:
        """A meter for a stream of the current caller. What it counted is recorded at the end, however that comes."""
        caller = current_caller()
        meter = UploadMeter(self._journal, self._pool, caller.tenant, self._policy.of(caller).upload_bytes_per_day)
        await meter.start()
        try:
            yield meter
        finally:
            await meter.end()


class UploadMeter:
    """The bytes of one stream. ``allowed`` is the tenant's limit of a day; 0: none."""

    def __init__(self, journal: Journal, pool: CallPool, tenant: str, allowed: int) -> None:
        self._journal = journal
        self._pool = pool
        self._tenant = tenant
        self._allowed = allowed
        self._used = 0
        self._unrecorded = 0

    async def counted(self, messages: AsyncIterator[M], size_of: Callable[[M], int]) -> AsyncIterator[M]:
        """The messages, each after its bytes were counted. Raises ResourceExhausted TENANT_LIMIT at the first byte too many."""
        async for message in messages:
            self._unrecorded += size_of(message)
            self._check()
            if self._allowed and self._unrecorded >= STEP_BYTES:
                await self._record()
                self._check()
            yield message

    async def start(self) -> None:
        """Learn what was used before; without a limit that does not matter."""
        if self._allowed:
            usage = await self._pool.run(self._journal.usage, self._tenant)
            self._used = usage.upload_bytes

    async def end(self) -> None:
        """Record the rest. A journal that does not answer must not fail a call that needs none, so it is only logged."""
        try:
            await self._record()
        except ServiceError as error:
            _log.warning("uploaded bytes were not counted", bytes=self._unrecorded, message=error.message)

    async def _record(self) -> None:
        if self._unrecorded:
            self._used = await self._pool.run(self._journal.add_upload, self._tenant, self._unrecorded)
            self._unrecorded = 0

    def _check(self) -> None:
        if self._allowed and self._used + self._unrecorded > self._allowed:
            left_s = seconds_until_midnight(self._journal.clock.now())
            used = self._used + self._unrecorded
            raise limit_reached("upload_bytes_per_day", allowed=self._allowed, used=used, retry_after_s=left_s)
